/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration says about TLS, made ready: one profile for all listeners, and one for each way in
 * which services connect to their upstreams. Part of a snapshot: built and freed with it by the control
 * thread, read by all shards; handshakes in progress keep their own references. */
#pragma once

#include "config/model.h"
#include "core/crypto/digest.h"
#include "tls/tls_client.h"
#include "tls/tls_server.h"

/* From the settings; lives during the build. */
struct tls_profile_options {
    struct tls_key
        *defaults[TLS_SITE_KEYS]; /* for names that nothing else is for; the first NULL ends them */
    struct tls_suite_choice suites;
    enum tls_client_policy policy; /* of listeners */
    struct tls_trust *clients; /* whose certificates these believe; NULL with TLS_CLIENT_NONE */
    uint32_t ticket_lifetime_s; /* 0: no resumption */
    bool staples; /* see tls_staple.h */
    struct slices staple_files; /* OCSP responses that need not be fetched */
    /* There are listeners that speak TLS: with HTTP/1 alone, with both, with streams. */
    bool listens, listens_http2, listens_streams;
    bool verifies; /* services that do not say */
    struct tls_trust *trusted; /* by services that name no authorities */
    int trusted_depth; /* of services that do not say */
    char trusted_digest[DIGEST_HEX_MAX]; /* of the text behind it */
    struct tls_key *shown; /* by services and upstreams that name none; NULL: none */
    char shown_digest[DIGEST_HEX_MAX];
    uint32_t set_count; /* of contexts, one per shard */
};

/* Connections with the same id, server name and checked name are interchangeable, whatever snapshot they
 * come from. */
struct tls_upstream {
    struct tls_client *client;
    unsigned char id[32]; /* SHA-256 of all that it follows */
};

struct tls_profiles {
    struct tls_server *server, *server_http2; /* by what is offered; NULL: nobody listens so */
    struct tls_server *server_streams; /* what a client of a stream asks for is its own affair */
    struct map upstreams; /* by id -> struct tls_upstream */
};

struct tls_profile_source {
    struct arena *arena; /* of the snapshot; with it goes what is built */
    const struct model *model;
    const struct tls_profile_options *options;
    struct report *report;
};

/* False: reported with its place, or no memory. */
bool tls_profiles_build(struct tls_profiles *profiles, const struct tls_profile_source *source) MUST_CHECK;

/* For upstreams whose https probes show a certificate: what they connect by, in the model's arena.
 * `verifies`: the profile of what the gateway itself asks for, whose trust they share. Before the monitor has
 * the model. False as above. */
struct tls_probe_source {
    struct model *model;
    const struct tls_client *verifies;
    uint32_t set_count;
    struct report *report;
};
bool tls_profiles_equip_probes(const struct tls_probe_source *source) MUST_CHECK;

/* What the service connects by; NULL: reported, or no memory. */
const struct tls_upstream *tls_profiles_upstream(struct tls_profiles *profiles,
                                                 const struct tls_profile_source *source,
                                                 const struct service *service) MUST_CHECK;
