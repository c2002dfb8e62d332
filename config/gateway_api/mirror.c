/* SPDX-License-Identifier: Apache-2.0 */
/* The filter RequestMirror: copies of a share of the requests, by the plugin request-mirror. */
#include "config/gateway_api/reader.h"

struct fraction_record {
    int64_t numerator, denominator;
};
static const struct field fraction_fields[] = {
    { "numerator", FIELD_INTEGER, offsetof(struct fraction_record, numerator), .flags = FIELD_REQUIRED,
      .max = 2147483647 },
    { "denominator", FIELD_INTEGER, offsetof(struct fraction_record, denominator), .min = 1,
      .max = 2147483647, .fallback = "100" },
};
static const struct schema fraction_schema = { "fraction", fraction_fields, COUNT_OF(fraction_fields),
                                               sizeof(struct fraction_record) };

struct mirror_record {
    int64_t percent;
    struct fraction_record fraction;
};
static const struct field mirror_fields[] = {
    { "percent", FIELD_INTEGER, offsetof(struct mirror_record, percent), .max = 100, .fallback = "100" },
};
static const char *const mirror_others[] = { "backendRef", "fraction", NULL };
static const struct schema mirror_schema = {
    "requestMirror", mirror_fields, COUNT_OF(mirror_fields), sizeof(struct mirror_record), NULL, mirror_others
};

/* Negative: it was reported. */
static double read_percentage(const struct node *node, const struct config_place *place)
{
    struct mirror_record read;
    struct config_place deeper = schema_place(place, "fraction");
    if (!schema_read(&mirror_schema, node, place, &read))
        return -1;
    if (!gateway_is_given(node, "fraction"))
        return (double)read.percent;
    if (gateway_is_given(node, "percent")) {
        schema_error(place, node, "fraction", "stands beside percent");
        return -1;
    }
    if (!schema_read(&fraction_schema, node_find(node, "fraction"), &deeper, &read.fraction))
        return -1;
    if (read.fraction.numerator > read.fraction.denominator) {
        schema_error(&deeper, node_find(node, "fraction"), "numerator", "is greater than denominator");
        return -1;
    }
    return 100.0 * (double)read.fraction.numerator / (double)read.fraction.denominator;
}

static void read_mirror(struct gateway_reader *reader, const struct kube_object *object,
                        const struct node *filter, const struct config_place *place, struct route *route)
{
    const struct node *node = node_find(filter, "requestMirror");
    struct config_place mirror_place = schema_place(place, "requestMirror");
    if (!gateway_is_given(filter, "requestMirror")) {
        schema_error(place, filter, "requestMirror", "required field missing");
        return;
    }
    double percentage = read_percentage(node, &mirror_place);
    if (percentage < 0)
        return;
    if (!gateway_is_given(node, "backendRef")) {
        schema_error(&mirror_place, node, "backendRef", "required field missing");
        return;
    }
    struct config_place deeper = schema_place(&mirror_place, "backendRef");
    struct kube_mirror mirror = { .object = object,
                                  .spot = { &deeper, node_find(node, "backendRef"), "name" },
                                  .host = "client",
                                  .percentage = percentage };
    struct kube_plugin copies;
    mirror.service = gateway_mirror_service(reader, object, &mirror.spot);
    if (mirror.service == NULL)
        return;
    kube_make_mirror(reader->kube, &mirror, &copies);
    if (copies.config)
        (void)kube_add_plugin(reader->kube, &copies, route);
}

void gateway_read_mirror(struct gateway_reader *reader, const struct kube_object *object,
                         const struct node *rule, const struct config_place *place, struct route *route)
{
    const struct node *filters = node_find(rule, "filters"), *type;
    struct config_place list = schema_place(place, "filters");
    for (uint32_t i = 0; filters && filters->kind == NODE_SEQUENCE && i < filters->count; i++) {
        struct config_place deeper = schema_element(&list, i);
        type = node_find(filters->entries[i].value, "type");
        if (type && type->kind == NODE_STRING && slice_equal(type->text, SLICE("RequestMirror"))) {
            read_mirror(reader, object, filters->entries[i].value, &deeper, route);
            return; /* a second one was reported with the filters */
        }
    }
}
