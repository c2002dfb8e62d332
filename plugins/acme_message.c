/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/acme_message.h"

#include "core/base/json_scan.h"
#include "core/crypto/base64.h"
#include "core/crypto/hmac.h"

static const struct slice nothing = { NULL, 0 };

struct slice acme_message_encode(struct slice bytes, struct arena *arena)
{
    char *text = arena_alloc(arena, base64_encoded_size(BASE64_URL, bytes.size) + 1);
    return (struct slice){ text, text ? base64_encode(BASE64_URL, bytes, text) : 0 };
}

/* {"protected", "payload", "signature"}; the signature over the two parts as they are sent. */
struct parts {
    struct slice head, payload; /* base64url */
};

static bool encode_parts(struct parts *parts, struct slice head, struct slice payload, struct arena *arena)
{
    parts->head = head.data ? acme_message_encode(head, arena) : nothing;
    parts->payload = acme_message_encode(payload, arena);
    return parts->head.data && parts->payload.data;
}

static struct slice join(const struct parts *parts, struct slice signature, struct arena *arena)
{
    if (signature.data == NULL)
        return nothing;
    return arena_format(arena, "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"%.*s\"}",
                        SLICE_FORMAT(parts->head), SLICE_FORMAT(parts->payload), SLICE_FORMAT(signature));
}

/* Nonces, URLs and names of accounts were checked: nothing in them has to be escaped. */
struct slice acme_message_sign(const struct acme_message *message, struct arena *arena)
{
    struct parts parts;
    struct slice jwk = message->account.data ? nothing : tls_acme_key_jwk(message->key, arena),
                 head = nothing;
    if (message->account.data)
        head = arena_format(arena, "{\"alg\":\"ES256\",\"kid\":\"%.*s\",\"nonce\":\"%.*s\",\"url\":\"%.*s\"}",
                            SLICE_FORMAT(message->account), SLICE_FORMAT(message->nonce),
                            SLICE_FORMAT(message->url));
    else if (jwk.data)
        head = arena_format(arena, "{\"alg\":\"ES256\",\"jwk\":%.*s,\"nonce\":\"%.*s\",\"url\":\"%.*s\"}",
                            SLICE_FORMAT(jwk), SLICE_FORMAT(message->nonce), SLICE_FORMAT(message->url));
    if (!encode_parts(&parts, head, message->payload, arena))
        return nothing;
    struct slice text =
        arena_format(arena, "%.*s.%.*s", SLICE_FORMAT(parts.head), SLICE_FORMAT(parts.payload));
    return text.data ? join(&parts, tls_acme_sign(message->key, text, arena), arena) : nothing;
}

struct slice acme_message_bind(struct evp_pkey_st *key, const struct acme_binding *binding,
                               struct arena *arena)
{
    struct parts parts;
    struct hmac_key secret;
    unsigned char mac[HMAC_MAX];
    struct slice jwk = tls_acme_key_jwk(key, arena);
    struct slice head = arena_format(arena, "{\"alg\":\"HS256\",\"kid\":\"%.*s\",\"url\":\"%.*s\"}",
                                     SLICE_FORMAT(binding->kid), SLICE_FORMAT(binding->url));
    if (jwk.data == NULL || !encode_parts(&parts, head, jwk, arena))
        return nothing;
    const struct slice text[] = { parts.head, SLICE("."), parts.payload };
    hmac_key_init(&secret, HMAC_SHA256, binding->secret);
    hmac_sign_parts(&secret, text, COUNT_OF(text), mac);
    explicit_bzero(&secret, sizeof(secret));
    struct slice bytes = { (const char *)mac, hmac_size(HMAC_SHA256) };
    return join(&parts, acme_message_encode(bytes, arena), arena);
}

struct slice acme_message_authorize(struct evp_pkey_st *key, struct slice token, struct arena *arena)
{
    unsigned char digest[DIGEST_MAX];
    struct slice jwk = tls_acme_key_jwk(key, arena);
    if (jwk.data == NULL || !digest_of(DIGEST_SHA256, jwk, digest))
        return nothing;
    struct slice print = acme_message_encode((struct slice){ (const char *)digest, 32 }, arena);
    return print.data ? arena_format(arena, "%.*s.%.*s", SLICE_FORMAT(token), SLICE_FORMAT(print)) : nothing;
}

bool acme_message_challenge(struct slice list, struct slice type, struct acme_challenge *found)
{
    struct json_value element;
    while (json_array_next(&list, &element)) {
        struct json_member members[] = { { .name = SLICE("type") },
                                         { .name = SLICE("url") },
                                         { .name = SLICE("token") } };
        enum json_kind root;
        if (element.kind != JSON_OBJECT || !json_scan(element.text, members, COUNT_OF(members), &root) ||
            !slice_equal(members[0].value.text, type))
            continue;
        *found = (struct acme_challenge){ members[1].value.text, members[2].value.text };
        return members[1].value.kind == JSON_STRING && !members[1].value.escaped &&
               members[2].value.kind == JSON_STRING && !members[2].value.escaped;
    }
    return false;
}
