/* SPDX-License-Identifier: Apache-2.0 */
/* What Mappings do with requests. */
#include "config/emissary/parts.h"

#define RESETS (RETRY_ON_RESET | RETRY_ON_CONNECT_FAILURE)

static const unsigned retry_bits[] = {
    RETRY_ON_5XX | RESETS,
    RETRY_ON_GATEWAY_ERROR | RESETS,
    RETRY_ON_CONNECT_FAILURE,
    RETRY_ON_409,
    0, /* refused-stream: there is no HTTP/2 to services */
};

/* --- headers: removals of the group, then what any of its Mappings adds ----------------------------- */

struct header_source {
    size_t add, remove; /* offsets in struct emissary_mapping */
};

static const struct header_edits *adds_of(const struct emissary_mapping *mapping,
                                          const struct header_source *source)
{
    return (const struct header_edits *)(const void *)((const char *)mapping + source->add);
}

static const struct slices *removes_of(const struct emissary_mapping *mapping,
                                       const struct header_source *source)
{
    return (const struct slices *)(const void *)((const char *)mapping + source->remove);
}

static struct header_edits collect(struct emissary_reader *reader, const struct emissary_group *group,
                                   const struct header_source *source)
{
    const struct slices *removed = NULL;
    size_t count = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct slices *own = removes_of(group->items[i], source);
        removed = own->count ? own : removed; /* the last one wins */
        count += adds_of(group->items[i], source)->count;
    }
    count += removed ? removed->count : 0;
    struct header_edits edits = { 0 };
    struct header_edit *items = count ? kube_take(reader->kube, count * sizeof(*items)) : NULL;
    for (uint32_t i = 0; items && removed && i < removed->count; i++)
        items[edits.count++] = (struct header_edit){ .kind = HEADER_EDIT_REMOVE, .name = removed->items[i] };
    for (uint32_t i = 0; items && i < group->count; i++) {
        const struct header_edits *own = adds_of(group->items[i], source);
        bool shared = i > 0 && own->items == adds_of(group->items[i - 1], source)->items;
        for (uint32_t j = 0; j < own->count && !shared; j++)
            items[edits.count++] = own->items[j];
    }
    edits.items = items;
    return edits;
}

/* --- paths, redirects, retries ---------------------------------------------------------------------- */

static const struct emissary_mapping *regex_rewriter(const struct emissary_group *group)
{
    const struct emissary_mapping *last = NULL;
    for (uint32_t i = 0; i < group->count; i++)
        if (group->items[i]->regex_rewrite.pattern.data)
            last = group->items[i];
    return last;
}

static struct path_edit path_of(const struct emissary_group *group, const struct emissary_mapping *mapping)
{
    const struct emissary_mapping *rewriter = regex_rewriter(group);
    struct slice rewrite = mapping->rewrite.data ? mapping->rewrite : SLICE("/");
    if (rewriter)
        return (struct path_edit){ PATH_EDIT_REGEX, rewriter->regex_rewrite.substitution,
                                   rewriter->rewrite_regex };
    if (rewrite.size == 0)
        return (struct path_edit){ .kind = PATH_EDIT_KEEP };
    bool whole = mapping->prefix_exact || mapping->prefix_regex;
    return (struct path_edit){ .kind = whole ? PATH_EDIT_WHOLE : PATH_EDIT_PREFIX, .text = rewrite };
}

static struct host_edit host_of(const struct emissary_mapping *mapping)
{
    if (mapping->auto_host_rewrite)
        return (struct host_edit){ .kind = HOST_EDIT_TARGET };
    if (mapping->host_rewrite.data)
        return (struct host_edit){ HOST_EDIT_TEXT, mapping->host_rewrite };
    return (struct host_edit){ .kind = HOST_EDIT_KEEP };
}

static const struct redirect *redirect_of(struct emissary_reader *reader,
                                          const struct emissary_mapping *mapping)
{
    struct redirect *redirect = kube_take(reader->kube, sizeof(*redirect));
    if (redirect == NULL)
        return NULL;
    *redirect = (struct redirect){ .host = mapping->service,
                                   .authority = REDIRECT_AUTHORITY_TEXT,
                                   .path = { .kind = PATH_EDIT_KEEP },
                                   .status = (int)mapping->redirect_code };
    if (mapping->path_redirect.data)
        redirect->path = (struct path_edit){ .kind = PATH_EDIT_WHOLE, .text = mapping->path_redirect };
    else if (mapping->prefix_redirect.data)
        redirect->path = (struct path_edit){ .kind = PATH_EDIT_PREFIX, .text = mapping->prefix_redirect };
    else if (mapping->regex_redirect.pattern.data)
        redirect->path = (struct path_edit){ PATH_EDIT_REGEX, mapping->regex_redirect.substitution,
                                             mapping->rewrite_regex };
    return redirect;
}

/* The group's: the last Mapping that has one of its own. */
static const struct retry_policy *retry_of(struct emissary_reader *reader, const struct emissary_group *group)
{
    const struct emissary_retry *retry = &group->items[0]->retry;
    for (uint32_t i = 0; i < group->count; i++)
        if (group->items[i]->has_retry)
            retry = &group->items[i]->retry;
    struct retry_policy *policy = kube_take(reader->kube, sizeof(*policy));
    if (policy == NULL || retry->retry_on < 0)
        return policy; /* no retries, rather than the service's */
    *policy = (struct retry_policy){ .on = retry_bits[retry->retry_on],
                                     .retries = (uint32_t)retry->num_retries,
                                     .per_try_ms = retry->per_try_timeout_ms };
    return policy;
}

/* The group's, too. */
static struct slices upgrades_of(const struct emissary_group *group)
{
    static struct slice websocket[] = { { "websocket", 9 } };
    struct slices found = { NULL, 0 };
    for (uint32_t i = 0; i < group->count; i++) {
        const struct emissary_mapping *mapping = group->items[i];
        if (mapping->allow_upgrade.count > 0)
            found = mapping->allow_upgrade;
        else if (mapping->use_websocket)
            found = (struct slices){ websocket, COUNT_OF(websocket) };
    }
    return found;
}

const struct action *emissary_action(struct emissary_reader *reader, const struct emissary_group *group,
                                     const struct emissary_mapping *mapping, struct backend *backends,
                                     uint32_t count)
{
    static const struct header_source request = { offsetof(struct emissary_mapping, add_request),
                                                  offsetof(struct emissary_mapping, remove_request) };
    static const struct header_source response = { offsetof(struct emissary_mapping, add_response),
                                                   offsetof(struct emissary_mapping, remove_response) };
    struct action *action = kube_take(reader->kube, sizeof(*action));
    if (action == NULL)
        return NULL;
    *action = (struct action){ .style = ANSWER_STYLE_ENVOY,
                               .path = path_of(group, mapping),
                               .host = host_of(mapping),
                               .request = collect(reader, group, &request),
                               .response = collect(reader, group, &response),
                               .upgrades = upgrades_of(group),
                               .timeout_ms = mapping->timeout_ms,
                               .idle_timeout_ms = mapping->idle_timeout_ms };
    if (mapping->host_redirect) {
        action->redirect = redirect_of(reader, mapping);
        return action;
    }
    action->backends = backends;
    action->backend_count = count;
    action->retry = retry_of(reader, group);
    return action;
}
