/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON value as YAML that every reader of YAML 1.1 and 1.2 takes for the same. The caller frees the text;
 * NULL: memory is exhausted. Any thread. */
#pragma once

#include <jansson.h>

char *admin_yaml(const json_t *value);
