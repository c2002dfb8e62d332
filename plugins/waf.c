/* SPDX-License-Identifier: Apache-2.0 */
/* waf: rules in ModSecurity's language over requests and responses. Runs before all authentication, so that
 * nothing hostile reaches any of it. plugins/waf.md says what a request costs. */
#include "plugins/waf.h"

#include "config/settings.h"
#include "core/io/chunk_queue.h"
#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"
#include "net/proxy/proxy.h"
#include "plugins/plugins.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

enum waf_mode { WAF_BLOCKING, WAF_DETECTION };
enum waf_long_body { LONG_BODY_REFUSED, LONG_BODY_UNSEEN };
enum { LOG_MESSAGE_MAX = 4096 };

struct waf_config {
    int mode, long_body; /* the enums above */
    struct slices rules, rules_files, response_types;
    int64_t paranoia_level, inbound_threshold, outbound_threshold; /* INTEGER_NULL: the rules say it */
    int64_t request_body_bytes, response_body_bytes;
    bool request_body, response_body;
    struct slice message;
    struct waf_rules *compiled;
};

/* An engine per shard. Opening and closing them is not safe beside others at work, so all are opened when the
 * first configuration asks for one, and closed after the shards ended. */
struct waf_process {
    unsigned count;
    struct waf_engine *engines[]; /* NULL: not asked for yet */
};

/* The control thread's: whoever checks a configuration. */
static struct {
    struct waf_process *process; /* NULL: nothing serves */
    bool asked_for;
} engines;

struct waf_shard {
    struct waf_process *process;
    struct line_file log;
    bool log_is_open;
};

struct waf_exchange {
    const struct waf_config *config;
    struct waf_shard *shard;
    struct waf_request *request;
    struct exchange *exchange;
    bool head_seen, refused, passes;
    struct body_filter filter;
    struct chunk_queue held; /* of the response's body, until the rules have seen it */
};

/* --- configuration -------------------------------------------------------------------------------------- */

static const char *const modes[] = { "blocking", "detection", NULL };
static const char *const long_bodies[] = { "refuse", "pass", NULL };

#define OFFSET(member) offsetof(struct waf_config, member)

static const struct field fields[] = {
    { "mode", FIELD_CHOICE, OFFSET(mode), .choices = modes, .fallback = "blocking",
      .help = "blocking answers what the rules refuse; detection only logs it" },
    { "rules", FIELD_STRINGS, OFFSET(rules), .help = "directives, read after rules_files" },
    { "rules_files", FIELD_STRINGS, OFFSET(rules_files),
      .help = "files of directives, read in this order; * and ? as in a shell" },
    { "paranoia_level", FIELD_INTEGER, OFFSET(paranoia_level), .min = 1, .max = 4,
      .help = "of the Core Rule Set" },
    { "inbound_threshold", FIELD_INTEGER, OFFSET(inbound_threshold), .min = 1, .max = 1000000,
      .help = "of the Core Rule Set: anomaly score from which requests are refused" },
    { "outbound_threshold", FIELD_INTEGER, OFFSET(outbound_threshold), .min = 1, .max = 1000000,
      .help = "of the Core Rule Set: anomaly score from which responses are refused" },
    { "request_body", FIELD_BOOLEAN, OFFSET(request_body), .fallback = "true",
      .help = "have the rules see the bodies of requests" },
    { "request_body_limit", FIELD_SIZE, OFFSET(request_body_bytes), .min = 1, .max = 1073741824,
      .fallback = "128k", .help = "longer bodies of requests are not read; at most plugin_body_bytes" },
    { "long_body", FIELD_CHOICE, OFFSET(long_body), .choices = long_bodies, .fallback = "refuse",
      .help = "what becomes of requests beyond it: 413, or they pass unseen" },
    { "response_body", FIELD_BOOLEAN, OFFSET(response_body), .fallback = "false",
      .help = "have the rules see the bodies of responses, which are held back for it" },
    { "response_body_limit", FIELD_SIZE, OFFSET(response_body_bytes), .min = 1, .max = 1073741824,
      .fallback = "512k", .help = "what the rules see of one; the rest passes" },
    { "response_types", FIELD_STRINGS, OFFSET(response_types),
      .fallback = "text/plain,text/html,text/xml,application/json",
      .help = "media types whose bodies the rules see" },
    { "message", FIELD_STRING, OFFSET(message), .fallback = "Forbidden",
      .help = "to clients that are refused" },
};

static void log_message(void *pointer, const void *message);

/* False: out of memory. */
static bool open_engines(struct waf_process *process)
{
    for (unsigned i = 0; process && i < process->count; i++) {
        if (process->engines[i] == NULL)
            process->engines[i] = waf_engine_open(log_message);
        if (process->engines[i] == NULL)
            return false;
    }
    return true;
}

static void close_rules(void *rules)
{
    waf_rules_close(rules);
}

/* Where the place of an error in rules that are written in the configuration begins. */
static void report(const struct config_place *place, const struct node *node, const char *field,
                   const char *reason)
{
    if (reason)
        schema_error(place, node, field, "%s", reason);
}

static bool add_text(const struct waf_config *config, const struct config_place *place,
                     const struct node *node, struct slice text)
{
    struct slice copy = arena_copy(place->arena, text);
    const char *reason =
        copy.data ? waf_rules_add(config->compiled, copy.data, place->arena) : "out of memory";
    report(place, node, "rules", reason);
    return reason == NULL;
}

static bool add_files(const struct waf_config *config, const struct config_place *place,
                      const struct node *node, struct slice pattern)
{
    struct slice copy = arena_copy(place->arena, pattern);
    glob_t found;
    if (copy.data == NULL || glob(copy.data, 0, NULL, &found) != 0) {
        schema_error(place, node, "rules_files", "no such file: %.*s", SLICE_FORMAT(pattern));
        return false;
    }
    const char *reason = NULL;
    for (size_t i = 0; reason == NULL && i < found.gl_pathc; i++)
        reason = waf_rules_add_file(config->compiled, found.gl_pathv[i], place->arena);
    report(place, node, "rules_files", reason);
    globfree(&found);
    return reason == NULL;
}

/* Bodies that have a structure are taken apart, so that rules see their values. */
#define PARSE_BODIES                                                                            \
    "SecRule REQUEST_HEADERS:Content-Type \"@rx (?i)^(?:application(?:/soap\\+|/)|text/)xml\" " \
    "\"id:900991,phase:1,t:none,pass,nolog,ctl:requestBodyProcessor=XML\"\n"                    \
    "SecRule REQUEST_HEADERS:Content-Type \"@rx (?i)^application/(?:[^;]*\\+)?json\" "          \
    "\"id:900992,phase:1,t:none,pass,nolog,ctl:requestBodyProcessor=JSON\"\n"

/* The variables of the Core Rule Set, both of version 3 and 4; its own set-up keeps what is there. */
static struct slice variables(const struct waf_config *config, struct arena *arena)
{
    struct slice text = SLICE(PARSE_BODIES);
    if (config->paranoia_level != INTEGER_NULL)
        text = arena_format(arena,
                            "%.*sSecAction \"id:900000,phase:1,nolog,pass,t:none,"
                            "setvar:tx.paranoia_level=%lld,setvar:tx.blocking_paranoia_level=%lld\"\n",
                            SLICE_FORMAT(text), (long long)config->paranoia_level,
                            (long long)config->paranoia_level);
    if (config->inbound_threshold != INTEGER_NULL)
        text = arena_format(arena,
                            "%.*sSecAction \"id:900110,phase:1,nolog,pass,t:none,"
                            "setvar:tx.inbound_anomaly_score_threshold=%lld\"\n",
                            SLICE_FORMAT(text), (long long)config->inbound_threshold);
    if (config->outbound_threshold != INTEGER_NULL)
        text = arena_format(arena,
                            "%.*sSecAction \"id:900111,phase:1,nolog,pass,t:none,"
                            "setvar:tx.outbound_anomaly_score_threshold=%lld\"\n",
                            SLICE_FORMAT(text), (long long)config->outbound_threshold);
    return text;
}

/* What the options say comes last, and so counts. */
static struct slice directives(const struct waf_config *config, struct arena *arena)
{
    return arena_format(arena,
                        "SecRuleEngine %s\nSecRequestBodyAccess %s\nSecResponseBodyAccess %s\n"
                        "SecRequestBodyLimit %lld\nSecRequestBodyNoFilesLimit %lld\n"
                        "SecResponseBodyLimit %lld\nSecRequestBodyLimitAction Reject\n"
                        "SecResponseBodyLimitAction ProcessPartial\n",
                        config->mode == WAF_BLOCKING ? "On" : "DetectionOnly",
                        config->request_body ? "On" : "Off", config->response_body ? "On" : "Off",
                        (long long)config->request_body_bytes, (long long)config->request_body_bytes,
                        (long long)config->response_body_bytes);
}

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct waf_config *config = value;
    const char *missing = waf_engine_load();
    if (missing) {
        schema_error(place, node, "", "this gateway has no waf: %s", missing);
        return;
    }
    if (config->rules.count + config->rules_files.count == 0) {
        schema_error(place, node, "rules",
                     "at least one of these fields must be non-empty: "
                     "'config.rules', 'config.rules_files'");
        return;
    }
    engines.asked_for = true;
    config->compiled = waf_rules_open();
    if (!open_engines(engines.process) || config->compiled == NULL ||
        !arena_on_close(place->arena, close_rules, config->compiled)) {
        waf_rules_close(config->compiled);
        schema_error(place, node, "rules", "out of memory");
        return;
    }
    struct slice first = variables(config, place->arena);
    if (!add_text(config, place, node, first))
        return;
    for (uint32_t i = 0; i < config->rules_files.count; i++)
        if (!add_files(config, place, node, config->rules_files.items[i]))
            return;
    for (uint32_t i = 0; i < config->rules.count; i++)
        if (!add_text(config, place, node, config->rules.items[i]))
            return;
    (void)add_text(config, place, node, directives(config, place->arena));
}

/* --- requests ------------------------------------------------------------------------------------------- */

/* One line for each message of a rule. */
static void log_message(void *pointer, const void *message)
{
    struct waf_exchange *state = pointer;
    metric_add(&exchange_shard(state->exchange)->metrics, METRIC_WAF_MATCHES, 1);
    if (!state->shard->log_is_open)
        return;
    char line[LOG_MESSAGE_MAX];
    struct slice request = exchange_request_id(state->exchange);
    int size = snprintf(line, sizeof(line) - 1, "%llu %.*s %s",
                        (unsigned long long)exchange_shard(state->exchange)->wall_ms, SLICE_FORMAT(request),
                        (const char *)message);
    if (size <= 0)
        return;
    size_t used = (size_t)size < sizeof(line) - 1 ? (size_t)size : sizeof(line) - 2;
    for (size_t i = 0; i < used; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = ' ';
    line[used] = '\n';
    line_file_add(&state->shard->log, (struct slice){ line, used + 1 });
}

static void close_request(void *pointer)
{
    struct waf_exchange *state = pointer;
    waf_request_close(state->request);
    chunk_queue_clear(&state->held);
}

static bool open_request(struct waf_exchange *state)
{
    struct exchange *exchange = state->exchange;
    struct arena *arena = exchange_arena(exchange);
    struct slice client = arena_copy(arena, exchange_client_ip(exchange));
    struct slice id = arena_copy(arena, exchange_request_id(exchange));
    struct waf_connection connection = { .client_ip = client.data, .request_id = id.data, .server_ip = "" };
    struct waf_engine *engine = state->shard->process->engines[exchange_shard(exchange)->index];
    chunk_queue_init(&state->held);
    if (client.data == NULL || id.data == NULL || !arena_on_close(arena, close_request, state))
        return false;
    state->request = waf_request_open(engine, state->config->compiled, &connection, state);
    return state->request != NULL;
}

static enum verdict refuse(struct waf_exchange *state, const struct waf_verdict *wanted)
{
    struct exchange *exchange = state->exchange;
    state->refused = true;
    metric_add(&exchange_shard(exchange)->metrics, METRIC_WAF_REFUSED, 1);
    if (wanted->location.data && wanted->status < 400) {
        if (!exchange_set_response_header(exchange, SLICE("Location"), wanted->location))
            return exchange_respond_failure(exchange);
        return exchange_respond_body(exchange, wanted->status, (struct slice){ NULL, 0 }, SLICE(""));
    }
    struct slice none = { NULL, 0 }; /* the status's own */
    return exchange_respond_error(exchange, wanted->status,
                                  wanted->status == 403 ? state->config->message : none);
}

static enum verdict on_access(const struct plugin_call *call)
{
    struct waf_exchange *state = call->exchange_state;
    const struct waf_config *config = call->config;
    struct exchange *exchange = call->exchange;
    struct slice body = SLICE("");
    if (!state->head_seen) {
        *state = (struct waf_exchange){
            .config = config, .shard = call->shard_state, .exchange = exchange, .head_seen = true
        };
        if (!open_request(state))
            return exchange_respond_failure(exchange);
        struct waf_verdict wanted =
            waf_request_head(state->request, exchange_request(exchange), exchange_arena(exchange));
        if (wanted.status)
            return refuse(state, &wanted);
    }
    if (config->request_body && exchange_request(exchange)->framing != BODY_NONE) {
        switch (exchange_read_body(exchange, (uint64_t)config->request_body_bytes, &body)) {
        case BODY_READ: break;
        case BODY_LATER: return VERDICT_READ_BODY;
        case BODY_FAILED: return exchange_respond_failure(exchange);
        case BODY_TOO_LONG:
            if (config->mode == WAF_BLOCKING && config->long_body == LONG_BODY_REFUSED)
                return refuse(state, &(struct waf_verdict){ .status = 413 });
            break;
        }
    }
    struct waf_verdict wanted = waf_request_body(state->request, body, exchange_arena(exchange));
    return wanted.status ? refuse(state, &wanted) : VERDICT_CONTINUE;
}

/* --- responses ------------------------------------------------------------------------------------------ */

static bool let_pass(struct waf_exchange *state)
{
    state->passes = true;
    while (state->held.count > 0)
        if (!body_filter_pass(&state->filter, chunk_queue_pop(&state->held)))
            return false;
    return true;
}

/* False: the response is cut short, for its head has gone out already. */
static bool judge_body(struct waf_exchange *state)
{
    struct waf_verdict wanted = waf_response_body(state->request, exchange_arena(state->exchange));
    if (wanted.status == 0)
        return let_pass(state);
    state->refused = true;
    metric_add(&exchange_shard(state->exchange)->metrics, METRIC_WAF_REFUSED, 1);
    return false;
}

static bool filter_write(struct body_filter *filter, struct chunk chunk)
{
    struct waf_exchange *state = CONTAINER_OF(filter, struct waf_exchange, filter);
    if (state->passes)
        return body_filter_pass(filter, chunk);
    uint64_t left = (uint64_t)state->config->response_body_bytes - state->held.bytes;
    struct slice seen = chunk_slice(&chunk);
    seen.size = seen.size < left ? seen.size : (size_t)left;
    waf_response_piece(state->request, seen);
    bool full = chunk.size >= left;
    if (!chunk_queue_append(&state->held, chunk, exchange_shard(state->exchange)->blocks, 0))
        return false;
    return !full || judge_body(state);
}

static bool filter_end(struct body_filter *filter)
{
    struct waf_exchange *state = CONTAINER_OF(filter, struct waf_exchange, filter);
    return state->passes || judge_body(state);
}

static const struct body_filter_ops filter_ops = { .write = filter_write, .end = filter_end };

static bool is_seen_type(const struct waf_config *config, struct slice type)
{
    struct slice parameters;
    type = slice_trim(slice_split(type, ';', &parameters));
    for (uint32_t i = 0; type.data && i < config->response_types.count; i++)
        if (slice_equal_nocase(type, config->response_types.items[i]))
            return true;
    return false;
}

/* The gateway's own answers are none of the rules' business. */
static enum verdict on_response_head(const struct plugin_call *call)
{
    struct waf_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    if (state->request == NULL || state->refused || exchange_response_is_own(exchange))
        return VERDICT_CONTINUE;
    struct header header;
    for (uint32_t cursor = 0; exchange_next_response_header(exchange, &cursor, &header);)
        waf_response_header(state->request, header.name, header.value);
    struct waf_verdict wanted =
        waf_response_head(state->request, exchange_response_status(exchange), exchange_arena(exchange));
    if (wanted.status)
        return refuse(state, &wanted);
    if (state->config->response_body &&
        is_seen_type(state->config, exchange_response_header(exchange, SLICE("Content-Type")))) {
        state->filter = (struct body_filter){ .ops = &filter_ops, .kind = BODY_FILTER_WATCHES };
        exchange_filter_response(exchange, &state->filter);
    }
    return VERDICT_CONTINUE;
}

static enum verdict on_log(const struct plugin_call *call)
{
    struct waf_exchange *state = call->exchange_state;
    if (state->request)
        waf_request_end(state->request);
    return VERDICT_CONTINUE;
}

/* --- states --------------------------------------------------------------------------------------------- */

static void process_close(void *process_state)
{
    struct waf_process *process = process_state;
    for (unsigned i = 0; process && i < process->count; i++)
        waf_engine_close(process->engines[i]);
    engines.process = NULL;
    free(process);
}

static void *process_open(unsigned shard_count)
{
    struct waf_process *process = calloc(1, sizeof(*process) + shard_count * sizeof(process->engines[0]));
    if (process == NULL)
        return NULL;
    process->count = shard_count;
    engines.process = process;
    if (!engines.asked_for || open_engines(process))
        return process;
    process_close(process);
    return NULL;
}

static enum error shard_state_open(struct shard *shard, void *process_state, void *shard_state)
{
    const struct settings *settings = proxy_settings(shard);
    struct waf_shard *state = shard_state;
    state->process = process_state;
    if (settings->waf_log.size == 0 || slice_equal(settings->waf_log, SLICE("off")))
        return ERROR_OK;
    struct line_file_options options = { .path = settings->waf_log.data, .mode = 0640 };
    enum error error = line_file_open(&state->log, shard, &options);
    state->log_is_open = error == ERROR_OK;
    if (state->log_is_open)
        proxy_add_file(proxy_of(shard), &state->log);
    return error;
}

static void shard_state_close(void *shard_state)
{
    struct waf_shard *state = shard_state;
    if (state->log_is_open)
        line_file_close(&state->log);
}

const struct plugin waf_plugin = {
    .kind = { .name = "waf",
              .priority = 2450,
              .config = { .name = "waf",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct waf_config),
                          .check = check } },
    .on = { [PHASE_ACCESS] = on_access, [PHASE_RESPONSE_HEAD] = on_response_head, [PHASE_LOG] = on_log },
    .shard_state_size = sizeof(struct waf_shard),
    .exchange_state_size = sizeof(struct waf_exchange),
    .process_open = process_open,
    .process_close = process_close,
    .shard_open = shard_state_open,
    .shard_close = shard_state_close,
};
