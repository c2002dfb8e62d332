/* SPDX-License-Identifier: Apache-2.0 */
/* Zeroed memory straight from the kernel, for large tables of which mostly a part is used: a page costs
 * nothing before it is written to. (calloc of an allocator with arenas of its own writes the zeros.) Aligned
 * to a page. Any thread. */
#pragma once

#include "core/base/check.h"

#include <stddef.h>

void *pages_open(size_t count, size_t size) MUST_CHECK; /* count * size bytes; NULL: no memory */
void pages_close(void *memory, size_t count, size_t size); /* NULL does nothing */
