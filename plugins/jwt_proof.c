/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/jwt_proof.h"

const char *const jwt_proof_algorithms[] = { "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
                                             "ES256", "ES384", "ES512", "EdDSA", NULL };
static const enum jwt_algorithm algorithm_of[] = { JWT_RS256, JWT_RS384, JWT_RS512, JWT_PS256, JWT_PS384,
                                                   JWT_PS512, JWT_ES256, JWT_ES384, JWT_ES512, JWT_EDDSA };

_Static_assert(COUNT_OF(jwt_proof_algorithms) == COUNT_OF(algorithm_of) + 1, "an algorithm per name");
_Static_assert((int)SIGNATURE_EDDSA + 1 == (int)COUNT_OF(algorithm_of), "in the order of the signatures");

bool jwt_proof_accepts(uint64_t algorithms, enum jwt_algorithm algorithm, enum signature_algorithm *signature)
{
    for (size_t i = 0; i < COUNT_OF(algorithm_of); i++) {
        *signature = (enum signature_algorithm)i;
        if (algorithm_of[i] == algorithm)
            return algorithms >> i & 1;
    }
    return false;
}

enum jwt_proof jwt_prove(const struct jwk_set *set, const struct jwt_token *token, struct slice kid,
                         enum signature_algorithm signature)
{
    enum jwt_proof result = JWT_KEY_UNKNOWN;
    const struct public_key *key;
    uint32_t from = 0;
    while ((key = jwk_set_next(set, kid, signature, &from)) != NULL) {
        if (public_key_verify(key, token->signed_text, token->signature))
            return JWT_PROVEN;
        result = JWT_DISPROVEN;
    }
    return result;
}
