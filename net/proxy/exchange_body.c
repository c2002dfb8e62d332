/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/exchange_body.h"

#include "net/proxy/client.h"
#include "net/proxy/exchange_steps.h"
#include "net/proxy/forward.h"

/* --- the request's body --------------------------------------------------------------------------------- */

/* All chunks of the queue as one, the queue's own reference included. */
static bool gather(struct exchange *exchange, struct chunk_queue *queue)
{
    if (queue->count <= 1)
        return true;
    struct block *block = block_open(exchange->proxy->shard->blocks, queue->bytes);
    if (block == NULL)
        return false;
    while (queue->count > 0) {
        struct chunk chunk = chunk_queue_pop(queue);
        memcpy(block->data + block->used, chunk_slice(&chunk).data, chunk.size);
        block->used += chunk.size;
        chunk_release(&chunk);
    }
    return chunk_queue_push(queue, (struct chunk){ block, 0, block->used });
}

static enum body_reading show_body(struct exchange *exchange, struct slice *body)
{
    if (!gather(exchange, &exchange->body))
        return BODY_FAILED;
    chunk_release(&exchange->read_body);
    *body = SLICE("");
    if (exchange->body.count == 0)
        return BODY_READ;
    struct chunk *chunk = chunk_queue_at(&exchange->body, 0);
    exchange->read_body = chunk_part(chunk, 0, chunk->size);
    *body = chunk_slice(chunk);
    return BODY_READ;
}

enum body_reading exchange_read_body(struct exchange *exchange, uint64_t limit_bytes, struct slice *body)
{
    const struct message *request = &exchange->request;
    uint64_t most = exchange->proxy->options->plugin_body_bytes;
    CHECK(exchange->step == STEP_REWRITE || exchange->step == STEP_ACCESS);
    if (limit_bytes > most)
        limit_bytes = most;
    bool announced = !exchange->request_complete && request->framing == BODY_LENGTH;
    if (exchange->body.bytes > limit_bytes || (announced && request->body_bytes > limit_bytes))
        return BODY_TOO_LONG;
    if (exchange->request_complete || request->framing == BODY_NONE)
        return show_body(exchange, body);
    exchange->reading_body = true;
    exchange->read_limit_bytes = limit_bytes;
    exchange_send_continue(exchange);
    caller_resume(exchange->caller);
    return BODY_LATER;
}

void exchange_body_arrives(struct exchange *exchange)
{
    if (!exchange->request_complete && exchange->body.bytes <= exchange->read_limit_bytes)
        return;
    exchange->reading_body = false;
    exchange_run(exchange);
}

bool exchange_set_body(struct exchange *exchange, struct slice body)
{
    struct message *request = &exchange->request;
    CHECK(exchange->request_complete || request->framing == BODY_NONE);
    chunk_queue_clear(&exchange->body);
    exchange->request_trailer_count = 0; /* what they say, a digest perhaps, is of the other one */
    if (body.size > 0) {
        struct chunk chunk = forward_text(exchange, body);
        if (chunk.block == NULL || !chunk_queue_push(&exchange->body, chunk))
            return false;
    }
    if (body.size > 0 || request->framing != BODY_NONE)
        request->framing = BODY_LENGTH;
    request->body_bytes = body.size;
    return true;
}

/* --- filters -------------------------------------------------------------------------------------------- */

void exchange_filter_response(struct exchange *exchange, struct body_filter *filter)
{
    struct body_filter **last = &exchange->filters;
    CHECK(exchange->status == 0);
    while (*last)
        last = &(*last)->next;
    filter->exchange = exchange;
    filter->next = NULL;
    *last = filter;
}

bool body_filter_pass(struct body_filter *filter, struct chunk chunk)
{
    struct exchange *exchange = filter->exchange;
    if (chunk.size == 0) {
        chunk_release(&chunk);
        return true;
    }
    if (filter->next)
        return filter->next->ops->write(filter->next, chunk);
    if (exchange->answer.status)
        return chunk_queue_push(&exchange->filtered, chunk);
    if (exchange->client_framing != BODY_NONE && exchange->caller)
        return caller_send_body(exchange->caller, chunk);
    chunk_release(&chunk);
    return true;
}

bool body_filter_pass_text(struct body_filter *filter, struct slice text)
{
    if (text.size == 0)
        return true;
    struct chunk chunk = forward_text(filter->exchange, text);
    return chunk.block && body_filter_pass(filter, chunk);
}

bool exchange_next_response_trailer(const struct exchange *exchange, uint32_t *cursor, struct header *header)
{
    if (*cursor >= exchange->trailer_count)
        return false;
    *header = exchange->trailers[(*cursor)++];
    return true;
}

bool exchange_end_filters(struct exchange *exchange)
{
    for (struct body_filter *filter = exchange->filters; filter; filter = filter->next)
        if (filter->ops->end && !filter->ops->end(filter))
            return false;
    return true;
}

/* Their result stays in the queue for as long as the answer is a view of it. */
bool exchange_filter_answer(struct exchange *exchange)
{
    struct body_filter *first = exchange->filters;
    if (exchange->answer.body.size > 0) {
        struct chunk chunk = forward_text(exchange, exchange->answer.body);
        if (chunk.block == NULL || !first->ops->write(first, chunk))
            return false;
    }
    if (!exchange_end_filters(exchange) || !gather(exchange, &exchange->filtered))
        return false;
    exchange->answer.body = SLICE("");
    if (exchange->filtered.count > 0)
        exchange->answer.body = chunk_slice(chunk_queue_at(&exchange->filtered, 0));
    return true;
}

void exchange_close_filters(struct exchange *exchange)
{
    while (exchange->filters) {
        struct body_filter *filter = exchange->filters;
        exchange->filters = filter->next;
        if (filter->ops->close)
            filter->ops->close(filter);
    }
}
