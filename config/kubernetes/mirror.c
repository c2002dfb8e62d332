/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of request-mirror, written as nodes, so that the plugin's own table checks it. */
#include "config/kubernetes/build.h"

static const char name[] = "request-mirror";

enum { OPTIONS_MAX = 4 };

struct options {
    struct node record;
    struct node_entry entries[OPTIONS_MAX];
    struct node values[OPTIONS_MAX];
};

static struct node *add_option(struct options *options, const char *key, enum node_kind kind)
{
    struct node *value = &options->values[options->record.count];
    *value = (struct node){ .kind = kind, .position = options->record.position };
    options->entries[options->record.count++] =
        (struct node_entry){ slice_of(key), options->record.position, value };
    return value;
}

static struct slice url_of(struct kube_reader *reader, const struct kube_mirror *mirror,
                           const struct target *target)
{
    bool bare = memchr(target->host.data, ':', target->host.size) != NULL;
    struct slice url = arena_format(&reader->model->arena, bare ? "%s://[%.*s]:%u" : "%s://%.*s:%u",
                                    mirror->service->protocol == PROTOCOL_HTTPS ? "https" : "http",
                                    SLICE_FORMAT(target->host), (unsigned)target->port);
    if (url.data == NULL)
        kube_fail_memory(reader);
    return url;
}

static void read_options(struct kube_reader *reader, const struct kube_mirror *mirror,
                         struct kube_plugin *plugin)
{
    struct options *options = kube_take_scratch(reader, sizeof(*options));
    struct slice url = url_of(reader, mirror, mirror->service->upstream->targets[0]);
    struct slice percentage = arena_format(&reader->scratch, "%.17g", mirror->percentage);
    void *config = kube_take(reader, plugin->kind->config.struct_size);
    if (!options || !url.data || !percentage.data || !config) {
        kube_fail_memory(reader);
        return;
    }
    options->record = (struct node){ .kind = NODE_MAPPING, .position = mirror->spot.node->position };
    options->record.entries = options->entries;
    add_option(options, "url", NODE_STRING)->text = url;
    add_option(options, "host", NODE_STRING)->text = slice_of(mirror->host);
    struct node *number = add_option(options, "percentage", NODE_NUMBER);
    number->number = mirror->percentage;
    number->text = percentage;
    if (mirror->service->tls.verify == 0)
        add_option(options, "ssl_verify", NODE_BOOLEAN)->text = SLICE("false");
    if (schema_read(&plugin->kind->config, &options->record, mirror->spot.place, config))
        plugin->config = config;
}

void kube_make_mirror(struct kube_reader *reader, const struct kube_mirror *mirror,
                      struct kube_plugin *plugin)
{
    const struct kube_spot *spot = &mirror->spot;
    const struct upstream *upstream = mirror->service->upstream;
    *plugin = (struct kube_plugin){ mirror->object, kube_plugin_kind(reader, name), NULL };
    if (plugin->kind == NULL)
        schema_error(spot->place, spot->node, spot->field, "needs the plugin %s, which is not there", name);
    else if (upstream->target_count == 0)
        report_add(spot->place->report, REPORT_WARNING, &spot->node->position, spot->place->path,
                   "no pod is ready: nothing is copied");
    else if (upstream->target_count > 1)
        schema_error(spot->place, spot->node, spot->field, "copies to several pods: not supported yet");
    else
        read_options(reader, mirror, plugin);
}
