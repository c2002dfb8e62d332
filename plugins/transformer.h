/* SPDX-License-Identifier: Apache-2.0 */
/* What request-transformer and response-transformer share: entries `name:value`, and the edits of a body by
 * them. Entries live with the configuration and are constant. */
#pragma once

#include "config/schema.h"
#include "plugins/body_arguments.h"
#include "plugins/template.h"

struct transformer_entry {
    struct slice name;
    struct slice value; /* absent: the entry has none, and nothing is done for it */
    const struct template *template; /* NULL: the value is as it stands */
    uint32_t number; /* among those of a configuration that have a template */
};

struct transformer_entries {
    struct transformer_entry *items;
    uint32_t count;
};

enum transformer_edit {
    TRANSFORMER_REMOVE,
    TRANSFORMER_RENAME,
    TRANSFORMER_REPLACE,
    TRANSFORMER_ADD,
    TRANSFORMER_APPEND,
    TRANSFORMER_EDIT_COUNT
};

extern const char *const transformer_edit_names[TRANSFORMER_EDIT_COUNT];

/* How entries are read. */
struct transformer_reading {
    const struct config_place *place; /* of the record with the list, e.g. config.add */
    const struct node *node; /* the record; NULL: not written */
    const char *field; /* the list in it */
    enum transformer_edit edit;
    bool are_headers;
    const struct template_root *roots; /* NULL: values are no templates */
    uint32_t *template_count; /* counted on; NULL without roots */
};

/* field_check_fn of lists with values: there must be a colon. */
const char *transformer_check_entry(struct slice text);

void transformer_read(const struct transformer_reading *reading, const struct slices *texts,
                      struct transformer_entries *entries);

/* A template where it is no entry; NULL: there is none in the text, or it was reported. */
const struct template *transformer_template(const struct transformer_reading *reading, struct slice text);

/* Text that may stand in a header: controls become %XX. Absent: out of memory. */
struct slice transformer_header_value(struct arena *arena, struct slice value) MUST_CHECK;

/* --- bodies --------------------------------------------------------------------------------------------- */

struct transformer_change {
    enum transformer_edit edit;
    struct slice name, value;
    enum body_value type; /* of the value: TEXT, or JSON */
};

/* Applies one entry to a body. True: something changed. arguments->failed: out of memory. */
bool transformer_change_body(struct body_arguments *arguments, const struct transformer_change *change);
