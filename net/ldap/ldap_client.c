/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ldap/ldap_client.h"

#include "net/ldap/ldap_message.h"
#include "net/proxy/resolver.h"

#include <stdlib.h>

enum ldap_state { LDAP_CONNECTING, LDAP_SECURING, LDAP_IDLE, LDAP_BINDING, LDAP_CLOSING };

struct ldap_server {
    struct ldap_server *next; /* of its pool */
    struct shard *shard;
    struct ldap_target target; /* the host is a copy, with a NUL */
    struct list_node connections, idle, waiting; /* idle ones: the last used first */
    uint32_t connection_count, waiting_count;
};

struct ldap_connection {
    struct connection link;
    struct ldap_server *server;
    struct list_node node, idle_node;
    enum ldap_state state;
    struct ldap_bind *bind; /* NULL when idle or closing */
    bool kept; /* has been idle */
    bool heard; /* something came since the last question */
    uint32_t id; /* of the last message sent */
    struct address address;
    struct timer timer; /* of an idle one */
    char *input; /* of an answer that came in pieces; NULL: none */
    size_t input_size;
};

static enum error open_connection(struct ldap_server *server, struct ldap_bind *bind);

/* --- binds ---------------------------------------------------------------------------------------------- */

static void end_bind(struct ldap_bind *bind, enum ldap_outcome outcome)
{
    timer_disarm(&bind->server->shard->timers, &bind->timer);
    bind->connection = NULL;
    bind->done(bind, outcome);
}

static struct ldap_bind *next_in_line(struct ldap_server *server)
{
    if (list_is_empty(&server->waiting))
        return NULL;
    struct ldap_bind *bind = CONTAINER_OF(server->waiting.next, struct ldap_bind, node);
    list_remove(&bind->node);
    server->waiting_count--;
    return bind;
}

/* --- the end of connections ----------------------------------------------------------------------------- */

static void forget_input(struct ldap_connection *connection)
{
    free(connection->input);
    connection->input = NULL;
    connection->input_size = 0;
}

/* A kept connection that the directory has closed meanwhile says nothing about the bind: it is asked once
 * more. */
static void lose(struct ldap_connection *connection)
{
    struct ldap_bind *bind = connection->bind;
    if (connection->state == LDAP_CLOSING)
        return;
    bool again = bind && connection->kept && !connection->heard && !bind->repeated;
    connection->state = LDAP_CLOSING;
    connection->bind = NULL;
    list_remove(&connection->idle_node);
    timer_disarm(&connection->server->shard->timers, &connection->timer);
    forget_input(connection);
    stream_close(connection->link.stream);
    if (bind == NULL)
        return;
    bind->repeated = again;
    if (!again || open_connection(connection->server, bind) != ERROR_OK)
        end_bind(bind, LDAP_FAILED);
}

static void ldap_closed(struct stream *stream)
{
    struct ldap_connection *connection = stream->owner;
    struct ldap_server *server = connection->server;
    connection_deinit(&connection->link);
    list_remove(&connection->node);
    free(connection);
    server->connection_count--;
    struct ldap_bind *bind = next_in_line(server);
    if (bind && open_connection(server, bind) != ERROR_OK)
        end_bind(bind, LDAP_FAILED);
}

static void ldap_failed(struct stream *stream, enum error error)
{
    (void)error;
    lose(stream->owner);
}

static void idle_timeout(struct timer *timer)
{
    lose(CONTAINER_OF(timer, struct ldap_connection, timer));
}

static void bind_timeout(struct timer *timer)
{
    struct ldap_bind *bind = CONTAINER_OF(timer, struct ldap_bind, timer);
    struct ldap_connection *connection = bind->connection;
    if (connection == NULL) {
        list_remove(&bind->node);
        bind->server->waiting_count--;
        end_bind(bind, LDAP_FAILED);
        return;
    }
    bind->repeated = true;
    lose(connection);
}

/* --- questions ------------------------------------------------------------------------------------------ */

static struct block *open_request(struct ldap_connection *connection, size_t texts_bytes)
{
    connection->id = connection->id == LDAP_ID_MAX ? 1 : connection->id + 1;
    connection->heard = false;
    return block_open(connection->server->shard->blocks, texts_bytes + LDAP_REQUEST_AROUND);
}

static void send_request(struct ldap_connection *connection, struct block *block, struct slice request)
{
    uint32_t offset = (uint32_t)(request.data - block->data);
    stream_send(connection->link.stream, (struct chunk){ block, offset, (uint32_t)request.size });
}

static void ask(struct ldap_connection *connection, struct ldap_bind *bind)
{
    size_t texts = bind->dn.size + bind->password.size;
    struct block *block = open_request(connection, texts);
    connection->state = LDAP_BINDING;
    connection->bind = bind;
    bind->connection = connection;
    if (block == NULL) { /* nobody is told anything from inside of a call: it is lost in the next turn */
        timer_arm(&connection->server->shard->timers, &bind->timer, connection->server->shard->now_ms + 1);
        return;
    }
    send_request(
        connection, block,
        ldap_write_bind(block->data, texts + LDAP_REQUEST_AROUND, connection->id, bind->dn, bind->password));
}

static void ask_for_tls(struct ldap_connection *connection)
{
    struct block *block = open_request(connection, 0);
    connection->state = LDAP_SECURING;
    if (block == NULL) {
        lose(connection);
        return;
    }
    send_request(connection, block, ldap_write_start_tls(block->data, LDAP_REQUEST_AROUND, connection->id));
}

/* The end of a connect, and then of the handshake of StartTLS. */
static void ldap_opened(struct stream *stream, enum error error)
{
    struct ldap_connection *connection = stream->owner;
    bool clear = connection->link.tls == NULL;
    if (error != ERROR_OK)
        lose(connection);
    else if (clear && connection->server->target.protection == LDAP_STARTS_TLS)
        ask_for_tls(connection);
    else
        ask(connection, connection->bind);
}

/* --- answers -------------------------------------------------------------------------------------------- */

static enum ldap_outcome outcome_of(uint32_t code)
{
    switch (code) {
    case LDAP_CODE_SUCCESS: return LDAP_ACCEPTED;
    case LDAP_CODE_OPERATIONS_ERROR:
    case LDAP_CODE_PROTOCOL_ERROR:
    case LDAP_CODE_TIME_LIMIT:
    case LDAP_CODE_BUSY:
    case LDAP_CODE_UNAVAILABLE:
    case LDAP_CODE_OTHER: return LDAP_FAILED;
    default: return LDAP_REFUSED;
    }
}

static void take_outcome(struct ldap_connection *connection, enum ldap_outcome outcome)
{
    struct ldap_server *server = connection->server;
    struct ldap_bind *bind = connection->bind, *next = next_in_line(server);
    connection->bind = NULL;
    connection->kept = true;
    connection->state = LDAP_IDLE;
    if (next) {
        ask(connection, next);
    } else {
        list_prepend(&server->idle, &connection->idle_node);
        timer_arm(&server->shard->timers, &connection->timer,
                  server->shard->now_ms + server->target.keepalive_ms + 1);
    }
    end_bind(bind, outcome);
}

static struct tls_target tls_target_of(const struct ldap_server *server)
{
    enum tls_own own = server->target.verifies ? TLS_OWN_VERIFIES : TLS_OWN_BELIEVES;
    const char *host = server->target.host.data;
    struct address address;
    bool name = !address_parse(server->target.host, 0, &address);
    return (struct tls_target){ server->shard->tls->options.own[own], name ? host : NULL, host };
}

/* False: the connection is lost. */
static bool take_response(struct ldap_connection *connection, const struct ldap_response *response)
{
    connection->heard = true;
    if (response->id != connection->id)
        return false; /* a notice of disconnection, or nonsense */
    if (connection->state == LDAP_BINDING && response->operation == LDAP_BIND_RESPONSE) {
        take_outcome(connection, outcome_of(response->code));
        return true;
    }
    if (connection->state != LDAP_SECURING || response->operation != LDAP_EXTENDED_RESPONSE ||
        response->code != LDAP_CODE_SUCCESS)
        return false;
    struct tls_target target = tls_target_of(connection->server);
    connection->state = LDAP_CONNECTING;
    return connection_secure(&connection->link, &target) == ERROR_OK;
}

/* False: out of memory, or too long an answer. */
static bool keep_input(struct ldap_connection *connection, struct slice bytes)
{
    if (bytes.size == 0)
        return true;
    if (bytes.size > LDAP_RESPONSE_MAX + LDAP_REQUEST_AROUND - connection->input_size)
        return false;
    char *input = realloc(connection->input, connection->input_size + bytes.size);
    if (input == NULL)
        return false;
    memcpy(input + connection->input_size, bytes.data, bytes.size);
    connection->input = input;
    connection->input_size += bytes.size;
    return true;
}

/* All that is there. Nothing may follow the answer that lets TLS begin: it would have come in the clear. */
static bool take_bytes(struct ldap_connection *connection, struct slice *bytes)
{
    while (bytes->size > 0) {
        struct ldap_response response;
        enum ldap_reading reading = ldap_read_response(*bytes, &response);
        if (reading == LDAP_INCOMPLETE)
            return true;
        if (reading == LDAP_INVALID)
            return false;
        *bytes = slice_from(*bytes, response.bytes);
        if (connection->state == LDAP_SECURING && bytes->size > 0)
            return false;
        if (!take_response(connection, &response))
            return false;
    }
    return true;
}

static bool take_chunk(struct ldap_connection *connection, struct slice received)
{
    if (connection->input == NULL)
        return take_bytes(connection, &received) && keep_input(connection, received);
    if (!keep_input(connection, received))
        return false;
    char *input = connection->input;
    struct slice bytes = { input, connection->input_size };
    connection->input = NULL;
    connection->input_size = 0;
    bool good = take_bytes(connection, &bytes) && keep_input(connection, bytes);
    free(input);
    return good;
}

static void ldap_received(struct stream *stream, struct chunk chunk)
{
    struct ldap_connection *connection = stream->owner;
    bool good =
        chunk.size > 0 && connection->state != LDAP_CLOSING && take_chunk(connection, chunk_slice(&chunk));
    chunk_release(&chunk);
    if (!good)
        lose(connection);
}

static void ldap_writable(struct stream *stream)
{
    (void)stream;
}

static const struct stream_events ldap_events = { .opened = ldap_opened,
                                                  .received = ldap_received,
                                                  .writable = ldap_writable,
                                                  .failed = ldap_failed,
                                                  .closed = ldap_closed };

/* --- connections ---------------------------------------------------------------------------------------- */

static bool find_address(const struct ldap_server *server, struct address *address)
{
    struct sockaddr_storage found;
    socklen_t size;
    if (address_parse(server->target.host, server->target.port, address))
        return true;
    if (!resolver_lookup(server->shard, server->target.host, server->target.port, &found, &size))
        return false;
    CHECK(size <= sizeof(address->v6));
    memcpy(&address->any, &found, size);
    address->size = size;
    return true;
}

static enum error connect_it(struct ldap_connection *connection)
{
    struct ldap_server *server = connection->server;
    struct connection_owner owner = { &ldap_events, connection };
    bool secure = server->target.protection == LDAP_OVER_TLS;
    struct tls_target target = { NULL, NULL, NULL };
    if (secure)
        target = tls_target_of(server);
    if (!find_address(server, &connection->address))
        return ERROR_NAME;
    return connection_connect(&connection->link, server->shard, &owner, &connection->address,
                              secure ? &target : NULL);
}

static enum error open_connection(struct ldap_server *server, struct ldap_bind *bind)
{
    struct ldap_connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return ERROR_MEMORY;
    connection->server = server;
    connection->state = LDAP_CONNECTING;
    timer_init(&connection->timer, idle_timeout);
    list_init(&connection->idle_node);
    enum error error = connect_it(connection);
    if (error != ERROR_OK) {
        free(connection);
        return error;
    }
    list_append(&server->connections, &connection->node);
    server->connection_count++;
    connection->bind = bind;
    bind->connection = connection;
    return ERROR_OK;
}

/* Of those that wait idle. */
static struct ldap_connection *take_idle(struct ldap_server *server)
{
    if (list_is_empty(&server->idle))
        return NULL;
    struct ldap_connection *connection = CONTAINER_OF(server->idle.next, struct ldap_connection, idle_node);
    list_remove(&connection->idle_node);
    timer_disarm(&server->shard->timers, &connection->timer);
    return connection;
}

static enum error join_line(struct ldap_server *server, struct ldap_bind *bind)
{
    if (server->waiting_count == LDAP_WAITING_MAX)
        return ERROR_LIMIT;
    list_append(&server->waiting, &bind->node);
    server->waiting_count++;
    return ERROR_OK;
}

enum error ldap_bind_start(struct ldap_server *server, struct ldap_bind *bind)
{
    CHECK(bind->password.size > 0);
    enum error error = ERROR_OK;
    bind->server = server;
    bind->connection = NULL;
    bind->repeated = false;
    list_init(&bind->node);
    timer_init(&bind->timer, bind_timeout);
    struct ldap_connection *idle = take_idle(server);
    if (idle == NULL)
        error = server->connection_count < LDAP_CONNECTIONS_MAX ? open_connection(server, bind)
                                                                : join_line(server, bind);
    if (error != ERROR_OK)
        return error;
    timer_arm(&server->shard->timers, &bind->timer, server->shard->now_ms + server->target.timeout_ms + 1);
    if (idle)
        ask(idle, bind);
    return ERROR_OK;
}

/* --- the pool ------------------------------------------------------------------------------------------- */

static bool target_equal(const struct ldap_target *a, const struct ldap_target *b)
{
    return a->port == b->port && a->protection == b->protection && a->verifies == b->verifies &&
           a->timeout_ms == b->timeout_ms && a->keepalive_ms == b->keepalive_ms &&
           slice_equal(a->host, b->host);
}

static struct ldap_server *server_open(struct shard *shard, const struct ldap_target *target)
{
    struct ldap_server *server = calloc(1, sizeof(*server));
    char *host = malloc(target->host.size + 1);
    if (server == NULL || host == NULL) {
        free(server);
        free(host);
        return NULL;
    }
    memcpy(host, target->host.data, target->host.size);
    host[target->host.size] = '\0';
    server->shard = shard;
    server->target = *target;
    server->target.host.data = host;
    list_init(&server->connections);
    list_init(&server->idle);
    list_init(&server->waiting);
    return server;
}

struct ldap_server *ldap_pool_find(struct ldap_pool *pool, struct shard *shard,
                                   const struct ldap_target *target)
{
    struct ldap_server *server = pool->first;
    while (server && !target_equal(&server->target, target))
        server = server->next;
    if (server)
        return server;
    server = server_open(shard, target);
    if (server) {
        server->next = pool->first;
        pool->first = server;
    }
    return server;
}

static void drop_connections(struct ldap_server *server)
{
    while (!list_is_empty(&server->connections)) {
        struct ldap_connection *connection =
            CONTAINER_OF(server->connections.next, struct ldap_connection, node);
        if (connection->bind)
            timer_disarm(&server->shard->timers, &connection->bind->timer);
        timer_disarm(&server->shard->timers, &connection->timer);
        list_remove(&connection->node);
        forget_input(connection);
        connection_abandon(&connection->link);
        free(connection);
    }
}

void ldap_pool_close(struct ldap_pool *pool)
{
    while (pool->first) {
        struct ldap_server *server = pool->first;
        struct ldap_bind *bind;
        pool->first = server->next;
        drop_connections(server);
        while ((bind = next_in_line(server)) != NULL)
            timer_disarm(&server->shard->timers, &bind->timer);
        free((void *)(uintptr_t)server->target.host.data);
        free(server);
    }
}
