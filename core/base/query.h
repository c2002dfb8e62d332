/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a query (name=value&...) as forms write them: "+" is a space, %XX a byte, and an escape that
 * is broken stands for itself. Works on views; any thread. */
#pragma once

#include "core/base/arena.h"

/* Does the escaped text say `name`? */
bool query_names(struct slice escaped, struct slice name);

/* What the escaped text says: itself when nothing is escaped, else a copy in the arena. Absent when memory is
 * exhausted. */
struct slice query_unescape(struct arena *arena, struct slice escaped) MUST_CHECK;

/* The first parameter of that name, what it says; absent when there is none, or no memory. */
struct slice query_find(struct arena *arena, struct slice query, struct slice name);

/* The query without the parameters whose name is spelled exactly so, escapes not read; present even when
 * nothing is left. Absent when memory is exhausted. */
struct slice query_without(struct arena *arena, struct slice query, struct slice name) MUST_CHECK;

/* The text as it is written into a query or a form: everything but letters, digits and -._~ as %XX. Absent
 * when memory is exhausted. */
struct slice query_escape(struct arena *arena, struct slice text) MUST_CHECK;
