/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of mtls-auth share: its configuration, what a shard remembers of certificates, and asking
 * whether one has been revoked. Private to plugins/mtls_auth*.c. */
#pragma once

#include "net/fetch/fetch.h"
#include "net/proxy/exchange.h"
#include "tls/tls_peer.h"
#include "tls/tls_revocation.h"
#include "tls/tls_trust.h"

enum mtls_mode { MTLS_IGNORE_CA_ERROR, MTLS_SKIP, MTLS_STRICT };

struct mtls_config {
    struct slices ca_certificates;
    bool skip_consumer_lookup, allow_partial_chain, send_ca_dn, ssl_verify;
    struct slice anonymous, default_consumer;
    uint64_t consumer_by; /* bits: username, custom_id */
    int group_by; /* 0: CN, 1: DN */
    int mode; /* enum mtls_mode */
    double http_timeout_ms, cert_cache_ttl_ms, cache_ttl_s;
    struct slice http_proxy_host, https_proxy_host;
    int64_t http_proxy_port, https_proxy_port;
    struct slices san_dirname_matcher;
    struct slice http_proxy, https_proxy; /* prepared: URLs; absent: none */
    struct node_position position; /* of ca_certificates, for what is found out later */
    const char *path;
    /* Linked: */
    const struct ca_certificate **authorities; /* as ca_certificates */
    struct tls_trust *trust; /* the model's */
    uint64_t serial; /* unique in the process: what is remembered is remembered for it */
};

/* A certificate as one configuration judges it. Counted: the memory and requests that wait hold it. */
struct mtls_peer {
    uint32_t references;
    unsigned char digest[32];
    uint64_t serial, until_ms;
    struct arena arena;
    const char *refusal; /* NULL: the chain is good, and what follows is filled in */
    struct tls_peer_names names;
    struct slices identities; /* what consumers are found by */
    struct slice san; /* the alternative names, ',' between them; absent: none */
    const struct ca_certificate *authority; /* of the configuration: the first in the chain; NULL: none */
    struct tls_issued issued; /* issuer absent: it has none */
    struct tls_revocation_urls urls;
    enum tls_revocation status; /* TLS_REVOCATION_UNKNOWN until asked */
    uint64_t status_until_ms;
};

void mtls_peer_release(struct mtls_peer *peer); /* legal for NULL */

enum { MTLS_WAYS = 4, MTLS_SETS = 256 /* at most 1024 certificates per shard */ };

struct mtls_shard {
    struct shard *shard;
    struct mtls_peer **memory; /* MTLS_SETS * MTLS_WAYS; NULL until the first one */
};

/* Remembered or judged now, with a reference for the caller; NULL: out of memory. */
struct mtls_peer *mtls_memory_get(struct mtls_shard *state, const struct mtls_config *config,
                                  const struct tls_peer *shown) MUST_CHECK;
void mtls_memory_close(struct mtls_shard *state);

/* Asks the responder, then the list, as far as the certificate names them; embedded in whoever waits. */
struct mtls_check {
    struct fetch fetch;
    struct shard *shard;
    const struct mtls_config *config;
    struct mtls_peer *peer;
    struct arena *arena; /* lives until `done` */
    bool lists; /* it is the list's turn */
    struct header headers[2];
    void (*done)(struct mtls_check *check); /* peer->status and its time are set */
};

/* Is there anything to ask now? */
bool mtls_check_is_due(const struct mtls_config *config, const struct mtls_peer *peer, uint64_t now_ms);

/* False: out of memory, and `done` does not come. */
bool mtls_check_start(struct mtls_check *check, struct shard *shard) MUST_CHECK;
