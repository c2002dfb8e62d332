/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/chunked.h"

#include "net/http/http1_scan.h"

enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF };

enum { DIGITS_MAX = 16 };

static enum chunked_result read_size(struct chunked *chunked, char c)
{
    int digit = slice_hex_value(c);
    if (digit >= 0) {
        if (chunked->digits++ == DIGITS_MAX)
            return CHUNKED_BAD_SIZE;
        chunked->left = chunked->left << 4 | (unsigned)digit;
        return chunked->left > INT64_MAX ? CHUNKED_BAD_SIZE : CHUNKED_MORE;
    }
    if (chunked->digits == 0 || (c != '\r' && c != ';'))
        return CHUNKED_BAD_SIZE;
    chunked->state = c == '\r' ? SIZE_LF : EXTENSION;
    return CHUNKED_MORE;
}

/* Its grammar does not matter, it ends here; what matters is that nobody can see a line end within it. */
static enum chunked_result skip_extension(struct chunked *chunked, struct slice input, size_t *at,
                                          uint32_t limit)
{
    const char *next = input.data + *at, *end = input.data + input.size;
    size_t room = limit - chunked->extension_bytes;
    const char *stop = (size_t)(end - next) > room ? next + room : end;
    const char *found = http1_scan_control(next, stop);
    while (found < stop && *found == '\t')
        found = http1_scan_control(found + 1, stop);
    chunked->extension_bytes += (uint32_t)(found - next);
    *at = (size_t)(found - input.data);
    if (found == end)
        return CHUNKED_MORE;
    if (*found != '\r')
        return CHUNKED_BAD_EXTENSION;
    ++*at;
    chunked->state = SIZE_LF;
    return CHUNKED_MORE;
}

static enum chunked_result end_size_line(struct chunked *chunked, char c)
{
    if (c != '\n')
        return CHUNKED_BAD_SIZE;
    chunked->digits = 0;
    chunked->state = DATA;
    return chunked->left == 0 ? CHUNKED_LAST : CHUNKED_MORE;
}

static enum chunked_result read_data(struct chunked *chunked, struct slice input, size_t *at,
                                     struct slice *data)
{
    size_t size = input.size - *at;
    if (size > chunked->left)
        size = chunked->left;
    *data = (struct slice){ input.data + *at, size };
    *at += size;
    chunked->left -= size;
    if (chunked->left == 0)
        chunked->state = DATA_CR;
    return CHUNKED_DATA;
}

static enum chunked_result end_data(struct chunked *chunked, char c)
{
    bool is_cr = chunked->state == DATA_CR;
    if (c != (is_cr ? '\r' : '\n'))
        return CHUNKED_BAD_END;
    chunked->state = is_cr ? DATA_LF : SIZE;
    return CHUNKED_MORE;
}

enum chunked_result chunked_read(struct chunked *chunked, struct slice input, size_t *at,
                                 uint32_t extension_limit, struct slice *data)
{
    enum chunked_result result = CHUNKED_MORE;
    while (result == CHUNKED_MORE && *at < input.size) {
        switch (chunked->state) {
        case SIZE: result = read_size(chunked, input.data[(*at)++]); break;
        case EXTENSION: result = skip_extension(chunked, input, at, extension_limit); break;
        case SIZE_LF: result = end_size_line(chunked, input.data[(*at)++]); break;
        case DATA: result = read_data(chunked, input, at, data); break;
        default: result = end_data(chunked, input.data[(*at)++]); break;
        }
    }
    return result;
}
