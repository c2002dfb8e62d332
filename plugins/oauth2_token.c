/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"
#include "core/crypto/base64.h"
#include "core/crypto/random.h"
#include "core/io/shard.h"
#include "plugins/oauth2.h"

#include <pthread.h>
#include <stdlib.h>

enum { ID_SIZE = 22 /* letters and digits: 131 bits */ };

static const struct slice absent = { NULL, 0 };

/* --- sealed texts --------------------------------------------------------------------------------------- */

static bool is_line(struct slice text)
{
    return text.size == 0 || memchr(text.data, '\n', text.size) == NULL;
}

struct slice oauth2_token_write(const struct oauth2_config *config, struct exchange *exchange,
                                const struct oauth2_token *token)
{
    struct arena *arena = exchange_arena(exchange);
    char id[ID_SIZE + 1];
    random_alphanumeric(id, ID_SIZE);
    if (!is_line(token->userid) || !is_line(token->scope) || !is_line(token->client_id))
        return absent;
    struct slice text = arena_format(
        arena, "%c\n%lld\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s", (char)token->kind,
        (long long)token->expires_s, SLICE_FORMAT(token->service), SLICE_FORMAT(token->client_id),
        SLICE_FORMAT(token->credential), SLICE_FORMAT(token->scope), SLICE_FORMAT(token->userid),
        SLICE_FORMAT(token->code_challenge), SLICE_FORMAT(token->id.size ? token->id : slice_of(id)));
    size_t size = text.size + SEAL_OVERHEAD_BYTES;
    unsigned char *sealed = text.data ? arena_alloc(arena, size) : NULL;
    char *encoded = sealed ? arena_alloc(arena, base64_encoded_size(BASE64_URL, size)) : NULL;
    if (encoded == NULL || !seal_close(&config->key, text, SLICE("oauth2"), sealed))
        return absent;
    struct slice whole = { encoded,
                           base64_encode(BASE64_URL, (struct slice){ (char *)sealed, size }, encoded) };
    return whole.size <= OAUTH2_TOKEN_TEXT_MAX ? whole : absent;
}

/* The text was written by us. */
static struct oauth2_token parse(struct slice text)
{
    struct oauth2_token token;
    uint64_t expires_s = 0;
    struct slice kind = slice_split(text, '\n', &text);
    token.kind = (enum oauth2_token_kind)(kind.size == 1 ? kind.data[0] : 0);
    if (!slice_to_u64(slice_split(text, '\n', &text), &expires_s))
        expires_s = 1;
    token.expires_s = (int64_t)expires_s;
    token.service = slice_split(text, '\n', &text);
    token.client_id = slice_split(text, '\n', &text);
    token.credential = slice_split(text, '\n', &text);
    token.scope = slice_split(text, '\n', &text);
    token.userid = slice_split(text, '\n', &text);
    token.code_challenge = slice_split(text, '\n', &text);
    token.id = text;
    return token;
}

enum oauth2_reading oauth2_token_read(const struct oauth2_config *config, struct exchange *exchange,
                                      struct slice text, enum oauth2_token_kind kind,
                                      struct oauth2_token *token)
{
    struct arena *arena = exchange_arena(exchange);
    size_t size = 0;
    if (text.size > OAUTH2_TOKEN_TEXT_MAX)
        return OAUTH2_TOKEN_BAD;
    unsigned char *sealed = arena_alloc(arena, base64_decoded_bound(text.size) + 1);
    if (sealed == NULL)
        return OAUTH2_TOKEN_FAILED;
    if (!base64_decode(BASE64_URL, text, sealed, &size) || size <= SEAL_OVERHEAD_BYTES)
        return OAUTH2_TOKEN_BAD;
    unsigned char *plain = arena_alloc(arena, size);
    if (plain == NULL)
        return OAUTH2_TOKEN_FAILED;
    if (!seal_open(&config->key, (struct slice){ (char *)sealed, size }, SLICE("oauth2"), plain))
        return OAUTH2_TOKEN_BAD;
    *token = parse((struct slice){ (char *)plain, size - SEAL_OVERHEAD_BYTES });
    int64_t now_s = (int64_t)(exchange_shard(exchange)->wall_ms / 1000);
    bool over = token->expires_s != 0 && now_s >= token->expires_s;
    return token->kind == kind && !over ? OAUTH2_TOKEN_GOOD : OAUTH2_TOKEN_BAD;
}

const struct oauth2_credential *oauth2_token_owner(const struct exchange *exchange,
                                                   const struct oauth2_token *token)
{
    const struct credential *credential =
        model_credential(exchange_model(exchange), &oauth2_credential_kind, token->client_id);
    if (credential == NULL || !slice_equal(slice_of(credential->entity.id), token->credential))
        return NULL;
    return (const struct oauth2_credential *)credential;
}

/* --- what was used -------------------------------------------------------------------------------------- */

enum { SPENT_WAYS = 8 };

struct spent_id {
    uint64_t hash; /* under the process's secret key; 0: empty */
    uint64_t more; /* of the id as it is: another 64 bits */
    int64_t until_s;
};

struct oauth2_spent {
    pthread_mutex_t lock;
    struct spent_id ids[OAUTH2_SPENT_MAX];
};

struct oauth2_spent *oauth2_spent_open(void)
{
    struct oauth2_spent *spent = calloc(1, sizeof(*spent));
    if (spent)
        pthread_mutex_init(&spent->lock, NULL);
    return spent;
}

void oauth2_spent_close(struct oauth2_spent *spent)
{
    if (spent)
        pthread_mutex_destroy(&spent->lock);
    free(spent);
}

bool oauth2_spend(struct oauth2_spent *spent, const struct oauth2_token *token)
{
    struct spent_id id = { .hash = hash_of(token->id) | 1, .until_s = token->expires_s };
    memcpy(&id.more, token->id.data, token->id.size < sizeof(id.more) ? token->id.size : sizeof(id.more));
    if (id.until_s == 0)
        id.until_s = INT64_MAX;
    struct spent_id *ways = &spent->ids[id.hash / 2 % (OAUTH2_SPENT_MAX / SPENT_WAYS) * SPENT_WAYS];
    struct spent_id *first_over = ways;
    bool fresh = true;
    pthread_mutex_lock(&spent->lock);
    for (unsigned i = 0; i < SPENT_WAYS; i++) {
        fresh = fresh && (ways[i].hash != id.hash || ways[i].more != id.more);
        if (ways[i].until_s < first_over->until_s)
            first_over = &ways[i];
    }
    if (fresh)
        *first_over = id;
    pthread_mutex_unlock(&spent->lock);
    return fresh;
}
