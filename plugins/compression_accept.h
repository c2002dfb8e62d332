/* SPDX-License-Identifier: Apache-2.0 */
/* Which content coding a client wants (RFC 9110 section 12.5.3). Works on views; any thread. */
#pragma once

#include "plugins/compression_encoder.h"

/* What Accept-Encoding says, in thousandths: -1 for a coding that is not named. */
struct accepted {
    int quality[CODING_COUNT];
    int identity, any; /* "*" */
};

/* Nothing is named yet. */
void accepted_init(struct accepted *accepted);

/* One field's value; a request may have several. What is malformed is left out. */
void accepted_read(struct accepted *accepted, struct slice value);

/* The coding with the highest quality; of equal ones the first of `order`. CODING_COUNT: none, or the client
 * would rather have the body as it is. */
enum coding accepted_choose(const struct accepted *accepted, const enum coding *order, uint32_t count);
