/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's proxy-cache: responses kept in memory, for all shards; with cache_control by RFC 9111. The phases,
 * and the way of a response into the store. plugins/proxy_cache.md says what it does and why. */
#include "plugins/proxy_cache.h"
#include "plugins/proxy_cache_entry.h"

#include "config/settings.h"
#include "net/proxy/proxy.h"
#include "plugins/plugins.h"

#include "net/http/http_date.h"

#include <stdlib.h>

enum { KEEP_VALIDATED_S = 3600, CAPTURE_FIRST_BYTES = 4096 };

void proxy_cache_count(struct proxy_cache_shard *shard, const struct shared_change *change)
{
    struct metrics *metrics = &shard->shard->metrics;
    if (change->stored)
        metric_add(metrics, METRIC_CACHE_STORES, change->stored);
    if (change->evicted)
        metric_add(metrics, METRIC_CACHE_EVICTIONS, change->evicted);
    if (change->bytes)
        metric_add(metrics, METRIC_CACHE_BYTES, change->bytes);
}

static bool show_status(const struct proxy_cache_exchange *state, struct slice status)
{
    return !state->config->show.status ||
           exchange_set_response_header(state->exchange, SLICE("X-Cache-Status"), status);
}

/* --- asking the store ----------------------------------------------------------------------------------- */

/* The newest that can be used for this request; between enter and leave. */
static struct shared_entry *find_entry(const struct proxy_cache_exchange *state)
{
    const struct message *request = exchange_request(state->exchange);
    uint64_t now_ms = state->shard->shard->now_ms;
    struct shared_entry *entry = shared_cache_next(state->shard->cache, state->key, NULL);
    while (entry && (entry->expires_ms <= now_ms || !stored_matches(stored_of(entry), request)))
        entry = shared_cache_next(state->shard->cache, state->key, entry);
    return entry;
}

/* The conditions are the cache's now; it judges those of the client itself. */
static bool set_conditions(struct proxy_cache_exchange *state)
{
    const struct stored *stored = stored_of(state->stale);
    struct exchange *exchange = state->exchange;
    struct arena *arena = exchange_arena(exchange);
    struct slice etag = arena_copy(arena, stored_find(stored, SLICE("ETag")));
    struct slice modified = arena_copy(arena, stored_find(stored, SLICE("Last-Modified")));
    exchange_remove_upstream_header(exchange, SLICE("If-None-Match"));
    exchange_remove_upstream_header(exchange, SLICE("If-Modified-Since"));
    return (!etag.data || exchange_set_upstream_header(exchange, SLICE("If-None-Match"), etag)) &&
           (!modified.data || exchange_set_upstream_header(exchange, SLICE("If-Modified-Since"), modified));
}

/* A stale one is kept for validation, and for the case that the upstream fails. */
static bool hold_stale(struct proxy_cache_exchange *state, struct shared_entry *entry)
{
    if (!state->config->cache_control)
        return true;
    if (!flight_engage(state))
        return false;
    shared_cache_hold(entry);
    state->stale = entry;
    return true;
}

struct found {
    enum cache_use use;
    enum verdict verdict;
    bool enough; /* memory */
};

/* Served at once, or held. */
static struct found look(struct proxy_cache_exchange *state)
{
    struct found found = { USE_NOT, VERDICT_CONTINUE, true };
    struct shared_cache *cache = state->shard->cache;
    unsigned reader = state->shard->shard->index;
    shared_cache_enter(cache, reader);
    struct shared_entry *entry = find_entry(state);
    if (entry) {
        found.use = proxy_cache_judge(state, stored_of(entry));
        shared_cache_use(entry);
    }
    if (found.use == USE_IT)
        found.verdict = stored_serve(state, stored_of(entry));
    else if (found.use != USE_NOT)
        found.enough = hold_stale(state, entry);
    shared_cache_leave(cache, reader);
    return found;
}

static enum verdict ask_upstream(struct proxy_cache_exchange *state, enum cache_use use)
{
    struct shared_entry *stale = state->stale;
    state->asked_ms = state->shard->shard->wall_ms;
    if (stale && (stored_of(stale)->flags & STORED_HAS_VALIDATOR) && !set_conditions(state))
        return exchange_respond_failure(state->exchange);
    if (!show_status(state, use == USE_NOT ? SLICE("Miss") : SLICE("Refresh")))
        return exchange_respond_failure(state->exchange);
    metric_add(&state->shard->shard->metrics, METRIC_CACHE_MISSES, 1);
    return VERDICT_CONTINUE;
}

static enum verdict serve_stale(struct proxy_cache_exchange *state)
{
    metric_add(&state->shard->shard->metrics, METRIC_CACHE_HITS, 1);
    if (!show_status(state, SLICE("Stale")))
        return exchange_respond_failure(state->exchange);
    return stored_serve(state, stored_of(state->stale));
}

/* Others may wait for it, or it for another. */
static bool may_fly(const struct proxy_cache_exchange *state)
{
    return !state->request.head && !state->request.range.data;
}

enum verdict proxy_cache_decide(struct proxy_cache_exchange *state, bool may_wait)
{
    struct exchange *exchange = state->exchange;
    if (state->stale) { /* it is looked up again after waiting */
        struct shared_change change = shared_cache_release(state->shard->cache, state->stale);
        proxy_cache_count(state->shard, &change);
        state->stale = NULL;
    }
    struct found found = look(state);
    if (!found.enough)
        return exchange_respond_failure(exchange);
    if (found.use == USE_IT) {
        metric_add(&state->shard->shard->metrics, METRIC_CACHE_HITS, 1);
        return show_status(state, SLICE("Hit")) ? found.verdict : exchange_respond_failure(exchange);
    }
    if (state->request.control.flags & CONTROL_ONLY_IF_CACHED) {
        state->standing = CACHE_OUT;
        return exchange_respond_unavailable(exchange, 504);
    }
    if (may_wait && may_fly(state)) {
        if (!flight_engage(state))
            return exchange_respond_failure(exchange);
        if (flight_join(state)) {
            if (found.use != USE_WHILE_REFRESHING)
                return VERDICT_WAIT;
            flight_leave(state);
            return serve_stale(state);
        }
    }
    return ask_upstream(state, found.use);
}

static enum verdict on_access(const struct plugin_call *call)
{
    struct proxy_cache_exchange *state = call->exchange_state;
    state->exchange = call->exchange;
    state->shard = call->shard_state;
    state->config = call->config;
    state->standing = proxy_cache_read_request(state);
    if (state->standing == CACHE_OUT || state->standing == CACHE_UNSAFE)
        return show_status(state, SLICE("Bypass")) ? VERDICT_CONTINUE
                                                   : exchange_respond_failure(call->exchange);
    if (!proxy_cache_make_key(state))
        return exchange_respond_failure(call->exchange);
    if (state->config->show.key) {
        char *text = arena_alloc(exchange_arena(call->exchange), 2 * SHARED_KEY_BYTES);
        if (text == NULL)
            return exchange_respond_failure(call->exchange);
        proxy_cache_key_text(state->key, text);
        if (!exchange_set_response_header(call->exchange, SLICE("X-Cache-Key"),
                                          (struct slice){ text, 2 * SHARED_KEY_BYTES }))
            return exchange_respond_failure(call->exchange);
    }
    return proxy_cache_decide(state, true);
}

/* --- storing -------------------------------------------------------------------------------------------- */

/* What the head says of its use, written into a new entry. */
static void describe(struct proxy_cache_exchange *state, struct shared_entry *entry,
                     const struct message *response, const struct control *control)
{
    const struct proxy_cache_config *config = state->config;
    struct stored *stored = (void *)entry->payload;
    uint64_t wall_ms = state->shard->shard->wall_ms;
    struct freshness freshness = freshness_read(response, control, state->asked_ms, wall_ms);
    int64_t wall_s = (int64_t)(wall_ms / 1000), keep_s = config->cache_ttl_s;
    if (!http_date_parse(slice_trim(message_find(response, HEADER_DATE)), wall_s, &stored->date_s))
        stored->date_s = wall_s;
    if (config->cache_control) {
        stored->age_s = freshness.age_s;
        stored->lifetime_s = freshness.lifetime_s;
        stored->while_revalidate_s = control->while_revalidate_s > 0 ? control->while_revalidate_s : 0;
        stored->if_error_s = control->if_error_s > 0 ? control->if_error_s : 0;
        if (control->flags & CONTROL_NO_CACHE)
            stored->flags |= STORED_VALIDATED_ONLY;
        if ((control->flags & CONTROL_MUST_REVALIDATE) || control->s_maxage_s >= 0)
            stored->flags |= STORED_NEVER_STALE;
        bool validator = message_find_name(response, SLICE("ETag")).data ||
                         message_find_name(response, SLICE("Last-Modified")).data;
        if (validator)
            stored->flags |= STORED_HAS_VALIDATOR;
        int64_t fresh_s = freshness.lifetime_s > freshness.age_s ? freshness.lifetime_s - freshness.age_s : 0;
        int64_t after_s =
            stored->while_revalidate_s > stored->if_error_s ? stored->while_revalidate_s : stored->if_error_s;
        keep_s = fresh_s + (after_s > KEEP_VALIDATED_S ? after_s : KEEP_VALIDATED_S);
    }
    if (config->storage_ttl_s != INTEGER_NULL)
        keep_s = config->storage_ttl_s;
    entry->expires_ms = state->shard->shard->now_ms + (uint64_t)keep_s * 1000;
}

static void give_up(struct proxy_cache_exchange *state, enum flight_end how)
{
    if (state->capture) {
        state->shard->capture_bytes -= state->capture_room;
        shared_entry_discard(state->capture);
        state->capture = NULL;
    }
    flight_end(state, how);
}

/* Room for that many bytes of body in all; false: too much, or out of memory. */
static bool grow(struct proxy_cache_exchange *state, size_t body_bytes)
{
    struct proxy_cache_shard *shard = state->shard;
    size_t head_bytes = stored_of(state->capture)->head_bytes, most = shard->entry_bytes - head_bytes;
    size_t room = state->capture_room < CAPTURE_FIRST_BYTES ? CAPTURE_FIRST_BYTES : state->capture_room;
    if (body_bytes > most)
        return false;
    while (room < body_bytes)
        room *= 2;
    if (room > most)
        room = most;
    if (shard->capture_bytes + room - state->capture_room > shard->capture_bytes_max)
        return false;
    struct shared_entry *moved = shared_entry_resize(state->capture, head_bytes + room);
    if (moved == NULL)
        return false;
    shard->capture_bytes += room - state->capture_room;
    state->capture = moved;
    state->capture_room = room;
    return true;
}

static bool capture_write(struct body_filter *filter, struct chunk chunk)
{
    struct proxy_cache_exchange *state = CONTAINER_OF(filter, struct proxy_cache_exchange, filter);
    size_t all = state->captured_bytes + chunk.size;
    if (state->capture && all > state->capture_room && !grow(state, all))
        give_up(state, FLIGHT_UNSTORABLE);
    if (state->capture) {
        memcpy(state->capture->payload + stored_of(state->capture)->head_bytes + state->captured_bytes,
               chunk_slice(&chunk).data, chunk.size);
        state->captured_bytes = all;
    }
    return body_filter_pass(filter, chunk);
}

static bool capture_end(struct body_filter *filter)
{
    struct proxy_cache_exchange *state = CONTAINER_OF(filter, struct proxy_cache_exchange, filter);
    struct shared_entry *entry = state->capture;
    if (entry == NULL)
        return true;
    struct stored *stored = (void *)entry->payload;
    stored->body_bytes = state->captured_bytes;
    if (state->captured_bytes < state->capture_room) {
        struct shared_entry *smaller = shared_entry_resize(entry, stored->head_bytes + state->captured_bytes);
        entry = smaller ? smaller : entry;
    }
    state->shard->capture_bytes -= state->capture_room;
    state->capture = NULL;
    struct shared_change change = shared_cache_put(state->shard->cache, entry, stored_is_same);
    proxy_cache_count(state->shard, &change);
    flight_end(state, change.stored ? FLIGHT_STORED : FLIGHT_FAILED);
    return true;
}

static const struct body_filter_ops capture_ops = { .write = capture_write, .end = capture_end };

/* False: it will not be stored. */
static bool begin_capture(struct proxy_cache_exchange *state, const struct message *response,
                          const struct control *control)
{
    struct proxy_cache_shard *shard = state->shard;
    size_t announced = response->framing == BODY_LENGTH ? response->body_bytes : 0;
    if (announced > shard->entry_bytes || shard->capture_bytes + announced > shard->capture_bytes_max ||
        !flight_engage(state))
        return false;
    state->capture = stored_open(state, response, announced);
    if (state->capture == NULL)
        return false;
    state->capture_room = announced;
    shard->capture_bytes += announced;
    describe(state, state->capture, response, control);
    state->filter = (struct body_filter){ .ops = &capture_ops, .kind = BODY_FILTER_WATCHES };
    exchange_watch_upstream(state->exchange, &state->filter);
    return true;
}

/* --- responses ------------------------------------------------------------------------------------------ */

/* Not modified: the stored one lives on, with what the upstream says now. */
static enum verdict freshen(struct proxy_cache_exchange *state, const struct message *update)
{
    struct message merged;
    const struct stored *old = stored_of(state->stale);
    if (!stored_update(old, state->exchange, update, &merged))
        return serve_stale(state);
    struct control control = control_read(&merged);
    struct shared_entry *entry = stored_open(state, &merged, old->body_bytes);
    if (entry == NULL)
        return serve_stale(state);
    struct stored *stored = (void *)entry->payload;
    memcpy(entry->payload + stored->head_bytes, (const char *)old + old->head_bytes, old->body_bytes);
    stored->body_bytes = old->body_bytes;
    describe(state, entry, &merged, &control);
    enum verdict verdict = stored_serve(state, stored);
    if (control.flags & (CONTROL_NO_STORE | CONTROL_PRIVATE)) {
        shared_entry_discard(entry);
        flight_end(state, FLIGHT_UNSTORABLE);
        return verdict;
    }
    struct shared_change change = shared_cache_put(state->shard->cache, entry, stored_is_same);
    proxy_cache_count(state->shard, &change);
    flight_end(state, change.stored ? FLIGHT_STORED : FLIGHT_FAILED);
    return verdict;
}

/* The path of a URI reference on the host of the request; absent: elsewhere. */
static struct slice path_on_host(const struct exchange *exchange, struct slice uri)
{
    uri = slice_trim(uri);
    size_t at = 0;
    while (at < uri.size && uri.data[at] != ':' && uri.data[at] != '/')
        at++;
    if (at < uri.size && uri.data[at] == ':')
        uri = slice_from(uri, at + 1);
    if (!slice_starts_with(uri, SLICE("//")))
        return slice_starts_with(uri, SLICE("/")) ? uri : (struct slice){ NULL, 0 };
    uri = slice_from(uri, 2);
    struct slice path, host = slice_split(uri, '/', &path);
    if (path.data == NULL || !slice_equal_nocase(host, message_find(exchange_request(exchange), HEADER_HOST)))
        return (struct slice){ NULL, 0 };
    return (struct slice){ path.data - 1, path.size + 1 };
}

static void forget(struct proxy_cache_shard *shard, struct exchange *exchange, struct slice uri)
{
    struct slice fragment, query, path = slice_split(slice_split(uri, '#', &fragment), '?', &query);
    uint64_t group = path.data ? proxy_cache_group(exchange, path, query) : 0;
    if (group == 0)
        return;
    struct shared_change change = shared_cache_remove_group(shard->cache, group);
    proxy_cache_count(shard, &change);
}

/* RFC 9111 section 4.4: a success may have changed what is stored, for whomever. */
static void invalidate(struct proxy_cache_exchange *state, const struct message *response)
{
    static const char *const fields[] = { "Location", "Content-Location" };
    struct exchange *exchange = state->exchange;
    if (response->status < 200 || response->status >= 400)
        return;
    forget(state->shard, exchange, exchange_request(exchange)->origin_form);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        struct slice uri = message_find_name(response, slice_of(fields[i]));
        if (uri.data)
            forget(state->shard, exchange, path_on_host(exchange, uri));
    }
}

static enum verdict take_response(struct proxy_cache_exchange *state, const struct message *response)
{
    int status = exchange_response_status(state->exchange);
    if (state->stale && response && response->status == 304 &&
        (stored_of(state->stale)->flags & STORED_HAS_VALIDATOR))
        return freshen(state, response);
    if (state->stale && proxy_cache_may_serve_error(state, status)) {
        flight_end(state, FLIGHT_FAILED);
        return serve_stale(state);
    }
    struct control control = { 0 };
    bool stores = false;
    if (response) {
        control = control_read(response);
        struct freshness freshness =
            freshness_read(response, &control, state->asked_ms, state->shard->shard->wall_ms);
        stores = proxy_cache_may_store(state, response, &control, &freshness);
    }
    /* Kong says Miss for HEAD, and stores nothing. */
    if (stores && (state->request.head || begin_capture(state, response, &control)))
        return VERDICT_CONTINUE;
    give_up(state, response ? FLIGHT_UNSTORABLE : FLIGHT_FAILED);
    (void)!show_status(state, SLICE("Bypass")); /* out of memory: it says less than it could */
    return VERDICT_CONTINUE;
}

static enum verdict on_response_head(const struct plugin_call *call)
{
    struct proxy_cache_exchange *state = call->exchange_state;
    if (state->exchange == NULL)
        return VERDICT_CONTINUE;
    const struct message *response = exchange_upstream_response(call->exchange);
    switch (state->standing) {
    case CACHE_OUT:
    case CACHE_SERVED: return VERDICT_CONTINUE;
    case CACHE_UNSAFE:
        if (response)
            invalidate(state, response);
        return VERDICT_CONTINUE;
    case CACHE_LOOKS: return take_response(state, response);
    }
    return VERDICT_CONTINUE;
}

/* --- states --------------------------------------------------------------------------------------------- */

static void *process_open(unsigned shard_count)
{
    struct proxy_cache_process *process = malloc(sizeof(*process));
    struct shared_cache *cache = shared_cache_open(shard_count + 1);
    if (process == NULL || cache == NULL) {
        free(process);
        shared_cache_close(cache);
        return NULL;
    }
    process->cache = cache;
    process->shard_count = shard_count;
    hmac_key_init(&process->keys, HMAC_SHA256, SLICE("sluice proxy-cache"));
    return process;
}

static void process_close(void *process_state)
{
    struct proxy_cache_process *process = process_state;
    if (process)
        shared_cache_close(process->cache);
    free(process);
}

static enum error shard_state_open(struct shard *shard, void *process_state, void *shard_state)
{
    const struct settings *settings = proxy_settings(shard);
    struct proxy_cache_process *process = process_state;
    struct proxy_cache_shard *state = shard_state;
    uint64_t room = (uint64_t)settings->mem_cache_bytes;
    state->shard = shard;
    state->cache = process->cache;
    state->keys = &process->keys;
    state->entry_bytes = (uint64_t)settings->cache_entry_bytes;
    if (state->entry_bytes > room)
        state->entry_bytes = room;
    state->capture_bytes_max =
        room / shard->count > state->entry_bytes ? room / shard->count : state->entry_bytes;
    state->wait_ms = (uint64_t)settings->cache_wait_ms;
    flights_open(state);
    return shared_cache_make_room(process->cache, room) ? ERROR_OK : ERROR_MEMORY;
}

static void shard_state_close(void *shard_state)
{
    flights_close(shard_state);
}

const struct plugin proxy_cache_plugin = {
    .kind = { .name = "proxy-cache",
              .priority = 100,
              .config = { .name = "proxy-cache",
                          .fields = proxy_cache_fields,
                          .field_count = PROXY_CACHE_FIELD_COUNT,
                          .struct_size = sizeof(struct proxy_cache_config),
                          .check = proxy_cache_check } },
    .on = { [PHASE_ACCESS] = on_access, [PHASE_RESPONSE_HEAD] = on_response_head },
    .shard_state_size = sizeof(struct proxy_cache_shard),
    .exchange_state_size = sizeof(struct proxy_cache_exchange),
    .process_open = process_open,
    .process_close = process_close,
    .shard_open = shard_state_open,
    .shard_close = shard_state_close,
};
