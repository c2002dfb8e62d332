/* SPDX-License-Identifier: Apache-2.0 */
/* After Kong Enterprise's exit-transformer: other statuses, headers and bodies for the answers that the
 * gateway makes itself. Kong's are changed by functions in Lua; here rules say what becomes of which. */
#include "config/action.h"
#include "core/base/json_scan.h"
#include "plugins/plugins.h"
#include "plugins/request_transformer.h"

enum escape { ESCAPE_NOTHING, ESCAPE_JSON, ESCAPE_HTML };

struct rule {
    struct schema_integers statuses;
    struct slices classes;
    int64_t new_status; /* INTEGER_NULL: as it is */
    struct schema_map headers; /* name -> template */
    struct slices remove_headers;
    struct slice body, content_type; /* body absent: as it is */
    /* prepared */
    const struct template **values; /* of the headers */
    const struct template *text; /* of the body; NULL: none */
    enum escape escape; /* of what goes into the body */
};

struct exit_transformer_config {
    struct slices functions;
    struct schema_records rules;
    bool handle_unknown, handle_unexpected;
};

/* --- configuration -------------------------------------------------------------------------------------- */

/* The first ones are request-transformer's. */
enum { ROOT_STATUS = REQUEST_ROOT_COUNT, ROOT_MESSAGE, ROOT_BODY };

static const struct template_root roots[] = {
    { "headers", true }, { "query_params", true }, { "uri_captures", true }, { "shared", true },
    { "status", false }, { "message", false },     { "body", false },        { NULL, false },
};

static const char *check_class(struct slice text)
{
    bool good = text.size == 3 && text.data[0] >= '2' && text.data[0] <= '5' &&
                slice_equal_nocase(slice_from(text, 1), SLICE("xx"));
    return good ? NULL : "expected one of: 2xx, 3xx, 4xx, 5xx";
}

static const char *check_name(struct slice text)
{
    return action_is_field_name(text) ? NULL : "'{}' cannot be the name of a header";
}

static const char *check_value(struct slice text)
{
    return action_is_field_value(text) ? NULL : "holds a character that no header may hold";
}

#define RULE(member) offsetof(struct rule, member)

static const struct field rule_fields[] = {
    { "statuses", FIELD_INTEGERS, RULE(statuses), .min = 200, .max = 599, .help = "statuses it is for" },
    { "status_classes", FIELD_STRINGS, RULE(classes), .check = check_class,
      .help = "classes it is for: 4xx, 5xx ...; neither: it is for all" },
    { "new_status", FIELD_INTEGER, RULE(new_status), .min = 200, .max = 599, .help = "sent instead" },
    { "headers", FIELD_MAP, RULE(headers), .flags = FIELD_SINGLE, .check = check_name,
      .help = "headers to set: names and templates" },
    { "remove_headers", FIELD_STRINGS, RULE(remove_headers), .check = check_name,
      .help = "headers to take out" },
    { "body", FIELD_STRING, RULE(body), .flags = FIELD_EMPTY, .help = "template of the body sent instead" },
    { "content_type", FIELD_STRING, RULE(content_type), .check = check_value,
      .fallback = "application/json; charset=utf-8", .help = "of that body" },
};

/* NULL: it was reported. */
static const struct template *compile(struct slice text, const char *field, const struct node *node,
                                      const struct config_place *place)
{
    struct template_error error;
    const struct template *template = template_compile(place->arena, text, roots, &error);
    if (template == NULL)
        schema_error(place, node, field, "%s (at character %zu)", error.reason, error.offset + 1);
    return template;
}

static bool holds(struct slice text, const char *word)
{
    return text.size > 0 && memmem(text.data, text.size, word, strlen(word)) != NULL;
}

static void check_rule(void *value, const struct node *node, const struct config_place *place)
{
    struct rule *rule = value;
    if (rule->body.size > 0 && (rule->new_status == 204 || rule->new_status == 304))
        schema_error(place, node, "body", "a response with this status has no body");
    rule->text = rule->body.data ? compile(rule->body, "body", node, place) : NULL;
    if (holds(rule->content_type, "json"))
        rule->escape = ESCAPE_JSON;
    else if (holds(rule->content_type, "html") || holds(rule->content_type, "xml"))
        rule->escape = ESCAPE_HTML;
    else
        rule->escape = ESCAPE_NOTHING;
    rule->values = arena_array(place->arena, rule->headers.count + 1u, sizeof(struct template *));
    if (rule->values == NULL)
        schema_error(place, node, "headers", "out of memory");
    for (uint32_t i = 0; rule->values && i < rule->headers.count; i++)
        rule->values[i] = compile(rule->headers.entries[i].values.items[0], "headers", node, place);
}

static const struct schema rule_schema = {
    .name = "rule",
    .fields = rule_fields,
    .field_count = COUNT_OF(rule_fields),
    .struct_size = sizeof(struct rule),
    .check = check_rule,
};

#define OFFSET(member) offsetof(struct exit_transformer_config, member)

static const struct field fields[] = {
    { "functions", FIELD_STRINGS, OFFSET(functions), .help = "Kong's functions in Lua: an error, see rules" },
    { "rules", FIELD_RECORDS, OFFSET(rules), .record = &rule_schema,
      .help = "what becomes of which answers; the first that is for the status counts" },
    { "handle_unknown", FIELD_BOOLEAN, OFFSET(handle_unknown), .fallback = "false",
      .help = "also for 404 where no route matches; on a plugin that stands on everything" },
    { "handle_unexpected", FIELD_BOOLEAN, OFFSET(handle_unexpected), .fallback = "false",
      .help = "also for requests that are refused before a route is looked for (400 and others)" },
};

static void check(void *value, const struct node *node, const struct config_place *place)
{
    const struct exit_transformer_config *config = value;
    if (config->functions.count > 0)
        schema_error(place, node, "functions",
                     "functions in Lua are not run here: say with 'rules' what becomes of which status");
    else if (config->rules.count == 0)
        schema_error(place, node, "rules", "required field missing");
}

/* --- templates ------------------------------------------------------------------------------------------ */

struct exit_scope {
    struct request_scope request; /* first */
    int status;
    struct slice message, body;
    enum escape escape;
};

static size_t put_html(char *out, char c)
{
    const char *entity = c == '<'   ? "&lt;"
                         : c == '>' ? "&gt;"
                         : c == '&' ? "&amp;"
                         : c == '"' ? "&quot;"
                                    : "&#39;";
    if (strchr("<>&\"'", c) == NULL || c == '\0') {
        *out = c;
        return 1;
    }
    memcpy(out, entity, strlen(entity));
    return strlen(entity);
}

/* What comes from outside stays a text in the body. Absent when memory is exhausted. */
static struct slice escape_text(struct arena *arena, enum escape escape, struct slice text)
{
    enum { GROWTH = 6 }; /* of &quot; and of \u0000 */
    char *out = arena_alloc(arena, text.size * GROWTH + 1);
    size_t size = 0;
    if (out == NULL)
        return (struct slice){ NULL, 0 };
    if (escape == ESCAPE_JSON)
        return (struct slice){ out, json_escape(text, out) };
    for (size_t i = 0; i < text.size; i++)
        size += put_html(out + size, text.data[i]);
    return (struct slice){ out, size };
}

static bool find(const struct template_scope *scope, uint32_t root, const struct template_value *key,
                 uint32_t nth, struct template_value *value)
{
    const struct exit_scope *own = (const struct exit_scope *)(const void *)scope;
    if (root == ROOT_STATUS)
        *value = (struct template_value){ .kind = TEMPLATE_NUMBER, .number = own->status };
    else if (root == ROOT_MESSAGE || root == ROOT_BODY)
        *value = (struct template_value){ .kind = TEMPLATE_STRING,
                                          .text = root == ROOT_BODY ? own->body : own->message };
    else if (!request_transformer_find(scope, root, key, nth, value))
        return false;
    if (value->kind != TEMPLATE_STRING || own->escape == ESCAPE_NOTHING)
        return true;
    value->text = escape_text(scope->arena, own->escape, value->text);
    return value->text.data != NULL;
}

/* What a body in JSON says to people; empty when it is none. */
static struct slice message_of(struct arena *arena, struct slice body)
{
    struct json_member member = { .name = SLICE("message") };
    enum json_kind root;
    if (!json_scan(body, &member, 1, &root) || member.value.kind != JSON_STRING)
        return SLICE("");
    if (!member.value.escaped)
        return member.value.text;
    char *text = arena_alloc(arena, member.value.text.size + 1);
    return text ? (struct slice){ text, json_unescape(member.value.text, text) } : SLICE("");
}

/* --- answers -------------------------------------------------------------------------------------------- */

static bool is_for(const struct rule *rule, int status)
{
    for (uint32_t i = 0; i < rule->statuses.count; i++)
        if (rule->statuses.items[i] == status)
            return true;
    for (uint32_t i = 0; i < rule->classes.count; i++)
        if (rule->classes.items[i].data[0] - '0' == status / 100)
            return true;
    return rule->statuses.count == 0 && rule->classes.count == 0;
}

static const struct rule *find_rule(const struct exit_transformer_config *config, int status)
{
    const struct rule *rules = (const struct rule *)(const void *)config->rules.items;
    for (uint32_t i = 0; i < config->rules.count; i++)
        if (is_for(&rules[i], status))
            return &rules[i];
    return NULL;
}

static bool is_handled(const struct exit_transformer_config *config, const struct exchange *exchange)
{
    if (exchange_route(exchange) != NULL)
        return true;
    return exchange_response_status(exchange) == 404 ? config->handle_unknown : config->handle_unexpected;
}

/* All of it is made before anything is changed: an answer is changed as a whole or not at all. */
static bool render(const struct rule *rule, struct exit_scope *scope, struct slice *body,
                   struct slice *values)
{
    struct arena *arena = scope->request.scope.arena;
    for (uint32_t i = 0; i < rule->headers.count; i++) {
        if (template_render(rule->values[i], &scope->request.scope, &values[i]) != TEMPLATE_RENDERED)
            return false;
        values[i] = transformer_header_value(arena, values[i]);
        if (values[i].data == NULL)
            return false;
    }
    scope->escape = rule->escape;
    return rule->text == NULL ||
           template_render(rule->text, &scope->request.scope, body) == TEMPLATE_RENDERED;
}

static bool change(const struct rule *rule, struct exchange *exchange, struct slice body,
                   const struct slice *values)
{
    int status = exchange_response_status(exchange);
    if (rule->new_status != INTEGER_NULL)
        status = (int)rule->new_status;
    if (rule->text)
        (void)exchange_respond_body(exchange, status, rule->content_type, body);
    else
        exchange_set_response_status(exchange, status);
    for (uint32_t i = 0; i < rule->remove_headers.count; i++)
        if (!exchange_remove_response_header(exchange, rule->remove_headers.items[i]))
            return false;
    for (uint32_t i = 0; i < rule->headers.count; i++)
        if (!exchange_set_response_header(exchange, rule->headers.entries[i].name, values[i]))
            return false;
    return true;
}

static enum verdict on_response_head(const struct plugin_call *call)
{
    const struct exit_transformer_config *config = call->config;
    struct exchange *exchange = call->exchange;
    if (!exchange_response_is_own(exchange) || !is_handled(config, exchange))
        return VERDICT_CONTINUE;
    const struct rule *rule = find_rule(config, exchange_response_status(exchange));
    if (rule == NULL)
        return VERDICT_CONTINUE;
    struct arena *arena = exchange_arena(exchange);
    struct exit_scope scope = { .request = { { arena, find }, exchange },
                                .status = exchange_response_status(exchange),
                                .body = exchange_own_body(exchange) };
    scope.message = message_of(arena, scope.body);
    struct slice body = { NULL, 0 };
    struct slice *values = arena_array(arena, rule->headers.count + 1u, sizeof(*values));
    if (values && render(rule, &scope, &body, values))
        (void)!change(rule, exchange, body, values); /* out of memory: as far as it went */
    return VERDICT_CONTINUE;
}

const struct plugin exit_transformer_plugin = {
    .kind = { .name = "exit-transformer",
              .priority = 9999,
              .config = { .name = "exit-transformer",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct exit_transformer_config),
                          .check = check } },
    .on = { [PHASE_RESPONSE_HEAD] = on_response_head },
};
