/* SPDX-License-Identifier: Apache-2.0 */
/* From groups of Mappings and Hosts to routes and match rules, in the order in which Emissary has them
 * asked: the Host with the most specific name first, and within it group after group. */
#include "config/emissary/parts.h"

enum { CONDITIONS_MAX = 8 }; /* beside those of headers and the query */

/* A part of a group with one action: all of it, or one Mapping and its share. */
struct leg {
    struct emissary_group *group;
    const struct emissary_mapping *mapping;
    const struct action *action;
    struct service *service;
    uint32_t number;
    uint32_t below; /* drawn numbers that come here; 100: all */
};

/* A leg with the policy that covers part of its requests. */
struct variant {
    const struct emissary_policy *policy; /* NULL: none */
    const struct route *route;
};

struct variants {
    struct variant *items;
    uint32_t count;
};

/* Where a rule is for: a Host, and the ports and protocol of its requests. */
struct ground {
    const struct emissary_host *host;
    const struct emissary_ports *ports;
    bool any_port, only_tls;
};

/* The conditions of one rule while they are collected. */
struct conditions {
    struct match_condition *items;
    uint32_t count;
};

/* --- conditions ------------------------------------------------------------------------------------- */

static struct match_value *one_value(struct emissary_reader *reader, enum match_test test, struct slice text)
{
    struct match_value *value = kube_take(reader->kube, sizeof(*value));
    if (value)
        *value = (struct match_value){ .test = test, .text = text };
    return value;
}

static void add(struct conditions *conditions, const struct match_condition *condition)
{
    if (condition->values)
        conditions->items[conditions->count++] = *condition;
}

/* A text that was checked when it was read, so that only memory can be short. */
static struct match_value *regex_value(struct emissary_reader *reader, struct slice pattern)
{
    enum error error = ERROR_OK;
    struct match_regex_request request = { pattern, REGEX_WHOLE, NULL, &error };
    struct match_value *value = one_value(reader, MATCH_REGEX, pattern);
    if (value)
        value->regex = match_regex(&reader->kube->model->arena, &request);
    if (value && value->regex == NULL) {
        report_add(reader->kube->report, REPORT_ERROR, NULL, "", "invalid regex '%.*s'",
                   SLICE_FORMAT(pattern));
        return NULL;
    }
    return value;
}

static struct match_value *condition_value(struct emissary_reader *reader,
                                           const struct emissary_condition *condition)
{
    if (condition->value.data == NULL)
        return one_value(reader, MATCH_PRESENT, SLICE(""));
    return condition->regex ? regex_value(reader, condition->value)
                            : one_value(reader, MATCH_EQUAL, condition->value);
}

static void add_headers(struct emissary_reader *reader, struct conditions *conditions,
                        const struct emissary_mapping *mapping)
{
    for (uint32_t i = 0; i < mapping->header_list.count; i++) {
        const struct emissary_condition *one = &mapping->header_list.items[i];
        struct match_condition condition = {
            .field = MATCH_HEADER, .repeat = MATCH_JOINED_VALUES, .name = one->name, .value_count = 1
        };
        if (slice_equal(one->name, SLICE(":authority"))) {
            if (!one->regex)
                continue; /* see add_names */
            condition.field = MATCH_AUTHORITY;
        } else if (slice_equal(one->name, SLICE(":method"))) {
            condition.field = MATCH_METHOD;
        } else if (slice_equal_nocase(one->name, SLICE("x-forwarded-proto"))) {
            continue; /* replaced by what the connection says */
        }
        condition.values = condition_value(reader, one);
        add(conditions, &condition);
    }
    for (uint32_t i = 0; i < mapping->query_list.count; i++) {
        const struct emissary_condition *one = &mapping->query_list.items[i];
        struct match_condition condition = {
            .field = MATCH_RAW_QUERY, .repeat = MATCH_FIRST_VALUE, .name = one->name, .value_count = 1
        };
        condition.values = condition_value(reader, one);
        add(conditions, &condition);
    }
}

/* --- names ------------------------------------------------------------------------------------------ */

static bool is_any(struct slice name)
{
    return name.data == NULL || slice_equal(name, SLICE("*"));
}

/* A name is compared with the whole Host field: without a port it asks for none. */
static struct match_host host_of(struct slice name, bool fold)
{
    struct match_host host = { .text = name, .port_of = MATCH_PORT_WRITTEN, .fold_case = fold };
    const char *colon = memrchr(name.data, ':', name.size);
    uint64_t port;
    if (name.data[name.size - 1] == '*') {
        host.text.size--;
        host.wildcard = MATCH_HOST_STARTS;
        host.port_of = MATCH_PORT_ANY;
        return host;
    }
    if (colon && slice_to_u64(slice_from(name, (size_t)(colon - name.data) + 1), &port) &&
        port <= UINT16_MAX) {
        host.port = (uint16_t)port;
        host.text.size = (size_t)(colon - name.data);
    }
    if (host.text.size && host.text.data[0] == '*') {
        host.text = slice_from(host.text, 1);
        host.wildcard = MATCH_HOST_ENDS;
    }
    return host;
}

/* A text with stars anywhere, as a regular expression. */
static struct match_value *glob_value(struct emissary_reader *reader, struct slice glob)
{
    char *pattern = kube_take(reader->kube, glob.size * 2 + 1);
    size_t size = 0;
    for (size_t i = 0; pattern && i < glob.size; i++) {
        char c = glob.data[i];
        if (c == '*')
            pattern[size++] = '.';
        else if (strchr("\\^$.[]|()?+{}", c))
            pattern[size++] = '\\';
        pattern[size++] = c;
    }
    return pattern ? regex_value(reader, (struct slice){ pattern, size }) : NULL;
}

/* A text with stars, as a condition over a field. */
static void add_glob(struct emissary_reader *reader, struct conditions *conditions, enum match_field field,
                     struct slice glob)
{
    struct match_condition condition = { .field = field, .value_count = 1 };
    const char *star = memchr(glob.data, '*', glob.size);
    size_t size = glob.size;
    bool leads = star == glob.data, trails = star == glob.data + size - 1;
    bool single = star && memchr(star + 1, '*', size - (size_t)(star - glob.data) - 1) == NULL;
    if (is_any(glob))
        return;
    if (star == NULL)
        condition.values = one_value(reader, MATCH_EQUAL, glob);
    else if (single && trails)
        condition.values = one_value(reader, MATCH_STARTS, (struct slice){ glob.data, size - 1 });
    else if (single && leads)
        condition.values = one_value(reader, MATCH_ENDS, slice_from(glob, 1));
    else
        condition.values = glob_value(reader, glob);
    add(conditions, &condition);
}

/* The name that the Mapping asks for, and that of the Host unless it follows from it. */
static void add_names(struct emissary_reader *reader, struct match_rule *rule, struct conditions *conditions,
                      const struct emissary_host *host, const struct emissary_mapping *mapping)
{
    struct slice own = mapping == NULL || mapping->host_regex ? (struct slice){ NULL, 0 } : mapping->domain;
    struct slice around = host->hostname;
    struct match_host *hosts = kube_take(reader->kube, sizeof(*hosts));
    if (hosts == NULL || (is_any(own) && is_any(around)))
        return;
    hosts[0] = is_any(own) ? host_of(around, true) : host_of(own, false);
    rule->hosts = hosts;
    rule->host_count = 1;
    if (is_any(own) || is_any(around) || emissary_glob_covers(around, own))
        return;
    add_glob(reader, conditions, MATCH_AUTHORITY, around);
    conditions->items[conditions->count - 1].fold_case = true;
}

/* --- rules ------------------------------------------------------------------------------------------ */

static struct slice explain(const struct match_rule *rule, struct arena *arena)
{
    (void)arena;
    return rule->route->action && rule->route->action->status ? SLICE("what a Host leaves over")
                                                              : SLICE("Mappings in their order");
}

static const struct match_dialect dialect = { "Emissary", explain };

static void add_ground(struct emissary_reader *reader, struct conditions *conditions,
                       const struct ground *ground)
{
    struct match_condition ports = { .field = MATCH_LISTENER_PORT,
                                     .values = ground->ports->values,
                                     .value_count = ground->ports->count };
    if (!ground->any_port)
        add(conditions, &ports);
    if (!ground->only_tls)
        return;
    struct match_condition tls = { .field = MATCH_PROTOCOL, .value_count = 1 };
    tls.values = one_value(reader, MATCH_EQUAL, SLICE("https"));
    add(conditions, &tls);
}

/* A rule without a path on a Host. NULL: no memory. */
static struct match_rule *add_rule(struct emissary_reader *reader, const struct ground *ground,
                                   const struct emissary_mapping *mapping, struct conditions *conditions)
{
    size_t most = CONDITIONS_MAX + (mapping ? mapping->header_list.count + mapping->query_list.count : 0);
    struct match_rule *rule = match_rule_add(reader->kube->model);
    *conditions = (struct conditions){ kube_take(reader->kube, most * sizeof(*conditions->items)), 0 };
    if (rule == NULL || conditions->items == NULL) {
        kube_fail_memory(reader->kube);
        return NULL;
    }
    rule->dialect = &dialect;
    rule->traffic = MATCH_HTTP;
    rule->priority = MATCH_BASE_EMISSARY;
    rule->order = reader->next_order++;
    add_ground(reader, conditions, ground);
    add_names(reader, rule, conditions, ground->host, mapping);
    return rule;
}

static struct match_path path_of(struct emissary_reader *reader, const struct emissary_mapping *mapping)
{
    if (mapping->prefix_regex)
        return (struct match_path){ MATCH_PATH_REGEX, mapping->prefix, mapping->path_regex, false };
    struct match_path path = { .kind = mapping->prefix_exact ? MATCH_PATH_EXACT : MATCH_PATH_PREFIX,
                               .text = mapping->prefix,
                               .fold_case = !mapping->case_sensitive };
    if (path.fold_case)
        path.text = kube_lower(reader->kube, path.text);
    return path;
}

static void add_leg_rule(struct emissary_reader *reader, const struct leg *leg, const struct ground *ground,
                         const struct variant *variant)
{
    const struct emissary_mapping *mapping = leg->mapping;
    struct conditions conditions;
    struct match_rule *rule = add_rule(reader, ground, mapping, &conditions);
    if (rule == NULL)
        return;
    rule->route = variant->route;
    rule->path = path_of(reader, mapping);
    add_headers(reader, &conditions, mapping);
    if (leg->below < 100) {
        struct match_condition share = { .field = MATCH_DRAW, .value_count = 1 };
        struct match_value *value = one_value(reader, MATCH_LESS, SLICE(""));
        if (value)
            value->number = leg->below;
        share.values = value;
        add(&conditions, &share);
    }
    if (variant->policy) {
        add_glob(reader, &conditions, MATCH_AUTHORITY, variant->policy->host);
        add_glob(reader, &conditions, MATCH_PATH, variant->policy->path);
    }
    rule->conditions = conditions.items;
    rule->condition_count = conditions.count;
}

/* --- routes ----------------------------------------------------------------------------------------- */

/* Does the rule of a policy cover all paths below a prefix, or none? */
enum coverage { COVERS_NONE, COVERS_SOME, COVERS_ALL };

static enum coverage coverage_of(const struct emissary_policy *policy, const struct emissary_mapping *mapping)
{
    struct slice glob = policy->path, prefix = mapping->prefix;
    const char *star = memchr(glob.data, '*', glob.size);
    size_t start = star ? (size_t)(star - glob.data) : glob.size;
    if (is_any(glob))
        return is_any(policy->host) ? COVERS_ALL : COVERS_SOME;
    if (mapping->prefix_regex || !mapping->case_sensitive)
        return COVERS_SOME;
    size_t common = start < prefix.size ? start : prefix.size;
    if (memcmp(glob.data, prefix.data, common) != 0)
        return COVERS_NONE;
    if (star == NULL)
        return glob.size < prefix.size ? COVERS_NONE : COVERS_SOME;
    bool all = start + 1 == glob.size && start <= prefix.size && is_any(policy->host);
    return all ? COVERS_ALL : COVERS_SOME;
}

static const struct route *add_route(struct emissary_reader *reader, const struct leg *leg,
                                     struct emissary_policy *policy, uint32_t number)
{
    struct slice part = arena_format(&reader->kube->scratch, "%u/%u", leg->number, number);
    struct route *route = kube_add_route(reader->kube, leg->mapping->object, part);
    if (route == NULL)
        return NULL;
    route->action = leg->action;
    route->service = leg->service;
    if (policy)
        emissary_apply_policy(reader, policy, route);
    if (leg->group->shadow && !leg->mapping->host_redirect)
        emissary_apply_shadow(reader, leg->group, route);
    return route;
}

/* One route per policy that covers some of the requests, and one for the rest. Redirects and Mappings with
 * bypass_auth have nothing to do with filters. */
static struct variants make_variants(struct emissary_reader *reader, const struct leg *leg)
{
    struct variants variants = { 0 };
    bool filtered = !leg->mapping->bypass_auth && !leg->mapping->host_redirect;
    enum coverage coverage = COVERS_NONE;
    variants.items = kube_take_scratch(reader->kube, (reader->policies.count + 1u) * sizeof(*variants.items));
    for (uint32_t i = 0; variants.items && filtered && i < reader->policies.count; i++) {
        struct emissary_policy *policy = reader->policies.items[i];
        coverage = coverage_of(policy, leg->mapping);
        if (coverage == COVERS_NONE)
            continue;
        const struct route *route = add_route(reader, leg, policy, i + 1);
        variants.items[variants.count++] = (struct variant){ coverage == COVERS_ALL ? NULL : policy, route };
        if (coverage == COVERS_ALL)
            break;
    }
    if (variants.items && coverage != COVERS_ALL)
        variants.items[variants.count++] = (struct variant){ NULL, add_route(reader, leg, NULL, 0) };
    return variants;
}

/* Where a Host sends insecure requests: the same place for all of its Mappings. */
static const struct route *redirect_route(struct emissary_reader *reader, struct emissary_host *host)
{
    static const struct redirect redirect = { .scheme = { "https", 5 },
                                              .authority = REDIRECT_AUTHORITY_TEXT,
                                              .path = { .kind = PATH_EDIT_KEEP },
                                              .status = 301 };
    if (host->redirect)
        return host->redirect;
    struct action *action = kube_take(reader->kube, sizeof(*action));
    struct route *route = kube_add_route(reader->kube, host->object, SLICE("redirect"));
    if (!action || !route)
        return NULL;
    *action = (struct action){ .style = ANSWER_STYLE_ENVOY,
                               .path = { .kind = PATH_EDIT_KEEP },
                               .host = { .kind = HOST_EDIT_KEEP },
                               .redirect = &redirect };
    route->action = action;
    return host->redirect = route;
}

/* --- legs ------------------------------------------------------------------------------------------- */

/* Below which number drawn from 0..99 each Mapping of the group is chosen; false: it was reported. */
static bool distribute(struct emissary_reader *reader, struct emissary_group *group, uint32_t *below)
{
    uint32_t sum = 0, open = 0, seen = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct emissary_mapping *mapping = group->items[i];
        bool weighted = mapping->weight != INTEGER_NULL;
        sum += weighted ? (uint32_t)mapping->weight : 0;
        open += !weighted;
        below[i] = weighted ? sum : 0;
    }
    if (group->count == 1) {
        below[0] = 100;
        return true;
    }
    if (sum > 100) {
        const struct emissary_mapping *last = group->items[group->count - 1];
        struct config_place place = kube_place(reader->kube, last->object, "spec");
        schema_error(&place, last->object->spec, "weight",
                     "the weights of the Mappings with the same conditions add up to %u", sum);
        return false;
    }
    uint32_t rest = 100 - sum;
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->items[i]->weight != INTEGER_NULL)
            continue;
        seen++;
        below[i] = seen == open ? 100 : sum + (rest * seen + open / 2) / open;
    }
    return true;
}

static bool same_service_fields(const struct emissary_mapping *a, const struct emissary_mapping *b)
{
    struct slice left = a->rewrite.data ? a->rewrite : SLICE("/"),
                 right = b->rewrite.data ? b->rewrite : SLICE("/");
    return slice_equal(left, right) && slice_equal(a->host_rewrite, b->host_rewrite) &&
           a->auto_host_rewrite == b->auto_host_rewrite && a->timeout_ms == b->timeout_ms &&
           a->idle_timeout_ms == b->idle_timeout_ms && a->case_sensitive == b->case_sensitive;
}

static bool is_uniform(struct emissary_group *group)
{
    for (uint32_t i = 1; i < group->count; i++)
        if (!same_service_fields(group->items[0], group->items[i]))
            return false;
    return true;
}

/* The Mappings in the order of their bounds: weighted ones first. */
static uint32_t sort_by_bound(struct emissary_group *group, const uint32_t *below, uint32_t *order)
{
    uint32_t count = 0;
    for (int weighted = 1; weighted >= 0; weighted--)
        for (uint32_t i = 0; i < group->count; i++)
            if ((group->items[i]->weight != INTEGER_NULL) == (weighted == 1))
                order[count++] = i;
    return below[order[count - 1]];
}

static uint32_t make_uniform_leg(struct emissary_reader *reader, struct emissary_group *group,
                                 const uint32_t *below, struct leg *legs)
{
    struct backend *backends = kube_take(reader->kube, group->count * sizeof(*backends));
    uint32_t *order = kube_take_scratch(reader->kube, group->count * sizeof(*order));
    if (!backends || !order)
        return 0;
    uint32_t bound = sort_by_bound(group, below, order), before = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        backends[i].service = group->items[order[i]]->upstream;
        backends[i].weight = below[order[i]] - before;
        before = below[order[i]];
    }
    const struct emissary_mapping *first = group->items[0];
    legs[0] = (struct leg){ .group = group,
                            .mapping = first,
                            .service = first->upstream,
                            .action = emissary_action(reader, group, first, backends, group->count),
                            .below = bound };
    return legs[0].action != NULL;
}

static uint32_t make_single_legs(struct emissary_reader *reader, struct emissary_group *group,
                                 const uint32_t *below, struct leg *legs)
{
    struct backend *backends = kube_take(reader->kube, group->count * sizeof(*backends));
    uint32_t *order = kube_take_scratch(reader->kube, group->count * sizeof(*order));
    if (!backends || !order)
        return 0;
    (void)sort_by_bound(group, below, order);
    for (uint32_t i = 0; i < group->count; i++) {
        const struct emissary_mapping *mapping = group->items[order[i]];
        backends[i] = (struct backend){ .service = mapping->upstream, .weight = 100 };
        legs[i] = (struct leg){ .group = group,
                                .mapping = mapping,
                                .service = mapping->upstream,
                                .action = emissary_action(reader, group, mapping, &backends[i], 1),
                                .number = i,
                                .below = below[order[i]] };
        if (legs[i].action == NULL)
            return 0;
    }
    return group->count;
}

/* --- all -------------------------------------------------------------------------------------------- */

/* What a group is on all Hosts. */
struct compiled {
    struct leg *legs;
    struct variants *variants; /* of each leg */
    uint32_t leg_count;
    bool taken; /* by some Host */
};

static bool compile_group(struct emissary_reader *reader, struct emissary_group *group,
                          struct compiled *compiled)
{
    uint32_t *below = kube_take_scratch(reader->kube, group->count * sizeof(*below));
    compiled->legs = kube_take_scratch(reader->kube, group->count * sizeof(*compiled->legs));
    compiled->variants = kube_take_scratch(reader->kube, group->count * sizeof(*compiled->variants));
    if (!below || !compiled->legs || !compiled->variants || !distribute(reader, group, below))
        return false;
    compiled->leg_count = is_uniform(group) ? make_uniform_leg(reader, group, below, compiled->legs)
                                            : make_single_legs(reader, group, below, compiled->legs);
    for (uint32_t i = 0; i < compiled->leg_count; i++)
        compiled->variants[i] = make_variants(reader, &compiled->legs[i]);
    return compiled->leg_count > 0;
}

static bool takes(const struct emissary_host *host, const struct emissary_mapping *mapping)
{
    bool has_name = mapping->domain.data != NULL;
    bool glob = has_name && (mapping->host_regex || emissary_globs_meet(host->hostname, mapping->domain));
    if (!host->has_selector)
        return glob;
    return (!has_name || glob) && kube_selects(&host->selector, &mapping->object->labels);
}

static void add_leg(struct emissary_reader *reader, struct emissary_host *host, const struct leg *leg,
                    const struct variants *variants)
{
    bool open = slice_equal(leg->mapping->prefix, SLICE("/.well-known/acme-challenge/"));
    const struct emissary_access *access = open ? &host->open_access : &host->access;
    struct ground ground = { host, &access->route, access->any_port, false };
    for (uint32_t i = 0; access->route.count && i < variants->count; i++)
        add_leg_rule(reader, leg, &ground, &variants->items[i]);
    ground.ports = &access->route_tls;
    ground.only_tls = true;
    for (uint32_t i = 0; access->route_tls.count && i < variants->count; i++)
        add_leg_rule(reader, leg, &ground, &variants->items[i]);
    if (access->redirect.count == 0)
        return;
    struct variant insecure = { NULL, redirect_route(reader, host) };
    ground.ports = &access->redirect;
    ground.only_tls = false;
    if (insecure.route)
        add_leg_rule(reader, leg, &ground, &insecure);
}

/* Requests for a Host do not fall to a less specific one. */
static void close_host(struct emissary_reader *reader, const struct emissary_host *host)
{
    static const struct action nothing = { .style = ANSWER_STYLE_ENVOY, .status = 404 };
    struct ground ground = { host, &host->access.all, host->access.any_port, false };
    struct conditions conditions;
    struct match_rule *rule = add_rule(reader, &ground, NULL, &conditions);
    struct route *route = rule ? kube_add_route(reader->kube, host->object, SLICE("rest")) : NULL;
    if (route == NULL)
        return;
    route->action = &nothing;
    rule->route = route;
    rule->conditions = conditions.items;
    rule->condition_count = conditions.count;
}

static void compile_host(struct emissary_reader *reader, struct emissary_host *host, struct compiled *groups)
{
    if (!host->access.any_port && host->access.all.count == 0)
        return;
    for (uint32_t i = 0; i < reader->groups.count && !reader->kube->out_of_memory; i++) {
        if (!takes(host, reader->groups.items[i]->items[0]))
            continue;
        groups[i].taken = true;
        for (uint32_t j = 0; j < groups[i].leg_count; j++)
            add_leg(reader, host, &groups[i].legs[j], &groups[i].variants[j]);
    }
    if (!is_any(host->hostname))
        close_host(reader, host);
}

void emissary_compile(struct emissary_reader *reader)
{
    struct kube_reader *kube = reader->kube;
    struct compiled *groups = kube_take_scratch(kube, (reader->groups.count + 1u) * sizeof(*groups));
    for (uint32_t i = 0; groups && i < reader->groups.count && !kube->out_of_memory; i++)
        compile_group(reader, reader->groups.items[i], &groups[i]);
    for (uint32_t i = 0; groups && i < reader->hosts.count && !kube->out_of_memory; i++)
        compile_host(reader, reader->hosts.items[i], groups);
    for (uint32_t i = 0; groups && i < reader->groups.count; i++) {
        const struct emissary_mapping *first = reader->groups.items[i]->items[0];
        if (!groups[i].taken)
            kube_complain(kube, first->object, REPORT_WARNING, "%s",
                          first->domain.data ? "no Host takes this Mapping"
                                             : "no Host takes this Mapping: it names no hostname");
    }
}
