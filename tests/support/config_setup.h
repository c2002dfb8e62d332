/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of configurations for unit tests: read them, and ask what was reported. Two plugins stand in for real
 * ones: `guard` with a kind of credential, `count` with a record. The test owns it; one thread. */
#pragma once

#include "config/kong/kong.h"

struct config_setup {
    struct arena arena; /* of nodes */
    struct report report;
    struct model *model;
};

struct guard_config {
    struct slices names;
    bool strict;
};

struct count_config {
    double minute;
    int policy;
    struct {
        struct slice host;
        int64_t port;
    } redis;
};

struct guard_key {
    struct credential credential;
    struct slice key, secret;
};

extern const struct plugin_kind *const config_setup_kinds[];
extern const struct credential_kind guard_keys;

void config_setup_init(struct config_setup *setup);
void config_setup_deinit(struct config_setup *setup);

/* The documents of a text; the file's name decides the grammar. None when it was reported why not. */
struct documents config_setup_read(struct config_setup *setup, const char *file, const char *text);

/* Its one document, or NULL. */
const struct node *config_setup_node(struct config_setup *setup, const char *text);

/* Reads a Kong file into the model. */
bool config_setup_kong(struct config_setup *setup, const char *text);

/* Is there an entry for that path whose reason contains `reason`? `line` 0: anywhere. */
bool config_setup_reported(const struct config_setup *setup, uint32_t line, const char *path,
                           const char *reason);
