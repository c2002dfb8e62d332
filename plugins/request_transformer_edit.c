/* SPDX-License-Identifier: Apache-2.0 */
/* request-transformer's templates, and its edits of headers. */
#include "plugins/request_transformer.h"

#include "config/action.h"
#include "core/base/query.h"

/* --- templates ------------------------------------------------------------------------------------------ */

const struct template_root request_transformer_roots[] = {
    [ROOT_HEADERS] = { "headers", true },
    [ROOT_QUERY] = { "query_params", true },
    [ROOT_CAPTURES] = { "uri_captures", true },
    [ROOT_SHARED] = { "shared", true },
    { NULL, false },
};

static struct template_value text_value(struct slice text)
{
    return (struct template_value){ .kind = TEMPLATE_STRING, .text = text.data ? text : SLICE("") };
}

/* As nginx and Kong compare: in any case, and "_" in the asked name stands for "-" as well. */
static bool is_header_named(struct slice header, struct slice name, bool loose)
{
    if (header.data == NULL || header.size != name.size)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char wanted = loose && name.data[i] == '_' ? '-' : slice_lower(name.data[i]);
        if (slice_lower(header.data[i]) != wanted)
            return false;
    }
    return true;
}

static void find_header(const struct message *request, struct slice name, uint32_t nth,
                        struct template_value *value)
{
    for (int loose = 0; loose < 2 && value->kind == TEMPLATE_NIL; loose++) {
        uint32_t left = nth;
        for (uint32_t i = 0; i < request->header_count; i++) {
            if (!is_header_named(request->headers[i].name, name, loose) || --left > 0)
                continue;
            *value = text_value(request->headers[i].value);
            break;
        }
    }
}

static bool find_parameter(const struct request_scope *scope, struct slice name, uint32_t nth,
                           struct template_value *value)
{
    struct slice rest = exchange_query(scope->exchange);
    while (rest.data) {
        struct slice written, pair = slice_split(rest, '&', &rest);
        if (!query_names(slice_split(pair, '=', &written), name) || --nth > 0)
            continue;
        if (written.data == NULL) {
            value->kind = TEMPLATE_TRUE;
            return true;
        }
        struct slice text = query_unescape(scope->scope.arena, written);
        *value = text_value(text);
        return text.data != NULL;
    }
    return true;
}

static void find_capture(const struct request_scope *scope, const struct template_value *key,
                         struct template_value *value)
{
    struct slice text = { NULL, 0 };
    if (key->kind == TEMPLATE_STRING)
        text = exchange_uri_capture_named(scope->exchange, key->text);
    else if (key->number >= 0 && key->number < UINT32_MAX)
        text = exchange_uri_capture(scope->exchange, (uint32_t)key->number);
    if (text.data)
        *value = text_value(text);
}

bool request_transformer_find(const struct template_scope *scope, uint32_t root,
                              const struct template_value *key, uint32_t nth, struct template_value *value)
{
    const struct request_scope *own = (const struct request_scope *)scope;
    if (root == ROOT_HEADERS && key->kind == TEMPLATE_STRING)
        find_header(exchange_request(own->exchange), key->text, nth, value);
    else if (root == ROOT_QUERY && key->kind == TEMPLATE_STRING)
        return find_parameter(own, key->text, nth, value);
    else if (root == ROOT_CAPTURES && nth == 1)
        find_capture(own, key, value);
    return true; /* nothing is ever shared: there are no plugins in Lua */
}

static enum template_result render_entry(const struct transformer_entry *entry,
                                         const struct request_scope *scope, struct slice *values)
{
    if (entry->template == NULL)
        return TEMPLATE_RENDERED;
    return template_render(entry->template, &scope->scope, &values[entry->number]);
}

static enum template_result render_entries(const struct transformer_entries *entries,
                                           const struct request_scope *scope, struct slice *values)
{
    enum template_result result = TEMPLATE_RENDERED;
    for (uint32_t i = 0; i < entries->count && result == TEMPLATE_RENDERED; i++)
        result = render_entry(&entries->items[i], scope, values);
    return result;
}

enum template_result request_transformer_render(const struct request_transformer_config *config,
                                                struct exchange *exchange, struct slice **values)
{
    struct request_scope scope = { { exchange_arena(exchange), request_transformer_find }, exchange };
    if (config->template_count == 0)
        return TEMPLATE_RENDERED;
    *values = arena_array(scope.scope.arena, config->template_count, sizeof(**values));
    if (*values == NULL)
        return TEMPLATE_OUT_OF_MEMORY;
    enum template_result result = render_entry(&config->uri, &scope, *values);
    for (int edit = 0; edit < TRANSFORMER_EDIT_COUNT && result == TEMPLATE_RENDERED; edit++) {
        const struct request_edits *edits = &config->edits[edit];
        result = render_entries(&edits->header_entries, &scope, *values);
        if (result == TEMPLATE_RENDERED)
            result = render_entries(&edits->query_entries, &scope, *values);
        if (result == TEMPLATE_RENDERED)
            result = render_entries(&edits->body_entries, &scope, *values);
    }
    return result;
}

struct slice request_transformer_value(const struct transformer_entry *entry, const struct slice *values)
{
    return entry->template ? values[entry->number] : entry->value;
}

/* --- headers -------------------------------------------------------------------------------------------- */

#define BIT(id) (UINT64_C(1) << HEADER_##id)

static const uint64_t own_fields =
    BIT(HOST) | BIT(CONNECTION) | BIT(KEEP_ALIVE) | BIT(PROXY) | BIT(PROXY_CONNECTION) |
    BIT(TRANSFER_ENCODING) | BIT(CONTENT_LENGTH) | BIT(EXPECT) | BIT(UPGRADE) | BIT(HTTP2_SETTINGS) |
    BIT(VIA) | BIT(X_FORWARDED_FOR) | BIT(X_FORWARDED_HOST) | BIT(X_FORWARDED_PATH) | BIT(X_FORWARDED_PORT) |
    BIT(X_FORWARDED_PREFIX) | BIT(X_FORWARDED_PROTO) | BIT(X_REAL_IP) | BIT(X_KONG_REQUEST_ID);

bool request_transformer_is_own_field(struct slice name)
{
    return own_fields >> message_header_id(name) & 1;
}

static bool has(struct exchange *exchange, struct slice name)
{
    const struct message *request = exchange_request(exchange);
    for (uint32_t i = 0; i < request->header_count; i++)
        if (request->headers[i].name.data && slice_equal_nocase(request->headers[i].name, name))
            return true;
    return false;
}

/* All values go over to the new name. */
static bool rename_header(struct exchange *exchange, struct slice name, struct slice new_name)
{
    const struct message *request = exchange_request(exchange);
    uint32_t count = 0;
    if (slice_equal_nocase(name, new_name) || !has(exchange, name))
        return true;
    struct slice *values = arena_array(exchange_arena(exchange), request->header_count, sizeof(*values));
    if (values == NULL)
        return false;
    for (uint32_t i = 0; i < request->header_count; i++)
        if (request->headers[i].name.data && slice_equal_nocase(request->headers[i].name, name))
            values[count++] = request->headers[i].value;
    exchange_remove_upstream_header(exchange, name);
    exchange_remove_upstream_header(exchange, new_name);
    bool good = true;
    for (uint32_t i = 0; i < count && good; i++)
        good = exchange_add_upstream_header(exchange, new_name, values[i]);
    return good;
}

static bool set_host(struct exchange *exchange, struct slice host)
{
    if (host.size > 0 && !action_is_host(host))
        return false;
    if (host.size > 0)
        exchange_set_upstream_host(exchange, host);
    return true;
}

static bool edit_header(struct exchange *exchange, enum transformer_edit edit, struct slice name,
                        struct slice value)
{
    if (edit == TRANSFORMER_REPLACE && value.data && slice_equal_nocase(name, SLICE("host")))
        return set_host(exchange, value);
    if (request_transformer_is_own_field(name))
        return true;
    if (edit == TRANSFORMER_REMOVE)
        exchange_remove_upstream_header(exchange, name);
    if (edit == TRANSFORMER_REMOVE || value.data == NULL)
        return true;
    if (edit == TRANSFORMER_RENAME)
        return !action_is_field_name(value) || request_transformer_is_own_field(value) ||
               rename_header(exchange, name, value);
    value = transformer_header_value(exchange_arena(exchange), value);
    if (value.data == NULL)
        return false;
    if (edit == TRANSFORMER_APPEND)
        return exchange_add_upstream_header(exchange, name, value);
    bool there = has(exchange, name);
    return there != (edit == TRANSFORMER_REPLACE) || exchange_set_upstream_header(exchange, name, value);
}

bool request_transformer_edit_headers(const struct request_transformer_config *config,
                                      struct exchange *exchange, const struct slice *values)
{
    bool good = true;
    for (int edit = 0; edit < TRANSFORMER_EDIT_COUNT; edit++) {
        const struct transformer_entries *entries = &config->edits[edit].header_entries;
        for (uint32_t i = 0; i < entries->count && good; i++)
            good = edit_header(exchange, (enum transformer_edit)edit, entries->items[i].name,
                               request_transformer_value(&entries->items[i], values));
    }
    return good;
}
