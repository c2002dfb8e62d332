/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_tickets.h"

#include "core/crypto/base64.h"
#include "core/crypto/random.h"
#include "tls/tls_compute.h"

#include <stdlib.h>

enum { NAME_BYTES = 16, KEY_BYTES = 32, SCOPE_MAX = 255 };

struct ticket_key {
    unsigned char name[NAME_BYTES], key[KEY_BYTES];
};

struct tls_tickets {
    uint32_t references; /* atomic: shards and the control thread hold one each */
    uint32_t count;
    struct ticket_key keys[TLS_TICKET_KEYS_MAX];
};

static struct tls_tickets *create(void)
{
    struct tls_tickets *tickets = calloc(1, sizeof(*tickets));
    if (tickets)
        tickets->references = 1;
    return tickets;
}

struct tls_tickets *tls_tickets_rotate(const struct tls_tickets *previous)
{
    struct tls_tickets *tickets = create();
    if (tickets == NULL)
        return NULL;
    random_bytes(&tickets->keys[0], sizeof(tickets->keys[0]));
    tickets->count = 1;
    for (uint32_t i = 0; previous && i < previous->count && tickets->count < TLS_TICKET_KEYS_MAX; i++)
        tickets->keys[tickets->count++] = previous->keys[i];
    return tickets;
}

static bool read_key(struct slice line, struct ticket_key *key)
{
    unsigned char bytes[TLS_TICKET_KEY_BYTES + 3];
    size_t size = 0;
    bool good = line.size == base64_encoded_size(BASE64_STANDARD, TLS_TICKET_KEY_BYTES) &&
                base64_decode(BASE64_STANDARD, line, bytes, &size) && size == TLS_TICKET_KEY_BYTES;
    if (good)
        memcpy(key, bytes, TLS_TICKET_KEY_BYTES);
    explicit_bzero(bytes, sizeof(bytes));
    return good;
}

static const char *read_keys(struct tls_tickets *tickets, struct slice text)
{
    while (text.data != NULL) {
        struct slice line = slice_trim(slice_split(text, '\n', &text));
        if (line.size == 0)
            continue;
        if (tickets->count == TLS_TICKET_KEYS_MAX)
            return "more than 3 keys";
        if (!read_key(line, &tickets->keys[tickets->count++]))
            return "a line must be the base64 of 48 bytes";
    }
    return tickets->count > 0 ? NULL : "no key";
}

struct tls_tickets *tls_tickets_read(struct slice text, const char **reason)
{
    struct tls_tickets *tickets = create();
    *reason = tickets ? read_keys(tickets, text) : "out of memory";
    if (*reason == NULL)
        return tickets;
    if (tickets)
        tls_tickets_release(tickets);
    return NULL;
}

void tls_tickets_take(struct tls_tickets *tickets)
{
    __atomic_fetch_add(&tickets->references, 1, __ATOMIC_RELAXED);
}

void tls_tickets_release(struct tls_tickets *tickets)
{
    if (__atomic_sub_fetch(&tickets->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    explicit_bzero(tickets, sizeof(*tickets));
    free(tickets);
}

/* --- sealing -------------------------------------------------------------------------------------------- */

struct associated {
    unsigned char bytes[NAME_BYTES + SCOPE_MAX];
    size_t size;
};

static bool associate(struct associated *associated, const unsigned char *name, struct slice scope)
{
    if (scope.size > SCOPE_MAX)
        return false;
    memcpy(associated->bytes, name, NAME_BYTES);
    for (size_t i = 0; i < scope.size; i++)
        associated->bytes[NAME_BYTES + i] = (unsigned char)slice_lower(scope.data[i]);
    associated->size = NAME_BYTES + scope.size;
    return true;
}

static struct tls_gcm job_of(const struct ticket_key *key, const struct tls_ticket *ticket,
                             const struct associated *associated)
{
    return (struct tls_gcm){ .key = { (const char *)key->key, KEY_BYTES },
                             .iv = ticket->iv,
                             .associated = { (const char *)associated->bytes, associated->size },
                             .in = { (const char *)ticket->bytes, ticket->size },
                             .out = ticket->bytes,
                             .tag = ticket->tag };
}

bool tls_tickets_seal(const struct tls_tickets *tickets, const struct tls_ticket *ticket)
{
    struct associated associated;
    const struct ticket_key *key = &tickets->keys[0];
    memcpy(ticket->name, key->name, NAME_BYTES);
    random_bytes(ticket->iv, TLS_GCM_IV_BYTES);
    if (!associate(&associated, key->name, ticket->scope))
        return false;
    struct tls_gcm job = job_of(key, ticket, &associated);
    return tls_compute_seal(&job);
}

enum tls_ticket_answer tls_tickets_open(const struct tls_tickets *tickets, const struct tls_ticket *ticket)
{
    struct associated associated;
    for (uint32_t i = 0; i < tickets->count; i++) {
        const struct ticket_key *key = &tickets->keys[i];
        if (memcmp(key->name, ticket->name, NAME_BYTES) != 0)
            continue;
        if (!associate(&associated, key->name, ticket->scope))
            return TLS_TICKET_BAD;
        struct tls_gcm job = job_of(key, ticket, &associated);
        if (tls_compute_open(&job) != TLS_GCM_OK)
            return TLS_TICKET_BAD;
        return i == 0 ? TLS_TICKET_GOOD : TLS_TICKET_OLD;
    }
    return TLS_TICKET_BAD;
}
