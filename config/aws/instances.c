/* SPDX-License-Identifier: Apache-2.0 */
/* Throttling, authorizers and CORS are plugins: their options are written as nodes, and read through the
 * plugin's own table. */
#include "config/aws/compile.h"

#include "core/crypto/uuid.h"

#include <math.h>

/* A record being written, at the place of what it comes from. */
struct writing {
    struct aws_reader *reader;
    struct node *record; /* NULL: memory is exhausted */
    struct node spare; /* what is written to then */
};

enum { OPTIONS_MAX = 16 };

static struct writing start(struct aws_reader *reader, const struct node *from)
{
    struct writing writing = { .reader = reader };
    struct node_entry *entries = aws_take(reader, &reader->scratch, OPTIONS_MAX * sizeof(*entries));
    writing.record = aws_take(reader, &reader->scratch, sizeof(struct node));
    if (writing.record == NULL || entries == NULL)
        return (struct writing){ .reader = reader };
    *writing.record = (struct node){ .kind = NODE_MAPPING, .position = from->position, .entries = entries };
    return writing;
}

static struct node *put(struct writing *writing, const char *name, enum node_kind kind)
{
    struct node *record = writing->record;
    struct node *node = aws_take(writing->reader, &writing->reader->scratch, sizeof(*node));
    if (record == NULL || node == NULL) {
        writing->record = NULL;
        return &writing->spare;
    }
    CHECK(record->count < OPTIONS_MAX);
    *node = (struct node){ .kind = kind, .position = record->position };
    record->entries[record->count++] = (struct node_entry){ slice_of(name), record->position, node };
    return node;
}

static void put_text(struct writing *writing, const char *name, struct slice text)
{
    put(writing, name, NODE_STRING)->text = text;
}

static void put_boolean(struct writing *writing, const char *name, bool value)
{
    put(writing, name, NODE_BOOLEAN)->boolean = value;
}

static void put_number(struct writing *writing, const char *name, double number)
{
    struct node *node = put(writing, name, NODE_NUMBER);
    node->number = number;
    if (floor(number) < number || fabs(number) > 1e15)
        return;
    node->is_integer = true;
    node->integer = (int64_t)number;
}

static void put_texts(struct writing *writing, const char *name, const struct slices *texts)
{
    struct node *list = put(writing, name, NODE_SEQUENCE);
    struct node_entry *entries =
        aws_take(writing->reader, &writing->reader->scratch, (texts->count + 1u) * sizeof(*entries));
    for (uint32_t i = 0; entries && i < texts->count; i++) {
        struct node *one = aws_take(writing->reader, &writing->reader->scratch, sizeof(*one));
        if (one == NULL)
            return;
        *one = (struct node){ .kind = NODE_STRING, .position = list->position, .text = texts->items[i] };
        entries[i].value = one;
        list->entries = entries;
        list->count = i + 1;
    }
}

/* --- instances ------------------------------------------------------------------------------------------ */

static const struct plugin_kind *find_kind(const struct aws_reader *reader, const char *name)
{
    for (const struct plugin_kind *const *kind = reader->reading->plugins; *kind; kind++)
        if (strcmp((*kind)->name, name) == 0)
            return *kind;
    return NULL;
}

struct attachment {
    const char *plugin;
    struct route *route;
    const struct aws_object *object; /* whose fields are missing when the plugin is */
    const char *what; /* for that message */
    const char *path;
};

static bool set_id(struct aws_reader *reader, struct plugin_instance *instance,
                   const struct attachment *attachment)
{
    unsigned char space[UUID_BYTES], id[UUID_BYTES];
    if (!uuid_read(slice_of(attachment->route->entity.id), space) ||
        !uuid_of_name(space, slice_of(attachment->plugin), id))
        return aws_fail_memory(reader);
    uuid_write(id, instance->entity.id);
    return true;
}

static bool attach(struct writing *writing, const struct attachment *attachment)
{
    struct aws_reader *reader = writing->reader;
    struct model *model = reader->model;
    const struct plugin_kind *kind = find_kind(reader, attachment->plugin);
    if (kind == NULL) {
        aws_refuse(reader, attachment->object, "", "%s: not supported yet", attachment->what);
        return false;
    }
    struct plugin_instance *instance = aws_take(reader, &model->arena, sizeof(*instance));
    struct plugin_instance **items =
        model_reserve(model, model->plugins.items, model->plugins.count, &model->plugins.capacity);
    if (writing->record == NULL || instance == NULL || items == NULL)
        return aws_fail_memory(reader);
    *instance = (struct plugin_instance){
        .entity = { .index = model->plugins.count, .position = attachment->route->entity.position },
        .kind = kind,
        .config = aws_take(reader, &model->arena, kind->config.struct_size),
        .route = attachment->route,
        .protocols = attachment->route->protocols,
        .enabled = true,
    };
    if (instance->config == NULL || !set_id(reader, instance, attachment))
        return false;
    struct config_place place = { .report = reader->report,
                                  .arena = &model->arena,
                                  .path = attachment->path,
                                  .position = &writing->record->position };
    model->plugins.items = items;
    items[model->plugins.count++] = instance;
    return schema_read(&kind->config, writing->record, &place, instance->config);
}

/* --- authorizers ---------------------------------------------------------------------------------------- */

/* Where the token stands; AWS knows one place. */
static bool put_source(struct writing *writing, const struct aws_authorizer *authorizer)
{
    static const struct slice header = { "$request.header.", 16 }, argument = { "$request.querystring.", 21 };
    struct slice source = SLICE("$request.header.Authorization");
    if (authorizer->identity_sources.count)
        source = authorizer->identity_sources.items[0];
    if (slice_starts_with(source, header) && source.size > header.size) {
        put_text(writing, "header_name", slice_from(source, header.size));
        return true;
    }
    if (!slice_starts_with(source, argument) || source.size == argument.size) {
        aws_refuse(writing->reader, &authorizer->object, "identity_sources",
                   "expected $request.header.NAME or $request.querystring.NAME");
        return false;
    }
    put_text(writing, "query_name", slice_from(source, argument.size));
    put_text(writing, "header_name", SLICE(""));
    return true;
}

bool aws_add_authorizer(struct aws_reader *reader, const struct aws_route *route, struct route *out)
{
    const struct aws_authorizer *authorizer = route->authorizer;
    struct writing writing = start(reader, authorizer->object.node);
    if (!put_source(&writing, authorizer))
        return false;
    put_text(&writing, "issuer", authorizer->issuer);
    put_texts(&writing, "audience", &authorizer->audience);
    put_texts(&writing, "scopes", &route->scopes);
    put_boolean(&writing, "every_scope", false);
    put_boolean(&writing, "require_kid", true);
    put_boolean(&writing, "client_id_is_audience", true);
    put_text(&writing, "bearer", SLICE("optional"));
    put_text(&writing, "style", SLICE("aws"));
    struct attachment attachment = { "jwt-authorizer", out, &authorizer->object, "JWT authorizers",
                                     authorizer->object.address };
    return attach(&writing, &attachment);
}

/* --- throttling ----------------------------------------------------------------------------------------- */

/* What an account allows that nobody has raised. */
static const double account_rate = 10000, account_burst = 5000;

static const struct aws_throttle *find_throttle(const struct aws_target *target)
{
    const struct aws_stage *stage = target->scope->stage;
    for (uint32_t i = 0; i < stage->route_settings.count; i++) {
        const struct aws_route_settings *one = stage->route_settings.items[i];
        if (slice_equal(one->route_key, target->route->route_key))
            return &one->throttle;
    }
    return &stage->throttle;
}

bool aws_add_throttle(struct aws_reader *reader, const struct aws_target *target)
{
    const struct aws_throttle *throttle = find_throttle(target);
    const struct aws_stage *stage = target->scope->stage;
    if (throttle->node == NULL || (isnan(throttle->rate) && throttle->burst == INTEGER_NULL))
        return true;
    double burst = throttle->burst == INTEGER_NULL ? account_burst : (double)throttle->burst;
    double rate = isnan(throttle->rate) ? account_rate : throttle->rate;
    if (burst < 1 || rate <= 0)
        report_add(reader->report, REPORT_WARNING, &throttle->node->position, throttle->path,
                   "a limit of 0 refuses every request to '%.*s'", SLICE_FORMAT(target->route->route_key));
    struct writing writing = start(reader, throttle->node);
    put_number(&writing, "rate_limit", rate);
    put_number(&writing, "burst_limit", burst);
    put_text(&writing, "key",
             aws_text(reader, "%.*s/%.*s/%.*s", SLICE_FORMAT(target->scope->api->object.id),
                      SLICE_FORMAT(stage->name), SLICE_FORMAT(target->route->route_key)));
    struct attachment attachment = { "aws-throttle", target->out, &stage->object, "throttling",
                                     throttle->path };
    return attach(&writing, &attachment);
}

/* --- CORS ----------------------------------------------------------------------------------------------- */

/* The API's block as it is, and what this route is for. */
bool aws_add_cors(struct aws_reader *reader, const struct aws_api *api, struct route *out,
                  enum aws_cors_use use)
{
    struct writing writing = start(reader, api->cors);
    struct node_entry *entries =
        aws_take(reader, &reader->scratch, (api->cors->count + 1u) * sizeof(*entries));
    if (writing.record == NULL || entries == NULL)
        return false;
    put_boolean(&writing, "answers_preflight", use == AWS_CORS_PREFLIGHT);
    entries[0] = writing.record->entries[0];
    if (api->cors->count)
        memcpy(entries + 1, api->cors->entries, api->cors->count * sizeof(*entries));
    writing.record->entries = entries;
    writing.record->count = api->cors->count + 1;
    struct attachment attachment = { "aws-cors", out, &api->object, "CORS", api->cors_path };
    return attach(&writing, &attachment);
}
