/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/trace_context.h"

#define FORMAT_NAMES "preserve", "b3", "b3-single", "w3c", "jaeger", "ot", "datadog", "aws", "gcp", "instana"

const char *const trace_format_names[] = { FORMAT_NAMES, NULL };
const char *const trace_header_type_names[] = { FORMAT_NAMES, "ignore", NULL };

enum { HEADER_TYPE_IGNORE = TRACE_FORMATS };

static int format_of(struct slice name)
{
    for (int i = 0; trace_format_names[i]; i++)
        if (slice_equal(name, slice_of(trace_format_names[i])))
            return i;
    return -1;
}

static const char *check_extract(struct slice name)
{
    int format = format_of(name);
    return format > TRACE_NONE && format != TRACE_B3_SINGLE
               ? NULL
               : "expected one of: ot, w3c, datadog, b3, gcp, jaeger, aws, instana";
}

static const char *check_inject(struct slice name)
{
    return format_of(name) >= 0
               ? NULL
               : "expected one of: preserve, ot, w3c, datadog, b3, gcp, b3-single, jaeger, aws, instana";
}

static void check(void *value, const struct node *node, const struct config_place *place)
{
    const struct trace_propagation *propagation = value;
    if (propagation->default_format == TRACE_NONE)
        schema_error(place, node, "default_format", "expected a format");
}

#define AT(member) offsetof(struct trace_propagation, member)

#define PROPAGATION_FIELDS(format)                                                                  \
    {                                                                                               \
        { "extract", FIELD_STRINGS, AT(extract), .check = check_extract,                            \
          .help = "formats that are looked for, the first one there counts" },                      \
        { "clear", FIELD_STRINGS, AT(clear), .help = "headers that are taken out of the request" }, \
        { "inject", FIELD_STRINGS, AT(inject), .check = check_inject,                               \
          .help = "formats sent upstream; preserve: the one that came" },                           \
        { "default_format", FIELD_CHOICE, AT(default_format), .fallback = format,                   \
          .choices = trace_format_names, .help = "where preserve finds none" },                     \
    }

static const struct field fields_b3[] = PROPAGATION_FIELDS("b3");
static const struct field fields_w3c[] = PROPAGATION_FIELDS("w3c");

const struct schema trace_propagation_b3_schema = { .name = "propagation",
                                                    .fields = fields_b3,
                                                    .field_count = COUNT_OF(fields_b3),
                                                    .struct_size = sizeof(struct trace_propagation),
                                                    .check = check };

const struct schema trace_propagation_w3c_schema = { .name = "propagation",
                                                     .fields = fields_w3c,
                                                     .field_count = COUNT_OF(fields_w3c),
                                                     .struct_size = sizeof(struct trace_propagation),
                                                     .check = check };

static void add_format(enum trace_format *list, uint32_t *count, int format)
{
    for (uint32_t i = 0; i < *count; i++)
        if ((int)list[i] == format)
            return;
    if (format > TRACE_NONE && format < TRACE_FORMATS)
        list[(*count)++] = (enum trace_format)format;
}

static void set_extract(const struct trace_propagation *propagation, struct trace_rules *rules)
{
    static const enum trace_format usual[] = { TRACE_B3,      TRACE_W3C, TRACE_JAEGER, TRACE_OT,
                                               TRACE_DATADOG, TRACE_AWS, TRACE_GCP,    TRACE_INSTANA };
    for (uint32_t i = 0; i < propagation->extract.count; i++)
        add_format(rules->extract, &rules->extract_count, format_of(propagation->extract.items[i]));
    for (size_t i = 0; propagation->extract.count == 0 && i < COUNT_OF(usual); i++)
        add_format(rules->extract, &rules->extract_count, usual[i]);
}

void trace_rules_of(const struct trace_propagation *propagation, const struct trace_header_types *types,
                    struct trace_rules *rules)
{
    *rules = (struct trace_rules){ .fallback = (enum trace_format)propagation->default_format,
                                   .clear = propagation->clear };
    if (types->fallback > TRACE_NONE && types->fallback < TRACE_FORMATS)
        rules->fallback = (enum trace_format)types->fallback;
    if (types->type != HEADER_TYPE_IGNORE)
        set_extract(propagation, rules);
    for (uint32_t i = 0; i < propagation->inject.count; i++) {
        int format = format_of(propagation->inject.items[i]);
        rules->preserves |= format == TRACE_NONE;
        add_format(rules->inject, &rules->inject_count, format);
    }
    if (propagation->inject.count > 0)
        return;
    rules->preserves = true;
    add_format(rules->inject, &rules->inject_count, types->type);
}

bool trace_propagate(struct exchange *exchange, const struct trace_rules *rules, enum trace_format found,
                     const struct trace_context *context)
{
    bool good = true, told = false;
    enum trace_format preserved = found == TRACE_NONE ? rules->fallback : found;
    for (uint32_t i = 0; i < rules->clear.count; i++)
        exchange_remove_upstream_header(exchange, rules->clear.items[i]);
    for (uint32_t i = 0; i < rules->inject_count; i++) {
        good = good && trace_inject(exchange, rules->inject[i], context);
        told |= rules->inject[i] == preserved;
    }
    if (rules->preserves && !told)
        good = good && trace_inject(exchange, preserved, context);
    return good;
}
