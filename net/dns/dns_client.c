/* SPDX-License-Identifier: Apache-2.0 */
#define CARES_NO_DEPRECATED /* newer headers warn of what 1.18 does not have a successor for */
#include "net/dns/dns_client.h"

#include <ares.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/time.h>

enum { CLASS_INTERNET = 1, ANSWER_BYTES = 1024 * 1024 };

/* A socket of c-ares, which closes it and says so by wanting nothing any more. */
struct dns_socket {
    struct list_node node;
    struct op op;
    struct dns_client *client;
    int fd;
    short wanted; /* poll events */
    bool processing, gone;
};

static struct dns_client *client_of(struct dns_server *server)
{
    return CONTAINER_OF(server, struct dns_client, server);
}

/* --- sockets -------------------------------------------------------------------------------------------- */

static void poll_done(struct op *op, int32_t result, uint32_t cqe_flags);

static void poll_socket(struct dns_socket *socket)
{
    struct io_uring_sqe *sqe = ring_prepare(&socket->client->shard->ring);
    io_uring_prep_poll_add(sqe, socket->fd, (unsigned)socket->wanted);
    ring_arm(sqe, &socket->op, poll_done);
}

static void arm_timer(struct dns_client *client)
{
    struct timeval left;
    if (ares_timeout(client->channel, NULL, &left) == NULL) {
        timer_disarm(&client->shard->timers, &client->timer);
        return;
    }
    uint64_t left_ms = (uint64_t)left.tv_sec * 1000 + (uint64_t)(left.tv_usec + 999) / 1000;
    timer_arm(&client->shard->timers, &client->timer, client->shard->now_ms + left_ms + 1);
}

static void poll_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)cqe_flags;
    struct dns_socket *socket = CONTAINER_OF(op, struct dns_socket, op);
    struct dns_client *client = socket->client;
    if (!socket->gone && result > 0) {
        bool readable = result & (POLLIN | POLLERR | POLLHUP), writable = result & (POLLOUT | POLLERR);
        socket->processing = true; /* it may be closed meanwhile */
        ares_process_fd(client->channel, readable ? socket->fd : ARES_SOCKET_BAD,
                        writable ? socket->fd : ARES_SOCKET_BAD);
        socket->processing = false;
        arm_timer(client);
    }
    if (socket->gone) {
        list_remove(&socket->node);
        free(socket);
    } else if ((result > 0 && !(result & POLLNVAL)) || result == -ECANCELED) {
        poll_socket(socket);
    }
}

static struct dns_socket *find_socket(struct dns_client *client, int fd)
{
    for (struct list_node *at = client->sockets.next; at != &client->sockets; at = at->next) {
        struct dns_socket *socket = CONTAINER_OF(at, struct dns_socket, node);
        if (socket->fd == fd)
            return socket;
    }
    return NULL;
}

static void forget_socket(struct dns_socket *socket)
{
    struct dns_client *client = socket->client;
    list_remove(&socket->node);
    socket->gone = true;
    if (client->closing || (!socket->op.armed && !socket->processing)) {
        free(socket);
        return;
    }
    list_append(&client->gone_sockets, &socket->node);
    if (socket->op.armed)
        ring_cancel(&client->shard->ring, &socket->op);
}

/* Called by c-ares whenever it wants something else of a socket. */
static void socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct dns_client *client = data;
    struct dns_socket *socket = find_socket(client, fd);
    short wanted = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
    if (wanted == 0) {
        if (socket)
            forget_socket(socket);
        return;
    }
    if (socket) {
        bool changed = socket->wanted != wanted;
        socket->wanted = wanted;
        if (changed && socket->op.armed)
            ring_cancel(&client->shard->ring, &socket->op); /* and polled for the other then */
        return;
    }
    socket = calloc(1, sizeof(*socket));
    if (socket == NULL)
        return; /* never polled: the question runs into its time limit */
    socket->client = client;
    socket->fd = fd;
    socket->wanted = wanted;
    list_append(&client->sockets, &socket->node);
    poll_socket(socket);
}

/* --- questions ------------------------------------------------------------------------------------------ */

static enum dns_status status_of(int status)
{
    switch (status) {
    case ARES_SUCCESS: return DNS_STATUS_OK;
    case ARES_ENODATA: return DNS_STATUS_NO_DATA;
    case ARES_ENOTFOUND: return DNS_STATUS_NO_NAME;
    case ARES_ETIMEOUT: return DNS_STATUS_TIMEOUT;
    default: return DNS_STATUS_FAILED; /* 1.18 calls a failure of all servers ECONNREFUSED */
    }
}

/* Called by c-ares: nothing is done here that could lead into it again. */
static void answered(void *argument, int status, int timeouts, unsigned char *bytes, int size)
{
    (void)timeouts;
    struct dns_query *query = argument;
    struct dns_client *client = query->client;
    if (client->closing)
        return;
    client->in_flight--;
    query->status = status_of(status);
    if (query->status == DNS_STATUS_OK) {
        struct slice message = { (const char *)bytes, size > 0 ? (size_t)size : 0 };
        if (bytes == NULL || !dns_answer_read(&query->answer, &query->arena, message, query->type))
            query->status = DNS_STATUS_FAILED;
        else if (query->answer.count == 0)
            query->status = DNS_STATUS_NO_DATA;
    }
    list_append(&client->answered, &query->node);
    shard_defer(client->shard, &client->task);
}

static void start_query(struct dns_client *client, struct dns_query *query)
{
    list_remove(&query->node);
    client->in_flight++;
    metric_add(&client->shard->metrics, METRIC_DNS_QUERIES, 1);
    ares_search(client->channel, query->name, CLASS_INTERNET, query->type, answered, query);
}

static void tell(struct dns_client *client, struct dns_query *query)
{
    list_remove(&query->node);
    if (query->status == DNS_STATUS_TIMEOUT || query->status == DNS_STATUS_FAILED)
        metric_add(&client->shard->metrics, METRIC_DNS_FAILURES, 1);
    struct arena arena = query->arena; /* `done` may free or ask again */
    query->done(query);
    arena_deinit(&arena);
}

static enum error open_channel(struct dns_client *client);

/* Without memory the channel of before goes on. */
static void reopen(struct dns_client *client)
{
    struct ares_channeldata *before = client->channel;
    client->refreshing = false;
    client->channel = NULL;
    if (open_channel(client) == ERROR_OK) {
        ares_destroy(before);
        return;
    }
    if (client->channel)
        ares_destroy(client->channel);
    client->channel = before;
}

static void run_task(struct shard_task *task)
{
    struct dns_client *client = CONTAINER_OF(task, struct dns_client, task);
    struct list_node told;
    list_init(&told);
    list_move_all(&told, &client->answered);
    while (!list_is_empty(&told))
        tell(client, CONTAINER_OF(told.next, struct dns_query, node));
    if (client->refreshing && client->in_flight == 0)
        reopen(client);
    while (!client->refreshing && client->in_flight < DNS_IN_FLIGHT_MAX && !list_is_empty(&client->waiting))
        start_query(client, CONTAINER_OF(client->waiting.next, struct dns_query, node));
    arm_timer(client);
}

static void ask(struct dns_server *server, struct dns_query *query)
{
    struct dns_client *client = client_of(server);
    query->client = client;
    query->answer = (struct dns_answer){ 0 };
    arena_init(&query->arena, NULL, 0, ANSWER_BYTES);
    list_init(&query->node);
    list_append(&client->waiting, &query->node);
    shard_defer(client->shard, &client->task);
}

static void time_passed(struct timer *timer)
{
    struct dns_client *client = CONTAINER_OF(timer, struct dns_client, timer);
    ares_process_fd(client->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer(client);
}

/* --- opening and closing -------------------------------------------------------------------------------- */

static enum error open_channel(struct dns_client *client)
{
    const struct dns_client_options *options = &client->options;
    struct ares_options wanted = { .timeout = (int)options->timeout_ms,
                                   .tries = DNS_TRIES,
                                   .sock_state_cb = socket_state,
                                   .sock_state_cb_data = client };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
#ifdef ARES_OPT_QUERY_CACHE
    mask |= ARES_OPT_QUERY_CACHE; /* of 0 seconds: what is asked is asked */
#endif
    if (ares_init_options(&client->channel, &wanted, mask) != ARES_SUCCESS)
        return ERROR_MEMORY;
    if (options->servers && options->servers[0] &&
        ares_set_servers_ports_csv(client->channel, options->servers) != ARES_SUCCESS)
        return ERROR_INVALID;
    return ERROR_OK;
}

enum error dns_client_open(struct dns_client *client, struct shard *shard,
                           const struct dns_client_options *options)
{
    *client = (struct dns_client){ .server = { .ask = ask }, .shard = shard, .options = *options };
    list_init(&client->sockets);
    list_init(&client->gone_sockets);
    list_init(&client->waiting);
    list_init(&client->answered);
    timer_init(&client->timer, time_passed);
    shard_task_init(&client->task, run_task);
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        return ERROR_MEMORY;
    return open_channel(client);
}

void dns_client_refresh(struct dns_client *client)
{
    client->refreshing = true;
    shard_defer(client->shard, &client->task);
}

static void drop_answers(struct list_node *queries)
{
    while (!list_is_empty(queries)) {
        struct dns_query *query = CONTAINER_OF(queries->next, struct dns_query, node);
        list_remove(&query->node);
        arena_deinit(&query->arena);
    }
}

void dns_client_close(struct dns_client *client)
{
    client->closing = true;
    if (client->channel)
        ares_destroy(client->channel);
    client->channel = NULL;
    list_move_all(&client->sockets, &client->gone_sockets);
    while (!list_is_empty(&client->sockets))
        forget_socket(CONTAINER_OF(client->sockets.next, struct dns_socket, node));
    drop_answers(&client->waiting);
    drop_answers(&client->answered);
    list_remove(&client->task.node);
    timer_disarm(&client->shard->timers, &client->timer);
    ares_library_cleanup();
}
