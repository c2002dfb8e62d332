/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ldap/ldap_message.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define LITERAL(literal) { literal, sizeof(literal) - 1 }
#define BYTES(literal) ((struct slice)LITERAL(literal))

Test(ldap_message, requests)
{
    char memory[LDAP_REQUEST_AROUND + 16];
    struct slice bind = ldap_write_bind(memory, sizeof(memory), 1, SLICE("cn=a"), SLICE("pw"));
    cr_assert(slice_equal(bind, BYTES("\x30\x12\x02\x01\x01\x60\x0d\x02\x01\x03\x04\x04"
                                      "cn=a\x80\x02pw")));
    struct slice start = ldap_write_start_tls(memory, sizeof(memory), 0x80);
    cr_assert(slice_equal(start, BYTES("\x30\x1e\x02\x02\x00\x80\x77\x18\x80\x16"
                                       "1.3.6.1.4.1.1466.20037")));
}

Test(ldap_message, long_texts)
{
    enum { SIZE = 300, ROOM = 2 * SIZE + LDAP_REQUEST_AROUND };
    char text[SIZE], memory[ROOM];
    memset(text, 'x', SIZE);
    struct slice value = { text, SIZE };
    struct slice bind = ldap_write_bind(memory, ROOM, LDAP_ID_MAX, value, value);
    cr_assert(slice_starts_with(bind, BYTES("\x30\x82\x02\x6d\x02\x04\x7f\xff\xff\xff\x60\x82\x02\x63"
                                            "\x02\x01\x03\x04\x82\x01\x2c"
                                            "xxx")));
    cr_assert(slice_ends_with(bind, value));
    cr_assert_eq(bind.size, 4 + 0x26d);
}

static const struct {
    struct slice bytes;
    enum ldap_reading reading;
    uint32_t id, code;
    unsigned char operation;
    size_t size;
} responses[] = {
    { LITERAL("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"), LDAP_READ, 1, 0, 0x61, 14 },
    { LITERAL("\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x31\x04\x00\x04\x00rest"), LDAP_READ, 2, 49, 0x61, 14 },
    { LITERAL("\x30\x84\x00\x00\x00\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00"), LDAP_READ, 1, 52,
      0x78, 18 },
    { LITERAL("\x30\x06\x02\x01\x00\x65\x01\x05"), LDAP_READ, 0, 0, 0x65, 8 },
    { LITERAL(""), LDAP_INCOMPLETE, 0, 0, 0, 0 },
    { LITERAL("\x30"), LDAP_INCOMPLETE, 0, 0, 0, 0 },
    { LITERAL("\x30\x84\x00\x00"), LDAP_INCOMPLETE, 0, 0, 0, 0 },
    { LITERAL("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04"), LDAP_INCOMPLETE, 0, 0, 0, 0 },
    { LITERAL("HTTP"), LDAP_INVALID, 0, 0, 0, 0 },
    { LITERAL("\x30\x80"), LDAP_INVALID, 0, 0, 0, 0 },
    { LITERAL("\x30\x85\x00\x00\x00\x00\x01"), LDAP_INVALID, 0, 0, 0, 0 },
    { LITERAL("\x30\x84\x7f\xff\xff\xff"), LDAP_INVALID, 0, 0, 0, 0 },
    { LITERAL("\x30\x00"), LDAP_INVALID, 0, 0, 0, 0 },
    { LITERAL("\x30\x03\x02\x01\x01"), LDAP_INVALID, 0, 0, 0, 0 },
    { LITERAL("\x30\x06\x02\x01\xff\x61\x01\x00"), LDAP_INVALID, 0, 0, 0, 0 },
    { LITERAL("\x30\x06\x02\x00\x61\x02\x0a\x00"), LDAP_INVALID, 0, 0, 0, 0 },
    { LITERAL("\x30\x08\x02\x01\x01\x61\x03\x02\x01\x00"), LDAP_INVALID, 0, 0, 0, 0 },
    { LITERAL("\x30\x07\x02\x01\x01\x61\x07\x0a\x01"), LDAP_INVALID, 0, 0, 0, 0 },
    { LITERAL("\x30\x0b\x02\x05\x01\x00\x00\x00\x00\x61\x02\x0a\x00"), LDAP_INVALID, 0, 0, 0, 0 },
};

Test(ldap_message, reads_responses)
{
    for (size_t i = 0; i < COUNT_OF(responses); i++) {
        struct ldap_response response = { 0 };
        cr_expect_eq(ldap_read_response(responses[i].bytes, &response), responses[i].reading, "%zu", i);
        if (responses[i].reading != LDAP_READ)
            continue;
        cr_expect_eq(response.id, responses[i].id, "%zu", i);
        cr_expect_eq(response.code, responses[i].code, "%zu", i);
        cr_expect_eq(response.operation, responses[i].operation, "%zu", i);
        cr_expect_eq(response.bytes, responses[i].size, "%zu", i);
    }
}

/* Whatever is cut off is waited for, and nothing behind the bytes is looked at. */
Test(ldap_message, waits_for_the_rest)
{
    struct slice whole = responses[0].bytes;
    for (size_t size = 0; size < whole.size; size++) {
        struct ldap_response response;
        char *copy = malloc(size + 1);
        cr_assert_not_null(copy);
        memcpy(copy, whole.data, size);
        cr_assert_eq(ldap_read_response((struct slice){ copy, size }, &response), LDAP_INCOMPLETE);
        free(copy);
    }
}
