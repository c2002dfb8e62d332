/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/pages.h"

#include <sys/mman.h>

void *pages_open(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes == 0)
        return NULL;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void pages_close(void *memory, size_t count, size_t size)
{
    if (memory)
        CHECK(munmap(memory, count * size) == 0);
}
