/* SPDX-License-Identifier: Apache-2.0 */
/* CHECK states an invariant and stays on in every build: a false one is a bug in this program, never a bad
 * input, and ends the process with its place. Bytes from outside are validated, not checked. Any thread. */
#pragma once

#include <stddef.h>

_Noreturn void check_failed(const char *expression, const char *file, int line);

#define CHECK(expression)                                  \
    do {                                                   \
        if (__builtin_expect(!(expression), 0))            \
            check_failed(#expression, __FILE__, __LINE__); \
    } while (0)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#define MUST_CHECK __attribute__((warn_unused_result))
