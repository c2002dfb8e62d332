/* SPDX-License-Identifier: Apache-2.0 */
/* Marks memory as not to be touched, for AddressSanitizer builds by gcc and clang; nothing elsewhere. */
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_WORKS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define POISON_WORKS 1
#endif

#if defined(POISON_WORKS)
#include <sanitizer/asan_interface.h>
#define POISON(address, size) ASAN_POISON_MEMORY_REGION((address), (size))
#define UNPOISON(address, size) ASAN_UNPOISON_MEMORY_REGION((address), (size))
#else
#define POISON(address, size) ((void)(address), (void)(size))
#define UNPOISON(address, size) ((void)(address), (void)(size))
#endif
