/* SPDX-License-Identifier: Apache-2.0 */
/* The first part of the walk: what is decided about a request before its upstream is asked. */
#include "net/proxy/action.h"
#include "net/proxy/answer.h"
#include "net/proxy/answer_grpc.h"
#include "net/proxy/client.h"
#include "net/proxy/client_address.h"
#include "net/proxy/exchange_notes.h"
#include "net/proxy/exchange_steps.h"
#include "net/proxy/origin.h"
#include "net/proxy/sanitise.h"
#include "net/proxy/upgrade.h"

#include "core/base/path.h"

/* --- route ---------------------------------------------------------------------------------------------- */

/* Path and query; the fragment, which no client should send, ends the query as in Kong. */
static void split_target(struct exchange *exchange)
{
    struct slice fragment;
    exchange->raw_path = slice_split(exchange->request.origin_form, '?', &exchange->query);
    if (exchange->query.data)
        exchange->query = slice_split(exchange->query, '#', &fragment);
    if (exchange->raw_path.size == 0)
        exchange->raw_path = SLICE("/");
}

/* Lower case and without port; an IPv6 literal keeps its brackets. */
static bool set_host(struct exchange *exchange)
{
    struct slice host = message_find(&exchange->request, HEADER_HOST);
    size_t size = host.size;
    while (size > 0 && host.data[size - 1] >= '0' && host.data[size - 1] <= '9')
        size--;
    if (size > 0 && host.data[size - 1] == ':')
        host.size = size - 1;
    exchange->host = host;
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] < 'A' || host.data[i] > 'Z')
            continue;
        exchange->host = arena_copy(&exchange->arena, host);
        char *copy = (char *)(uintptr_t)exchange->host.data;
        for (; copy && i < host.size; i++)
            copy[i] = slice_lower(copy[i]);
        return copy != NULL;
    }
    return true;
}

/* A route for https only: the client is told to come back that way. */
static enum step_result require_https(struct exchange *exchange)
{
    int status = (int)exchange->match.route->https_redirect_status_code;
    if (status == 426) {
        if (!exchange_set_response_header(exchange, SLICE("Connection"), SLICE("Upgrade")) ||
            !exchange_set_response_header(exchange, SLICE("Upgrade"), SLICE("TLS/1.2, HTTP/1.1")))
            return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
        answer_error(exchange, status, SLICE("Please use HTTPS protocol"), ANSWER_FROM_PLUGIN);
        return exchange_jump(exchange, STEP_RESPONSE_HEAD);
    }
    struct slice host = exchange->host;
    if (exchange->trust == PEER_TRUSTED && message_has(&exchange->request, HEADER_X_FORWARDED_HOST))
        host = message_find(&exchange->request, HEADER_X_FORWARDED_HOST);
    struct slice location = arena_format(&exchange->arena, "https://%.*s%.*s", SLICE_FORMAT(host),
                                         SLICE_FORMAT(exchange->request.origin_form));
    if (location.data == NULL || !exchange_set_response_header(exchange, SLICE("Location"), location))
        return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
    exchange->answer = (struct answer){ .status = status };
    return exchange_jump(exchange, STEP_RESPONSE_HEAD);
}

/* gRPC speaks HTTP/2 and nothing else. */
static enum step_result check_grpc(struct exchange *exchange)
{
    uint64_t protocols = exchange->match.route->protocols;
    if (!slice_starts_with(message_find(&exchange->request, HEADER_CONTENT_TYPE),
                           SLICE("application/grpc"))) {
        answer_error(exchange, 415, SLICE("Non-gRPC request matched gRPC route"), ANSWER_FROM_PLUGIN);
        return exchange_jump(exchange, STEP_RESPONSE_HEAD);
    }
    if (exchange->request.http2) {
        if (protocols & PROTOCOL_BIT(PROTOCOL_GRPC) || exchange_is_https(exchange))
            return STEP_RESULT_NEXT;
        if (!answer_grpc_needs_tls(exchange))
            return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
        return exchange_jump(exchange, STEP_RESPONSE_HEAD);
    }
    if (!exchange_set_response_header(exchange, SLICE("Connection"), SLICE("Upgrade")) ||
        !exchange_set_response_header(exchange, SLICE("Upgrade"), SLICE("HTTP/2")))
        return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
    answer_error(exchange, 426, SLICE("Please use HTTP2 protocol"), ANSWER_FROM_PLUGIN);
    return exchange_jump(exchange, STEP_RESPONSE_HEAD);
}

/* The address the client has connected to, if a rule asks for it. */
static bool find_local(const struct exchange *exchange, struct address *local)
{
    return exchange->snapshot->router.asks_destination && exchange->caller &&
           client_find_local(exchange->caller->client, local);
}

static bool match_route(struct exchange *exchange)
{
    struct regex_scratch *scratch = &exchange->proxy->regex;
    struct address local;
    uint32_t overruns = scratch->overruns;
    struct router_request request = {
        .method = exchange->request.method,
        .host = message_find(&exchange->request, HEADER_HOST),
        .path = exchange->path,
        .query = exchange->query,
        .source = &exchange->client_address,
        .destination = find_local(exchange, &local) ? &local : NULL,
        .port = exchange->port,
        .draw = (uint8_t)balancer_draw(&exchange->proxy->balancers, 100),
        .tls = exchange->tls,
        .sni = exchange->server_name,
        .message = &exchange->request,
        .scratch = scratch,
        .arena = &exchange->arena,
    };
    bool matched = router_match(&exchange->snapshot->router, &request, &exchange->match);
    if (scratch->overruns != overruns)
        metric_add(&exchange->proxy->shard->metrics, METRIC_REGEX_OVERRUNS, scratch->overruns - overruns);
    return matched;
}

/* Kong's allow_debug_header. Out of memory, the headers are missing. */
static void show_decision(struct exchange *exchange)
{
    const struct entity *route = &exchange->match.route->entity;
    const struct entity *service = exchange->service ? &exchange->service->service->entity : NULL;
    const struct {
        struct slice name, value;
    } shown[] = {
        { SLICE("Kong-Route-Id"), slice_of(route->id) },
        { SLICE("Kong-Route-Name"), route->name },
        { SLICE("Kong-Service-Id"), service ? slice_of(service->id) : (struct slice){ NULL, 0 } },
        { SLICE("Kong-Service-Name"), service ? service->name : (struct slice){ NULL, 0 } },
    };
    bool enough = true;
    for (size_t i = 0; enough && i < COUNT_OF(shown); i++)
        if (shown[i].value.data)
            enough = exchange_set_response_header(exchange, shown[i].name, shown[i].value);
}

static bool wants_decision(const struct exchange *exchange)
{
    struct slice value = { NULL, 0 };
    if (exchange->proxy->options->debug_header)
        value = message_find_name(&exchange->request, SLICE("Kong-Debug"));
    return slice_equal(value, SLICE("1"));
}

enum step_result step_route(struct exchange *exchange)
{
    const struct snapshot *snapshot = exchange->snapshot;
    struct slice none = { NULL, 0 };
    if (exchange->is_stream)
        return exchange_route_stream(exchange);
    exchange->chain = snapshot->no_route;
    uint64_t most = exchange->proxy->options->body_bytes_max;
    if (most && exchange->request.framing == BODY_LENGTH && exchange->request.body_bytes > most)
        return exchange_answer_from_below(exchange, 413, none);
    if (upgrade_is_ambiguous(exchange)) {
        exchange->client_closes = true;
        return exchange_answer_from_below(exchange, 400, none);
    }
    split_target(exchange);
    sanitise_request(exchange);
    client_address_determine(exchange);
    enum error error = ERROR_OK;
    if (slice_equal(exchange->raw_path, SLICE("*"))) /* OPTIONS * is about the server, not a path */
        exchange->path = exchange->raw_path;
    else
        error = path_normalise(&exchange->arena, exchange->raw_path, &exchange->path);
    if (error == ERROR_MEMORY || !set_host(exchange))
        return exchange_answer_from_below(exchange, 503, none);
    if (error != ERROR_OK) {
        exchange->client_closes = true;
        return exchange_answer_from_below(exchange, 400, none);
    }
    if (!match_route(exchange)) {
        exchange->match.route = NULL;
        exchange_begin_notes(exchange);
        answer_error(exchange, 404, SLICE("no Route matched with those values"), ANSWER_FROM_PLUGIN);
        return exchange_jump(exchange, STEP_RESPONSE_HEAD);
    }
    const struct route_plan *plan = &snapshot->routes[exchange->match.route->entity.index];
    exchange->chain = plan->chain;
    exchange->service = plan->service;
    exchange_begin_notes(exchange);
    const struct action *action = exchange->match.route->action;
    exchange->style = (uint8_t)(action ? action->style : ANSWER_STYLE_KONG);
    if (wants_decision(exchange))
        show_decision(exchange);
    uint64_t protocols = exchange->match.route->protocols;
    if (!(protocols & PROTOCOL_BIT(PROTOCOL_HTTP)) && (protocols & PROTOCOL_BIT(PROTOCOL_HTTPS)) &&
        !exchange_is_https(exchange))
        return require_https(exchange);
    int refusal = exchange->request.upgrade ? upgrade_refusal(exchange) : 0;
    if (refusal)
        return exchange_answer_from_below(exchange, refusal, none);
    if (protocols & (PROTOCOL_BIT(PROTOCOL_GRPC) | PROTOCOL_BIT(PROTOCOL_GRPCS)))
        return check_grpc(exchange);
    return action ? action_begin(exchange) : STEP_RESULT_NEXT;
}

/* --- plugins -------------------------------------------------------------------------------------------- */

/* NULL: it has none, or memory is exhausted. */
static void *state_of(struct exchange *exchange, const struct chain_slot *slot)
{
    if (slot->plugin->exchange_state_size == 0)
        return NULL;
    if (exchange->plugin_states == NULL)
        exchange->plugin_states = arena_alloc_zero(&exchange->arena, exchange->chain->state_bytes);
    return exchange->plugin_states ? exchange->plugin_states + slot->state_offset : NULL;
}

static enum verdict run_timed(const struct plugin *plugin, const struct plugin_call *call, enum phase phase)
{
    uint64_t start_ns = exchange_note_now();
    enum verdict verdict = plugin->on[phase](call);
    exchange_note_span(call->exchange, plugin->kind.name, phase, start_ns);
    return verdict;
}

/* Runs the slots of a phase from chain_position on. */
static enum verdict run_phase(struct exchange *exchange, enum phase phase)
{
    const struct chain *chain = exchange->chain;
    if (!(chain->phases >> phase & 1))
        return VERDICT_CONTINUE;
    if (exchange->chain_phase != phase || exchange->chain_position > chain->count) {
        exchange->chain_phase = phase;
        exchange->chain_position = 0;
    }
    for (; exchange->chain_position < chain->count; exchange->chain_position++) {
        const struct chain_slot *slot = &chain->slots[exchange->chain_position];
        const struct plugin_instance *instance = chain_instance(slot, exchange->consumer);
        if (slot->plugin->on[phase] == NULL || instance == NULL)
            continue;
        struct plugin_call call = {
            .exchange = exchange,
            .instance = instance,
            .config = instance->config,
            .shard_state = exchange->proxy->plugin_states[slot->plugin_index],
            .exchange_state = state_of(exchange, slot),
        };
        if (slot->plugin->exchange_state_size > 0 && call.exchange_state == NULL)
            return phase <= PHASE_ACCESS ? exchange_respond_failure(exchange) : VERDICT_CONTINUE;
        enum verdict verdict = exchange_is_traced(exchange) ? run_timed(slot->plugin, &call, phase)
                                                            : slot->plugin->on[phase](&call);
        if (verdict != VERDICT_CONTINUE)
            return verdict;
    }
    return VERDICT_CONTINUE;
}

static enum step_result decide_by(struct exchange *exchange, enum phase phase)
{
    switch (run_phase(exchange, phase)) {
    case VERDICT_CONTINUE: return STEP_RESULT_NEXT;
    case VERDICT_RESPOND: return exchange_jump(exchange, STEP_RESPONSE_HEAD);
    case VERDICT_WAIT:
        exchange->waiting = true;
        list_append(&exchange->proxy->waiting, &exchange->waiting_node);
        return STEP_RESULT_WAIT;
    case VERDICT_READ_BODY: /* exchange_run comes back to the same plugin */
        CHECK(exchange->reading_body);
        return STEP_RESULT_WAIT;
    }
    return STEP_RESULT_NEXT;
}

enum step_result step_rewrite(struct exchange *exchange)
{
    return decide_by(exchange, PHASE_REWRITE);
}

enum step_result step_access(struct exchange *exchange)
{
    enum step_result result = decide_by(exchange, PHASE_ACCESS);
    if (result != STEP_RESULT_NEXT || exchange->service != NULL)
        return result;
    answer_error(exchange, 503, SLICE("no Service found with those values"), ANSWER_FROM_PLUGIN);
    return exchange_jump(exchange, STEP_RESPONSE_HEAD);
}

enum step_result step_upstream_request(struct exchange *exchange)
{
    (void)run_phase(exchange, PHASE_UPSTREAM_REQUEST);
    if (exchange->match.route->action && !action_edit_request(exchange))
        return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
    return STEP_RESULT_NEXT;
}

void exchange_run_late_phase(struct exchange *exchange, enum phase phase)
{
    exchange->chain_position = UINT32_MAX; /* from the first slot, whatever ran before */
    while (run_phase(exchange, phase) == VERDICT_RESPOND && phase == PHASE_RESPONSE_HEAD) {
        if (exchange->origin && !exchange->replay_ends_later)
            origin_detach(exchange->origin, ORIGIN_DROP);
        exchange->chain_position++;
    }
    if (exchange->origin && exchange->answer.status) /* it had replaced a stored response */
        origin_detach(exchange->origin, ORIGIN_DROP);
}
