/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/config_setup.h"

#include <criterion/criterion.h>

/* The second line of a file, and the one thing that is wrong with it. */
static const struct {
    const char *text, *path, *reason;
} refused[] = {
    { "services: {a: 1}", "services", "expected an array" },
    { "services: [1]", "services[0]", "expected a record" },
    { "services: [{name: s}]", "services[0].host", "required field missing" },
    { "services: [{host: h, name: a b}]", "services[0].name", "invalid value 'a b': the only accepted" },
    { "services: [{host: h, tags: ['a,b']}]", "services[0].tags[0]", "invalid tag 'a,b'" },
    { "services: [{host: h, id: x}]", "services[0].id", "expected a valid UUID" },
    { "services: [{host: 'h:80'}]", "services[0].host", "must not have a port" },
    { "services: [{host: h h}]", "services[0].host", "invalid value: h h" },
    { "services: [{host: a..b}]", "services[0].host", "invalid value" },
    { "services: [{host: h, path: /a//b}]", "services[0].path", "must not have empty segments" },
    { "services: [{host: h, path: /a%zz}]", "services[0].path", "invalid url-encoded value" },
    { "services: [{host: h, path: /a b}]", "services[0].path", "characters outside of the reserved list" },
    { "services: [{host: h, proxy_protocol: v3}]", "services[0].proxy_protocol",
      "expected one of: none, v1, v2" },
    { "services: [{url: 'http:/a'}]", "services[0].host", "required field missing" },
    { "services: [{url: 'ftp://h'}]", "services[0].url", "unknown protocol" },
    { "services: [{url: 'http://h:99999'}]", "services[0].url", "invalid port number" },
    { "services: [{url: 'http://u@h'}]", "services[0].url", "protocol, host, port and path only" },
    { "services: [{url: 'http://h/?a'}]", "services[0].url", "protocol, host, port and path only" },
    { "services: [{host: h, routes: [{}]}]", "services[0].routes[0]",
      "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'" },
    { "routes: [{protocols: [http]}]", "routes[0]",
      "must set one of 'methods', 'hosts', 'headers', 'paths' when 'protocols' is 'http'" },
    { "routes: [{protocols: [http], paths: []}]", "routes[0]", "must set one of" },
    { "routes: [{paths: [/], protocols: []}]", "routes[0].protocols", "length must be at least 1" },
    { "routes: [{destinations: [{port: 1}], paths: [/], protocols: [udp]}]", "routes[0].paths",
      "cannot set 'paths' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'" },
    { "routes: [{destinations: [{}], protocols: [tcp]}]", "routes[0].destinations[0]",
      "at least one of these fields must be non-empty: 'ip', 'port'" },
    { "routes: [{sources: [{ip: x}], protocols: [tcp]}]", "routes[0].sources[0].ip",
      "invalid ip or cidr range: 'x'" },
    { "routes: [{paths: [/], sources: [{port: 1}]}]", "routes[0].sources",
      "cannot set 'sources' when 'protocols' is 'http' or 'https'" },
    { "routes: [{sources: [{port: 1}], protocols: [tls_passthrough]}]", "routes[0]",
      "must set snis when 'protocols' is 'tls_passthrough'" },
    { "routes: [{paths: [/], protocols: [grpc], methods: [GET]}]", "routes[0].methods",
      "cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'" },
    { "routes: [{paths: [/], protocols: [grpcs], strip_path: true}]", "routes[0].strip_path",
      "cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'" },
    { "routes: [{protocols: [grpc]}]", "routes[0]",
      "must set one of 'hosts', 'headers', 'paths' when 'protocols' is 'grpc'" },
    { "routes: [{protocols: [grpc, grpcs]}]", "routes[0]",
      "must set one of 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'grpcs'" },
    { "routes: [{paths: [/], protocols: [http, grpc]}]", "routes[0].protocols",
      "these sets are mutually exclusive: ('http', 'https'), ('grpc', 'grpcs')" },
    { "routes: [{paths: [/], protocols: [http, tcp]}]", "routes[0].protocols",
      "these sets are mutually exclusive: ('http', 'https'), ('tcp', 'tls', 'udp')" },
    { "routes: [{paths: [a]}]", "routes[0].paths[0]",
      "should start with: / (fixed path) or ~/ (regex path)" },
    { "routes: [{paths: [/, '']}]", "routes[0].paths[1]", "should start with: /" },
    { "routes: [{paths: ['~/a(']}]", "routes[0].paths[0]", "invalid regex: '/a(' (PCRE returned: " },
    { "routes: [{paths: [/a/../b]}]", "routes[0].paths[0]", "consider use '/b' instead" },
    { "routes: [{paths: [/../b]}]", "routes[0].paths[0]", "above the root" },
    { "routes: [{paths: ['/a%zz']}]", "routes[0].paths[0]", "invalid url-encoded value: '%zz'" },
    { "routes: [{paths: ['/a%4']}]", "routes[0].paths[0]", "invalid url-encoded value: '%4'" },
    { "routes: [{methods: [get]}]", "routes[0].methods[0]", "invalid value: get" },
    { "routes: [{hosts: ['*.a.*']}]", "routes[0].hosts[0]", "must have at most one wildcard" },
    { "routes: [{hosts: ['a*.b']}]", "routes[0].hosts[0]", "leftmost or rightmost" },
    { "routes: [{hosts: ['*']}]", "routes[0].hosts[0]", "leftmost or rightmost" },
    { "routes: [{hosts: [a b]}]", "routes[0].hosts[0]", "invalid hostname: a b" },
    { "routes: [{hosts: ['a:99999']}]", "routes[0].hosts[0]", "invalid port number" },
    { "routes: [{headers: {Host: [a]}}]", "routes[0].headers", "cannot contain 'host' header" },
    { "routes: [{headers: {a b: [a]}}]", "routes[0].headers", "bad header name 'a b'" },
    { "routes: [{snis: [1.2.3.4]}]", "routes[0].snis[0]", "must not be an IP" },
    { "routes: [{paths: [/], https_redirect_status_code: 303}]", "routes[0].https_redirect_status_code",
      "expected one of: 426, 301, 302, 307, 308" },
    { "routes: [{paths: [/], path_handling: v2}]", "routes[0].path_handling", "expected one of: v0, v1" },
    { "routes: [{paths: [/], expression: x}]", "routes[0].expression", "unknown field (it belongs to" },
    { "routes: [{paths: [/], service: s}]", "routes[0].service",
      "invalid reference 'service: s' (no such entry in 'services')" },
    { "routes: [{paths: [/], service: {id: 11111111-2222-4333-8444-555555555555}}]", "routes[0].service",
      "invalid reference" },
    { "routes: [{paths: [/], service: 1}]", "routes[0].service", "expected a string" },
    { "services: [{name: s, host: h, routes: [{paths: [/], service: s}]}]", "services[0].routes[0].service",
      "value must be null" },
    { "consumers: [{tags: [a]}]", "consumers[0]",
      "at least one of these fields must be non-empty: 'custom_id', 'username'" },
    { "consumers: [{username: a, custom_id: c}, {username: b, custom_id: c}]", "consumers[1].custom_id",
      "uniqueness violation: 'consumers' entity with custom_id set to 'c' already declared" },
    { "consumers: [{username: a, guard_key: []}]", "consumers[0].guard_key", "did you mean 'guard_keys'" },
    { "consumers: [{username: a, acls: [{group: g}]}]", "consumers[0].acls", "not supported yet" },
    { "consumers: [{username: a, guard_keys: [{key: k}, {key: k}]}]", "consumers[0].guard_keys[1].key",
      "uniqueness violation: 'guard_keys' entity with key set to 'k' already declared" },
    { "guard_keys: [{key: k}]", "guard_keys[0].consumer", "required field missing" },
    { "guard_keys: [{key: k, consumer: c}]", "guard_keys[0].consumer", "invalid reference 'consumer: c'" },
    { "guard: [{key: k, consumer: c}]", "guard", "unknown field" },
    { "plugins: [{name: nope}]", "plugins[0].name",
      "plugin 'nope' not enabled; add it to the 'plugins' configuration property" },
    { "plugins: [{config: {}}]", "plugins[0].name", "required field missing" },
    { "plugins: [{name: count}]", "plugins[0].config.minute", "required field missing" },
    { "plugins: [{name: guard, config: {stricd: 1}}]", "plugins[0].config.stricd", "did you mean 'strict'" },
    { "plugins: [{name: guard}, {name: guard}]", "plugins[1].name",
      "uniqueness violation: 'plugins' entity" },
    { "plugins: [{name: guard, instance_name: a, protocols: [ftp]}]", "plugins[0].protocols[0]",
      "expected one of: grpc, grpcs, http, https" },
    { "plugins: [{name: guard, protocols: [tcp]}]", "plugins[0].protocols[0]",
      "expected one of: grpc, grpcs, http, https" },
    { "routes: [{paths: [/], plugins: [{name: guard, protocols: [grpc]}]}]", "routes[0].plugins[0].protocols",
      "must match the associated route's protocols" },
    { "sessions: [{}]", "sessions", "not supported yet" },
    { "keyauth_credentials: [{}]", "keyauth_credentials", "not supported yet" },
    { "_info: {}", "_info", "unknown field" },
    { "servces: []", "servces", "unknown field (did you mean 'services'?)" },
};

Test(kong_errors, one_each)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        char text[512];
        struct config_setup one;
        config_setup_init(&one);
        snprintf(text, sizeof(text), "_format_version: '3.0'\n%s\n", refused[i].text);
        cr_assert_not(config_setup_kong(&one, text), "%s", text);
        cr_assert(config_setup_reported(&one, 2, refused[i].path, refused[i].reason), "%s: %s: %s",
                  refused[i].text, one.report.entries[0].path, one.report.entries[0].reason);
        cr_assert_eq(one.report.count, 1, "%s: %u reports", refused[i].text, one.report.count);
        config_setup_deinit(&one);
    }
}

/* Two reports for one thing, as in Kong. */
static const struct {
    const char *text, *path, *reason, *second_path, *second_reason;
} twofold[] = {
    { "services: [{url: nope}]", "services[0].path", "should start with: /", "services[0].host",
      "required field missing" },
    { "services: [{url: 'a:b'}]", "services[0].path", "should start with: /", "services[0].host",
      "required field missing" },
    { "routes: [{paths: [/], snis: [a.test], protocols: [grpc]}]", "routes[0].snis", "length must be 0",
      "routes[0]", "can only be set when" },
    { "routes: [{paths: [/], snis: [a.test], protocols: [http]}]", "routes[0].snis", "length must be 0",
      "routes[0]", "can only be set when" },
};

Test(kong_errors, two_for_one)
{
    for (size_t i = 0; i < COUNT_OF(twofold); i++) {
        char text[512];
        struct config_setup one;
        config_setup_init(&one);
        snprintf(text, sizeof(text), "_format_version: '3.0'\n%s\n", twofold[i].text);
        cr_assert_not(config_setup_kong(&one, text), "%s", text);
        cr_assert(config_setup_reported(&one, 2, twofold[i].path, twofold[i].reason), "%s", text);
        cr_assert(config_setup_reported(&one, 2, twofold[i].second_path, twofold[i].second_reason), "%s",
                  text);
        cr_assert_eq(one.report.count, 2, "%s: %u reports", text, one.report.count);
        config_setup_deinit(&one);
    }
}

static const struct {
    const char *text, *path, *reason;
} whole[] = {
    { "{}", "_format_version", "required field missing" },
    { "[]", "", "expected a record" },
    { "{_format_version: 3.0}", "_format_version", "expected a string" },
    { "{_format_version: '2.0'}", "_format_version", "expected one of: 1.1, 2.1, 3.0" },
    { "{_format_version: '3.0', _transform: 1}", "_transform", "expected a boolean" },
};

Test(kong_errors, of_the_whole_file)
{
    for (size_t i = 0; i < COUNT_OF(whole); i++) {
        struct config_setup one;
        config_setup_init(&one);
        cr_assert_not(config_setup_kong(&one, whole[i].text), "%s", whole[i].text);
        cr_assert(config_setup_reported(&one, 1, whole[i].path, whole[i].reason), "%s", whole[i].text);
        cr_assert_eq(one.report.count, 1, "%s", whole[i].text);
        config_setup_deinit(&one);
    }
}

Test(kong_errors, empty_collections_are_harmless)
{
    struct config_setup one;
    config_setup_init(&one);
    cr_assert(config_setup_kong(&one, "{_format_version: '3.0', upstreams: [], vaults: ~, services: ~}"));
    config_setup_deinit(&one);
}

Test(kong_errors, a_broken_entity_is_still_known)
{
    struct config_setup one;
    config_setup_init(&one);
    cr_assert_not(config_setup_kong(&one, "{_format_version: '3.0', services: [{name: s, port: x}],\n"
                                          " routes: [{paths: [/], service: s}]}"));
    cr_assert_eq(one.report.count, 2);
    config_setup_deinit(&one);
}
