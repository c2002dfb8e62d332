/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's cors: answers preflights, and says on every other response which origin may read it. What an answer
 * says is prepared when the configuration is loaded; the origins are looked through once, if at all. */
#include "config/action.h"
#include "net/proxy/exchange.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/origin_rules.h"
#include "plugins/plugins.h"
#include "plugins/regex_state.h"

#include <math.h>

struct cors_config {
    struct slices origins, methods, headers, exposed_headers;
    bool credentials, preflight_continue, private_network, allow_origin_absent;
    double max_age;
    /* prepared */
    bool any_origin; /* `*` is the only entry, or there is none */
    bool any_besides; /* `*` stands among others: the answer differs from request to request nevertheless */
    struct slice only_origin; /* said to everybody; absent: not so */
    struct origin_rules rules; /* of several entries, or of one that is an expression */
    struct slice methods_text, headers_text, exposed_text, max_age_text; /* absent: not said */
};

struct cors_exchange {
    bool preflight; /* what is to be said was said, or is the upstream's to say */
};

static const struct slice allow_origin = { "Access-Control-Allow-Origin", 27 };
static const struct slice allow_credentials = { "Access-Control-Allow-Credentials", 32 };

/* --- configuration -------------------------------------------------------------------------------------- */

static bool is_star(struct slice text)
{
    return slice_equal(text, SLICE("*"));
}

static const char *check_origin(struct slice text)
{
    return is_star(text) ? NULL : origin_check(text);
}

static const char *check_method(struct slice text)
{
    static const char *const methods[] = { "GET",    "HEAD",    "PUT",   "PATCH",  "POST",
                                           "DELETE", "OPTIONS", "TRACE", "CONNECT" };
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (slice_equal(text, slice_of(methods[i])))
            return NULL;
    return "expected one of: GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS, TRACE, CONNECT";
}

static const char *check_value(struct slice text)
{
    return action_is_field_value(text) ? NULL : "holds a character that no header may hold";
}

#define OFFSET(member) offsetof(struct cors_config, member)

static const struct field fields[] = {
    { "origins", FIELD_STRINGS, OFFSET(origins), .check = check_origin,
      .help = "origins that may read responses: as browsers send them, regular expressions, or *" },
    { "methods", FIELD_STRINGS, OFFSET(methods), .check = check_method,
      .fallback = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT",
      .help = "methods that preflights are told" },
    { "headers", FIELD_STRINGS, OFFSET(headers), .check = check_value,
      .help = "request headers that preflights are told; without them, those that were asked for" },
    { "exposed_headers", FIELD_STRINGS, OFFSET(exposed_headers), .check = check_value,
      .help = "response headers that scripts may read" },
    { "credentials", FIELD_BOOLEAN, OFFSET(credentials), .fallback = "false",
      .help = "let requests come with cookies and other credentials" },
    { "max_age", FIELD_NUMBER, OFFSET(max_age), .help = "seconds that the answer to a preflight is valid" },
    { "preflight_continue", FIELD_BOOLEAN, OFFSET(preflight_continue), .fallback = "false",
      .help = "let the upstream answer preflights" },
    { "private_network", FIELD_BOOLEAN, OFFSET(private_network), .fallback = "false",
      .help = "allow requests from public sites to this private network, when preflights ask" },
    { "allow_origin_absent", FIELD_BOOLEAN, OFFSET(allow_origin_absent), .fallback = "true",
      .flags = FIELD_OWN, .help = "false: nothing is said to requests without an Origin" },
};

/* Absent when the list is empty; false when memory is exhausted. */
static bool join(struct slice *text, const struct slices *parts, struct arena *arena)
{
    *text = (struct slice){ NULL, 0 };
    for (uint32_t i = 0; i < parts->count; i++) {
        *text = arena_format(arena, "%.*s%s%.*s", SLICE_FORMAT(*text), i ? "," : "",
                             SLICE_FORMAT(parts->items[i]));
        if (text->data == NULL)
            return false;
    }
    return true;
}

static bool set_origins(struct cors_config *config, struct arena *arena)
{
    const struct slices *origins = &config->origins;
    bool star = false;
    for (uint32_t i = 0; i < origins->count; i++)
        star |= is_star(origins->items[i]);
    config->only_origin = (struct slice){ NULL, 0 };
    config->any_origin = origins->count == 0 || (star && origins->count == 1);
    config->any_besides = star && origins->count > 1;
    if (star || origins->count == 0)
        return true;
    if (origins->count == 1 && origin_is_plain(origins->items[0])) {
        config->only_origin = origins->items[0];
        return true;
    }
    return origin_rules_build(&config->rules, origins, arena);
}

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct cors_config *config = value;
    struct arena *arena = place->arena;
    config->max_age_text = (struct slice){ NULL, 0 };
    if (!isnan(config->max_age))
        config->max_age_text = arena_format(arena, "%.14g", config->max_age);
    if (!set_origins(config, arena) || !join(&config->methods_text, &config->methods, arena) ||
        !join(&config->headers_text, &config->headers, arena) ||
        !join(&config->exposed_text, &config->exposed_headers, arena) ||
        (!isnan(config->max_age) && config->max_age_text.data == NULL))
        schema_error(place, node, "", "out of memory");
}

/* --- requests ------------------------------------------------------------------------------------------- */

/* What is said about the origin. */
struct cors_answer {
    struct slice origin; /* absent: nothing */
    bool varies; /* with the Origin of the request */
    bool credentials;
};

static struct cors_answer decide(const struct plugin_call *call)
{
    const struct cors_config *config = call->config;
    struct slice sent = message_find_name(exchange_request(call->exchange), SLICE("Origin"));
    struct cors_answer answer = { .varies = !config->any_origin, .credentials = config->credentials };
    if (config->only_origin.data) {
        answer.origin = config->only_origin;
        return answer;
    }
    if (!config->any_origin && !config->any_besides) {
        if (sent.size > 0)
            answer.origin =
                origin_rules_find(&config->rules, sent, exchange_arena(call->exchange), call->shard_state);
        return answer;
    }
    if (config->any_origin || sent.size > 0)
        answer.origin = SLICE("*");
    if (answer.origin.data && config->credentials && sent.size > 0) {
        answer.origin = sent; /* credentials need a name: browsers take no * with them */
        answer.varies = true;
    } else if (answer.origin.data) {
        answer.credentials = false;
    }
    return answer;
}

/* An absent text is not said. */
static bool say(struct exchange *exchange, struct slice name, struct slice text)
{
    return text.data == NULL || exchange_set_response_header(exchange, name, text);
}

static bool say_origin(struct exchange *exchange, const struct cors_answer *answer)
{
    struct slice none = { NULL, 0 };
    return say(exchange, allow_origin, answer->origin) &&
           say(exchange, allow_credentials, answer->credentials ? SLICE("true") : none);
}

static bool say_to_preflight(struct exchange *exchange, const struct cors_config *config)
{
    static const struct slice none = { NULL, 0 };
    const struct message *request = exchange_request(exchange);
    struct slice headers = config->headers_text;
    if (headers.data == NULL)
        headers = message_find_name(request, SLICE("Access-Control-Request-Headers"));
    bool private = config->private_network &&
                   message_find_name(request, SLICE("Access-Control-Request-Private-Network")).data != NULL;
    return say(exchange, SLICE("Access-Control-Allow-Headers"), headers) &&
           say(exchange, SLICE("Access-Control-Allow-Methods"), config->methods_text) &&
           say(exchange, SLICE("Access-Control-Max-Age"), config->max_age_text) &&
           say(exchange, SLICE("Access-Control-Allow-Private-Network"), private ? SLICE("true") : none);
}

static bool is_preflight(const struct message *request)
{
    return slice_equal(request->method, SLICE("OPTIONS")) &&
           message_find_name(request, SLICE("Origin")).size > 0 &&
           message_find_name(request, SLICE("Access-Control-Request-Method")).size > 0;
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct cors_config *config = call->config;
    struct cors_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    static const struct slice none = { NULL, 0 };
    state->preflight = is_preflight(exchange_request(exchange));
    if (!state->preflight || config->preflight_continue)
        return VERDICT_CONTINUE;
    struct cors_answer answer = decide(call);
    if (!say_origin(exchange, &answer) || !say_to_preflight(exchange, config) ||
        !say(exchange, SLICE("Vary"), answer.varies ? SLICE("Origin") : none))
        return exchange_respond_failure(exchange);
    return exchange_respond_body(exchange, 200, none, SLICE(""));
}

/* Out of memory, scripts may not read the response: the safe side. */
static enum verdict on_response_head(const struct plugin_call *call)
{
    const struct cors_config *config = call->config;
    const struct cors_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    if (state->preflight)
        return VERDICT_CONTINUE;
    if (!config->allow_origin_absent &&
        message_find_name(exchange_request(exchange), SLICE("Origin")).size == 0)
        return VERDICT_CONTINUE;
    struct cors_answer answer = decide(call);
    if (answer.varies && !exchange_add_response_header(exchange, SLICE("Vary"), SLICE("Origin")))
        return VERDICT_CONTINUE;
    if (answer.origin.data == NULL && !exchange_remove_response_header(exchange, allow_origin))
        return VERDICT_CONTINUE;
    if (say_origin(exchange, &answer))
        (void)say(exchange, SLICE("Access-Control-Expose-Headers"), config->exposed_text);
    return VERDICT_CONTINUE;
}

const struct plugin cors_plugin = {
    .kind = { .name = "cors",
              .priority = 2000,
              .config = { .name = "cors",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct cors_config),
                          .check = check },
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = on_access, [PHASE_RESPONSE_HEAD] = on_response_head },
    .exchange_state_size = sizeof(struct cors_exchange),
    .shard_state_size = sizeof(struct regex_scratch),
    .shard_open = regex_state_open,
    .shard_close = regex_state_close,
};
