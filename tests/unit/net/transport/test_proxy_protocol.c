/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/proxy_protocol.h"

#include "core/base/check.h"

#include <criterion/criterion.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_BLOCK "\x01\x02\x03\x04\x05\x06\x07\x08\x10\x01\x00\x50"
#define V6_BLOCK                                 \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x10\x01\x00\x50"

struct row {
    const char *name;
    struct slice bytes;
    enum proxy_protocol_result result;
    const char *source; /* NULL: not told */
    const char *destination;
    unsigned source_port, destination_port;
};

#define ROW(name, text, result, ...) { name, { text, sizeof(text) - 1 }, result, __VA_ARGS__ }
#define GOOD PROXY_PROTOCOL_DONE
#define BAD PROXY_PROTOCOL_BAD
#define UNKNOWN NULL, NULL, 0, 0
#define TOLD "1.2.3.4", "5.6.7.8", 4097, 80

static const struct row rows[] = {
    ROW("TCP4", "PROXY TCP4 1.2.3.4 5.6.7.8 4097 80\r\n", GOOD, TOLD),
    ROW("TCP6", "PROXY TCP6 2001:db8::1 ::1 4097 80\r\n", GOOD, "2001:db8::1", "::1", 4097, 80),
    ROW("longest",
        "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        GOOD, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
        65535),
    ROW("UNKNOWN", "PROXY UNKNOWN\r\n", GOOD, UNKNOWN),
    ROW("UNKNOWN with more", "PROXY UNKNOWN 1.2.3.4 whatever\r\n", GOOD, UNKNOWN),
    ROW("port 0", "PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n", GOOD, "1.2.3.4", "5.6.7.8", 0, 0),
    ROW("lower case", "proxy TCP4 1.2.3.4 5.6.7.8 4097 80\r\n", BAD, UNKNOWN),
    ROW("no protocol", "PROXY \r\n", BAD, UNKNOWN),
    ROW("other protocol", "PROXY UDP4 1.2.3.4 5.6.7.8 4097 80\r\n", BAD, UNKNOWN),
    ROW("two spaces", "PROXY TCP4  1.2.3.4 5.6.7.8 4097 80\r\n", BAD, UNKNOWN),
    ROW("space at the end", "PROXY TCP4 1.2.3.4 5.6.7.8 4097 80 \r\n", BAD, UNKNOWN),
    ROW("a word more", "PROXY TCP4 1.2.3.4 5.6.7.8 4097 80 1\r\n", BAD, UNKNOWN),
    ROW("a word less", "PROXY TCP4 1.2.3.4 5.6.7.8 4097\r\n", BAD, UNKNOWN),
    ROW("leading zero", "PROXY TCP4 1.2.3.4 5.6.7.8 04097 80\r\n", BAD, UNKNOWN),
    ROW("large port", "PROXY TCP4 1.2.3.4 5.6.7.8 65536 80\r\n", BAD, UNKNOWN),
    ROW("negative port", "PROXY TCP4 1.2.3.4 5.6.7.8 -1 80\r\n", BAD, UNKNOWN),
    ROW("leading zero in an address", "PROXY TCP4 1.2.3.04 5.6.7.8 1 80\r\n", BAD, UNKNOWN),
    ROW("wrong family", "PROXY TCP4 ::1 ::1 1 80\r\n", BAD, UNKNOWN),
    ROW("wrong family 6", "PROXY TCP6 1.2.3.4 5.6.7.8 1 80\r\n", BAD, UNKNOWN),
    ROW("brackets", "PROXY TCP6 [::1] ::1 1 80\r\n", BAD, UNKNOWN),
    ROW("a bare line feed", "PROXY TCP4 1.2.3.4 5.6.7.8 4097 80\n", BAD, UNKNOWN),
    ROW("a bare carriage return", "PROXY TCP4 1.2.3.4 5.6.7.8 4097 80\rx", BAD, UNKNOWN),
    ROW("NUL", "PROXY UNKNOWN a\0b\r\n", BAD, UNKNOWN),
    ROW("a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, UNKNOWN),
    ROW("too long",
        "PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234\r\n",
        BAD, UNKNOWN),
    ROW("v2 TCP4", SIGNATURE "\x21\x11\x00\x0c" V4_BLOCK, GOOD, TOLD),
    ROW("v2 TCP6", SIGNATURE "\x21\x21\x00\x24" V6_BLOCK, GOOD, "2001:db8::1", "::1", 4097, 80),
    ROW("v2 LOCAL", SIGNATURE "\x20\x00\x00\x00", GOOD, UNKNOWN),
    ROW("v2 LOCAL with addresses", SIGNATURE "\x20\x11\x00\x0c" V4_BLOCK, GOOD, UNKNOWN),
    ROW("v2 unspecified",
        SIGNATURE "\x21\x00\x00\x03"
                  "abc",
        GOOD, UNKNOWN),
    ROW("v2 UDP4", SIGNATURE "\x21\x12\x00\x0c" V4_BLOCK, GOOD, UNKNOWN),
    ROW("v2 with extensions",
        SIGNATURE "\x21\x11\x00\x13" V4_BLOCK "\x04\x00\x01x"
                  "\x02\x00\x00",
        GOOD, TOLD),
    ROW("v2 with a checksum", SIGNATURE "\x21\x11\x00\x13" V4_BLOCK "\x03\x00\x04\x34\x38\x8b\xbf", GOOD,
        TOLD),
    ROW("v2 with a wrong checksum", SIGNATURE "\x21\x11\x00\x13" V4_BLOCK "\x03\x00\x04\x00\x00\x00\x01", BAD,
        UNKNOWN),
    ROW("v2 with a short checksum", SIGNATURE "\x21\x11\x00\x12" V4_BLOCK "\x03\x00\x03\x00\x00\x00", BAD,
        UNKNOWN),
    ROW("v2 short block",
        SIGNATURE "\x21\x11\x00\x0b"
                  "12345678901",
        BAD, UNKNOWN),
    ROW("v2 broken extension", SIGNATURE "\x21\x11\x00\x0f" V4_BLOCK "\x04\x00\x01", BAD, UNKNOWN),
    ROW("v2 half an extension", SIGNATURE "\x21\x11\x00\x0e" V4_BLOCK "\x04\x00", BAD, UNKNOWN),
    ROW("v2 other version", SIGNATURE "\x11\x11\x00\x0c" V4_BLOCK, BAD, UNKNOWN),
    ROW("v2 other command", SIGNATURE "\x22\x11\x00\x0c" V4_BLOCK, BAD, UNKNOWN),
    ROW("v2 other family", SIGNATURE "\x21\x41\x00\x0c" V4_BLOCK, BAD, UNKNOWN),
    ROW("v2 other transport", SIGNATURE "\x21\x13\x00\x0c" V4_BLOCK, BAD, UNKNOWN),
    ROW("v2 too long", SIGNATURE "\x21\x11\x10\x00", BAD, UNKNOWN),
    ROW("v2 other signature",
        "\r\n\r\n\0\r\nQUIT\r"
        "\x21\x11\x00\x0c" V4_BLOCK,
        BAD, UNKNOWN),
};

static void check_address(const struct row *row, const struct address *address, const char *text,
                          unsigned port)
{
    char printed[ADDRESS_TEXT_SIZE];
    cr_expect_eq(address->size > 0, text != NULL, "%s", row->name);
    if (text == NULL || address->size == 0)
        return;
    (void)address_text(address, printed);
    cr_expect_str_eq(printed, text, "%s", row->name);
    cr_expect_eq(address_port(address), port, "%s", row->name);
}

Test(proxy_protocol, reads)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct proxy_protocol header;
        size_t size;
        enum proxy_protocol_result result = proxy_protocol_read(rows[i].bytes, &header, &size);
        cr_expect_eq(result, rows[i].result, "%s: %d", rows[i].name, (int)result);
        if (result != GOOD)
            continue;
        cr_expect_eq(size, rows[i].bytes.size, "%s", rows[i].name);
        check_address(&rows[i], &header.source, rows[i].source, rows[i].source_port);
        check_address(&rows[i], &header.destination, rows[i].destination, rows[i].destination_port);
    }
}

/* Every beginning asks for more, or is refused if all of it is; with the last byte it is done, and what
 * follows does not count. */
Test(proxy_protocol, splits_at_every_byte)
{
    char copy[256];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct proxy_protocol header;
        struct slice bytes = rows[i].bytes;
        size_t size;
        for (size_t part = 0; part < bytes.size; part++) {
            enum proxy_protocol_result result =
                proxy_protocol_read((struct slice){ bytes.data, part }, &header, &size);
            cr_expect(result == PROXY_PROTOCOL_MORE || (result == BAD && rows[i].result == BAD),
                      "%s at %zu: %d", rows[i].name, part, (int)result);
        }
        memcpy(copy, bytes.data, bytes.size);
        memset(copy + bytes.size, 'x', 8);
        if (rows[i].result != GOOD)
            continue;
        cr_expect_eq(proxy_protocol_read((struct slice){ copy, bytes.size + 8 }, &header, &size), GOOD);
        cr_expect_eq(size, bytes.size, "%s", rows[i].name);
    }
}

static struct address address_of(const char *text, uint16_t port)
{
    struct address address = { 0 };
    if (text)
        cr_assert(address_parse(slice_of(text), port, &address));
    return address;
}

Test(proxy_protocol, writes)
{
    static const struct {
        const char *source, *destination, *v1;
    } cases[] = {
        { "1.2.3.4", "5.6.7.8", "PROXY TCP4 1.2.3.4 5.6.7.8 4097 80\r\n" },
        { "2001:db8::1", "::1", "PROXY TCP6 2001:db8::1 ::1 4097 80\r\n" },
        { "::ffff:1.2.3.4", "::ffff:5.6.7.8", "PROXY TCP4 1.2.3.4 5.6.7.8 4097 80\r\n" },
        { "::ffff:1.2.3.4", "::1", "PROXY TCP6 ::ffff:1.2.3.4 ::1 4097 80\r\n" },
        { "1.2.3.4", "::1", "PROXY UNKNOWN\r\n" },
        { NULL, NULL, "PROXY UNKNOWN\r\n" },
    };
    char out[PROXY_PROTOCOL_WRITTEN_MAX];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct proxy_protocol header = { 1, address_of(cases[i].source, 4097),
                                         address_of(cases[i].destination, 80) };
        struct proxy_protocol one, two;
        size_t size = proxy_protocol_write(out, &header), used;
        cr_expect(slice_equal((struct slice){ out, size }, slice_of(cases[i].v1)), "%.*s", (int)size, out);
        cr_expect_eq(proxy_protocol_read((struct slice){ out, size }, &one, &used), GOOD);
        header.version = 2;
        size = proxy_protocol_write(out, &header);
        cr_expect_eq(proxy_protocol_read((struct slice){ out, size }, &two, &used), GOOD);
        cr_expect_eq(used, size);
        cr_expect_eq(one.source.size, two.source.size);
        cr_expect(one.source.size == 0 || (address_equal(&one.source, &two.source) &&
                                           address_equal(&one.destination, &two.destination)));
    }
}
