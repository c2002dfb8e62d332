/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/query.h"
#include "core/io/shard.h"
#include "plugins/openid_connect.h"

enum { ANSWER_BYTES_MAX = 256 * 1024 };

/* --- a call --------------------------------------------------------------------------------------------- */

static void answered(struct fetch *fetch, enum error error)
{
    struct oidc *oidc = CONTAINER_OF(fetch, struct oidc, fetch);
    oidc->error = error;
    enum verdict verdict = oidc->next(oidc);
    if (verdict == VERDICT_WAIT)
        return;
    fetch_close(&oidc->fetch);
    exchange_resume(oidc->exchange, verdict);
}

struct slice oidc_form_add(struct oidc *oidc, struct slice form, struct slice name, struct slice value)
{
    struct arena *arena = exchange_arena(oidc->exchange);
    struct slice escaped = query_escape(arena, value);
    if (escaped.data == NULL)
        return escaped;
    return arena_format(arena, "%.*s%s%.*s=%.*s", SLICE_FORMAT(form), form.size ? "&" : "",
                        SLICE_FORMAT(name), SLICE_FORMAT(escaped));
}

/* How the gateway shows itself, in the form (RFC 6749 section 2.3.1). */
static struct slice add_client(struct oidc *oidc, struct slice form)
{
    const struct oidc_config *config = oidc->config;
    if (config->client_auth == OIDC_CLIENT_BASIC || config->client_id.count == 0)
        return form;
    form = oidc_form_add(oidc, form, SLICE("client_id"), config->client_id.items[0]);
    if (form.data && config->client_auth == OIDC_CLIENT_POST && config->client_secret.count)
        form = oidc_form_add(oidc, form, SLICE("client_secret"), config->client_secret.items[0]);
    return form;
}

enum verdict oidc_post(struct oidc *oidc, struct slice url, struct slice form, oidc_step *next)
{
    const struct oidc_config *config = oidc->config;
    bool as_gateway = oidc->grant != OIDC_GRANT_CLIENT;
    if (url.data == NULL)
        return oidc_unavailable(oidc);
    if (form.data && as_gateway)
        form = add_client(oidc, form);
    if (form.data == NULL)
        return exchange_respond_failure(oidc->exchange);
    uint32_t count = 0;
    oidc->headers[count++] =
        (struct header){ SLICE("Content-Type"), SLICE("application/x-www-form-urlencoded"), 0 };
    oidc->headers[count++] = (struct header){ SLICE("Accept"), SLICE("application/json"), 0 };
    if (as_gateway && config->client_auth == OIDC_CLIENT_BASIC && config->client_basic.data)
        oidc->headers[count++] = (struct header){ SLICE("Authorization"), config->client_basic, 0 };
    if (!oidc->fetching)
        fetch_init(&oidc->fetch, fetch_pool_of(oidc->shard->shard), answered);
    oidc->fetching = true;
    oidc->next = next;
    fetch_start(&oidc->fetch, &(struct fetch_request){
                                  .method = SLICE("POST"),
                                  .url = url,
                                  .headers = oidc->headers,
                                  .header_count = count,
                                  .body = form,
                                  .limit_bytes = ANSWER_BYTES_MAX,
                                  .timeout_ms = (uint32_t)config->timeout_ms,
                                  .options = config->ssl_verify ? 0 : FETCH_UNVERIFIED,
                              });
    return VERDICT_WAIT;
}

bool oidc_find_endpoint(struct oidc *oidc, struct slice own, oidc_step *again, size_t offset,
                        struct oidc_endpoint *found)
{
    const struct jwks_description *description;
    const struct jwk_set *set;
    found->url = own;
    if (own.data)
        return true;
    switch (oidc_ask_keys(oidc, again, &set, &description)) {
    case JWKS_WAIT: found->verdict = VERDICT_WAIT; return false;
    case JWKS_UNAVAILABLE: found->verdict = oidc_unavailable(oidc); return false;
    case JWKS_READY: break;
    }
    const struct slice *text = (const void *)((const char *)description + offset);
    found->url = arena_copy(exchange_arena(oidc->exchange), *text);
    if (found->url.data == NULL)
        found->verdict = oidc_unavailable(oidc);
    return found->url.data != NULL;
}

/* --- tokens --------------------------------------------------------------------------------------------- */

static struct slice copy_string(struct oidc *oidc, const struct json_value *value)
{
    struct slice none = { NULL, 0 };
    if (value->kind != JSON_STRING || value->text.size == 0)
        return none;
    char *out = arena_alloc(exchange_arena(oidc->exchange), value->text.size);
    return out ? (struct slice){ out, json_unescape(value->text, out) } : none;
}

static bool read_tokens(struct oidc *oidc, struct slice text)
{
    enum { ACCESS, ID, REFRESH, EXPIRES, MEMBERS };
    struct json_member members[MEMBERS] = { [ACCESS] = { .name = SLICE("access_token") },
                                            [ID] = { .name = SLICE("id_token") },
                                            [REFRESH] = { .name = SLICE("refresh_token") },
                                            [EXPIRES] = { .name = SLICE("expires_in") } };
    enum json_kind root;
    if (!json_scan(text, members, MEMBERS, &root) || root != JSON_OBJECT)
        return false;
    struct oidc_tokens before = oidc->tokens; /* what is refreshed stays good when nothing newer comes */
    oidc->tokens = (struct oidc_tokens){ .access = copy_string(oidc, &members[ACCESS].value),
                                         .id = copy_string(oidc, &members[ID].value),
                                         .refresh = copy_string(oidc, &members[REFRESH].value) };
    if (oidc->tokens.refresh.data == NULL)
        oidc->tokens.refresh = before.refresh;
    if (oidc->tokens.id.data == NULL)
        oidc->tokens.id = before.id;
    double expires =
        members[EXPIRES].value.kind == JSON_NUMBER ? json_number(members[EXPIRES].value.text) : 0;
    if (expires >= 1 && expires < 1e9)
        oidc->tokens.expires_s = oidc_now_s(oidc) + (int64_t)expires;
    return oidc->tokens.access.data != NULL && action_is_field_value(oidc->tokens.access);
}

bool oidc_take_tokens(struct oidc *oidc)
{
    return oidc->error == ERROR_OK && oidc->fetch.status == 200 && read_tokens(oidc, oidc->fetch.body);
}

enum verdict oidc_accept_tokens(struct oidc *oidc)
{
    struct slice payload = oidc_payload(oidc, oidc->tokens.access);
    if (payload.data == NULL)
        payload = oidc_payload(oidc, oidc->tokens.id);
    return oidc_accept(oidc, payload.data ? payload : SLICE("{}"));
}

static int64_t until_s(const struct oidc *oidc)
{
    int64_t most = oidc_now_s(oidc) + oidc->config->cache_ttl_s;
    int64_t expires = oidc->tokens.expires_s;
    return expires > 0 && expires < most ? expires : most;
}

/* --- passwords and secrets of clients ------------------------------------------------------------------- */

/* A 4xx is the provider's no; everything else is no answer. */
static bool is_refused(const struct oidc *oidc)
{
    return oidc->error == ERROR_OK && oidc->fetch.status >= 400 && oidc->fetch.status < 500;
}

static enum verdict grant(struct oidc *oidc);

static enum verdict granted(struct oidc *oidc)
{
    if (is_refused(oidc)) {
        if (oidc->grant == OIDC_GRANT_CLIENT || !(oidc->config->auth_methods & OIDC_CLIENT_CREDENTIALS))
            return oidc_refuse(oidc, OIDC_BAD_TOKEN, SLICE("the provider refuses these credentials"));
        oidc->grant = OIDC_GRANT_CLIENT;
        return grant(oidc);
    }
    if (!oidc_take_tokens(oidc))
        return oidc_unavailable(oidc);
    if (oidc->cache_name.data)
        oidc_cache_keep(oidc->shard, oidc->cache_name, oidc->fetch.body, until_s(oidc),
                        oidc->config->cache_entries);
    return oidc_accept_tokens(oidc);
}

/* A user's name and password, or a client's id and secret. */
static enum verdict grant(struct oidc *oidc)
{
    const struct oidc_config *config = oidc->config;
    bool user = oidc->grant == OIDC_GRANT_PASSWORD;
    struct oidc_endpoint endpoint;
    if (!oidc_find_endpoint(oidc, config->token_endpoint, grant,
                            offsetof(struct jwks_description, token_endpoint), &endpoint))
        return endpoint.verdict;
    struct slice form = oidc_form_add(oidc, (struct slice){ NULL, 0 }, SLICE("grant_type"),
                                      user ? SLICE("password") : SLICE("client_credentials"));
    if (form.data)
        form = oidc_form_add(oidc, form, user ? SLICE("username") : SLICE("client_id"), oidc->user);
    if (form.data)
        form = oidc_form_add(oidc, form, user ? SLICE("password") : SLICE("client_secret"), oidc->password);
    if (form.data && config->scope_text.size)
        form = oidc_form_add(oidc, form, SLICE("scope"), config->scope_text);
    return oidc_post(oidc, endpoint.url, form, granted);
}

/* What names an answer in the cache: who asked whom and how, and about what. An answer is good for those only
 * who would have asked just so: another client, a secret that is wrong, or a way in that is closed must not
 * find it. */
static struct slice cache_name(struct oidc *oidc, struct slice user, struct slice secret)
{
    const struct oidc_config *config = oidc->config;
    uint64_t methods = config->auth_methods & (OIDC_PASSWORD | OIDC_CLIENT_CREDENTIALS);
    struct slice how = arena_format(exchange_arena(oidc->exchange), "%d %d %d %llu %lld", (int)oidc->grant,
                                    config->client_auth, config->ssl_verify, (unsigned long long)methods,
                                    (long long)config->cache_ttl_s);
    struct slice nothing = { NULL, 0 };
    const struct slice texts[] = { how,
                                   config->issuer,
                                   config->token_endpoint,
                                   config->introspection_endpoint,
                                   config->client_id.count ? config->client_id.items[0] : nothing,
                                   config->client_secret.count ? config->client_secret.items[0] : nothing,
                                   config->scope_text,
                                   user,
                                   secret };
    return how.data ? oidc_pack(oidc, texts, COUNT_OF(texts)) : nothing;
}

enum verdict oidc_grant_for_basic(struct oidc *oidc)
{
    const struct oidc_config *config = oidc->config;
    struct arena *arena = exchange_arena(oidc->exchange);
    oidc->grant = config->auth_methods & OIDC_PASSWORD ? OIDC_GRANT_PASSWORD : OIDC_GRANT_CLIENT;
    if (!config->cache_tokens)
        return grant(oidc);
    oidc->cache_name = cache_name(oidc, oidc->user, oidc->password);
    if (oidc->cache_name.data == NULL)
        return grant(oidc);
    struct slice kept = oidc_cache_find(oidc->shard, arena, oidc->cache_name);
    return kept.data && read_tokens(oidc, kept) ? oidc_accept_tokens(oidc) : grant(oidc);
}

/* --- introspection (RFC 7662) --------------------------------------------------------------------------- */

/* Is what the endpoint says about a token good; until when may that be kept? */
static bool is_active(struct oidc *oidc, struct slice text, int64_t *until)
{
    enum { ACTIVE, EXP, NBF, MEMBERS };
    struct json_member members[MEMBERS] = { [ACTIVE] = { .name = SLICE("active") },
                                            [EXP] = { .name = SLICE("exp") },
                                            [NBF] = { .name = SLICE("nbf") } };
    enum json_kind root;
    double now = (double)oidc_now_s(oidc), leeway = (double)oidc->config->leeway_s;
    if (!json_scan(text, members, MEMBERS, &root) || members[ACTIVE].value.kind != JSON_TRUE)
        return false;
    *until = oidc_now_s(oidc) + oidc->config->cache_ttl_s;
    if (members[NBF].value.kind == JSON_NUMBER && json_number(members[NBF].value.text) > now + leeway)
        return false;
    if (members[EXP].value.kind != JSON_NUMBER)
        return true;
    double expires = json_number(members[EXP].value.text);
    if (expires <= now - leeway)
        return false;
    if (expires < (double)*until)
        *until = (int64_t)expires;
    return true;
}

static enum verdict introspected(struct oidc *oidc)
{
    int64_t until;
    if (oidc->error != ERROR_OK || oidc->fetch.status != 200)
        return oidc_unavailable(oidc);
    if (!is_active(oidc, oidc->fetch.body, &until))
        return oidc_refuse(oidc, OIDC_BAD_TOKEN, SLICE("the provider calls the token inactive"));
    if (oidc->cache_name.data)
        oidc_cache_keep(oidc->shard, oidc->cache_name, oidc->fetch.body, until, oidc->config->cache_entries);
    struct slice claims = arena_copy(exchange_arena(oidc->exchange), oidc->fetch.body);
    return claims.data ? oidc_accept(oidc, claims) : exchange_respond_failure(oidc->exchange);
}

static enum verdict introspect(struct oidc *oidc)
{
    struct oidc_endpoint endpoint;
    if (!oidc_find_endpoint(oidc, oidc->config->introspection_endpoint, introspect,
                            offsetof(struct jwks_description, introspection_endpoint), &endpoint))
        return endpoint.verdict;
    struct slice form = oidc_form_add(oidc, (struct slice){ NULL, 0 }, SLICE("token"), oidc->tokens.access);
    if (form.data)
        form = oidc_form_add(oidc, form, SLICE("token_type_hint"), SLICE("access_token"));
    return oidc_post(oidc, endpoint.url, form, introspected);
}

enum verdict oidc_introspect(struct oidc *oidc)
{
    int64_t until;
    if (!oidc->config->cache_introspection)
        return introspect(oidc);
    oidc->cache_name = cache_name(oidc, (struct slice){ NULL, 0 }, oidc->tokens.access);
    if (oidc->cache_name.data == NULL)
        return introspect(oidc);
    struct slice kept = oidc_cache_find(oidc->shard, exchange_arena(oidc->exchange), oidc->cache_name);
    return kept.data && is_active(oidc, kept, &until) ? oidc_accept(oidc, kept) : introspect(oidc);
}

/* --- refreshing ----------------------------------------------------------------------------------------- */

static bool claims_agree(struct oidc *oidc, struct slice payload, struct slice before, struct slice name)
{
    struct slice value = oidc_claim(oidc, payload, name);
    return value.data && slice_equal(value, oidc_claim(oidc, before, name));
}

/* A new id token tells of the same person as the one before (OpenID Connect Core, section 12.2). */
static bool is_same_person(struct oidc *oidc, struct slice id_before)
{
    struct slice before = oidc_payload(oidc, id_before);
    if (before.data == NULL || slice_equal(oidc->tokens.id, id_before))
        return true;
    struct slice payload = oidc_payload(oidc, oidc->tokens.id);
    return payload.data && claims_agree(oidc, payload, before, SLICE("sub")) &&
           claims_agree(oidc, payload, before, SLICE("iss"));
}

static enum verdict end_session(struct oidc *oidc)
{
    if (!cookie_session_end(&oidc->config->session, oidc->exchange))
        return exchange_respond_failure(oidc->exchange);
    return oidc_without_session(oidc);
}

static enum verdict refreshed(struct oidc *oidc)
{
    struct slice id_before = oidc->tokens.id;
    if (is_refused(oidc))
        return end_session(oidc);
    if (!oidc_take_tokens(oidc))
        return oidc_unavailable(oidc);
    if (!is_same_person(oidc, id_before))
        return end_session(oidc);
    if (!oidc_save_session(oidc))
        return exchange_respond_failure(oidc->exchange);
    return oidc_accept_tokens(oidc);
}

enum verdict oidc_refresh(struct oidc *oidc)
{
    struct oidc_endpoint endpoint;
    if (!oidc_find_endpoint(oidc, oidc->config->token_endpoint, oidc_refresh,
                            offsetof(struct jwks_description, token_endpoint), &endpoint))
        return endpoint.verdict;
    struct slice form =
        oidc_form_add(oidc, (struct slice){ NULL, 0 }, SLICE("grant_type"), SLICE("refresh_token"));
    if (form.data)
        form = oidc_form_add(oidc, form, SLICE("refresh_token"), oidc->tokens.refresh);
    return oidc_post(oidc, endpoint.url, form, refreshed);
}
