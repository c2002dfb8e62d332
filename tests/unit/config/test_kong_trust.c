/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, server names, authorities, vaults, keys and what services refer to of them. */
#include "tests/support/config_setup.h"
#include "tests/support/test_certificates.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define ID "11111111-2222-4333-8444-555555555555"
#define CERT "cert: \"" TEST_CERT_EC "\""
#define KEY "key: \"" TEST_KEY_EC "\""
#define PAIR CERT ", " KEY

static struct config_setup setup;

static void open_setup(void)
{
    config_setup_init(&setup);
}

static void close_setup(void)
{
    config_setup_deinit(&setup);
}

TestSuite(kong_trust, .init = open_setup, .fini = close_setup);

static bool read_text(const char *text)
{
    char whole[16384];
    snprintf(whole, sizeof(whole), "_format_version: '3.0'\n%s\n", text);
    return config_setup_kong(&setup, whole);
}

static void read_good(const char *text)
{
    bool good = read_text(text);
    cr_assert(good, "%s: %s", good ? "" : setup.report.entries[0].path,
              good ? "" : setup.report.entries[0].reason);
}

Test(kong_trust, certificates)
{
    read_good("certificates:\n"
              "- {id: " ID ", " PAIR ", snis: [{name: a.test}, {name: '*.b.test', tags: [x]}]}\n"
              "- {" PAIR ", snis: [c.test, 'd.*', '*']}\n"
              "snis: [{name: e.test, certificate: " ID "}, {name: f.test, certificate: {id: " ID "}}]\n");
    const struct model *model = setup.model;
    const struct certificate *first = model->certificates.items[0];
    cr_assert(model->certificates.count == 2 && model->snis.count == 7);
    cr_assert(first->not_after_s > 2000000000 && first->cert.size > 0 && first->key.size > 0);
    cr_assert_null(first->cert_alt.data);
    cr_assert_str_eq(model->snis.items[0]->entity.name.data, "a.test");
    cr_assert_eq(model->snis.items[1]->certificate, first);
    cr_assert_str_eq(model->snis.items[1]->entity.tags.items[0].data, "x");
    cr_assert_eq(model->snis.items[3]->certificate, model->certificates.items[1]);
    cr_assert_eq(model->snis.items[5]->certificate, first);
    cr_assert_eq(model->snis.items[6]->certificate, first);
}

/* The same after every reload, although nothing names them. */
Test(kong_trust, ids_come_from_the_text)
{
    char before[MODEL_ID_SIZE];
    read_good("certificates: [{" PAIR "}, {" PAIR "}]");
    memcpy(before, setup.model->certificates.items[0]->entity.id, sizeof(before));
    cr_assert_str_eq(setup.model->certificates.items[1]->entity.id, before);
    close_setup();
    open_setup();
    read_good("certificates: [{" PAIR "}]");
    cr_assert_str_eq(setup.model->certificates.items[0]->entity.id, before);
}

Test(kong_trust, two_types_of_keys)
{
    read_good("certificates: [{" PAIR ", cert_alt: \"" TEST_CERT_RSA "\", key_alt: \"" TEST_KEY_RSA "\"}]");
    cr_assert(setup.model->certificates.items[0]->cert_alt.size > 0);
    cr_assert(setup.model->certificates.items[0]->key_alt.size > 0);
}

Test(kong_trust, authorities)
{
    read_good("ca_certificates:\n- {id: " ID ", cert: \"" TEST_CA "\"}\n"
              "upstreams: [{name: u}]\n");
    const struct ca_certificate *authority = setup.model->ca_certificates.items[0];
    cr_assert_eq(strlen(authority->digest), 64);
    cr_assert_str_eq(authority->entity.id, ID);
}

Test(kong_trust, what_services_refer_to)
{
    read_good("certificates: [{id: " ID ", " PAIR "}]\n"
              "ca_certificates: [{id: " ID ", cert: \"" TEST_CA "\"}]\n"
              "upstreams: [{name: u, client_certificate: " ID "}]\n"
              "services:\n"
              "- {name: s, host: u, protocol: https, client_certificate: {id: " ID "},\n"
              "   tls_verify: true, tls_verify_depth: 3, ca_certificates: [" ID "],\n"
              "   per_try_timeout: 500, retry_budget: {percent: 12.5}}\n"
              "- {name: t, host: u}\n");
    const struct model *model = setup.model;
    const struct service *service = model->services.items[0];
    cr_assert_eq(model->upstreams.items[0]->client_certificate, model->certificates.items[0]);
    cr_assert_eq(service->tls.client_certificate, model->certificates.items[0]);
    cr_assert(service->tls.verify == 1 && service->tls.verify_depth == 3);
    cr_assert(service->tls.authority_count == 1 &&
              service->tls.authorities[0] == model->ca_certificates.items[0]);
    cr_assert(service->per_try_timeout_ms == 500 && service->retry_budget.min_retries == 3);
    cr_assert_float_eq(service->retry_budget.percent, 12.5, 1e-9);
    service = model->services.items[1];
    cr_assert(service->tls.verify == -1 && service->tls.verify_depth == INTEGER_NULL);
    cr_assert(service->per_try_timeout_ms == INTEGER_NULL);
    cr_assert(service->retry_budget.percent != service->retry_budget.percent);
}

Test(kong_trust, vaults)
{
    setenv("SLUICE_KONG_SECRET", "found", 1);
    read_good("guard_keys: [{key: k, consumer: a, secret: '{vault://mine/secret}'}]\n"
              "consumers: [{username: a}]\n"
              "vaults:\n"
              "- {prefix: mine, name: env, description: d, config: {prefix: sluice_kong_}}\n"
              "- {prefix: other-1, name: file, config: {path: /run/secrets, base64_decode: true}}\n");
    const struct vaults *vaults = &setup.model->vaults;
    cr_assert_eq(vaults->count, 2);
    cr_assert_str_eq(vaults->items[0]->prefix.data, "sluice_kong_");
    cr_assert(vaults->items[1]->kind == VAULT_FILE && vaults->items[1]->base64_decode);
    cr_assert_str_eq(vaults->items[1]->path.data, "/run/secrets");
    cr_assert_eq(setup.report.count, 0);
}

Test(kong_trust, certificates_from_vaults)
{
    unsetenv("SLUICE_NO_CERT");
    read_good("certificates: [{cert: '{vault://env/sluice-no-cert}', " KEY ", snis: [a.test]}]\n");
    cr_assert_eq(setup.model->certificates.items[0]->cert.size, 0);
    cr_assert(config_setup_reported(&setup, 2, "certificates[0].cert",
                                    "unable to resolve reference {vault://env/sluice-no-cert}"));
}

Test(kong_trust, keys)
{
    read_good(
        "key_sets:\n"
        "- {name: set, keys: [{kid: a, name: n, jwk: '{\"kid\": \"a\", \"kty\": \"oct\", \"k\": \"YQ\"}'}]}\n"
        "keys:\n"
        "- {kid: a, pem: {public_key: \"" TEST_PUBLIC_EC "\"}}\n"
        "- {kid: b, set: set, pem: {public_key: \"" TEST_PUBLIC_EC "\", private_key: \"" TEST_KEY_EC
        "\"}}\n");
    const struct model *model = setup.model;
    cr_assert(model->key_sets.count == 1 && model->keys.count == 3);
    cr_assert_eq(model->keys.items[0]->set, model->key_sets.items[0]);
    cr_assert_null(model->keys.items[1]->set);
    cr_assert_eq(model->keys.items[2]->set, model->key_sets.items[0]);
    cr_assert(model->keys.items[2]->private_key.size > 0);
}

Test(kong_trust, what_exports_hold)
{
    read_good("workspaces: [{name: default, comment: c, meta: {}, config: {}}]\n"
              "parameters: [{key: cluster_id, value: x, created_at: 1}]\n");
    cr_assert(config_setup_reported(&setup, 3, "parameters[0]", "has no effect here"));
    cr_assert_eq(setup.report.error_count, 0);
}

static const struct {
    const char *text, *path, *reason;
    unsigned count;
} refused[] = {
    { "certificates: [{}]", "certificates[0].cert", "required field missing", 2 },
    { "certificates: [{}]", "certificates[0].key", "required field missing", 2 },
    { "certificates: [{cert: x, " KEY "}]", "certificates[0].cert",
      "invalid certificate: x509.new: error:68000", 1 },
    { "certificates: [{" CERT ", key: x}]", "certificates[0].key", "invalid key: pkey.new: error:", 1 },
    { "certificates: [{" CERT ", key: \"" TEST_KEY_OTHER "\"}]", "certificates[0]",
      "certificate does not match key", 1 },
    { "certificates: [{" PAIR ", cert_alt: \"" TEST_CERT_RSA "\"}]", "certificates[0]",
      "all or none of these fields must be set: 'cert_alt', 'key_alt'", 1 },
    { "certificates: [{" PAIR ", cert_alt: \"" TEST_CERT_RSA "\", key_alt: \"" TEST_KEY_OTHER "\"}]",
      "certificates[0]", "alternative certificate does not match key", 1 },
    { "certificates: [{" PAIR ", cert_alt: \"" TEST_CERT_OTHER "\", key_alt: \"" TEST_KEY_OTHER "\"}]",
      "certificates[0]", "need to have different type (e.g. RSA and ECDSA)", 1 },
    { "certificates: [{" PAIR ", snis: [1]}]", "certificates[0].snis[0]", "expected a record", 1 },
    { "certificates: [{" PAIR ", snis: [a.test, 1]}]", "certificates[0].snis[1].name", "expected a string",
      1 },
    { "certificates: [{" PAIR ", snis: [a.test, a.test]}]", "certificates[0].snis[1].name",
      "uniqueness violation: 'snis' entity with name set to 'a.test' already declared", 1 },
    { "certificates: [{" PAIR ", snis: [{name: a.test, certificate: x}]}]",
      "certificates[0].snis[0].certificate", "value must be null", 1 },
    { "snis: [{name: a.test}]", "snis[0].certificate", "required field missing", 1 },
    { "snis: [{name: a.test, certificate: x}]", "snis[0].certificate",
      "invalid reference 'certificate: x' (no such entry in 'certificates')", 1 },
    { "certificates: [{" PAIR ", snis: [{}]}]", "certificates[0].snis[0].name", "required field missing", 1 },
    { "certificates: [{" PAIR ", snis: ['a.*.test']}]", "certificates[0].snis[0].name",
      "wildcard must be leftmost or rightmost character", 1 },
    { "certificates: [{" PAIR ", snis: ['*.a.*']}]", "certificates[0].snis[0].name",
      "only one wildcard must be specified", 1 },
    { "certificates: [{" PAIR ", snis: [1.2.3.4]}]", "certificates[0].snis[0].name", "must not be an IP", 1 },
    { "certificates: [{" PAIR ", snis: ['a.test:443']}]", "certificates[0].snis[0].name",
      "must not have a port", 1 },
    { "certificates: [{" PAIR ", snis: ['a b']}]", "certificates[0].snis[0].name", "invalid value: a b", 1 },
    { "ca_certificates: [{}]", "ca_certificates[0].cert", "required field missing", 1 },
    { "ca_certificates: [{cert: x}]", "ca_certificates[0].cert", "invalid certificate: x509.new: error:", 1 },
    { "ca_certificates: [{cert: \"" TEST_CA TEST_CA "\"}]", "ca_certificates[0]",
      "please submit only one certificate at a time", 1 },
    { "ca_certificates: [{cert: \"" TEST_CA_EXPIRED "\"}]", "ca_certificates[0]",
      "certificate expired, \"Not After\" time is in the past", 1 },
    { "ca_certificates: [{" CERT "}]", "ca_certificates[0]",
      "does not appear to be a CA because it is missing the \"CA\" basic constraint", 1 },
    { "ca_certificates: [{cert: \"" TEST_CA "\"}, {cert: \"" TEST_CA "\"}]", "ca_certificates[1].cert_digest",
      "uniqueness violation: 'ca_certificates' entity with cert_digest", 1 },
    { "ca_certificates: [{cert: \"" TEST_CA "\", cert_digest: aa}]", "ca_certificates[0].cert_digest",
      "is not the digest of this certificate", 1 },
    { "services: [{host: h, client_certificate: " ID "}]", "services[0].client_certificate",
      "value must be null", 3 },
    { "services: [{host: h, tls_verify: false}]", "services[0]",
      "failed conditional validation given value of field 'protocol'", 2 },
    { "services: [{host: h, tls_verify_depth: 1}]", "services[0].tls_verify_depth", "value must be null", 2 },
    { "services: [{host: h, tls_verify_depth: 65}]", "services[0].tls_verify_depth",
      "value should be between 0 and 64", 3 },
    { "services: [{host: h, ca_certificates: []}]", "services[0].ca_certificates", "value must be null", 2 },
    { "services: [{host: h, protocol: https, ca_certificates: [x]}]", "services[0].ca_certificates[0]",
      "expected a valid UUID", 1 },
    { "services: [{host: h, protocol: https, ca_certificates: [" ID "]}]", "services[0].ca_certificates[0]",
      "invalid reference 'ca_certificates: " ID "' (no such entry in 'ca_certificates')", 1 },
    { "services: [{host: h, protocol: grpc, path: /a}]", "services[0].path", "value must be null", 2 },
    { "services: [{url: 'grpcs://h/a'}]", "services[0].url", "value must be null", 2 },
    { "services: [{host: h, protocol: tcp, path: /x}]", "services[0].path", "value must be null", 2 },
    { "services: [{host: h, per_try_timeout: 0}]", "services[0].per_try_timeout",
      "value should be between 1 and 2147483646", 1 },
    { "services: [{host: h, retry_budget: {percent: 101}}]", "services[0].retry_budget.percent",
      "value should be between 0 and 100", 1 },
    { "services: [{host: h, retry_budget: {min: 1}}]", "services[0].retry_budget.min", "unknown field", 1 },
    { "vaults: [{}]", "vaults[0].prefix", "required field missing", 2 },
    { "vaults: [{}]", "vaults[0].name", "required field missing", 2 },
    { "vaults: [{name: env, prefix: P_}]", "vaults[0].prefix", "invalid value: P_", 1 },
    { "vaults: [{name: env, prefix: a}]", "vaults[0].prefix", "invalid value: a", 1 },
    { "vaults: [{name: env, prefix: a-}]", "vaults[0].prefix", "invalid value: a-", 1 },
    { "vaults: [{name: env, prefix: env}]", "vaults[0].prefix", "must not be one of: env, file", 1 },
    { "vaults: [{name: aws, prefix: a1}]", "vaults[0].name", "vault 'aws' is not installed", 1 },
    { "vaults: [{name: env, prefix: a1}, {name: env, prefix: a1}]", "vaults[1].prefix",
      "uniqueness violation: 'vaults' entity with prefix set to 'a1' already declared", 1 },
    { "vaults: [{name: env, prefix: a1, config: {prefix: '1a'}}]", "vaults[0].config.prefix",
      "invalid value: 1a", 1 },
    { "vaults: [{name: env, prefix: a1, config: {path: /x}}]", "vaults[0].config.path", "unknown field", 1 },
    { "vaults: [{name: file, prefix: a1}]", "vaults[0].config.path", "required field missing", 1 },
    { "key_sets: [{name: a}, {name: a}]", "key_sets[1].name",
      "uniqueness violation: 'key_sets' entity with name set to 'a' already declared", 1 },
    { "keys: [{kid: a}]", "keys[0]", "at least one of these fields must be non-empty: 'jwk', 'pem'", 1 },
    { "keys: [{jwk: '{}'}]", "keys[0].kid", "required field missing", 1 },
    { "keys: [{kid: a, jwk: '{', pem: {public_key: \"" TEST_PUBLIC_EC "\"}}]", "keys[0]",
      "only one or none of these fields must be set: 'jwk', 'pem'", 2 },
    { "keys: [{kid: a, jwk: '{'}]", "keys[0]", "could not json decode jwk string", 1 },
    { "keys: [{kid: a, jwk: '{\"kid\": \"b\"}'}]", "keys[0]", "kid in jwk.kid must be equal to keys.kid", 1 },
    { "keys: [{kid: a, jwk: '{\"kid\": \"a\", \"kty\": \"RSA\", \"n\": \"AQ\"}'}]", "keys[0]",
      "could not load JWK, likely not a valid key", 1 },
    { "keys: [{kid: a, jwk: '{\"kid\": \"a\", \"kty\": \"EC\", \"crv\": \"P-1\", \"x\": \"AQ\"}'}]",
      "keys[0]", "could not load JWK", 1 },
    { "keys: [{kid: a, pem: {}}]", "keys[0].pem",
      "at least one of these fields must be non-empty: 'private_key', 'public_key'", 1 },
    { "keys: [{kid: a, pem: {public_key: x}}]", "keys[0].pem", "could not load public key", 1 },
    { "keys: [{kid: a, pem: {private_key: x}}]", "keys[0].pem", "could not load private key", 1 },
    { "keys: [{kid: a, pem: {public_key: \"" TEST_PUBLIC_OTHER "\", private_key: \"" TEST_KEY_EC "\"}}]",
      "keys[0].pem", "public key does not match private key", 1 },
    { "keys: [{kid: a, set: x, pem: {public_key: \"" TEST_PUBLIC_EC "\"}}]", "keys[0].set",
      "invalid reference 'set: x' (no such entry in 'key_sets')", 1 },
    { "keys: [{kid: a, pem: {public_key: \"" TEST_PUBLIC_EC
      "\"}}, {kid: a, pem: {public_key: \"" TEST_PUBLIC_EC "\"}}]",
      "keys[1].id", "uniqueness violation: 'keys' entity with primary key set to", 1 },
    { "filter_chains: [{filters: [{name: f}]}]", "filter_chains[0]",
      "at least one of these fields must be non-empty: 'service', 'route'", 2 },
    { "services: [{host: h, filter_chains: [{filters: [{name: f}]}]}]", "services[0].filter_chains[0]",
      "WebAssembly filters: not supported yet", 1 },
    { "services: [{host: h, filter_chains: [{}]}]", "services[0].filter_chains[0].filters",
      "required field missing", 2 },
    { "services: [{host: h, filter_chains: [{filters: []}]}]", "services[0].filter_chains[0].filters",
      "length must be at least 1", 2 },
    { "services: [{host: h, filter_chains: [{filters: [{}]}]}]",
      "services[0].filter_chains[0].filters[0].name", "required field missing", 2 },
    { "workspaces: [{name: team}]", "workspaces[0].name", "there is only the workspace 'default'", 1 },
    { "workspaces: [{}]", "workspaces[0].name", "required field missing", 1 },
    { "workspaces: [{name: default, meta: 1}]", "workspaces[0].meta", "expected a record", 1 },
    { "parameters: [{key: a}]", "parameters[0].value", "required field missing", 1 },
};

Test(kong_trust, every_message)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_not(read_text(refused[i].text), "%s", refused[i].text);
        cr_assert(config_setup_reported(&setup, 2, refused[i].path, refused[i].reason), "%s: %s: %s",
                  refused[i].text, setup.report.entries[0].path, setup.report.entries[0].reason);
        cr_assert_eq(setup.report.count, refused[i].count, "%s: %u reports", refused[i].text,
                     setup.report.count);
        close_setup();
        open_setup();
    }
}

/* Written in two ways, so that Kong's ids differ. */
Test(kong_trust, one_kid_in_a_set)
{
    cr_assert_not(read_text("keys: [{kid: a, set: s, pem: {public_key: \"" TEST_PUBLIC_EC "\"}}]\n"
                            "key_sets: [{name: s, keys: [{kid: a, pem: {public_key: \"" TEST_PUBLIC_EC
                            "\"}}]}]"));
    cr_assert_eq(setup.report.count, 1);
    cr_assert(config_setup_reported(&setup, 3, "key_sets[0].keys[0].kid",
                                    "uniqueness violation: 'keys' entity with kid, set set to"));
}

Test(kong_trust, expired_certificate)
{
    read_good("certificates: [{cert: \"" TEST_CA_EXPIRED "\", key: \"" TEST_KEY_OTHER "\"}]");
    cr_assert(config_setup_reported(&setup, 2, "certificates[0].cert", "the certificate has expired"));
}

Test(kong_trust, times_of_vaults_have_no_effect)
{
    read_good("vaults: [{name: env, prefix: mine, config: {ttl: 5}}]");
    cr_assert(config_setup_reported(&setup, 2, "vaults[0].config.ttl", "has no effect"));
}
