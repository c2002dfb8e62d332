/* SPDX-License-Identifier: Apache-2.0 */
/* Entities kept in an SQLite file: one document each, by kind and id. Used by one thread at a time: the
 * control thread, which also commits what the admin thread has asked for. */
#pragma once

#include "config/catalog.h"

struct store;

/* Creates the file when it is missing. NULL: *reason (static, or of the store's last error) says why. */
struct store *store_open(const char *path, const char **reason);
void store_close(struct store *store);

/* While it is opened it waits for others' locks as long as a start may take; from now on so long. */
void store_be_patient(struct store *store, int64_t wait_ms);

/* Takes the rows of a catalog (NULL: none) if it is empty. False: it failed. */
bool store_seed(struct store *store, const struct catalog *catalog) MUST_CHECK;

/* All entities as one Kong configuration with secrets as they are stored; malloc'ed. NULL: it failed. */
char *store_text(struct store *store);

struct store_id {
    const char *kind;
    char id[37];
};

/* What one request changes. Rows that are put are taken from the catalog. */
struct store_change {
    const struct store_id *puts, *removals;
    uint32_t put_count, removal_count;
};

/* In one transaction; false: nothing has changed. */
bool store_apply(struct store *store, const struct store_change *change, const struct catalog *catalog);

/* Why the last change failed; for who waited for it. */
const char *store_reason(const struct store *store);

/* It failed because another process has locked the file: to be tried again. */
bool store_is_locked(const struct store *store);
