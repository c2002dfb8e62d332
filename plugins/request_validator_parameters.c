/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a request as values for a schema, by the styles of OpenAPI. */
#include "plugins/request_validator.h"

#include "core/base/query.h"

enum { PARAMETER_VALUES_MAX = 1000 };

/* --- values --------------------------------------------------------------------------------------------- */

static struct json_node *new_node(struct validator_run *run, enum json_kind kind)
{
    struct json_node *node = arena_alloc_zero(&run->arena, sizeof(*node));
    if (node)
        node->value.kind = kind;
    return node;
}

static bool is_number(struct slice text)
{
    struct json_cursor cursor = { text.data, text.data + text.size };
    struct json_value value;
    return text.size > 0 && json_read_scalar(&cursor, &value) && value.kind == JSON_NUMBER &&
           cursor.at == cursor.end;
}

/* What the text may mean for these types: a number, a boolean, null, or itself. */
static struct json_node *new_scalar(struct validator_run *run, unsigned types, struct slice text)
{
    struct json_node *node = new_node(run, JSON_STRING);
    if (node == NULL)
        return NULL;
    node->value.text = text.data ? text : SLICE("");
    if ((types & (1u << JSON_TYPE_NUMBER | 1u << JSON_TYPE_INTEGER)) && is_number(text))
        node->value.kind = JSON_NUMBER;
    else if ((types >> JSON_TYPE_BOOLEAN & 1) && slice_equal(text, SLICE("true")))
        node->value.kind = JSON_TRUE;
    else if ((types >> JSON_TYPE_BOOLEAN & 1) && slice_equal(text, SLICE("false")))
        node->value.kind = JSON_FALSE;
    else if ((types >> JSON_TYPE_NULL & 1) && slice_equal(text, SLICE("null")))
        node->value.kind = JSON_NULL;
    return node;
}

static bool add_child(struct json_node *parent, struct json_node *child, struct slice name)
{
    struct json_node **link = &parent->first;
    if (child == NULL || parent->count == PARAMETER_VALUES_MAX)
        return false;
    while (*link)
        link = &(*link)->next;
    *link = child;
    child->parent = parent;
    parent->count++;
    if (name.data)
        child->name = (struct json_value){ .kind = JSON_STRING, .text = name };
    return true;
}

static bool add_item(struct validator_run *run, const struct json_schema *schema, struct json_node *array,
                     struct slice text)
{
    const struct json_schema *items = json_schema_of_items(schema);
    struct slice none = { NULL, 0 };
    return add_child(array, new_scalar(run, items ? json_schema_types(items) : 0, text), none);
}

static bool add_member(struct validator_run *run, const struct json_schema *schema, struct json_node *object,
                       struct slice name, struct slice text)
{
    const struct json_schema *member = json_schema_of_member(schema, name);
    return add_child(object, new_scalar(run, member ? json_schema_types(member) : 0, text), name);
}

/* --- texts ---------------------------------------------------------------------------------------------- */

/* How a text holds values: between separators, members as name=value or as name, value by turns. */
struct splitting {
    char separator;
    bool pairs;
};

static bool split_into(struct validator_run *run, const struct json_schema *schema, struct json_node *node,
                       struct slice text, struct splitting how)
{
    bool good = true;
    while (good && text.data) {
        struct slice value, one = slice_split(text, how.separator, &text);
        if (node->value.kind == JSON_ARRAY) {
            good = add_item(run, schema, node, one);
            continue;
        }
        struct slice name = how.pairs ? slice_split(one, '=', &value) : one;
        if (!how.pairs)
            value = text.data ? slice_split(text, how.separator, &text) : SLICE("");
        good = add_member(run, schema, node, name, value.data ? value : SLICE(""));
    }
    return good;
}

/* ;name=a,b and, exploded, ;name=a;name=b or ;a=1;b=2 */
static bool split_matrix(struct validator_run *run, const struct validator_parameter *parameter,
                         struct json_node *node, struct slice text)
{
    bool good = true;
    if (text.size > 0 && text.data[0] == ';')
        text = slice_from(text, 1);
    while (good && text.data) {
        struct slice value, one = slice_split(text, ';', &text), name = slice_split(one, '=', &value);
        value = value.data ? value : SLICE("");
        if (parameter->explode && node->value.kind == JSON_OBJECT)
            good = add_member(run, parameter->schema, node, name, value);
        else if (!slice_equal(name, parameter->name))
            continue;
        else if (parameter->explode)
            good = add_item(run, parameter->schema, node, value);
        else
            good = split_into(run, parameter->schema, node, value, (struct splitting){ ',', false });
    }
    return good;
}

static struct slice scalar_text(const struct validator_parameter *parameter, struct slice text)
{
    if (parameter->style == STYLE_LABEL && text.size > 0 && text.data[0] == '.')
        return slice_from(text, 1);
    struct slice value, name = text;
    if (parameter->style != STYLE_MATRIX || text.size == 0 || text.data[0] != ';')
        return text;
    name = slice_split(slice_from(text, 1), '=', &value);
    return slice_equal(name, parameter->name) && value.data ? value : text;
}

/* A path's or header's text as an array or object. */
static bool read_text(struct validator_run *run, const struct validator_parameter *parameter,
                      struct json_node *node, struct slice text)
{
    if (parameter->style == STYLE_MATRIX)
        return split_matrix(run, parameter, node, text);
    if (parameter->style == STYLE_LABEL)
        return split_into(run, parameter->schema, node, scalar_text(parameter, text),
                          (struct splitting){ parameter->explode ? '.' : ',', parameter->explode });
    return split_into(run, parameter->schema, node, text, (struct splitting){ ',', parameter->explode });
}

/* --- queries -------------------------------------------------------------------------------------------- */

static char separator_of(const struct validator_parameter *parameter)
{
    return parameter->style == STYLE_SPACE_DELIMITED  ? ' '
           : parameter->style == STYLE_PIPE_DELIMITED ? '|'
                                                      : ',';
}

/* name[key] for deepObject: the key; absent: it is another parameter. */
static struct slice deep_key(struct slice name, struct slice of)
{
    if (name.size < of.size + 2 || !slice_starts_with(name, of) || name.data[of.size] != '[' ||
        name.data[name.size - 1] != ']')
        return (struct slice){ NULL, 0 };
    return (struct slice){ name.data + of.size + 1, name.size - of.size - 2 };
}

/* One pair of the query. False: out of memory, or too many. */
static bool read_pair(struct validator_run *run, const struct validator_parameter *parameter,
                      struct json_node *node, struct slice name, struct slice value)
{
    bool object = node->value.kind == JSON_OBJECT;
    if (object && parameter->style == STYLE_DEEP_OBJECT) {
        struct slice key = deep_key(name, parameter->name);
        return key.data == NULL || add_member(run, parameter->schema, node, key, value);
    }
    if (object && parameter->explode) /* every parameter is a member, as far as the schema names it */
        return json_schema_of_member(parameter->schema, name) == NULL ||
               add_member(run, parameter->schema, node, name, value);
    if (!slice_equal(name, parameter->name))
        return true;
    if (parameter->explode)
        return add_item(run, parameter->schema, node, value);
    return split_into(run, parameter->schema, node, value,
                      (struct splitting){ separator_of(parameter), false });
}

static bool read_query(struct validator_run *run, const struct validator_parameter *parameter,
                       struct json_node *node)
{
    struct slice rest = exchange_query(run->exchange);
    bool good = true;
    while (good && rest.data) {
        struct slice value, pair = slice_split(rest, '&', &rest);
        struct slice name = query_unescape(&run->arena, slice_split(pair, '=', &value));
        value = value.data ? query_unescape(&run->arena, value) : SLICE("");
        good = name.data && value.data && read_pair(run, parameter, node, name, value);
    }
    return good;
}

/* --- parameters ----------------------------------------------------------------------------------------- */

/* The text of a parameter, the first when there are several; absent: it is not there. */
static struct slice find_text(struct validator_run *run, const struct validator_parameter *parameter)
{
    const struct message *request = exchange_request(run->exchange);
    if (parameter->in == PARAMETER_PATH)
        return exchange_uri_capture_named(run->exchange, parameter->name);
    if (parameter->in == PARAMETER_QUERY)
        return query_find(&run->arena, exchange_query(run->exchange), parameter->name);
    for (uint32_t i = 0; i < request->header_count; i++)
        if (request->headers[i].name.data && slice_equal_nocase(request->headers[i].name, parameter->name))
            return request->headers[i].value.data ? request->headers[i].value : SLICE("");
    return (struct slice){ NULL, 0 };
}

static enum validator_result missing(struct validator_run *run, const struct validator_parameter *parameter,
                                     struct slice *reason)
{
    (void)run;
    *reason = SLICE("required parameter is missing");
    return parameter->required ? VALIDATOR_BAD : VALIDATOR_GOOD;
}

static enum validator_result check_container(struct validator_run *run,
                                             const struct validator_parameter *parameter, enum json_kind kind,
                                             struct slice *reason)
{
    struct json_node *node = new_node(run, kind);
    if (node == NULL)
        return VALIDATOR_NO_MEMORY;
    *reason = SLICE("too many values");
    if (parameter->in == PARAMETER_QUERY) {
        if (!read_query(run, parameter, node))
            return VALIDATOR_BAD;
        if (node->count == 0)
            return missing(run, parameter, reason);
    } else {
        struct slice text = find_text(run, parameter);
        if (text.data == NULL)
            return missing(run, parameter, reason);
        if (text.size > 0 && !read_text(run, parameter, node, text))
            return VALIDATOR_BAD;
    }
    return validator_check_value(run, parameter->schema, node, reason);
}

/* A schema without a type may mean a text or what it looks like. */
static enum validator_result check_scalar(struct validator_run *run,
                                          const struct validator_parameter *parameter, unsigned types,
                                          struct slice *reason)
{
    struct slice text = find_text(run, parameter);
    if (text.data == NULL)
        return missing(run, parameter, reason);
    if (parameter->schema == NULL)
        return VALIDATOR_GOOD;
    text = scalar_text(parameter, text);
    struct json_node *node = new_scalar(run, types, text);
    if (node == NULL)
        return VALIDATOR_NO_MEMORY;
    enum validator_result result = validator_check_value(run, parameter->schema, node, reason);
    if (result != VALIDATOR_BAD || types != 0)
        return result;
    struct slice ignored;
    node = new_scalar(run, UINT32_MAX, text);
    if (node == NULL)
        return VALIDATOR_NO_MEMORY;
    return node->value.kind == JSON_STRING ? result
                                           : validator_check_value(run, parameter->schema, node, &ignored);
}

enum validator_result validator_check_parameter(struct validator_run *run,
                                                const struct validator_parameter *parameter,
                                                struct slice *reason)
{
    unsigned types = parameter->schema ? json_schema_types(parameter->schema) : 0;
    if (types >> JSON_TYPE_ARRAY & 1)
        return check_container(run, parameter, JSON_ARRAY, reason);
    if (types >> JSON_TYPE_OBJECT & 1)
        return check_container(run, parameter, JSON_OBJECT, reason);
    return check_scalar(run, parameter, types, reason);
}
