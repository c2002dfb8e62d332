/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/upstream.h"

#include "config/kong/host.h"

#include <math.h>

#define AT(member) offsetof(struct kong_upstream, member)

static const char *const hash_inputs[] = { "none", "consumer",  "ip",          "header", "cookie",
                                           "path", "query_arg", "uri_capture", NULL };

/* Kong's own four are the ones its message names. */
static const struct {
    const char *name;
    enum balance balance;
} algorithms[] = {
    { "consistent-hashing", BALANCE_CONSISTENT_HASHING },
    { "least-connections", BALANCE_LEAST_CONNECTIONS },
    { "round-robin", BALANCE_ROUND_ROBIN },
    { "latency", BALANCE_LATENCY },
    { "least-request", BALANCE_LEAST_REQUEST },
    { "maglev", BALANCE_MAGLEV },
    { "sticky-sessions", BALANCE_STICKY },
};

static int find_algorithm(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(algorithms); i++)
        if (slice_equal(name, slice_of(algorithms[i].name)))
            return (int)algorithms[i].balance;
    return -1;
}

static const char *check_algorithm(struct slice text)
{
    return find_algorithm(text) >= 0
               ? NULL
               : "expected one of: consistent-hashing, least-connections, round-robin, latency";
}

static const char *check_name(struct slice text)
{
    struct kong_host host;
    if (kong_parse_host(text, &host) != NULL)
        return "Invalid name ('{}'); must be a valid hostname";
    if (host.type != KONG_HOST_NAME)
        return "Invalid name ('{}'); no ip addresses allowed";
    return host.has_port ? "Invalid name ('{}'); no port allowed" : NULL;
}

static const char *check_host_header(struct slice text)
{
    struct kong_host host;
    return kong_parse_host(text, &host);
}

static const struct field circuit_fields[] = {
    { "max_connections", FIELD_INTEGER, offsetof(struct kong_circuit, connections), .max = 4294967295,
      .fallback = "1024" },
    { "max_pending_requests", FIELD_INTEGER, offsetof(struct kong_circuit, pending), .max = 4294967295,
      .fallback = "1024" },
    { "max_requests", FIELD_INTEGER, offsetof(struct kong_circuit, requests), .max = 4294967295,
      .fallback = "1024" },
    { "max_retries", FIELD_INTEGER, offsetof(struct kong_circuit, retries), .max = 4294967295,
      .fallback = "3" },
};
static const struct schema circuit_schema = { "circuit_breaker", circuit_fields, COUNT_OF(circuit_fields),
                                              sizeof(struct kong_circuit) };

static const struct field outlier_fields[] = {
    { "consecutive_5xx", FIELD_INTEGER, offsetof(struct kong_outlier, consecutive_5xx), .max = 4294967295,
      .fallback = "5", .help = "0: not counted" },
    { "consecutive_gateway_failure", FIELD_INTEGER, offsetof(struct kong_outlier, consecutive_gateway),
      .max = 4294967295, .fallback = "0", .help = "of 502, 503 and 504; 0: not counted" },
    { "interval", FIELD_DURATION, offsetof(struct kong_outlier, interval_ms), .min = 1, .max = 86400000,
      .fallback = "10", .help = "seconds between two looks" },
    { "base_ejection_time", FIELD_DURATION, offsetof(struct kong_outlier, base_ms), .min = 1, .max = 86400000,
      .fallback = "30", .help = "seconds, times the ejections before" },
    { "max_ejection_time", FIELD_DURATION, offsetof(struct kong_outlier, max_ms), .min = 1, .max = 86400000,
      .fallback = "300", .help = "seconds" },
    { "max_ejection_percent", FIELD_INTEGER, offsetof(struct kong_outlier, max_percent), .max = 100,
      .fallback = "10", .help = "of the targets, but always one" },
};
static const struct schema outlier_schema = { "outlier_detection", outlier_fields, COUNT_OF(outlier_fields),
                                              sizeof(struct kong_outlier) };

static const struct field fields[] = {
    { "name", FIELD_STRING, AT(upstream.entity.name), .flags = FIELD_REQUIRED, .check = check_name,
      .help = "unique; what services have as host" },
    { "algorithm", FIELD_STRING, AT(algorithm), .check = check_algorithm, .fallback = "round-robin",
      .help = "or consistent-hashing, least-connections, latency; also least-request, maglev, "
              "sticky-sessions" },
    { "hash_on", FIELD_CHOICE, AT(hash_on), .choices = hash_inputs, .fallback = "none" },
    { "hash_fallback", FIELD_CHOICE, AT(hash_fallback), .choices = hash_inputs, .fallback = "none" },
    { "hash_on_header", FIELD_STRING, AT(on_header), .check = kong_check_header_text },
    { "hash_fallback_header", FIELD_STRING, AT(fallback_header), .check = kong_check_header_text },
    { "hash_on_cookie", FIELD_STRING, AT(on_cookie), .check = kong_check_cookie_name },
    { "hash_on_cookie_path", FIELD_STRING, AT(cookie_path), .check = kong_check_path, .fallback = "/" },
    { "hash_on_query_arg", FIELD_STRING, AT(on_query_arg) },
    { "hash_fallback_query_arg", FIELD_STRING, AT(fallback_query_arg) },
    { "hash_on_uri_capture", FIELD_STRING, AT(on_uri_capture) },
    { "hash_fallback_uri_capture", FIELD_STRING, AT(fallback_uri_capture) },
    { "sticky_sessions_cookie", FIELD_STRING, AT(sticky_cookie), .check = kong_check_cookie_name,
      .help = "required by sticky-sessions" },
    { "sticky_sessions_cookie_path", FIELD_STRING, AT(sticky_path), .check = kong_check_path,
      .fallback = "/" },
    { "slots", FIELD_INTEGER, AT(slots), .min = 10, .max = 65536, .fallback = "10000",
      .help = "points of the ring of consistent-hashing" },
    { "healthchecks", FIELD_RECORD, AT(health), .record = &kong_health_schema },
    { "host_header", FIELD_STRING, AT(upstream.host_header), .check = check_host_header,
      .help = "HOST[:PORT] sent instead of the target's name" },
    { "use_srv_name", FIELD_BOOLEAN, AT(upstream.use_srv_name), .fallback = "false",
      .help = "the Host sent is the name in the SRV record" },
    { "slow_start", FIELD_DURATION, AT(upstream.slow_start_ms), .max = 86400000, .fallback = "0",
      .help = "seconds in which a new or recovered target's weight grows; 0: off" },
    { "circuit_breaker", FIELD_RECORD, AT(circuit), .record = &circuit_schema,
      .help = "limits, shared out to the shards; without it there are none, and 0 is none" },
    { "outlier_detection", FIELD_RECORD, AT(outlier), .record = &outlier_schema,
      .help = "without it no target is ejected" },
    KONG_COMMON_FIELDS(struct kong_upstream, upstream.entity),
};

static const char *const others[] = { "targets", "client_certificate", "_comment", "_ignore", NULL };

const struct schema kong_upstream_schema = {
    .name = "upstreams",
    .fields = fields,
    .field_count = COUNT_OF(fields),
    .struct_size = sizeof(struct kong_upstream),
    .others = others,
};

/* What Kong calls a conditional check: it names the field that decided, too. */
static void refuse_given(const struct kong_entry *entry, const char *given, const char *field,
                         const char *reason)
{
    schema_error(entry->place, entry->node, field, "%s", reason);
    schema_error(entry->place, entry->node, "", "failed conditional validation given value of field '%s'",
                 given);
}

/* What an input needs beside it. */
static void check_needs(const struct kong_entry *entry, const struct kong_upstream *wide)
{
    const struct {
        int chosen;
        const char *given;
        enum hash_input input;
        const struct slice *value;
        const char *field;
    } rows[] = {
        { wide->hash_on, "hash_on", HASH_HEADER, &wide->on_header, "hash_on_header" },
        { wide->hash_fallback, "hash_fallback", HASH_HEADER, &wide->fallback_header, "hash_fallback_header" },
        { wide->hash_on, "hash_on", HASH_COOKIE, &wide->on_cookie, "hash_on_cookie" },
        { wide->hash_fallback, "hash_fallback", HASH_COOKIE, &wide->on_cookie, "hash_on_cookie" },
        { wide->hash_on, "hash_on", HASH_QUERY_ARG, &wide->on_query_arg, "hash_on_query_arg" },
        { wide->hash_fallback, "hash_fallback", HASH_QUERY_ARG, &wide->fallback_query_arg,
          "hash_fallback_query_arg" },
        { wide->hash_on, "hash_on", HASH_URI_CAPTURE, &wide->on_uri_capture, "hash_on_uri_capture" },
        { wide->hash_fallback, "hash_fallback", HASH_URI_CAPTURE, &wide->fallback_uri_capture,
          "hash_fallback_uri_capture" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].chosen == (int)rows[i].input && rows[i].value->data == NULL &&
            !kong_is_given(entry->node, rows[i].field)) /* a bad one was reported */
            refuse_given(entry, rows[i].given, rows[i].field, "required field missing");
}

/* Which inputs may follow which. */
static void check_fallback(const struct kong_entry *entry, const struct kong_upstream *wide)
{
    static const char *const reasons[] = {
        [HASH_NONE] = "expected one of: none",
        [HASH_COOKIE] = "expected one of: none",
        [HASH_CONSUMER] = "expected one of: none, ip, header, cookie, path, query_arg, uri_capture",
        [HASH_IP] = "expected one of: none, consumer, header, cookie, path, query_arg, uri_capture",
        [HASH_PATH] = "expected one of: none, consumer, header, cookie, query_arg, ip, uri_capture",
        [HASH_URI_CAPTURE] = NULL,
    };
    int on = wide->hash_on, fallback = wide->hash_fallback;
    if (on < 0 || fallback <= HASH_NONE || reasons[on] == NULL)
        return;
    if (on == HASH_NONE || on == HASH_COOKIE || on == fallback)
        refuse_given(entry, "hash_on", "hash_fallback", reasons[on]);
}

static void check_distinct(const struct kong_entry *entry, const struct kong_upstream *wide)
{
    const struct {
        const struct slice *on, *fallback;
        const char *names;
    } rows[] = {
        { &wide->on_header, &wide->fallback_header, "'hash_on_header', 'hash_fallback_header'" },
        { &wide->on_query_arg, &wide->fallback_query_arg, "'hash_on_query_arg', 'hash_fallback_query_arg'" },
        { &wide->on_uri_capture, &wide->fallback_uri_capture,
          "'hash_on_uri_capture', 'hash_fallback_uri_capture'" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].on->data != NULL && rows[i].fallback->data != NULL &&
            slice_equal(*rows[i].on, *rows[i].fallback))
            schema_error(entry->place, entry->node, "", "values of these fields must be distinct: %s",
                         rows[i].names);
}

/* Kong's coupling: hash_on chooses the algorithm, but for the algorithms that do not hash. */
static void couple(const struct kong_entry *entry, struct kong_upstream *wide)
{
    int balance = find_algorithm(wide->algorithm);
    bool hashes = balance == BALANCE_CONSISTENT_HASHING || balance == BALANCE_MAGLEV;
    bool turns = balance == BALANCE_ROUND_ROBIN;
    if (balance < 0 || wide->hash_on < 0)
        return;
    if (!hashes && !turns)
        wide->hash_on = HASH_NONE;
    else if (wide->hash_on != HASH_NONE && balance != BALANCE_MAGLEV)
        balance = BALANCE_CONSISTENT_HASHING;
    else if (wide->hash_on == HASH_NONE && kong_is_given(entry->node, "hash_on") && balance != BALANCE_MAGLEV)
        balance = BALANCE_ROUND_ROBIN;
    wide->upstream.balance = balance;
}

/* What our additions need, and what is not there yet. */
static void check_additions(const struct kong_entry *entry, const struct kong_upstream *wide)
{
    int balance = find_algorithm(wide->algorithm);
    if (balance == BALANCE_MAGLEV && wide->hash_on == HASH_NONE)
        refuse_given(entry, "algorithm", "hash_on", "maglev needs an input to hash");
    if (balance == BALANCE_STICKY && wide->sticky_cookie.data == NULL &&
        !kong_is_given(entry->node, "sticky_sessions_cookie"))
        refuse_given(entry, "algorithm", "sticky_sessions_cookie", "required field missing");
}

static struct hash_key hash_key(int input, struct slice header, struct slice cookie, struct slice query_arg,
                                struct slice capture)
{
    switch (input) {
    case HASH_HEADER: return (struct hash_key){ input, header };
    case HASH_COOKIE: return (struct hash_key){ input, cookie };
    case HASH_QUERY_ARG: return (struct hash_key){ input, query_arg };
    case HASH_URI_CAPTURE: return (struct hash_key){ input, capture };
    default: return (struct hash_key){ .input = input < 0 ? HASH_NONE : input };
    }
}

static void set_hashing(struct kong_upstream *wide)
{
    struct upstream *upstream = &wide->upstream;
    upstream->hash_on =
        hash_key(wide->hash_on, wide->on_header, wide->on_cookie, wide->on_query_arg, wide->on_uri_capture);
    upstream->hash_fallback = hash_key(wide->hash_fallback, wide->fallback_header, wide->on_cookie,
                                       wide->fallback_query_arg, wide->fallback_uri_capture);
    upstream->cookie_path = wide->cookie_path;
    upstream->cookie_ttl_s = INTEGER_NULL;
    if (upstream->balance != BALANCE_STICKY)
        return;
    upstream->hash_on = (struct hash_key){ HASH_COOKIE, wide->sticky_cookie };
    upstream->cookie_path = wide->sticky_path;
}

static void set_limits(const struct kong_entry *entry, struct kong_upstream *wide)
{
    struct upstream *upstream = &wide->upstream;
    const struct kong_circuit *circuit = &wide->circuit;
    const struct kong_outlier *outlier = &wide->outlier;
    upstream->slots = wide->slots > 0 ? (uint32_t)wide->slots : 0;
    if (kong_is_given(entry->node, "circuit_breaker"))
        upstream->circuit =
            (struct circuit_limits){ (uint32_t)circuit->connections, (uint32_t)circuit->pending,
                                     (uint32_t)circuit->requests, (uint32_t)circuit->retries };
    if (kong_is_given(entry->node, "outlier_detection"))
        upstream->outlier = (struct outlier_rules){ (uint32_t)outlier->consecutive_5xx,
                                                    (uint32_t)outlier->consecutive_gateway,
                                                    outlier->interval_ms,
                                                    outlier->base_ms,
                                                    outlier->max_ms,
                                                    (uint32_t)outlier->max_percent };
}

static void finish(const struct kong_entry *entry, struct kong_upstream *wide)
{
    couple(entry, wide);
    check_needs(entry, wide);
    check_fallback(entry, wide);
    check_distinct(entry, wide);
    check_additions(entry, wide);
    set_hashing(wide);
    set_limits(entry, wide);
    kong_finish_health(entry, wide);
}

void kong_read_upstream(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                        const struct kong_parent *parent)
{
    struct model *model = reader->model;
    struct kong_upstream *wide = kong_take(reader, &model->arena, sizeof(*wide));
    struct upstream **items =
        model_reserve(model, model->upstreams.items, model->upstreams.count, &model->upstreams.capacity);
    (void)parent;
    if (wide == NULL || items == NULL) {
        kong_fail_memory(reader);
        return;
    }
    struct upstream *upstream = &wide->upstream;
    schema_read(&kong_upstream_schema, node, place, wide);
    finish(&(struct kong_entry){ node, place }, wide);
    model->upstreams.items = items;
    upstream->entity.index = model->upstreams.count;
    items[model->upstreams.count++] = upstream;

    struct kong_foreign foreign = { &reader->certificates, "client_certificate",
                                    &upstream->client_certificate };
    kong_refer(reader, &foreign, node, place);
    struct kong_identity identity = { &reader->upstreams, &upstream->entity, &wide->common,
                                      upstream->entity.name, "name" };
    kong_identify(reader, &identity, node, place);

    struct kong_parent inner = { .upstream = upstream };
    struct config_place deeper = kong_place(reader, place, "targets");
    kong_read_array(reader, node_find(node, "targets"), &deeper, kong_read_target, &inner);
}
