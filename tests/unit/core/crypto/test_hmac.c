/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/hmac.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* RFC 4231, and the same with SHA-1: keys shorter than, and longer than a block. */
static const struct {
    const char *key_byte;
    size_t key_size;
    const char *message;
    const char *hex[4];
} known[] = {
    { "\x0b",
      20,
      "Hi There",
      { "b617318655057264e28bc0b6fb378c8ef146be00",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
        "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854" } },
    { "\xaa",
      131,
      "Test Using Larger Than Block-Size Key - Hash Key First",
      { "90d0dace1c1bdc957339307803160335bde6df2b",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
        "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598" } },
};

static void check_known(size_t row, enum hmac_kind kind)
{
    char secret[256], hex[2 * HMAC_MAX + 1];
    unsigned char mac[HMAC_MAX];
    struct hmac_key key;
    memset(secret, known[row].key_byte[0], known[row].key_size);
    hmac_key_init(&key, kind, (struct slice){ secret, known[row].key_size });
    hmac_sign(&key, slice_of(known[row].message), mac);
    for (size_t i = 0; i < hmac_size(kind); i++)
        snprintf(hex + 2 * i, 3, "%02x", mac[i]);
    cr_assert_str_eq(hex, known[row].hex[kind]);
    /* A key can be used again and again. */
    cr_assert(
        hmac_verify(&key, slice_of(known[row].message), (struct slice){ (char *)mac, hmac_size(kind) }));
}

Test(hmac, known_values)
{
    for (size_t row = 0; row < COUNT_OF(known); row++)
        for (enum hmac_kind kind = HMAC_SHA1; kind <= HMAC_SHA512; kind++)
            check_known(row, kind);
}

Test(hmac, refuses_everything_else)
{
    for (enum hmac_kind kind = HMAC_SHA1; kind <= HMAC_SHA512; kind++) {
        unsigned char mac[HMAC_MAX + 1] = { 0 };
        struct hmac_key key;
        size_t size = hmac_size(kind);
        hmac_key_init(&key, kind, SLICE("secret"));
        hmac_sign(&key, SLICE("message"), mac);
        for (size_t shorter = 0; shorter < size; shorter++)
            cr_assert_not(hmac_verify(&key, SLICE("message"), (struct slice){ (char *)mac, shorter }));
        cr_assert_not(hmac_verify(&key, SLICE("message"), (struct slice){ (char *)mac, size + 1 }));
        cr_assert_not(hmac_verify(&key, SLICE("massage"), (struct slice){ (char *)mac, size }));
        for (size_t bit = 0; bit < 8 * size; bit++) {
            mac[bit / 8] = (unsigned char)(mac[bit / 8] ^ 1u << bit % 8);
            cr_assert_not(hmac_verify(&key, SLICE("message"), (struct slice){ (char *)mac, size }));
            mac[bit / 8] = (unsigned char)(mac[bit / 8] ^ 1u << bit % 8);
        }
        hmac_key_init(&key, kind, SLICE("Secret"));
        cr_assert_not(hmac_verify(&key, SLICE("message"), (struct slice){ (char *)mac, size }));
    }
}

Test(hmac, empty_secret_and_message)
{
    unsigned char mac[HMAC_MAX];
    struct hmac_key key;
    hmac_key_init(&key, HMAC_SHA256, (struct slice){ NULL, 0 });
    hmac_sign(&key, (struct slice){ NULL, 0 }, mac);
    cr_assert_eq(memcmp(mac, "\xb6\x13\x67\x9a\x08\x14\xd9\xec\x77\x2f\x95\xd7\x78\xc3\x5f\xc5", 16), 0);
}
