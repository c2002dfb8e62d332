/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in the files of a module, in either syntax, and the variables given beside them. */
#include "config/aws/terraform.h"

#include "config/files.h"

#include <dirent.h>
#include <stdlib.h>

static void refuse(struct terraform_module *module, const struct node_position *position, const char *reason)
{
    report_add(module->reader->report, REPORT_ERROR, position, "", "%s", reason);
}

static struct terraform_value *find_value(const struct aws_list *list, struct slice name)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct terraform_value *value = list->items[i];
        if (slice_equal(value->name, name))
            return value;
    }
    return NULL;
}

static void add_value(struct terraform_module *module, struct aws_list *list, const struct hcl_item *item,
                      struct slice name, const struct hcl_expression *expression)
{
    struct aws_reader *reader = module->reader;
    struct terraform_value *value = aws_take(reader, &reader->scratch, sizeof(*value));
    if (value == NULL)
        return;
    *value = (struct terraform_value){ .name = name, .position = item->position, .expression = expression };
    if (find_value(list, name))
        report_add(reader->report, REPORT_ERROR, &item->position, "", "'%.*s' is declared twice",
                   SLICE_FORMAT(name));
    aws_add(reader, list, value);
}

static void add_resource(struct terraform_module *module, const struct hcl_item *item)
{
    struct aws_reader *reader = module->reader;
    if (item->labels.count != 2) {
        refuse(module, &item->position, "expected resource \"TYPE\" \"NAME\" { ... }");
        return;
    }
    struct slice type = item->labels.items[0], name = item->labels.items[1];
    struct terraform_resource *resource = aws_take(reader, &reader->scratch, sizeof(*resource));
    if (resource == NULL)
        return;
    *resource = (struct terraform_resource){ type, name, { NULL, 0 }, item };
    resource->address = aws_text(reader, "%.*s.%.*s", SLICE_FORMAT(type), SLICE_FORMAT(name));
    if (terraform_find(module, type, name))
        report_add(reader->report, REPORT_ERROR, &item->position, resource->address.data,
                   "is declared twice");
    aws_add(reader, &module->resources, resource);
}

static void add_module(struct terraform_module *module, const struct hcl_item *item)
{
    report_add(module->reader->report, REPORT_WARNING, &item->position, "",
               "module '%.*s' is not read: an API in it is seen in the output of `terraform show -json`",
               SLICE_FORMAT(item->labels.count ? item->labels.items[0] : SLICE("")));
}

static void add_item(struct terraform_module *module, const struct hcl_item *item)
{
    static const char *const others[] = { "terraform", "provider", "output", "data",
                                          "moved",     "import",   "check",  "removed" };
    if (item->body == NULL) {
        refuse(module, &item->position, "expected a block");
        return;
    }
    if (slice_equal(item->name, SLICE("resource"))) {
        add_resource(module, item);
    } else if (slice_equal(item->name, SLICE("locals"))) {
        for (const struct hcl_item *one = item->body->first; one; one = one->next)
            add_value(module, &module->locals, one, one->name, one->value);
    } else if (slice_equal(item->name, SLICE("variable")) && item->labels.count == 1) {
        const struct hcl_item *fallback = hcl_find(item->body, "default");
        add_value(module, &module->variables, item, item->labels.items[0], fallback ? fallback->value : NULL);
    } else if (slice_equal(item->name, SLICE("module"))) {
        add_module(module, item);
    } else {
        for (size_t i = 0; i < COUNT_OF(others); i++)
            if (slice_equal(item->name, slice_of(others[i])))
                return;
        refuse(module, &item->position, "no block of Terraform");
    }
}

/* --- *.tf.json ------------------------------------------------------------------------------------------ */

/* The entries of an object as attributes; a key that is computed has no place here. */
static struct hcl_body *body_of(struct terraform_module *module, const struct hcl_expression *object)
{
    struct aws_reader *reader = module->reader;
    struct hcl_body *body = aws_take(reader, &reader->scratch, sizeof(*body));
    struct hcl_item **end = body ? &body->first : NULL;
    if (object->kind != HCL_OBJECT) {
        refuse(module, &object->position, "expected an object");
        return NULL;
    }
    if (body)
        body->position = object->position;
    for (struct hcl_expression *key = object->first; end && key; key = key->next->next) {
        struct hcl_item *item = aws_take(reader, &reader->scratch, sizeof(*item));
        if (item == NULL || key->kind != HCL_VALUE) {
            refuse(module, &key->position, "expected a plain name");
            return NULL;
        }
        *item = (struct hcl_item){ .name = key->value->text, .position = key->position, .value = key->next };
        *end = item;
        end = &item->next;
    }
    return body;
}

/* An object, or a list of objects, under `depth` labels becomes blocks. */
struct unfolding {
    struct terraform_module *module;
    struct slice name, labels[2];
    uint32_t depth, count;
};

static void unfold(struct unfolding *unfolding, const struct hcl_expression *value)
{
    struct terraform_module *module = unfolding->module;
    struct aws_reader *reader = module->reader;
    for (const struct hcl_expression *one = value->first; value->kind == HCL_TUPLE && one; one = one->next)
        if (one->kind != HCL_TUPLE)
            unfold(unfolding, one);
    struct hcl_body *body = value->kind == HCL_TUPLE ? NULL : body_of(module, value);
    if (body == NULL)
        return;
    for (const struct hcl_item *one = body->first; unfolding->count < unfolding->depth && one;
         one = one->next) {
        struct unfolding deeper = *unfolding;
        deeper.labels[deeper.count++] = one->name;
        unfold(&deeper, one->value);
    }
    if (unfolding->count < unfolding->depth)
        return;
    struct hcl_item *item = aws_take(reader, &reader->scratch, sizeof(*item));
    struct slice *labels = aws_take(reader, &reader->scratch, sizeof(unfolding->labels));
    if (item == NULL || labels == NULL)
        return;
    memcpy(labels, unfolding->labels, sizeof(unfolding->labels));
    *item = (struct hcl_item){ .name = unfolding->name,
                               .position = value->position,
                               .labels = { labels, unfolding->count },
                               .body = body };
    add_item(module, item);
}

static void read_json(struct terraform_module *module, const struct node *document,
                      const struct document_reading *reading)
{
    static const struct {
        const char *name;
        uint32_t depth;
    } rows[] = { { "resource", 2 }, { "variable", 1 }, { "locals", 0 }, { "module", 1 } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct node *part = node_find(document, rows[i].name);
        const struct hcl_expression *value = part ? hcl_of_node(part, reading) : NULL;
        struct unfolding unfolding = { module, slice_of(rows[i].name), { { NULL, 0 } }, rows[i].depth, 0 };
        if (value)
            unfold(&unfolding, value);
    }
}

void terraform_read_file(struct terraform_module *module, const struct aws_source *source)
{
    struct aws_reader *reader = module->reader;
    struct document_reading reading = { &document_default_limits, &reader->scratch, reader->report };
    if (source->document) {
        read_json(module, source->document, &reading);
        return;
    }
    const struct hcl_body *body = hcl_read(source->text, source->path, &reading);
    for (const struct hcl_item *item = body ? body->first : NULL; item; item = item->next)
        add_item(module, item);
}

/* --- *.tfvars ------------------------------------------------------------------------------------------- */

static void give(struct terraform_module *module, struct slice name, const struct node *value)
{
    struct terraform_value *variable = find_value(&module->variables, name);
    if (variable)
        variable->given = value;
    else
        report_add(module->reader->report, REPORT_WARNING, &value->position, "",
                   "no variable '%.*s' is declared", SLICE_FORMAT(name));
}

static void read_tfvars(struct terraform_module *module, const char *path)
{
    struct aws_reader *reader = module->reader;
    struct document_reading reading = { &document_default_limits, &reader->scratch, reader->report };
    struct documents documents;
    struct slice text;
    if (files_has_ending(path, ".json")) {
        bool good = document_read_file(path, &reading, &documents) && documents.count == 1;
        const struct node *all = good ? documents.items[0] : NULL;
        for (uint32_t i = 0; all && all->kind == NODE_MAPPING && i < all->count; i++)
            give(module, all->entries[i].key, all->entries[i].value);
        return;
    }
    const struct hcl_body *body =
        document_load(path, &reading, &text) ? hcl_read(text, path, &reading) : NULL;
    for (const struct hcl_item *item = body ? body->first : NULL; item; item = item->next) {
        const struct node *value = item->value ? hcl_evaluate(&module->evaluation, item->value) : NULL;
        if (value)
            give(module, item->name, value);
        else if (item->value == NULL)
            refuse(module, &item->position, "expected NAME = VALUE");
    }
}

static int is_main(const struct dirent *entry)
{
    return strcmp(entry->d_name, "terraform.tfvars") == 0 ||
           strcmp(entry->d_name, "terraform.tfvars.json") == 0;
}

static int is_automatic(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && (files_has_ending(entry->d_name, ".auto.tfvars") ||
                                       files_has_ending(entry->d_name, ".auto.tfvars.json"));
}

/* As Terraform does on its own: terraform.tfvars, then *.auto.tfvars by name, the later ones winning. */
void terraform_read_variables(struct terraform_module *module)
{
    int (*const chosen[])(const struct dirent *) = { is_main, is_automatic };
    struct slice directory = module->directory.size ? module->directory : SLICE("./");
    for (size_t i = 0; i < COUNT_OF(chosen); i++) {
        struct dirent **entries = NULL;
        const char *folder = aws_text(module->reader, "%.*s", SLICE_FORMAT(directory)).data;
        int count = scandir(folder, &entries, chosen[i], alphasort);
        for (int j = 0; j < count; j++) {
            read_tfvars(
                module,
                aws_text(module->reader, "%.*s%s", SLICE_FORMAT(module->directory), entries[j]->d_name).data);
            free(entries[j]);
        }
        free(entries);
    }
}
