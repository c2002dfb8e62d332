/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/jwks.h"

#include "core/base/json_scan.h"

#include <stdlib.h>

enum { RETRY_MIN_MS = 1000, RETRY_MAX_MS = 30000, UNUSED_MIN_MS = 60000, DESCRIPTION_BYTES_MAX = 64 * 1024 };

struct jwks {
    struct jwks *next; /* of the pool */
    struct jwks_pool *pool;
    struct timer unused;
    struct shard *shard;
    struct jwks_source source; /* its texts are copies */
    struct slice description_url; /* absent with a jwks_url */
    struct jwks_description description; /* what it said last; one allocation, issuer first */
    bool described; /* and that is to be believed */
    struct fetch fetch;
    struct arena arenas[2]; /* of the set in use and of the next one */
    unsigned current;
    struct jwk_set set;
    struct list_node waiters;
    uint64_t fetched_ms, tried_ms, retry_ms; /* the last success; the last begin; pause after a failure */
    bool has_set, fetching, describing;
};

/* --- fetching ------------------------------------------------------------------------------------------- */

static void begin(struct jwks *jwks)
{
    static const struct header accept = { .name = { "Accept", 6 }, .value = { "application/json", 16 } };
    bool describe = jwks->description_url.data && !jwks->described;
    struct fetch_request request = {
        .url = describe          ? jwks->description_url
               : jwks->described ? jwks->description.jwks_uri
                                 : jwks->source.jwks_url,
        .headers = &accept,
        .header_count = 1,
        .limit_bytes = describe ? DESCRIPTION_BYTES_MAX : JWK_SET_BYTES_MAX,
        .timeout_ms = (uint32_t)jwks->source.timeout_ms,
        .options = jwks->source.unverified ? FETCH_UNVERIFIED : 0,
    };
    jwks->describing = describe;
    jwks->fetching = true;
    jwks->tried_ms = jwks->shard->now_ms;
    fetch_start(&jwks->fetch, &request);
}

static void tell_all(struct jwks *jwks)
{
    struct list_node waiters;
    list_init(&waiters);
    list_move_all(&waiters, &jwks->waiters);
    while (!list_is_empty(&waiters)) {
        struct jwks_waiter *waiter = CONTAINER_OF(waiters.next, struct jwks_waiter, node);
        list_remove(&waiter->node);
        waiter->done(waiter);
    }
}

static bool is_issuer(const struct jwks_source *source, struct slice said)
{
    struct slice asked = source->issuer;
    if (source->loose_issuer && slice_ends_with(said, SLICE("/")))
        said.size--;
    if (source->loose_issuer && slice_ends_with(asked, SLICE("/")))
        asked.size--;
    return slice_equal(said, asked);
}

/* A place to call or to send people to; what is none, and what may not stand in a field, is not taken. */
static struct slice endpoint(struct slice said)
{
    struct fetch_url url;
    return fetch_url_parse(said, &url) ? said : (struct slice){ NULL, 0 };
}

/* {"jwks_uri": ...}; the issuer it names must be the one that was asked (OpenID Connect Discovery 4.3). */
static bool take_description(struct jwks *jwks, struct slice text)
{
    enum { ISSUER, JWKS_URI, MEMBERS = 6 };
    struct json_member members[MEMBERS] = {
        { .name = SLICE("issuer") },
        { .name = SLICE("jwks_uri") },
        { .name = SLICE("authorization_endpoint") },
        { .name = SLICE("token_endpoint") },
        { .name = SLICE("introspection_endpoint") },
        { .name = SLICE("end_session_endpoint") },
    };
    struct jwks_description found = { { NULL, 0 } };
    struct slice *texts[MEMBERS] = { &found.issuer,
                                     &found.jwks_uri,
                                     &found.authorization_endpoint,
                                     &found.token_endpoint,
                                     &found.introspection_endpoint,
                                     &found.end_session_endpoint };
    enum json_kind root;
    size_t size = 1;
    if (!json_scan(text, members, MEMBERS, &root) || members[ISSUER].value.kind != JSON_STRING ||
        members[JWKS_URI].value.kind != JSON_STRING)
        return false;
    for (int i = 0; i < MEMBERS; i++)
        size += members[i].value.text.size;
    char *memory = malloc(size), *next = memory;
    for (int i = 0; memory && i < MEMBERS; i++) {
        if (members[i].value.kind != JSON_STRING)
            continue;
        *texts[i] = (struct slice){ next, json_unescape(members[i].value.text, next) };
        next += texts[i]->size;
        if (i > JWKS_URI)
            *texts[i] = endpoint(*texts[i]);
    }
    if (memory == NULL || !is_issuer(&jwks->source, found.issuer)) {
        free(memory);
        return false;
    }
    free((void *)(uintptr_t)jwks->description.issuer.data);
    jwks->description = found;
    return jwks->described = true;
}

static bool take_set(struct jwks *jwks, struct slice text)
{
    unsigned next = 1 - jwks->current;
    struct jwk_set set;
    arena_deinit(&jwks->arenas[next]);
    arena_init(&jwks->arenas[next], NULL, 0, (size_t)16 * 1024 * 1024);
    if (jwk_set_read(text, &jwks->arenas[next], &set) != ERROR_OK)
        return false;
    jwks->current = next;
    jwks->set = set;
    jwks->has_set = true;
    jwks->fetched_ms = jwks->shard->now_ms;
    return true;
}

static void fetch_ended(struct fetch *fetch, enum error error)
{
    struct jwks *jwks = CONTAINER_OF(fetch, struct jwks, fetch);
    bool good = error == ERROR_OK && fetch->status == 200;
    bool described = good && jwks->describing && take_description(jwks, fetch->body);
    if (described) {
        begin(jwks);
        return;
    }
    good = good && !jwks->describing && take_set(jwks, fetch->body);
    jwks->fetching = false;
    if (good) {
        jwks->retry_ms = 0;
    } else {
        jwks->retry_ms = jwks->retry_ms ? jwks->retry_ms * 2 : RETRY_MIN_MS;
        if (jwks->retry_ms > RETRY_MAX_MS)
            jwks->retry_ms = RETRY_MAX_MS;
        jwks->described = false; /* the keys may have moved */
    }
    tell_all(jwks);
}

/* --- asking --------------------------------------------------------------------------------------------- */

static bool may_try(const struct jwks *jwks)
{
    return !jwks->fetching && (jwks->retry_ms == 0 || jwks->shard->now_ms >= jwks->tried_ms + jwks->retry_ms);
}

static enum jwks_answer join_line(struct jwks *jwks, struct jwks_waiter *waiter)
{
    list_append(&jwks->waiters, &waiter->node);
    return JWKS_WAIT;
}

enum jwks_answer jwks_ask(struct jwks *jwks, struct jwks_waiter *waiter, const struct jwk_set **set)
{
    uint64_t age_ms = jwks->shard->now_ms - jwks->fetched_ms;
    uint64_t fresh_ms = (uint64_t)jwks->source.fresh_ms, stale_ms = (uint64_t)jwks->source.stale_ms;
    bool usable = jwks->has_set && age_ms < fresh_ms + stale_ms;
    /* Renewed from three quarters of its time on, while it still serves. */
    bool due = !jwks->has_set || age_ms >= fresh_ms / 4 * 3;
    if (due && may_try(jwks))
        begin(jwks);
    *set = &jwks->set;
    if (usable && (age_ms < fresh_ms || !jwks->fetching || jwks->retry_ms > 0))
        return JWKS_READY;
    if (jwks->fetching)
        return join_line(jwks, waiter);
    return usable ? JWKS_READY : JWKS_UNAVAILABLE;
}

enum jwks_answer jwks_ask_again(struct jwks *jwks, struct jwks_waiter *waiter)
{
    uint64_t now_ms = jwks->shard->now_ms;
    if (!jwks->fetching && now_ms >= jwks->tried_ms + (uint64_t)jwks->source.unknown_kid_ms && may_try(jwks))
        begin(jwks);
    return jwks->fetching ? join_line(jwks, waiter) : JWKS_READY;
}

/* Moving a timer later is one store. */
static void mark_used(struct jwks *jwks)
{
    uint64_t keep_ms = (uint64_t)(jwks->source.fresh_ms + jwks->source.stale_ms);
    timer_arm(&jwks->shard->timers, &jwks->unused,
              jwks->shard->now_ms + (keep_ms > UNUSED_MIN_MS ? keep_ms : UNUSED_MIN_MS));
}

const struct jwks_description *jwks_describe(const struct jwks *jwks)
{
    return &jwks->description;
}

/* --- the pool ------------------------------------------------------------------------------------------- */

static bool source_equal(const struct jwks_source *a, const struct jwks_source *b)
{
    return slice_equal(a->jwks_url, b->jwks_url) && slice_equal(a->issuer, b->issuer) &&
           a->timeout_ms == b->timeout_ms && a->fresh_ms == b->fresh_ms && a->stale_ms == b->stale_ms &&
           a->unknown_kid_ms == b->unknown_kid_ms && a->unverified == b->unverified &&
           a->loose_issuer == b->loose_issuer;
}

/* One allocation: url, issuer, and the issuer's description (OpenID Connect Discovery 1.0 section 4). */
static bool copy_source(struct jwks *jwks, const struct jwks_source *source)
{
    static const char suffix[] = "/.well-known/openid-configuration";
    struct slice base = source->issuer;
    while (base.size > 0 && base.data[base.size - 1] == '/')
        base.size--;
    char *text = malloc(source->jwks_url.size + source->issuer.size + base.size + sizeof(suffix));
    if (text == NULL)
        return false;
    jwks->source = *source;
    jwks->source.jwks_url.data = text;
    if (source->jwks_url.size)
        memcpy(text, source->jwks_url.data, source->jwks_url.size);
    text += source->jwks_url.size;
    jwks->source.issuer.data = text;
    if (source->issuer.size)
        memcpy(text, source->issuer.data, source->issuer.size);
    text += source->issuer.size;
    if (source->jwks_url.size > 0)
        return true;
    if (base.size)
        memcpy(text, base.data, base.size);
    memcpy(text + base.size, suffix, sizeof(suffix) - 1);
    jwks->description_url = (struct slice){ text, base.size + sizeof(suffix) - 1 };
    return true;
}

static void jwks_free(struct jwks *jwks)
{
    timer_disarm(&jwks->shard->timers, &jwks->unused);
    fetch_close(&jwks->fetch);
    arena_deinit(&jwks->arenas[0]);
    arena_deinit(&jwks->arenas[1]);
    free((void *)(uintptr_t)jwks->source.jwks_url.data);
    free((void *)(uintptr_t)jwks->description.issuer.data);
    free(jwks);
}

/* It has left the configuration, or might as well have. */
static void is_unused(struct timer *timer)
{
    struct jwks *jwks = CONTAINER_OF(timer, struct jwks, unused);
    if (jwks->fetching || !list_is_empty(&jwks->waiters)) {
        mark_used(jwks);
        return;
    }
    struct jwks **at = &jwks->pool->first;
    while (*at != jwks)
        at = &(*at)->next;
    *at = jwks->next;
    jwks_free(jwks);
}

struct jwks *jwks_pool_find(struct jwks_pool *pool, struct shard *shard, const struct jwks_source *source)
{
    for (struct jwks *jwks = pool->first; jwks; jwks = jwks->next)
        if (source_equal(&jwks->source, source)) {
            mark_used(jwks);
            return jwks;
        }
    struct jwks *jwks = calloc(1, sizeof(*jwks));
    if (jwks == NULL || !copy_source(jwks, source)) {
        free(jwks);
        return NULL;
    }
    jwks->shard = shard;
    jwks->pool = pool;
    timer_init(&jwks->unused, is_unused);
    list_init(&jwks->waiters);
    arena_init(&jwks->arenas[0], NULL, 0, 0);
    arena_init(&jwks->arenas[1], NULL, 0, 0);
    fetch_init(&jwks->fetch, fetch_pool_of(shard), fetch_ended);
    jwks->next = pool->first;
    pool->first = jwks;
    mark_used(jwks);
    return jwks;
}

void jwks_pool_close(struct jwks_pool *pool)
{
    while (pool->first) {
        struct jwks *jwks = pool->first;
        pool->first = jwks->next;
        jwks_free(jwks);
    }
}
