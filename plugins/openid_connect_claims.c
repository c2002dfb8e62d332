/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/query.h"
#include "plugins/jwt_proof.h"
#include "plugins/openid_connect.h"

#include "net/http/cookie.h"
#include "net/proxy/exchange_edit.h"

static const struct slice absent = { NULL, 0 };

/* --- tokens --------------------------------------------------------------------------------------------- */

static enum oidc_check flawed(struct oidc *oidc, struct slice flaw)
{
    oidc->flaw = flaw;
    return OIDC_BAD;
}

static struct slice flaw_text(enum jwt_claim_flaw flaw)
{
    switch (flaw) {
    case JWT_CLAIMS_GOOD: break;
    case JWT_CLAIM_OBJECT: return SLICE("the token's payload is no object");
    case JWT_CLAIM_ISSUER: return SLICE("the token is of another issuer");
    case JWT_CLAIM_AUDIENCE: return SLICE("the token is for another audience");
    case JWT_CLAIM_EXPIRED: return SLICE("the token has expired");
    case JWT_CLAIM_NOT_BEFORE: return SLICE("the token is not valid yet");
    case JWT_CLAIM_ISSUED_AT: return SLICE("the token was issued in the future");
    case JWT_CLAIM_SCOPE: return SLICE("the token lacks a scope");
    }
    return absent;
}

static enum oidc_check prove(struct oidc *oidc, struct jwt_token *token,
                             const struct jwks_description **description)
{
    const struct jwk_set *set;
    enum signature_algorithm signature;
    if (!jwt_proof_accepts(oidc->config->algorithms, token->algorithm, &signature))
        return flawed(oidc, SLICE("the token's algorithm is not accepted"));
    struct slice kid = jwt_claims_kid(token);
    enum jwks_answer keys = oidc_ask_keys(oidc, oidc->next, &set, description);
    if (keys != JWKS_READY)
        return keys == JWKS_WAIT ? OIDC_WAIT : OIDC_DOWN;
    enum jwt_proof proof = jwt_prove(set, token, kid, signature);
    if (proof == JWT_KEY_UNKNOWN && !oidc->asked_again) { /* keys may have been changed for new ones */
        struct jwks *jwks =
            jwks_pool_find(&oidc->shard->providers, oidc->shard->shard, &oidc->config->source);
        oidc->asked_again = true;
        if (jwks && jwks_ask_again(jwks, &oidc->waiter) == JWKS_WAIT)
            return OIDC_WAIT;
    }
    if (proof == JWT_PROVEN)
        return OIDC_GOOD;
    return flawed(oidc, proof == JWT_KEY_UNKNOWN ? SLICE("the provider has no such key")
                                                 : SLICE("the token's signature is wrong"));
}

/* iss is the provider, or one of the others allowed. */
static bool issuer_is_good(const struct oidc *oidc, const struct jwt_token *token,
                           const struct jwt_demands *demands)
{
    struct jwt_demands others = *demands;
    const struct slices *allowed = &oidc->config->issuers_allowed;
    for (uint32_t i = 0; i < allowed->count; i++) {
        others.issuer = allowed->items[i];
        if (jwt_claims_check(token, &others, oidc_now_s(oidc)) == JWT_CLAIMS_GOOD)
            return true;
    }
    return false;
}

enum oidc_check oidc_check_token(struct oidc *oidc, struct slice text, const struct jwt_demands *demands,
                                 struct slice *payload)
{
    struct jwt_token token; /* not cleared: jwt_token_read fills what is used */
    if (jwt_token_read(text, absent, &token) != JWT_GOOD)
        return flawed(oidc, SLICE("the token is no JWT"));
    const struct jwks_description *description;
    enum oidc_check check = prove(oidc, &token, &description);
    if (check != OIDC_GOOD)
        return check;
    struct jwt_demands of_provider = *demands;
    of_provider.issuer = description->issuer;
    enum jwt_claim_flaw flaw = jwt_claims_check(&token, &of_provider, oidc_now_s(oidc));
    if (flaw != JWT_CLAIMS_GOOD && (flaw != JWT_CLAIM_ISSUER || !issuer_is_good(oidc, &token, demands)))
        return flawed(oidc, flaw_text(flaw));
    *payload = arena_copy(exchange_arena(oidc->exchange), token.payload);
    return payload->data ? OIDC_GOOD : OIDC_DOWN;
}

struct slice oidc_payload(struct oidc *oidc, struct slice text)
{
    struct jwt_token token;
    if (text.data == NULL || jwt_token_read(text, absent, &token) != JWT_GOOD)
        return absent;
    return arena_copy(exchange_arena(oidc->exchange), token.payload);
}

/* --- claims --------------------------------------------------------------------------------------------- */

/* Down through objects, a name at each. */
static struct json_value find_claim(struct slice payload, const struct slices *path)
{
    struct json_value value = { .kind = JSON_OBJECT, .text = payload };
    for (uint32_t i = 0; i < path->count; i++) {
        struct json_member member = { .name = path->items[i] };
        enum json_kind root;
        if (value.kind != JSON_OBJECT || !json_scan(value.text, &member, 1, &root))
            return (struct json_value){ .kind = JSON_ABSENT };
        value = member.value;
    }
    return path->count ? value : (struct json_value){ .kind = JSON_ABSENT };
}

/* As a header tells it: strings as they are, everything else as JSON. Absent: there is none. */
static struct slice text_of(struct oidc *oidc, const struct json_value *value)
{
    if (value->kind == JSON_ABSENT || value->kind == JSON_NULL)
        return absent;
    if (value->kind != JSON_STRING || !value->escaped)
        return value->text;
    char *out = arena_alloc(exchange_arena(oidc->exchange), value->text.size + 1);
    return out ? (struct slice){ out, json_unescape(value->text, out) } : absent;
}

struct slice oidc_claim(struct oidc *oidc, struct slice payload, struct slice name)
{
    struct slices path = { &name, 1 };
    struct json_value value = find_claim(payload, &path);
    return text_of(oidc, &value);
}

/* A string of words, or an array of strings. */
static bool holds(struct oidc *oidc, const struct json_value *value, struct slice word)
{
    if (value->kind == JSON_STRING)
        return slice_has_word(text_of(oidc, value), word);
    struct slice rest = value->text;
    struct json_value element;
    while (value->kind == JSON_ARRAY && json_array_next(&rest, &element))
        if (element.kind == JSON_STRING && slice_equal(text_of(oidc, &element), word))
            return true;
    return false;
}

static bool is_met(struct oidc *oidc, struct slice payload, const struct oidc_demand *demand)
{
    struct json_value value = find_claim(payload, &demand->claim);
    for (uint32_t i = 0; i < demand->wanted.count; i++) {
        struct slice words = demand->wanted.items[i];
        bool all = true;
        while (all && words.data) {
            struct slice word = slice_split(words, ' ', &words);
            all = word.size == 0 || holds(oidc, &value, word);
        }
        if (all)
            return true;
    }
    return demand->wanted.count == 0;
}

/* --- letting in ----------------------------------------------------------------------------------------- */

static enum verdict forbid(struct oidc *oidc, struct slice reason)
{
    const struct oidc_config *config = oidc->config;
    if (config->anonymous.data)
        return authentication_pass_anonymous(oidc->exchange, config->anonymous);
    if (!exchange_set_response_header(oidc->exchange, SLICE("WWW-Authenticate"), config->forbidden_challenge))
        return exchange_respond_failure(oidc->exchange);
    enum verdict verdict = exchange_respond_error(oidc->exchange, 403, config->forbidden_message);
    exchange_explain(oidc->exchange, reason);
    return verdict;
}

static const struct consumer *find_consumer(struct oidc *oidc, struct slice name)
{
    const struct model *model = exchange_model(oidc->exchange);
    uint64_t by = oidc->config->consumer_by;
    const struct consumer *found = name.data ? model_consumer(model, name) : NULL;
    if (found) {
        bool its_id = slice_equal_nocase(slice_of(found->entity.id), name);
        if (by & (its_id ? OIDC_BY_ID : OIDC_BY_USERNAME))
            return found;
    }
    return name.data && (by & OIDC_BY_CUSTOM_ID) ? model_consumer_of_custom_id(model, name) : NULL;
}

/* "name:bearer" or "name". */
static bool tell_token(struct oidc *oidc, struct slice header, struct slice token)
{
    struct slice scheme, name = slice_split(header, ':', &scheme);
    if (name.size == 0 || token.data == NULL || !action_is_field_value(token))
        return true;
    if (scheme.data)
        token = arena_format(exchange_arena(oidc->exchange), "Bearer %.*s", SLICE_FORMAT(token));
    return token.data && exchange_set_upstream_header(oidc->exchange, name, token);
}

/* A claim may say anything: what may not stand in a field is not told. */
static bool tell_claims(struct oidc *oidc, struct slice payload, bool upstream)
{
    const struct oidc_config *config = oidc->config;
    const struct slices *claims = upstream ? &config->upstream_claims : &config->downstream_claims;
    const struct slices *names = upstream ? &config->upstream_names : &config->downstream_names;
    bool enough = true;
    for (uint32_t i = 0; enough && i < claims->count; i++) {
        struct slice value = oidc_claim(oidc, payload, claims->items[i]);
        bool usable = value.data && action_is_field_value(value);
        if (upstream && !usable)
            exchange_remove_upstream_header(oidc->exchange, names->items[i]);
        else if (usable)
            enough = upstream ? exchange_set_upstream_header(oidc->exchange, names->items[i], value)
                              : exchange_set_response_header(oidc->exchange, names->items[i], value);
    }
    return enough;
}

/* Fields that upstreams believe come from here only, whoever is let in, and be it anonymously. What shows who
 * somebody is (a token, a session) is still to be read: oidc_accept replaces that. */
static void forget(struct oidc *oidc, struct slice name)
{
    if (name.size > 0 && !slice_equal_nocase(name, SLICE("authorization")) &&
        !slice_equal_nocase(name, SLICE("cookie")))
        exchange_remove_upstream_header(oidc->exchange, name);
}

void oidc_forget_forged(struct oidc *oidc)
{
    const struct oidc_config *config = oidc->config;
    struct slice ignored;
    forget(oidc, slice_split(config->access_token_header, ':', &ignored));
    forget(oidc, slice_split(config->id_token_header, ':', &ignored));
    for (uint32_t i = 0; i < config->upstream_names.count; i++)
        forget(oidc, config->upstream_names.items[i]);
}

static bool is_token_cookie(const void *context, struct slice name)
{
    const struct oidc_config *config = context;
    return slice_equal(name, config->token_cookie);
}

static bool hide_token_cookie(struct oidc *oidc)
{
    struct exchange *exchange = oidc->exchange;
    struct cookie_choice choice = { is_token_cookie, oidc->config };
    struct slice left;
    if (!(oidc->config->token_places & OIDC_TOKEN_COOKIE))
        return true;
    if (!cookie_others(exchange_arena(exchange), exchange_request(exchange), &choice, &left))
        return false;
    if (left.size > 0)
        return exchange_set_upstream_header(exchange, SLICE("Cookie"), left);
    if (left.data)
        exchange_remove_upstream_header(exchange, SLICE("Cookie"));
    return true;
}

static bool hide(struct oidc *oidc)
{
    const struct oidc_config *config = oidc->config;
    struct exchange *exchange = oidc->exchange;
    if (!cookie_session_hide(&config->session, exchange) || !cookie_session_hide(&config->login, exchange))
        return false;
    if (!config->hide_credentials)
        return true;
    exchange_remove_upstream_header(exchange, SLICE("Authorization"));
    if (!hide_token_cookie(oidc))
        return false;
    struct slice query = exchange_query(exchange);
    if (query.data == NULL || !(config->token_places & OIDC_TOKEN_QUERY))
        return true;
    struct slice left = query_without(exchange_arena(exchange), query, SLICE("access_token"));
    if (left.data)
        exchange_set_upstream_query(exchange, left);
    return left.data != NULL;
}

/* Stands for who has shown a token; lives as long as the exchange. */
static struct credential *credential_for(struct oidc *oidc, const struct consumer *consumer)
{
    static const struct credential_kind kind = { .name = "openid_connect_tokens" };
    struct credential *credential =
        arena_alloc_zero(exchange_arena(oidc->exchange), sizeof(struct credential));
    if (credential) {
        credential->kind = &kind;
        credential->consumer = (struct consumer *)(uintptr_t)consumer;
        if (consumer)
            memcpy(credential->entity.id, consumer->entity.id, sizeof(credential->entity.id));
    }
    return credential;
}

enum verdict oidc_accept(struct oidc *oidc, struct slice payload)
{
    const struct oidc_config *config = oidc->config;
    if (!is_met(oidc, payload, &config->scopes_demand))
        return forbid(oidc, SLICE("a required scope is missing"));
    if (!is_met(oidc, payload, &config->audience_demand))
        return forbid(oidc, SLICE("a required audience is missing"));
    if (!is_met(oidc, payload, &config->groups_demand))
        return forbid(oidc, SLICE("a required group is missing"));
    if (!is_met(oidc, payload, &config->roles_demand))
        return forbid(oidc, SLICE("a required role is missing"));
    const struct consumer *consumer = NULL;
    if (config->consumer_claim.count > 0) {
        struct json_value value = find_claim(payload, &config->consumer_claim);
        consumer = find_consumer(oidc, text_of(oidc, &value));
        if (consumer == NULL && !config->consumer_optional)
            return forbid(oidc, SLICE("no such consumer"));
    }
    struct json_value subject = find_claim(payload, &config->credential_claim);
    struct slice identifier = text_of(oidc, &subject);
    if (identifier.data && !action_is_field_value(identifier))
        identifier = absent;
    struct credential *credential = credential_for(oidc, consumer);
    bool done = credential && exchange_authenticate(oidc->exchange, consumer, credential, identifier) &&
                hide(oidc) && tell_token(oidc, config->access_token_header, oidc->tokens.access) &&
                tell_token(oidc, config->id_token_header, oidc->tokens.id) &&
                tell_claims(oidc, payload, true) && tell_claims(oidc, payload, false);
    return done ? VERDICT_CONTINUE : exchange_respond_failure(oidc->exchange);
}
