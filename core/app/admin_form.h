/* SPDX-License-Identifier: Apache-2.0 */
/* Forms and multipart forms as objects, the way Kong's clients write them: `config.minute=5`, `hosts[]=a`,
 * `hosts[2]=b`, `headers.x-a[]=1`; a name that stands twice is a list. Values are texts until the tables of
 * fields say what they are. */
#pragma once

#include "net/http/message.h"

#include <jansson.h>

/* By the Content-Type of the request. NULL: no such form, or memory is exhausted. The caller owns it. */
json_t *admin_form_read(const struct message *request, struct slice body);
