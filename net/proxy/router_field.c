/* SPDX-License-Identifier: Apache-2.0 */
/* What conditions look at. */
#include "core/base/query.h"
#include "net/proxy/router_index.h"

struct slice router_lower(struct arena *arena, struct slice text)
{
    size_t i = 0;
    while (i < text.size && slice_lower(text.data[i]) == text.data[i])
        i++;
    char *copy = i < text.size ? arena_alloc(arena, text.size) : NULL;
    if (!copy)
        return text;
    for (i = 0; i < text.size; i++)
        copy[i] = slice_lower(text.data[i]);
    return (struct slice){ copy, text.size };
}

/* --- segments of the path ------------------------------------------------------------------------------- */

/* The end of segments first..last, or false when there are fewer; *from becomes their start. */
static bool find_segments(struct slice path, const struct match_condition *condition, struct slice *value)
{
    size_t end = path.size;
    while (end > 0 && path.data[end - 1] == '/')
        end--; /* empty segments at the end do not count */
    if (end == 0 || path.data[0] != '/')
        return false;
    size_t from = 1, at = 1;
    for (uint32_t number = 0; at <= end; number++) {
        const char *slash = memchr(path.data + at, '/', end - at);
        size_t segment_end = slash ? (size_t)(slash - path.data) : end;
        if (number == condition->first)
            from = at;
        if (number == condition->last) {
            *value = (struct slice){ path.data + from, segment_end - from };
            return true;
        }
        at = segment_end + 1;
    }
    return false;
}

static int64_t count_segments(struct slice path)
{
    size_t end = path.size;
    while (end > 0 && path.data[end - 1] == '/')
        end--;
    if (end == 0 || path.data[0] != '/')
        return 0;
    int64_t count = 1;
    for (size_t i = 1; i < end; i++)
        count += path.data[i] == '/';
    return count;
}

/* --- headers -------------------------------------------------------------------------------------------- */

static char loose(char c)
{
    return c == '_' ? '-' : slice_lower(c);
}

static bool same_name(struct slice sent, const struct match_condition *condition)
{
    struct slice name = condition->name;
    if (sent.size != name.size)
        return false;
    if (!condition->loose_name)
        return slice_equal_nocase(sent, name);
    for (size_t i = 0; i < name.size; i++)
        if (loose(sent.data[i]) != loose(name.data[i]))
            return false;
    return true;
}

static bool next_header(struct router_values *values, struct slice *value)
{
    const struct message *message = values->subject->request->message;
    while (message && values->next < message->header_count) {
        const struct header *sent = &message->headers[values->next++];
        if (!sent->name.data || !same_name(sent->name, values->condition))
            continue;
        *value = sent->value.data ? sent->value : SLICE("");
        return true;
    }
    return false;
}

/* --- query ---------------------------------------------------------------------------------------------- */

/* Itself when memory is exhausted. */
static struct slice decode(struct arena *arena, struct slice text)
{
    struct slice plain = query_unescape(arena, text);
    return plain.data ? plain : text.data ? text : SLICE("");
}

static bool next_argument(struct router_values *values, struct slice *value)
{
    const struct match_condition *condition = values->condition;
    struct arena *arena = values->subject->request->arena;
    bool raw = condition->field == MATCH_RAW_QUERY;
    while (values->rest.data) {
        struct slice text, name = slice_split(values->rest, '&', &values->rest);
        name = slice_split(name, '=', &text);
        if (raw ? !slice_equal(name, condition->name) : !query_names(name, condition->name))
            continue;
        *value = raw && text.data ? text : raw ? SLICE("") : decode(arena, text);
        return true;
    }
    return false;
}

/* --- all ------------------------------------------------------------------------------------------------ */

static struct slice without_last_dot(struct slice name)
{
    return name.size && name.data[name.size - 1] == '.' ? (struct slice){ name.data, name.size - 1 } : name;
}

static struct slice protocol_of(const struct router_request *request)
{
    if (request->protocol.data)
        return request->protocol;
    return request->tls ? SLICE("https") : SLICE("http");
}

/* Fields with one value. */
static struct slice single_value(const struct match_condition *condition,
                                 const struct router_subject *subject)
{
    const struct router_request *request = subject->request;
    struct slice value = { NULL, 0 };
    switch (condition->field) {
    case MATCH_METHOD: return request->method;
    case MATCH_HOST: return request->host.data ? subject->host : value;
    case MATCH_AUTHORITY: return request->host;
    case MATCH_PATH: return request->path;
    case MATCH_SNI: return without_last_dot(request->sni);
    case MATCH_PROTOCOL: return protocol_of(request);
    case MATCH_SEGMENTS: (void)find_segments(request->path, condition, &value); return value;
    default: return value;
    }
}

bool router_values_next(struct router_values *values, struct slice *value)
{
    switch (values->condition->field) {
    case MATCH_HEADER: return next_header(values, value);
    case MATCH_QUERY:
    case MATCH_RAW_QUERY:
        if (values->next++ == 0)
            values->rest = values->subject->request->query;
        return next_argument(values, value);
    default:
        if (values->next++ > 0)
            return false;
        *value = single_value(values->condition, values->subject);
        return value->data != NULL;
    }
}

bool router_number_of(const struct match_condition *condition, const struct router_subject *subject,
                      int64_t *number)
{
    const struct router_request *request = subject->request;
    switch (condition->field) {
    case MATCH_SEGMENT_COUNT: *number = count_segments(request->path); return true;
    case MATCH_SOURCE_PORT: *number = request->source ? address_port(request->source) : 0; break;
    case MATCH_DESTINATION_PORT: *number = (int64_t)subject->port; return true;
    case MATCH_LISTENER_PORT: *number = request->port; return true;
    case MATCH_DRAW: *number = request->draw; return true;
    default: return false;
    }
    return request->source != NULL;
}
