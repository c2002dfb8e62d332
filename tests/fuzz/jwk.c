/* SPDX-License-Identifier: Apache-2.0 */
/* Anything at all as a set of keys, as an identity provider might send it: no crash, no leak, and what is
 * found is found again. */
#include "core/crypto/jwk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct jwk_set set;
    uint32_t from = 0, found = 0;
    arena_init(&arena, NULL, 0, 64 * 1024 * 1024);
    if (jwk_set_read((struct slice){ (const char *)data, size }, &arena, &set) == ERROR_OK) {
        CHECK(set.count <= JWK_SET_KEYS_MAX);
        for (int i = 0; i <= SIGNATURE_EDDSA; i++) {
            const struct public_key *key;
            for (from = 0;
                 (key = jwk_set_next(&set, (struct slice){ NULL, 0 }, (enum signature_algorithm)i, &from));)
                found +=
                    public_key_bits(key) > 0 && !public_key_verify(key, SLICE("text"), SLICE("signature"));
        }
        CHECK(found >= set.count);
    }
    arena_deinit(&arena);
    return 0;
}
