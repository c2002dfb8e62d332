/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of rules and of backends. */
#include "config/gateway_api/reader.h"

/* --- headers ---------------------------------------------------------------------------------------- */

struct header_record {
    struct slice name, value;
};
static const struct field header_fields[] = {
    { "name", FIELD_STRING, offsetof(struct header_record, name), .flags = FIELD_REQUIRED },
    { "value", FIELD_STRING, offsetof(struct header_record, value), .flags = FIELD_REQUIRED | FIELD_EMPTY },
};
static const struct schema header_schema = { "headers", header_fields, COUNT_OF(header_fields),
                                             sizeof(struct header_record) };

struct modifier_record {
    struct slices remove;
};
static const struct field modifier_fields[] = {
    { "remove", FIELD_STRINGS, offsetof(struct modifier_record, remove) },
};
static const char *const modifier_others[] = { "add", "set", NULL };
static const struct schema modifier_schema = {
    "modifier", modifier_fields, COUNT_OF(modifier_fields), sizeof(struct modifier_record),
    NULL,       modifier_others
};

struct edit_list {
    struct header_edit *items;
    uint32_t count;
};

static void add_edit(struct edit_list *edits, const struct header_edit *edit, const struct node *node,
                     const struct config_place *place)
{
    for (uint32_t i = 0; i < edits->count; i++)
        if (slice_equal_nocase(edits->items[i].name, edit->name))
            report_add(place->report, REPORT_ERROR, &node->position, place->path,
                       "'%.*s' has another action already", SLICE_FORMAT(edit->name));
    edits->items[edits->count++] = *edit;
}

static void add_edits(struct edit_list *edits, struct gateway_list *list, enum header_edit_kind kind)
{
    struct config_place place;
    const struct node *node;
    while ((node = gateway_list_next(list, &place)) != NULL) {
        struct header_record read;
        if (!schema_read(&header_schema, node, &place, &read))
            continue;
        if (!action_is_field_name(read.name))
            schema_error(&place, node, "name", "no name of a header");
        if (!action_is_field_value(read.value))
            schema_error(&place, node, "value", "a field must not hold control characters");
        struct header_edit edit = { kind, read.name, read.value };
        add_edit(edits, &edit, node, &place);
    }
}

static void read_headers(struct gateway_reader *reader, const struct node *filter, const char *field,
                         const struct config_place *place, struct header_edits *out)
{
    const struct node *node = node_find(filter, field);
    struct config_place deeper = schema_place(place, field);
    struct modifier_record read;
    if (!gateway_is_given(filter, field)) {
        schema_error(place, filter, field, "required field missing");
        return;
    }
    if (!schema_read(&modifier_schema, node, &deeper, &read))
        return;
    struct gateway_list set = gateway_list_open(node, "set", &deeper);
    struct gateway_list add = gateway_list_open(node, "add", &deeper);
    size_t most = out->count + gateway_list_count(&set) + gateway_list_count(&add) + read.remove.count + 1u;
    struct edit_list edits = { kube_take(reader->kube, most * sizeof(*edits.items)), 0 };
    if (edits.items == NULL)
        return;
    for (uint32_t i = 0; i < out->count; i++)
        edits.items[edits.count++] = out->items[i];
    add_edits(&edits, &set, HEADER_EDIT_SET);
    add_edits(&edits, &add, HEADER_EDIT_APPEND);
    for (uint32_t i = 0; i < read.remove.count; i++) {
        struct header_edit edit = { .kind = HEADER_EDIT_REMOVE, .name = read.remove.items[i] };
        add_edit(&edits, &edit, node, &deeper);
    }
    *out = (struct header_edits){ edits.items, edits.count };
}

/* --- paths ------------------------------------------------------------------------------------------ */

static const char *const path_types[] = { "ReplaceFullPath", "ReplacePrefixMatch", NULL };

struct path_record {
    int type;
    struct slice full, prefix;
};
static const struct field path_fields[] = {
    { "type", FIELD_CHOICE, offsetof(struct path_record, type), .flags = FIELD_REQUIRED,
      .choices = path_types },
    { "replaceFullPath", FIELD_STRING, offsetof(struct path_record, full), .flags = FIELD_EMPTY },
    { "replacePrefixMatch", FIELD_STRING, offsetof(struct path_record, prefix), .flags = FIELD_EMPTY },
};
static const struct schema path_schema = { "path", path_fields, COUNT_OF(path_fields),
                                           sizeof(struct path_record) };

/* As it is when the filter has no path. */
static struct path_edit path_of(const struct path_record *read, const struct node *filter,
                                const struct config_place *place)
{
    struct path_edit edit = { .kind = PATH_EDIT_KEEP };
    struct config_place deeper = schema_place(place, "path");
    const struct node *node = node_find(filter, "path");
    if (!gateway_is_given(filter, "path"))
        return edit;
    struct slice text = read->type == 0 ? read->full : read->prefix;
    if (text.data == NULL) {
        schema_error(&deeper, node, read->type == 0 ? "replaceFullPath" : "replacePrefixMatch",
                     "required field missing");
        return edit;
    }
    edit.kind = read->type == 0 ? PATH_EDIT_WHOLE : PATH_EDIT_SEGMENTS;
    while (read->type == 1 && text.size && text.data[text.size - 1] == '/')
        text.size--;
    edit.text = read->type == 0 && text.size == 0 ? SLICE("/") : text;
    return edit;
}

/* --- redirects and rewrites ------------------------------------------------------------------------- */

static const char *const schemes[] = { "http", "https", NULL };

struct redirect_record {
    int scheme;
    struct slice hostname;
    int64_t port, status;
    struct path_record path;
};
static const struct field redirect_fields[] = {
    { "scheme", FIELD_CHOICE, offsetof(struct redirect_record, scheme), .choices = schemes },
    { "hostname", FIELD_STRING, offsetof(struct redirect_record, hostname) },
    { "path", FIELD_RECORD, offsetof(struct redirect_record, path), .record = &path_schema },
    { "port", FIELD_INTEGER, offsetof(struct redirect_record, port), .min = 1, .max = 65535 },
    { "statusCode", FIELD_INTEGER, offsetof(struct redirect_record, status), .fallback = "302" },
};
static const struct schema redirect_schema = { "requestRedirect", redirect_fields, COUNT_OF(redirect_fields),
                                               sizeof(struct redirect_record) };

struct rewrite_record {
    struct slice hostname;
    struct path_record path;
};
static const struct field rewrite_fields[] = {
    { "hostname", FIELD_STRING, offsetof(struct rewrite_record, hostname) },
    { "path", FIELD_RECORD, offsetof(struct rewrite_record, path), .record = &path_schema },
};
static const struct schema rewrite_schema = { "urlRewrite", rewrite_fields, COUNT_OF(rewrite_fields),
                                              sizeof(struct rewrite_record) };

static void read_redirect(struct gateway_reader *reader, const struct node *filter,
                          const struct config_place *place, struct action *action)
{
    static const int64_t codes[] = { 301, 302, 303, 307, 308 };
    const struct node *node = node_find(filter, "requestRedirect");
    struct config_place deeper = schema_place(place, "requestRedirect");
    struct redirect_record read;
    struct redirect *redirect = kube_take(reader->kube, sizeof(*redirect));
    bool known = false;
    if (!redirect || !schema_read(&redirect_schema, node, &deeper, &read))
        return;
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        known = known || codes[i] == read.status;
    if (!known)
        schema_error(&deeper, node, "statusCode", "expected one of: 301, 302, 303, 307, 308");
    if (!action_is_host(read.hostname))
        schema_error(&deeper, node, "hostname", "no name of a host");
    *redirect = (struct redirect){ .host = read.hostname,
                                   .port = read.port == INTEGER_NULL ? 0 : (uint16_t)read.port,
                                   .path = path_of(&read.path, node, &deeper),
                                   .status = (int)read.status };
    if (read.scheme >= 0)
        redirect->scheme = slice_of(schemes[read.scheme]);
    action->redirect = redirect;
}

static void read_rewrite(const struct node *filter, const struct config_place *place, struct action *action)
{
    const struct node *node = node_find(filter, "urlRewrite");
    struct config_place deeper = schema_place(place, "urlRewrite");
    struct rewrite_record read;
    if (!schema_read(&rewrite_schema, node, &deeper, &read))
        return;
    action->path = path_of(&read.path, node, &deeper);
    if (!action_is_host(read.hostname))
        schema_error(&deeper, node, "hostname", "no name of a host");
    if (read.hostname.data)
        action->host = (struct host_edit){ HOST_EDIT_TEXT, read.hostname };
}

/* --- all -------------------------------------------------------------------------------------------- */

enum filter_type { REQUEST_HEADERS, RESPONSE_HEADERS, REDIRECT, REWRITE, MIRROR, CORS, AUTH, EXTENSION };
static const char *const types[] = { "RequestHeaderModifier",
                                     "ResponseHeaderModifier",
                                     "RequestRedirect",
                                     "URLRewrite",
                                     "RequestMirror",
                                     "CORS",
                                     "ExternalAuth",
                                     "ExtensionRef",
                                     NULL };
struct filter_record {
    int type;
};
static const struct field filter_fields[] = {
    { "type", FIELD_CHOICE, offsetof(struct filter_record, type), .flags = FIELD_REQUIRED, .choices = types },
};
static const char *const filter_others[] = {
    "cors",
    "extensionRef",
    "externalAuth",
    "requestHeaderModifier",
    "requestMirror",
    "requestRedirect",
    "responseHeaderModifier",
    "urlRewrite",
    NULL,
};
static const struct schema filter_schema = {
    "filters", filter_fields, COUNT_OF(filter_fields), sizeof(struct filter_record), NULL, filter_others
};

void gateway_read_filters(struct gateway_reader *reader, const struct node *node,
                          const struct config_place *place, struct action *action)
{
    struct gateway_list list = gateway_list_open(node, "filters", place);
    struct config_place deeper;
    const struct node *filter;
    unsigned seen = 0;
    while ((filter = gateway_list_next(&list, &deeper)) != NULL) {
        struct filter_record read;
        if (!schema_read(&filter_schema, filter, &deeper, &read))
            continue;
        if (seen & 1u << read.type)
            schema_error(&deeper, filter, "type", "there is a second filter of this type");
        seen |= 1u << read.type;
        switch (read.type) {
        case REQUEST_HEADERS:
            read_headers(reader, filter, "requestHeaderModifier", &deeper, &action->request);
            break;
        case RESPONSE_HEADERS:
            read_headers(reader, filter, "responseHeaderModifier", &deeper, &action->response);
            break;
        case REDIRECT: read_redirect(reader, filter, &deeper, action); break;
        case MIRROR: break; /* see mirror.c */
        case REWRITE: read_rewrite(filter, &deeper, action); break;
        default: schema_error(&deeper, filter, "type", "%s: not supported yet", types[read.type]); break;
        }
    }
    if (seen & 1u << REDIRECT && seen & 1u << REWRITE)
        schema_error(place, node, "filters", "RequestRedirect and URLRewrite exclude each other");
}

void gateway_read_backend_filters(struct gateway_reader *reader, const struct node *node,
                                  const struct config_place *place, struct backend *backend)
{
    struct gateway_list list = gateway_list_open(node, "filters", place);
    struct config_place deeper;
    const struct node *filter;
    while ((filter = gateway_list_next(&list, &deeper)) != NULL) {
        struct filter_record read;
        if (!schema_read(&filter_schema, filter, &deeper, &read))
            continue;
        if (read.type == REQUEST_HEADERS)
            read_headers(reader, filter, "requestHeaderModifier", &deeper, &backend->request);
        else if (read.type == RESPONSE_HEADERS)
            read_headers(reader, filter, "responseHeaderModifier", &deeper, &backend->response);
        else
            schema_error(&deeper, filter, "type", "%s of a backend: not supported yet", types[read.type]);
    }
}
