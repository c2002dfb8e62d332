/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that change something must come from where they seem to: Envoy's check of the origin, and APISIX's
 * token, which a page has to read from a cookie and to send back in a header. Either alone, or both. */
#include "config/action.h"
#include "core/crypto/base64.h"
#include "core/crypto/hmac.h"
#include "core/crypto/random.h"
#include "core/io/shard.h"
#include "net/http/cookie.h"
#include "net/proxy/exchange.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/origin_rules.h"
#include "plugins/plugins.h"
#include "plugins/share.h"

#include <math.h>

enum { TIME_BYTES = 8, RANDOM_BYTES = 16, SIGNED_BYTES = TIME_BYTES + RANDOM_BYTES, MAC_BYTES = 32 };
enum { TOKEN_BYTES = SIGNED_BYTES + MAC_BYTES, TOKEN_CHARACTERS = (TOKEN_BYTES * 4 + 2) / 3 };

struct csrf_config {
    struct slice key; /* absent: no tokens */
    int64_t expires_s; /* 0: never */
    struct slice name;
    double filter_percent, shadow_percent;
    struct slices additional_origins;
    /* prepared */
    struct hmac_key mac_key;
    struct slice cookie_head, cookie_tail; /* around the token */
    struct origin_rules rules;
};

struct csrf_shard {
    struct regex_scratch scratch;
    struct random_pool random;
};

/* --- configuration -------------------------------------------------------------------------------------- */

static const char *check_name(struct slice text)
{
    return action_is_field_name(text) ? NULL : "'{}' cannot be the name of a cookie and of a header";
}

#define OFFSET(member) offsetof(struct csrf_config, member)

static const struct field fields[] = {
    { "key", FIELD_STRING, OFFSET(key), .flags = FIELD_SECRET | FIELD_VAULT,
      .help = "secret that tokens are signed with; without it there are no tokens" },
    { "expires", FIELD_INTEGER, OFFSET(expires_s), .min = 0, .max = 315360000, .fallback = "7200",
      .help = "seconds that a token is good for; 0: without an end" },
    { "name", FIELD_STRING, OFFSET(name), .check = check_name, .fallback = "apisix-csrf-token",
      .help = "name of the cookie that tokens are given out in, and of the header that they come back in" },
    { "filter_enabled", FIELD_NUMBER, OFFSET(filter_percent), .min = 0, .max = 100,
      .help = "percentage of the requests whose origin is checked; default: 100, with a key 0" },
    { "shadow_enabled", FIELD_NUMBER, OFFSET(shadow_percent), .min = 0, .max = 100, .fallback = "0",
      .help = "percentage of the requests whose origin is checked and counted only" },
    { "additional_origins", FIELD_STRINGS, OFFSET(additional_origins), .check = origin_check,
      .help =
          "other origins that requests may come from: host[:port], scheme://host[:port], or expressions" },
};

static bool prepare_cookie(struct csrf_config *config, struct arena *arena)
{
    struct slice age = SLICE("");
    if (config->expires_s > 0)
        age = arena_format(arena, "; Max-Age=%lld", (long long)config->expires_s);
    config->cookie_head = arena_format(arena, "%.*s=", SLICE_FORMAT(config->name));
    config->cookie_tail = arena_format(arena, "; Path=/%.*s; SameSite=Lax", SLICE_FORMAT(age));
    return age.data && config->cookie_head.data && config->cookie_tail.data;
}

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct csrf_config *config = value;
    if (isnan(config->filter_percent))
        config->filter_percent = config->key.data ? 0 : 100;
    if (isnan(config->shadow_percent))
        config->shadow_percent = 0;
    if (config->key.data)
        hmac_key_init(&config->mac_key, HMAC_SHA256, config->key);
    if (!prepare_cookie(config, place->arena) ||
        !origin_rules_build(&config->rules, &config->additional_origins, place->arena))
        schema_error(place, node, "", "out of memory");
}

/* --- origins -------------------------------------------------------------------------------------------- */

/* host[:port] of what the client says it comes from: a URL, or a text that is none, as it is. */
static struct slice authority_of(struct slice text)
{
    struct url url;
    if (!url_split(text, &url))
        return text;
    const char *end = url.port.data ? url.port.data + url.port.size : url.host.data + url.host.size;
    return (struct slice){ url.host.data, (size_t)(end - url.host.data) };
}

static bool is_additional(const struct csrf_config *config, struct exchange *exchange, struct slice source,
                          struct csrf_shard *shard)
{
    struct slice authority = authority_of(source);
    for (uint32_t i = 0; i < config->additional_origins.count; i++)
        if (slice_equal_nocase(config->additional_origins.items[i], authority))
            return true;
    return origin_rules_find(&config->rules, source, exchange_arena(exchange), &shard->scratch).data != NULL;
}

static bool origin_is_good(const struct csrf_config *config, struct exchange *exchange,
                           struct csrf_shard *shard)
{
    const struct message *request = exchange_request(exchange);
    struct metrics *metrics = &exchange_shard(exchange)->metrics;
    struct slice source = message_find_name(request, SLICE("Origin"));
    if (source.size == 0)
        source = message_find(request, HEADER_REFERER);
    bool good =
        source.size > 0 && (slice_equal_nocase(authority_of(source), message_find(request, HEADER_HOST)) ||
                            is_additional(config, exchange, source, shard));
    metric_add(metrics,
               source.size == 0 ? METRIC_CSRF_MISSING_ORIGIN
               : good           ? METRIC_CSRF_VALID
                                : METRIC_CSRF_INVALID,
               1);
    return good;
}

/* --- tokens --------------------------------------------------------------------------------------------- */

/* The time it ends and random bytes, in base64url behind each other with the MAC of both. */
static void write_token(const struct csrf_config *config, const struct plugin_call *call, char *text)
{
    struct csrf_shard *shard = call->shard_state;
    unsigned char token[TOKEN_BYTES];
    uint64_t end_s = UINT64_MAX;
    if (config->expires_s > 0)
        end_s = exchange_shard(call->exchange)->wall_ms / 1000 + (uint64_t)config->expires_s;
    for (int i = 0; i < TIME_BYTES; i++)
        token[i] = (unsigned char)(end_s >> (8 * (TIME_BYTES - 1 - i)));
    random_draw(&shard->random, token + TIME_BYTES, RANDOM_BYTES);
    hmac_sign(&config->mac_key, (struct slice){ (const char *)token, SIGNED_BYTES }, token + SIGNED_BYTES);
    base64_encode(BASE64_URL, (struct slice){ (const char *)token, sizeof(token) }, text);
}

static bool token_is_good(const struct csrf_config *config, struct slice text, uint64_t now_s)
{
    unsigned char token[TOKEN_BYTES + 3];
    size_t size;
    if (text.size != TOKEN_CHARACTERS || !base64_decode(BASE64_URL, text, token, &size) ||
        size != TOKEN_BYTES)
        return false;
    if (!hmac_verify(&config->mac_key, (struct slice){ (const char *)token, SIGNED_BYTES },
                     (struct slice){ (const char *)token + SIGNED_BYTES, MAC_BYTES }))
        return false;
    uint64_t end_s = 0;
    for (int i = 0; i < TIME_BYTES; i++)
        end_s = end_s << 8 | token[i];
    return config->expires_s == 0 || now_s < end_s;
}

/* NULL when header and cookie hold the same good token, else APISIX's answer. */
static const char *judge_token(const struct csrf_config *config, struct exchange *exchange)
{
    const struct message *request = exchange_request(exchange);
    struct slice sent = message_find_name(request, config->name);
    if (sent.size == 0)
        return "{\"error_msg\":\"no csrf token in headers\"}";
    struct slice cookie = cookie_find(request, config->name);
    if (cookie.size == 0)
        return "{\"error_msg\":\"no csrf cookie\"}";
    if (!slice_equal_constant_time(sent, cookie))
        return "{\"error_msg\":\"csrf token mismatch\"}";
    if (!token_is_good(config, cookie, exchange_shard(exchange)->wall_ms / 1000))
        return "{\"error_msg\":\"Failed to verify the csrf token signature\"}";
    return NULL;
}

/* --- phases --------------------------------------------------------------------------------------------- */

static bool is_safe(struct slice method)
{
    return slice_equal(method, SLICE("GET")) || slice_equal(method, SLICE("HEAD")) ||
           slice_equal(method, SLICE("OPTIONS"));
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct csrf_config *config = call->config;
    struct exchange *exchange = call->exchange;
    if (is_safe(exchange_request(exchange)->method))
        return VERDICT_CONTINUE;
    bool enforced = share_draw(exchange, SHARE_CSRF_FILTER) < config->filter_percent;
    bool looked_at = enforced || share_draw(exchange, SHARE_CSRF_SHADOW) < config->shadow_percent;
    if (looked_at && !origin_is_good(config, exchange, call->shard_state) && enforced)
        return exchange_respond_error(exchange, 403, SLICE("Invalid origin"));
    const char *refusal = config->key.data ? judge_token(config, exchange) : NULL;
    return refusal ? exchange_respond_json(exchange, 401, slice_of(refusal)) : VERDICT_CONTINUE;
}

/* Every response brings a new token. Out of memory, the client keeps the one it has. */
static enum verdict on_response_head(const struct plugin_call *call)
{
    const struct csrf_config *config = call->config;
    if (config->key.data == NULL)
        return VERDICT_CONTINUE;
    size_t head = config->cookie_head.size, tail = config->cookie_tail.size;
    size_t size = head + TOKEN_CHARACTERS + tail;
    char *text = arena_alloc(exchange_arena(call->exchange), size);
    if (text == NULL)
        return VERDICT_CONTINUE;
    memcpy(text, config->cookie_head.data, head);
    write_token(config, call, text + head);
    memcpy(text + head + TOKEN_CHARACTERS, config->cookie_tail.data, tail);
    (void)!exchange_add_response_header(call->exchange, SLICE("Set-Cookie"), (struct slice){ text, size });
    return VERDICT_CONTINUE;
}

static enum error shard_state_open(struct shard *shard, void *process_state, void *shard_state)
{
    (void)shard;
    (void)process_state;
    return regex_scratch_init(&((struct csrf_shard *)shard_state)->scratch);
}

static void shard_state_close(void *shard_state)
{
    regex_scratch_deinit(&((struct csrf_shard *)shard_state)->scratch);
}

const struct plugin csrf_plugin = {
    .kind = { .name = "csrf",
              .priority = 1950,
              .config = { .name = "csrf",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct csrf_config),
                          .check = check },
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = on_access, [PHASE_RESPONSE_HEAD] = on_response_head },
    .shard_state_size = sizeof(struct csrf_shard),
    .shard_open = shard_state_open,
    .shard_close = shard_state_close,
};
