/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/jwt_claims.h"

#include <math.h>

enum claim { ISS, AUD, EXP, NBF, IAT, CLIENT_ID, SCOPE, SCP, CLAIMS };

enum { TEXT_MAX = 1024 };

static bool text_is(const struct json_value *value, struct slice wanted)
{
    char text[TEXT_MAX];
    if (value->kind != JSON_STRING || value->text.size > sizeof(text))
        return false;
    if (!value->escaped)
        return slice_equal(value->text, wanted);
    return slice_equal((struct slice){ text, json_unescape(value->text, text) }, wanted);
}

/* A string, or an array with that string. */
static bool holds(const struct json_value *value, struct slice wanted)
{
    struct json_value element;
    struct slice rest = value->text;
    if (value->kind == JSON_STRING)
        return text_is(value, wanted);
    if (value->kind != JSON_ARRAY)
        return false;
    while (json_array_next(&rest, &element))
        if (text_is(&element, wanted))
            return true;
    return false;
}

/* A string of words between spaces (RFC 6749 section 3.3), or an array of strings. */
static bool holds_word(const struct json_value *value, struct slice wanted)
{
    char text[TEXT_MAX];
    if (value->kind != JSON_STRING)
        return holds(value, wanted);
    if (value->text.size > sizeof(text))
        return false;
    return slice_has_word((struct slice){ text, json_unescape(value->text, text) }, wanted);
}

static bool is_missing(const struct json_value *value)
{
    return value->kind == JSON_ABSENT || value->kind == JSON_NULL;
}

static bool issuer_is_good(const struct json_member *claims, const struct jwt_demands *demands)
{
    const struct json_value *issuer = &claims[ISS].value;
    if (demands->issuer.data == NULL || (is_missing(issuer) && !demands->require_issuer))
        return !demands->require_issuer || !is_missing(issuer);
    return text_is(issuer, demands->issuer);
}

static bool audience_is_good(const struct json_member *claims, const struct jwt_demands *demands)
{
    const struct json_value *audience = &claims[AUD].value;
    if (is_missing(audience) && demands->client_id_is_audience)
        audience = &claims[CLIENT_ID].value;
    if (demands->audience.count == 0 || (is_missing(audience) && !demands->require_audience))
        return !demands->require_audience || !is_missing(audience);
    for (uint32_t i = 0; i < demands->audience.count; i++)
        if (holds(audience, demands->audience.items[i]))
            return true;
    return false;
}

/* -1: before now, 1: after it, 0: no usable time. The leeway is the token's gain in either direction. */
static int compare_time(const struct json_value *value, double now)
{
    double time = value->kind == JSON_NUMBER ? json_number(value->text) : NAN;
    if (!isfinite(time))
        return 0;
    return time > now ? 1 : -1;
}

static enum jwt_claim_flaw check_times(const struct json_member *claims, const struct jwt_demands *demands,
                                       int64_t now_seconds)
{
    const struct json_value *expires = &claims[EXP].value, *begins = &claims[NBF].value;
    const struct json_value *issued = &claims[IAT].value;
    double now = (double)now_seconds;
    if ((demands->require_expires || !is_missing(expires)) &&
        compare_time(expires, now - (double)demands->leeway_expires_s) != 1)
        return JWT_CLAIM_EXPIRED;
    if ((demands->require_not_before || !is_missing(begins)) &&
        compare_time(begins, now + (double)demands->leeway_not_before_s) != -1)
        return JWT_CLAIM_NOT_BEFORE;
    if ((demands->require_issued_at || !is_missing(issued)) &&
        compare_time(issued, now + (double)demands->leeway_issued_at_s) != -1)
        return JWT_CLAIM_ISSUED_AT;
    return JWT_CLAIMS_GOOD;
}

static bool scope_is_good(const struct json_member *claims, const struct jwt_demands *demands)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < demands->scopes.count; i++)
        found += holds_word(&claims[SCOPE].value, demands->scopes.items[i]) ||
                 holds_word(&claims[SCP].value, demands->scopes.items[i]);
    return demands->every_scope ? found == demands->scopes.count : demands->scopes.count == 0 || found > 0;
}

enum jwt_claim_flaw jwt_claims_check(const struct jwt_token *token, const struct jwt_demands *demands,
                                     int64_t now_seconds)
{
    struct json_member claims[CLAIMS] = {
        [ISS] = { .name = SLICE("iss") },     [AUD] = { .name = SLICE("aud") },
        [EXP] = { .name = SLICE("exp") },     [NBF] = { .name = SLICE("nbf") },
        [IAT] = { .name = SLICE("iat") },     [CLIENT_ID] = { .name = SLICE("client_id") },
        [SCOPE] = { .name = SLICE("scope") }, [SCP] = { .name = SLICE("scp") },
    };
    enum json_kind root;
    if (!json_scan(token->payload, claims, CLAIMS, &root) || root != JSON_OBJECT)
        return JWT_CLAIM_OBJECT;
    if (!issuer_is_good(claims, demands))
        return JWT_CLAIM_ISSUER;
    if (!audience_is_good(claims, demands))
        return JWT_CLAIM_AUDIENCE;
    enum jwt_claim_flaw flaw = check_times(claims, demands, now_seconds);
    if (flaw != JWT_CLAIMS_GOOD)
        return flaw;
    return scope_is_good(claims, demands) ? JWT_CLAIMS_GOOD : JWT_CLAIM_SCOPE;
}

struct slice jwt_claims_kid(struct jwt_token *token)
{
    struct json_member kid = { .name = SLICE("kid") };
    enum json_kind root;
    if (!json_scan(token->header, &kid, 1, &root) || kid.value.kind != JSON_STRING)
        return (struct slice){ NULL, 0 };
    if (!kid.value.escaped)
        return kid.value.text;
    char *text = token->memory + (kid.value.text.data - token->memory);
    return (struct slice){ text, json_unescape(kid.value.text, text) };
}
