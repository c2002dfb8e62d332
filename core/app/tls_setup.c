/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/tls_setup.h"

#include "core/crypto/base64.h"
#include "tls/tls_crypto.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_BYTES_MAX = 4 * 1024 * 1024 };

/* Where distributions keep the certificates of public authorities. */
static const char *const system_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

/* --- texts ---------------------------------------------------------------------------------------------- */

struct reading {
    struct arena arena;
    struct report *report;
    const char *setting;
};

static struct slice complain(const struct reading *reading, const char *path, const char *reason)
{
    report_add(reading->report, REPORT_ERROR, NULL, reading->setting, "%s%s%s", path ? path : "",
               path ? ": " : "", reason);
    return (struct slice){ NULL, 0 };
}

/* Absent: *reason says why. */
static struct slice read_file(struct arena *arena, const char *path, const char **reason)
{
    struct slice text = { NULL, 0 };
    FILE *file = fopen(path, "re");
    char *bytes = arena_alloc(arena, FILE_BYTES_MAX + 1);
    *reason = file ? bytes ? NULL : "out of memory" : strerror(errno);
    if (file && bytes) {
        text = (struct slice){ bytes, fread(bytes, 1, FILE_BYTES_MAX + 1, file) };
        *reason = ferror(file) ? strerror(errno) : text.size > FILE_BYTES_MAX ? "is larger than 4 MiB" : NULL;
    }
    if (file)
        fclose(file);
    return *reason ? (struct slice){ NULL, 0 } : text;
}

static bool is_pem(struct slice text)
{
    return memmem(text.data, text.size, "-----BEGIN ", 11) != NULL;
}

/* As with Kong: a path, or the text itself, in PEM or that in base64. */
static struct slice read_text(struct reading *reading, struct slice value)
{
    const char *reason = NULL;
    size_t size = 0;
    if (is_pem(value))
        return value;
    unsigned char *decoded = arena_alloc(&reading->arena, value.size + 1);
    if (decoded && base64_decode(BASE64_STANDARD, value, decoded, &size) &&
        is_pem((struct slice){ (const char *)decoded, size }))
        return (struct slice){ (const char *)decoded, size };
    struct slice path = arena_copy(&reading->arena, value);
    struct slice text = path.data ? read_file(&reading->arena, path.data, &reason) : path;
    if (path.data == NULL)
        return complain(reading, NULL, "out of memory");
    if (reason)
        return complain(reading, path.data, reason);
    return text;
}

static struct slice read_system(struct reading *reading)
{
    const char *reason;
    for (size_t i = 0; i < COUNT_OF(system_bundles); i++) {
        struct slice text = read_file(&reading->arena, system_bundles[i], &reason);
        if (text.size > 0)
            return text;
    }
    return SLICE(""); /* nobody is believed */
}

/* All of them in one text; absent: reported. */
static struct slice read_all(struct reading *reading, const struct slices *values)
{
    struct slice all = SLICE("");
    for (uint32_t i = 0; i < values->count; i++) {
        bool system = slice_equal(values->items[i], SLICE("system"));
        struct slice one = system ? read_system(reading) : read_text(reading, values->items[i]);
        if (one.data == NULL)
            return one;
        all = arena_format(&reading->arena, "%.*s%.*s\n", SLICE_FORMAT(all), SLICE_FORMAT(one));
        if (all.data == NULL)
            return complain(reading, NULL, "out of memory");
    }
    return all;
}

static void begin(struct reading *reading, struct report *report, const char *setting)
{
    *reading = (struct reading){ .report = report, .setting = setting };
    arena_init(&reading->arena, NULL, 0, SIZE_MAX);
}

/* Private keys have been in it. */
static void end(struct reading *reading)
{
    arena_deinit(&reading->arena);
}

/* --- keys and authorities ------------------------------------------------------------------------------- */

struct pair_setting {
    const char *name;
    struct slice chain, key;
};

static struct tls_key *read_pair(const struct pair_setting *pair, struct report *report, char *digest)
{
    char reason[TLS_REASON_SIZE];
    struct reading reading;
    struct tls_key *key = NULL;
    begin(&reading, report, pair->name);
    struct slice chain = read_text(&reading, pair->chain);
    struct slice own = chain.data ? read_text(&reading, pair->key) : chain;
    if (own.data) {
        key = tls_key_read(chain, own, reason);
        if (key == NULL)
            complain(&reading, is_pem(pair->chain) ? NULL : pair->chain.data, reason);
        else if (digest && !digest_hex(DIGEST_SHA256, chain, digest))
            digest[0] = '\0';
    }
    end(&reading);
    return key;
}

struct trust_setting {
    const char *name;
    const struct slices *authorities, *revocations; /* the latter NULL: none are asked about */
    int depth;
};

/* One made before, and the digest of its text; with `made` NULL there is none. The digest is then the new
 * one's. */
struct known_trust {
    struct tls_trust *made;
    char digest[DIGEST_HEX_MAX];
};

/* Reading hundreds of authorities again at each reload would take longer than all the rest. */
static bool is_known(struct known_trust *known, struct slice pem)
{
    char digest[DIGEST_HEX_MAX] = "";
    bool same = digest_hex(DIGEST_SHA256, pem, digest) && known->made && strcmp(digest, known->digest) == 0;
    memcpy(known->digest, digest, sizeof(digest));
    return same;
}

static struct tls_trust *read_trust(const struct trust_setting *from, struct report *report,
                                    struct known_trust *known)
{
    char reason[TLS_REASON_SIZE];
    struct reading reading;
    struct tls_trust *trust = NULL;
    begin(&reading, report, from->name);
    struct slice pem = read_all(&reading, from->authorities);
    struct slice lists = from->revocations && pem.data ? read_all(&reading, from->revocations) : SLICE("");
    if (pem.data && known && is_known(known, pem)) {
        tls_trust_take(trust = known->made);
    } else if (pem.data && lists.data) {
        struct tls_trust_options options = { .depth = from->depth };
        if (pem.size > 0)
            options.authorities_pem = pem;
        if (lists.size > 0)
            options.revocations_pem = lists;
        trust = tls_trust_make(&options, reason);
        if (trust == NULL)
            complain(&reading, NULL, reason);
    }
    end(&reading);
    return trust;
}

/* --- profiles ------------------------------------------------------------------------------------------- */

static void drop(struct tls_profile_options *profiles)
{
    for (uint32_t i = 0; i < TLS_SITE_KEYS; i++)
        tls_key_release(profiles->defaults[i]);
    tls_trust_release(profiles->clients);
    tls_trust_release(profiles->trusted);
    tls_key_release(profiles->shown);
    for (uint32_t i = 0; i < profiles->staple_files.count; i++)
        free((void *)(uintptr_t)profiles->staple_files.items[i].data);
    free(profiles->staple_files.items);
    *profiles = (struct tls_profile_options){ 0 };
}

static bool make_default(struct tls_setup *setup, struct report *report)
{
    char reason[TLS_REASON_SIZE];
    if (setup->made == NULL)
        setup->made = tls_key_make("localhost", reason);
    if (setup->made == NULL)
        report_add(report, REPORT_ERROR, NULL, "ssl_cert", "%s", reason);
    return setup->made != NULL;
}

struct pairs_setting {
    const char *name;
    const struct slices *chains, *keys;
};

static bool read_pairs(struct tls_setup *setup, const struct pairs_setting *from,
                       struct tls_key *pairs[TLS_SITE_KEYS], struct report *report)
{
    if (from->chains->count > TLS_SITE_KEYS) {
        report_add(report, REPORT_ERROR, NULL, from->name, "more than one of each kind: ECDSA, Ed25519, RSA");
        return false;
    }
    for (uint32_t i = 0; i < from->chains->count; i++) {
        struct pair_setting pair = { from->name, from->chains->items[i], from->keys->items[i] };
        pairs[i] = read_pair(&pair, report, NULL);
        if (pairs[i] == NULL)
            return false;
    }
    if (from->chains->count > 0)
        return true;
    if (!make_default(setup, report))
        return false;
    tls_key_take(pairs[0] = setup->made);
    return true;
}

static bool read_clients(const struct settings *settings, struct tls_profile_options *profiles,
                         struct report *report)
{
    static const enum tls_client_policy policies[] = {
        [SETTINGS_TLS_VERIFY_OFF] = TLS_CLIENT_NONE,
        [SETTINGS_TLS_VERIFY_OPTIONAL] = TLS_CLIENT_OPTIONAL,
        [SETTINGS_TLS_VERIFY_ON] = TLS_CLIENT_REQUIRED,
    };
    struct trust_setting trust = { "ssl_client_certificate", &settings->ssl_client_certificate,
                                   &settings->ssl_crl, (int)settings->ssl_verify_depth };
    profiles->policy = policies[settings->ssl_verify_client];
    if (profiles->policy == TLS_CLIENT_NONE)
        return true;
    profiles->clients = read_trust(&trust, report, NULL);
    return profiles->clients != NULL;
}

static bool read_staples(const struct settings *settings, struct tls_profile_options *profiles,
                         struct report *report)
{
    const struct slices *paths = &settings->ssl_stapling_file;
    profiles->staples = settings->ssl_stapling;
    if (!profiles->staples || paths->count == 0)
        return true;
    profiles->staple_files.items = calloc(paths->count, sizeof(struct slice));
    for (uint32_t i = 0; profiles->staple_files.items && i < paths->count; i++) {
        const char *reason = NULL;
        struct reading reading;
        begin(&reading, report, "ssl_stapling_file");
        struct slice text = read_file(&reading.arena, paths->items[i].data, &reason);
        char *copy = reason ? NULL : malloc(text.size + 1);
        if (copy) {
            memcpy(copy, text.data, text.size);
            profiles->staple_files.items[profiles->staple_files.count++] = (struct slice){ copy, text.size };
        } else {
            complain(&reading, paths->items[i].data, reason ? reason : "out of memory");
        }
        end(&reading);
    }
    return profiles->staple_files.count == paths->count;
}

static bool read_upstreams(const struct tls_setup *setup, struct tls_profile_options *profiles,
                           struct report *report)
{
    const struct settings *settings = setup->settings;
    struct known_trust known = { .made = setup->profiles.trusted };
    struct trust_setting trust = { "upstream_tls_trusted", &settings->upstream_tls_trusted, NULL,
                                   (int)settings->upstream_tls_verify_depth };
    struct pair_setting pair = { "client_ssl_cert", settings->client_ssl_cert,
                                 settings->client_ssl_cert_key };
    profiles->verifies = settings->upstream_tls_verify;
    profiles->trusted_depth = trust.depth;
    memcpy(known.digest, setup->profiles.trusted_digest, sizeof(known.digest));
    profiles->trusted = read_trust(&trust, report, &known);
    memcpy(profiles->trusted_digest, known.digest, sizeof(known.digest));
    if (profiles->trusted && settings->client_ssl)
        profiles->shown = read_pair(&pair, report, profiles->shown_digest);
    return profiles->trusted && (profiles->shown || !settings->client_ssl);
}

static struct tls_suite_choice suites_of(const struct settings *settings)
{
    static const enum tls_preset presets[] = {
        [SETTINGS_TLS_MODERN] = TLS_MODERN,
        [SETTINGS_TLS_INTERMEDIATE] = TLS_INTERMEDIATE,
        [SETTINGS_TLS_OLD] = TLS_OLD,
        [SETTINGS_TLS_CUSTOM] = TLS_CUSTOM,
    };
    struct tls_suite_choice suites = { .preset = presets[settings->ssl_cipher_suite],
                                       .version_min = settings->tls_1_2 ? STREAM_TLS_1_2 : STREAM_TLS_1_3,
                                       .version_max = settings->tls_1_3 ? STREAM_TLS_1_3 : STREAM_TLS_1_2 };
    if (suites.preset == TLS_CUSTOM)
        suites.custom = settings->ssl_ciphers;
    return suites;
}

/* With TLS, and with HTTP/2 or without. */
static bool listens(const struct listener_settings *listeners, bool http2)
{
    for (uint32_t i = 0; i < listeners->count; i++)
        if (listeners->items[i].ssl && listeners->items[i].http2 == http2)
            return true;
    return false;
}

static bool any_ssl(const struct listener_settings *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++)
        if (listeners->items[i].ssl)
            return true;
    return false;
}

static struct tls_server *read_listener(struct tls_setup *setup, const struct pairs_setting *from,
                                        struct report *report)
{
    char reason[TLS_REASON_SIZE];
    struct tls_key *pairs[TLS_SITE_KEYS] = { NULL };
    struct tls_site_options site = { .policy = TLS_CLIENT_NONE };
    struct tls_server_options options = {
        .sites = &site, .site_count = 1, .suites = suites_of(setup->settings), .set_count = 1
    };
    struct tls_server *server = NULL;
    if (read_pairs(setup, from, pairs, report)) {
        for (uint32_t i = 0; i < TLS_SITE_KEYS; i++)
            site.pairs[i].key = pairs[i];
        server = tls_server_make(&options, reason);
        if (server == NULL)
            report_add(report, REPORT_ERROR, NULL, from->name, "%s", reason);
    }
    for (uint32_t i = 0; i < TLS_SITE_KEYS; i++)
        tls_key_release(pairs[i]);
    return server;
}

static void drop_listeners(struct tls_server *listeners[TLS_OWN_LISTENERS])
{
    for (int i = 0; i < TLS_OWN_LISTENERS; i++)
        tls_server_release(listeners[i]);
}

static bool read_listeners(struct tls_setup *setup, struct tls_server *listeners[TLS_OWN_LISTENERS],
                           struct report *report)
{
    const struct settings *settings = setup->settings;
    const struct pairs_setting admin = { "admin_ssl_cert", &settings->admin_ssl_cert,
                                         &settings->admin_ssl_cert_key };
    const struct pairs_setting status = { "status_ssl_cert", &settings->status_ssl_cert,
                                          &settings->status_ssl_cert_key };
    bool admin_speaks = any_ssl(&settings->admin_listeners);
    bool status_speaks = any_ssl(&settings->status_listeners);
    if (admin_speaks)
        listeners[TLS_LISTENER_ADMIN] = read_listener(setup, &admin, report);
    if (status_speaks)
        listeners[TLS_LISTENER_STATUS] = read_listener(setup, &status, report);
    return (listeners[TLS_LISTENER_ADMIN] || !admin_speaks) &&
           (listeners[TLS_LISTENER_STATUS] || !status_speaks);
}

bool tls_setup_read(struct tls_setup *setup, struct report *report)
{
    struct tls_server *listeners[TLS_OWN_LISTENERS] = { NULL };
    const struct settings *settings = setup->settings;
    struct tls_profile_options profiles = {
        .suites = suites_of(settings),
        .ticket_lifetime_s =
            settings->ssl_session_tickets ? (uint32_t)(settings->ssl_session_timeout_ms / 1000) : 0,
        .listens = listens(&settings->proxy_listeners, false),
        .listens_http2 = listens(&settings->proxy_listeners, true),
        .listens_streams = listens(&settings->stream_listeners, false),
        .set_count = setup->shard_count + 1,
    };
    const struct pairs_setting pairs = { "ssl_cert", &settings->ssl_cert, &settings->ssl_cert_key };
    if (read_upstreams(setup, &profiles, report) && read_listeners(setup, listeners, report) &&
        (!setup->listens ||
         (read_pairs(setup, &pairs, profiles.defaults, report) && read_clients(settings, &profiles, report) &&
          read_staples(settings, &profiles, report)))) {
        drop(&setup->profiles);
        drop_listeners(setup->listeners);
        setup->profiles = profiles;
        memcpy(setup->listeners, listeners, sizeof(listeners));
        return true;
    }
    drop(&profiles);
    drop_listeners(listeners);
    return false;
}

void tls_setup_publish(struct tls_setup *setup)
{
    pthread_mutex_lock(&setup->lock);
    drop_listeners(setup->published);
    memcpy(setup->published, setup->listeners, sizeof(setup->published));
    for (int i = 0; i < TLS_OWN_LISTENERS; i++)
        if (setup->published[i])
            tls_server_take(setup->published[i]);
    pthread_mutex_unlock(&setup->lock);
}

struct tls_server *tls_setup_take(struct tls_setup *setup, enum tls_own_listener listener)
{
    pthread_mutex_lock(&setup->lock);
    struct tls_server *server = setup->published[listener];
    if (server)
        tls_server_take(server);
    pthread_mutex_unlock(&setup->lock);
    return server;
}

bool tls_setup_equip(const struct tls_setup *setup, struct model *model, struct report *report)
{
    const struct tls_probe_source probes = { model, setup->own[TLS_OWN_VERIFIES], setup->shard_count + 1,
                                             report };
    return tls_profiles_equip_probes(&probes);
}

int64_t tls_setup_not_after(const struct tls_setup *setup)
{
    int64_t first_s = 0;
    for (uint32_t i = 0; i < TLS_SITE_KEYS && setup->profiles.defaults[i]; i++) {
        int64_t end_s = tls_key_not_after_s(setup->profiles.defaults[i]);
        if (first_s == 0 || end_s < first_s)
            first_s = end_s;
    }
    return first_s;
}

/* --- what the gateway itself asks for ------------------------------------------------------------------- */

static bool open_own(struct tls_setup *setup, struct report *report)
{
    const struct settings *settings = setup->settings;
    struct trust_setting trust = { "lua_ssl_trusted_certificate", &settings->lua_ssl_trusted_certificate,
                                   NULL, (int)settings->lua_ssl_verify_depth };
    struct slice protocols[] = { { "http/1.1", 8 } };
    struct tls_client_options options = { .suites = { .preset = TLS_INTERMEDIATE,
                                                      .version_min = STREAM_TLS_1_2,
                                                      .version_max = STREAM_TLS_1_3 },
                                          .protocols = { protocols, 0 },
                                          .set_count = setup->shard_count + 1 };
    char reason[TLS_REASON_SIZE];
    options.trust = read_trust(&trust, report, NULL);
    if (options.trust == NULL)
        return false;
    setup->own[TLS_OWN_VERIFIES] = tls_client_make(&options, reason);
    tls_trust_release(options.trust);
    options.trust = NULL;
    setup->own[TLS_OWN_BELIEVES] = tls_client_make(&options, reason);
    if (setup->own[TLS_OWN_VERIFIES] && setup->own[TLS_OWN_BELIEVES])
        return true;
    report_add(report, REPORT_ERROR, NULL, "", "TLS: %s", reason);
    return false;
}

struct tls_loop_options tls_setup_loop(const struct tls_setup *setup, unsigned shard)
{
    struct tls_loop_options options = { .set = shard,
                                        .budget_us = (uint32_t)setup->settings->tls_handshake_budget_us,
                                        .kernel = setup->kernel };
    memcpy(options.own, setup->own, sizeof(options.own));
    return options;
}

/* --- tickets -------------------------------------------------------------------------------------------- */

static void replace_tickets(struct tls_setup *setup, struct tls_tickets *tickets)
{
    if (setup->tickets)
        tls_tickets_release(setup->tickets);
    setup->tickets = tickets;
}

bool tls_setup_rotate(struct tls_setup *setup, uint64_t now_ms)
{
    if (setup->rotate_at_ms == 0 || now_ms < setup->rotate_at_ms)
        return false;
    struct tls_tickets *tickets = tls_tickets_rotate(setup->tickets);
    if (tickets == NULL)
        return false;
    replace_tickets(setup, tickets);
    setup->rotate_at_ms = now_ms + (uint64_t)setup->settings->tls_ticket_rotation_ms;
    return true;
}

bool tls_setup_read_tickets(struct tls_setup *setup, struct report *report)
{
    struct slice path = setup->settings->tls_ticket_keys;
    const char *reason;
    struct reading reading;
    if (path.size == 0 || !setup->listens || !setup->settings->ssl_session_tickets)
        return true;
    begin(&reading, report, "tls_ticket_keys");
    struct slice text = read_file(&reading.arena, path.data, &reason);
    struct tls_tickets *tickets = text.data ? tls_tickets_read(text, &reason) : NULL;
    if (tickets)
        replace_tickets(setup, tickets);
    else
        complain(&reading, path.data, reason);
    end(&reading);
    return tickets != NULL;
}

/* --- the process ---------------------------------------------------------------------------------------- */

bool tls_setup_open(struct tls_setup *setup, const struct settings *settings, unsigned shard_count,
                    struct report *report)
{
    *setup = (struct tls_setup){ .settings = settings, .shard_count = shard_count };
    setup->listens = listens(&settings->proxy_listeners, false) ||
                     listens(&settings->proxy_listeners, true) || listens(&settings->stream_listeners, false);
    if (tls_crypto_start() != ERROR_OK) {
        report_add(report, REPORT_ERROR, NULL, "", "the TLS library does not start");
        return false;
    }
    pthread_mutex_init(&setup->lock, NULL);
    setup->started = true;
    if (settings->ktls == SETTINGS_KTLS_AUTO)
        setup->kernel = ktls_probe();
    if (!open_own(setup, report) || !tls_setup_read_tickets(setup, report))
        return false;
    if (setup->tickets == NULL && setup->listens && settings->ssl_session_tickets)
        setup->rotate_at_ms = 1; /* at once */
    return true;
}

void tls_setup_close(struct tls_setup *setup)
{
    if (!setup->started)
        return;
    drop(&setup->profiles);
    drop_listeners(setup->listeners);
    drop_listeners(setup->published);
    pthread_mutex_destroy(&setup->lock);
    for (size_t i = 0; i < TLS_OWN_COUNT; i++)
        tls_client_release(setup->own[i]);
    replace_tickets(setup, NULL);
    tls_key_release(setup->made);
    tls_crypto_leave_thread();
    tls_crypto_stop();
    setup->started = false;
}
