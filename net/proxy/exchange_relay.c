/* SPDX-License-Identifier: Apache-2.0 */
/* The second half of the walk: the request goes out, the response comes back, bodies flow both ways. */
#include "net/proxy/action.h"
#include "net/proxy/answer_grpc.h"
#include "net/proxy/balancer_circuit.h"
#include "net/proxy/exchange_events.h"
#include "net/proxy/exchange_notes.h"
#include "net/proxy/exchange_steps.h"
#include "net/proxy/forward.h"
#include "net/proxy/origin.h"
#include "net/proxy/sanitise.h"
#include "net/proxy/upgrade.h"

enum { INTERIM_MAX = 8 /* 1xx responses of one exchange */ };

/* What the upstream is waited for now: that it takes the request, or that it answers. While the client has
 * yet to send its body, the client's own limits apply. */
static void limit_origin_time(struct exchange *exchange)
{
    const struct service *service = exchange->service->service;
    struct origin *origin = exchange->origin;
    uint64_t timeout_ms = (uint64_t)service->read_timeout_ms;
    if (origin->paused)
        timeout_ms = 0;
    else if (origin_backlog(origin) != BACKLOG_NONE)
        timeout_ms = (uint64_t)service->write_timeout_ms;
    else if (!exchange->upstream_done && exchange->upstream_head_ns == 0)
        timeout_ms = 0;
    const struct action *action = exchange->match.route->action;
    if (action && action->idle_timeout_ms > 0 && timeout_ms > (uint64_t)action->idle_timeout_ms)
        timeout_ms = (uint64_t)action->idle_timeout_ms;
    origin_limit_time(origin, exchange_try_time(exchange, timeout_ms));
}

/* --- request body --------------------------------------------------------------------------------------- */

/* Keeps what is sent for another try, as long as it is little. */
static void remember(struct exchange *exchange, const struct chunk *chunk)
{
    if (!exchange->replayable)
        return;
    if (exchange->replay.bytes + chunk->size <= exchange->proxy->options->replay_bytes &&
        chunk_queue_push(&exchange->replay, chunk_part(chunk, 0, chunk->size)))
        return;
    exchange->replayable = false;
    chunk_queue_clear(&exchange->replay);
}

bool exchange_flush_body(struct exchange *exchange)
{
    while (exchange->body.count > 0) {
        struct chunk chunk = chunk_queue_pop(&exchange->body);
        remember(exchange, &chunk);
        if (!origin_send_body(exchange->origin, chunk))
            return false;
    }
    if (exchange->request_complete && !exchange->upstream_done) {
        if (!origin_send_end(exchange->origin))
            return false;
        exchange->upstream_done = true;
    }
    return true;
}

static void fail_memory(struct exchange *exchange)
{
    metric_add(&exchange->proxy->shard->metrics, METRIC_MEMORY_FAILURES, 1);
    exchange_refuse(exchange, 503, (struct slice){ NULL, 0 });
}

void exchange_request_body(struct exchange *exchange, struct chunk chunk)
{
    const struct proxy_options *options = exchange->proxy->options;
    exchange->body_bytes += chunk.size;
    if (exchange->step >= STEP_LOG || exchange->answer.status != 0) {
        chunk_release(&chunk);
        return;
    }
    if (!chunk_queue_append(&exchange->body, chunk, exchange->proxy->shard->blocks, 0)) {
        fail_memory(exchange);
        return;
    }
    if (options->body_bytes_max && exchange->body_bytes > options->body_bytes_max) {
        exchange_refuse(exchange, 413, (struct slice){ NULL, 0 });
        return;
    }
    if (exchange_body_is_too_long(exchange) && !exchange->waiting && exchange->status == 0) {
        (void)exchange_answer_long_body(exchange);
        exchange_run(exchange);
        return;
    }
    if (exchange->reading_body) {
        exchange_body_arrives(exchange);
        return;
    }
    bool flows = exchange->upstream_sent && exchange->origin;
    if (flows && !exchange_flush_body(exchange)) {
        fail_memory(exchange);
        return;
    }
    if (flows)
        limit_origin_time(exchange);
    if (flows ? origin_backlog(exchange->origin) == BACKLOG_HIGH
              : exchange->body.bytes > options->stream_bytes || exchange->body.count > STREAM_CHUNKS_MAX)
        caller_pause(exchange->caller);
}

void exchange_request_end(struct exchange *exchange, struct header *trailers, uint32_t trailer_count)
{
    exchange->request_complete = true;
    exchange->request_trailers = trailers;
    exchange->request_trailer_count = sanitise_trailers(trailers, trailer_count);
    if (exchange->reading_body)
        exchange_body_arrives(exchange);
    else if (!exchange->upstream_sent || exchange->origin == NULL)
        return;
    else if (exchange_flush_body(exchange))
        limit_origin_time(exchange);
    else
        fail_memory(exchange);
}

void exchange_origin_writable(struct exchange *exchange)
{
    if (exchange->upstream_sent)
        limit_origin_time(exchange);
    if (exchange->caller && !exchange->request_complete && origin_backlog(exchange->origin) != BACKLOG_HIGH)
        caller_resume(exchange->caller);
}

/* --- connecting and sending ----------------------------------------------------------------------------- */

void exchange_origin_opened(struct exchange *exchange, enum error error)
{
    if (error != ERROR_OK)
        (void)exchange_try_again(exchange, error);
    else
        exchange_note_connected(exchange);
    exchange_run(exchange);
}

/* A failure before the response began is a failed try; later it cuts the response short, visibly. */
void exchange_origin_failed(struct exchange *exchange, enum error error)
{
    if (exchange->status == 0) {
        (void)exchange_try_again(exchange, error);
    } else {
        origin_detach(exchange->origin, ORIGIN_DROP);
        exchange->reason = slice_of(error_text(error));
        exchange->truncated = true;
        exchange->response_complete = true;
    }
    exchange_run(exchange);
}

void exchange_send_continue(struct exchange *exchange)
{
    if (!exchange->request.expects_continue || exchange->request_complete || exchange->continue_sent ||
        exchange->body_bytes > 0)
        return;
    exchange->continue_sent = true;
    (void)caller_send_head(exchange->caller, CALLER_CONTINUE);
}

enum step_result step_send(struct exchange *exchange)
{
    const struct message *request = &exchange->request;
    if (exchange->is_stream) {
        exchange->status = 200;
        exchange->upstream_head_ns = exchange->proxy->shard->now_ns;
        balancer_try_answered(exchange->endpoint, 200, exchange->upstream_head_ns - exchange->try_start_ns);
        return exchange->datagrams ? exchange_jump(exchange, STEP_RELAY) : exchange_open_tunnel(exchange);
    }
    if (exchange_body_is_too_long(exchange)) /* it came while a plugin waited */
        return exchange_answer_long_body(exchange);
    exchange->upstream_chunked = request->framing == BODY_CHUNKED && !exchange->request_complete;
    if (!origin_send_head(exchange->origin))
        return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
    exchange->upstream_sent = true;
    exchange_send_continue(exchange);
    if (!exchange_flush_body(exchange))
        return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
    if (!exchange->request_complete && origin_backlog(exchange->origin) != BACKLOG_HIGH)
        caller_resume(exchange->caller);
    limit_origin_time(exchange);
    return STEP_RESULT_NEXT;
}

/* --- response ------------------------------------------------------------------------------------------- */

void exchange_response_interim(struct exchange *exchange)
{
    int status = exchange->response.status;
    if (status == 101 && upgrade_is_agreed(exchange)) {
        exchange_response_head(exchange);
        return;
    }
    if (status == 101 || ++exchange->interim_count > INTERIM_MAX) {
        exchange_origin_failed(exchange, ERROR_PROTOCOL);
        return;
    }
    limit_origin_time(exchange);
    if (status == 100 || exchange->request.version_minor == 0)
        return; /* Expect was answered by the gateway itself */
    if (caller_send_head(exchange->caller, CALLER_INTERIM))
        metric_add(&exchange->proxy->shard->metrics, METRIC_RESPONSES_1XX, 1);
}

void exchange_response_head(struct exchange *exchange)
{
    exchange->upstream_head_ns = exchange->proxy->shard->now_ns;
    exchange_note_head(exchange);
    balancer_try_answered(exchange->endpoint, exchange->response.status,
                          exchange->upstream_head_ns - exchange->try_start_ns);
    if (exchange_wants_other_answer(exchange)) {
        exchange_run(exchange);
        return;
    }
    limit_origin_time(exchange);
    exchange_run(exchange);
}

static enum step_result send_answer(struct exchange *exchange)
{
    if (answer_is_for_grpc(exchange))
        answer_for_grpc(exchange);
    if (!exchange->request_complete)
        exchange->client_closes = true;
    if (upgrade_misleads(exchange, exchange->answer.status))
        exchange->answer.status = 502;
    bool whole = exchange->filters == NULL || exchange_filter_answer(exchange);
    exchange->truncated |= !whole || !caller_send_head(exchange->caller, CALLER_ANSWER);
    exchange->status = exchange->answer.status;
    exchange->response_complete = true;
    return STEP_RESULT_NEXT;
}

/* Filters and client are told that the body is complete. */
static void finish_body(struct exchange *exchange, const struct header *trailers, uint32_t trailer_count)
{
    exchange->trailers = trailers;
    exchange->trailer_count = trailer_count;
    if (exchange->filters && !exchange_end_filters(exchange))
        exchange->truncated = true;
    exchange->trailer_count = 0;
    if (!exchange->truncated && !caller_send_end(exchange->caller, trailers, trailer_count))
        exchange->truncated = true;
    exchange->response_complete = true;
}

static bool pass_body(struct exchange *exchange, struct chunk chunk)
{
    struct body_filter *filter = exchange->filters;
    exchange->response_bytes += chunk.size;
    if (exchange->client_framing == BODY_NONE || chunk.size == 0) {
        chunk_release(&chunk);
        return true;
    }
    return filter ? filter->ops->write(filter, chunk) : caller_send_body(exchange->caller, chunk);
}

/* The body of a stored response, behind its head. */
static enum step_result play(struct exchange *exchange)
{
    struct chunk body = exchange->replayed;
    exchange->replayed = (struct chunk){ 0 };
    if (!pass_body(exchange, body)) {
        if (exchange->origin)
            origin_detach(exchange->origin, ORIGIN_DROP);
        exchange->truncated = true;
        exchange->response_complete = true;
    } else if (exchange->origin == NULL) {
        finish_body(exchange, NULL, 0);
    }
    return STEP_RESULT_NEXT;
}

enum step_result step_response_head(struct exchange *exchange)
{
    if (exchange->answer.status == 0 && exchange->upstream_head_ns == 0)
        return STEP_RESULT_WAIT;
    exchange_run_late_phase(exchange, PHASE_RESPONSE_HEAD);
    if (exchange->answer.status != 0)
        return send_answer(exchange);
    if (upgrade_misleads(exchange, exchange->response.status))
        return exchange_answer_from_below(exchange, 502, (struct slice){ NULL, 0 });
    if (exchange->match.route->action && !action_edit_response(exchange))
        return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
    if (!caller_send_head(exchange->caller, CALLER_RESPONSE))
        return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
    exchange->status = exchange->response.status;
    if (exchange->status == 101) {
        metric_add(&exchange->proxy->shard->metrics, METRIC_UPGRADES, 1);
        return exchange_open_tunnel(exchange);
    }
    return exchange->replays ? play(exchange) : STEP_RESULT_NEXT;
}

void exchange_response_body(struct exchange *exchange, struct chunk chunk)
{
    if (!pass_body(exchange, chunk)) {
        exchange_origin_failed(exchange, ERROR_MEMORY);
        return;
    }
    if (caller_backlog(exchange->caller) == BACKLOG_HIGH)
        origin_pause(exchange->origin);
    limit_origin_time(exchange);
}

void exchange_client_writable(struct exchange *exchange)
{
    if (exchange->origin == NULL || !exchange->origin->paused ||
        caller_backlog(exchange->caller) > BACKLOG_LOW)
        return;
    origin_resume(exchange->origin);
    limit_origin_time(exchange);
}

void exchange_response_end(struct exchange *exchange, const struct header *trailers, uint32_t trailer_count)
{
    finish_body(exchange, trailers, trailer_count);
    bool reusable = exchange->upstream_done && exchange->response.keep_alive;
    origin_detach(exchange->origin, reusable ? ORIGIN_REUSE : ORIGIN_DROP);
    exchange_run(exchange);
}

enum step_result step_relay(struct exchange *exchange)
{
    return exchange->response_complete ? STEP_RESULT_NEXT : STEP_RESULT_WAIT;
}

/* --- end ------------------------------------------------------------------------------------------------ */

/* Why the client got no response of the upstream, or not all of it; absent: it did, or nobody has said. */
static struct slice reason_of(const struct exchange *exchange)
{
    if (exchange->answer.status || exchange->truncated)
        return exchange->reason;
    return exchange->status == 0 ? SLICE("the client has gone") : (struct slice){ NULL, 0 };
}

static void write_log(struct exchange *exchange)
{
    const struct message *request = &exchange->request;
    uint64_t now_ns = exchange->proxy->shard->now_ns;
    struct slice none = { NULL, 0 };
    struct access_record record = {
        .client_ip = exchange->client_ip,
        .method = request->method,
        .target = request->target,
        .referer = message_find(request, HEADER_REFERER),
        .user_agent = message_find(request, HEADER_USER_AGENT),
        .host = message_find(request, HEADER_HOST),
        .request_id = exchange_request_id(exchange),
        .route = exchange->match.route ? entity_label(&exchange->match.route->entity) : none,
        .service = exchange->service ? entity_label(&exchange->service->service->entity) : none,
        .consumer = exchange->consumer ? entity_label(&exchange->consumer->entity) : none,
        .reason = reason_of(exchange),
        .plugin = exchange->answer.status ? exchange->plugin : none,
        .upstream = "",
        .version = message_version(request),
        .status = exchange->status ? exchange->status : 499, /* nginx' "client closed request" */
        .sent_bytes = exchange->answer.status ? exchange->answer.body.size : exchange->response_bytes,
        .received_bytes = exchange->body_bytes,
        .wall_ms = exchange->wall_ms,
        .duration_us = (now_ns - exchange->start_ns) / 1000,
        .upstream_us = exchange->upstream_head_ns
                           ? (exchange->upstream_head_ns - exchange->upstream_start_ns) / 1000
                           : 0,
    };
    char upstream[ADDRESS_TEXT_SIZE + 8];
    if (exchange->endpoint && exchange->tries > 0) {
        const struct address *address = &exchange->endpoint->address;
        size_t size = address_text(address, upstream);
        struct writer out = writer_of(upstream + size, sizeof(upstream) - size - 1);
        writer_byte(&out, ':');
        writer_u64(&out, address_port(address));
        *out.next = '\0';
        record.upstream = upstream;
    }
    access_log_write(&exchange->proxy->log, &record);
}

static void count_traffic(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    const struct route *route = exchange->match.route;
    struct traffic_route *counts =
        route ? &exchange->snapshot->traffic[proxy->shard->index][route->entity.index] : NULL;
    traffic_count(&proxy->traffic, counts, exchange->status,
                  (proxy->shard->now_ns - exchange->start_ns) / 1000);
}

static void note_status(struct exchange *exchange)
{
    static const enum metric classes[] = { METRIC_RESPONSES_2XX, METRIC_RESPONSES_3XX, METRIC_RESPONSES_4XX,
                                           METRIC_RESPONSES_5XX };
    int class = exchange->status / 100 - 2;
    if (class >= 0 && class < (int)COUNT_OF(classes))
        metric_add(&exchange->proxy->shard->metrics, classes[class], 1);
    count_traffic(exchange);
}

enum step_result step_log(struct exchange *exchange)
{
    if (exchange->tunnel)
        exchange_close_tunnel(exchange);
    if (!exchange->is_stream)
        note_status(exchange);
    if (exchange->chain)
        exchange_run_late_phase(exchange, PHASE_LOG);
    if (exchange->is_stream)
        exchange_log_stream(exchange);
    else if (access_log_is_on(&exchange->proxy->log))
        write_log(exchange);
    balancer_leave(exchange);
    return STEP_RESULT_NEXT;
}

enum step_result step_finish(struct exchange *exchange)
{
    struct caller *caller = exchange->caller;
    enum caller_fate fate = CALLER_KEEP;
    if (exchange->truncated)
        fate = exchange->client_framing == BODY_UNTIL_CLOSE ? CALLER_CUT : CALLER_CLOSE;
    else if (exchange->client_closes || !exchange->request_complete)
        fate = CALLER_CLOSE;
    exchange_close(exchange);
    if (caller)
        caller_done(caller, fate);
    return STEP_RESULT_DONE;
}
