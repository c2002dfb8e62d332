/* SPDX-License-Identifier: Apache-2.0 */
/* Is a token signed by one of a provider's keys? For the plugins that fetch key sets. Any thread. */
#pragma once

#include "core/crypto/jwk.h"
#include "plugins/jwt_token.h"

/* The names of the algorithms with public keys, in the order of enum signature_algorithm; ends with NULL. */
extern const char *const jwt_proof_algorithms[];

/* The signature that the algorithm asks for, which a set of them (a bit per enum
 * signature_algorithm) must hold. */
bool jwt_proof_accepts(uint64_t algorithms, enum jwt_algorithm algorithm,
                       enum signature_algorithm *signature);

enum jwt_proof { JWT_PROVEN, JWT_DISPROVEN, JWT_KEY_UNKNOWN };

/* By every key of the set that fits; kid absent: whatever their names. */
enum jwt_proof jwt_prove(const struct jwk_set *set, const struct jwt_token *token, struct slice kid,
                         enum signature_algorithm signature);
