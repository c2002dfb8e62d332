/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/http1_scan.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { AT_START, IN_LINE, AFTER_CR, AFTER_EMPTY_CR };

#define EACH(byte) (0x0101010101010101u * (byte))

static inline bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Which byte of the word is the first with its top bit set in `marks`? */
static inline unsigned first_mark(uint64_t marks)
{
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        return (unsigned)__builtin_ctzll(marks) / 8;
    return (unsigned)__builtin_clzll(marks) / 8;
}

#if defined(__SSE2__)
/* Which of sixteen bytes are controls? Bit by bit. */
static inline unsigned control_marks(const char *bytes)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f))));
}
#endif

/* Sixteen or eight bytes at once. A borrow can mark a byte wrongly, but only behind a rightly marked one in
 * the order of significance; so on big-endian machines the bytes are looked at again. */
const char *http1_scan_control(const char *next, const char *end)
{
#if defined(__SSE2__)
    for (; end - next >= 16; next += 16) {
        unsigned marks = control_marks(next);
        if (marks != 0)
            return next + __builtin_ctz(marks);
    }
#endif
    while (end - next >= 8) {
        uint64_t word;
        memcpy(&word, next, sizeof(word));
        uint64_t del = word ^ EACH(0x7f);
        uint64_t marks = (((word - EACH(0x20)) & ~word) | ((del - EACH(1)) & ~del)) & EACH(0x80);
        if (__builtin_expect(marks != 0, 0)) {
            next += first_mark(marks);
            break;
        }
        next += 8;
    }
    while (next < end && !is_control(*next))
        next++;
    return next;
}

/* The byte behind a CR. */
static inline enum http1_scan_result scan_line_feed(struct http1_scan *scan, char byte, size_t *at,
                                                    uint32_t line_limit)
{
    if (byte != '\n')
        return HTTP1_SCAN_LINE_END;
    ++*at;
    bool empty = scan->state == AFTER_EMPTY_CR;
    scan->state = AT_START;
    scan->line_bytes = 0;
    if (empty)
        return HTTP1_SCAN_END;
    return scan->lines++ == line_limit ? HTTP1_SCAN_LINES_MANY : HTTP1_SCAN_LINE;
}

/* From within a line to its end, or to what is wrong with it, or as far as the data goes. */
static enum http1_scan_result scan_text(struct http1_scan *scan, struct slice data, size_t *at,
                                        const struct http1_scan_limits *limits)
{
    const char *next = data.data + *at, *end = data.data + data.size;
    size_t room = limits->line_bytes - scan->line_bytes;
    const char *stop = (size_t)(end - next) > room ? next + room : end;
    const char *found = http1_scan_control(next, stop);
    while (found < stop && *found == '\t')
        found = http1_scan_control(found + 1, stop);
    scan->line_bytes += (uint32_t)(found - next);
    *at = (size_t)(found - data.data);
    if (found == end)
        return HTTP1_SCAN_MORE;
    if (*found == '\r') {
        scan->state = AFTER_CR;
        ++*at;
        return found + 1 == end ? HTTP1_SCAN_MORE : scan_line_feed(scan, found[1], at, limits->lines);
    }
    if (found == stop)
        return HTTP1_SCAN_LINE_LONG;
    return *found == '\n' ? HTTP1_SCAN_LINE_END : HTTP1_SCAN_CHARACTER;
}

/* From the first byte of a line. */
static enum http1_scan_result scan_start(struct http1_scan *scan, struct slice data, size_t *at,
                                         const struct http1_scan_limits *limits)
{
    char first = data.data[*at];
    if (first == ' ' || first == '\t')
        return HTTP1_SCAN_FOLDED;
    if (first != '\r') {
        scan->state = IN_LINE;
        return scan_text(scan, data, at, limits);
    }
    scan->state = AFTER_EMPTY_CR;
    return ++*at == data.size ? HTTP1_SCAN_MORE : scan_line_feed(scan, data.data[*at], at, limits->lines);
}

enum http1_scan_result http1_scan_line(struct http1_scan *scan, struct slice data, size_t *at,
                                       const struct http1_scan_limits *limits)
{
    bool cut = data.size > limits->bytes;
    if (cut)
        data.size = limits->bytes;
    enum http1_scan_result result = HTTP1_SCAN_MORE;
    if (*at == data.size)
        return cut ? HTTP1_SCAN_LONG : HTTP1_SCAN_MORE;
    if (scan->state == AT_START)
        result = scan_start(scan, data, at, limits);
    else if (scan->state == IN_LINE)
        result = scan_text(scan, data, at, limits);
    else
        result = scan_line_feed(scan, data.data[*at], at, limits->lines);
    return result == HTTP1_SCAN_MORE && cut ? HTTP1_SCAN_LONG : result;
}
