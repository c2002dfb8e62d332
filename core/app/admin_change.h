/* SPDX-License-Identifier: Apache-2.0 */
/* One change of entities on its way into the store: the document, what it refers to and what goes with it.
 * Between admin_write.c, which decides what to do, and the files that check and carry it out. Admin thread,
 * but for what the control thread calls while the admin thread waits. */
#pragma once

#include "core/app/admin_entities.h"
#include "core/app/store.h"

struct id_list {
    struct store_id *items; /* in the arena of the call */
    uint32_t count, capacity;
};

struct admin_writing {
    struct admin_call *call;
    const struct admin_target *target;
    const struct kong_entity_kind *kind;
    json_t *document; /* the entity as it will be, references as ids; NULL: a removal */
    json_t *snis; /* entities that come with a certificate; NULL: none */
    json_t *dangling; /* {"field": {"id": ...}} of a reference that leads nowhere; NULL: none */
    char id[37];
    bool exists;
    bool hashed; /* secrets are those of the store: they are not hashed again */
    struct id_list puts, removals;
    uint64_t generation; /* of the configuration that all others were taken from */
};

/* False: memory is exhausted. */
bool admin_list_id(struct admin_call *call, struct id_list *list, const char *kind, const char *id);

/* admin_document.c: writing->document from what was sent, and what is there (NULL: nothing). */
void admin_build_document(struct admin_writing *writing, json_t *given, const struct catalog *catalog,
                          const struct catalog_row *row);

/* admin_rules.c: true when the answer says why not. */
bool admin_breaks_schema(struct admin_writing *writing);
bool admin_breaks_references(struct admin_writing *writing);
bool admin_breaks_uniqueness(struct admin_writing *writing, const struct catalog *catalog);
bool admin_breaks_removal(struct admin_writing *writing, const struct catalog *catalog,
                          const struct catalog_row *row);

/* admin_change.c: all other entities of the catalog, which is open, as a configuration, malloc'ed; NULL: no
 * memory. */
char *admin_others(struct admin_writing *writing, const struct catalog *catalog);

/* Loads, stores and puts in force; true: done, else the answer says why not. */
bool admin_change(struct admin_writing *writing, const char *others);
