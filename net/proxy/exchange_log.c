/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/exchange_edit.h"
#include "net/proxy/exchange_notes.h"
#include "net/proxy/origin.h"

#include <time.h>

enum { STATUS_CLIENT_GONE = 499 /* nginx' */, SPANS_MAX = 256 };

/* --- notes ---------------------------------------------------------------------------------------------- */

void exchange_begin_notes(struct exchange *exchange)
{
    if (!(exchange->chain->phases >> PHASE_LOG & 1))
        return;
    exchange->notes = arena_alloc_zero(&exchange->arena, sizeof(*exchange->notes));
}

/* The items with room for one more behind `count`; NULL: no memory. */
static void *reserve(struct exchange *exchange, void *items, size_t size, uint32_t count, uint32_t *capacity)
{
    if (count < *capacity)
        return items;
    uint32_t grown = *capacity ? *capacity * 2 : 4;
    void *more = arena_array(&exchange->arena, grown, size);
    if (more == NULL)
        return NULL;
    if (count)
        memcpy(more, items, count * size);
    *capacity = grown;
    return more;
}

static struct slice host_of(struct arena *arena, const struct endpoint *endpoint)
{
    return arena_copy(arena, (struct slice){ endpoint->authority, endpoint->host_size });
}

void exchange_note_try(struct exchange *exchange)
{
    struct exchange_notes *notes = exchange->notes;
    if (notes == NULL)
        return;
    struct exchange_try *tries =
        reserve(exchange, notes->tries, sizeof(*tries), notes->try_count, &notes->try_capacity);
    if (tries == NULL)
        return;
    notes->tries = tries;
    struct exchange_try *noted = &tries[notes->try_count++];
    *noted = (struct exchange_try){ .address = exchange->endpoint->address,
                                    .host = host_of(&exchange->arena, exchange->endpoint),
                                    .start_ns = exchange->try_start_ns };
    if (exchange->origin && exchange->origin->open) {
        noted->reused = true;
        noted->connected_ns = noted->start_ns;
    }
}

static struct exchange_try *last_try(struct exchange *exchange)
{
    struct exchange_notes *notes = exchange->notes;
    return notes && notes->try_count > 0 ? &notes->tries[notes->try_count - 1] : NULL;
}

void exchange_note_try_end(struct exchange *exchange, enum error error, enum try_end end)
{
    struct exchange_try *noted = last_try(exchange);
    if (noted == NULL || noted->end_ns != 0)
        return;
    noted->error = error;
    noted->end_ns = exchange->proxy->shard->now_ns;
    if (end == TRY_END_STALE)
        exchange->notes->try_count--;
}

void exchange_note_connected(struct exchange *exchange)
{
    struct exchange_try *noted = last_try(exchange);
    if (noted)
        noted->connected_ns = exchange->proxy->shard->now_ns;
}

void exchange_note_head(struct exchange *exchange)
{
    struct exchange_try *noted = last_try(exchange);
    if (noted == NULL)
        return;
    noted->status = exchange->response.status;
    noted->head_ns = exchange->upstream_head_ns;
}

uint64_t exchange_note_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void exchange_note_span(struct exchange *exchange, const char *plugin, enum phase phase, uint64_t start_ns)
{
    struct exchange_notes *notes = exchange->notes;
    struct exchange_span *spans =
        notes->span_count < SPANS_MAX
            ? reserve(exchange, notes->spans, sizeof(*spans), notes->span_count, &notes->span_capacity)
            : NULL;
    if (spans == NULL)
        return;
    notes->spans = spans;
    spans[notes->span_count++] = (struct exchange_span){ plugin, phase, start_ns, exchange_note_now() };
}

void exchange_trace(struct exchange *exchange)
{
    if (exchange->notes == NULL)
        return;
    exchange->notes->traced = true;
    exchange->notes->routed_ns = exchange_note_now();
}

int exchange_status(const struct exchange *exchange)
{
    return exchange->status ? exchange->status : STATUS_CLIENT_GONE;
}

uint64_t exchange_generation(const struct exchange *exchange)
{
    return exchange->snapshot->generation;
}

/* --- the record ----------------------------------------------------------------------------------------- */

/* As it came, but for what plugins have changed in it. */
static uint64_t head_bytes(const struct message *message)
{
    uint64_t size = message->method.size + message->target.size + sizeof("  HTTP/1.1\r\n\r\n") - 1;
    for (uint32_t i = 0; i < message->header_count; i++)
        if (message->headers[i].name.data)
            size += message->headers[i].name.size + message->headers[i].value.size + 4;
    return size;
}

struct slice exchange_upstream_uri(struct exchange *exchange)
{
    struct slice query = exchange->query;
    struct slice path = exchange->tries > 0 ? exchange_upstream_path(exchange) : SLICE("");
    if (path.size == 0 || query.data == NULL)
        return path.data ? path : SLICE("");
    struct slice both = arena_format(&exchange->arena, "%.*s?%.*s", SLICE_FORMAT(path), SLICE_FORMAT(query));
    return both.data ? both : path;
}

static uint64_t response_bytes(const struct exchange *exchange)
{
    uint64_t head = exchange->notes ? exchange->notes->head_bytes : 0;
    return exchange->answer.status ? head : head + exchange->response_bytes;
}

void exchange_record_of(struct exchange *exchange, struct exchange_record *record)
{
    const struct exchange_notes *notes = exchange->notes;
    bool answered = exchange->answer.status == 0 && exchange->upstream_head_ns != 0;
    *record = (struct exchange_record){
        .wall_ms = exchange->wall_ms,
        .start_ns = exchange->start_ns,
        .end_ns = exchange->proxy->shard->now_ns,
        .upstream_ns = exchange->upstream_start_ns,
        .head_ns = exchange->upstream_head_ns,
        .status = exchange_status(exchange),
        .own = exchange->answer.status != 0 || !answered,
        .upstream_status = answered ? exchange->response.status : 0,
        .request_bytes = head_bytes(&exchange->request) + exchange->body_bytes,
        .response_bytes = response_bytes(exchange),
        .host = exchange->host,
        .server_name = exchange->server_name,
        .port = exchange->port,
    };
    if (notes == NULL)
        return;
    record->routed_ns = notes->routed_ns;
    record->tries = notes->tries;
    record->try_count = notes->try_count;
    record->spans = notes->spans;
    record->span_count = notes->span_count;
}
