/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/host.h"
#include "config/kong/index.h"

#include <math.h>

enum { DEFAULT_PORT = 8000 };

struct kong_target {
    struct target target;
    struct kong_common common;
    struct slice text;
    int64_t weight;
    double created_at, updated_at; /* with fractions, unlike everywhere else */
    struct upstream *upstream;
};

#define AT(member) offsetof(struct kong_target, member)

static const char *check_target(struct slice text)
{
    struct kong_host host;
    return kong_parse_host(text, &host) ? "Invalid target ('{}'); not a valid hostname or ip address" : NULL;
}

static const struct field fields[] = {
    { "target", FIELD_STRING, AT(text), .flags = FIELD_REQUIRED, .check = check_target,
      .help = "HOST or HOST:PORT; port 8000 when it is missing" },
    { "weight", FIELD_INTEGER, AT(weight), .max = 65535, .fallback = "100", .help = "0: no traffic" },
    { "id", FIELD_STRING, AT(common.id), .check = kong_check_id,
      .help = "a UUID; derived from upstream and target when missing" },
    { "created_at", FIELD_NUMBER, AT(created_at), .help = "seconds since 1970, with fractions" },
    { "updated_at", FIELD_NUMBER, AT(updated_at), .help = "seconds since 1970, with fractions" },
    { "tags", FIELD_STRINGS, AT(target.entity.tags), .check = kong_check_tag },
};

static const char *const others[] = { "upstream", "_comment", "_ignore", NULL };

const struct schema kong_target_schema = {
    .name = "targets",
    .fields = fields,
    .field_count = COUNT_OF(fields),
    .struct_size = sizeof(struct kong_target),
    .others = others,
};

/* Lower case, the address as it is usually written, and Kong's port: what two writings of one have in
 * common. */
static void normalise(struct kong_reader *reader, struct kong_target *wide)
{
    struct kong_host host;
    struct arena *arena = &reader->model->arena;
    struct target *target = &wide->target;
    char text[KONG_HOST_TEXT_SIZE];
    if (wide->text.data == NULL || kong_parse_host(wide->text, &host) != NULL)
        return;
    target->port = host.has_port ? host.port : DEFAULT_PORT;
    if (host.type == KONG_HOST_NAME) {
        char *name = kong_take(reader, arena, host.name.size + 1);
        for (size_t i = 0; name && i < host.name.size; i++)
            name[i] = slice_lower(host.name.data[i]);
        target->host = (struct slice){ name, name ? host.name.size : 0 };
        target->entity.name = arena_format(arena, "%.*s:%u", SLICE_FORMAT(host.name), (unsigned)target->port);
    } else {
        kong_host_short(&host, text);
        target->host = arena_copy(arena, slice_of(text));
        kong_host_long(&host, text);
        target->entity.name = arena_format(arena, host.type == KONG_HOST_IPV6 ? "[%s]:%u" : "%s:%u", text,
                                           (unsigned)target->port);
    }
    if (target->host.data == NULL || target->entity.name.data == NULL)
        kong_fail_memory(reader);
}

/* False when the upstream has it already. One written the same way has the same id, and was reported. */
static bool is_first(struct kong_reader *reader, const struct kong_later *later,
                     const struct kong_target *wide)
{
    const struct target *target = &wide->target;
    struct config_place place = { reader->report, &reader->scratch, later->path, NULL };
    struct slice key = arena_format(&reader->scratch, "%s:%.*s:%u", wide->upstream->entity.id,
                                    SLICE_FORMAT(target->host), (unsigned)target->port);
    const struct kong_target *first = key.data ? map_find(&reader->targets.names, key) : NULL;
    if (first != NULL && strcmp(first->target.entity.id, target->entity.id) == 0)
        return false;
    struct kong_unique unique = { &reader->targets.names, "targets", "target",
                                  "upstream, target",     key,       later->entity };
    return key.data ? kong_unique(reader, &unique, later->node, &place) : kong_fail_memory(reader);
}

/* When its upstream is known. */
static void attach(struct kong_reader *reader, const struct kong_later *later)
{
    struct kong_target *wide = later->entity;
    struct upstream *upstream = wide->upstream;
    if (upstream == NULL || wide->target.host.data == NULL || !is_first(reader, later, wide))
        return;
    struct target **targets =
        model_reserve(reader->model, upstream->targets, upstream->target_count, &upstream->target_capacity);
    if (targets == NULL) {
        kong_fail_memory(reader);
        return;
    }
    upstream->targets = targets;
    wide->target.entity.index = upstream->target_count;
    targets[upstream->target_count++] = &wide->target;
}

/* Whole seconds first; those of less than one count as one, for they are times, too. */
static int64_t whole(double seconds)
{
    if (isnan(seconds))
        return INTEGER_NULL;
    return seconds > 0 && seconds < 1e12 ? (int64_t)ceil(seconds) : 0;
}

static void set_times(struct kong_target *wide)
{
    wide->common.created_at = whole(wide->created_at);
    wide->common.updated_at = whole(wide->updated_at);
}

static void refine_times(struct kong_target *wide)
{
    struct entity *entity = &wide->target.entity;
    if (wide->common.created_at > 0)
        entity->created_at_ms = llround(wide->created_at * 1000);
    if (wide->common.updated_at > 0)
        entity->updated_at_ms = llround(wide->updated_at * 1000);
}

void kong_read_target(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                      const struct kong_parent *parent)
{
    struct kong_target *wide = kong_take(reader, &reader->model->arena, sizeof(*wide));
    if (wide == NULL)
        return;
    schema_read(&kong_target_schema, node, place, wide);
    wide->target.weight = wide->weight > 0 ? (uint32_t)wide->weight : 0;
    wide->upstream = parent->upstream;
    set_times(wide);
    normalise(reader, wide);
    const struct kong_key_part parts[] = {
        { "upstream", parent->upstream ? &parent->upstream->entity : NULL },
        { "target", NULL },
    };
    struct kong_foreign foreign = { &reader->upstreams, "upstream", &wide->upstream };
    kong_refer_required(reader, &foreign, node, place);
    struct kong_identity identity = { &reader->targets, &wide->target.entity, &wide->common,
                                      kong_composite_key(reader, "targets", node, parts, COUNT_OF(parts)),
                                      NULL };
    kong_identify(reader, &identity, node, place);
    refine_times(wide);
    kong_later(reader, &(struct kong_later){ NULL, attach, wide, node, place->path });
}
