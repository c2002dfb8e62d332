/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration, references and credentials; what certificates lead to is told by the tests from the
 * outside. */
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"
#include "tests/support/test_certs.h"

#include <criterion/criterion.h>

#define ID "6f6fbbd0-2b0e-4b0c-9a3a-4d1b0a8e9f01"

static struct plugin_setup setup;
static struct test_cert *authority;
static struct ca_certificate entry;
static struct ca_certificate *entries[] = { &entry };

static void start(void)
{
    plugin_setup_init(&setup);
    authority = test_cert_make(&(struct test_cert_options){ .name = "Test CA", .authority = true });
    entry = (struct ca_certificate){ .cert = test_cert_own(authority) };
    snprintf(entry.entity.id, sizeof(entry.entity.id), ID);
    setup.model->ca_certificates.items = entries;
    setup.model->ca_certificates.count = 1;
}

static void stop(void)
{
    test_cert_free(authority);
    plugin_setup_deinit(&setup);
}

TestSuite(mtls_auth, .init = start, .fini = stop);

static const struct {
    const char *text, *field, *reason;
} wrong_configs[] = {
    { "{}", "ca_certificates", "required" },
    { "{ca_certificates: []}", "ca_certificates", "" },
    { "{ca_certificates: [x]}", "ca_certificates[0]", "" },
    { "{ca_certificates: [" ID "], send_ca_dn: true}", "send_ca_dn", "not supported" },
    { "{ca_certificates: [" ID "], san_dirname_matcher: [CN]}", "san_dirname_matcher", "not supported" },
    { "{ca_certificates: [" ID "], https_proxy_port: 1}", "", "https_proxy_host" },
    { "{ca_certificates: [" ID "], cache_ttl: -1}", "cache_ttl", "" },
};

Test(mtls_auth, wrong_configurations)
{
    for (size_t i = 0; i < COUNT_OF(wrong_configs); i++) {
        cr_assert_null(plugin_setup_config(&setup, &mtls_auth_plugin, wrong_configs[i].text), "%zu", i);
        cr_assert(
            plugin_setup_reported(&setup, REPORT_ERROR, wrong_configs[i].field, wrong_configs[i].reason),
            "%zu", i);
    }
}

static bool links(const char *text)
{
    struct plugin_instance instance = { .config = (void *)(uintptr_t)plugin_setup_config(
                                            &setup, &mtls_auth_plugin, text) };
    cr_assert_not_null(instance.config);
    uint32_t before = setup.report.error_count;
    cr_assert(mtls_auth_plugin.kind.link(setup.model, &instance, &setup.report));
    return setup.report.error_count == before;
}

Test(mtls_auth, references)
{
    cr_assert(links("{ca_certificates: [" ID "]}"));
    cr_assert(links("{ca_certificates: [6F6FBBD0-2B0E-4B0C-9A3A-4D1B0A8E9F01]}"));
    cr_assert_not(links("{ca_certificates: [" ID ", 6f6fbbd0-2b0e-4b0c-9a3a-4d1b0a8e9f02]}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "ca_certificates[1]", "invalid reference"));
}

static const struct {
    const char *text, *key; /* key NULL: refused */
} credentials[] = {
    { "{subject_name: a}", " a" },
    { "{subject_name: a b, ca_certificate: 6F6FBBD0-2B0E-4B0C-9A3A-4D1B0A8E9F01}", ID " a b" },
    { "{subject_name: a, ca_certificate: {id: " ID "}}", ID " a" },
    { "{subject_name: a, ca_certificate: null}", " a" },
    { "{subject_name: a, ca_certificate: x}", NULL },
    { "{subject_name: a, ca_certificate: [x]}", NULL },
    { "{subject_name: \"a\\nb\"}", NULL },
    { "{ca_certificate: " ID "}", NULL },
};

Test(mtls_auth, credentials)
{
    struct consumer *alice = plugin_setup_consumer(&setup, "alice", NULL, NULL);
    const struct credential_kind *kind = mtls_auth_plugin.kind.credentials;
    for (size_t i = 0; i < COUNT_OF(credentials); i++) {
        const struct credential *read =
            plugin_setup_credential(&setup, &mtls_auth_plugin, alice, credentials[i].text);
        cr_assert_eq(read != NULL, credentials[i].key != NULL, "%zu", i);
        if (read == NULL)
            continue;
        struct slice key = *(const struct slice *)(const void *)((const char *)read + kind->key_offset);
        cr_assert(slice_equal(key, slice_of(credentials[i].key)), "%zu", i);
    }
}

Test(mtls_auth, in_the_clear)
{
    struct consumer *guest = plugin_setup_consumer(&setup, "guest", NULL, NULL);
    const char *const texts[] = { "{ca_certificates: [" ID "]}",
                                  "{ca_certificates: [" ID "], anonymous: guest}" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct exchange *exchange = fake_exchange_open("GET", "/");
        exchange->model = setup.model;
        cr_assert(message_add(&exchange->upstream, SLICE("X-Client-Cert-Dn"), SLICE("CN=admin")));
        const void *config = plugin_setup_config(&setup, &mtls_auth_plugin, texts[i]);
        enum verdict verdict = fake_exchange_run(exchange, &mtls_auth_plugin, PHASE_ACCESS, config, NULL);
        cr_assert_eq(verdict, i == 0 ? VERDICT_RESPOND : VERDICT_CONTINUE);
        cr_assert_eq(exchange->consumer, i == 0 ? NULL : guest);
        cr_assert_null(fake_exchange_upstream_header(exchange, "X-Client-Cert-Dn").data);
        if (i == 0)
            cr_assert(exchange->status == 401 &&
                      slice_equal(exchange->body, SLICE("No required TLS certificate was sent")));
        fake_exchange_close(exchange);
    }
}
