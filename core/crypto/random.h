/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes of the kernel's generator: good for keys and ids. Each call is a system call, so who needs
 * many small draws buffers them (struct random_pool, one thread). */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

/* Ends the process when the kernel has no generator: nothing secret could be made without one. */
void random_bytes(void *out, size_t size);

/* Zeroed at first. What was handed out is wiped from it. */
struct random_pool {
    unsigned char bytes[512];
    size_t left;
};

/* size <= sizeof(pool->bytes). */
void random_draw(struct random_pool *pool, void *out, size_t size);

/* `size` letters and digits, each equally likely, and a NUL. */
void random_alphanumeric(char *out, size_t size);
