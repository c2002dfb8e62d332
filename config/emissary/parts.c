/* SPDX-License-Identifier: Apache-2.0 */
#include "config/emissary/parts.h"

/* --- fields that are not done ----------------------------------------------------------------------- */

bool emissary_is_given(const struct node *record, const char *name)
{
    const struct node *value = node_find(record, name);
    return value != NULL && value->kind != NODE_NULL;
}

static bool is_empty(const struct node *value)
{
    bool many = value->kind == NODE_SEQUENCE || value->kind == NODE_MAPPING;
    return many ? value->count == 0 : value->text.size == 0;
}

void emissary_refuse(const struct emissary_refused *table, const struct node *record,
                     const struct config_place *place)
{
    for (; table->name; table++) {
        const struct node *value = node_find(record, table->name);
        if (value == NULL || value->kind == NODE_NULL)
            continue;
        struct config_place deeper = schema_place(place, table->name);
        if (table->harmless == NULL)
            report_add(place->report, REPORT_WARNING, &value->position, deeper.path, "has no effect here");
        else if (!is_empty(value) && !slice_equal(value->text, slice_of(table->harmless)))
            report_add(place->report, REPORT_ERROR, &value->position, deeper.path, "not supported yet");
    }
}

static const char *const envelope[] = {
    "apiVersion", "generation", "kind", "metadata_labels", "name", "namespace",
};

const char *const *emissary_others(struct kube_reader *kube, const struct kube_object *object,
                                   const struct emissary_refused *table, const char *const *others)
{
    size_t count = COUNT_OF(envelope) + 1, next = 0;
    for (const struct emissary_refused *one = table; one->name; one++)
        count++;
    for (const char *const *one = others; *one; one++)
        count++;
    const char **names = kube_take_scratch(kube, count * sizeof(*names));
    for (; names && table->name; table++)
        names[next++] = table->name;
    for (; names && *others; others++)
        names[next++] = *others;
    for (size_t i = 0; names && object && object->flat && i < COUNT_OF(envelope); i++)
        names[next++] = envelope[i];
    return names;
}

bool emissary_is_ours(struct emissary_reader *reader, const struct kube_object *object)
{
    struct slice own = reader->kube->options.ambassador_id;
    const struct node *list = node_find(object->spec, "ambassador_id");
    if (list == NULL)
        list = node_find(object->spec, "ambassadorId");
    if (list == NULL || list->kind == NODE_NULL || (list->kind == NODE_SEQUENCE && list->count == 0))
        return slice_equal(own, SLICE("default"));
    if (list->kind == NODE_STRING)
        return slice_equal(list->text, own) || slice_equal(list->text, SLICE("_automatic_"));
    for (uint32_t i = 0; i < list->count && list->kind == NODE_SEQUENCE; i++) {
        struct slice text = list->entries[i].value->text, mark = SLICE("--apiVersion-v3alpha1-only--");
        if (slice_starts_with(text, mark))
            text = slice_from(text, mark.size);
        if (slice_equal(text, own) || slice_equal(text, SLICE("_automatic_")))
            return true;
    }
    return false;
}

/* --- retries ---------------------------------------------------------------------------------------- */

static const char *const retry_names[] = {
    "5xx", "gateway-error", "connect-failure", "retriable-4xx", "refused-stream", "retriable-status-codes",
    NULL,
};
enum { RETRY_NAME_STATUS_CODES = 5 };

struct retry_record {
    int retry_on;
    int64_t num_retries;
    struct slice per_try_timeout;
};

static const struct field retry_fields[] = {
    { "retry_on", FIELD_CHOICE, offsetof(struct retry_record, retry_on), .flags = FIELD_REQUIRED,
      .choices = retry_names },
    { "num_retries", FIELD_INTEGER, offsetof(struct retry_record, num_retries), .min = 0, .max = 1000,
      .fallback = "1" },
    { "per_try_timeout", FIELD_STRING, offsetof(struct retry_record, per_try_timeout),
      .help = "a duration like 1.5s" },
};

static const struct schema retry_schema = { "retry_policy", retry_fields, COUNT_OF(retry_fields),
                                            sizeof(struct retry_record) };

bool emissary_read_retry(struct emissary_reader *reader, const struct node *record,
                         const struct config_place *place, struct emissary_retry *retry)
{
    struct retry_record read;
    struct config_place deeper = schema_place(place, "retry_policy");
    const struct node *node = node_find(record, "retry_policy");
    (void)reader;
    *retry = (struct emissary_retry){ .retry_on = -1 };
    if (!emissary_is_given(record, "retry_policy"))
        return false;
    if ((node->kind == NODE_MAPPING && node->count == 0) || !schema_read(&retry_schema, node, &deeper, &read))
        return true; /* {} overrides a default with nothing */
    if (read.retry_on == RETRY_NAME_STATUS_CODES)
        schema_error(&deeper, node, "retry_on", "retriable-status-codes: not supported yet");
    if (read.per_try_timeout.data && !kube_duration(read.per_try_timeout, &retry->per_try_timeout_ms))
        schema_error(&deeper, node, "per_try_timeout", "expected a duration like 1.5s");
    retry->retry_on = read.retry_on;
    retry->num_retries = read.num_retries;
    return true;
}

/* --- balancing -------------------------------------------------------------------------------------- */

static const char *const policy_names[] = { "round_robin", "least_request", "ring_hash", "maglev", NULL };
static const enum balance policies[] = { BALANCE_ROUND_ROBIN, BALANCE_LEAST_REQUEST,
                                         BALANCE_CONSISTENT_HASHING, BALANCE_MAGLEV };

struct cookie_record {
    struct slice name, path, ttl;
};
struct balance_record {
    int policy;
    struct slice header;
    bool source_ip;
    struct cookie_record cookie;
};

static const struct field cookie_fields[] = {
    { "name", FIELD_STRING, offsetof(struct cookie_record, name), .flags = FIELD_REQUIRED },
    { "path", FIELD_STRING, offsetof(struct cookie_record, path) },
    { "ttl", FIELD_STRING, offsetof(struct cookie_record, ttl), .help = "a duration; 0s: for the session" },
};
static const struct schema cookie_schema = { "cookie", cookie_fields, COUNT_OF(cookie_fields),
                                             sizeof(struct cookie_record) };
static const struct field balance_fields[] = {
    { "policy", FIELD_CHOICE, offsetof(struct balance_record, policy), .flags = FIELD_REQUIRED,
      .choices = policy_names },
    { "header", FIELD_STRING, offsetof(struct balance_record, header) },
    { "source_ip", FIELD_BOOLEAN, offsetof(struct balance_record, source_ip), .fallback = "false" },
    { "cookie", FIELD_RECORD, offsetof(struct balance_record, cookie), .record = &cookie_schema },
};
static const struct schema balance_schema = { "load_balancer", balance_fields, COUNT_OF(balance_fields),
                                              sizeof(struct balance_record) };

static void use_cookie(const struct balance_record *read, const struct node *node,
                       const struct config_place *place, struct emissary_balance *balance)
{
    int64_t ttl_ms = 0;
    balance->hash = (struct hash_key){ HASH_COOKIE, read->cookie.name };
    balance->cookie_path = read->cookie.path;
    if (read->cookie.ttl.data == NULL)
        schema_error(place, node, "cookie", "a cookie without ttl: not supported yet");
    else if (!kube_duration(read->cookie.ttl, &ttl_ms))
        schema_error(place, node, "cookie", "ttl: expected a duration like 60s");
    balance->cookie_ttl_s = ttl_ms > 0 ? (ttl_ms + 999) / 1000 : INTEGER_NULL;
}

bool emissary_read_balance(struct emissary_reader *reader, const struct node *record,
                           const struct config_place *place, struct emissary_balance *balance)
{
    struct balance_record read;
    struct config_place deeper = schema_place(place, "load_balancer");
    const struct node *node = node_find(record, "load_balancer");
    (void)reader;
    *balance = (struct emissary_balance){ .cookie_ttl_s = INTEGER_NULL };
    if (!emissary_is_given(record, "load_balancer"))
        return false;
    if ((node->kind == NODE_MAPPING && node->count == 0) ||
        !schema_read(&balance_schema, node, &deeper, &read))
        return true;
    balance->set = true;
    balance->balance = (int)policies[read.policy];
    bool hashes = balance->balance == BALANCE_CONSISTENT_HASHING || balance->balance == BALANCE_MAGLEV;
    unsigned keys = (unsigned)(read.header.data != NULL) + (unsigned)read.source_ip +
                    (unsigned)emissary_is_given(node, "cookie");
    if (keys != (hashes ? 1u : 0u))
        schema_error(&deeper, node, "policy", "%s",
                     hashes ? "needs one of cookie, header and source_ip" : "stands alone");
    else if (read.header.data)
        balance->hash = (struct hash_key){ HASH_HEADER, read.header };
    else if (read.source_ip)
        balance->hash.input = HASH_IP;
    else if (hashes)
        use_cookie(&read, node, &deeper, balance);
    return true;
}

/* --- circuit breakers ------------------------------------------------------------------------------- */

static const char *const priority_names[] = { "default", "high", NULL };

struct circuit_record {
    int priority;
    int64_t connections, pending, requests, retries;
};

#define LIMIT(name, member, standard)          \
    { name,                                    \
      FIELD_INTEGER,                           \
      offsetof(struct circuit_record, member), \
      .min = 0,                                \
      .max = (double)UINT32_MAX,               \
      .fallback = standard }

static const struct field circuit_fields[] = {
    { "priority", FIELD_CHOICE, offsetof(struct circuit_record, priority), .choices = priority_names,
      .fallback = "default" },
    LIMIT("max_connections", connections, "1024"),
    LIMIT("max_pending_requests", pending, "1024"),
    LIMIT("max_requests", requests, "1024"),
    LIMIT("max_retries", retries, "3"),
};
static const struct schema circuit_schema = { "circuit_breakers", circuit_fields, COUNT_OF(circuit_fields),
                                              sizeof(struct circuit_record) };

static void use_circuit(const struct circuit_record *read, const struct node *node,
                        const struct config_place *place, struct circuit_limits *circuit)
{
    if (read->priority != 0)
        schema_error(place, node, "priority", "high: not supported yet");
    const struct {
        const char *name;
        int64_t value;
    } limits[] = { { "max_connections", read->connections },
                   { "max_pending_requests", read->pending },
                   { "max_requests", read->requests },
                   { "max_retries", read->retries } };
    for (size_t i = 0; i < COUNT_OF(limits); i++)
        if (limits[i].value == 0)
            schema_error(place, node, limits[i].name, "0: not supported yet");
    *circuit = (struct circuit_limits){ (uint32_t)read->connections, (uint32_t)read->pending,
                                        (uint32_t)read->requests, (uint32_t)read->retries };
}

bool emissary_read_circuit(struct emissary_reader *reader, const struct node *record,
                           const struct config_place *place, struct circuit_limits *circuit)
{
    const struct node *list = node_find(record, "circuit_breakers");
    struct config_place deeper = schema_place(place, "circuit_breakers");
    (void)reader;
    *circuit = (struct circuit_limits){ 0 };
    if (!emissary_is_given(record, "circuit_breakers"))
        return false;
    if (list->kind != NODE_SEQUENCE)
        schema_error(place, record, "circuit_breakers", "expected an array");
    for (uint32_t i = 0; list->kind == NODE_SEQUENCE && i < list->count; i++) {
        struct circuit_record read;
        struct config_place element = schema_element(&deeper, i);
        if (schema_read(&circuit_schema, list->entries[i].value, &element, &read))
            use_circuit(&read, list->entries[i].value, &element, circuit);
    }
    return true;
}

/* --- headers ---------------------------------------------------------------------------------------- */

/* "%%" stands for "%"; other uses of it insert something. Absent: it was reported. */
static struct slice plain_value(struct emissary_reader *reader, const struct node *node,
                                const struct config_place *place)
{
    struct slice text = node->text;
    char *copy = kube_take(reader->kube, text.size + 1);
    size_t size = 0;
    for (size_t i = 0; copy && i < text.size; i++) {
        copy[size++] = text.data[i];
        if (!action_is_field_value((struct slice){ text.data + i, 1 })) {
            report_add(place->report, REPORT_ERROR, &node->position, place->path,
                       "a field must not hold control characters");
            return (struct slice){ NULL, 0 };
        }
        if (text.data[i] != '%')
            continue;
        if (i + 1 < text.size && text.data[i + 1] == '%') {
            i++;
            continue;
        }
        report_add(place->report, REPORT_ERROR, &node->position, place->path,
                   "an operator like %%...%%: not supported yet");
        return (struct slice){ NULL, 0 };
    }
    return (struct slice){ copy, copy ? size : 0 };
}

static const struct node *header_value(const struct node *node, const struct config_place *place,
                                       enum header_edit_kind *kind)
{
    const struct node *value = node, *append = NULL;
    *kind = HEADER_EDIT_APPEND;
    if (node->kind == NODE_MAPPING) {
        value = node_find(node, "value");
        append = node_find(node, "append");
    }
    if (append && append->kind != NODE_BOOLEAN)
        schema_error(place, node, "append", "expected a boolean");
    else if (append && !append->boolean)
        *kind = HEADER_EDIT_SET;
    if (value != NULL && value->kind == NODE_STRING)
        return value;
    report_add(place->report, REPORT_ERROR, &node->position, place->path,
               "expected a string or {value: ..., append: ...}");
    return NULL;
}

bool emissary_read_headers(struct emissary_reader *reader, const struct node *record, const char *field,
                           const struct config_place *place, struct header_edits *edits)
{
    const struct node *node = node_find(record, field);
    struct config_place deeper = schema_place(place, field);
    *edits = (struct header_edits){ 0 };
    if (!emissary_is_given(record, field))
        return false;
    if (node->kind != NODE_MAPPING) {
        schema_error(place, record, field, "expected a map");
        return true;
    }
    struct header_edit *items = kube_take(reader->kube, (node->count + 1u) * sizeof(*items));
    for (uint32_t i = 0; items && i < node->count; i++) {
        struct config_place one = schema_place(&deeper, node->entries[i].key.data);
        struct slice name = node->entries[i].key;
        struct header_edit *edit = &items[edits->count];
        const struct node *value = header_value(node->entries[i].value, &one, &edit->kind);
        if (!action_is_field_name(name) || slice_equal_nocase(name, SLICE("host")))
            report_add(place->report, REPORT_ERROR, &node->entries[i].key_position, one.path,
                       "this header cannot be set so");
        edit->name = arena_copy(place->arena, name);
        edit->value = value ? plain_value(reader, value, &one) : (struct slice){ NULL, 0 };
        edits->count += edit->name.data && edit->value.data;
    }
    edits->items = items;
    return true;
}

bool emissary_read_texts(struct emissary_reader *reader, const struct node *record, const char *field,
                         const struct config_place *place, struct slices *texts)
{
    const struct node *node = node_find(record, field);
    struct config_place deeper = schema_place(place, field);
    *texts = (struct slices){ 0 };
    if (!emissary_is_given(record, field))
        return false;
    bool single = node->kind == NODE_STRING;
    uint32_t count = single ? 1 : node->count;
    if (!single && node->kind != NODE_SEQUENCE) {
        schema_error(place, record, field, "expected an array");
        return true;
    }
    texts->items = kube_take(reader->kube, (count + 1u) * sizeof(*texts->items));
    for (uint32_t i = 0; texts->items && i < count; i++) {
        const struct node *one = single ? node : node->entries[i].value;
        struct config_place element = schema_element(&deeper, i);
        if (one->kind == NODE_STRING)
            texts->items[texts->count++] = arena_copy(place->arena, one->text);
        else
            report_add(place->report, REPORT_ERROR, &one->position, element.path, "expected a string");
    }
    return true;
}

/* --- names with stars ------------------------------------------------------------------------------- */

static bool is_any(struct slice glob)
{
    return slice_equal(glob, SLICE("*"));
}

static bool leads(struct slice glob)
{
    return glob.size && glob.data[0] == '*';
}

static bool trails(struct slice glob)
{
    return glob.size && glob.data[glob.size - 1] == '*';
}

/* What stands beside the star. */
static struct slice rest_of(struct slice glob)
{
    return leads(glob) ? slice_from(glob, 1)
                       : (struct slice){ glob.data, glob.size - (trails(glob) ? 1 : 0) };
}

/* `name` has no star. A star stands for at least one character. */
static bool takes(struct slice glob, struct slice name)
{
    struct slice rest = rest_of(glob);
    if (name.size <= rest.size)
        return false;
    return leads(glob) ? slice_ends_with(name, rest) : slice_starts_with(name, rest);
}

bool emissary_globs_meet(struct slice a, struct slice b)
{
    if (slice_equal(a, b) || is_any(a) || is_any(b))
        return true;
    if ((a.size && a.data[0] == '.') || (b.size && b.data[0] == '.'))
        return false;
    if ((leads(a) && trails(a)) || (leads(b) && trails(b)))
        return false;
    bool star_a = leads(a) || trails(a), star_b = leads(b) || trails(b);
    if (!star_a || !star_b)
        return star_a ? takes(a, b) : star_b && takes(b, a);
    if (leads(a) != leads(b))
        return true;
    struct slice rest_a = rest_of(a), rest_b = rest_of(b);
    if (leads(a))
        return slice_ends_with(rest_a, rest_b) || slice_ends_with(rest_b, rest_a);
    return slice_starts_with(rest_a, rest_b) || slice_starts_with(rest_b, rest_a);
}

bool emissary_glob_covers(struct slice wide, struct slice narrow)
{
    if (is_any(wide) || slice_equal(wide, narrow))
        return true;
    if (is_any(narrow) || !(leads(wide) || trails(wide)))
        return false;
    if (!leads(narrow) && !trails(narrow))
        return takes(wide, narrow);
    if (leads(wide) != leads(narrow) || trails(wide) != trails(narrow))
        return false;
    struct slice outer = rest_of(wide), inner = rest_of(narrow);
    return leads(wide) ? slice_ends_with(inner, outer) : slice_starts_with(inner, outer);
}
