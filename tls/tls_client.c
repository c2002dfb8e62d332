/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_client.h"

#include <stdio.h>
#include <stdlib.h>

struct tls_client {
    uint32_t references; /* atomic: the configuration and every handshake hold one */
    uint32_t set_count;
    struct tls_trust *trust;
    struct tls_key *key;
    bool any_name;
    char *protocols;
    struct WOLFSSL_CTX *sets[];
};

static bool join_protocols(struct tls_client *client, struct slices protocols)
{
    size_t size = 1;
    if (protocols.count == 0)
        return true;
    for (uint32_t i = 0; i < protocols.count; i++)
        size += protocols.items[i].size + 1;
    char *next = client->protocols = calloc(1, size);
    for (uint32_t i = 0; next && i < protocols.count; i++) {
        if (i > 0)
            *next++ = ',';
        memcpy(next, protocols.items[i].data, protocols.items[i].size);
        next += protocols.items[i].size;
    }
    return next != NULL;
}

static bool fill(struct tls_client *client, const struct tls_client_options *options, char *reason)
{
    struct tls_context_options context = { .side = TLS_SIDE_CLIENT,
                                           .suites = options->suites,
                                           .key = options->key };
    client->any_name = options->any_name;
    client->trust = options->trust;
    if (client->trust)
        tls_trust_take(client->trust);
    client->key = options->key;
    if (client->key)
        tls_key_take(client->key);
    if (!join_protocols(client, options->protocols))
        return false;
    for (uint32_t i = 0; i < options->set_count; i++) {
        client->sets[i] = tls_context_make(&context, reason);
        if (client->sets[i] == NULL)
            return false;
        client->set_count++;
    }
    return true;
}

struct tls_client *tls_client_make(const struct tls_client_options *options, char *reason)
{
    CHECK(options->set_count > 0 && options->set_count <= UINT16_MAX);
    struct tls_client *client =
        calloc(1, sizeof(*client) + options->set_count * sizeof(struct WOLFSSL_CTX *));
    snprintf(reason, TLS_REASON_SIZE, "out of memory");
    if (client == NULL)
        return NULL;
    client->references = 1;
    if (fill(client, options, reason))
        return client;
    tls_client_release(client);
    return NULL;
}

void tls_client_take(struct tls_client *client)
{
    __atomic_fetch_add(&client->references, 1, __ATOMIC_RELAXED);
}

void tls_client_release(struct tls_client *client)
{
    if (client == NULL || __atomic_sub_fetch(&client->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (uint32_t i = 0; i < client->set_count; i++)
        tls_context_free(client->sets[i]);
    tls_trust_release(client->trust);
    tls_key_release(client->key);
    free(client->protocols);
    free(client);
}

struct WOLFSSL_CTX *tls_client_context(const struct tls_client *client, uint32_t set)
{
    CHECK(set < client->set_count);
    return client->sets[set];
}

struct tls_key *tls_client_key(const struct tls_client *client)
{
    return client->key;
}

const struct tls_trust *tls_client_trust(const struct tls_client *client)
{
    return client->trust;
}

bool tls_client_checks_name(const struct tls_client *client)
{
    return client->trust != NULL && !client->any_name;
}

const char *tls_client_protocols(const struct tls_client *client)
{
    return client->protocols;
}
