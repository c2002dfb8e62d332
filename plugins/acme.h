/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of acme share: its configuration, the store of the process, and the worker that gets
 * certificates. Private to plugins/acme*.c. */
#pragma once

#include "net/proxy/plugin.h"
#include "plugins/plugins.h"
#include "tls/tls_acme.h"

enum acme_challenge_kind { ACME_HTTP_01, ACME_TLS_ALPN_01 };
extern const char *const acme_challenge_names[]; /* as RFC 8555 and RFC 8737 call them; NULL ends them */

enum acme_storage { ACME_SHM, ACME_FILE, ACME_KONG, ACME_REDIS, ACME_CONSUL, ACME_VAULT };

struct acme_file_config {
    struct slice path;
};

struct acme_shm_config {
    struct slice shm_name;
};

struct acme_storage_config {
    struct acme_file_config file;
    struct acme_shm_config shm;
    struct slice kong, redis, consul, vault; /* refused */
};

struct acme_config {
    struct slice account_email, api_uri, eab_kid, eab_hmac_key, preferred_chain;
    bool tos_accepted, allow_any_domain, enable_ipv4_common_name;
    struct slices domains;
    int cert_type; /* 0: rsa, 1: ecc */
    int challenge; /* enum acme_challenge_kind */
    int64_t rsa_key_size;
    double renew_threshold_days, fail_backoff_minutes;
    int storage; /* enum acme_storage */
    struct acme_storage_config storage_config;
};

/* --- the store: one per process, any thread ------------------------------------------------------------- */

struct acme_pair {
    struct slice chain, key; /* PEM, copies in the caller's arena; absent: there is none */
};

/* Where it lies: a folder, absent for memory only. Control thread, at each load: files that are not known yet
 * are read. */
void acme_store_place(struct slice folder);
void acme_store_load(struct slice domain);

/* Writes what has come since. Control thread. */
void acme_store_save(void);

/* False: out of memory. */
bool acme_store_find(struct slice domain, struct arena *arena, struct acme_pair *pair) MUST_CHECK;
bool acme_store_put(struct slice domain, const struct acme_pair *pair) MUST_CHECK;
int64_t acme_store_not_after_s(struct slice domain); /* 0: there is none */

/* The account's key in PEM; absent: there is none, or no memory. */
struct slice acme_store_account(struct arena *arena);
bool acme_store_set_account(struct slice pem) MUST_CHECK;

/* What is served at /.well-known/acme-challenge/TOKEN; absent (also when memory is exhausted): nothing. */
struct slice acme_store_answer(struct slice token, struct arena *arena);
/* In place of the one before. */
bool acme_store_set_answer(struct slice token, struct slice answer) MUST_CHECK;

/* --- the worker: on one shard of the process ------------------------------------------------------------ */

struct acme_worker;

struct acme_worker *acme_worker_open(struct shard *shard) MUST_CHECK;
void acme_worker_close(struct acme_worker *worker);
