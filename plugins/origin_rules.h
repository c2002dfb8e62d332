/* SPDX-License-Identifier: Apache-2.0 */
/* Which origins (RFC 6454) a configuration names: texts as browsers send them, and regular expressions. Built
 * in the configuration's arena, then only read, by any thread; what a match writes is a shard's scratch. */
#pragma once

#include "core/base/regex.h"
#include "core/base/url.h"

struct origin_rule {
    struct slice text; /* absent: the expression decides */
    const struct regex *regex;
    bool by_host; /* it is about the host alone */
};

struct origin_rules {
    struct origin_rule *items;
    uint32_t count;
};

/* Letters, digits and .:/- only; anything else is a regular expression. */
bool origin_is_plain(struct slice text);

/* A field_check_fn: plain, or an expression that compiles. */
const char *origin_check(struct slice text);

/* False when memory is exhausted. Expressions that do not compile match nothing: they were reported. */
bool origin_rules_build(struct origin_rules *rules, const struct slices *texts,
                        struct arena *arena) MUST_CHECK;

/* Plain entries are compared with the origin in its normal form, scheme://host[:port]; expressions must match
 * all of that too, or of the host when there is no colon in them. Returns the normal form when one of them
 * knows `sent`, else absent (also when memory is exhausted). */
struct slice origin_rules_find(const struct origin_rules *rules, struct slice sent, struct arena *arena,
                               struct regex_scratch *scratch);
