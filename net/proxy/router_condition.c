/* SPDX-License-Identifier: Apache-2.0 */
/* The conditions of a rule, one by one. */
#include "net/proxy/router_index.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

struct router_subject router_subject_of(const struct router_request *request)
{
    struct slice host = request->host.data ? request->host : SLICE("");
    struct router_subject subject = { .request = request,
                                      .host = host,
                                      .port = request->port,
                                      .scheme_port = request->tls ? PORT_HTTPS : PORT_HTTP,
                                      .overruns = request->scratch->overruns };
    const char *colon = host.size ? memrchr(host.data, ':', host.size) : NULL;
    uint64_t port;
    /* When what follows is no number, it belongs to the name, which no route then has. */
    if (colon && slice_to_u64(slice_from(host, (size_t)(colon - host.data) + 1), &port)) {
        subject.host.size = (size_t)(colon - host.data);
        subject.port = subject.scheme_port = subject.written_port = port;
    }
    return subject;
}

static bool asks_regex(const struct regex *regex, struct slice text, const struct router_subject *subject)
{
    struct regex_scratch *scratch = subject->request->scratch;
    return scratch->overruns - subject->overruns < ROUTER_OVERRUNS_MAX && regex_match(regex, text, scratch);
}

/* --- hosts ---------------------------------------------------------------------------------------------- */

static bool text_matches(struct slice text, const struct match_host *host)
{
    switch (host->wildcard) {
    case MATCH_HOST_ENDS: return slice_ends_with(text, host->text);
    case MATCH_HOST_STARTS: return slice_starts_with(text, host->text);
    case MATCH_HOST_WHOLE:
    default: return slice_equal(text, host->text);
    }
}

bool router_host_matches(const struct match_rule *rule, const struct router_subject *subject)
{
    for (uint32_t i = 0; i < rule->host_count; i++) {
        const struct match_host *host = &rule->hosts[i];
        if (host->port_of != MATCH_PORT_ANY && host->port != router_port(subject, host->port_of))
            continue;
        struct slice text =
            host->fold_case ? router_lower(subject->request->arena, subject->host) : subject->host;
        if (text_matches(text, host))
            return true;
    }
    return rule->host_count == 0;
}

/* --- paths ---------------------------------------------------------------------------------------------- */

/* Captures are copied out of the scratch: another regex may use it before the search ends. */
static void keep_captures(const struct regex *regex, const struct router_request *request,
                          struct router_match *match)
{
    uint32_t count = regex->group_count + 1;
    struct slice *captures = count > 1 ? arena_array(request->arena, count, sizeof *captures) : NULL;
    match->captures = captures;
    match->capture_count = captures ? count : 0;
    match->regex = captures ? regex : NULL;
    for (uint32_t i = 0; captures && i < count; i++)
        captures[i] = regex_group(request->scratch, request->path, i);
}

/* What was matched counts from the beginning of the path, wherever it was found, as in Kong. `text` is the
 * path, perhaps in lower case. */
static bool path_regex_matches(const struct regex *regex, struct slice text,
                               const struct router_subject *subject, struct router_match *match)
{
    const struct router_request *request = subject->request;
    if (!asks_regex(regex, text, subject))
        return false;
    size_t size = regex_group(request->scratch, request->path, 0).size;
    match->prefix = (struct slice){ request->path.data, size };
    keep_captures(regex, request, match);
    return true;
}

static bool begins(struct slice path, const struct match_path *wanted)
{
    if (!wanted->fold_case)
        return slice_starts_with(path, wanted->text);
    return path.size >= wanted->text.size &&
           slice_equal_nocase((struct slice){ path.data, wanted->text.size }, wanted->text);
}

bool router_path_matches(const struct match_path *wanted, const struct router_subject *subject,
                         struct router_match *match)
{
    struct slice path = subject->request->path;
    size_t size = wanted->text.size;
    match->prefix = (struct slice){ path.data, size };
    switch (wanted->kind) {
    case MATCH_PATH_REGEX: return path_regex_matches(wanted->regex, path, subject, match);
    case MATCH_PATH_PREFIX: return begins(path, wanted);
    case MATCH_PATH_EXACT: return path.size == size && begins(path, wanted);
    case MATCH_PATH_SEGMENTS: return begins(path, wanted) && (path.size == size || path.data[size] == '/');
    case MATCH_PATH_ANY:
    default: match->prefix = (struct slice){ NULL, 0 }; return true;
    }
}

/* --- values --------------------------------------------------------------------------------------------- */

static bool text_passes(const struct match_value *wanted, struct slice text,
                        const struct router_subject *subject)
{
    switch (wanted->test) {
    case MATCH_PRESENT: return true;
    case MATCH_EQUAL: return slice_equal(text, wanted->text);
    case MATCH_NOT_EQUAL: return !slice_equal(text, wanted->text);
    case MATCH_STARTS: return slice_starts_with(text, wanted->text);
    case MATCH_ENDS: return slice_ends_with(text, wanted->text);
    case MATCH_CONTAINS:
        return wanted->text.size == 0 || memmem(text.data, text.size, wanted->text.data, wanted->text.size);
    case MATCH_REGEX: return asks_regex(wanted->regex, text, subject);
    default: return false;
    }
}

/* A condition over the path also says what the route may take off it. */
static bool path_passes(const struct match_value *wanted, struct slice text,
                        const struct router_subject *subject, struct router_match *match)
{
    if (wanted->test == MATCH_REGEX)
        return path_regex_matches(wanted->regex, text, subject, match);
    if (!text_passes(wanted, text, subject))
        return false;
    if (wanted->test == MATCH_STARTS) {
        match->prefix = (struct slice){ subject->request->path.data, wanted->text.size };
        match->captures = NULL;
        match->capture_count = 0;
        match->regex = NULL;
    }
    return true;
}

static bool one_passes(const struct match_condition *condition, struct slice text,
                       const struct router_subject *subject, struct router_match *match)
{
    if (condition->fold_case)
        text = router_lower(subject->request->arena, text);
    for (uint32_t i = 0; i < condition->value_count; i++) {
        const struct match_value *wanted = &condition->values[i];
        if (condition->field == MATCH_PATH ? path_passes(wanted, text, subject, match)
                                           : text_passes(wanted, text, subject))
            return true;
    }
    return false;
}

/* Repeated fields as one list (RFC 9110 section 5.3); absent when there is none. */
static struct slice join_values(struct router_values *values)
{
    struct slice all = { NULL, 0 }, value;
    while (router_values_next(values, &value))
        all = all.data ? arena_format(values->subject->request->arena, "%.*s,%.*s", SLICE_FORMAT(all),
                                      SLICE_FORMAT(value))
                       : value;
    return all;
}

static bool texts_pass(const struct match_condition *condition, const struct router_subject *subject,
                       struct router_match *match)
{
    struct router_values values = { .condition = condition, .subject = subject };
    struct slice value;
    bool any = false;
    if (condition->repeat == MATCH_JOINED_VALUES) {
        value = join_values(&values);
        return value.data && one_passes(condition, value, subject, match);
    }
    while (router_values_next(&values, &value)) {
        bool passes = one_passes(condition, value, subject, match);
        if (condition->repeat == MATCH_FIRST_VALUE || passes == (condition->repeat == MATCH_ANY_VALUE))
            return passes;
        any = true;
    }
    return any && condition->repeat == MATCH_EVERY_VALUE;
}

static bool number_passes(const struct match_value *wanted, int64_t number)
{
    switch (wanted->test) {
    case MATCH_PRESENT: return true;
    case MATCH_EQUAL: return number == wanted->number;
    case MATCH_NOT_EQUAL: return number != wanted->number;
    case MATCH_LESS: return number < wanted->number;
    case MATCH_LESS_EQUAL: return number <= wanted->number;
    case MATCH_GREATER: return number > wanted->number;
    case MATCH_GREATER_EQUAL: return number >= wanted->number;
    default: return false;
    }
}

static bool numbers_pass(const struct match_condition *condition, const struct router_subject *subject)
{
    int64_t number;
    if (!router_number_of(condition, subject, &number))
        return false;
    for (uint32_t i = 0; i < condition->value_count; i++)
        if (number_passes(&condition->values[i], number))
            return true;
    return false;
}

static struct match_range range_of(const struct address *address)
{
    struct address_range single = address_single(address);
    struct match_range range = { .prefix_bits = single.prefix_bits, .is_v6 = single.is_v6 };
    memcpy(range.bytes, single.bytes, sizeof(range.bytes));
    return range;
}

static bool addresses_pass(const struct match_condition *condition, const struct router_subject *subject)
{
    bool source = condition->field == MATCH_SOURCE;
    const struct address *address = source ? subject->request->source : subject->request->destination;
    if (!address)
        return false;
    struct match_range single = range_of(address);
    int64_t port = source ? address_port(address) : (int64_t)subject->port;
    for (uint32_t i = 0; i < condition->value_count; i++) {
        const struct match_value *wanted = &condition->values[i];
        bool inside = wanted->test == MATCH_PRESENT || match_range_holds(&wanted->range, &single);
        if (inside == (wanted->test != MATCH_NOT_IN) && (wanted->number < 0 || wanted->number == port))
            return true;
    }
    return false;
}

static bool values_pass(const struct match_condition *condition, const struct router_subject *subject,
                        struct router_match *match)
{
    if (condition->field < MATCH_SEGMENT_COUNT)
        return texts_pass(condition, subject, match);
    return condition->field < MATCH_SOURCE ? numbers_pass(condition, subject)
                                           : addresses_pass(condition, subject);
}

bool router_condition_holds(const struct match_condition *condition, const struct router_subject *subject,
                            struct router_match *match)
{
    if (condition->only_tls && !subject->request->tls)
        return true;
    return values_pass(condition, subject, match) != condition->inverted;
}

const struct match_condition *router_failing_condition(const struct match_rule *rule,
                                                       const struct router_subject *subject)
{
    struct router_match ignored;
    for (uint32_t i = 0; i < rule->condition_count; i++)
        if (!router_condition_holds(&rule->conditions[i], subject, &ignored))
            return &rule->conditions[i];
    return NULL;
}

/* --- expressions ---------------------------------------------------------------------------------------- */

static bool parts_hold(const struct match_node *node, const struct router_subject *subject,
                       struct router_match *match)
{
    const struct router_match before = *match;
    bool settling = node->kind == MATCH_ONE_OF; /* the answer of a part that settles it */
    for (const struct match_node *part = node->first; part; part = part->next) {
        if (router_node_holds(part, subject, match) != settling)
            continue;
        if (!settling)
            *match = before;
        return settling;
    }
    return !settling;
}

/* What is false leaves the match as it was. The nodes are as deep as their parser allows. */
bool router_node_holds(const struct match_node *node, const struct router_subject *subject,
                       struct router_match *match)
{
    if (node->kind == MATCH_ALL_OF || node->kind == MATCH_ONE_OF)
        return parts_hold(node, subject, match);
    const struct router_match before = *match;
    bool holds = node->kind == MATCH_LEAF ? router_condition_holds(&node->condition, subject, match)
                                          : !router_node_holds(node->first, subject, match);
    if (!holds || node->kind == MATCH_NOT)
        *match = before;
    return holds;
}
