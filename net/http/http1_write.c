/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/http1_write.h"

#define REASON_LIST(R)                           \
    R(100, "Continue")                           \
    R(101, "Switching Protocols")                \
    R(102, "Processing")                         \
    R(103, "Early Hints")                        \
    R(200, "OK")                                 \
    R(201, "Created")                            \
    R(202, "Accepted")                           \
    R(203, "Non-Authoritative Information")      \
    R(204, "No Content")                         \
    R(205, "Reset Content")                      \
    R(206, "Partial Content")                    \
    R(207, "Multi-Status")                       \
    R(208, "Already Reported")                   \
    R(226, "IM Used")                            \
    R(300, "Multiple Choices")                   \
    R(301, "Moved Permanently")                  \
    R(302, "Found")                              \
    R(303, "See Other")                          \
    R(304, "Not Modified")                       \
    R(305, "Use Proxy")                          \
    R(307, "Temporary Redirect")                 \
    R(308, "Permanent Redirect")                 \
    R(400, "Bad Request")                        \
    R(401, "Unauthorized")                       \
    R(402, "Payment Required")                   \
    R(403, "Forbidden")                          \
    R(404, "Not Found")                          \
    R(405, "Method Not Allowed")                 \
    R(406, "Not Acceptable")                     \
    R(407, "Proxy Authentication Required")      \
    R(408, "Request Timeout")                    \
    R(409, "Conflict")                           \
    R(410, "Gone")                               \
    R(411, "Length Required")                    \
    R(412, "Precondition Failed")                \
    R(413, "Content Too Large")                  \
    R(414, "URI Too Long")                       \
    R(415, "Unsupported Media Type")             \
    R(416, "Range Not Satisfiable")              \
    R(417, "Expectation Failed")                 \
    R(418, "I'm a teapot")                       \
    R(421, "Misdirected Request")                \
    R(422, "Unprocessable Content")              \
    R(423, "Locked")                             \
    R(424, "Failed Dependency")                  \
    R(425, "Too Early")                          \
    R(426, "Upgrade Required")                   \
    R(428, "Precondition Required")              \
    R(429, "Too Many Requests")                  \
    R(431, "Request Header Fields Too Large")    \
    R(451, "Unavailable For Legal Reasons")      \
    R(494, "Request Header Or Cookie Too Large") \
    R(499, "Client Closed Request")              \
    R(500, "Internal Server Error")              \
    R(501, "Not Implemented")                    \
    R(502, "Bad Gateway")                        \
    R(503, "Service Unavailable")                \
    R(504, "Gateway Timeout")                    \
    R(505, "HTTP Version Not Supported")         \
    R(506, "Variant Also Negotiates")            \
    R(507, "Insufficient Storage")               \
    R(508, "Loop Detected")                      \
    R(511, "Network Authentication Required")

enum { STATUS_MIN = 100, STATUS_MAX = 999, REASON_END = 512 };

static const struct slice reasons[REASON_END - STATUS_MIN] = {
#define R(status, text) [status - STATUS_MIN] = { text, sizeof(text) - 1 },
    REASON_LIST(R)
#undef R
};

struct slice http1_reason(int status)
{
    if (status < STATUS_MIN || status >= REASON_END || reasons[status - STATUS_MIN].data == NULL)
        return SLICE("");
    return reasons[status - STATUS_MIN];
}

enum { HEX_BYTES = 16 };

/* Also those that do not fit. */
void writer_long_header(struct writer *writer, struct slice name, struct slice value)
{
    size_t size = name.size + value.size + 4;
    if (!writer_has_room(writer, size))
        return;
    char *next = writer->next;
    memcpy(next, name.data, name.size);
    memcpy(next + name.size, ": ", 2);
    if (value.size)
        memcpy(next + name.size + 2, value.data, value.size);
    memcpy(next + size - 2, "\r\n", 2);
    writer->next = next + size;
}

void writer_u64(struct writer *writer, uint64_t value)
{
    if (writer_has_room(writer, slice_u64_size(value)))
        writer->next = slice_write_u64(writer->next, value);
}

void writer_header_u64(struct writer *writer, struct slice name, uint64_t value)
{
    if (!writer_has_room(writer, name.size + slice_u64_size(value) + 4))
        return;
    writer_slice(writer, name);
    writer_text(writer, ": ");
    writer->next = slice_write_u64(writer->next, value);
    writer_text(writer, "\r\n");
}

void writer_hex(struct writer *writer, uint64_t value)
{
    char digits[HEX_BYTES];
    char *next = digits + HEX_BYTES;
    do {
        *--next = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    writer_bytes(writer, next, (size_t)(digits + HEX_BYTES - next));
}

void http1_write_status_line(struct writer *writer, int status, struct slice reason)
{
    CHECK(status >= STATUS_MIN && status <= STATUS_MAX);
    if (reason.data == NULL)
        reason = http1_reason(status);
    static const char begin[] = "HTTP/1.1 ";
    enum { BEGIN_BYTES = sizeof(begin) - 1, CODE_BYTES = 3 };
    size_t size = BEGIN_BYTES + CODE_BYTES + 1 + reason.size + 2;
    if (!writer_has_room(writer, size))
        return;
    char *next = writer->next;
    memcpy(next, begin, BEGIN_BYTES);
    next[BEGIN_BYTES] = (char)('0' + status / 100);
    memcpy(next + BEGIN_BYTES + 1, slice_digit_pairs + status % 100 * 2, 2);
    next[BEGIN_BYTES + CODE_BYTES] = ' ';
    memcpy(next + BEGIN_BYTES + CODE_BYTES + 1, reason.data, reason.size);
    memcpy(next + size - 2, "\r\n", 2);
    writer->next = next + size;
}

void http1_write_request_line(struct writer *writer, struct slice method, struct slice target)
{
    static const char end[] = " HTTP/1.1\r\n";
    enum { END_BYTES = sizeof(end) - 1 };
    size_t size = method.size + 1 + target.size + END_BYTES;
    if (!writer_has_room(writer, size))
        return;
    memcpy(writer->next, method.data, method.size);
    writer->next[method.size] = ' ';
    memcpy(writer->next + method.size + 1, target.data, target.size);
    memcpy(writer->next + size - END_BYTES, end, END_BYTES);
    writer->next += size;
}

void http1_write_chunk_line(struct writer *writer, uint64_t size_bytes)
{
    writer_hex(writer, size_bytes);
    writer_text(writer, "\r\n");
}
