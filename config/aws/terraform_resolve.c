/* SPDX-License-Identifier: Apache-2.0 */
/* What references stand for. Ids and other things that only AWS knows are made up from addresses: the same
 * files give the same ids. */
#include "config/aws/terraform.h"

static const char account[] = "123456789012", region[] = "us-east-1";

const struct terraform_resource *terraform_find(const struct terraform_module *module, struct slice type,
                                                struct slice name)
{
    for (uint32_t i = 0; i < module->resources.count; i++) {
        const struct terraform_resource *resource = module->resources.items[i];
        if (slice_equal(resource->type, type) && slice_equal(resource->name, name))
            return resource;
    }
    return NULL;
}

struct slice terraform_id(struct aws_reader *reader, struct slice type, struct slice address)
{
    bool is_api = slice_equal(type, SLICE("aws_apigatewayv2_api"));
    return aws_generated_id(reader, address, is_api ? AWS_API_ID_SIZE : AWS_ID_SIZE);
}

/* --- variables and locals ------------------------------------------------------------------------------- */

/* Names of loops around the reference mean nothing inside. */
static const struct node *evaluate_apart(struct hcl_evaluation *evaluation,
                                         const struct hcl_expression *expression)
{
    const struct hcl_binding *bindings = evaluation->bindings;
    const struct node *item = evaluation->item;
    evaluation->bindings = NULL;
    const struct node *value = hcl_evaluate(evaluation, expression);
    evaluation->bindings = bindings;
    evaluation->item = item;
    return value;
}

static const struct node *resolve_value(struct hcl_evaluation *evaluation, const struct aws_list *list,
                                        struct hcl_path *path)
{
    struct terraform_value *found = NULL;
    path->used = 2;
    for (uint32_t i = 0; path->count > 1 && i < list->count; i++) {
        struct terraform_value *one = list->items[i];
        if (slice_equal(one->name, path->names[1]))
            found = one;
    }
    if (found == NULL)
        return hcl_refuse(evaluation, &path->position, "'%.*s.%.*s' is not declared",
                          SLICE_FORMAT(path->names[0]), SLICE_FORMAT(path->names[1]));
    if (found->state == TERRAFORM_BUSY)
        return hcl_refuse(evaluation, &path->position, "'%.*s' depends on itself", SLICE_FORMAT(found->name));
    if (found->state == TERRAFORM_NEW) {
        found->state = TERRAFORM_BUSY;
        found->value = found->given;
        if (found->value == NULL && found->expression)
            found->value = evaluate_apart(evaluation, found->expression);
        found->state = TERRAFORM_DONE;
    }
    if (found->value == NULL)
        return hcl_refuse(evaluation, &path->position,
                          "'%.*s.%.*s' has no value: give it a default or one in terraform.tfvars",
                          SLICE_FORMAT(path->names[0]), SLICE_FORMAT(path->names[1]));
    return found->value;
}

/* --- resources ------------------------------------------------------------------------------------------ */

struct reference {
    struct hcl_evaluation *evaluation;
    struct hcl_path *path;
    const struct terraform_resource *resource;
    struct slice address; /* with its index */
    struct slice attribute;
};

static const struct node *text(const struct reference *reference, struct slice value)
{
    return hcl_make_text(reference->evaluation, &reference->path->position, value);
}

/* The names as they were written, as a name. */
static const struct node *opaque(struct hcl_evaluation *evaluation, struct hcl_path *path, const char *why)
{
    struct terraform_module *module = evaluation->owner;
    struct slice name = path->names[0];
    for (uint32_t i = 1; i < path->count; i++)
        name = aws_text(module->reader, "%.*s.%.*s", SLICE_FORMAT(name), SLICE_FORMAT(path->names[i]));
    path->used = path->count;
    report_add(evaluation->report, REPORT_WARNING, &path->position,
               evaluation->subject ? evaluation->subject : "", "'%.*s' %s: taken as a name",
               SLICE_FORMAT(name), why);
    return hcl_make_text(evaluation, &path->position, name);
}

static const struct node *find_attribute(const struct reference *reference, const char *name)
{
    const struct hcl_item *item = hcl_find(reference->resource->item->body, name);
    return item && item->value ? evaluate_apart(reference->evaluation, item->value) : NULL;
}

static bool is_type(const struct reference *reference, const char *type)
{
    return slice_equal(reference->resource->type, slice_of(type));
}

/* NULL without a report: it is no such attribute. */
static const struct node *make_up(const struct reference *reference)
{
    struct terraform_module *module = reference->evaluation->owner;
    struct slice id = terraform_id(module->reader, reference->resource->type, reference->address);
    struct slice name = reference->attribute;
    bool is_id = slice_equal(name, SLICE("id"));
    if (is_id && is_type(reference, "aws_apigatewayv2_stage"))
        return find_attribute(reference, "name");
    if (is_id && is_type(reference, "aws_apigatewayv2_domain_name"))
        return find_attribute(reference, "domain_name");
    if (is_id)
        return text(reference, id);
    if (!is_type(reference, "aws_apigatewayv2_api"))
        return NULL;
    if (slice_equal(name, SLICE("execution_arn")))
        return text(reference, aws_text(module->reader, "arn:aws:execute-api:%s:%s:%.*s", region, account,
                                        SLICE_FORMAT(id)));
    if (slice_equal(name, SLICE("arn")))
        return text(reference,
                    aws_text(module->reader, "arn:aws:apigateway:%s::/apis/%.*s", region, SLICE_FORMAT(id)));
    if (slice_equal(name, SLICE("api_endpoint")))
        return text(reference, aws_text(module->reader, "https://%.*s.execute-api.%s.amazonaws.com",
                                        SLICE_FORMAT(id), region));
    return NULL;
}

/* type.name.attribute, or type.name[index].attribute of a resource that there are several of. */
static const struct node *resolve_resource(struct hcl_evaluation *evaluation, struct hcl_path *path,
                                           const struct terraform_resource *resource)
{
    struct terraform_module *module = evaluation->owner;
    struct reference reference = { evaluation, path, resource, resource->address, { NULL, 0 } };
    bool each = hcl_find(resource->item->body, "for_each") != NULL;
    bool many = each || hcl_find(resource->item->body, "count") != NULL;
    if (path->count < (many ? 4u : 3u))
        return hcl_refuse(evaluation, &path->position,
                          "'%.*s' as a whole: not supported yet, name one of its attributes",
                          SLICE_FORMAT(resource->address));
    if (many)
        reference.address = aws_text(module->reader, each ? "%.*s[\"%.*s\"]" : "%.*s[%.*s]",
                                     SLICE_FORMAT(resource->address), SLICE_FORMAT(path->names[2]));
    path->used = many ? 4 : 3;
    reference.attribute = path->names[path->used - 1];
    const struct hcl_item *item = hcl_find(resource->item->body, reference.attribute.data);
    if (item && item->value && !many)
        return evaluate_apart(evaluation, item->value);
    uint32_t before = evaluation->report->error_count;
    const struct node *made = aws_is_api_type(resource->type) ? make_up(&reference) : NULL;
    if (made || evaluation->report->error_count > before)
        return made;
    return opaque(evaluation, path, "is known to Terraform only");
}

static const struct node *resolve_path(struct hcl_evaluation *evaluation, struct hcl_path *path)
{
    struct terraform_module *module = evaluation->owner;
    struct slice directory = module->directory;
    path->used = path->count;
    if (path->count == 2 && slice_equal(path->names[1], SLICE("module")))
        return hcl_make_text(evaluation, &path->position, directory.size ? directory : SLICE("."));
    return opaque(evaluation, path, "is known to Terraform only");
}

const struct node *terraform_resolve(struct hcl_evaluation *evaluation, struct hcl_path *path)
{
    struct terraform_module *module = evaluation->owner;
    struct slice first = path->names[0];
    if (slice_equal(first, SLICE("var")))
        return resolve_value(evaluation, &module->variables, path);
    if (slice_equal(first, SLICE("local")))
        return resolve_value(evaluation, &module->locals, path);
    if (slice_equal(first, SLICE("path")))
        return resolve_path(evaluation, path);
    if (slice_equal(first, SLICE("terraform")) && path->count == 2) {
        path->used = 2;
        return hcl_make_text(evaluation, &path->position, SLICE("default"));
    }
    if (slice_equal(first, SLICE("data")) || slice_equal(first, SLICE("module")))
        return opaque(evaluation, path, "is known to Terraform only");
    const struct terraform_resource *resource =
        path->count > 1 ? terraform_find(module, first, path->names[1]) : NULL;
    if (resource)
        return resolve_resource(evaluation, path, resource);
    if (path->count < 2)
        return hcl_refuse(evaluation, &path->position, "'%.*s': no such name", SLICE_FORMAT(first));
    return opaque(evaluation, path, "is not declared in these files");
}
