/* SPDX-License-Identifier: Apache-2.0 */
/* The files of one directory as Terraform sees them: one module with variables, locals and resources, whose
 * values are computed when somebody asks. Used by config/aws/terraform*.c alone. */
#pragma once

#include "config/aws/reader.h"
#include "config/hcl/evaluate.h"

enum terraform_state { TERRAFORM_NEW, TERRAFORM_BUSY, TERRAFORM_DONE };

/* A variable or a local. */
struct terraform_value {
    struct slice name;
    struct node_position position;
    const struct hcl_expression *expression; /* NULL: none */
    const struct node *given; /* of a variable, by a *.tfvars file; NULL: not */
    const struct node *value;
    enum terraform_state state; /* DONE without value: it was reported why not */
};

struct terraform_resource {
    struct slice type, name, address;
    const struct hcl_item *item;
};

struct terraform_module {
    struct aws_reader *reader;
    struct slice directory;
    struct aws_list variables, locals, resources;
    struct hcl_evaluation evaluation;
};

/* terraform_files.c: reads one file into the module; *.tfvars of its directory once all are read. */
void terraform_read_file(struct terraform_module *module, const struct aws_source *source);
void terraform_read_variables(struct terraform_module *module);

/* terraform_resolve.c: what a reference stands for (an hcl_resolve_fn whose owner is the module). */
const struct node *terraform_resolve(struct hcl_evaluation *evaluation, struct hcl_path *path);
const struct terraform_resource *terraform_find(const struct terraform_module *module, struct slice type,
                                                struct slice name);

/* The id of an instance, by its address. */
struct slice terraform_id(struct aws_reader *reader, struct slice type, struct slice address);
