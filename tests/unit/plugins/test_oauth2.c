/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed tokens that were changed, are over or are somebody else's, and PKCE; the grants are tested from
 * outside. */
#include "core/io/shard.h"
#include "plugins/oauth2.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* RFC 7636 appendix B. */
#define VERIFIER "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define BASIC "enable_authorization_code: true, provision_key: p"
#define NOW_S 1792567680

enum { TEXT_SIZE = OAUTH2_TOKEN_TEXT_MAX + 1 };

static struct plugin_setup setup;
static struct shard shard;
static struct oauth2_shard state;
static struct service here = { .entity = { .id = "11111111-1111-4111-8111-111111111111" } };
static struct service there = { .entity = { .id = "21111111-1111-4111-8111-111111111111" } };
static const struct oauth2_config *config;

static void add_client(const char *text, const char *id)
{
    struct consumer *consumer = plugin_setup_consumer(&setup, id, NULL, NULL);
    struct credential *credential = plugin_setup_credential(&setup, &oauth2_plugin, consumer, text);
    cr_assert_not_null(credential, "%s", text);
    snprintf(credential->entity.id, sizeof(credential->entity.id), "%s", id);
}

static void configure(const char *text)
{
    config = plugin_setup_config(&setup, &oauth2_plugin, text);
    cr_assert_not_null(config, "%s", text);
}

static void start(void)
{
    plugin_setup_init(&setup);
    state.spent = oauth2_spent_open();
    shard.wall_ms = UINT64_C(1000) * NOW_S;
    cr_assert_not_null(state.spent);
    add_client("{name: a, client_id: app, client_secret: s, redirect_uris: ['http://app.test/cb']}", "c-app");
    add_client("{name: b, client_id: other, client_secret: s, redirect_uris: ['http://b.test/']}", "c-other");
    add_client("{name: c, client_id: pub, client_type: public, redirect_uris: ['http://c.test/']}", "c-pub");
    configure("{" BASIC "}");
}

static void stop(void)
{
    oauth2_spent_close(state.spent);
    plugin_setup_deinit(&setup);
}

TestSuite(oauth2, .init = start, .fini = stop);

static struct exchange *request(const char *method, const char *target)
{
    struct exchange *exchange = fake_exchange_open(method, target);
    exchange->model = setup.model;
    exchange->shard = &shard;
    exchange->service = &here;
    exchange->arrival.tls = true;
    return exchange;
}

static struct oauth2_token token_of(enum oauth2_token_kind kind)
{
    return (struct oauth2_token){ .kind = kind,
                                  .expires_s = NOW_S + 10,
                                  .service = slice_of(here.entity.id),
                                  .client_id = SLICE("app"),
                                  .credential = SLICE("c-app"),
                                  .scope = SLICE("read write"),
                                  .userid = SLICE("bob"),
                                  .code_challenge = SLICE("") };
}

/* Sealed under the current configuration. */
static struct slice sealed(const struct oauth2_token *token, char out[TEXT_SIZE])
{
    struct exchange *exchange = request("GET", "/");
    struct slice text = oauth2_token_write(config, exchange, token);
    cr_assert(text.size > 0 && text.size < TEXT_SIZE);
    memcpy(out, text.data, text.size);
    fake_exchange_close(exchange);
    return (struct slice){ out, text.size };
}

static enum oauth2_reading read_as(enum oauth2_token_kind kind, struct slice text)
{
    struct exchange *exchange = request("GET", "/");
    struct oauth2_token token;
    enum oauth2_reading reading = oauth2_token_read(config, exchange, text, kind, &token);
    fake_exchange_close(exchange);
    return reading;
}

/* --- the sealed text ------------------------------------------------------------------------------------ */

Test(oauth2, a_token_says_what_was_written)
{
    char room[TEXT_SIZE];
    struct oauth2_token written = token_of(OAUTH2_CODE), token;
    written.code_challenge = SLICE(CHALLENGE);
    struct slice text = sealed(&written, room);
    struct exchange *exchange = request("GET", "/");
    cr_assert_eq(oauth2_token_read(config, exchange, text, OAUTH2_CODE, &token), OAUTH2_TOKEN_GOOD);
    cr_assert(token.kind == OAUTH2_CODE && token.expires_s == NOW_S + 10);
    cr_assert(slice_equal(token.service, written.service) && slice_equal(token.client_id, SLICE("app")));
    cr_assert(slice_equal(token.credential, SLICE("c-app")) && slice_equal(token.userid, SLICE("bob")));
    cr_assert(slice_equal(token.scope, SLICE("read write")));
    cr_assert(slice_equal(token.code_challenge, SLICE(CHALLENGE)) && token.id.size >= 22);
    cr_assert_not_null(oauth2_token_owner(exchange, &token));
    fake_exchange_close(exchange);
}

Test(oauth2, every_change_is_seen)
{
    char room[TEXT_SIZE];
    struct oauth2_token token = token_of(OAUTH2_ACCESS);
    struct slice text = sealed(&token, room);
    cr_assert_eq(read_as(OAUTH2_ACCESS, text), OAUTH2_TOKEN_GOOD);
    /* The last one's lower bits may stand for nothing: it is changed in its highest. */
    for (size_t i = 0; i < text.size; i++) {
        char before = room[i];
        room[i] = before >= 'A' && before <= 'Z' ? '9' : 'B';
        cr_assert_eq(read_as(OAUTH2_ACCESS, text), OAUTH2_TOKEN_BAD, "at %zu", i);
        room[i] = before;
    }
    for (size_t size = 0; size < text.size; size++)
        cr_assert_eq(read_as(OAUTH2_ACCESS, (struct slice){ room, size }), OAUTH2_TOKEN_BAD, "%zu", size);
    cr_assert_eq(read_as(OAUTH2_ACCESS, SLICE("!no base64!")), OAUTH2_TOKEN_BAD);
    static char huge[OAUTH2_TOKEN_TEXT_MAX + 1];
    memset(huge, 'A', sizeof(huge));
    cr_assert_eq(read_as(OAUTH2_ACCESS, (struct slice){ huge, sizeof(huge) }), OAUTH2_TOKEN_BAD);
    cr_assert_eq(read_as(OAUTH2_ACCESS, (struct slice){ huge, sizeof(huge) - 1 }), OAUTH2_TOKEN_BAD);
}

Test(oauth2, kinds_are_apart)
{
    static const enum oauth2_token_kind kinds[] = { OAUTH2_ACCESS, OAUTH2_REFRESH, OAUTH2_CODE };
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        for (size_t j = 0; j < COUNT_OF(kinds); j++) {
            char room[TEXT_SIZE];
            struct oauth2_token token = token_of(kinds[i]);
            enum oauth2_reading reading = read_as(kinds[j], sealed(&token, room));
            cr_assert_eq(reading, i == j ? OAUTH2_TOKEN_GOOD : OAUTH2_TOKEN_BAD);
        }
}

Test(oauth2, tokens_end)
{
    char room[TEXT_SIZE];
    struct oauth2_token token = token_of(OAUTH2_ACCESS);
    struct slice text = sealed(&token, room);
    shard.wall_ms += 9999;
    cr_assert_eq(read_as(OAUTH2_ACCESS, text), OAUTH2_TOKEN_GOOD);
    shard.wall_ms += 1;
    cr_assert_eq(read_as(OAUTH2_ACCESS, text), OAUTH2_TOKEN_BAD);
    token.expires_s = 0;
    text = sealed(&token, room);
    shard.wall_ms += UINT64_C(1000) << 32;
    cr_assert_eq(read_as(OAUTH2_ACCESS, text), OAUTH2_TOKEN_GOOD, "this one does not");
}

Test(oauth2, another_key_opens_nothing)
{
    char room[TEXT_SIZE];
    struct oauth2_token token = token_of(OAUTH2_ACCESS);
    struct slice text = sealed(&token, room);
    configure("{enable_authorization_code: true, provision_key: q}");
    cr_assert_eq(read_as(OAUTH2_ACCESS, text), OAUTH2_TOKEN_BAD);
    configure("{enable_authorization_code: true}");
    cr_assert_eq(read_as(OAUTH2_ACCESS, text), OAUTH2_TOKEN_BAD);
    configure("{enable_implicit_grant: true, provision_key: p}");
    cr_assert_eq(read_as(OAUTH2_ACCESS, text), OAUTH2_TOKEN_GOOD);
}

Test(oauth2, no_text_can_pose_as_another_part)
{
    struct exchange *exchange = request("GET", "/");
    static const char evil[] = "bob\n\nid";
    for (int i = 0; i < 3; i++) {
        struct oauth2_token token = token_of(OAUTH2_ACCESS);
        *(i == 0 ? &token.userid : i == 1 ? &token.scope : &token.client_id) = slice_of(evil);
        cr_assert_null(oauth2_token_write(config, exchange, &token).data);
    }
    static char large[OAUTH2_TOKEN_TEXT_MAX];
    memset(large, 'x', sizeof(large));
    struct oauth2_token token = token_of(OAUTH2_ACCESS);
    token.userid = (struct slice){ large, sizeof(large) };
    cr_assert_null(oauth2_token_write(config, exchange, &token).data, "too long to be read again");
    fake_exchange_close(exchange);
}

Test(oauth2, an_id_is_spent_once)
{
    struct oauth2_token token = token_of(OAUTH2_CODE), other = token_of(OAUTH2_CODE);
    token.id = SLICE("0123456789abcdefghijkl");
    other.id = SLICE("0123456789abcdefghijkm");
    cr_assert(oauth2_spend(state.spent, &token));
    cr_assert_not(oauth2_spend(state.spent, &token));
    cr_assert(oauth2_spend(state.spent, &other));
    cr_assert_not(oauth2_spend(state.spent, &token));
}

/* --- requests ------------------------------------------------------------------------------------------- */

/* The status of a request with that token; 0: it passes. */
static int ask(const struct oauth2_token *token, const struct service *service)
{
    char room[TEXT_SIZE + 8] = "Bearer ";
    struct slice text = sealed(token, room + 7);
    struct exchange *exchange = request("GET", "/");
    exchange->service = service;
    fake_exchange_header(exchange, "Authorization", (struct slice){ room, text.size + 7 });
    enum verdict verdict = fake_exchange_run(exchange, &oauth2_plugin, PHASE_ACCESS, config, &state);
    cr_assert_eq(verdict == VERDICT_CONTINUE, exchange->authenticate_count == 1);
    if (verdict == VERDICT_CONTINUE)
        cr_assert(
            slice_equal(fake_exchange_upstream_header(exchange, "X-Authenticated-UserId"), SLICE("bob")));
    int status = exchange->status;
    fake_exchange_close(exchange);
    return status;
}

Test(oauth2, tokens_are_for_their_service_and_client)
{
    struct oauth2_token token = token_of(OAUTH2_ACCESS);
    cr_assert_eq(ask(&token, &here), 0);
    cr_assert_eq(ask(&token, &there), 401);
    cr_assert_eq(ask(&token, NULL), 401);
    token.credential = SLICE("c-before"); /* the same client id, another entity: it was deleted since */
    cr_assert_eq(ask(&token, &here), 401);
    token.client_id = SLICE("gone");
    cr_assert_eq(ask(&token, &here), 401);
    struct oauth2_token refresh = token_of(OAUTH2_REFRESH), global = token_of(OAUTH2_ACCESS);
    cr_assert_eq(ask(&refresh, &here), 401);
    global.service = SLICE("");
    cr_assert_eq(ask(&global, &here), 401);
    configure("{" BASIC ", global_credentials: true}");
    cr_assert_eq(ask(&global, &there), 0);
}

/* --- codes and PKCE ------------------------------------------------------------------------------------- */

/* Posts a form, and copies what is answered. */
static int post(const char *target, const char *form, char out[2 * TEXT_SIZE])
{
    struct exchange *exchange = request("POST", target);
    fake_exchange_header(exchange, "Content-Type", SLICE("application/x-www-form-urlencoded"));
    exchange->request_body = slice_of(form);
    cr_assert_eq(fake_exchange_run(exchange, &oauth2_plugin, PHASE_ACCESS, config, &state), VERDICT_RESPOND);
    cr_assert(exchange->body_kind == FAKE_BODY_JSON && exchange->body.size < 2 * TEXT_SIZE);
    memcpy(out, exchange->body.data, exchange->body.size);
    out[exchange->body.size] = '\0';
    int status = exchange->status;
    fake_exchange_close(exchange);
    return status;
}

struct pkce {
    const char *pkce, *client, *challenge, *verifier; /* the latter as they stand in the form */
    const char *want; /* in the answer */
};

static void check_pkce(const struct pkce *row)
{
    char options[128], form[3 * TEXT_SIZE], answer[2 * TEXT_SIZE];
    snprintf(options, sizeof(options), "{" BASIC ", pkce: %s}", row->pkce);
    configure(options);
    snprintf(form, sizeof(form), "provision_key=p&authenticated_userid=bob&response_type=code&client_id=%s%s",
             row->client, row->challenge);
    int status = post("/oauth2/authorize", form, answer);
    char *code = strstr(answer, "?code=");
    cr_assert(status == 200 && code, "%s: %s", row->challenge, answer);
    code += strlen("?code=");
    code[strcspn(code, "\"&")] = '\0';
    snprintf(form, sizeof(form), "grant_type=authorization_code&client_id=%s%s&code=%s%s", row->client,
             strcmp(row->client, "pub") ? "&client_secret=s" : "", code, row->verifier);
    status = post("/oauth2/token", form, answer);
    cr_assert(strstr(answer, row->want), "%s %s: %s", row->challenge, row->verifier, answer);
    cr_assert_eq(status, strstr(answer, "access_token") ? 200 : 400);
    if (status == 200) {
        cr_assert_eq(post("/oauth2/token", form, answer), 400, "a code is good once");
        cr_assert(strstr(answer, "Invalid code"), "%s", answer);
    }
}

Test(oauth2, pkce)
{
#define WITH "&code_challenge_method=S256&code_challenge="
    static const struct pkce rows[] = {
        { "lax", "app", WITH CHALLENGE, "&code_verifier=" VERIFIER, "access_token" },
        { "lax", "app", "&code_challenge=" CHALLENGE "=", "&code_verifier=" VERIFIER, "access_token" },
        { "lax", "pub", WITH CHALLENGE, "&code_verifier=" VERIFIER, "access_token" },
        { "none", "app", WITH CHALLENGE, "&code_verifier=" VERIFIER, "access_token" },
        { "lax", "app", "", "", "access_token" },
        { "none", "pub", "", "", "access_token" },
        { "lax", "app", WITH CHALLENGE, "", "code_verifier is required" },
        { "none", "app", WITH CHALLENGE, "", "code_verifier is required" },
        { "lax", "app", WITH CHALLENGE, "&code_verifier=short", "between 43 and 128" },
        { "lax", "app", WITH CHALLENGE, "&code_verifier=" VERIFIER VERIFIER VERIFIER, "between 43 and 128" },
        { "lax", "app", WITH CHALLENGE, "&code_verifier=" VERIFIER "x", "invalid_grant" },
        { "lax", "app", WITH CHALLENGE, "&code_verifier=" CHALLENGE, "invalid_grant" },
        { "lax", "app", WITH VERIFIER, "&code_verifier=" VERIFIER, "invalid_grant" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_pkce(&rows[i]);
}

/* What is refused at once; the client learns it by a redirection. */
Test(oauth2, pkce_from_the_beginning)
{
    static const struct {
        const char *pkce, *client, *challenge, *want;
    } rows[] = {
        { "lax", "pub", "", "required%20for%20public%20clients" },
        { "strict", "app", "", "required%20for%20confidential%20clients" },
        { "lax", "app", "&code_challenge_method=plain&code_challenge=" VERIFIER, "must%20be%20S256" },
        { "lax", "app", "&code_challenge_method=S256", "code_challenge%20is%20required" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char options[128], form[TEXT_SIZE], answer[2 * TEXT_SIZE];
        snprintf(options, sizeof(options), "{" BASIC ", pkce: %s}", rows[i].pkce);
        configure(options);
        snprintf(form, sizeof(form),
                 "provision_key=p&authenticated_userid=bob&response_type=code&client_id=%s%s", rows[i].client,
                 rows[i].challenge);
        cr_assert_eq(post("/oauth2/authorize", form, answer), 400);
        cr_assert(strstr(answer, rows[i].want) && !strstr(answer, "code="), "%zu: %s", i, answer);
    }
}

/* Codes of another client or service are none, and are not used up by who tries. */
Test(oauth2, a_code_is_its_clients)
{
    char room[TEXT_SIZE], form[3 * TEXT_SIZE], answer[2 * TEXT_SIZE];
    struct oauth2_token code = token_of(OAUTH2_CODE);
    struct slice text = sealed(&code, room);
    snprintf(form, sizeof(form), "grant_type=authorization_code&client_id=other&client_secret=s&code=%.*s",
             SLICE_FORMAT(text));
    cr_assert_eq(post("/oauth2/token", form, answer), 400);
    cr_assert(strstr(answer, "Invalid code"), "%s", answer);
    snprintf(form, sizeof(form), "grant_type=authorization_code&client_id=app&client_secret=s&code=%.*s",
             SLICE_FORMAT(text));
    cr_assert_eq(post("/oauth2/token", form, answer), 200, "%s", answer);
    code.service = slice_of(there.entity.id);
    text = sealed(&code, room);
    snprintf(form, sizeof(form), "grant_type=authorization_code&client_id=app&client_secret=s&code=%.*s",
             SLICE_FORMAT(text));
    cr_assert_eq(post("/oauth2/token", form, answer), 400);
}
