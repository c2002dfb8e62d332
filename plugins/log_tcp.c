/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/log_tcp.h"

#include "net/proxy/proxy.h"
#include "net/transport/connection.h"

#include <stdlib.h>

/* Lives until its stream is closed, its settings may be gone by then. */
struct log_link {
    struct list_node node; /* of the queues */
    struct connection connection;
    struct address address;
    struct shard *shard;
    struct log_tcp_settings *settings; /* NULL: given up */
    struct log_batch *batch; /* being sent; NULL: none */
    struct timer timer; /* the limit of what is being done, or of being idle */
    bool open;
};

static void give_up(struct log_link *link)
{
    struct log_batch *batch = link->batch;
    if (link->settings == NULL)
        return;
    link->settings->link = NULL;
    link->settings = NULL;
    link->batch = NULL;
    timer_disarm(&link->shard->timers, &link->timer);
    stream_close(link->connection.stream);
    if (batch)
        log_batch_done(batch, LOG_FAILED);
}

static void timer_fired(struct timer *timer)
{
    struct log_link *link = CONTAINER_OF(timer, struct log_link, timer);
    if (link->settings)
        give_up(link);
    else
        stream_close(link->connection.stream);
}

/* --- sending -------------------------------------------------------------------------------------------- */

static bool queue_entries(struct log_link *link, const struct log_batch *batch)
{
    struct block *block = block_open(link->shard->blocks, batch->bytes + batch->count);
    if (block == NULL)
        return false;
    for (const struct log_entry *entry = batch->first; entry; entry = entry->next) {
        memcpy(block->data + block->used, entry->data, entry->size);
        block->used += entry->size;
        block->data[block->used++] = '\n';
    }
    stream_send(link->connection.stream, (struct chunk){ block, 0, block->used });
    return true;
}

static void send_batch(struct log_link *link)
{
    timer_arm(&link->shard->timers, &link->timer, link->shard->now_ms + link->settings->timeout_ms);
    if (!queue_entries(link, link->batch))
        give_up(link);
}

static void finish_batch(struct log_link *link)
{
    struct log_batch *batch = link->batch;
    link->batch = NULL;
    if (link->settings->keep_ms > 0) {
        timer_arm(&link->shard->timers, &link->timer, link->shard->now_ms + link->settings->keep_ms);
    } else {
        stream_finish(link->connection.stream);
        timer_arm(&link->shard->timers, &link->timer, link->shard->now_ms + link->settings->timeout_ms);
        link->settings->link = NULL;
        link->settings = NULL; /* it ends when the receiver has read all */
    }
    log_batch_done(batch, LOG_DELIVERED);
}

/* --- events --------------------------------------------------------------------------------------------- */

static void on_opened(struct stream *stream, enum error error)
{
    struct log_link *link = stream->owner;
    if (link->settings == NULL)
        return;
    if (error != ERROR_OK) {
        give_up(link);
        return;
    }
    link->open = true;
    send_batch(link);
}

/* Receivers have nothing to say but that they end. */
static void on_received(struct stream *stream, struct chunk chunk)
{
    struct log_link *link = stream->owner;
    bool ends = chunk.size == 0;
    chunk_release(&chunk);
    if (!ends)
        return;
    if (link->settings) {
        give_up(link);
        return;
    }
    timer_disarm(&link->shard->timers, &link->timer);
    stream_close(stream);
}

static void on_writable(struct stream *stream)
{
    struct log_link *link = stream->owner;
    if (link->settings && link->batch && link->open && stream->queued_bytes == 0)
        finish_batch(link);
}

static void on_failed(struct stream *stream, enum error error)
{
    struct log_link *link = stream->owner;
    (void)error;
    if (link->settings) {
        give_up(link);
        return;
    }
    timer_disarm(&link->shard->timers, &link->timer);
    stream_close(stream);
}

static void on_closed(struct stream *stream)
{
    struct log_link *link = stream->owner;
    timer_disarm(&link->shard->timers, &link->timer);
    list_remove(&link->node);
    connection_deinit(&link->connection);
    free(link);
}

void log_tcp_abandon(struct list_node *node)
{
    struct log_link *link = CONTAINER_OF(node, struct log_link, node);
    if (link->settings)
        link->settings->link = NULL;
    timer_disarm(&link->shard->timers, &link->timer);
    list_remove(&link->node);
    connection_abandon(&link->connection);
    free(link);
}

static const struct stream_events events = { .opened = on_opened,
                                             .received = on_received,
                                             .writable = on_writable,
                                             .failed = on_failed,
                                             .closed = on_closed };

/* --- connecting ----------------------------------------------------------------------------------------- */

static enum error open_link(struct log_batch *batch, const struct address *address)
{
    struct log_tcp_settings *settings = batch->sender->settings;
    struct shard *shard = batch->sender->shard;
    struct log_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return ERROR_MEMORY;
    *link = (struct log_link){ .address = *address, .shard = shard, .settings = settings, .batch = batch };
    timer_init(&link->timer, timer_fired);
    struct address numeric;
    struct slice name = settings->server_name.data ? settings->server_name : settings->host;
    struct tls_target target = { .client = shard->tls ? shard->tls->options.own[TLS_OWN_BELIEVES] : NULL,
                                 .server_name = address_parse(name, 0, &numeric) ? NULL : name.data };
    struct connection_owner owner = { &events, link };
    enum error error = settings->tls && target.client == NULL ? ERROR_UNSUPPORTED : ERROR_OK;
    if (error == ERROR_OK)
        error = connection_connect(&link->connection, shard, &owner, &link->address,
                                   settings->tls ? &target : NULL);
    if (error != ERROR_OK) {
        free(link);
        return error;
    }
    settings->link = link;
    list_init(&link->node);
    list_append(&batch->queue->owner->links, &link->node);
    timer_arm(&shard->timers, &link->timer, shard->now_ms + settings->timeout_ms);
    return ERROR_OK;
}

static void connect_batch(struct log_batch *batch);

static void address_told(struct resolver_waiter *waiter)
{
    struct log_tcp_work *work = CONTAINER_OF(waiter, struct log_tcp_work, waiter);
    work->waits = false;
    connect_batch(CONTAINER_OF(work, struct log_batch, work));
}

static void connect_batch(struct log_batch *batch)
{
    struct log_tcp_settings *settings = batch->sender->settings;
    struct log_tcp_work *work = (struct log_tcp_work *)(void *)batch->work;
    struct address address;
    enum error error = ERROR_NAME;
    list_init(&work->waiter.node);
    work->waiter.told = address_told;
    switch (resolver_find(&proxy_of(batch->sender->shard)->resolver, settings->host, settings->port, &address,
                          &work->waiter)) {
    case RESOLVER_FOUND: error = open_link(batch, &address); break;
    case RESOLVER_WAIT: work->waits = true; return;
    case RESOLVER_NONE: break;
    }
    if (error != ERROR_OK)
        log_batch_done(batch, LOG_FAILED);
}

void log_tcp_send(struct log_batch *batch)
{
    struct log_tcp_settings *settings = batch->sender->settings;
    struct log_link *link = settings->link;
    if (link == NULL) {
        connect_batch(batch);
        return;
    }
    link->batch = batch;
    send_batch(link);
}

bool log_tcp_copy(struct log_sender *sender, const struct log_tcp_settings *from)
{
    struct log_tcp_settings *settings = sender->settings;
    *settings = *from;
    settings->host = arena_copy(&sender->arena, from->host);
    settings->server_name = arena_copy(&sender->arena, from->server_name);
    return settings->host.data && (from->server_name.data == NULL || settings->server_name.data);
}

void log_tcp_stop(struct log_batch *batch)
{
    struct log_tcp_settings *settings = batch->sender->settings;
    struct log_tcp_work *work = (struct log_tcp_work *)(void *)batch->work;
    if (work->waits)
        list_remove(&work->waiter.node);
    work->waits = false;
    if (settings->link && settings->link->batch == batch)
        settings->link->batch = NULL;
}

void log_tcp_close(struct log_sender *sender)
{
    struct log_tcp_settings *settings = sender->settings;
    if (settings->link)
        give_up(settings->link);
}
