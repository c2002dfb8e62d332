/* SPDX-License-Identifier: Apache-2.0 */
/* What `terraform show -json` prints: states hold all values; plans leave out what is not known yet, and
 * name in the configuration what it refers to. */
#include "config/aws/reader.h"

struct showing {
    struct aws_reader *reader;
    const struct node *configuration; /* of the root module; NULL: a state */
};

static struct slice text_of(const struct node *node, const char *key)
{
    const struct node *value = node_find(node, key);
    return value && value->kind == NODE_STRING ? value->text : (struct slice){ NULL, 0 };
}

static struct slice id_of(struct aws_reader *reader, struct slice type, struct slice address)
{
    bool is_api = slice_equal(type, SLICE("aws_apigatewayv2_api"));
    return aws_generated_id(reader, address, is_api ? AWS_API_ID_SIZE : AWS_ID_SIZE);
}

/* The first of `references` that is a type, a name and an attribute, as the value it will have. */
static struct slice value_of(struct showing *showing, const struct node *references, struct slice attribute)
{
    struct aws_reader *reader = showing->reader;
    for (uint32_t i = 0; references->kind == NODE_SEQUENCE && i < references->count; i++) {
        const struct node *one = references->entries[i].value;
        struct slice rest, name, last;
        if (one->kind != NODE_STRING)
            continue;
        struct slice type = slice_split(one->text, '.', &rest);
        name = rest.data ? slice_split(rest, '.', &last) : rest;
        if (rest.data == NULL || last.data == NULL)
            continue;
        if (!aws_is_api_type(type) || !slice_equal(last, SLICE("id")))
            return one->text;
        struct slice address = aws_text(reader, "%.*s.%.*s", SLICE_FORMAT(type), SLICE_FORMAT(name));
        struct slice id = id_of(reader, type, address);
        return slice_equal(attribute, SLICE("target"))
                   ? aws_text(reader, "integrations/%.*s", SLICE_FORMAT(id))
                   : id;
    }
    return (struct slice){ NULL, 0 };
}

static const struct node *find_configured(const struct showing *showing, struct slice address)
{
    const struct node *list = node_find(showing->configuration, "resources");
    for (uint32_t i = 0; list && list->kind == NODE_SEQUENCE && i < list->count; i++)
        if (slice_equal(text_of(list->entries[i].value, "address"), address))
            return node_find(list->entries[i].value, "expressions");
    return NULL;
}

/* A copy of the values with what is only referred to. */
static const struct node *complete(struct showing *showing, const struct node *values, struct slice address)
{
    struct aws_reader *reader = showing->reader;
    const struct node *expressions = find_configured(showing, address);
    if (expressions == NULL || expressions->kind != NODE_MAPPING)
        return values;
    struct node *copy = aws_take(reader, &reader->scratch, sizeof(*copy));
    size_t room = (size_t)values->count + expressions->count + 1;
    struct node_entry *entries = aws_take(reader, &reader->scratch, room * sizeof(*entries));
    if (copy == NULL || entries == NULL)
        return values;
    *copy = *values;
    copy->entries = entries;
    if (values->count)
        memcpy(entries, values->entries, values->count * sizeof(*entries));
    for (uint32_t i = 0; i < expressions->count; i++) {
        const struct node_entry *entry = &expressions->entries[i];
        const struct node *known = node_find(values, entry->key.data);
        const struct node *references = node_find(entry->value, "references");
        if ((known && known->kind != NODE_NULL) || references == NULL)
            continue;
        struct node *value = aws_take(reader, &reader->scratch, sizeof(*value));
        struct slice text = value_of(showing, references, entry->key);
        if (value == NULL || text.data == NULL)
            continue;
        *value = (struct node){ .kind = NODE_STRING, .position = entry->key_position, .text = text };
        entries[copy->count++] = (struct node_entry){ entry->key, entry->key_position, value };
    }
    return copy;
}

static void add_resource(struct showing *showing, const struct node *node)
{
    struct aws_reader *reader = showing->reader;
    const struct node *values = node_find(node, "values");
    struct slice type = text_of(node, "type"), address = text_of(node, "address");
    if (slice_equal(text_of(node, "mode"), SLICE("data")) || type.data == NULL || !aws_is_api_type(type))
        return;
    if (values == NULL || values->kind != NODE_MAPPING || address.data == NULL) {
        report_add(reader->report, REPORT_ERROR, &node->position, "", "a resource without address or values");
        return;
    }
    struct aws_resource resource = { type, { .address = address.data } };
    resource.object.node = complete(showing, values, address);
    resource.object.id = text_of(values, "id");
    if (slice_equal(type, SLICE("aws_apigatewayv2_domain_name")))
        resource.object.id = text_of(values, "domain_name");
    if (resource.object.id.data == NULL)
        resource.object.id = id_of(reader, type, address);
    aws_add_resource(reader, &resource);
}

enum { MODULES_DEPTH_MAX = 32 };

static void add_module(struct showing *showing, const struct node *module, int depth)
{
    const struct node *resources = node_find(module, "resources");
    const struct node *children = node_find(module, "child_modules");
    for (uint32_t i = 0; resources && resources->kind == NODE_SEQUENCE && i < resources->count; i++)
        add_resource(showing, resources->entries[i].value);
    for (uint32_t i = 0; children && children->kind == NODE_SEQUENCE && i < children->count; i++)
        if (depth < MODULES_DEPTH_MAX)
            add_module(showing, children->entries[i].value, depth + 1);
}

void aws_read_show(struct aws_reader *reader, const struct node *document)
{
    const struct node *state = node_find(document, "values");
    const struct node *plan = node_find(document, "planned_values");
    struct showing showing = { .reader = reader };
    if (plan)
        showing.configuration = node_find(node_find(document, "configuration"), "root_module");
    const struct node *root = node_find(plan ? plan : state, "root_module");
    if (root == NULL)
        report_add(reader->report, REPORT_ERROR, &document->position, "", "expected 'root_module'");
    else
        add_module(&showing, root, 0);
}
