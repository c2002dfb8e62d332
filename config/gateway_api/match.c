/* SPDX-License-Identifier: Apache-2.0 */
/* The matches of a rule: each of path, headers, query and method. */
#include "config/gateway_api/reader.h"

static const char *const path_types[] = { "Exact", "PathPrefix", "RegularExpression", NULL };
enum { PATH_EXACT, PATH_PREFIX, PATH_REGEX };
static const char *const value_types[] = { "Exact", "RegularExpression", NULL };
static const char *const methods[] = { "GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                       "CONNECT", "OPTIONS", "TRACE", "PATCH", NULL };

struct path_record {
    int type;
    struct slice value;
};
struct match_record {
    struct path_record path;
    int method;
};
struct value_record {
    int type;
    struct slice name, value;
};

static const struct field path_fields[] = {
    { "type", FIELD_CHOICE, offsetof(struct path_record, type), .choices = path_types,
      .fallback = "PathPrefix" },
    { "value", FIELD_STRING, offsetof(struct path_record, value), .fallback = "/" },
};
static const struct schema path_schema = { "path", path_fields, COUNT_OF(path_fields),
                                           sizeof(struct path_record) };
static const struct field match_fields[] = {
    { "path", FIELD_RECORD, offsetof(struct match_record, path), .record = &path_schema },
    { "method", FIELD_CHOICE, offsetof(struct match_record, method), .choices = methods },
};
static const char *const match_others[] = { "headers", "queryParams", NULL };
static const struct schema match_schema = {
    "matches", match_fields, COUNT_OF(match_fields), sizeof(struct match_record), NULL, match_others
};
static const struct field value_fields[] = {
    { "type", FIELD_CHOICE, offsetof(struct value_record, type), .choices = value_types,
      .fallback = "Exact" },
    { "name", FIELD_STRING, offsetof(struct value_record, name), .flags = FIELD_REQUIRED },
    { "value", FIELD_STRING, offsetof(struct value_record, value), .flags = FIELD_REQUIRED | FIELD_EMPTY },
};
static const struct schema value_schema = { "values", value_fields, COUNT_OF(value_fields),
                                            sizeof(struct value_record) };

static void use_path(struct gateway_reader *reader, const struct path_record *read, const struct node *node,
                     const struct config_place *place, struct gateway_match *match)
{
    static const enum match_path_kind kinds[] = {
        [PATH_EXACT] = MATCH_PATH_EXACT, [PATH_PREFIX] = MATCH_PATH_SEGMENTS, [PATH_REGEX] = MATCH_PATH_REGEX
    };
    struct kube_spot spot = { place, node, "value" };
    struct slice value = read->value;
    match->path_size = (uint32_t)value.size;
    if (read->type != PATH_REGEX && value.data[0] != '/')
        schema_error(place, node, "value", "should start with /");
    while (read->type == PATH_PREFIX && value.size && value.data[value.size - 1] == '/')
        value.size--;
    match->path = (struct match_path){ .kind = kinds[read->type], .text = value };
    if (read->type == PATH_REGEX)
        match->path.regex = kube_regex(reader->kube, value, REGEX_WHOLE, &spot);
}

static bool is_known(const struct gateway_conditions *list, struct slice name, bool fold)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (fold ? slice_equal_nocase(list->items[i].name, name) : slice_equal(list->items[i].name, name))
            return true;
    return false;
}

/* Of several with one name the first counts. */
static void read_values(struct gateway_reader *reader, const struct node *node, const char *field,
                        const struct config_place *place, struct gateway_conditions *out)
{
    struct gateway_list list = gateway_list_open(node, field, place);
    struct config_place deeper;
    const struct node *one;
    out->items = kube_take(reader->kube, (gateway_list_count(&list) + 1u) * sizeof(*out->items));
    while (out->items && (one = gateway_list_next(&list, &deeper)) != NULL) {
        struct value_record read;
        struct kube_spot spot = { &deeper, one, "value" };
        if (!schema_read(&value_schema, one, &deeper, &read))
            continue;
        if (is_known(out, read.name, strcmp(field, "headers") == 0)) {
            report_add(deeper.report, REPORT_WARNING, &one->position, deeper.path,
                       "'%.*s' is there already: this one has no effect", SLICE_FORMAT(read.name));
            continue;
        }
        struct gateway_condition *condition = &out->items[out->count++];
        *condition = (struct gateway_condition){ .name = read.name, .value = read.value };
        if (read.type == 1)
            condition->regex = kube_regex(reader->kube, read.value, REGEX_WHOLE, &spot);
    }
}

static void set_any(struct gateway_match *match)
{
    *match =
        (struct gateway_match){ .path = { .kind = MATCH_PATH_SEGMENTS, .text = SLICE("") }, .path_size = 1 };
}

static void read_match(struct gateway_reader *reader, const struct node *node,
                       const struct config_place *place, struct gateway_match *match)
{
    struct match_record read;
    struct config_place path = schema_place(place, "path");
    set_any(match);
    if (!schema_read(&match_schema, node, place, &read))
        return;
    if (gateway_is_given(node, "path"))
        use_path(reader, &read.path, node_find(node, "path"), &path, match);
    if (read.method >= 0)
        match->method = slice_of(methods[read.method]);
    read_values(reader, node, "headers", place, &match->headers);
    read_values(reader, node, "queryParams", place, &match->query);
}

void gateway_read_matches(struct gateway_reader *reader, const struct node *node,
                          const struct config_place *place, struct gateway_rule *rule)
{
    struct gateway_list list = gateway_list_open(node, "matches", place);
    struct config_place deeper;
    const struct node *one;
    rule->matches = kube_take(reader->kube, (gateway_list_count(&list) + 1u) * sizeof(*rule->matches));
    while (rule->matches && (one = gateway_list_next(&list, &deeper)) != NULL)
        read_match(reader, one, &deeper, &rule->matches[rule->match_count++]);
    if (rule->matches && rule->match_count == 0)
        set_any(&rule->matches[rule->match_count++]);
}
