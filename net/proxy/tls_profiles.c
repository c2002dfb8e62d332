/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/tls_profiles.h"

#include <stdio.h>

static const struct slice http_1_1 = { "http/1.1", 8 };

static void complain(const struct tls_profile_source *source, const struct entity *entity, const char *what,
                     const char *reason)
{
    struct slice path = arena_format(source->arena, "%s[%u]", what, entity->index);
    report_add(source->report, REPORT_ERROR, &entity->position, path.data ? path.data : what, "%s", reason);
}

/* --- listeners ------------------------------------------------------------------------------------------ */

struct sites {
    struct tls_site_options *items;
    uint32_t count;
};

static void drop_keys(const struct sites *sites)
{
    for (uint32_t i = 1; i < sites->count; i++) /* the first one's are the options' */
        for (uint32_t j = 0; j < TLS_SITE_KEYS; j++)
            tls_key_release(sites->items[i].pairs[j].key);
}

/* A text that a vault did not have is empty: then there is no such pair. */
static bool add_pair(const struct tls_profile_source *source, const struct certificate *certificate,
                     struct tls_site_options *site, const struct slice pair[2])
{
    char reason[TLS_REASON_SIZE];
    uint32_t count = 0;
    if (pair[0].size == 0 || pair[1].size == 0)
        return true;
    while (site->pairs[count].key)
        count++;
    site->pairs[count].key = tls_key_read(pair[0], pair[1], reason);
    if (site->pairs[count].key == NULL)
        complain(source, &certificate->entity, "certificates", reason);
    return site->pairs[count].key != NULL;
}

static bool add_names(const struct tls_profile_source *source, const struct certificate *certificate,
                      struct tls_site_options *site)
{
    const struct model *model = source->model;
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->snis.count; i++)
        count += model->snis.items[i]->certificate == certificate;
    site->names.items = arena_array(source->arena, count + 1, sizeof(struct slice));
    for (uint32_t i = 0; site->names.items && i < model->snis.count; i++)
        if (model->snis.items[i]->certificate == certificate)
            site->names.items[site->names.count++] = model->snis.items[i]->entity.name;
    return site->names.items != NULL;
}

static bool add_site(const struct tls_profile_source *source, const struct certificate *certificate,
                     struct sites *sites)
{
    const struct slice first[2] = { certificate->cert, certificate->key };
    const struct slice second[2] = { certificate->cert_alt, certificate->key_alt };
    struct tls_site_options *site = &sites->items[sites->count];
    *site = (struct tls_site_options){ .policy = source->options->policy, .trust = source->options->clients };
    if (!add_names(source, certificate, site))
        return false;
    if (site->names.count == 0)
        return true;
    sites->count++;
    if (!add_pair(source, certificate, site, first) || !add_pair(source, certificate, site, second))
        return false;
    if (site->pairs[0].key == NULL)
        sites->count--;
    return true;
}

static bool add_sites(const struct tls_profile_source *source, struct sites *sites)
{
    const struct model *model = source->model;
    sites->items = arena_array(source->arena, model->certificates.count + 1, sizeof(*sites->items));
    if (sites->items == NULL)
        return false;
    struct tls_site_options *first = &sites->items[sites->count++];
    *first =
        (struct tls_site_options){ .policy = source->options->policy, .trust = source->options->clients };
    for (uint32_t i = 0; i < TLS_SITE_KEYS; i++)
        first->pairs[i].key = source->options->defaults[i];
    bool good = true;
    for (uint32_t i = 0; i < model->certificates.count; i++)
        good = add_site(source, model->certificates.items[i], sites) && good;
    return good;
}

static void release_server(void *pointer)
{
    tls_server_release(pointer);
}

static bool build_server(struct tls_profiles *profiles, const struct tls_profile_source *source)
{
    char reason[TLS_REASON_SIZE];
    struct sites sites = { NULL, 0 };
    struct slice protocols[] = { http_1_1 };
    if (!add_sites(source, &sites)) {
        drop_keys(&sites);
        return false;
    }
    struct tls_server_options server = { .sites = sites.items,
                                         .site_count = sites.count,
                                         .suites = source->options->suites,
                                         .protocols = { protocols, 1 },
                                         .ticket_lifetime_s = source->options->ticket_lifetime_s,
                                         .set_count = source->options->set_count };
    profiles->server = tls_server_make(&server, reason);
    drop_keys(&sites);
    if (profiles->server == NULL) {
        report_add(source->report, REPORT_ERROR, NULL, "", "TLS of listeners: %s", reason);
        return false;
    }
    if (arena_on_close(source->arena, release_server, profiles->server))
        return true;
    tls_server_release(profiles->server);
    return false;
}

bool tls_profiles_build(struct tls_profiles *profiles, const struct tls_profile_source *source)
{
    map_init(&profiles->upstreams, source->arena);
    profiles->server = NULL;
    return !source->options->listens || build_server(profiles, source);
}

/* --- upstreams ------------------------------------------------------------------------------------------ */

/* What a service asks for, the settings' words put where it has none. */
struct wish {
    bool verifies;
    int depth;
    const struct upstream_tls *tls;
    const struct certificate *certificate; /* NULL: options->shown, or none */
};

static struct wish wish_of(const struct service *service, const struct tls_profile_options *options)
{
    const struct upstream_tls *tls = &service->tls;
    struct wish wish = { .verifies = tls->verify < 0 ? options->verifies : tls->verify > 0,
                         .depth = tls->verify_depth == INTEGER_NULL ? options->trusted_depth
                                                                    : (int)tls->verify_depth,
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
    struct slice text = arena_format(arena, "%d %d", wish->verifies, wish->depth);
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
    struct slice protocols[] = { http_1_1 };
    /* What listeners speak says nothing about what upstreams do. */
    struct tls_client_options client = { .suites = { .preset = TLS_INTERMEDIATE,
                                                     .version_min = STREAM_TLS_1_2,
                                                     .version_max = STREAM_TLS_1_3 },
                                         .protocols = { protocols, 1 },
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
