/* SPDX-License-Identifier: Apache-2.0 */
/* Sends copies of requests to another place as well: fire and forget. What comes back is dropped, what goes
 * wrong is counted, and the client never waits for it. */
#include "config/settings.h"
#include "core/base/hash.h"
#include "net/fetch/fetch.h"
#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"
#include "net/proxy/proxy.h"
#include "plugins/plugins.h"

#include <math.h>
#include <stdlib.h>

enum mirror_host { MIRROR_HOST_CLIENT, MIRROR_HOST_TARGET, MIRROR_HOST_SHADOW };

struct mirror_config {
    struct slice url;
    double percentage;
    int64_t body_bytes, timeout_ms;
    int host; /* enum mirror_host */
    bool ssl_verify;
    struct slice base; /* prepared: the URL without a slash at its end */
};

/* --- configuration -------------------------------------------------------------------------------------- */

static const char *const hosts[] = { "client", "target", "shadow", NULL };

#define AT(member) offsetof(struct mirror_config, member)

static const struct field fields[] = {
    { "url", FIELD_STRING, AT(url), .flags = FIELD_REQUIRED,
      .help = "where copies go: http or https, a host, and what is put before the path" },
    { "percentage", FIELD_NUMBER, AT(percentage), .min = 0, .max = 100, .fallback = "100",
      .help = "of the requests, drawn at random" },
    { "body_bytes", FIELD_SIZE, AT(body_bytes), .max = 1073741824, .fallback = "1m",
      .help = "requests with a longer body are not copied; bodies are waited for" },
    { "timeout", FIELD_INTEGER, AT(timeout_ms), .min = 1, .max = 2147483646, .fallback = "15000",
      .help = "milliseconds for a whole copy" },
    { "host", FIELD_CHOICE, AT(host), .fallback = "client", .choices = hosts,
      .help = "Host of the copy: the client's, the URL's, or the client's with -shadow behind its name" },
    { "ssl_verify", FIELD_BOOLEAN, AT(ssl_verify), .fallback = "true",
      .help = "false: any certificate is taken for the host's" },
};

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct mirror_config *config = value;
    struct fetch_url url;
    if (config->url.data == NULL)
        return; /* that was reported */
    if (!fetch_url_parse(config->url, &url) || memchr(config->url.data, '?', config->url.size))
        schema_error(place, node, "url", "expected an http or https URL with a host, without user or query");
    config->base = config->url;
    while (config->base.size && config->base.data[config->base.size - 1] == '/')
        config->base.size--;
}

static uint32_t hosts_of(const void *value, struct slice *names)
{
    const struct mirror_config *config = value;
    struct fetch_url url;
    bool good = config->url.data && fetch_url_parse(config->url, &url);
    if (good)
        names[0] = url.host;
    return good;
}

/* --- copies --------------------------------------------------------------------------------------------- */

struct mirror_shard {
    struct shard *shard;
    struct list_node copies; /* under way */
    uint32_t count;
    uint64_t drawn;
};

/* On its way, with all it points to. */
struct copy {
    struct list_node node;
    struct mirror_shard *owner;
    struct fetch fetch;
    struct arena arena;
};

static void copy_free(struct copy *copy)
{
    list_remove(&copy->node);
    copy->owner->count--;
    fetch_close(&copy->fetch);
    arena_deinit(&copy->arena);
    free(copy);
}

static void copied(struct fetch *fetch, enum error error)
{
    (void)error; /* it is counted with the fetches */
    copy_free(CONTAINER_OF(fetch, struct copy, fetch));
}

/* Fields that concern one connection only, and those that a fetch writes itself (RFC 9110 section 7.6.1). */
static bool is_left_out(const struct message *request, const struct header *header)
{
    static const char *const names[] = { "connection",     "content-length",    "expect",           "host",
                                         "http2-settings", "keep-alive",        "proxy-connection", "te",
                                         "trailer",        "transfer-encoding", "upgrade" };
    if (header->name.data == NULL || message_is_named_by_connection(request, header->name))
        return true;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal_nocase(header->name, slice_of(names[i])))
            return true;
    return false;
}

/* Of the copy; absent: the URL's, or no memory. */
static struct slice host_of(const struct mirror_config *config, const struct message *request,
                            struct arena *arena)
{
    struct slice host = message_find(request, HEADER_HOST);
    if (config->host == MIRROR_HOST_TARGET || host.size == 0)
        return (struct slice){ NULL, 0 };
    if (config->host == MIRROR_HOST_CLIENT)
        return arena_copy(arena, host);
    const char *colon = memrchr(host.data, ':', host.size), *bracket = memrchr(host.data, ']', host.size);
    size_t name = colon && colon > bracket ? (size_t)(colon - host.data) : host.size;
    return arena_format(arena, "%.*s-shadow%.*s", (int)name, host.data, SLICE_FORMAT(slice_from(host, name)));
}

static bool add_header(struct fetch_request *fetch, struct header *headers, struct arena *arena,
                       const struct header *from)
{
    struct header *header = &headers[fetch->header_count++];
    *header =
        (struct header){ .name = arena_copy(arena, from->name), .value = arena_copy(arena, from->value) };
    return header->name.data && header->value.data;
}

static bool fill(struct copy *copy, const struct mirror_config *config, struct exchange *exchange,
                 struct fetch_request *fetch)
{
    const struct message *request = exchange_request(exchange);
    struct arena *arena = &copy->arena;
    struct slice path = exchange_upstream_path(exchange), query = exchange_query(exchange);
    struct header *headers = arena_array(arena, request->header_count + 1u, sizeof(*headers));
    if (path.data == NULL)
        path = exchange_path(exchange);
    fetch->url = arena_format(arena, "%.*s%.*s%s%.*s", SLICE_FORMAT(config->base), SLICE_FORMAT(path),
                              query.data ? "?" : "", SLICE_FORMAT(query));
    fetch->method = arena_copy(arena, request->method);
    fetch->headers = headers;
    struct header host = { .name = SLICE("Host"), .value = host_of(config, request, arena) };
    if (headers == NULL || fetch->url.data == NULL || fetch->method.data == NULL)
        return false;
    if (host.value.data && !add_header(fetch, headers, arena, &host))
        return false;
    for (uint32_t i = 0; i < request->header_count; i++)
        if (!is_left_out(request, &request->headers[i]) &&
            !add_header(fetch, headers, arena, &request->headers[i]))
            return false;
    return true;
}

static bool send_copy(struct mirror_shard *shard, const struct mirror_config *config,
                      struct exchange *exchange, struct slice body)
{
    enum { HEAD_BYTES = 256 * 1024 };
    uint32_t most = (uint32_t)proxy_settings(shard->shard)->mirror_max_in_flight;
    struct copy *copy = shard->count < most ? malloc(sizeof(*copy)) : NULL;
    struct fetch_request fetch = { .limit_bytes = UINT32_MAX,
                                   .timeout_ms = (uint32_t)config->timeout_ms,
                                   .options = FETCH_DISCARD | (config->ssl_verify ? 0 : FETCH_UNVERIFIED) };
    if (copy == NULL)
        return false;
    copy->owner = shard;
    shard->count++;
    list_init(&copy->node);
    list_append(&shard->copies, &copy->node);
    arena_init(&copy->arena, NULL, 0, HEAD_BYTES + body.size);
    fetch_init(&copy->fetch, fetch_pool_of(shard->shard), copied);
    bool enough = fill(copy, config, exchange, &fetch);
    if (enough && (body.size > 0 || message_has(exchange_request(exchange), HEADER_CONTENT_LENGTH))) {
        fetch.body = body.size ? arena_copy(&copy->arena, body) : SLICE("");
        enough = fetch.body.data != NULL;
    }
    if (enough)
        fetch_start(&copy->fetch, &fetch);
    else
        copy_free(copy);
    return enough;
}

/* --- requests ------------------------------------------------------------------------------------------- */

struct mirror_state {
    bool drawn, wanted;
};

static bool draw(struct mirror_shard *shard, double percentage)
{
    if (percentage >= 100)
        return true;
    uint64_t seed[2] = { shard->shard->now_ns, shard->drawn++ };
    uint64_t random = hash_of((struct slice){ (const char *)seed, sizeof(seed) });
    return ldexp((double)(random >> 11), -53) * 100 < percentage;
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct mirror_config *config = call->config;
    struct mirror_shard *shard = call->shard_state;
    struct mirror_state *state = call->exchange_state;
    struct slice body = SLICE("");
    if (!state->drawn)
        state->wanted = draw(shard, config->percentage);
    state->drawn = true;
    const struct message *request = exchange_request(call->exchange);
    if (!state->wanted || request->upgrade || request->origin_form.data[0] != '/')
        return VERDICT_CONTINUE;
    enum body_reading reading = exchange_read_body(call->exchange, (uint64_t)config->body_bytes, &body);
    if (reading == BODY_LATER)
        return VERDICT_READ_BODY;
    bool sent = reading == BODY_READ && send_copy(shard, config, call->exchange, body);
    metric_add(&shard->shard->metrics, sent ? METRIC_MIRRORED : METRIC_MIRRORS_DROPPED, 1);
    return VERDICT_CONTINUE;
}

/* --- life ----------------------------------------------------------------------------------------------- */

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    struct mirror_shard *state = shard_state;
    (void)process_state;
    state->shard = shard;
    list_init(&state->copies);
    return ERROR_OK;
}

static void shard_close_state(void *shard_state)
{
    struct mirror_shard *state = shard_state;
    while (state->shard && !list_is_empty(&state->copies))
        copy_free(CONTAINER_OF(state->copies.next, struct copy, node));
}

const struct plugin request_mirror_plugin = {
    .kind = { .name = "request-mirror",
              .priority = 50, /* behind what refuses, changes or answers */
              .config = { .name = "request-mirror",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct mirror_config),
                          .check = check },
              .hosts_of = hosts_of },
    .on = { [PHASE_ACCESS] = on_access },
    .shard_state_size = sizeof(struct mirror_shard),
    .exchange_state_size = sizeof(struct mirror_state),
    .shard_open = shard_open_state,
    .shard_close = shard_close_state,
};
