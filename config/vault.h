/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's references to secrets: `{vault://VAULT/RESOURCE}`, and `{vault://VAULT/RESOURCE/KEY}` of a resource
 * that holds an object. A vault is the environment or files; the model owns those that are configured, and
 * each type is a vault of its own name, too. References are read once, when a configuration is loaded.
 * Control thread only. */
#pragma once

#include "config/entity.h"

enum vault_kind { VAULT_ENV, VAULT_FILE };

/* The names of the types, in the order of enum vault_kind; ends with NULL. */
extern const char *const vault_kind_names[];

struct vault {
    struct entity entity; /* name = the prefix by which references name it */
    int kind; /* enum vault_kind */
    struct slice prefix; /* goes before every resource; absent: nothing */
    struct slice path; /* VAULT_FILE: a directory of files, or one JSON or YAML file */
    bool base64_decode;
};

/* Zeroed: only the environment, without a prefix. */
struct vaults {
    struct vault **items;
    uint32_t count, capacity;
    struct slice env_prefix, file_path; /* of the types, when they are named instead of a vault */
    unsigned disabled; /* a bit per enum vault_kind that may not be used */
};

bool vault_is_reference(struct slice text);

/* The value in *out, or why there is none: a text that tells no secret, static or of the arena. `vaults` may
 * be NULL. */
const char *vault_resolve(const struct vaults *vaults, struct slice reference, struct arena *arena,
                          struct slice *out) MUST_CHECK;
