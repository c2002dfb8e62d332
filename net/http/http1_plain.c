/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/http1_plain.h"

#include "net/http/http1_fields.h"
#include "net/http/token.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { LENGTH_DIGITS = 18 };

/* --- lines ---------------------------------------------------------------------------------------------- */

bool http1_plain_find(struct slice data, const struct http1_limits *limits, struct http1_plain *plain)
{
    const char *begin = data.data, *line = begin;
    const char *end = begin + (data.size < limits->head_bytes ? data.size : limits->head_bytes);
    uint32_t count = 0, most = limits->header_fields + 1;
    if (most > HTTP1_PLAIN_LINES)
        most = HTTP1_PLAIN_LINES;
    for (;;) {
        const char *stop = http1_scan_control(line, end);
        if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n')
            return false;
        if (stop == line)
            break;
        if (count == most || (size_t)(stop - line) > limits->line_bytes || *line == ' ')
            return false;
        plain->ends[count++] = (uint32_t)(stop - begin);
        line = stop + 2;
    }
    plain->line_count = count;
    plain->size = (uint32_t)(line + 2 - begin);
    return count > 0;
}

/* --- fields --------------------------------------------------------------------------------------------- */

/* The first colon of a line that ends at `end`, or `end` or something behind it. */
static inline const char *find_colon(const char *next, const char *end)
{
#if defined(__SSE2__)
    const __m128i colons = _mm_set1_epi8(':');
    for (; next < end; next += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)next);
        unsigned marks = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, colons));
        if (marks != 0)
            return next + __builtin_ctz(marks);
    }
    return end;
#else
    const char *found = memchr(next, ':', (size_t)(end - next));
    return found ? found : end;
#endif
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_number(struct slice text)
{
    bool good = text.size > 0 && text.size <= LENGTH_DIGITS;
    for (size_t i = 0; i < text.size; i++)
        good &= text.data[i] >= '0' && text.data[i] <= '9';
    return good;
}

/* A field whose reading nobody could argue about? */
static inline bool is_plain(const struct header *header, uint64_t present)
{
    static const uint64_t framing = UINT64_C(1) << HEADER_CONTENT_LENGTH | UINT64_C(1)
                                                                               << HEADER_TRANSFER_ENCODING;
    switch (header->id) {
    case HEADER_OTHER: return token_is(header->name);
    case HEADER_CONTENT_LENGTH: return !(present & framing) && is_number(header->value);
    case HEADER_TRANSFER_ENCODING:
        return !(present & framing) && slice_equal_nocase(header->value, SLICE("chunked"));
    default: return true;
    }
}

bool http1_plain_fields(struct message *message, const char *text, const struct http1_plain *plain)
{
    uint32_t count = plain->line_count - 1, capacity = count + HTTP1_SPARE_HEADERS;
    struct header *headers = arena_alloc(message->arena, capacity * sizeof(*headers));
    if (headers == NULL)
        return false;
    uint64_t present = 0, others = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = text + plain->ends[i] + 2, *end = text + plain->ends[i + 1];
        const char *colon = find_colon(name, end);
        if (colon >= end)
            return false;
        const char *value = colon + 1;
        while (value < end && is_blank(*value))
            value++;
        if (value == end)
            value = end = colon + 1;
        while (end > value && is_blank(end[-1]))
            end--;
        struct slice name_slice = { name, (size_t)(colon - name) };
        headers[i] = (struct header){ .name = name_slice,
                                      .value = { value, (size_t)(end - value) },
                                      .id = message_header_id(name_slice) };
        if (!is_plain(&headers[i], present))
            return false;
        if (headers[i].id != HEADER_OTHER)
            present |= UINT64_C(1) << headers[i].id;
        else
            others |= message_name_bit(name_slice);
    }
    message->headers = headers;
    message->header_count = count;
    message->header_capacity = capacity;
    message->present = present;
    message->others = others;
    return true;
}
