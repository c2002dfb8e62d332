/* SPDX-License-Identifier: Apache-2.0 */
/* The AWS front-end: HTTP APIs of API Gateway as Terraform files, as what `terraform show -json` prints,
 * or as OpenAPI 3, translated into the model. config/aws/README.md says what is supported. Control thread
 * only. */
#pragma once

#include "config/model.h"
#include "config/settings.h"

/* A Terraform file (text: HCL; document: *.tf.json) or any other document. */
struct aws_source {
    const char *path;
    struct slice text; /* absent: `document` */
    const struct node *document;
};

struct aws_sources {
    struct aws_source *items;
    uint32_t count;
};

/* Is it the output of `terraform show -json`, or OpenAPI? */
bool aws_recognise(const struct node *document);

/* Reads all; texts and nodes must live as long as the call. False when something was reported. */
struct aws_reading {
    const struct aws_sources *sources;
    const struct settings *settings; /* aws_hosts, aws_default_api */
    const struct plugin_kind *const *plugins; /* ends with NULL */
    struct model *model;
    struct report *report;
};
bool aws_read_all(const struct aws_reading *reading); /* after all other front-ends */
