/* SPDX-License-Identifier: Apache-2.0 */
/* When a response is stored and when a stored one is used: as Kong does it, or by RFC 9111. */
#include "plugins/proxy_cache.h"
#include "plugins/proxy_cache_entry.h"

/* --- the request ---------------------------------------------------------------------------------------- */

static bool is_cached_method(const struct proxy_cache_config *config, struct slice method)
{
    static const char *const names[] = { [CACHED_HEAD] = "HEAD",
                                         [CACHED_GET] = "GET",
                                         [CACHED_POST] = "POST",
                                         [CACHED_PATCH] = "PATCH",
                                         [CACHED_PUT] = "PUT" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal(method, slice_of(names[i])))
            return (config->request_method >> i & 1) && (!config->cache_control || i <= CACHED_GET);
    return false;
}

/* RFC 9110 section 9.2.1. */
static bool is_safe(struct slice method)
{
    return slice_equal(method, SLICE("GET")) || slice_equal(method, SLICE("HEAD")) ||
           slice_equal(method, SLICE("OPTIONS")) || slice_equal(method, SLICE("TRACE"));
}

enum cache_standing proxy_cache_read_request(struct proxy_cache_exchange *state)
{
    const struct message *message = exchange_request(state->exchange);
    struct cache_request *request = &state->request;
    bool rfc = state->config->cache_control;
    request->head = slice_equal(message->method, SLICE("HEAD"));
    if (!is_cached_method(state->config, message->method))
        return rfc && !is_safe(message->method) ? CACHE_UNSAFE : CACHE_OUT;
    if (!rfc)
        return CACHE_LOOKS;
    request->control = control_read(message);
    if (request->control.flags & (CONTROL_NO_STORE | CONTROL_NO_CACHE))
        return CACHE_OUT;
    /* What must be true of the representation there is for the upstream to say (RFC 9111 section 4.3.2). */
    if (message_find_name(message, SLICE("If-Match")).data ||
        message_find_name(message, SLICE("If-Unmodified-Since")).data)
        return CACHE_OUT;
    request->authorized = message_has(message, HEADER_AUTHORIZATION);
    request->if_none_match = message_find_name(message, SLICE("If-None-Match"));
    request->if_modified_since = message_find_name(message, SLICE("If-Modified-Since"));
    request->range = message_find_name(message, SLICE("Range"));
    request->if_range = message_find_name(message, SLICE("If-Range"));
    return CACHE_LOOKS;
}

/* --- using ---------------------------------------------------------------------------------------------- */

/* How long it has been stale, after what the request wants of it; 0 or less: it is fresh enough. */
static int64_t staleness(const struct control *wanted, const struct stored *stored, int64_t age_s)
{
    int64_t stale_s = stored->lifetime_s < 0 ? age_s + 1 : age_s - stored->lifetime_s + 1;
    if (wanted->min_fresh_s >= 0)
        stale_s += wanted->min_fresh_s;
    if (wanted->max_age_s >= 0 && age_s - wanted->max_age_s > stale_s)
        stale_s = age_s - wanted->max_age_s;
    return stale_s;
}

/* RFC 9111 sections 4.2 and 5.2.1. */
enum cache_use proxy_cache_judge(const struct proxy_cache_exchange *state, const struct stored *stored)
{
    const struct control *wanted = &state->request.control;
    int64_t age_s = stored_age_s(stored, state->shard->shard->now_ms);
    if (!state->config->cache_control)
        return age_s > state->config->cache_ttl_s ? USE_AFTER_REFRESH : USE_IT;
    if (stored->flags & STORED_VALIDATED_ONLY)
        return USE_AFTER_REFRESH;
    int64_t stale_s = staleness(wanted, stored, age_s);
    if (stale_s <= 0)
        return USE_IT;
    if (stored->flags & STORED_NEVER_STALE || stored->lifetime_s < 0)
        return USE_AFTER_REFRESH;
    bool any = (wanted->flags & CONTROL_MAX_STALE) && wanted->max_stale_s < 0;
    if (any || ((wanted->flags & CONTROL_MAX_STALE) && stale_s <= wanted->max_stale_s))
        return USE_IT;
    /* The request must not have asked for more than the response gives. */
    bool plain = wanted->max_age_s < 0 && wanted->min_fresh_s < 0;
    return plain && stale_s <= stored->while_revalidate_s ? USE_WHILE_REFRESHING : USE_AFTER_REFRESH;
}

/* RFC 5861 section 4: the request may say it, too. */
bool proxy_cache_may_serve_error(const struct proxy_cache_exchange *state, int status)
{
    if (status != 500 && status != 502 && status != 503 && status != 504)
        return false;
    const struct stored *stored = stored_of(state->stale);
    int64_t window_s = stored->if_error_s;
    if (state->request.control.if_error_s > window_s)
        window_s = state->request.control.if_error_s;
    if (stored->flags & (STORED_NEVER_STALE | STORED_VALIDATED_ONLY) || stored->lifetime_s < 0)
        return false;
    return stored_age_s(stored, state->shard->shard->now_ms) - stored->lifetime_s < window_s;
}

/* --- storing -------------------------------------------------------------------------------------------- */

static bool has_status(const struct proxy_cache_config *config, int status)
{
    if (status == 206 || status == 304) /* no representation on their own */
        return false;
    for (uint32_t i = 0; i < config->response_code.count; i++)
        if (config->response_code.items[i] == status)
            return true;
    return false;
}

static bool varies_by_anything(const struct message *response)
{
    for (uint32_t i = 0; i < response->header_count; i++)
        if (slice_equal_nocase(response->headers[i].name, SLICE("Vary")) &&
            message_list_has(response->headers[i].value, SLICE("*")))
            return true;
    return false;
}

/* Those that RFC 9110 defines and that may be stored. */
static bool is_understood(int status)
{
    static const int known[] = { 200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 501 };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (known[i] == status)
            return true;
    return false;
}

/* RFC 9111 section 5.2.2.3: must-understand makes no-store void for those who do. */
static bool is_forbidden(const struct control *control, int status)
{
    if (control->flags & CONTROL_MUST_UNDERSTAND)
        return !is_understood(status);
    return control->flags & CONTROL_NO_STORE;
}

/* RFC 9111 section 3, for a cache that is shared by all clients. */
static bool may_share(const struct proxy_cache_exchange *state, const struct message *response,
                      const struct control *control, const struct freshness *freshness)
{
    bool shared = (control->flags & CONTROL_PUBLIC) || control->s_maxage_s >= 0;
    if (is_forbidden(control, response->status) || (control->flags & CONTROL_PRIVATE) ||
        varies_by_anything(response))
        return false;
    if (state->request.authorized && !shared && !(control->flags & CONTROL_MUST_REVALIDATE))
        return false; /* section 3.5 */
    if (!shared && message_find_name(response, SLICE("Set-Cookie")).data)
        return false; /* section 7.3: one client's cookie is not for the others */
    bool validator = message_find_name(response, SLICE("ETag")).data ||
                     message_find_name(response, SLICE("Last-Modified")).data;
    if (validator)
        return true;
    if (control->flags & CONTROL_NO_CACHE)
        return false;
    int64_t after_s =
        control->if_error_s > control->while_revalidate_s ? control->if_error_s : control->while_revalidate_s;
    return freshness->lifetime_s >= 0 &&
           freshness->lifetime_s + (after_s > 0 ? after_s : 0) > freshness->age_s;
}

bool proxy_cache_may_store(const struct proxy_cache_exchange *state, const struct message *response,
                           const struct control *control, const struct freshness *freshness)
{
    const struct proxy_cache_config *config = state->config;
    struct slice type = message_find(response, HEADER_CONTENT_TYPE);
    if (!has_status(config, response->status) || type.data == NULL || !proxy_cache_type_matches(config, type))
        return false;
    return !config->cache_control || may_share(state, response, control, freshness);
}
