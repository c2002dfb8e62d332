/* SPDX-License-Identifier: Apache-2.0 */
/* From the modules to the resources: every API Gateway resource of a module becomes nodes, once per count or
 * for_each. */
#include "config/aws/terraform.h"

#include <stdlib.h>

enum { INSTANCES_MAX = 1000 };

/* What is Terraform's own business. */
static bool is_meta(struct slice name)
{
    static const char *const names[] = { "count",      "for_each",    "depends_on", "provider",
                                         "connection", "provisioner", "lifecycle",  "timeouts" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal(name, slice_of(names[i])))
            return true;
    return false;
}

static const struct node *evaluate_body(struct terraform_module *module, const struct hcl_body *body,
                                        int depth);

/* Blocks of one name are a list, as in states. */
static bool add_block(struct terraform_module *module, struct hcl_builder *out, const struct hcl_item *item,
                      int depth)
{
    struct hcl_evaluation *evaluation = &module->evaluation;
    const struct node *known = hcl_part(out->node, item->name);
    if (slice_equal(item->name, SLICE("dynamic")) || item->labels.count)
        return hcl_refuse(evaluation, &item->position, "'%.*s' blocks: not supported yet",
                          SLICE_FORMAT(item->name)) != NULL;
    struct hcl_builder list = { evaluation, hcl_make(evaluation, NODE_SEQUENCE, &item->position), 0 };
    bool good = list.node != NULL;
    for (uint32_t i = 0; good && known && i < known->count; i++)
        good = hcl_append(&list, known->entries[i].value);
    const struct node *one = good ? evaluate_body(module, item->body, depth + 1) : NULL;
    return one && hcl_append(&list, one) && hcl_set(out, item->name, list.node);
}

static const struct node *evaluate_body(struct terraform_module *module, const struct hcl_body *body,
                                        int depth)
{
    struct hcl_evaluation *evaluation = &module->evaluation;
    struct hcl_builder out = { evaluation, hcl_make(evaluation, NODE_MAPPING, &body->position), 0 };
    bool good = out.node != NULL;
    for (const struct hcl_item *item = body->first; out.node && item; item = item->next) {
        if (depth == 0 && is_meta(item->name))
            continue;
        if (item->value == NULL) {
            good = add_block(module, &out, item, depth) && good;
            continue;
        }
        const struct node *value = hcl_evaluate(evaluation, item->value);
        good = value && hcl_set(&out, item->name, value) && good;
        if (value && good)
            out.node->entries[out.node->count - 1].key_position = item->position;
    }
    return good ? out.node : NULL;
}

static void add_instance(struct terraform_module *module, const struct terraform_resource *resource,
                         struct slice address)
{
    struct aws_reader *reader = module->reader;
    module->evaluation.subject = address.data;
    const struct node *body = evaluate_body(module, resource->item->body, 0);
    if (body == NULL)
        return;
    struct node *node = aws_take(reader, &reader->scratch, sizeof(*node));
    if (node == NULL)
        return;
    *node = *body;
    node->position = resource->item->position;
    struct aws_resource out = { resource->type, { .address = address.data, .node = node } };
    out.object.id = terraform_id(reader, resource->type, address);
    const struct node *domain = node_find(node, "domain_name");
    if (slice_equal(resource->type, SLICE("aws_apigatewayv2_domain_name")) && domain)
        out.object.id = domain->text;
    aws_add_resource(reader, &out);
}

/* --- count and for_each --------------------------------------------------------------------------------- */

/* With `each` or `count` known while its body is evaluated. */
static void add_bound(struct terraform_module *module, const struct terraform_resource *resource,
                      const char *name, const struct node *value, struct slice address)
{
    struct hcl_binding binding = { slice_of(name), value, NULL };
    module->evaluation.bindings = &binding;
    add_instance(module, resource, address);
    module->evaluation.bindings = NULL;
}

static void add_counted(struct terraform_module *module, const struct terraform_resource *resource,
                        const struct node *count)
{
    struct hcl_evaluation *evaluation = &module->evaluation;
    if (count->kind != NODE_NUMBER || !count->is_integer || count->integer < 0 ||
        count->integer > INSTANCES_MAX) {
        hcl_refuse(evaluation, &count->position, "count: expected a number of 0 to %d", INSTANCES_MAX);
        return;
    }
    for (int64_t i = 0; i < count->integer; i++) {
        struct hcl_builder object = { evaluation, hcl_make(evaluation, NODE_MAPPING, &count->position), 0 };
        const struct node *index = hcl_make_number(evaluation, &count->position, (double)i);
        if (object.node == NULL || index == NULL || !hcl_set(&object, SLICE("index"), index))
            return;
        add_bound(module, resource, "count", object.node,
                  aws_text(module->reader, "%.*s[%d]", SLICE_FORMAT(resource->address), (int)i));
    }
}

static void add_each(struct terraform_module *module, const struct terraform_resource *resource,
                     const struct node *collection)
{
    struct hcl_evaluation *evaluation = &module->evaluation;
    bool map = collection->kind == NODE_MAPPING;
    if ((!map && collection->kind != NODE_SEQUENCE) || collection->count > INSTANCES_MAX) {
        hcl_refuse(evaluation, &collection->position, "for_each: expected a map or a set of at most %d",
                   INSTANCES_MAX);
        return;
    }
    for (uint32_t i = 0; i < collection->count; i++) {
        const struct node_entry *entry = &collection->entries[i];
        struct slice name = map ? entry->key : hcl_text_of(evaluation, entry->value);
        struct hcl_builder object = { evaluation, hcl_make(evaluation, NODE_MAPPING, &collection->position),
                                      0 };
        const struct node *key = name.data ? hcl_make_text(evaluation, &collection->position, name) : NULL;
        if (object.node == NULL || key == NULL || !hcl_set(&object, SLICE("key"), key) ||
            !hcl_set(&object, SLICE("value"), entry->value))
            return;
        add_bound(
            module, resource, "each", object.node,
            aws_text(module->reader, "%.*s[\"%.*s\"]", SLICE_FORMAT(resource->address), SLICE_FORMAT(name)));
    }
}

static void add_resource(struct terraform_module *module, const struct terraform_resource *resource)
{
    const struct hcl_item *count = hcl_find(resource->item->body, "count");
    const struct hcl_item *each = hcl_find(resource->item->body, "for_each");
    module->evaluation.subject = resource->address.data;
    if (count == NULL && each == NULL) {
        add_instance(module, resource, resource->address);
        return;
    }
    const struct hcl_expression *expression = count ? count->value : each->value;
    const struct node *many = expression ? hcl_evaluate(&module->evaluation, expression) : NULL;
    if (many && count)
        add_counted(module, resource, many);
    else if (many)
        add_each(module, resource, many);
}

/* --- modules -------------------------------------------------------------------------------------------- */

static struct slice directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (struct slice){ path, (size_t)(slash - path) + 1 } : SLICE("");
}

static struct terraform_module *find_module(struct aws_reader *reader, struct aws_list *modules,
                                            const char *path)
{
    struct slice directory = directory_of(path);
    for (uint32_t i = 0; i < modules->count; i++) {
        struct terraform_module *module = modules->items[i];
        if (slice_equal(module->directory, directory))
            return module;
    }
    struct terraform_module *module = aws_take(reader, &reader->scratch, sizeof(*module));
    if (module == NULL || !aws_add(reader, modules, module))
        return NULL;
    *module = (struct terraform_module){ .reader = reader, .directory = directory };
    module->evaluation = (struct hcl_evaluation){
        .arena = &reader->scratch,
        .report = reader->report,
        .resolve = terraform_resolve,
        .owner = module,
    };
    return module;
}

void aws_read_terraform(struct aws_reader *reader)
{
    const struct aws_sources *sources = reader->reading->sources;
    struct aws_list modules = { 0 };
    for (uint32_t i = 0; i < sources->count; i++) {
        const struct aws_source *source = &sources->items[i];
        bool is_json = source->document && slice_ends_with(slice_of(source->path), SLICE(".tf.json"));
        struct terraform_module *module =
            source->text.data || is_json ? find_module(reader, &modules, source->path) : NULL;
        if (module)
            terraform_read_file(module, source);
    }
    for (uint32_t i = 0; i < modules.count; i++) {
        struct terraform_module *module = modules.items[i];
        terraform_read_variables(module);
        for (uint32_t j = 0; j < module->resources.count; j++) {
            const struct terraform_resource *resource = module->resources.items[j];
            if (aws_is_api_type(resource->type))
                add_resource(module, resource);
        }
    }
}
