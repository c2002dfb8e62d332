/* SPDX-License-Identifier: Apache-2.0 */
#include "net/redis/redis_cluster.h"

#include "net/transport/address.h"

#include <stdlib.h>

enum { ERRAND_TEXT_BYTES = 512 };

/* One command on its way to the node that serves its key. */
struct errand {
    struct redis_request request;
    struct redis_cluster *cluster;
    struct list_node node; /* of the cluster's waiting, under_way or spare ones */
    struct redis_request *parent; /* NULL: nobody wants the reply */
    unsigned index;               /* of its value */
    struct redis_client *sent_to, *next; /* next NULL: where the map says */
    uint64_t waits_since_ms;
    uint16_t slot;
    bool asks, tries_again, refused;
    enum redis_complaint complaint;
    uint32_t redirections;
    struct redis_command command; /* its words are in `text` */
    size_t capacity;
    char text[];
};

static void mark_stale(struct redis_cluster *cluster);

/* --- nodes ---------------------------------------------------------------------------------------------- */

/* The node's index, added when it is new; REDIS_NODES_MAX: too many, or out of memory. */
static uint32_t node_at(struct redis_cluster *cluster, const struct redis_server *server)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        const struct redis_server *known = &cluster->nodes[i]->server;
        if (known->port == server->port && slice_equal(known->host, server->host))
            return i;
    }
    if (cluster->node_count == REDIS_NODES_MAX)
        return REDIS_NODES_MAX;
    struct redis_client *client =
        redis_client_open(cluster->shard, &cluster->target, server, cluster->connect);
    if (client == NULL)
        return REDIS_NODES_MAX;
    cluster->listed[cluster->node_count] = false;
    cluster->nodes[cluster->node_count] = client;
    return cluster->node_count++;
}

/* What no map names any more is closed now, and forgotten when it is found closed. */
static void retire_nodes(struct redis_cluster *cluster)
{
    for (uint32_t i = cluster->configured_count; i < cluster->node_count;) {
        struct redis_client *client = cluster->nodes[i];
        bool is_idle = !cluster->listed[i] && client->waiting_count == 0;
        if (is_idle && client->state == REDIS_CLOSED) {
            redis_client_free(client);
            cluster->node_count--;
            cluster->nodes[i] = cluster->nodes[cluster->node_count];
            cluster->listed[i] = cluster->listed[cluster->node_count];
            continue;
        }
        if (is_idle && client->state == REDIS_READY)
            redis_client_drop(client);
        i++;
    }
}

/* --- errands -------------------------------------------------------------------------------------------- */

static void errand_item(struct redis_request *request, const struct redis_reply *item);
static void errand_done(struct redis_request *request, enum error error);

static struct errand *errand_take(struct redis_cluster *cluster, size_t size)
{
    struct list_node *spare = cluster->spare.next;
    if (size <= ERRAND_TEXT_BYTES && spare != &cluster->spare) {
        list_remove(spare);
        return CONTAINER_OF(spare, struct errand, node);
    }
    size_t capacity = size > ERRAND_TEXT_BYTES ? size : ERRAND_TEXT_BYTES;
    struct errand *errand = malloc(sizeof(*errand) + capacity);
    if (errand == NULL)
        return NULL;
    errand->capacity = capacity;
    list_init(&errand->node);
    return errand;
}

/* With a copy of the command, for it may have to be sent again when the caller's is gone. */
static struct errand *errand_open(struct redis_cluster *cluster, const struct redis_command *command)
{
    size_t size = 0;
    for (unsigned i = 0; i < command->word_count; i++)
        size += command->words[i].size;
    struct errand *errand = cluster->errand_count < REDIS_ERRANDS_MAX ? errand_take(cluster, size) : NULL;
    if (errand == NULL)
        return NULL;
    errand->request = (struct redis_request){ .done = errand_done, .item = errand_item };
    errand->cluster = cluster;
    errand->slot = redis_slot_of(command->words[1]);
    errand->next = NULL;
    errand->asks = errand->tries_again = errand->refused = false;
    errand->redirections = 0;
    errand->waits_since_ms = 0;
    errand->command.word_count = command->word_count;
    char *text = errand->text;
    for (unsigned i = 0; i < command->word_count; i++) {
        struct slice word = command->words[i];
        if (word.size > 0)
            memcpy(text, word.data, word.size);
        errand->command.words[i] = (struct slice){ text, word.size };
        text += word.size;
    }
    cluster->errand_count++;
    return errand;
}

static void errand_close(struct errand *errand)
{
    list_remove(&errand->node);
    errand->cluster->errand_count--;
    if (errand->capacity > ERRAND_TEXT_BYTES)
        free(errand);
    else
        list_append(&errand->cluster->spare, &errand->node);
}

static void finish(struct errand *errand, enum error error)
{
    struct redis_request *parent = errand->parent;
    if (parent && errand->refused)
        parent->refused = true;
    errand_close(errand);
    if (parent == NULL)
        return;
    if (parent->part_error == ERROR_OK)
        parent->part_error = error;
    if (--parent->part_count > 0)
        return;
    if (parent->part_error == ERROR_OK && parent->refused)
        parent->part_error = ERROR_INVALID;
    parent->done(parent, parent->part_error);
}

static void wait_for_map(struct errand *errand)
{
    struct redis_cluster *cluster = errand->cluster;
    errand->waits_since_ms = cluster->shard->now_ms;
    list_remove(&errand->node);
    list_append(&cluster->waiting, &errand->node);
    if (!timer_is_armed(&cluster->timer))
        timer_arm(&cluster->shard->timers, &cluster->timer, cluster->shard->now_ms + REDIS_TRY_AGAIN_MS);
}

/* Sends it where it belongs, or has it wait for a map. An error: it went nowhere. */
static enum error dispatch(struct errand *errand)
{
    struct redis_cluster *cluster = errand->cluster;
    struct redis_client *to = errand->next ? errand->next : cluster->slots[errand->slot];
    if (to == NULL) {
        bool may_wait = !cluster->is_mapped && !cluster->is_broken;
        mark_stale(cluster);
        if (may_wait && cluster->asked)
            wait_for_map(errand);
        return may_wait && cluster->asked ? ERROR_OK : ERROR_CLOSED;
    }
    struct redis_command commands[2] = { { { SLICE("ASKING") }, 1 }, errand->command };
    errand->complaint = REDIS_OTHER_ERROR;
    errand->refused = false;
    errand->sent_to = to;
    enum error error =
        redis_send(to, &errand->request, errand->asks ? commands : &commands[1], errand->asks ? 2 : 1);
    if (error != ERROR_OK) {
        mark_stale(cluster);
        return error;
    }
    list_remove(&errand->node);
    list_append(&cluster->under_way, &errand->node);
    return ERROR_OK;
}

static void dispatch_again(struct errand *errand)
{
    enum error error = dispatch(errand);
    if (error != ERROR_OK)
        finish(errand, error);
}

/* --- what nodes say ------------------------------------------------------------------------------------- */

/* Where MOVED or ASK leads. A name that no known node has stands for the fresh map. */
static struct redis_client *find_redirected(struct errand *errand, const struct redis_redirect *redirect)
{
    struct redis_cluster *cluster = errand->cluster;
    struct redis_server server = redirect->server;
    struct address address;
    if (server.host.size == 0)
        server.host = errand->sent_to->server.host;
    else if (server.host.data[0] != '[' && !address_parse(server.host, 0, &address))
        return NULL;
    uint32_t index = node_at(cluster, &server);
    return index < REDIS_NODES_MAX ? cluster->nodes[index] : NULL;
}

static void take_complaint(struct errand *errand, struct slice text)
{
    struct redis_redirect redirect = redis_redirect_parse(text);
    errand->complaint = redirect.complaint;
    errand->refused = true;
    if (redirect.complaint != REDIS_MOVED && redirect.complaint != REDIS_ASK)
        return;
    errand->asks = redirect.complaint == REDIS_ASK;
    errand->next = find_redirected(errand, &redirect);
    if (!errand->asks && redirect.slot == errand->slot && errand->next)
        errand->cluster->slots[errand->slot] = errand->next;
}

/* The reply to ASKING says nothing, unless it is the only one that is refused. */
static void errand_item(struct redis_request *request, const struct redis_reply *item)
{
    struct errand *errand = CONTAINER_OF(request, struct errand, request);
    if (item->kind == REDIS_ERROR) {
        take_complaint(errand, item->text);
        return;
    }
    if (errand->asks && request->value_count == 0)
        return;
    bool is_good = item->kind == REDIS_STATUS || item->kind == REDIS_NIL || item->is_number;
    errand->refused |= !is_good;
    if (errand->parent)
        errand->parent->values[errand->index] = item->kind == REDIS_NIL ? REDIS_VALUE_NIL : item->integer;
}

static void follow(struct errand *errand)
{
    if (errand->complaint != REDIS_ASK)
        mark_stale(errand->cluster);
    if (errand->redirections++ >= errand->cluster->target.redirections_max) {
        finish(errand, ERROR_LIMIT);
        return;
    }
    errand->tries_again = errand->complaint == REDIS_TRY_AGAIN;
    if (errand->tries_again || errand->next == NULL)
        wait_for_map(errand);
    else
        dispatch_again(errand);
}

static void errand_done(struct redis_request *request, enum error error)
{
    struct errand *errand = CONTAINER_OF(request, struct errand, request);
    if (error != ERROR_OK) {
        mark_stale(errand->cluster);
        finish(errand, error);
        return;
    }
    switch (errand->complaint) {
    case REDIS_MOVED:
    case REDIS_ASK:
    case REDIS_TRY_AGAIN: follow(errand); return;
    case REDIS_CLUSTER_DOWN:
    case REDIS_READ_ONLY: mark_stale(errand->cluster); break;
    case REDIS_OTHER_ERROR: break;
    }
    finish(errand, ERROR_OK);
}

/* --- the map -------------------------------------------------------------------------------------------- */

static bool take_range(void *owner, const struct redis_slot_range *range)
{
    struct redis_cluster *cluster = owner;
    struct redis_server server = { { range->host, range->host_size }, range->port };
    if (server.host.size == 0)
        server.host = cluster->asked->server.host;
    uint32_t index = node_at(cluster, &server);
    if (index == REDIS_NODES_MAX)
        return true; /* its slots have nobody */
    cluster->listed[index] = true;
    for (unsigned slot = range->first; slot <= range->last; slot++)
        cluster->fresh[slot] = cluster->nodes[index];
    return true;
}

/* All that waited goes where it belongs, or with an error nowhere. */
static void end_waiting(struct redis_cluster *cluster, enum error error)
{
    struct list_node list;
    list_init(&list);
    list_move_all(&list, &cluster->waiting);
    while (!list_is_empty(&list)) {
        struct errand *errand = CONTAINER_OF(list.next, struct errand, node);
        list_remove(&errand->node);
        errand->next = NULL;
        errand->asks = false;
        if (error == ERROR_OK)
            dispatch_again(errand);
        else
            finish(errand, error);
    }
}

static void ask_next(struct redis_cluster *cluster)
{
    struct redis_command command = { { SLICE("CLUSTER"), SLICE("SLOTS") }, 2 };
    while (cluster->asked_count < cluster->node_count) {
        uint32_t index = (cluster->asked_first + cluster->asked_count++) % cluster->node_count;
        memset(cluster->fresh, 0, sizeof(cluster->fresh));
        memset(cluster->listed, 0, sizeof(cluster->listed));
        redis_slots_init(&cluster->reader, take_range, cluster);
        cluster->is_garbled = false;
        cluster->asked = cluster->nodes[index];
        if (redis_send(cluster->asked, &cluster->request, &command, 1) == ERROR_OK)
            return;
    }
    cluster->asked = NULL;
    cluster->is_broken = !cluster->is_mapped;
    cluster->gives_up = true; /* later: this may be inside of somebody's request */
    timer_arm(&cluster->shard->timers, &cluster->timer, cluster->shard->now_ms + 1);
}

static void map_item(struct redis_request *request, const struct redis_reply *item)
{
    struct redis_cluster *cluster = CONTAINER_OF(request, struct redis_cluster, request);
    if (!cluster->is_garbled && !redis_slots_feed(&cluster->reader, item))
        cluster->is_garbled = true;
}

static bool is_map_empty(const struct redis_cluster *cluster)
{
    for (unsigned slot = 0; slot < REDIS_SLOT_COUNT; slot++)
        if (cluster->fresh[slot])
            return false;
    return true;
}

static void map_done(struct redis_request *request, enum error error)
{
    struct redis_cluster *cluster = CONTAINER_OF(request, struct redis_cluster, request);
    if (error != ERROR_OK || cluster->is_garbled || !cluster->reader.complete || is_map_empty(cluster)) {
        ask_next(cluster);
        return;
    }
    cluster->asked_first = (cluster->asked_first + cluster->asked_count - 1) % cluster->node_count;
    cluster->asked = NULL;
    cluster->is_mapped = true;
    cluster->is_broken = false;
    memcpy(cluster->slots, cluster->fresh, sizeof(cluster->slots));
    end_waiting(cluster, ERROR_OK);
    retire_nodes(cluster);
}

static void read_map(struct redis_cluster *cluster)
{
    cluster->is_stale = false;
    cluster->refreshed_ms = cluster->shard->now_ms;
    cluster->asked_count = 0;
    ask_next(cluster);
}

/* A reading that is under way may have begun before the change: another follows it. */
static void mark_stale(struct redis_cluster *cluster)
{
    struct shard *shard = cluster->shard;
    uint64_t due_ms = cluster->refreshed_ms + REDIS_REFRESH_MS, soon_ms = shard->now_ms + REDIS_TRY_AGAIN_MS;
    cluster->is_stale = true;
    if (cluster->asked == NULL && (cluster->refreshed_ms == 0 || due_ms <= shard->now_ms))
        read_map(cluster);
    else if (!timer_is_armed(&cluster->timer))
        timer_arm(&shard->timers, &cluster->timer, due_ms > soon_ms ? due_ms : soon_ms);
}

/* Errands that may try again do, those that have waited for too long end. */
static void check_waiting(struct redis_cluster *cluster)
{
    uint64_t now_ms = cluster->shard->now_ms;
    uint64_t patience_ms = (uint64_t)cluster->target.connect_ms + cluster->target.reply_ms;
    struct list_node list;
    list_init(&list);
    list_move_all(&list, &cluster->waiting);
    while (!list_is_empty(&list)) {
        struct errand *errand = CONTAINER_OF(list.next, struct errand, node);
        list_remove(&errand->node);
        if (errand->tries_again)
            dispatch_again(errand);
        else if (now_ms - errand->waits_since_ms >= patience_ms)
            finish(errand, ERROR_TIMEOUT);
        else
            list_append(&cluster->waiting, &errand->node);
    }
}

static void cluster_due(struct timer *timer)
{
    struct redis_cluster *cluster = CONTAINER_OF(timer, struct redis_cluster, timer);
    if (cluster->gives_up)
        end_waiting(cluster, ERROR_CLOSED);
    cluster->gives_up = false;
    check_waiting(cluster);
    if (cluster->is_stale)
        mark_stale(cluster);
    if (!list_is_empty(&cluster->waiting) && !timer_is_armed(timer))
        timer_arm(&cluster->shard->timers, timer, cluster->shard->now_ms + REDIS_TRY_AGAIN_MS);
}

/* --- requests ------------------------------------------------------------------------------------------- */

enum error redis_cluster_send(struct redis_cluster *cluster, struct redis_request *request,
                              const struct redis_command *commands, unsigned command_count)
{
    enum error error = ERROR_OK;
    unsigned sent = 0;
    if (request) {
        request->value_count = command_count;
        request->refused = false;
        request->part_count = command_count;
        request->part_error = ERROR_OK;
    }
    for (unsigned i = 0; i < command_count; i++) {
        struct errand *errand = errand_open(cluster, &commands[i]);
        if (errand) {
            errand->parent = request;
            errand->index = i;
        }
        enum error one = errand ? dispatch(errand) : ERROR_LIMIT;
        sent += one == ERROR_OK;
        if (one == ERROR_OK)
            continue;
        if (errand)
            errand_close(errand);
        error = one;
        if (request)
            request->part_count--;
    }
    if (request)
        request->part_error = error;
    return sent > 0 ? ERROR_OK : error;
}

bool redis_cluster_is_down(const struct redis_cluster *cluster)
{
    return cluster->is_broken;
}

/* --- opening and closing -------------------------------------------------------------------------------- */

struct redis_cluster *redis_cluster_open(struct shard *shard, const struct redis_target *target,
                                         redis_connect_fn *connect)
{
    struct redis_cluster *cluster = calloc(1, sizeof(*cluster));
    if (cluster == NULL)
        return NULL;
    cluster->shard = shard;
    cluster->connect = connect;
    cluster->target = *target;
    cluster->request = (struct redis_request){ .done = map_done, .item = map_item };
    timer_init(&cluster->timer, cluster_due);
    list_init(&cluster->waiting);
    list_init(&cluster->under_way);
    list_init(&cluster->spare);
    bool enough = true;
    for (uint32_t i = 0; i < target->server_count; i++)
        enough = node_at(cluster, &target->servers[i]) < REDIS_NODES_MAX && enough;
    cluster->configured_count = cluster->node_count;
    if (enough)
        return cluster;
    redis_cluster_close(cluster);
    return NULL;
}

static void free_errands(struct list_node *list)
{
    while (!list_is_empty(list)) {
        struct errand *errand = CONTAINER_OF(list->next, struct errand, node);
        list_remove(&errand->node);
        free(errand);
    }
}

void redis_cluster_close(struct redis_cluster *cluster)
{
    timer_disarm(&cluster->shard->timers, &cluster->timer);
    free_errands(&cluster->waiting);
    free_errands(&cluster->under_way);
    free_errands(&cluster->spare);
    for (uint32_t i = 0; i < cluster->node_count; i++)
        redis_client_free(cluster->nodes[i]);
    free(cluster);
}
