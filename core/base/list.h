/* SPDX-License-Identifier: Apache-2.0 */
/* An intrusive doubly linked list: the node lives in what is listed, adding and removing never allocate.
 * A node that is in no list points to itself. One owner, one thread. */
#pragma once

#include <stdbool.h>

struct list_node {
    struct list_node *next, *previous;
};

static inline void list_init(struct list_node *node)
{
    node->next = node->previous = node;
}

static inline bool list_is_empty(const struct list_node *list)
{
    return list->next == list;
}

/* Legal for a node in no list. */
static inline void list_remove(struct list_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

static inline void list_append(struct list_node *list, struct list_node *node)
{
    node->previous = list->previous;
    node->next = list;
    list->previous->next = node;
    list->previous = node;
}

static inline void list_prepend(struct list_node *list, struct list_node *node)
{
    list_append(list->next, node);
}

/* Moves all of `from` to the end of `list`. */
static inline void list_move_all(struct list_node *list, struct list_node *from)
{
    if (list_is_empty(from))
        return;
    from->next->previous = list->previous;
    list->previous->next = from->next;
    from->previous->next = list;
    list->previous = from->previous;
    list_init(from);
}
