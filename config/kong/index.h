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
/* The same, and it is an error when no entity stands around and none is named. */
void kong_refer_required(struct kong_reader *reader, const struct kong_foreign *foreign,
                         const struct node *node, const struct config_place *place);
void kong_resolve(struct kong_reader *reader);

/* Work on an entity that waits until all references are known; it is done in the order of declaration. */
struct kong_later {
    struct kong_later *next;
    void (*finish)(struct kong_reader *reader, const struct kong_later *later);
    void *entity;
    const struct node *node;
    const char *path;
};
void kong_later(struct kong_reader *reader, const struct kong_later *later);
void kong_finish_later(struct kong_reader *reader);

/* One part of the key of an entity that has no name of its own: a field, and the entity that stands around
 * when the field names it, or NULL. */
struct kong_key_part {
    const char *field;
    const struct entity *around;
};

/* What Kong derives the id of such an entity from: "<kind>:*:<part>:<part>". Absent when memory is
 * exhausted. */
struct slice kong_composite_key(struct kong_reader *reader, const char *kind, const struct node *node,
                                const struct kong_key_part *parts, size_t count);

/* Whether a mapping holds that field with anything but null. */
bool kong_is_given(const struct node *node, const char *field);

/* The entity of that id, in either case, else of that name; NULL when there is none. */
void *kong_look_up(const struct kong_index *index, struct slice text);

/* What a reference says, for derived ids: the text itself, or the id or name of the record; may be absent. */
struct slice kong_reference_text(const struct node *value);
