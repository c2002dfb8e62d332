/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of Terraform and of OpenAPI share beyond config/aws/reader.h. Used by config/aws alone. */
#pragma once

#include "config/aws/reader.h"

/* The one block of that name, written as a mapping or as a list of one; NULL: none, or reported. */
const struct node *aws_block(struct aws_reader *reader, const struct aws_object *object, const char *name);

/* Issuer and audience of the authorizer's block of that name. */
void aws_read_jwt(struct aws_reader *reader, struct aws_authorizer *authorizer, const char *name);

/* route_key.c: NULL, or what is wrong (static text). */
const char *aws_route_key_parse(struct arena *arena, struct slice text, struct aws_route_key *key);
/* Below 0: `a` is more specific than `b`; 0: they match the same requests, or never both. */
int aws_route_key_compare(const struct aws_route_key *a, const struct aws_route_key *b);
