/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's request-termination: the gateway answers itself, always or when a header or an argument asks. */
#include "plugins/request_termination.h"

#include "core/base/query.h"
#include "plugins/plugins.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

struct request_termination_shard {
    const struct request_termination_node *node;
};

/* What ends up in a response header may hold no line end. */
static const char *check_content_type(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return "invalid value: control characters are not allowed";
    return NULL;
}

#define OFFSET(member) offsetof(struct request_termination_config, member)

static const struct field fields[] = {
    { "status_code", FIELD_INTEGER, OFFSET(status_code), .min = 100, .max = 599, .fallback = "503",
      .help = "status of the answer, 200 at least" },
    { "message", FIELD_STRING, OFFSET(message), .help = "sent as JSON; not with body or content_type" },
    { "content_type", FIELD_STRING, OFFSET(content_type), .check = check_content_type,
      .help = "of the body; without it there is no such header" },
    { "body", FIELD_STRING, OFFSET(body), .help = "sent as it is" },
    { "echo", FIELD_BOOLEAN, OFFSET(echo), .fallback = "false",
      .help = "answer with the request as JSON: for debugging, it shows all its headers" },
    { "trigger", FIELD_STRING, OFFSET(trigger),
      .help = "answer only requests with this header or query argument" },
};

struct slice request_termination_message(const struct request_termination_config *config)
{
    if (config->message.data)
        return config->message;
    switch (config->status_code) {
    case 401: return SLICE("Unauthorized");
    case 404: return SLICE("Not found");
    case 405: return SLICE("Method not allowed");
    case 500: return SLICE("An unexpected error occurred");
    case 502: return SLICE("Bad Gateway");
    case 503: return SLICE("Service unavailable");
    default: return (struct slice){ NULL, 0 };
    }
}

/* Absent when memory is exhausted. */
static struct slice message_json(struct slice message, struct arena *arena)
{
    json_t *object = json_pack("{s:s%}", "message", message.data, message.size);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    struct slice copy = arena_copy(arena, slice_of(text));
    free(text);
    json_decref(object);
    return copy;
}

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct request_termination_config *config = value;
    config->json = (struct slice){ NULL, 0 };
    if (config->status_code >= 100 && config->status_code < 200)
        schema_error(place, node, "status_code", "a status below 200 does not end a request");
    if (config->message.data && (config->content_type.data || config->body.data))
        schema_error(place, node, "message", "message cannot be used with content_type or body");
    if (config->content_type.data && config->body.data == NULL)
        schema_error(place, node, "content_type", "content_type requires a body");
    struct slice message = request_termination_message(config);
    if (message.data == NULL)
        return;
    config->json = message_json(message, place->arena);
    if (config->json.data == NULL)
        schema_error(place, node, "message", "out of memory");
}

static bool is_triggered(const struct exchange *exchange, struct slice trigger)
{
    if (trigger.data == NULL || message_find_name(exchange_request(exchange), trigger).data)
        return true;
    struct slice rest = exchange_query(exchange);
    while (rest.data) {
        struct slice value;
        if (query_names(slice_split(slice_split(rest, '&', &rest), '=', &value), trigger))
            return true;
    }
    return false;
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct request_termination_config *config = call->config;
    const struct request_termination_shard *shard = call->shard_state;
    struct slice none = { NULL, 0 };
    int status = (int)config->status_code;
    if (!is_triggered(call->exchange, config->trigger))
        return VERDICT_CONTINUE;
    if (config->echo) {
        struct slice json = request_termination_echo(call->exchange, config, shard->node);
        return json.data ? exchange_respond_json(call->exchange, status, json)
                         : exchange_respond_failure(call->exchange);
    }
    if (config->body.data)
        return exchange_respond_body(call->exchange, status, config->content_type, config->body);
    if (config->json.data)
        return exchange_respond_json(call->exchange, status, config->json);
    return exchange_respond_body(call->exchange, status, none, none);
}

static void *process_open(unsigned shard_count)
{
    (void)shard_count;
    struct request_termination_node *node = calloc(1, sizeof(*node));
    if (node == NULL)
        return NULL;
    uuid_random(NULL, node->id);
    if (gethostname(node->hostname, sizeof(node->hostname) - 1) != 0)
        node->hostname[0] = '\0';
    return node;
}

static void process_close(void *process_state)
{
    free(process_state);
}

static enum error shard_state_open(struct shard *shard, void *process_state, void *shard_state)
{
    (void)shard;
    ((struct request_termination_shard *)shard_state)->node = process_state;
    return ERROR_OK;
}

const struct plugin request_termination_plugin = {
    .kind = { .name = "request-termination",
              .priority = 2,
              .config = { .name = "request-termination",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct request_termination_config),
                          .check = check } },
    .on = { [PHASE_ACCESS] = on_access },
    .shard_state_size = sizeof(struct request_termination_shard),
    .process_open = process_open,
    .process_close = process_close,
    .shard_open = shard_state_open,
};
