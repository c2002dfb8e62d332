/* SPDX-License-Identifier: Apache-2.0 */
/* Names, ids and references of entities. Private to config/kong; control thread only. */
#pragma once

#include "config/kong/reader.h"

bool kong_index_init(struct kong_reader *reader, struct kong_index *index, const char *kind);

/* An entity and what it is known by. */
struct kong_identity {
    struct kong_index *index;
    struct entity *entity;
    const struct kong_common *common;
    struct slice key; /* what a missing id is derived from; absent: a random id */
    const char *name_field; /* "username"; NULL: has no unique name */
    bool shares_id; /* an equal id is not reported: something else says the same */
};

/* Gives the entity its id and place, and reports an id or a name that is taken. */
void kong_identify(struct kong_reader *reader, const struct kong_identity *identity, const struct node *node,
                   const struct config_place *place);

/* One value that may stand only once in a configuration. */
struct kong_unique {
    struct map *map;
    const char *kind, *field;
    const char *label; /* what the message calls the field, when not by its name */
    struct slice value;
    void *owner;
};

/* False when it stood there already, which is reported at the field. Absent values are good. */
bool kong_unique(struct kong_reader *reader, const struct kong_unique *unique, const struct node *node,
                 const struct config_place *place);

/* Notes that `field` of the entity `node` names another one, if it does; kong_resolve sets *target. */
struct kong_foreign {
    const struct kong_index *index;
    const char *field;
    void *target; /* a pointer to the model's pointer, which is set already when an entity stands around */
};
void kong_refer(struct kong_reader *reader, const struct kong_foreign *foreign, const struct node *node,
                const struct config_place *place);
void kong_resolve(struct kong_reader *reader);

/* What a reference says, for derived ids: the text itself, or the id or name of the record; may be absent. */
struct slice kong_reference_text(const struct node *value);
