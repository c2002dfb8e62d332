/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/exchange_replay.h"

#include "net/proxy/answer.h"
#include "net/proxy/exchange_steps.h"
#include "net/proxy/forward.h"

const struct message *exchange_upstream_response(const struct exchange *exchange)
{
    return exchange->answer.status ? NULL : &exchange->response;
}

void exchange_watch_upstream(struct exchange *exchange, struct body_filter *filter)
{
    CHECK(exchange->status == 0);
    filter->exchange = exchange;
    filter->next = exchange->filters;
    exchange->filters = filter;
}

enum verdict exchange_respond_unavailable(struct exchange *exchange, int status)
{
    answer_error(exchange, status, (struct slice){ NULL, 0 }, ANSWER_FROM_BELOW);
    return VERDICT_RESPOND;
}

/* Its length is told even to those who get no body. */
static bool build_head(struct exchange *exchange, const struct replay *replay)
{
    struct message *response = &exchange->response;
    bool keep_alive = response->keep_alive; /* of the upstream's connection, if there is one */
    message_init(response, &exchange->arena);
    response->keep_alive = keep_alive;
    response->status = replay->status;
    response->version_minor = 1;
    response->framing = BODY_LENGTH;
    response->body_bytes = replay->body.size;
    for (uint32_t i = 0; i < replay->header_count; i++) {
        const struct header *header = &replay->headers[i];
        if (!message_add_id(response, header->id, header->name, header->value))
            return false;
    }
    if (replay->status == 304)
        return true;
    struct slice length = arena_format(&exchange->arena, "%llu", (unsigned long long)replay->body.size);
    return length.data && message_add_id(response, HEADER_CONTENT_LENGTH, SLICE("Content-Length"), length);
}

enum verdict exchange_replay(struct exchange *exchange, const struct replay *replay)
{
    uint64_t now_ns = exchange->proxy->shard->now_ns;
    /* The connection of an upstream whose response has no body stays good: its end comes next. */
    exchange->replay_ends_later =
        exchange->origin && exchange->answer.status == 0 && exchange->response.framing == BODY_NONE;
    chunk_release(&exchange->replayed);
    if (replay->body.size > 0) {
        exchange->replayed = forward_text(exchange, replay->body);
        if (exchange->replayed.block == NULL)
            return exchange_respond_failure(exchange);
    }
    if (!build_head(exchange, replay))
        return exchange_respond_failure(exchange);
    exchange->answer = (struct answer){ 0 };
    exchange->replays = true;
    if (exchange->upstream_start_ns == 0)
        exchange->upstream_start_ns = now_ns;
    exchange->upstream_head_ns = now_ns;
    return VERDICT_RESPOND;
}
