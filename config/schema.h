/* SPDX-License-Identifier: Apache-2.0 */
/* An option is a row: one table of fields drives parsing, range, default, error text and the generated
 * reference (`sluice schema`). schema_read fills a struct from a document node and reports every error with
 * its place, not only the first. Used on the control thread; the struct's memory comes from the arena. */
#pragma once

#include "config/document.h"
#include "config/report.h"
#include "config/schema_types.h"

struct vaults;

/* Where reading happens: the report, the memory, the path of the node ("services[1].plugins[0].config"). */
struct config_place {
    struct report *report;
    struct arena *arena;
    const char *path;
    const struct node_position *position; /* where a missing node would have stood; may be NULL */
    const struct vaults *vaults; /* what references to secrets are looked up in; may be NULL */
    enum report_kind unknown; /* what an unknown field is; REPORT_ERROR unless a dialect ignores them */
};

/* The C type at `offset`:
 * STRING   struct slice (absent when null)      BOOLEAN  bool
 * INTEGER  int64_t (INTEGER_NULL when null)     NUMBER   double (NAN when null)
 * CHOICE   int, an index into `choices` (-1 when null)
 * CHOICES  uint64_t, a bit per choice           STRINGS  struct slices
 * INTEGERS struct schema_integers
 * RECORD   a struct of `record`, in place       MAP      struct schema_map: name -> strings
 * RECORDS  struct schema_records                RECORD_MAP  struct schema_record_map: name -> record
 * DURATION int64_t, milliseconds, written as seconds or with ms, s, m, h, d
 * SIZE     int64_t, bytes, written with k, m, g or without */
enum field_type {
    FIELD_STRING,
    FIELD_BOOLEAN,
    FIELD_INTEGER,
    FIELD_NUMBER,
    FIELD_CHOICE,
    FIELD_CHOICES,
    FIELD_STRINGS,
    FIELD_RECORD,
    FIELD_MAP,
    FIELD_DURATION,
    FIELD_SIZE,
    FIELD_INTEGERS,
    FIELD_RECORDS,
    FIELD_RECORD_MAP
};

enum field_flag {
    FIELD_REQUIRED = 1, /* null or missing is an error */
    FIELD_SECRET = 2, /* never printed */
    FIELD_VAULT = 4, /* may hold a {vault://...} reference */
    FIELD_EMPTY = 8, /* the empty string is allowed */
    FIELD_UNSUPPORTED =
        16, /* known to the product imitated, not to this one: any value but null is an error */
    FIELD_POSITIVE = 32, /* numbers: must be greater than 0 */
    FIELD_SINGLE = 64, /* MAP: each name has one string, not a list of them */
    FIELD_OWN = 128, /* unknown to the product imitated: shown only where it is given */
    FIELD_OLDER = 256, /* RECORD_MEMBER, an older name of a record's member: shows that one's value */
    FIELD_OPTIONAL = 512 /* has a default, and is called optional nevertheless */
};

/* NULL when the text is good, else the reason: static text, in which `{}` stands for the text. */
typedef const char *field_check_fn(struct slice text);

struct schema;

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    unsigned flags;
    double min, max; /* numbers, each of INTEGERS: both 0 = no range; other lists: of the count */
    const char *fallback; /* the default as text, e.g. "60000", "true", "local", "a,b"; NULL = null */
    const char *const *choices; /* ends with NULL */
    const struct schema *record;
    field_check_fn *check; /* each string of STRING, STRINGS; each name of MAP, RECORD_MAP */
    const char *help;
    const char *alias; /* an older name that is accepted too, or NULL */
    const char *shown; /* the default that is told where there is no fallback, or NULL */
    const char *const *offered; /* the choices that are told of, ends with NULL; NULL: all */
    const char *described; /* JSON: what the product imitated says of its type and range; NULL: the same */
};

struct schema {
    const char *name;
    const struct field *fields;
    size_t field_count;
    size_t struct_size;
    /* Rules over several fields. `node` is the mapping, for positions; `path` its place for messages.
     * Reports through schema_error(place, node, "field", ...). */
    void (*check)(void *value, const struct node *node, const struct config_place *place);
    const char *const
        *others; /* keys that somebody else reads: known and left alone; ends with NULL, or NULL */
};

/* Reads `node` (a mapping, or NULL / null node: only defaults) into `value`. Unknown fields are errors with a
 * did-you-mean. False when something was reported. */
bool schema_read(const struct schema *schema, const struct node *node, const struct config_place *place,
                 void *value);

/* Sets one field from a text, as a command line gives it: lists with commas, on and off.
 * NULL when it was good, else the reason, which is valid until the arena dies. */
const char *schema_set_text(const struct field *field, struct slice text, struct arena *arena, void *value);

/* Every field its default, or null; records too. */
void schema_defaults(const struct schema *schema, struct arena *arena, void *value);

/* The field of that name or alias, or NULL. */
const struct field *schema_find(const struct schema *schema, struct slice name);

/* The known name most like `name`, or NULL when none is like it. */
const char *schema_nearest(const struct schema *schema, struct slice name);

/* The deeper place: path + "." + name. */
struct config_place schema_place(const struct config_place *place, const char *name);
struct config_place schema_element(const struct config_place *place, uint32_t index); /* path + "[index]" */

/* Reports `reason` for field `name` of the mapping `node` (its value's position when it is there). */
void schema_error(const struct config_place *place, const struct node *node, const char *name,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The reference as text, for `sluice schema`. */
void schema_print(const struct schema *schema, FILE *out);
