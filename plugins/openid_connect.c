/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's openid-connect: lets in who comes with a token of a provider, a session, a password that the
 * provider knows, or goes there to log in. */
#include "plugins/openid_connect.h"

#include "core/base/query.h"
#include "core/io/shard.h"
#include "net/http/cookie.h"
#include "plugins/plugins.h"

static const struct slice absent = { NULL, 0 };

int64_t oidc_now_s(const struct oidc *oidc)
{
    return (int64_t)(oidc->shard->shard->wall_ms / 1000);
}

/* --- the provider --------------------------------------------------------------------------------------- */

static void keys_came(struct jwks_waiter *waiter)
{
    struct oidc *oidc = CONTAINER_OF(waiter, struct oidc, waiter);
    enum verdict verdict = oidc->next(oidc);
    if (verdict == VERDICT_WAIT)
        return;
    if (oidc->fetching)
        fetch_close(&oidc->fetch);
    exchange_resume(oidc->exchange, verdict);
}

enum jwks_answer oidc_ask_keys(struct oidc *oidc, oidc_step *next, const struct jwk_set **set,
                               const struct jwks_description **description)
{
    struct oidc_shard *shard = oidc->shard;
    struct jwks *jwks = jwks_pool_find(&shard->providers, shard->shard, &oidc->config->source);
    *description = NULL;
    if (jwks == NULL)
        return JWKS_UNAVAILABLE;
    oidc->next = next;
    enum jwks_answer answer = jwks_ask(jwks, &oidc->waiter, set);
    if (answer == JWKS_READY)
        *description = jwks_describe(jwks);
    return answer;
}

/* --- answers -------------------------------------------------------------------------------------------- */

enum verdict oidc_unavailable(struct oidc *oidc)
{
    if (oidc->config->anonymous.data)
        return authentication_pass_anonymous(oidc->exchange, oidc->config->anonymous);
    return exchange_respond_error(oidc->exchange, 503, SLICE("identity provider unavailable"));
}

enum verdict oidc_refuse(struct oidc *oidc, enum oidc_refusal why, struct slice reason)
{
    const struct oidc_config *config = oidc->config;
    struct authentication_refusal refusal = { config->anonymous,
                                              why == OIDC_BAD_TOKEN ? config->token_challenge
                                                                    : config->challenge,
                                              config->unauthorized_message, reason };
    return authentication_refuse(oidc->exchange, &refusal);
}

/* --- what the client has shown -------------------------------------------------------------------------- */

static struct slice find_token(struct oidc *oidc)
{
    const struct oidc_config *config = oidc->config;
    const struct message *request = exchange_request(oidc->exchange);
    struct slice token = absent;
    if (config->token_places & OIDC_TOKEN_HEADER)
        token = authentication_after_scheme(message_find(request, HEADER_AUTHORIZATION), SLICE("Bearer"));
    if (token.size == 0 && (config->token_places & OIDC_TOKEN_QUERY))
        token =
            query_find(exchange_arena(oidc->exchange), exchange_query(oidc->exchange), SLICE("access_token"));
    if (token.size == 0 && (config->token_places & OIDC_TOKEN_COOKIE))
        token = cookie_find(request, config->token_cookie);
    return token.size > 0 && action_is_field_value(token) ? token : absent;
}

static bool find_basic(struct oidc *oidc)
{
    struct slice value = message_find(exchange_request(oidc->exchange), HEADER_AUTHORIZATION);
    struct login login;
    if (!authentication_read_login(exchange_arena(oidc->exchange),
                                   authentication_after_scheme(value, SLICE("Basic")), &login))
        return false;
    oidc->user = login.username;
    oidc->password = login.password;
    return oidc->user.data != NULL;
}

/* Three parts: a token that can be read and proven; everything else only its provider can tell about. */
static bool is_readable(struct slice token)
{
    unsigned dots = 0;
    for (size_t i = 0; i < token.size; i++)
        dots += token.data[i] == '.';
    return dots == 2;
}

/* --- ways in -------------------------------------------------------------------------------------------- */

static enum verdict check_bearer(struct oidc *oidc)
{
    const struct oidc_config *config = oidc->config;
    const struct jwt_demands demands = { .issuer = { NULL, 0 }, /* the provider's own */
                                         .require_issuer = true,
                                         .require_expires = true,
                                         .leeway_expires_s = config->leeway_s,
                                         .leeway_not_before_s = config->leeway_s };
    struct slice payload;
    oidc->next = check_bearer;
    switch (oidc_check_token(oidc, oidc->tokens.access, &demands, &payload)) {
    case OIDC_WAIT: return VERDICT_WAIT;
    case OIDC_DOWN: return oidc_unavailable(oidc);
    case OIDC_BAD: return oidc_refuse(oidc, OIDC_BAD_TOKEN, oidc->flaw);
    case OIDC_GOOD: break;
    }
    return oidc_accept(oidc, payload);
}

enum verdict oidc_without_session(struct oidc *oidc)
{
    uint64_t methods = oidc->config->auth_methods;
    oidc->tokens = (struct oidc_tokens){ .access = find_token(oidc) };
    if (oidc->tokens.access.data) {
        if ((methods & OIDC_BEARER) && is_readable(oidc->tokens.access))
            return check_bearer(oidc);
        if (methods & OIDC_INTROSPECTION)
            return oidc_introspect(oidc);
        return oidc_refuse(oidc, OIDC_BAD_TOKEN, SLICE("the bearer token is no JWT"));
    }
    if ((methods & (OIDC_PASSWORD | OIDC_CLIENT_CREDENTIALS)) && find_basic(oidc))
        return oidc_grant_for_basic(oidc);
    if (!(methods & OIDC_AUTHORIZATION_CODE))
        return oidc_refuse(oidc, OIDC_NOBODY, SLICE("no credentials"));
    if (oidc_is_callback(oidc))
        return oidc_callback(oidc);
    if (oidc->config->anonymous.data)
        return oidc_refuse(oidc, OIDC_NOBODY, SLICE("no session"));
    return oidc_login(oidc);
}

static enum verdict with_session(struct oidc *oidc)
{
    const struct oidc_config *config = oidc->config;
    const struct oidc_tokens *tokens = &oidc->tokens;
    bool expired = tokens->expires_s > 0 && tokens->expires_s <= oidc_now_s(oidc) - config->leeway_s;
    if (expired && tokens->refresh.data && (config->auth_methods & OIDC_REFRESH_TOKEN))
        return oidc_refresh(oidc);
    if (expired)
        return oidc_without_session(oidc);
    if (cookie_session_is_due(&config->session, oidc->exchange, &oidc->session) && !oidc_save_session(oidc))
        return exchange_respond_failure(oidc->exchange);
    return oidc_accept_tokens(oidc);
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct oidc_config *config = call->config;
    struct exchange *exchange = call->exchange;
    struct oidc *oidc = call->exchange_state;
    *oidc = (struct oidc){
        .exchange = exchange, .config = config, .shard = call->shard_state, .waiter.done = keys_came
    };
    list_init(&oidc->waiter.node);
    oidc_forget_forged(oidc);
    if (!config->run_on_preflight && slice_equal(exchange_request(exchange)->method, SLICE("OPTIONS")))
        return VERDICT_CONTINUE;
    if (authentication_is_done(exchange, config->anonymous))
        return VERDICT_CONTINUE;
    enum cookie_session_state state = COOKIE_SESSION_NONE;
    if (config->auth_methods & OIDC_SESSION)
        state = cookie_session_open(&config->session, exchange, &oidc->session);
    if (state == COOKIE_SESSION_FAILED)
        return exchange_respond_failure(exchange);
    bool inside = state == COOKIE_SESSION_OPEN && oidc_read_session(oidc, oidc->session.payload);
    if (oidc_is_logout(oidc))
        return oidc_logout(oidc);
    return inside ? with_session(oidc) : oidc_without_session(oidc);
}

/* --- life ----------------------------------------------------------------------------------------------- */

static enum error open_state(struct shard *shard, void *process_state, void *shard_state)
{
    (void)process_state;
    *(struct oidc_shard *)shard_state = (struct oidc_shard){ .shard = shard };
    return ERROR_OK;
}

static void close_state(void *shard_state)
{
    struct oidc_shard *shard = shard_state;
    jwks_pool_close(&shard->providers);
    oidc_cache_close(shard);
}

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    const struct oidc_config *config = value;
    const struct slice urls[] = { config->issuer, config->token_endpoint, config->introspection_endpoint };
    uint32_t count = 0;
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct fetch_url url;
        if (urls[i].data && fetch_url_parse(urls[i], &url))
            hosts[count++] = url.host;
    }
    return count;
}

const struct plugin openid_connect_plugin = {
    .kind = { .name = "openid-connect",
              .priority = 1050,
              .config = { .name = "openid-connect",
                          .fields = oidc_fields,
                          .field_count = OIDC_FIELD_COUNT,
                          .struct_size = sizeof(struct oidc_config),
                          .check = oidc_check_config },
              .forbids_consumer = true,
              .hosts_of = hosts_of },
    .on = { [PHASE_ACCESS] = on_access },
    .shard_state_size = sizeof(struct oidc_shard),
    .exchange_state_size = sizeof(struct oidc),
    .shard_open = open_state,
    .shard_close = close_state,
};
