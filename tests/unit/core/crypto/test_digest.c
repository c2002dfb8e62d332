/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/digest.h"

#include <criterion/criterion.h>

static const struct {
    enum digest_kind kind;
    const char *text, *hex;
} known[] = {
    { DIGEST_MD5, "", "d41d8cd98f00b204e9800998ecf8427e" },
    { DIGEST_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72" },
    { DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
    { DIGEST_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { DIGEST_SHA384, "abc",
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" },
    { DIGEST_SHA512, "abc",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
};

Test(digest, known_values)
{
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        char hex[DIGEST_HEX_MAX];
        cr_assert(digest_hex(known[i].kind, slice_of(known[i].text), hex));
        cr_assert_str_eq(hex, known[i].hex);
        cr_assert_eq(strlen(hex), 2 * digest_size(known[i].kind));
    }
}

Test(digest, of_nothing_at_all)
{
    char hex[DIGEST_HEX_MAX];
    cr_assert(digest_hex(DIGEST_MD5, (struct slice){ NULL, 0 }, hex));
    cr_assert_str_eq(hex, known[0].hex);
}
