/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/tls_profiles.h"

#include "net/proxy/tls_sites.h"

#include <stdio.h>

static const struct slice http_1_1 = { "http/1.1", 8 }, http_2 = { "h2", 2 };

static void complain(const struct tls_profile_source *source, const struct entity *entity, const char *what,
                     const char *reason)
{
    struct slice path = arena_format(source->arena, "%s[%u]", what, entity->index);
    report_add(source->report, REPORT_ERROR, &entity->position, path.data ? path.data : what, "%s", reason);
}

/* --- listeners ------------------------------------------------------------------------------------------ */

static void release_server(void *pointer)
{
    tls_server_release(pointer);
}

static bool build_server(struct tls_server **made, const struct tls_profile_source *source,
                         const struct tls_sites *sites, struct slices protocols)
{
    char reason[TLS_REASON_SIZE];
    struct tls_server_options server = { .sites = sites->items,
                                         .site_count = sites->count,
                                         .takes_challenges = true,
                                         .staples = source->options->staples,
                                         .suites = source->options->suites,
                                         .protocols = protocols,
                                         .ticket_lifetime_s = source->options->ticket_lifetime_s,
                                         .set_count = source->options->set_count };
    *made = tls_server_make(&server, reason);
    if (*made == NULL) {
        report_add(source->report, REPORT_ERROR, NULL, "", "TLS of listeners: %s", reason);
        return false;
    }
    if (arena_on_close(source->arena, release_server, *made))
        return true;
    tls_server_release(*made);
    return false;
}

static void take_staple_files(const struct tls_profile_source *source)
{
    tls_staple_forget_files();
    for (uint32_t i = 0; i < source->options->staple_files.count; i++) {
        const char *reason = tls_staple_offer_file(source->options->staple_files.items[i]);
        if (reason)
            report_add(source->report, REPORT_WARNING, NULL, "ssl_stapling_file", "response %u: %s", i + 1,
                       reason);
    }
}

static bool build_servers(struct tls_profiles *profiles, const struct tls_profile_source *source)
{
    const struct tls_profile_options *options = source->options;
    struct tls_sites sites = { NULL, 0 };
    struct slice protocols[] = { http_2, http_1_1 };
    bool good = tls_sites_build(source, &sites) &&
                (!options->listens ||
                 build_server(&profiles->server, source, &sites, (struct slices){ protocols + 1, 1 })) &&
                (!options->listens_http2 ||
                 build_server(&profiles->server_http2, source, &sites, (struct slices){ protocols, 2 })) &&
                (!options->listens_streams ||
                 build_server(&profiles->server_streams, source, &sites, (struct slices){ NULL, 0 }));
    tls_sites_drop(&sites);
    if (good && options->staples)
        take_staple_files(source);
    return good;
}

bool tls_profiles_build(struct tls_profiles *profiles, const struct tls_profile_source *source)
{
    map_init(&profiles->upstreams, source->arena);
    const struct tls_profile_options *options = source->options;
    profiles->server = profiles->server_http2 = profiles->server_streams = NULL;
    bool listens = options->listens || options->listens_http2 || options->listens_streams;
    return !listens || build_servers(profiles, source);
}

/* --- upstreams ------------------------------------------------------------------------------------------ */

/* What a service asks for, the settings' words put where it has none. */
struct wish {
    bool verifies;
    bool is_stream; /* no protocol is asked for */
    int depth;
    bool http2;
    const struct upstream_tls *tls;
    const struct certificate *certificate; /* NULL: options->shown, or none */
};

static struct wish wish_of(const struct service *service, const struct tls_profile_options *options)
{
    const struct upstream_tls *tls = &service->tls;
    struct wish wish = { .is_stream = service->protocol == PROTOCOL_TLS,
                         .verifies = tls->verify < 0 ? options->verifies : tls->verify > 0,
                         .depth = tls->verify_depth == INTEGER_NULL ? options->trusted_depth
                                                                    : (int)tls->verify_depth,
                         .http2 = service->protocol == PROTOCOL_GRPCS,
                         .tls = tls,
                         .certificate = tls->client_certificate };
    if (wish.certificate == NULL)
        wish.certificate = service->upstream->client_certificate;
    return wish;
}

/* A text that differs whenever connections must be kept apart. */
static bool identify(const struct wish *wish, const struct tls_profile_options *options, struct arena *arena,
                     unsigned char id[32])
{
    struct slice text = arena_format(arena, "%s%d %d %d", wish->is_stream ? "stream " : "", wish->verifies,
                                     wish->depth, wish->http2);
    for (uint32_t i = 0; wish->verifies && text.data && i < wish->tls->authority_count; i++)
        text = arena_format(arena, "%s %s", text.data, wish->tls->authorities[i]->digest);
    if (wish->verifies && text.data && wish->tls->authority_count == 0)
        text = arena_format(arena, "%s trusted %s", text.data, options->trusted_digest);
    if (text.data && wish->certificate)
        text = arena_format(arena, "%s pair %.*s %.*s", text.data, SLICE_FORMAT(wish->certificate->cert),
                            SLICE_FORMAT(wish->certificate->key));
    else if (text.data && options->shown)
        text = arena_format(arena, "%s shown %s", text.data, options->shown_digest);
    return text.data && digest_of(DIGEST_SHA256, text, id);
}

static struct tls_trust *make_trust(const struct wish *wish, const struct tls_profile_options *options,
                                    char *reason)
{
    const struct upstream_tls *tls = wish->tls;
    if (tls->authority_count == 0)
        return tls_trust_at_depth(options->trusted, wish->depth);
    struct arena text;
    arena_init(&text, NULL, 0, SIZE_MAX);
    struct slice all = SLICE("");
    for (uint32_t i = 0; all.data && i < tls->authority_count; i++)
        all = arena_format(&text, "%.*s%.*s\n", SLICE_FORMAT(all), SLICE_FORMAT(tls->authorities[i]->cert));
    struct tls_trust_options trust = { .authorities_pem = all, .depth = wish->depth };
    struct tls_trust *made = all.data ? tls_trust_make(&trust, reason) : NULL;
    arena_deinit(&text);
    return made;
}

static struct tls_client *make_client(const struct wish *wish, const struct tls_profile_source *source,
                                      char *reason)
{
    const struct tls_profile_options *options = source->options;
    struct slice protocols[] = { wish->http2 ? http_2 : http_1_1 };
    /* What listeners speak says nothing about what upstreams do. */
    struct tls_client_options client = { .suites = { .preset = TLS_INTERMEDIATE,
                                                     .version_min = STREAM_TLS_1_2,
                                                     .version_max = STREAM_TLS_1_3 },
                                         .protocols = { protocols, wish->is_stream ? 0 : 1 },
                                         .set_count = options->set_count };
    snprintf(reason, TLS_REASON_SIZE, "out of memory");
    bool offers = wish->certificate && wish->certificate->cert.size > 0 && wish->certificate->key.size > 0;
    if (offers)
        client.key = tls_key_read(wish->certificate->cert, wish->certificate->key, reason);
    else if (wish->certificate == NULL && options->shown)
        tls_key_take(client.key = options->shown);
    if (wish->verifies)
        client.trust = make_trust(wish, options, reason);
    struct tls_client *made = NULL;
    if ((client.key || !offers) && (client.trust || !wish->verifies))
        made = tls_client_make(&client, reason);
    tls_key_release(client.key);
    tls_trust_release(client.trust);
    return made;
}

static void release_client(void *pointer)
{
    tls_client_release(pointer);
}

const struct tls_upstream *tls_profiles_upstream(struct tls_profiles *profiles,
                                                 const struct tls_profile_source *source,
                                                 const struct service *service)
{
    char reason[TLS_REASON_SIZE];
    struct wish wish = wish_of(service, source->options);
    struct tls_upstream *upstream = arena_alloc_zero(source->arena, sizeof(*upstream));
    struct arena text;
    arena_init(&text, NULL, 0, SIZE_MAX);
    bool identified = upstream && identify(&wish, source->options, &text, upstream->id);
    arena_deinit(&text);
    if (!identified)
        return NULL;
    struct slice id = { (const char *)upstream->id, sizeof(upstream->id) };
    struct tls_upstream *existing = map_find(&profiles->upstreams, id);
    if (existing)
        return existing;
    upstream->client = make_client(&wish, source, reason);
    if (upstream->client == NULL) {
        complain(source, &service->entity, "services", reason);
        return NULL;
    }
    if (!arena_on_close(source->arena, release_client, upstream->client)) {
        tls_client_release(upstream->client);
        return NULL;
    }
    return map_add(&profiles->upstreams, id, upstream, NULL) ? upstream : NULL;
}

/* --- probes --------------------------------------------------------------------------------------------- */

static struct tls_client *make_prober(const struct tls_probe_source *source, const struct upstream *upstream,
                                      char *reason)
{
    const struct certificate *shown = upstream->client_certificate;
    struct tls_client_options client = { .suites = { .preset = TLS_INTERMEDIATE,
                                                     .version_min = STREAM_TLS_1_2,
                                                     .version_max = STREAM_TLS_1_3 },
                                         .set_count = source->set_count };
    if (upstream->health.verify_certificate)
        client.trust = (struct tls_trust *)(uintptr_t)tls_client_trust(source->verifies);
    client.key = tls_key_read(shown->cert, shown->key, reason);
    struct tls_client *made = client.key ? tls_client_make(&client, reason) : NULL;
    tls_key_release(client.key);
    return made;
}

static bool shows_certificate(const struct upstream *upstream)
{
    const struct certificate *shown = upstream->client_certificate;
    return upstream->health.active_kind == PROBE_HTTPS && shown && shown->cert.size > 0 &&
           shown->key.size > 0;
}

bool tls_profiles_equip_probes(const struct tls_probe_source *source)
{
    struct model *model = source->model;
    const struct tls_profile_source place = { .arena = &model->arena, .report = source->report };
    char reason[TLS_REASON_SIZE];
    for (uint32_t i = 0; i < model->upstreams.count; i++) {
        struct upstream *upstream = model->upstreams.items[i];
        if (upstream->probe_client || !shows_certificate(upstream))
            continue;
        struct tls_client *client = make_prober(source, upstream, reason);
        if (client == NULL) {
            complain(&place, &upstream->entity, "upstreams", reason);
            return false;
        }
        if (!arena_on_close(&model->arena, release_client, client)) {
            tls_client_release(client);
            report_add(source->report, REPORT_ERROR, NULL, "", "out of memory");
            return false;
        }
        upstream->probe_client = client;
    }
    return true;
}
