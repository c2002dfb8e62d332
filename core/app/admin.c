/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/admin.h"

#include "core/app/admin_audit.h"
#include "core/app/admin_connection.h"
#include "core/app/handover.h"
#include "core/app/tls_setup.h"
#include "tls/tls_crypto.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { ACCEPT_PAUSE_MS = 100 /* after the kernel had no descriptor or memory */ };

struct admin_listener {
    int fd;
    bool ssl;
    enum admin_side side;
};

struct admin {
    struct admin_node node;
    pthread_t thread;
    int stop_fd;
    struct admin_listener listeners[ADMIN_LISTENERS_MAX];
    unsigned listener_count;
    struct admin_connection **connections;
    unsigned connection_count, connections_max;
    struct pollfd *polls; /* the stop descriptor, the listeners, the connections */
    uint64_t accept_after_ms;
};

/* --- the thread ----------------------------------------------------------------------------------------- */

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool begin_tls(const struct admin *admin, struct admin_connection *connection)
{
    bool admins = connection->side == ADMIN_SIDE_ADMIN;
    struct tls_server *server =
        tls_setup_take(admin->node.source.tls, admins ? TLS_LISTENER_ADMIN : TLS_LISTENER_STATUS);
    if (server)
        connection->tls = tls_socket_open(server, connection->fd);
    tls_server_release(server);
    return connection->tls != NULL;
}

static struct pollfd poll_of(const struct admin_connection *connection)
{
    bool writing = connection->state == ADMIN_WRITING;
    return (struct pollfd){ .fd = connection->fd, .events = writing ? POLLOUT : POLLIN };
}

static bool is_full(const struct admin *admin)
{
    return admin->connection_count == admin->connections_max;
}

/* What has just come in is not lost. */
static bool may_be_closed(const struct admin_connection *connection, uint64_t now_ms)
{
    struct pollfd one = poll_of(connection);
    return now_ms >= admin_connection_yields_ms(connection) && poll(&one, 1, 0) == 0;
}

/* An idle one before one that is stalled, then the one for longest. */
static bool is_before(const struct admin_connection *connection, const struct admin_connection *other)
{
    bool idle = admin_connection_is_idle(connection);
    if (idle != admin_connection_is_idle(other))
        return idle;
    return connection->moved_ms < other->moved_ms;
}

/* Where the one is that makes room for another; NULL: nobody may be closed yet. */
static struct admin_connection **find_victim(const struct admin *admin, uint64_t now_ms)
{
    struct admin_connection **victim = NULL;
    for (unsigned i = 0; i < admin->connection_count; i++) {
        struct admin_connection *one = admin->connections[i];
        if ((victim == NULL || is_before(one, *victim)) && may_be_closed(one, now_ms))
            victim = &admin->connections[i];
    }
    return victim;
}

static void evict(struct admin *admin, struct admin_connection **victim)
{
    admin_connection_free(*victim);
    *victim = admin->connections[--admin->connection_count];
    admin->node.counters.evicted++;
}

static void accept_clients(struct admin *admin, const struct admin_listener *listener, uint64_t now_ms)
{
    for (;;) {
        struct admin_connection **victim = is_full(admin) ? find_victim(admin, now_ms) : NULL;
        if (is_full(admin) && victim == NULL)
            return;
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                admin->accept_after_ms = now_ms + ACCEPT_PAUSE_MS;
            return;
        }
        if (victim)
            evict(admin, victim);
        struct admin_connection *connection = admin_connection_open(&admin->node, fd, listener->side, now_ms);
        if (connection && listener->ssl && !begin_tls(admin, connection)) {
            admin_connection_free(connection);
            connection = NULL;
        }
        if (connection)
            admin->connections[admin->connection_count++] = connection;
    }
}

static void serve_clients(struct admin *admin, const struct pollfd *polls, unsigned count, uint64_t now_ms)
{
    bool many = admin->connection_count >= admin->connections_max - admin->connections_max / 4;
    enum admin_keep keep = many ? ADMIN_CLOSE_AFTER : ADMIN_KEEP_OPEN;
    for (unsigned i = 0; i < count; i++) {
        struct admin_connection *connection = admin->connections[i];
        if (polls[i].revents)
            admin_connection_step(connection, now_ms, keep);
        if (now_ms >= connection->deadline_ms)
            connection->state = ADMIN_CLOSED;
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < count; i++) {
        if (admin->connections[i]->state == ADMIN_CLOSED)
            admin_connection_free(admin->connections[i]);
        else
            admin->connections[kept++] = admin->connections[i];
    }
    admin->connection_count = kept;
}

/* When there is room for one more: 0: now. */
static uint64_t room_ms(const struct admin *admin)
{
    uint64_t first_ms = is_full(admin) ? UINT64_MAX : 0;
    for (unsigned i = 0; i < admin->connection_count && first_ms > 0; i++)
        if (admin_connection_yields_ms(admin->connections[i]) < first_ms)
            first_ms = admin_connection_yields_ms(admin->connections[i]);
    return first_ms;
}

static void fill_polls(const struct admin *admin, uint64_t now_ms)
{
    struct pollfd *polls = admin->polls;
    bool accepting = now_ms >= admin->accept_after_ms && now_ms >= room_ms(admin);
    polls[0] = (struct pollfd){ .fd = admin->stop_fd, .events = POLLIN };
    for (unsigned i = 0; i < admin->listener_count; i++)
        polls[1 + i] = (struct pollfd){ .fd = accepting ? admin->listeners[i].fd : -1, .events = POLLIN };
    struct pollfd *clients = polls + 1 + admin->listener_count;
    for (unsigned i = 0; i < admin->connection_count; i++)
        clients[i] = poll_of(admin->connections[i]);
}

static int wait_ms(const struct admin *admin, uint64_t now_ms)
{
    uint64_t wake_ms = admin->accept_after_ms > now_ms ? admin->accept_after_ms : UINT64_MAX;
    uint64_t roomy_ms = room_ms(admin);
    if (roomy_ms > now_ms && roomy_ms < wake_ms)
        wake_ms = roomy_ms;
    for (unsigned i = 0; i < admin->connection_count; i++)
        if (admin->connections[i]->deadline_ms < wake_ms)
            wake_ms = admin->connections[i]->deadline_ms;
    if (wake_ms == UINT64_MAX)
        return -1;
    return wake_ms > now_ms ? (int)(wake_ms - now_ms) : 0;
}

/* Shards have the cores for themselves as far as they need them: whoever asks here can wait. */
static void yield_to_shards(void)
{
    enum { NICENESS = 10 };
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
}

static void *serve(void *argument)
{
    struct admin *admin = argument;
    yield_to_shards();
    struct pollfd *polls = admin->polls;
    for (;;) {
        uint64_t now_ms = clock_ms();
        unsigned count = admin->connection_count;
        fill_polls(admin, now_ms);
        if (poll(polls, 1 + admin->listener_count + count, wait_ms(admin, now_ms)) < 0)
            continue; /* interrupted, or the kernel was short of memory for a moment */
        if (polls[0].revents) {
            tls_crypto_leave_thread();
            return NULL;
        }
        now_ms = clock_ms();
        serve_clients(admin, polls + 1 + admin->listener_count, count, now_ms);
        for (unsigned i = 0; i < admin->listener_count; i++)
            if (polls[1 + i].revents)
                accept_clients(admin, &admin->listeners[i], now_ms);
        admin->node.counters.connections = admin->connection_count;
    }
}

/* --- start and stop ------------------------------------------------------------------------------------- */

/* Without SO_REUSEPORT, unlike the shards' sockets: a second process on the same port is a mistake. */
static int bind_listener(const struct address *address, int backlog)
{
    int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, &address->any, address->size) != 0 || listen(fd, backlog > 0 ? backlog : 64) != 0) {
        int failure = errno;
        close(fd);
        errno = failure;
        return -1;
    }
    return fd;
}

/* NULL, or what is wrong. */
static const char *open_listener(struct admin *admin, const struct listener_setting *setting,
                                 enum admin_side side)
{
    struct address address;
    if (admin->listener_count == ADMIN_LISTENERS_MAX)
        return "too many listeners";
    if (!address_parse(setting->address, setting->port, &address))
        return "not a numeric address";
    int fd = handover_take(&address);
    if (fd < 0)
        fd = bind_listener(&address, setting->backlog);
    if (fd < 0)
        return strerror(errno);
    admin->listeners[admin->listener_count++] = (struct admin_listener){ fd, setting->ssl, side };
    return NULL;
}

static bool open_listeners(struct admin *admin, const struct listener_settings *settings,
                           enum admin_side side, const char **reason)
{
    static char text[256]; /* of the control thread, until the next start */
    for (uint32_t i = 0; i < settings->count; i++) {
        const struct listener_setting *setting = &settings->items[i];
        const char *failure = open_listener(admin, setting, side);
        if (failure) {
            snprintf(text, sizeof(text), "%s %.*s:%u: %s",
                     side == ADMIN_SIDE_ADMIN ? "admin_listen" : "status_listen",
                     SLICE_FORMAT(setting->address), setting->port, failure);
            *reason = text;
            return false;
        }
    }
    return true;
}

static void release(struct admin *admin)
{
    for (unsigned i = 0; i < admin->connection_count; i++)
        admin_connection_free(admin->connections[i]);
    for (unsigned i = 0; i < admin->listener_count; i++)
        close(admin->listeners[i].fd);
    if (admin->stop_fd >= 0)
        close(admin->stop_fd);
    admin_ui_free(admin->node.ui);
    admin_audit_close(&admin->node);
    free(admin->connections);
    free(admin->polls);
    free(admin);
}

/* Signals are the control thread's. */
static bool start_thread(struct admin *admin, const char **reason)
{
    sigset_t all, before;
    admin->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (admin->stop_fd < 0) {
        *reason = strerror(errno);
        return false;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&admin->thread, NULL, serve, admin);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        *reason = strerror(failure);
    else
        pthread_setname_np(admin->thread, "sluice-admin");
    return failure == 0;
}

static bool make_tables(struct admin *admin)
{
    size_t most = (size_t)admin->node.settings->admin_connections_max;
    admin->connections_max = (unsigned)most;
    admin->connections = calloc(most, sizeof(struct admin_connection *));
    admin->polls = calloc(1 + ADMIN_LISTENERS_MAX + most, sizeof(struct pollfd));
    return admin->connections && admin->polls;
}

bool admin_start(struct admin **out, const struct settings *settings, const struct admin_source *source,
                 const char **reason)
{
    *out = NULL;
    if (settings->admin_listeners.count == 0 && settings->status_listeners.count == 0)
        return true;
    struct admin *admin = calloc(1, sizeof(*admin));
    if (admin == NULL) {
        *reason = "out of memory";
        return false;
    }
    admin->stop_fd = -1;
    admin->node =
        (struct admin_node){ .settings = settings, .source = *source, .ui = admin_ui_open(), .audit_fd = -1 };
    uuid_random(NULL, admin->node.id);
    if (gethostname(admin->node.hostname, sizeof(admin->node.hostname) - 1) != 0)
        admin->node.hostname[0] = '\0';
    *reason = "out of memory";
    if (admin->node.ui == NULL || !make_tables(admin) || !admin_audit_open(&admin->node, reason) ||
        !open_listeners(admin, &settings->admin_listeners, ADMIN_SIDE_ADMIN, reason) ||
        !open_listeners(admin, &settings->status_listeners, ADMIN_SIDE_STATUS, reason) ||
        !start_thread(admin, reason)) {
        release(admin);
        return false;
    }
    *out = admin;
    return true;
}

uint32_t admin_sockets(const struct admin *admin, int *fds)
{
    for (unsigned i = 0; admin && i < admin->listener_count; i++)
        fds[i] = admin->listeners[i].fd;
    return admin ? admin->listener_count : 0;
}

void admin_stop(struct admin *admin)
{
    if (admin == NULL)
        return;
    uint64_t one = 1;
    ssize_t written = write(admin->stop_fd, &one, sizeof(one));
    CHECK(written == sizeof(one)); /* a fresh counter always takes it */
    pthread_join(admin->thread, NULL);
    release(admin);
}
