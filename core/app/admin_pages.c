/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/admin_api.h"
#include "core/app/admin_ui.h"
#include "core/app/metrics_page.h"
#include "net/proxy/plugin.h"
#include "net/transport/address.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The version of Kong whose Admin API this is: clients choose their dialect by it. */
#define KONG_VERSION "3.9.3"

/* --- who may ask ---------------------------------------------------------------------------------------- */

/* Host without its port, and without the brackets of an IPv6 address. */
static struct slice host_name(struct slice host)
{
    if (host.size > 0 && host.data[0] == '[') {
        struct slice rest;
        return slice_split(slice_from(host, 1), ']', &rest);
    }
    struct slice port;
    return slice_split(host, ':', &port);
}

static bool is_loopback(struct slice name)
{
    struct address address;
    if (slice_equal_nocase(name, SLICE("localhost")))
        return true;
    if (!address_parse(name, 0, &address))
        return false;
    if (address.any.sa_family == AF_INET)
        return ntohl(address.v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr);
}

static bool host_is_allowed(const struct admin_node *node, const struct admin_request *request)
{
    struct slice host = message_find(request->message, HEADER_HOST);
    if (host.size == 0)
        return request->message->version_minor == 0; /* no browser sends that */
    struct slice name = host_name(host);
    if (is_loopback(name) || slice_equal_nocase(name, request->local_address))
        return true;
    const struct slices *allowed = &node->settings->admin_allowed_hosts;
    for (uint32_t i = 0; i < allowed->count; i++)
        if (slice_equal_nocase(allowed->items[i], name) || slice_equal_nocase(allowed->items[i], host))
            return true;
    return false;
}

/* The pages of this listener itself, in a browser: scheme://host[:port] of the Host that was asked. */
static bool is_own_origin(struct slice origin, struct slice host)
{
    static const char *const schemes[] = { "http://", "https://" };
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        struct slice scheme = slice_of(schemes[i]);
        if (slice_starts_with(origin, scheme))
            return slice_equal_nocase(slice_from(origin, scheme.size), host);
    }
    return false;
}

/* A page in the operator's browser must not reach the admin listener: neither by a name that was made to
 * resolve to it (DNS rebinding) nor as a request across origins, also one that has no Origin because it only
 * reads. NULL: the request is fine. */
static const char *refusal(const struct admin_node *node, const struct admin_request *request)
{
    const struct message *message = request->message;
    if (request->side != ADMIN_SIDE_ADMIN)
        return NULL;
    if (!host_is_allowed(node, request))
        return "this Host is not allowed, see the setting admin_allowed_hosts";
    struct slice origin = message_find_name(message, SLICE("origin"));
    if (origin.data && !is_own_origin(origin, message_find(message, HEADER_HOST)))
        return "requests from other origins are not allowed";
    struct slice site = message_find_name(message, SLICE("sec-fetch-site"));
    if (slice_equal(site, SLICE("cross-site")) || slice_equal(site, SLICE("same-site")))
        return "requests from other origins are not allowed";
    return NULL;
}

/* --- JSON ----------------------------------------------------------------------------------------------- */

static json_t *text_json(struct slice text)
{
    if (text.data == NULL)
        return json_null();
    json_t *value = json_stringn(text.data, text.size);
    return value ? value : json_string("(not UTF-8)");
}

static json_t *texts_json(const struct slices *texts)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < texts->count; i++)
        json_array_append_new(array, text_json(texts->items[i]));
    return array;
}

static json_t *integer_json(int64_t value)
{
    return value == INTEGER_NULL ? json_null() : json_integer(value);
}

/* Seconds, as they are written in a settings file. */
static json_t *duration_json(int64_t value_ms)
{
    if (value_ms == INTEGER_NULL || value_ms % 1000 == 0)
        return integer_json(value_ms == INTEGER_NULL ? value_ms : value_ms / 1000);
    return json_real((double)value_ms / 1000);
}

static json_t *choices_json(const struct field *field, uint64_t bits)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < 64 && field->choices[i]; i++)
        if (bits >> i & 1)
            json_array_append_new(array, json_string(field->choices[i]));
    return array;
}

static json_t *setting_json(const struct field *field, const void *value)
{
    if (field->flags & FIELD_SECRET)
        return json_string("******");
    switch (field->type) {
    case FIELD_STRING: return text_json(*(const struct slice *)value);
    case FIELD_BOOLEAN: return json_boolean(*(const bool *)value);
    case FIELD_INTEGER:
    case FIELD_SIZE: return integer_json(*(const int64_t *)value);
    case FIELD_DURATION: return duration_json(*(const int64_t *)value);
    case FIELD_NUMBER: return isnan(*(const double *)value) ? json_null() : json_real(*(const double *)value);
    case FIELD_CHOICE: {
        int choice = *(const int *)value;
        return choice < 0 ? json_null() : json_string(field->choices[choice]);
    }
    case FIELD_CHOICES: return choices_json(field, *(const uint64_t *)value);
    case FIELD_STRINGS: return texts_json(value);
    case FIELD_INTEGERS:
    case FIELD_RECORD:
    case FIELD_RECORDS:
    case FIELD_RECORD_MAP:
    case FIELD_MAP: break; /* no setting is one */
    }
    return json_null();
}

static json_t *configuration_json(const struct settings *settings)
{
    json_t *object = json_object();
    for (size_t i = 0; i < settings_schema.field_count; i++) {
        const struct field *field = &settings_schema.fields[i];
        json_object_set_new(object, field->name, setting_json(field, (const char *)settings + field->offset));
    }
    return object;
}

static void add_enabled(const struct catalog *catalog, json_t *names)
{
    uint32_t count;
    const struct catalog_row *rows = catalog_of_kind(catalog, "plugins", &count);
    json_t *seen = json_object();
    for (uint32_t i = 0; i < count; i++) {
        json_t *document = json_loadb(rows[i].text.data, rows[i].text.size, 0, NULL);
        json_t *name = json_object_get(document, "name");
        if (json_is_string(name) && !json_object_get(seen, json_string_value(name))) {
            json_object_set_new(seen, json_string_value(name), json_true());
            json_array_append(names, name);
        }
        json_decref(document);
    }
    json_decref(seen);
}

static json_t *enabled_json(const struct admin_node *node)
{
    json_t *names = json_array();
    const struct catalog *catalog = in_force_open_catalog(node->source.in_force);
    if (catalog)
        add_enabled(catalog, names);
    in_force_close(node->source.in_force);
    return names;
}

static json_t *plugins_json(const struct admin_node *node)
{
    json_t *available = json_object();
    for (size_t i = 0; plugin_registry[i]; i++) {
        const struct plugin_kind *kind = &plugin_registry[i]->kind;
        json_object_set_new(available, kind->name,
                            json_pack("{s:s, s:i}", "version", SLUICE_VERSION, "priority", kind->priority));
    }
    return json_pack("{s:o, s:o}", "available_on_server", available, "enabled_in_cluster",
                     enabled_json(node));
}

/* --- pages ---------------------------------------------------------------------------------------------- */

static uint64_t total(const struct admin_source *source, enum metric metric)
{
    uint64_t sum = metric_read(source->monitor_metrics, metric);
    for (unsigned i = 0; i < source->shard_count; i++)
        sum += metric_read(source->metrics[i], metric);
    return sum;
}

static void handle_root(struct admin_call *call)
{
    const struct admin_node *node = call->node;
    struct admin_answer *answer = call->answer;
    int pid = (int)getpid(); /* one process: its workers are threads */
    json_t *configuration = configuration_json(node->settings);
    if (node->source.store) /* clients that write ask for it */
        json_object_set_new(configuration, "database", json_string("sqlite"));
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "version", KONG_VERSION, "edition",
                             "community", "sluice_version", SLUICE_VERSION, "tagline", "Welcome to sluice",
                             "hostname", node->hostname, "node_id", node->id, "lua_version", "none");
    json_object_set_new(root, "pids", json_pack("{s:i, s:[i]}", "master", pid, "workers", pid));
    json_object_set_new(root, "timers", json_pack("{s:i, s:i}", "running", 0, "pending", 0));
    json_object_set_new(root, "plugins", plugins_json(node));
    json_object_set_new(root, "configuration", configuration);
    admin_json(answer, 200, root);
}

static void handle_status(struct admin_call *call)
{
    const struct admin_node *node = call->node;
    struct admin_answer *answer = call->answer;
    const struct admin_source *source = &node->source;
    json_int_t accepted = (json_int_t)total(source, METRIC_CONNECTIONS_ACCEPTED);
    json_int_t active = (json_int_t)total(source, METRIC_CONNECTIONS_ACTIVE);
    json_int_t writing = (json_int_t)total(source, METRIC_REQUESTS_ACTIVE);
    char hash[33];
    in_force_hash(source->in_force, hash);
    json_t *server = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "connections_accepted", accepted,
                               "connections_active", active, "connections_handled", accepted,
                               "connections_reading", (json_int_t)0, "connections_writing", writing,
                               "connections_waiting", active > writing ? active - writing : (json_int_t)0,
                               "total_requests", (json_int_t)total(source, METRIC_REQUESTS));
    json_t *status = json_pack("{s:o, s:{s:[], s:{}}, s:s}", "server", server, "memory", "workers_lua_vms",
                               "lua_shared_dicts", "configuration_hash", hash);
    if (source->store)
        json_object_set_new(status, "database", json_pack("{s:b}", "reachable", 1));
    admin_json(answer, 200, status);
}

static void handle_metrics(struct admin_call *call)
{
    struct admin_answer *answer = call->answer;
    *answer = (struct admin_answer){ .status = 200, .type = METRICS_PAGE_TYPE };
    answer->stream = metrics_page_open(call->node);
    if (answer->stream == NULL)
        answer->status = 503;
}

/* Authorization: Bearer TOKEN, or the header of Kong's clients. */
static bool shows_token(const struct admin_node *node, const struct message *message)
{
    struct slice wanted = node->settings->admin_token;
    struct slice shown = message_find_name(message, SLICE("kong-admin-token"));
    struct slice scheme, header = message_find(message, HEADER_AUTHORIZATION);
    if (wanted.size == 0)
        return true;
    if (shown.data == NULL && header.data) {
        scheme = slice_split(header, ' ', &shown);
        shown = slice_equal_nocase(scheme, SLICE("bearer")) ? slice_trim(shown) : (struct slice){ NULL, 0 };
    }
    return shown.data && slice_equal_constant_time(wanted, shown);
}

bool admin_pages_refuse(const struct admin_node *node, const struct admin_request *request,
                        struct admin_answer *answer)
{
    const char *reason = refusal(node, request);
    if (reason) {
        admin_message(answer, 403, reason);
        return true;
    }
    struct slice query, path = slice_split(request->message->origin_form, '?', &query);
    if (request->side != ADMIN_SIDE_ADMIN || shows_token(node, request->message) || admin_ui_is_file(path))
        return false;
    admin_message(answer, 401, "Unauthorized");
    answer->challenge = true;
    return true;
}

/* Clients know the page for a method that is never served from nginx. */
void admin_pages_refused(struct admin_answer *answer, int status, const char *reason)
{
    if (status != 405) {
        admin_message(answer, status, reason);
        return;
    }
    admin_page(answer, 405, "Not Allowed");
    answer->bare = true;
}

/* The drain state: 503 from then on, so that who balances before this process goes elsewhere. */
static void handle_ready(struct admin_call *call)
{
    if (in_force_is_ready(call->node->source.in_force))
        admin_message(call->answer, 200, "ready");
    else
        admin_message(call->answer, 503, "not ready: starting or shutting down");
}

static void handle_live(struct admin_call *call)
{
    admin_message(call->answer, 200, "live");
}

const struct admin_endpoint admin_node_endpoints[] = {
    { "/", ADMIN_GET, handle_root, false },           { "/status", ADMIN_GET, handle_status, true },
    { "/status/live", ADMIN_GET, handle_live, true }, { "/status/ready", ADMIN_GET, handle_ready, true },
    { "/metrics", ADMIN_GET, handle_metrics, true },  { 0 },
};
