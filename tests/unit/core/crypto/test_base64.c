/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/base64.h"

#include <criterion/criterion.h>

#define TEXT(literal) { literal, sizeof(literal) - 1 } /* SLICE is no constant in ISO C */

static const struct {
    struct slice bytes;
    const char *standard, *url;
} good[] = {
    /* RFC 4648 section 10 */
    { TEXT(""), "", "" },
    { TEXT("f"), "Zg==", "Zg" },
    { TEXT("fo"), "Zm8=", "Zm8" },
    { TEXT("foo"), "Zm9v", "Zm9v" },
    { TEXT("foob"), "Zm9vYg==", "Zm9vYg" },
    { TEXT("fooba"), "Zm9vYmE=", "Zm9vYmE" },
    { TEXT("foobar"), "Zm9vYmFy", "Zm9vYmFy" },
    { TEXT("\xff\xef\xbe\0\xfb"), "/+++APs=", "_---APs" },
};

static void check_both_ways(enum base64_alphabet alphabet, struct slice bytes, const char *text)
{
    char encoded[32], decoded[32];
    size_t size = base64_encode(alphabet, bytes, encoded);
    cr_assert_eq(size, strlen(text), "%s", text);
    cr_assert_eq(size, base64_encoded_size(alphabet, bytes.size));
    cr_assert_eq(memcmp(encoded, text, size), 0, "%s", text);
    cr_assert(base64_decode(alphabet, slice_of(text), decoded, &size), "%s", text);
    cr_assert(slice_equal((struct slice){ decoded, size }, bytes), "%s", text);
    cr_assert_leq(size, base64_decoded_bound(strlen(text)));
}

Test(base64, known_texts)
{
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        check_both_ways(BASE64_STANDARD, good[i].bytes, good[i].standard);
        check_both_ways(BASE64_URL, good[i].bytes, good[i].url);
    }
}

Test(base64, every_byte_comes_back)
{
    char bytes[256], text[400], back[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    for (enum base64_alphabet alphabet = BASE64_STANDARD; alphabet <= BASE64_URL; alphabet++)
        for (size_t size = 0; size <= sizeof(bytes); size++) {
            size_t got, length = base64_encode(alphabet, (struct slice){ bytes, size }, text);
            cr_assert(base64_decode(alphabet, (struct slice){ text, length }, back, &got));
            cr_assert(got == size && memcmp(back, bytes, size) == 0);
        }
}

Test(base64, decodes_in_place)
{
    char text[] = "Zm9vYmFyZm9vYmFy";
    size_t size;
    cr_assert(base64_decode(BASE64_URL, slice_of(text), text, &size));
    cr_assert(slice_equal((struct slice){ text, size }, SLICE("foobarfoobar")));
}

static const struct {
    enum base64_alphabet alphabet;
    struct slice text;
} bad[] = {
    { BASE64_URL, TEXT("Z") },          /* six bits are no byte */
    { BASE64_URL, TEXT("Zm9vY") },
    { BASE64_URL, TEXT("Zg==") },       /* padding */
    { BASE64_URL, TEXT("Zh") },         /* leftover bits */
    { BASE64_URL, TEXT("Zm9") },
    { BASE64_URL, TEXT("Zm+v") },       /* the other alphabet */
    { BASE64_URL, TEXT("Zm/v") },
    { BASE64_URL, TEXT("Zm9v\n") },
    { BASE64_URL, TEXT(" Zm9v") },
    { BASE64_URL, TEXT("Zm\0v") },
    { BASE64_URL, TEXT("Zm9v\xc3\xa9") },
    { BASE64_STANDARD, TEXT("Zg") },
    { BASE64_STANDARD, TEXT("Zg=") },
    { BASE64_STANDARD, TEXT("Zh==") },
    { BASE64_STANDARD, TEXT("Zm9=") },
    { BASE64_STANDARD, TEXT("Z===") },
    { BASE64_STANDARD, TEXT("====") },
    { BASE64_STANDARD, TEXT("=") },
    { BASE64_STANDARD, TEXT("Zg==Zg==") },
    { BASE64_STANDARD, TEXT("Zm-v") },
    { BASE64_STANDARD, TEXT("Zm_v") },
    { BASE64_STANDARD, TEXT("Zm9v\r\nZm9v") },
};

Test(base64, refuses_what_no_encoder_writes)
{
    char out[32];
    size_t size;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_not(base64_decode(bad[i].alphabet, bad[i].text, out, &size), "%zu: %s", i,
                      bad[i].text.data);
}

Test(base64, each_character_has_one_place)
{
    int counts[2] = { 0, 0 };
    for (enum base64_alphabet alphabet = BASE64_STANDARD; alphabet <= BASE64_URL; alphabet++)
        for (int c = 0; c < 256; c++) {
            char text[4] = { (char)c, 'A', 'A', 'A' }, out[3];
            size_t size;
            counts[alphabet] += base64_decode(alphabet, (struct slice){ text, 4 }, out, &size);
        }
    cr_assert_eq(counts[BASE64_STANDARD], 64);
    cr_assert_eq(counts[BASE64_URL], 64);
}

Test(base64, sizes_do_not_overflow)
{
    cr_assert_eq(base64_encoded_size(BASE64_STANDARD, SIZE_MAX), SIZE_MAX);
    cr_assert_eq(base64_encoded_size(BASE64_URL, SIZE_MAX), SIZE_MAX);
    cr_assert_lt(base64_decoded_bound(SIZE_MAX), SIZE_MAX);
}
