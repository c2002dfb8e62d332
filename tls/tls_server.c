/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_server.h"

#include "core/base/arena.h"
#include "core/base/map.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARENA_LIMIT = 1 << 30 };

/* A context with a response, which wolfSSL keeps once it has seen it. */
struct stapling {
    struct WOLFSSL_CTX *ctx; /* NULL: none could be made */
    uint64_t version; /* of the response; 0: there was none yet */
};

struct pair {
    struct tls_key *key;
    struct tls_context_options options;
    struct WOLFSSL_CTX **sets;
    struct tls_staple *staple; /* NULL: nothing is stapled */
    struct stapling *stapling; /* by set, each of one thread */
};

struct site {
    struct pair pairs[TLS_SITE_KEYS];
    uint32_t pair_count;
    struct tls_trust *trust;
};

struct tls_server {
    uint32_t references; /* atomic: the configuration and every handshake hold one */
    struct arena arena;
    struct map names; /* lower case -> site */
    struct site *sites;
    uint32_t site_count, set_count;
    bool refuses_unknown, takes_challenges, staples;
    struct tls_suite_choice suites;
    bool tls_1_2, tls_1_3;
    struct slices protocols;
};

/* --- making --------------------------------------------------------------------------------------------- */

static bool fail(char *reason, const char *text)
{
    snprintf(reason, TLS_REASON_SIZE, "%s", text);
    return false;
}

static struct slice copy_lower(struct arena *arena, struct slice text)
{
    char *copy = arena_alloc(arena, text.size ? text.size : 1);
    for (size_t i = 0; copy && i < text.size; i++)
        copy[i] = slice_lower(text.data[i]);
    return (struct slice){ copy, copy ? text.size : 0 };
}

static struct slice copy(struct arena *arena, struct slice text)
{
    char *bytes = text.data ? arena_alloc(arena, text.size ? text.size : 1) : NULL;
    if (bytes)
        memcpy(bytes, text.data, text.size);
    return (struct slice){ bytes, bytes ? text.size : 0 };
}

static bool add_names(struct tls_server *server, struct site *site, struct slices names, char *reason)
{
    for (uint32_t i = 0; i < names.count; i++) {
        void *existing = NULL;
        struct slice name = copy_lower(&server->arena, names.items[i]);
        if (name.data == NULL || !map_add(&server->names, name, site, &existing))
            return fail(reason, "out of memory");
        if (existing && existing != site) {
            snprintf(reason, TLS_REASON_SIZE, "name '%.*s' belongs to two sites",
                     SLICE_FORMAT(names.items[i]));
            return false;
        }
    }
    return true;
}

/* A certificate without its issuer is shown all the same. */
static bool prepare_stapling(const struct tls_server *server, struct arena *arena, struct pair *pair)
{
    if (!server->staples)
        return true;
    pair->stapling = arena_alloc_zero(arena, server->set_count * sizeof(*pair->stapling));
    pair->staple = pair->stapling ? tls_staple_open(pair->key) : NULL;
    return pair->stapling != NULL;
}

static bool add_pair(struct tls_server *server, struct pair *pair, const struct tls_context_options *context,
                     char *reason)
{
    pair->options = *context;
    pair->key = context->key;
    tls_key_take(pair->key);
    if (!prepare_stapling(server, &server->arena, pair))
        return fail(reason, "out of memory");
    pair->sets = arena_alloc_zero(&server->arena, server->set_count * sizeof(struct WOLFSSL_CTX *));
    if (pair->sets == NULL)
        return fail(reason, "out of memory");
    for (uint32_t i = 0; i < server->set_count; i++) {
        pair->sets[i] = tls_context_make(context, reason);
        if (pair->sets[i] == NULL)
            return false;
    }
    return true;
}

static bool add_site(struct tls_server *server, const struct tls_server_options *options, uint32_t index,
                     char *reason)
{
    const struct tls_site_options *from = &options->sites[index];
    struct site *site = &server->sites[index];
    bool asks = from->policy != TLS_CLIENT_NONE, judges = asks && from->policy != TLS_CLIENT_UNVERIFIED;
    if (judges != (from->trust != NULL))
        return fail(reason, "client certificates need CA certificates, and only they do");
    site->trust = from->trust;
    if (judges)
        tls_trust_take(site->trust);
    for (uint32_t i = 0; i < TLS_SITE_KEYS && from->pairs[i].key; i++) {
        struct tls_context_options context = { .side = TLS_SIDE_SERVER,
                                               .suites = server->suites,
                                               .key = from->pairs[i].key,
                                               .policy = from->policy,
                                               .ticket_lifetime_s = asks ? 0 : options->ticket_lifetime_s };
        site->pair_count++;
        if (!add_pair(server, &site->pairs[i], &context, reason))
            return false;
    }
    return site->pair_count > 0 ? add_names(server, site, from->names, reason)
                                : fail(reason, "a site needs a certificate");
}

static bool add_protocols(struct tls_server *server, struct slices protocols)
{
    server->protocols.items = arena_alloc_zero(&server->arena, (protocols.count + 1) * sizeof(struct slice));
    for (uint32_t i = 0; server->protocols.items && i < protocols.count; i++)
        server->protocols.items[server->protocols.count++] = copy(&server->arena, protocols.items[i]);
    return server->protocols.items != NULL;
}

static bool fill(struct tls_server *server, const struct tls_server_options *options, char *reason)
{
    CHECK(options->set_count > 0 && options->set_count <= UINT16_MAX);
    server->set_count = options->set_count;
    server->refuses_unknown = options->refuses_unknown;
    server->takes_challenges = options->takes_challenges;
    server->staples = options->staples;
    server->suites = options->suites;
    server->suites.custom = copy(&server->arena, options->suites.custom);
    server->tls_1_2 = options->suites.version_min <= STREAM_TLS_1_2;
    server->tls_1_3 = options->suites.version_max >= STREAM_TLS_1_3;
    server->sites = arena_alloc_zero(&server->arena, options->site_count * sizeof(struct site));
    if (options->site_count == 0)
        return fail(reason, "no certificate");
    if (server->sites == NULL || !add_protocols(server, options->protocols))
        return fail(reason, "out of memory");
    for (uint32_t i = 0; i < options->site_count; i++) {
        server->site_count++;
        if (!add_site(server, options, i, reason))
            return false;
    }
    return true;
}

struct tls_server *tls_server_make(const struct tls_server_options *options, char *reason)
{
    struct tls_server *server = calloc(1, sizeof(*server));
    (void)fail(reason, "out of memory");
    if (server == NULL)
        return NULL;
    server->references = 1;
    arena_init(&server->arena, NULL, 0, ARENA_LIMIT);
    map_init(&server->names, &server->arena);
    if (fill(server, options, reason))
        return server;
    tls_server_release(server);
    return NULL;
}

void tls_server_take(struct tls_server *server)
{
    __atomic_fetch_add(&server->references, 1, __ATOMIC_RELAXED);
}

static void close_site(struct site *site, uint32_t set_count)
{
    for (uint32_t i = 0; i < site->pair_count; i++) {
        for (uint32_t set = 0; site->pairs[i].sets && set < set_count; set++)
            tls_context_free(site->pairs[i].sets[set]);
        for (uint32_t set = 0; site->pairs[i].stapling && set < set_count; set++)
            tls_context_free(site->pairs[i].stapling[set].ctx);
        tls_staple_release(site->pairs[i].staple);
        tls_key_release(site->pairs[i].key);
    }
    tls_trust_release(site->trust);
}

void tls_server_release(struct tls_server *server)
{
    if (server == NULL || __atomic_sub_fetch(&server->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (uint32_t i = 0; i < server->site_count; i++)
        close_site(&server->sites[i], server->set_count);
    arena_deinit(&server->arena);
    free(server);
}

bool tls_server_takes_challenges(const struct tls_server *server)
{
    return server->takes_challenges;
}

/* --- choosing ------------------------------------------------------------------------------------------- */

struct name {
    char bytes[TLS_NAME_MAX + 1];
    size_t size;
};

static struct site *find_pattern(const struct tls_server *server, const struct name *name)
{
    char pattern[TLS_NAME_MAX + 2];
    const char *first = memchr(name->bytes, '.', name->size);
    const char *last = memrchr(name->bytes, '.', name->size);
    if (first == NULL)
        return NULL;
    size_t rest = name->size - (size_t)(first - name->bytes), front = (size_t)(last - name->bytes) + 1;
    pattern[0] = '*';
    memcpy(pattern + 1, first, rest);
    struct site *site = map_find(&server->names, (struct slice){ pattern, rest + 1 });
    if (site)
        return site;
    memcpy(pattern, name->bytes, front);
    pattern[front] = '*';
    return map_find(&server->names, (struct slice){ pattern, front + 1 });
}

/* Exact, then by a wildcard for the leftmost label, then for the rightmost, then "*". */
static struct site *find_site(const struct tls_server *server, struct slice asked)
{
    struct name name = { .size = asked.size };
    struct site *any = map_find(&server->names, SLICE("*"));
    struct site *fallback = any ? any : server->refuses_unknown && asked.data ? NULL : server->sites;
    if (asked.data == NULL || asked.size > TLS_NAME_MAX)
        return fallback;
    for (size_t i = 0; i < asked.size; i++)
        name.bytes[i] = slice_lower(asked.data[i]);
    while (name.size > 0 && name.bytes[name.size - 1] == '.')
        name.size--;
    struct site *site = map_find(&server->names, (struct slice){ name.bytes, name.size });
    if (site == NULL)
        site = find_pattern(server, &name);
    return site ? site : fallback;
}

static bool takes_key(const struct tls_hello *hello, enum tls_key_kind kind, bool is_1_3)
{
    bool suites = is_1_3 || (kind == TLS_KEY_RSA ? hello->suites_rsa : hello->suites_ecdsa);
    switch (kind) {
    case TLS_KEY_RSA: return suites && (hello->signs_rsa || !is_1_3);
    case TLS_KEY_EC_P256: return suites && hello->signs_p256;
    case TLS_KEY_EC_P384: return suites && hello->signs_p384;
    default: return suites && hello->signs_ed25519;
    }
}

/* ECDSA before RSA: its signatures cost a thirtieth. */
static struct pair *find_pair(struct site *site, const struct tls_hello *hello, bool is_1_3)
{
    struct pair *found = NULL;
    for (uint32_t i = 0; i < site->pair_count; i++) {
        enum tls_key_kind kind = tls_key_kind(site->pairs[i].key);
        if (takes_key(hello, kind, is_1_3) && (found == NULL || tls_key_kind(found->key) == TLS_KEY_RSA))
            found = &site->pairs[i];
    }
    return found;
}

static bool find_protocol(const struct tls_server *server, const struct tls_hello *hello, struct slice *found)
{
    *found = (struct slice){ NULL, 0 };
    if (hello->protocols.data == NULL || server->protocols.count == 0)
        return true;
    for (uint32_t i = 0; i < server->protocols.count; i++) {
        if (tls_hello_offers(hello, server->protocols.items[i])) {
            *found = server->protocols.items[i];
            return true;
        }
    }
    return false;
}

/* Clients that do not ask, or for whom there is nothing, never come near a context that staples. */
static void find_stapling(struct pair *pair, uint32_t set, struct tls_choice *choice)
{
    char reason[TLS_REASON_SIZE];
    struct stapling *own = &pair->stapling[set];
    uint64_t version = tls_staple_version(pair->staple);
    if (version == 0)
        return;
    if (own->version != version) {
        struct tls_context_options options = pair->options;
        options.issuer = tls_staple_issuer(pair->staple);
        tls_context_free(own->ctx);
        own->ctx = tls_context_make(&options, reason);
        own->version = version;
    }
    if (own->ctx == NULL)
        return;
    choice->ctx = own->ctx;
    choice->staple = pair->staple;
}

enum tls_alert tls_server_choose(const struct tls_server *server, const struct tls_hello *hello, uint32_t set,
                                 struct tls_choice *choice)
{
    bool is_1_3 = hello->tls_1_3 && server->tls_1_3;
    CHECK(set < server->set_count);
    if (!is_1_3 && !(hello->tls_1_2 && server->tls_1_2))
        return TLS_PROTOCOL_VERSION;
    struct site *site = find_site(server, hello->name);
    if (site == NULL)
        return TLS_UNRECOGNIZED_NAME;
    struct pair *pair = find_pair(site, hello, is_1_3);
    if (pair == NULL)
        return TLS_HANDSHAKE_FAILURE;
    if (!find_protocol(server, hello, &choice->protocol))
        return TLS_NO_APPLICATION_PROTOCOL;
    choice->ctx = pair->sets[set];
    choice->key = pair->key;
    choice->trust = site->trust;
    choice->staple = NULL;
    /* wolfSSL 5.5.4 leaks 5 KB with each handshake of TLS 1.3 that staples. */
    if (pair->staple && hello->asks_status && !is_1_3)
        find_stapling(pair, set, choice);
    return TLS_ALERT_NONE;
}
