/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/log_datagram.h"

#include "net/proxy/proxy.h"

enum { REOPEN_MS = 30 * 1000 /* the host may have another address by then */ };

bool log_datagram_copy(struct log_sender *sender, const struct log_datagram_settings *from)
{
    struct log_datagram_settings *settings = sender->settings;
    *settings = *from;
    settings->socket.fd = -1;
    settings->host = arena_copy(&sender->arena, from->host);
    settings->path = from->path ? arena_copy(&sender->arena, slice_of(from->path)).data : NULL;
    return settings->host.data || settings->path;
}

static void reach(struct log_batch *batch);

static void address_told(struct resolver_waiter *waiter)
{
    struct log_datagram_work *work = CONTAINER_OF(waiter, struct log_datagram_work, waiter);
    work->waits = false;
    reach(CONTAINER_OF(work, struct log_batch, work));
}

/* ERROR_OK: open. The waiter is in line when the address is not known yet. */
static enum error open_socket(struct log_batch *batch)
{
    struct log_datagram_settings *settings = batch->sender->settings;
    struct log_datagram_work *work = (struct log_datagram_work *)(void *)batch->work;
    struct address address;
    uint64_t now_ms = batch->sender->shard->now_ms;
    if (settings->socket.fd >= 0 && now_ms - settings->opened_ms < REOPEN_MS)
        return ERROR_OK;
    datagrams_close(&settings->socket);
    settings->opened_ms = now_ms;
    if (settings->path)
        return datagrams_open_path(&settings->socket, settings->path);
    list_init(&work->waiter.node);
    work->waiter.told = address_told;
    switch (resolver_find(&proxy_of(batch->sender->shard)->resolver, settings->host, settings->port, &address,
                          &work->waiter)) {
    case RESOLVER_FOUND: return datagrams_open(&settings->socket, &address);
    case RESOLVER_WAIT: work->waits = true; return ERROR_OK;
    case RESOLVER_NONE: break;
    }
    return ERROR_NAME;
}

enum { DATAGRAMS_AT_ONCE = 64 };

/* Where the next datagram begins: an entry, and a line of it. */
struct place {
    const struct log_entry *entry; /* NULL: that was all */
    struct slice rest; /* of the entry */
};

static void go_to(struct place *place, const struct log_entry *entry)
{
    place->entry = entry;
    if (entry)
        place->rest = (struct slice){ entry->data, entry->size };
}

/* What is sent as one, or packed with its neighbours. */
static struct slice next_piece(const struct log_datagram_settings *settings, struct place *place)
{
    struct slice piece = place->rest, rest = { NULL, 0 };
    if (settings->by_line)
        piece = slice_split(place->rest, '\n', &rest);
    if (rest.data)
        place->rest = rest;
    else
        go_to(place, place->entry->next);
    return piece;
}

/* Lines that fit into a datagram together; at least one. */
static struct slice next_packet(const struct log_datagram_settings *settings, struct place *place,
                                struct text *packet)
{
    size_t from = packet->size;
    text_add(packet, next_piece(settings, place));
    while (place->entry) {
        struct place after = *place;
        struct slice piece = next_piece(settings, &after);
        if (packet->size - from + 1 + piece.size > settings->packet_bytes)
            break;
        text_byte(packet, '\n');
        text_add(packet, piece);
        *place = after;
    }
    return (struct slice){ NULL, packet->size - from };
}

/* A socket that refuses is opened anew next time: the receiver may have moved, or come back. */
static bool send_group(struct log_datagram_settings *settings, const struct slice *texts, uint32_t count)
{
    enum error error;
    uint32_t sent = 0;
    while (sent < count) {
        sent += datagrams_send(&settings->socket, texts + sent, count - sent, &error);
        if (sent == count)
            break;
        if (error == ERROR_OK)
            return false; /* no room: the rest is lost */
        if (error != ERROR_REFUSED) { /* of an earlier one: told once, then the socket goes on */
            datagrams_close(&settings->socket);
            return false;
        }
    }
    return true;
}

/* The packets lie behind each other. */
static uint32_t pack(const struct log_datagram_settings *settings, struct place *place, struct text *packet,
                     struct slice *texts)
{
    uint32_t count = 0;
    size_t at = 0;
    text_clear(packet);
    while (place->entry && count < DATAGRAMS_AT_ONCE)
        texts[count++] = next_packet(settings, place, packet);
    for (uint32_t i = 0; i < count; i++) {
        texts[i].data = packet->data + at;
        at += texts[i].size;
    }
    return count;
}

static bool send_all(struct log_batch *batch)
{
    struct log_datagram_settings *settings = batch->sender->settings;
    struct slice texts[DATAGRAMS_AT_ONCE];
    struct text packet;
    struct place place;
    bool good = true;
    go_to(&place, batch->first);
    text_init(&packet, (size_t)batch->bytes + batch->count);
    while (place.entry && good) {
        uint32_t count = 0;
        if (settings->packet_bytes)
            count = pack(settings, &place, &packet, texts);
        while (settings->packet_bytes == 0 && place.entry && count < DATAGRAMS_AT_ONCE)
            texts[count++] = next_piece(settings, &place);
        good = !packet.failed && send_group(settings, texts, count);
    }
    text_deinit(&packet);
    return good;
}

static void reach(struct log_batch *batch)
{
    struct log_datagram_work *work = (struct log_datagram_work *)(void *)batch->work;
    enum error error = open_socket(batch);
    if (work->waits)
        return;
    enum log_result result = LOG_FAILED;
    if (error == ERROR_OK)
        result = send_all(batch) ? LOG_DELIVERED : LOG_LOST;
    log_batch_done(batch, result);
}

void log_datagram_send(struct log_batch *batch)
{
    reach(batch);
}

void log_datagram_stop(struct log_batch *batch)
{
    struct log_datagram_work *work = (struct log_datagram_work *)(void *)batch->work;
    if (work->waits)
        list_remove(&work->waiter.node);
    work->waits = false;
}

void log_datagram_close(struct log_sender *sender)
{
    datagrams_close(&((struct log_datagram_settings *)sender->settings)->socket);
}
