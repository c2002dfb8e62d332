/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/jwt_token.h"

#include "core/crypto/base64.h"

#include <math.h>

const char *const jwt_algorithm_names[] = { "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256",
                                            "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA", NULL };

_Static_assert(COUNT_OF(jwt_algorithm_names) == JWT_EDDSA + 2, "a name per algorithm");

static bool read_algorithm(const struct json_value *value, enum jwt_algorithm *out)
{
    if (value->kind != JSON_STRING)
        return false;
    for (unsigned i = 0; jwt_algorithm_names[i]; i++)
        if (slice_equal(value->text, slice_of(jwt_algorithm_names[i]))) {
            *out = (enum jwt_algorithm)i;
            return true;
        }
    return false;
}

/* Decodes to `to`, which is moved behind what was written. Padding should not be there (RFC 7515 section 2)
 * but Kong takes it, up to two characters whether they fit or not. */
static bool decode_part(struct slice part, char **to, struct slice *out)
{
    for (int padding = 0; padding < 2 && part.size > 0 && part.data[part.size - 1] == '='; padding++)
        part.size--;
    out->data = *to;
    if (!base64_decode(BASE64_URL, part, *to, &out->size))
        return false;
    *to += out->size;
    return true;
}

/* JSON's escapes may spell the name of a credential; its memory is ours, so it is rewritten there. */
static void unescape(struct json_value *value, const struct jwt_token *token)
{
    if (value->kind != JSON_STRING || !value->escaped)
        return;
    char *text = (char *)token->memory + (value->text.data - token->memory);
    value->text.size = json_unescape(value->text, text);
    value->escaped = false;
}

enum header_member { HEADER_ALG, HEADER_CRIT, HEADER_B64, HEADER_KEY, HEADER_MEMBERS };
enum payload_member { PAYLOAD_EXP, PAYLOAD_NBF, PAYLOAD_KEY, PAYLOAD_MEMBERS };

/* A payload that is no object has no claims; `false` stands for a claim that is not there, as in Kong. */
static void choose_key(struct jwt_token *out, enum json_kind payload_kind, const struct json_value *payload,
                       const struct json_value *header)
{
    bool in_payload = payload->kind != JSON_ABSENT && payload->kind != JSON_FALSE;
    out->key = in_payload ? *payload : *header;
    if (payload_kind != JSON_OBJECT || out->key.kind == JSON_FALSE)
        out->key = (struct json_value){ .kind = JSON_ABSENT };
    unescape(&out->key, out);
}

static enum jwt_flaw judge_header(const struct json_member *header, struct jwt_token *out)
{
    if (!read_algorithm(&header[HEADER_ALG].value, &out->algorithm))
        return JWT_BAD_ALGORITHM;
    /* RFC 7797: with "b64": false something else than what is sent would be signed. */
    enum json_kind b64 = header[HEADER_B64].value.kind;
    if (header[HEADER_CRIT].value.kind != JSON_ABSENT || (b64 != JSON_ABSENT && b64 != JSON_TRUE))
        return JWT_UNKNOWN_EXTENSION;
    return JWT_GOOD;
}

enum jwt_flaw jwt_token_read(struct slice text, struct slice key_claim, struct jwt_token *out)
{
    struct json_member header[HEADER_MEMBERS] = {
        [HEADER_ALG] = { .name = SLICE("alg") },
        [HEADER_CRIT] = { .name = SLICE("crit") },
        [HEADER_B64] = { .name = SLICE("b64") },
        [HEADER_KEY] = { .name = key_claim },
    };
    struct json_member payload[PAYLOAD_MEMBERS] = {
        [PAYLOAD_EXP] = { .name = SLICE("exp") },
        [PAYLOAD_NBF] = { .name = SLICE("nbf") },
        [PAYLOAD_KEY] = { .name = key_claim },
    };
    if (text.size > JWT_TOKEN_MAX)
        return JWT_TOO_LARGE;
    struct slice after_header, third, header_json, payload_json;
    struct slice first = slice_split(text, '.', &after_header);
    struct slice second = slice_split(after_header, '.', &third);
    enum json_kind header_kind, payload_kind;
    char *to = out->memory;
    if (third.data == NULL || !decode_part(first, &to, &header_json) ||
        !json_scan(header_json, header, HEADER_MEMBERS, &header_kind) ||
        !decode_part(second, &to, &payload_json) ||
        !json_scan(payload_json, payload, PAYLOAD_MEMBERS, &payload_kind))
        return JWT_BAD_JSON;
    enum jwt_flaw flaw = judge_header(header, out);
    if (flaw != JWT_GOOD)
        return flaw;
    /* A further dot is in `third`, and no character of base64url. */
    if (!decode_part(third, &to, &out->signature))
        return JWT_BAD_SIGNATURE_ENCODING;
    out->signed_text = (struct slice){ text.data, (size_t)(third.data - 1 - text.data) };
    out->header = header_json;
    out->payload = payload_json;
    out->expires = payload[PAYLOAD_EXP].value;
    out->not_before = payload[PAYLOAD_NBF].value;
    out->key = (struct json_value){ .kind = JSON_ABSENT };
    if (key_claim.data)
        choose_key(out, payload_kind, &payload[PAYLOAD_KEY].value, &header[HEADER_KEY].value);
    return JWT_GOOD;
}

static bool read_time(const struct json_value *value, double *seconds)
{
    if (value->kind != JSON_NUMBER)
        return false;
    *seconds = json_number(value->text);
    return isfinite(*seconds);
}

enum jwt_time jwt_token_expires(const struct jwt_token *token, int64_t now_seconds)
{
    double expires;
    if (!read_time(&token->expires, &expires))
        return JWT_TIME_NO_NUMBER;
    return expires > (double)now_seconds ? JWT_TIME_FINE : JWT_TIME_REFUSED;
}

enum jwt_time jwt_token_not_before(const struct jwt_token *token, int64_t now_seconds)
{
    double not_before;
    if (!read_time(&token->not_before, &not_before))
        return JWT_TIME_NO_NUMBER;
    return not_before <= (double)now_seconds ? JWT_TIME_FINE : JWT_TIME_REFUSED;
}

bool jwt_token_lives_at_most(const struct jwt_token *token, int64_t now_seconds, double seconds)
{
    double expires;
    return read_time(&token->expires, &expires) && expires - (double)now_seconds <= seconds;
}
