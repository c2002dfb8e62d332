/* SPDX-License-Identifier: Apache-2.0 */
/* What a shard remembers of clients' certificates: a chain is verified once in a while, not for each
 * request. */
#include "core/crypto/digest.h"
#include "plugins/mtls_auth.h"

#include <stdlib.h>

enum { PEER_BYTES_MAX = 1 << 20 };

void mtls_peer_release(struct mtls_peer *peer)
{
    if (peer == NULL || --peer->references > 0)
        return;
    arena_deinit(&peer->arena);
    free(peer);
}

/* --- judging -------------------------------------------------------------------------------------------- */

static bool join_names(struct mtls_peer *peer)
{
    const struct slices *names = &peer->names.alternative;
    for (uint32_t i = 0; i < names->count; i++) {
        peer->san = i == 0 ? names->items[0]
                           : arena_format(&peer->arena, "%.*s,%.*s", SLICE_FORMAT(peer->san),
                                          SLICE_FORMAT(names->items[i]));
        if (peer->san.data == NULL)
            return false;
    }
    return true;
}

/* The common name counts for certificates without alternative names only. */
static bool read_names(struct mtls_peer *peer, const struct tls_peer *shown)
{
    if (!tls_peer_read_names(shown, &peer->arena, &peer->names) || !join_names(peer))
        return false;
    peer->identities = peer->names.alternative;
    if (!peer->names.has_alternative && peer->names.common.data)
        peer->identities = (struct slices){ &peer->names.common, 1 };
    return true;
}

static const struct ca_certificate *find_authority(const struct mtls_config *config,
                                                   const struct slices *chain)
{
    char digest[DIGEST_HEX_MAX];
    for (uint32_t i = 1; i < chain->count; i++)
        for (uint32_t j = 0; j < config->ca_certificates.count; j++)
            if (digest_hex(DIGEST_SHA256, chain->items[i], digest) &&
                strcmp(digest, config->authorities[j]->digest) == 0)
                return config->authorities[j];
    return NULL;
}

/* False: out of memory. */
static bool judge(struct mtls_peer *peer, const struct mtls_config *config, const struct tls_peer *shown)
{
    struct tls_verified verified;
    struct tls_chain chain = { .certificates = shown->chain, .count = shown->count, .role = TLS_PEER_CLIENT };
    if (!tls_trust_verify(config->trust, &chain, &peer->arena, &verified))
        return false;
    peer->refusal = verified.refusal;
    if (verified.refusal)
        return true;
    const struct slices *links = &verified.certificates;
    peer->issued.certificate = links->items[0];
    if (links->count > 1)
        peer->issued.issuer = links->items[1];
    peer->authority = find_authority(config, links);
    return read_names(peer, shown) &&
           (config->mode == MTLS_SKIP || tls_revocation_urls(links->items[0], &peer->arena, &peer->urls));
}

static struct mtls_peer *make(struct mtls_shard *state, const struct mtls_config *config,
                              const struct tls_peer *shown)
{
    struct mtls_peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL)
        return NULL;
    peer->references = 1;
    peer->serial = config->serial;
    peer->until_ms = state->shard->now_ms + (uint64_t)(config->cache_ttl_s * 1000);
    peer->status = TLS_REVOCATION_UNKNOWN;
    memcpy(peer->digest, shown->digest, sizeof(peer->digest));
    arena_init(&peer->arena, NULL, 0, PEER_BYTES_MAX);
    if (judge(peer, config, shown))
        return peer;
    mtls_peer_release(peer);
    return NULL;
}

/* --- remembering ---------------------------------------------------------------------------------------- */

static struct mtls_peer **set_of(const struct mtls_shard *state, const unsigned char *digest)
{
    unsigned set = (digest[0] | (unsigned)digest[1] << 8) % MTLS_SETS;
    return state->memory + (size_t)set * MTLS_WAYS;
}

static bool is_same(const struct mtls_peer *peer, uint64_t serial, const unsigned char *digest)
{
    return peer->serial == serial && memcmp(peer->digest, digest, sizeof(peer->digest)) == 0;
}

/* Its place, or that of the one which is the first to be forgotten anyway. */
static struct mtls_peer **place_of(const struct mtls_shard *state, uint64_t serial,
                                   const unsigned char *digest)
{
    struct mtls_peer **set = set_of(state, digest), **oldest = set;
    for (unsigned i = 0; i < MTLS_WAYS; i++) {
        if (set[i] && is_same(set[i], serial, digest))
            return &set[i];
        if (*oldest && (set[i] == NULL || set[i]->until_ms < (*oldest)->until_ms))
            oldest = &set[i];
    }
    return oldest;
}

struct mtls_peer *mtls_memory_get(struct mtls_shard *state, const struct mtls_config *config,
                                  const struct tls_peer *shown)
{
    if (state->memory == NULL)
        state->memory = calloc((size_t)MTLS_SETS * MTLS_WAYS, sizeof(struct mtls_peer *));
    if (state->memory == NULL)
        return make(state, config, shown);
    struct mtls_peer **place = place_of(state, config->serial, shown->digest), *known = *place;
    bool same = known && is_same(known, config->serial, shown->digest);
    if (!same || known->until_ms <= state->shard->now_ms) {
        struct mtls_peer *fresh = make(state, config, shown);
        if (fresh == NULL)
            return NULL;
        if (same) {
            fresh->status = known->status;
            fresh->status_until_ms = known->status_until_ms;
        }
        mtls_peer_release(known);
        *place = known = fresh;
    }
    known->references++;
    return known;
}

void mtls_memory_close(struct mtls_shard *state)
{
    for (size_t i = 0; state->memory && i < (size_t)MTLS_SETS * MTLS_WAYS; i++)
        mtls_peer_release(state->memory[i]);
    free(state->memory);
    state->memory = NULL;
}
