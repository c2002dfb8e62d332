/* SPDX-License-Identifier: Apache-2.0 */
/* What a real Kong answered to tokens of every kind, replayed against the plugin alone. The same cases are
 * replayed against the whole gateway by tests/kong. */
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORDED_CASES = 77, REPEATED_AUTHORIZATION = 3 };

static json_t *load_cases(void)
{
    char here[PATH_MAX] = __FILE__, path[PATH_MAX + 64];
    json_error_t error;
    snprintf(path, sizeof(path), "%s/../../kong/cases/jwt.json", dirname(here));
    json_t *root = json_load_file(path, 0, &error);
    cr_assert_not_null(root, "%s: %s", path, error.text);
    return root;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void load_consumers(struct plugin_setup *setup, const json_t *config)
{
    size_t i, j;
    json_t *entry, *secret;
    json_array_foreach(json_object_get(config, "consumers"), i, entry)
    {
        struct consumer *consumer = plugin_setup_consumer(setup, text_of(entry, "username"),
                                                          text_of(entry, "custom_id"), text_of(entry, "id"));
        json_array_foreach(json_object_get(entry, "jwt_secrets"), j, secret)
        {
            char *text = json_dumps(secret, 0);
            cr_assert_not_null(plugin_setup_credential(setup, &jwt_plugin, consumer, text), "%s", text);
            free(text);
        }
    }
}

/* The configuration of the plugin on the route for that host. */
static const void *config_for(struct plugin_setup *setup, const json_t *config, const char *host)
{
    size_t i;
    json_t *service;
    json_array_foreach(json_object_get(config, "services"), i, service)
    {
        json_t *route = json_array_get(json_object_get(service, "routes"), 0);
        json_t *plugin = json_array_get(json_object_get(service, "plugins"), 0);
        if (strcmp(json_string_value(json_array_get(json_object_get(route, "hosts"), 0)), host) != 0)
            continue;
        char *text = json_dumps(json_object_get(plugin, "config"), 0);
        const void *read = plugin_setup_config(setup, &jwt_plugin, text);
        free(text);
        return read;
    }
    return NULL;
}

static const char *header_pair(const json_t *headers, size_t index, const char **value)
{
    const json_t *pair = json_array_get(headers, index);
    *value = json_string_value(json_array_get(pair, 1));
    return json_string_value(json_array_get(pair, 0));
}

/* Fills the exchange; returns the host, or NULL when Authorization stands there twice, which ends a request
 * before its plugins. */
static const char *fill_request(struct exchange *exchange, const json_t *headers)
{
    const char *host = NULL;
    int authorizations = 0;
    for (size_t i = 0; i < json_array_size(headers); i++) {
        const char *value, *name = header_pair(headers, i, &value);
        fake_exchange_header(exchange, name, slice_of(value));
        if (strcmp(name, "Host") == 0)
            host = value;
        authorizations += strcmp(name, "Authorization") == 0;
    }
    return authorizations > 1 ? NULL : host;
}

static const char *first_value(const json_t *headers, const char *name)
{
    return json_string_value(json_array_get(json_object_get(headers, name), 0));
}

static void check_text(const char *name, struct slice got, const char *expected)
{
    cr_assert(slice_equal(got, slice_of(expected)), "%s: '%.*s' and not '%s'", name, SLICE_FORMAT(got),
              expected ? expected : "(absent)");
}

static void check_passed(const char *name, const struct exchange *exchange, const json_t *expect)
{
    const json_t *headers = json_object_get(json_object_get(expect, "upstream"), "headers");
    const struct consumer *consumer = exchange->consumer;
    const char *anonymous = first_value(headers, "x-anonymous-consumer");
    check_text(name, consumer ? consumer->entity.name : (struct slice){ NULL, 0 },
               first_value(headers, "x-consumer-username"));
    check_text(name, exchange->identifier, first_value(headers, "x-credential-identifier"));
    cr_assert_eq(consumer != NULL && exchange->credential == NULL, anonymous != NULL, "%s", name);
}

static void check_refused(const char *name, const struct exchange *exchange, const json_t *expect)
{
    const json_t *body = json_object_get(expect, "body");
    struct slice got = exchange->body;
    cr_assert_eq(exchange->body_kind, FAKE_BODY_JSON, "%s", name);
    check_text(name, fake_exchange_response_header(exchange, "WWW-Authenticate"),
               first_value(json_object_get(expect, "headers"), "www-authenticate"));
    if (json_is_string(body) && json_string_length(body) > 0) { /* the answer to HEAD has none */
        check_text(name, got, json_string_value(body));
    } else if (json_is_object(body)) {
        json_t *parsed = json_loadb(got.data, got.size, 0, NULL);
        cr_assert(json_equal(parsed, json_object_get(body, "json")), "%s: %.*s", name, SLICE_FORMAT(got));
        json_decref(parsed);
    }
}

/* Returns false when the case does not reach the plugin. */
static bool replay(struct plugin_setup *setup, const json_t *config, const json_t *one)
{
    const char *name = text_of(one, "name");
    const json_t *step = json_array_get(json_object_get(one, "steps"), 0);
    const json_t *request = json_object_get(step, "request"), *expect = json_object_get(step, "expect");
    json_int_t status = json_integer_value(json_object_get(expect, "status"));
    struct exchange *exchange = fake_exchange_open(text_of(request, "method"), text_of(request, "target"));
    const char *host = fill_request(exchange, json_object_get(request, "headers"));
    if (host != NULL) {
        const void *instance = config_for(setup, config, host);
        cr_assert_not_null(instance, "%s", name);
        exchange->model = setup->model;
        enum verdict verdict = fake_exchange_run(exchange, &jwt_plugin, PHASE_ACCESS, instance, NULL);
        cr_assert_eq(verdict == VERDICT_CONTINUE ? 200 : exchange->status, status, "%s: %.*s", name,
                     SLICE_FORMAT(exchange->body));
        if (status == 200)
            check_passed(name, exchange, expect);
        else if (status == 401)
            check_refused(name, exchange, expect);
        else
            cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE, "%s", name);
    }
    fake_exchange_close(exchange);
    return host != NULL;
}

Test(jwt_recorded, all_agree)
{
    json_t *root = load_cases(), *one;
    const json_t *config = json_object_get(root, "config");
    struct plugin_setup setup;
    size_t i, replayed = 0;
    plugin_setup_init(&setup);
    load_consumers(&setup, config);
    json_array_foreach(json_object_get(root, "cases"), i, one) replayed += replay(&setup, config, one);
    cr_assert_eq(i, RECORDED_CASES);
    cr_assert_eq(replayed, RECORDED_CASES - REPEATED_AUTHORIZATION);
    cr_assert_eq(setup.report.error_count, 0);
    plugin_setup_deinit(&setup);
    json_decref(root);
}
