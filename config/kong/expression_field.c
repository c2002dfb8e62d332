/* SPDX-License-Identifier: Apache-2.0 */
/* The fields expressions know. */
#include "config/kong/expression_parse.h"

#include "core/base/check.h"

#include <stdlib.h>

static const struct {
    const char *name;
    enum match_field field;
    bool stream; /* known to routes for streams too */
} plain_fields[] = {
    { "net.protocol", MATCH_PROTOCOL, true },     { "tls.sni", MATCH_SNI, true },
    { "http.method", MATCH_METHOD, false },       { "http.host", MATCH_HOST, false },
    { "http.path", MATCH_PATH, false },           { "http.path.segments.len", MATCH_SEGMENT_COUNT, false },
    { "net.src.ip", MATCH_SOURCE, true },         { "net.src.port", MATCH_SOURCE_PORT, true },
    { "net.dst.ip", MATCH_DESTINATION, true },    { "net.dst.port", MATCH_DESTINATION_PORT, true },
    { "net.port", MATCH_DESTINATION_PORT, true }, /* the older name */
};

/* Without zeros in front, and small enough to be an index. */
static bool read_index(struct slice text, uint32_t *index)
{
    uint64_t value;
    if (text.size == 0 || text.size > 9 || (text.size > 1 && text.data[0] == '0') ||
        !slice_to_u64(text, &value))
        return false;
    *index = (uint32_t)value;
    return true;
}

/* N, or N_M with N < M. */
static bool read_segments(struct slice text, struct match_condition *condition)
{
    struct slice last;
    struct slice first = slice_split(text, '_', &last);
    condition->field = MATCH_SEGMENTS;
    if (!read_index(first, &condition->first))
        return false;
    condition->last = condition->first;
    return last.data == NULL || (read_index(last, &condition->last) && condition->first < condition->last);
}

static bool parse_http_field(struct kong_parser *parser, size_t at, struct slice name,
                             struct match_condition *condition)
{
    const struct slice headers = SLICE("http.headers."), queries = SLICE("http.queries."),
                       segments = SLICE("http.path.segments.");
    if (slice_starts_with(name, headers) && name.size > headers.size) {
        condition->field = MATCH_HEADER;
        condition->name = slice_from(name, headers.size);
        condition->loose_name = true;
        return true;
    }
    if (slice_starts_with(name, queries) && name.size > queries.size) {
        condition->field = MATCH_QUERY;
        condition->name = slice_from(name, queries.size);
        return true;
    }
    if (!slice_starts_with(name, segments))
        return kong_parse_fail(parser, at, "Unknown LHS field");
    if (!read_segments(slice_from(name, segments.size), condition))
        return kong_parse_fail(parser, at, "illformed http.path.segments.* field");
    return true;
}

bool kong_parse_field(struct kong_parser *parser, size_t at, struct slice name,
                      struct match_condition *condition)
{
    bool stream = parser->source->traffic == MATCH_STREAM;
    *condition = (struct match_condition){ .repeat = MATCH_EVERY_VALUE };
    for (size_t i = 0; i < COUNT_OF(plain_fields); i++) {
        if (!slice_equal(name, slice_of(plain_fields[i].name)) || (stream && !plain_fields[i].stream))
            continue;
        condition->field = plain_fields[i].field;
        return true;
    }
    if (stream)
        return kong_parse_fail(parser, at, "Unknown LHS field");
    return parse_http_field(parser, at, name, condition);
}
