/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/query.h"
#include "core/crypto/base64.h"
#include "core/crypto/digest.h"
#include "core/crypto/random.h"
#include "plugins/openid_connect.h"

#include "net/proxy/exchange_edit.h"

#include <openssl/crypto.h>

enum { SECRET_SIZE = 43, FIELDS_MAX = 4, FIELD_HEAD_BYTES = 4 };

static const struct slice absent = { NULL, 0 };

/* --- what cookies hold: texts, each behind its size ----------------------------------------------------- */

struct slice oidc_pack(struct oidc *oidc, const struct slice *texts, unsigned count)
{
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += FIELD_HEAD_BYTES + texts[i].size;
    char *out = arena_alloc(exchange_arena(oidc->exchange), size), *at = out;
    for (unsigned i = 0; out && i < count; i++) {
        uint32_t text_size = (uint32_t)texts[i].size;
        memcpy(at, &text_size, FIELD_HEAD_BYTES);
        if (text_size)
            memcpy(at + FIELD_HEAD_BYTES, texts[i].data, text_size);
        at += FIELD_HEAD_BYTES + text_size;
    }
    return (struct slice){ out, size };
}

/* Views of the payload; an empty text comes back absent. */
static bool unpack(struct slice payload, struct slice *texts, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t size;
        if (payload.size < FIELD_HEAD_BYTES)
            return false;
        memcpy(&size, payload.data, FIELD_HEAD_BYTES);
        payload = slice_from(payload, FIELD_HEAD_BYTES);
        if (payload.size < size)
            return false;
        texts[i] = size ? (struct slice){ payload.data, size } : absent;
        payload = slice_from(payload, size);
    }
    return payload.size == 0;
}

bool oidc_read_session(struct oidc *oidc, struct slice payload)
{
    struct slice texts[FIELDS_MAX];
    if (!unpack(payload, texts, FIELDS_MAX))
        return false;
    oidc->tokens = (struct oidc_tokens){ .access = texts[0], .id = texts[1], .refresh = texts[2] };
    for (size_t i = 0; i < texts[3].size; i++)
        if (slice_is_digit(texts[3].data[i]))
            oidc->tokens.expires_s = oidc->tokens.expires_s * 10 + (texts[3].data[i] - '0');
    return oidc->tokens.access.data != NULL;
}

bool oidc_save_session(struct oidc *oidc)
{
    const struct oidc_tokens *tokens = &oidc->tokens;
    struct slice expires = arena_format(exchange_arena(oidc->exchange), "%lld", (long long)tokens->expires_s);
    struct slice texts[FIELDS_MAX] = { tokens->access, tokens->id, tokens->refresh, expires };
    oidc->session.payload = oidc_pack(oidc, texts, FIELDS_MAX);
    return expires.data && oidc->session.payload.data &&
           cookie_session_save(&oidc->config->session, oidc->exchange, &oidc->session);
}

/* --- going to the provider ------------------------------------------------------------------------------ */

static enum verdict redirect(struct oidc *oidc, struct slice location)
{
    struct exchange *exchange = oidc->exchange;
    if (location.data == NULL || !exchange_set_response_header(exchange, SLICE("Location"), location) ||
        !exchange_set_response_header(exchange, SLICE("Cache-Control"), SLICE("no-store")))
        return exchange_respond_failure(exchange);
    return exchange_respond_body(exchange, 302, absent, SLICE(""));
}

/* Where the provider sends people back to. */
static struct slice redirect_uri(struct oidc *oidc)
{
    struct exchange *exchange = oidc->exchange;
    if (oidc->config->redirect_uri.count)
        return oidc->config->redirect_uri.items[0];
    struct slice query, path = slice_split(exchange_request(exchange)->origin_form, '?', &query);
    return arena_format(
        exchange_arena(exchange), "%s://%.*s%.*s", exchange_is_https(exchange) ? "https" : "http",
        SLICE_FORMAT(message_find(exchange_request(exchange), HEADER_HOST)), SLICE_FORMAT(path));
}

/* RFC 7636 section 4.2. */
static struct slice challenge_of(struct oidc *oidc, struct slice verifier)
{
    unsigned char digest[DIGEST_MAX];
    char *text = arena_alloc(exchange_arena(oidc->exchange), base64_encoded_size(BASE64_URL, 32));
    if (text == NULL || !digest_of(DIGEST_SHA256, verifier, digest))
        return absent;
    struct slice bytes = { (const char *)digest, digest_size(DIGEST_SHA256) };
    return (struct slice){ text, base64_encode(BASE64_URL, bytes, text) };
}

static struct slice draw(struct oidc *oidc)
{
    char *text = arena_alloc(exchange_arena(oidc->exchange), SECRET_SIZE + 1);
    if (text)
        random_alphanumeric(text, SECRET_SIZE);
    return (struct slice){ text, SECRET_SIZE };
}

/* The parameters of the authorization request (OpenID Connect Core 1.0 section 3.1.2.1). */
static struct slice authorization_query(struct oidc *oidc, struct slice state)
{
    const struct oidc_config *config = oidc->config;
    struct slice challenge = config->pkce ? challenge_of(oidc, oidc->verifier) : absent;
    const struct {
        struct slice name, value;
    } parameters[] = { { SLICE("response_type"), SLICE("code") },
                       { SLICE("client_id"), config->client_id.items[0] },
                       { SLICE("redirect_uri"), redirect_uri(oidc) },
                       { SLICE("scope"), config->scope_text },
                       { SLICE("state"), state },
                       { SLICE("nonce"), oidc->nonce },
                       { SLICE("code_challenge"), challenge },
                       { SLICE("code_challenge_method"), challenge.data ? SLICE("S256") : absent } };
    struct slice form = absent;
    for (size_t i = 0; i < COUNT_OF(parameters); i++) {
        if (parameters[i].value.size == 0)
            continue;
        form = oidc_form_add(oidc, form, parameters[i].name, parameters[i].value);
        if (form.data == NULL)
            return absent;
    }
    for (uint32_t i = 0; form.data && i < config->audience.count; i++)
        form = oidc_form_add(oidc, form, SLICE("audience"), config->audience.items[i]);
    for (uint32_t i = 0; form.data && i < config->query_names.count; i++) {
        struct slice name = query_escape(exchange_arena(oidc->exchange), config->query_names.items[i]);
        form = name.data ? oidc_form_add(oidc, form, name, config->query_values.items[i]) : absent;
    }
    return form;
}

/* An endpoint may have parameters of its own. */
static struct slice with_query(struct oidc *oidc, struct slice url, struct slice query)
{
    const char *mark = query.size == 0 ? "" : memchr(url.data, '?', url.size) ? "&" : "?";
    return arena_format(exchange_arena(oidc->exchange), "%.*s%s%.*s", SLICE_FORMAT(url), mark,
                        SLICE_FORMAT(query));
}

enum verdict oidc_login(struct oidc *oidc)
{
    const struct oidc_config *config = oidc->config;
    struct exchange *exchange = oidc->exchange;
    struct oidc_endpoint endpoint;
    if (!oidc_find_endpoint(oidc, config->authorization_endpoint, oidc_login,
                            offsetof(struct jwks_description, authorization_endpoint), &endpoint))
        return endpoint.verdict;
    struct slice state = draw(oidc);
    oidc->nonce = draw(oidc);
    oidc->verifier = draw(oidc);
    oidc->origin = exchange_request(exchange)->origin_form;
    if (state.data == NULL || oidc->nonce.data == NULL || oidc->verifier.data == NULL)
        return exchange_respond_failure(exchange);
    struct slice texts[FIELDS_MAX] = { state, oidc->nonce, oidc->verifier, oidc->origin };
    struct cookie_session login = { .payload = oidc_pack(oidc, texts, FIELDS_MAX) };
    struct slice query = authorization_query(oidc, state);
    if (login.payload.data == NULL || query.data == NULL ||
        !cookie_session_save(&config->login, exchange, &login))
        return exchange_respond_failure(exchange);
    return redirect(oidc, with_query(oidc, endpoint.url, query));
}

/* --- coming back ---------------------------------------------------------------------------------------- */

static struct slice parameter(struct oidc *oidc, const char *name)
{
    return query_find(exchange_arena(oidc->exchange), exchange_query(oidc->exchange), slice_of(name));
}

bool oidc_is_callback(struct oidc *oidc)
{
    struct cookie_session login;
    struct slice texts[FIELDS_MAX], state = parameter(oidc, "state");
    if (state.size != SECRET_SIZE || (!parameter(oidc, "code").size && !parameter(oidc, "error").size) ||
        cookie_session_open(&oidc->config->login, oidc->exchange, &login) != COOKIE_SESSION_OPEN ||
        !unpack(login.payload, texts, FIELDS_MAX) || texts[0].size != SECRET_SIZE ||
        CRYPTO_memcmp(texts[0].data, state.data, SECRET_SIZE) != 0)
        return false;
    oidc->nonce = texts[1];
    oidc->verifier = texts[2];
    oidc->origin = texts[3];
    return true;
}

/* {"access_token": ..., ...}: what the provider has said, as it has said it. */
static enum verdict show_tokens(struct oidc *oidc)
{
    struct slice body = arena_copy(exchange_arena(oidc->exchange), oidc->fetch.body);
    if (body.data == NULL ||
        !exchange_set_response_header(oidc->exchange, SLICE("Cache-Control"), SLICE("no-store")))
        return exchange_respond_failure(oidc->exchange);
    return exchange_respond_json(oidc->exchange, 200, body);
}

/* Back on this host: what begins with two slashes, of either kind, would be a host's name to a browser
 * (RFC 3986 section 4.2; a dot between them names the same path). */
static struct slice location_of(struct oidc *oidc, struct slice origin)
{
    bool is_host = origin.size > 1 && (origin.data[1] == '/' || origin.data[1] == '\\');
    return is_host ? arena_format(exchange_arena(oidc->exchange), "/.%.*s", SLICE_FORMAT(origin)) : origin;
}

/* To where it began; when that is this very path, the request simply goes on, without what the provider has
 * added to it. */
static enum verdict go_on(struct oidc *oidc)
{
    const struct oidc_config *config = oidc->config;
    struct exchange *exchange = oidc->exchange;
    struct slice query, ignored, path = slice_split(oidc->origin, '?', &query);
    if (config->login_action == OIDC_LOGIN_RESPONSE)
        return show_tokens(oidc);
    if (config->login_action == OIDC_LOGIN_REDIRECT && config->login_redirect_uri.data)
        return redirect(oidc, config->login_redirect_uri);
    struct slice here = slice_split(exchange_request(exchange)->origin_form, '?', &ignored);
    if (config->login_action == OIDC_LOGIN_REDIRECT || !slice_equal(here, path))
        return redirect(oidc, location_of(oidc, oidc->origin));
    exchange_set_upstream_query(exchange, query);
    return oidc_accept_tokens(oidc);
}

/* OpenID Connect Core 1.0 section 3.1.3.7. */
static enum verdict check_id_token(struct oidc *oidc)
{
    const struct oidc_config *config = oidc->config;
    const struct jwt_demands demands = { .issuer = { NULL, 0 }, /* the provider's own */
                                         .audience = { config->client_id.items, config->client_id.count },
                                         .require_issuer = true,
                                         .require_audience = true,
                                         .require_expires = true,
                                         .leeway_expires_s = config->leeway_s,
                                         .leeway_not_before_s = config->leeway_s };
    struct slice payload;
    oidc->next = check_id_token;
    if (oidc->tokens.id.data == NULL)
        return oidc_refuse(oidc, OIDC_BAD_TOKEN, SLICE("the provider gave no ID token"));
    switch (oidc_check_token(oidc, oidc->tokens.id, &demands, &payload)) {
    case OIDC_WAIT: return VERDICT_WAIT;
    case OIDC_DOWN: return oidc_unavailable(oidc);
    case OIDC_BAD: return oidc_refuse(oidc, OIDC_BAD_TOKEN, oidc->flaw);
    case OIDC_GOOD: break;
    }
    struct slice nonce = oidc_claim(oidc, payload, SLICE("nonce"));
    struct slice party = oidc_claim(oidc, payload, SLICE("azp"));
    if (!slice_equal(nonce, oidc->nonce))
        return oidc_refuse(oidc, OIDC_BAD_TOKEN, SLICE("the ID token is of another login"));
    if (party.data && !slice_equal(party, config->client_id.items[0]))
        return oidc_refuse(oidc, OIDC_BAD_TOKEN, SLICE("the ID token was issued to another client"));
    if ((config->auth_methods & OIDC_SESSION) && !oidc_save_session(oidc))
        return exchange_respond_failure(oidc->exchange);
    return go_on(oidc);
}

static enum verdict exchanged(struct oidc *oidc)
{
    if (oidc->error == ERROR_OK && oidc->fetch.status >= 400 && oidc->fetch.status < 500)
        return oidc_refuse(oidc, OIDC_BAD_TOKEN, SLICE("the provider refuses the code"));
    return oidc_take_tokens(oidc) ? check_id_token(oidc) : oidc_unavailable(oidc);
}

static enum verdict redeem(struct oidc *oidc)
{
    struct oidc_endpoint endpoint;
    if (!oidc_find_endpoint(oidc, oidc->config->token_endpoint, redeem,
                            offsetof(struct jwks_description, token_endpoint), &endpoint))
        return endpoint.verdict;
    struct slice form = oidc_form_add(oidc, absent, SLICE("grant_type"), SLICE("authorization_code"));
    if (form.data)
        form = oidc_form_add(oidc, form, SLICE("code"), parameter(oidc, "code"));
    if (form.data)
        form = oidc_form_add(oidc, form, SLICE("redirect_uri"), redirect_uri(oidc));
    if (form.data && oidc->config->pkce)
        form = oidc_form_add(oidc, form, SLICE("code_verifier"), oidc->verifier);
    return oidc_post(oidc, endpoint.url, form, exchanged);
}

/* Who sends people back may say who it is (RFC 9207): a code of somebody else is shown to nobody. */
static bool is_from_provider(struct oidc *oidc)
{
    const struct slices *allowed = &oidc->config->issuers_allowed;
    struct slice said = parameter(oidc, "iss"), issuer = oidc->config->issuer;
    bool known = said.data == NULL;
    for (uint32_t i = 0; i < allowed->count; i++)
        known |= slice_equal(said, allowed->items[i]);
    if (slice_ends_with(said, SLICE("/")))
        said.size--;
    if (slice_ends_with(issuer, SLICE("/")))
        issuer.size--;
    return known || slice_equal(said, issuer);
}

enum verdict oidc_callback(struct oidc *oidc)
{
    if (!cookie_session_end(&oidc->config->login, oidc->exchange))
        return exchange_respond_failure(oidc->exchange);
    oidc->session = (struct cookie_session){ .payload = absent }; /* a new one, whatever there was before */
    if (!is_from_provider(oidc))
        return oidc_refuse(oidc, OIDC_BAD_TOKEN, SLICE("the code comes from another provider"));
    return parameter(oidc, "code").size
               ? redeem(oidc)
               : oidc_refuse(oidc, OIDC_NOBODY, SLICE("the provider sent nobody back with a code"));
}

/* --- leaving -------------------------------------------------------------------------------------------- */

bool oidc_is_logout(struct oidc *oidc)
{
    static const char *const names[] = { "POST", "GET", "DELETE" };
    const struct oidc_config *config = oidc->config;
    struct slice method = exchange_request(oidc->exchange)->method;
    bool asked = config->logout_uri_suffix.size > 0 &&
                 slice_ends_with(exchange_path(oidc->exchange), config->logout_uri_suffix);
    if (config->logout_query_arg.size > 0)
        asked |= query_find(exchange_arena(oidc->exchange), exchange_query(oidc->exchange),
                            config->logout_query_arg)
                     .data != NULL;
    for (size_t i = 0; asked && i < COUNT_OF(names); i++)
        if (config->logout_methods >> i & 1 && slice_equal(method, slice_of(names[i])))
            return true;
    return false;
}

/* At the provider too when it has a place for that (OpenID Connect RP-Initiated Logout 1.0). */
enum verdict oidc_logout(struct oidc *oidc)
{
    const struct oidc_config *config = oidc->config;
    struct exchange *exchange = oidc->exchange;
    const struct jwks_description *description;
    const struct jwk_set *set;
    struct slice form = absent, url = config->end_session_endpoint;
    if (url.data == NULL && oidc_ask_keys(oidc, oidc_logout, &set, &description) == JWKS_WAIT)
        return VERDICT_WAIT;
    if (!cookie_session_end(&config->session, exchange))
        return exchange_respond_failure(exchange);
    if (url.data == NULL && description)
        url = description->end_session_endpoint;
    if (url.data == NULL && config->logout_redirect_uri.data)
        return redirect(oidc, config->logout_redirect_uri);
    if (url.data == NULL)
        return exchange_respond_body(exchange, 200, absent, SLICE(""));
    if (oidc->tokens.id.data)
        form = oidc_form_add(oidc, form, SLICE("id_token_hint"), oidc->tokens.id);
    if (config->logout_redirect_uri.data)
        form = oidc_form_add(oidc, form, SLICE("post_logout_redirect_uri"), config->logout_redirect_uri);
    return redirect(oidc, with_query(oidc, url, form));
}
