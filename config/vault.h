/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's references to secrets: `{vault://env/NAME}`, and `{vault://env/NAME/KEY}` of one that holds a
 * JSON object. Only the vault `env` exists so far. Control thread. */
#pragma once

#include "core/base/arena.h"

bool vault_is_reference(struct slice text);

/* The value in *out, or why there is none: static text that names no secret. */
const char *vault_resolve(struct slice reference, struct arena *arena, struct slice *out);
