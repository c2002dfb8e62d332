/* SPDX-License-Identifier: Apache-2.0 */
/* What claims let somebody in, whatever JSON they come in; the ways to get them are tested from outside. */
#include "plugins/openid_connect.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { CONFIG_SIZE = 512 };

/* A provider, a consumer alice with the custom id "a-1", and options besides. */
struct bench {
    struct plugin_setup setup;
    struct exchange *exchange;
    struct oidc oidc;
};

static void bench_open(struct bench *bench, const char *options)
{
    char text[CONFIG_SIZE];
    *bench = (struct bench){ .exchange = fake_exchange_open("GET", "/") };
    plugin_setup_init(&bench->setup);
    plugin_setup_consumer(&bench->setup, "alice", "a-1", "1111111a-2222-4333-8444-555555555555");
    snprintf(text, sizeof(text), "{issuer: 'http://idp.test', auth_methods: [bearer]%s%s}",
             options[0] ? ", " : "", options);
    bench->oidc.exchange = bench->exchange;
    bench->oidc.config = plugin_setup_config(&bench->setup, &openid_connect_plugin, text);
    cr_assert_not_null(bench->oidc.config, "%s", text);
    bench->exchange->model = bench->setup.model;
}

static void bench_close(struct bench *bench)
{
    fake_exchange_close(bench->exchange);
    plugin_setup_deinit(&bench->setup);
}

struct row {
    const char *options, *payload;
    bool good;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct bench bench;
        bench_open(&bench, rows[i].options);
        enum verdict verdict = oidc_accept(&bench.oidc, slice_of(rows[i].payload));
        cr_assert_eq(verdict, rows[i].good ? VERDICT_CONTINUE : VERDICT_RESPOND, "row %zu: %s with %s", i,
                     rows[i].options, rows[i].payload);
        cr_assert_eq(bench.exchange->status, rows[i].good ? 0 : 403, "row %zu", i);
        cr_assert_eq(bench.exchange->authenticate_count, rows[i].good, "row %zu", i);
        bench_close(&bench);
    }
}

/* --- demands -------------------------------------------------------------------------------------------- */

Test(openid_connect_claims, demands)
{
    static const struct row rows[] = {
        { "", "{}", true },
        { "scopes_required: [read]", "{\"scope\":\"read\"}", true },
        { "scopes_required: [read]", "{\"scope\":\"a read b\"}", true },
        { "scopes_required: [read]", "{\"scope\":[\"a\",\"read\"]}", true },
        { "scopes_required: [read]", "{\"scope\":\"reader\"}", false },
        { "scopes_required: [read]", "{\"scope\":\"Read\"}", false },
        { "scopes_required: [read]", "{\"scope\":\"\"}", false },
        { "scopes_required: [read]", "{}", false },
        { "scopes_required: [read]", "{\"scopes\":\"read\"}", false },
        { "scopes_required: [read, write]", "{\"scope\":\"write\"}", true },
        { "scopes_required: [read write]", "{\"scope\":\"write\"}", false },
        { "scopes_required: [read write]", "{\"scope\":\"write x read\"}", true },
        { "scopes_required: [read write, admin]", "{\"scope\":[\"admin\"]}", true },
        { "audience_required: [me]", "{\"aud\":\"me\"}", true },
        { "audience_required: [me]", "{\"aud\":[\"you\",\"me\"]}", true },
        { "audience_required: [me]", "{\"aud\":\"you\"}", false },
        { "groups_required: [staff]", "{\"groups\":[\"staff\"]}", true },
        { "groups_required: [staff]", "{\"groups\":[\"my staff\"]}", false },
        { "groups_required: [staff], roles_required: [boss]", "{\"groups\":\"staff\"}", false },
        { "groups_required: [staff], roles_required: [boss]", "{\"groups\":\"staff\",\"roles\":\"boss\"}",
          true },
    };
    check_rows(rows, COUNT_OF(rows));
}

Test(openid_connect_claims, nested)
{
#define ROLES "roles_required: [boss], roles_claim: [realm_access, roles]"
    static const struct row rows[] = {
        { ROLES, "{\"realm_access\":{\"roles\":[\"x\",\"boss\"]}}", true },
        { ROLES, "{\"realm_access\":{\"roles\":\"boss\"}}", true },
        { ROLES, "{\"realm_access\":{\"roles\":[]}}", false },
        { ROLES, "{\"realm_access\":{}}", false },
        { ROLES, "{\"realm_access\":\"boss\"}", false },
        { ROLES, "{\"realm_access\":[\"roles\",\"boss\"]}", false },
        { ROLES, "{\"realm_access\":[{\"roles\":\"boss\"}]}", false },
        { ROLES, "{\"roles\":[\"boss\"]}", false },
        { ROLES, "{\"realm_access.roles\":[\"boss\"]}", false },
        { ROLES, "{\"x\":{\"realm_access\":{\"roles\":\"boss\"}}}", false },
        { ROLES, "{\"realm_access\":{\"roles\":\"boss\",\"roles\":\"x\"}}", false },
        { ROLES, "{\"realm_access\":{\"roles\":\"x\",\"\\u0072oles\":\"boss\"}}", false },
        { ROLES, "{\"realm_access\":{\"roles\":{\"boss\":true}}}", false },
    };
    check_rows(rows, COUNT_OF(rows));
}

Test(openid_connect_claims, odd_json)
{
#define READ "scopes_required: [read]"
    static const struct row rows[] = {
        { READ, "", false },
        { READ, "null", false },
        { READ, "\"read\"", false },
        { READ, "[\"scope\",\"read\"]", false },
        { READ, "{\"scope\":\"read\"", false },
        { READ, "{\"scope\":\"read\"}}", false },
        { READ, "{\"scope\":\"read\",}", false },
        { READ, "{\"scope\":\"x\",\"scope\":\"read\"}", false },
        { READ, "{\"scope\":\"read\",\"s\\u0063ope\":\"read\"}", false },
        { READ, "{\"scope\":\"read\\u0000\"}", false },
        { READ, "{\"scope\":\"read\\u0020x\"}", true },
        { READ, "{\"scope\":\"\\u0072ead\"}", true },
        { READ, "{\"s\\u0063ope\":\"read\"}", true },
        { READ, " { \"scope\" : [ 1 , null , \"\\u0072ead\" ] } ", true },
        { READ, "{\"scope\":[[\"read\"]]}", false },
        { READ, "{\"scope\":[{\"read\":\"read\"}]}", false },
        { READ, "{\"scope\":{\"read\":true}}", false },
        { READ, "{\"scope\":null}", false },
        { READ, "{\"scope\":true}", false },
        { "scopes_required: ['1']", "{\"scope\":1}", false },
        { "scopes_required: ['null']", "{\"scope\":null}", false },
    };
    check_rows(rows, COUNT_OF(rows));
}

/* --- consumers ------------------------------------------------------------------------------------------ */

Test(openid_connect_claims, consumers)
{
#define BY "consumer_claim: [sub]"
    static const struct row rows[] = {
        { BY, "{\"sub\":\"alice\"}", true },
        { BY, "{\"sub\":\"a-1\"}", true },
        { BY, "{\"sub\":\"1111111a-2222-4333-8444-555555555555\"}", false },
        { BY ", consumer_by: [id]", "{\"sub\":\"1111111a-2222-4333-8444-555555555555\"}", true },
        { BY ", consumer_by: [id]", "{\"sub\":\"alice\"}", false },
        { BY ", consumer_by: [custom_id]", "{\"sub\":\"alice\"}", false },
        { BY ", consumer_by: [username]", "{\"sub\":\"a-1\"}", false },
        { BY, "{\"sub\":\"\\u0061lice\"}", true },
        { BY, "{\"sub\":\"alice\\u0000\"}", false },
        { BY, "{\"sub\":\"Alice\"}", false },
        { BY, "{\"sub\":\"bob\"}", false },
        { BY, "{\"sub\":\"\"}", false },
        { BY, "{\"sub\":null}", false },
        { BY, "{\"sub\":[\"alice\"]}", false },
        { BY, "{}", false },
        { "consumer_claim: [who, name]", "{\"who\":{\"name\":\"alice\"}}", true },
        { "consumer_claim: [who, name]", "{\"who\":\"alice\",\"name\":\"alice\"}", false },
    };
    check_rows(rows, COUNT_OF(rows));
}

Test(openid_connect_claims, a_consumer_may_be_optional)
{
    struct bench bench;
    bench_open(&bench, "consumer_claim: [sub], consumer_optional: true");
    cr_assert_eq(oidc_accept(&bench.oidc, SLICE("{\"sub\":\"bob\"}")), VERDICT_CONTINUE);
    cr_assert_null(bench.exchange->consumer);
    cr_assert_not_null(bench.exchange->credential);
    cr_assert(slice_equal(bench.exchange->identifier, SLICE("bob")));
    bench_close(&bench);
}

Test(openid_connect_claims, who_is_forbidden_may_be_anonymous)
{
    struct bench bench;
    bench_open(&bench, "anonymous: alice, scopes_required: [read]");
    cr_assert_eq(oidc_accept(&bench.oidc, SLICE("{\"sub\":\"bob\",\"scope\":\"x\"}")), VERDICT_CONTINUE);
    cr_assert_not_null(bench.exchange->consumer);
    cr_assert_null(bench.exchange->credential);
    bench_close(&bench);
}

/* --- what is told --------------------------------------------------------------------------------------- */

static const struct {
    const char *payload, *told; /* NULL: nothing */
} told[] = {
    { "{\"x\":\"plain\"}", "plain" },
    { "{\"x\":\"\\u0061\\\"b\"}", "a\"b" },
    { "{\"x\":12}", "12" },
    { "{\"x\":true}", "true" },
    { "{\"x\":[1,\"a\"]}", "[1,\"a\"]" },
    { "{\"x\":{\"a\":1}}", "{\"a\":1}" },
    { "{\"x\":null}", NULL },
    { "{}", NULL },
    { "{\"x\":\"a\\r\\nX-Admin: 1\"}", NULL },
    { "{\"x\":\"a\\u0000b\"}", NULL },
    { "{\"x\":[1,\n2]}", NULL },
};

Test(openid_connect_claims, told_in_headers)
{
    for (size_t i = 0; i < COUNT_OF(told); i++) {
        struct bench bench;
        bench_open(&bench, "upstream_headers_claims: [x], upstream_headers_names: [x-up], "
                           "downstream_headers_claims: [x], downstream_headers_names: [x-down], "
                           "credential_claim: [x]");
        cr_assert(message_set(&bench.exchange->upstream, SLICE("X-Up"), SLICE("forged")));
        cr_assert_eq(oidc_accept(&bench.oidc, slice_of(told[i].payload)), VERDICT_CONTINUE);
        struct slice up = fake_exchange_upstream_header(bench.exchange, "x-up");
        struct slice down = fake_exchange_response_header(bench.exchange, "x-down");
        struct slice want = slice_of(told[i].told), who = bench.exchange->identifier;
        bool same = slice_equal(up, want) && slice_equal(down, want) && slice_equal(who, want);
        bool none = up.data == NULL && down.data == NULL && who.data == NULL;
        cr_assert(told[i].told ? same : none, "row %zu: '%.*s', '%.*s'", i, SLICE_FORMAT(up),
                  SLICE_FORMAT(who));
        bench_close(&bench);
    }
}

Test(openid_connect_claims, without_memory_it_fails)
{
    for (int grants = 0; grants < 3; grants++) {
        struct bench bench;
        bench_open(&bench, "upstream_headers_claims: [sub], upstream_headers_names: [x-up], "
                           "downstream_headers_claims: [sub], downstream_headers_names: [x-down]");
        bench.exchange->grants_left = grants;
        cr_assert_eq(oidc_accept(&bench.oidc, SLICE("{\"sub\":\"bob\"}")), VERDICT_RESPOND);
        cr_assert_eq(bench.exchange->body_kind, FAKE_BODY_FAILURE);
        bench_close(&bench);
    }
}
