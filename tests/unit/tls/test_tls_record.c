/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and ClientHellos by hand, and what wolfSSL's device must refuse. */
#include "tls/tls_crypto.h"
#include "tls/tls_hello.h"
#include "tls/tls_order.h"

#include <criterion/criterion.h>

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

enum { DEVICE_ID = 0x51 };

static enum tls_alert judge(uint8_t type, unsigned size, enum tls_epoch epoch)
{
    unsigned char bytes[] = { type, 3, 3, (unsigned char)(size >> 8), (unsigned char)size };
    struct tls_header header;
    return tls_record_header(bytes, epoch, &header);
}

Test(tls_record, headers)
{
    cr_assert_eq(judge(TLS_DATA, 16, TLS_EPOCH_HANDSHAKE), TLS_DECODE_ERROR, "no room for an inner type");
    cr_assert_eq(judge(TLS_DATA, 17, TLS_EPOCH_HANDSHAKE), TLS_ALERT_NONE);
    cr_assert_eq(judge(TLS_DATA, 16, TLS_EPOCH_1_3), TLS_DECODE_ERROR);
    cr_assert_eq(judge(TLS_DATA, 24, TLS_EPOCH_1_2), TLS_ALERT_NONE);
    cr_assert_eq(judge(TLS_HANDSHAKE, 0, TLS_EPOCH_HANDSHAKE), TLS_DECODE_ERROR);
    cr_assert_eq(judge(TLS_CHANGE_CIPHER_SPEC, 2, TLS_EPOCH_HANDSHAKE), TLS_DECODE_ERROR);
    cr_assert_eq(judge(TLS_DATA, TLS_SEALED_MAX, TLS_EPOCH_1_3), TLS_ALERT_NONE);
    cr_assert_eq(judge(TLS_DATA, TLS_SEALED_MAX + 1, TLS_EPOCH_1_3), TLS_RECORD_OVERFLOW);
    cr_assert_eq(judge(24, 20, TLS_EPOCH_1_3), TLS_UNEXPECTED_MESSAGE);
}

/* Version 1.2, no session, one suite, no compression; then extensions. */
static enum tls_alert read_with(struct slice extensions, struct tls_hello *hello)
{
    static unsigned char message[1024];
    size_t size = 4;
    memset(message, 0, sizeof(message));
    message[size++] = 3;
    message[size++] = 3;
    size += 32;
    memcpy(message + size, "\0\0\2\x13\1\1\0", 7);
    size += 7;
    message[size++] = (unsigned char)(extensions.size >> 8);
    message[size++] = (unsigned char)extensions.size;
    memcpy(message + size, extensions.data, extensions.size);
    size += extensions.size;
    message[0] = 1;
    message[2] = (unsigned char)((size - 4) >> 8);
    message[3] = (unsigned char)(size - 4);
    return tls_hello_read((struct slice){ (const char *)message, size }, hello);
}

Test(tls_record, what_a_hello_says)
{
    struct tls_hello hello;
    cr_assert_eq(read_with(SLICE("\0\0\0\x0b\0\x09\0\0\6a.test"
                                 "\0\x10\0\x05\0\3\2h2"
                                 "\0\x2b\0\3\2\3\4"
                                 "\0\x0d\0\4\0\2\4\3"),
                           &hello),
                 TLS_ALERT_NONE);
    cr_assert(slice_equal(hello.name, SLICE("a.test")));
    cr_assert(hello.tls_1_3 && !hello.tls_1_2 && hello.signs_p256 && !hello.signs_rsa);
    cr_assert(tls_hello_offers(&hello, SLICE("h2")) && !tls_hello_offers(&hello, SLICE("h")));
}

Test(tls_record, malformed_hellos)
{
    struct tls_hello hello;
    cr_assert_eq(read_with(SLICE("\0\0\0\0\0\0\0\0"), &hello), TLS_DECODE_ERROR);
    cr_assert_eq(read_with(SLICE("\0\0\0\x0b\0\x09\0\0\6a\0test"), &hello), TLS_DECODE_ERROR);
    cr_assert_eq(read_with(SLICE("\0\0\0\x0b\0\x09\0\0\7a.test"), &hello), TLS_DECODE_ERROR);
    cr_assert_eq(read_with(SLICE("\0\x10\0\4\0\2\3h2"), &hello), TLS_DECODE_ERROR);
    cr_assert_eq(read_with(SLICE("\0\x10\0\3\0\1\0"), &hello), TLS_DECODE_ERROR);
    cr_assert_eq(read_with(SLICE("\0\x10\0\2\0\0"), &hello), TLS_DECODE_ERROR);
    cr_assert_eq(read_with(SLICE("\x7f\1\0\0\x7f\1\0\0"), &hello), TLS_ILLEGAL_PARAMETER, "twice");
    cr_assert_eq(read_with(SLICE("\0\x33\0\x0c\0\x0a\0\x1d\0\1x\0\x1d\0\1y"), &hello), TLS_ILLEGAL_PARAMETER,
                 "two shares of a group");
    cr_assert_eq(read_with(SLICE("\0"), &hello), TLS_DECODE_ERROR);
    cr_assert_eq(tls_hello_read(SLICE("\2\0\0\0"), &hello), TLS_UNEXPECTED_MESSAGE);
    cr_assert_eq(tls_hello_read(SLICE("\1\0\0\1"), &hello), TLS_DECODE_ERROR);
    cr_assert_eq(tls_hello_read(SLICE(""), &hello), TLS_UNEXPECTED_MESSAGE);
}

Test(tls_record, order_of_a_clients_messages)
{
    struct tls_order order = { .left = 0 };
    cr_assert(tls_order_allows(&order, SLICE("\x16\3\3\0\6\x0b\0\0\1a\x10")));
    cr_assert(tls_order_allows(&order, SLICE("\x16\3\3\0\4\0\0\1a")), "the rest of a key exchange");
    cr_assert(tls_order_allows(&order, SLICE("\x16\3\3\0\5\x0f\0\0\1a")));
    order = (struct tls_order){ .left = 0 };
    cr_assert_not(tls_order_allows(&order, SLICE("\x16\3\3\0\x0a\x0b\0\0\1a\x0f\0\0\1a")));
    order = (struct tls_order){ .left = 0 };
    cr_assert(tls_order_allows(&order, SLICE("\x14\3\3\0\1\1")));
    cr_assert(tls_order_allows(&order, SLICE("\x16\3\3\0\4\x0f\0\0\0")), "ciphered");
}

static int open_empty(word32 associated_size)
{
    unsigned char bytes[16] = { 0 }, key[16] = { 0 }, iv[12] = { 0 }, associated[13] = { 0 }, tag[16] = { 0 };
    Aes aes;
    cr_assert_eq(wc_AesInit(&aes, NULL, DEVICE_ID), 0);
    cr_assert_eq(wc_AesGcmSetKey(&aes, key, sizeof(key)), 0);
    cr_assert_eq(wc_AesGcmEncrypt(&aes, bytes, bytes, 0, iv, sizeof(iv), tag, sizeof(tag), associated,
                                  associated_size),
                 0);
    int result = wc_AesGcmDecrypt(&aes, bytes, bytes, 0, iv, sizeof(iv), tag, sizeof(tag), associated,
                                  associated_size);
    wc_AesFree(&aes);
    return result;
}

Test(tls_record, the_device_refuses_an_empty_inner_plaintext)
{
    cr_assert_eq(tls_crypto_start(), ERROR_OK);
    if (strstr(tls_crypto_text(), "libcrypto")) {
        cr_assert_eq(open_empty(5), AES_GCM_AUTH_E, "authentic, but nothing in it: TLS 1.3");
        cr_assert_eq(open_empty(13), 0, "legal in TLS 1.2");
    }
    tls_crypto_stop();
}
