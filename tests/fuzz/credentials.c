/* SPDX-License-Identifier: Apache-2.0 */
/* A request with an arbitrary target, Cookie and Authorization (which stands for apikey and
 * Proxy-Authorization, too), one per line, before each plugin that reads a secret out of them: none of them
 * knows one, so nobody may be let in. */
#include "core/io/shard.h"
#include "plugins/oauth2.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct gate {
    const struct plugin *plugin;
    const char *options;
    const char *credential; /* of the only consumer; NULL: it has none */
    bool lets_pass; /* recognises, and leaves the refusal to others */
    const void *config;
    void *state;
};

static struct gate gates[] = {
    { .plugin = &key_auth_plugin,
      .options = "{key_names: [apikey, k], hide_credentials: true}",
      .credential = "{key: 1b0bb9a4e6a7496faf9c4ab2ea6a5fd5}" },
    { .plugin = &basic_auth_plugin,
      .options = "{hide_credentials: true}",
      .credential = "{username: alice, password: 1b0bb9a4e6a7496faf9c4ab2ea6a5fd5}" },
    { .plugin = &jwt_plugin,
      .options = "{uri_param_names: [jwt], cookie_names: [jwt], claims_to_verify: [exp]}",
      .credential = "{key: alice, secret: 1b0bb9a4e6a7496faf9c4ab2ea6a5fd5}" },
    { .plugin = &oauth2_plugin,
      .options = "{enable_authorization_code: true, provision_key: p, hide_credentials: true}",
      .credential = "{name: a, client_id: alice, client_secret: 1b0bb9a4e6a7496faf9c4ab2ea6a5fd5}" },
    { .plugin = &session_plugin,
      .options = "{secret: x, cookie_name: s, remember: true}",
      .lets_pass = true },
};

static struct plugin_setup setup;
static struct shard shard;

static void start(void)
{
    plugin_setup_init(&setup);
    shard.wall_ms = UINT64_C(1792567680000);
    struct consumer *consumer = plugin_setup_consumer(&setup, "alice", NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(gates); i++) {
        struct gate *gate = &gates[i];
        gate->config = plugin_setup_config(&setup, gate->plugin, gate->options);
        CHECK(gate->config != NULL);
        CHECK(gate->credential == NULL ||
              plugin_setup_credential(&setup, gate->plugin, consumer, gate->credential) != NULL);
        if (gate->plugin->shard_state_size > 0) {
            gate->state = calloc(1, gate->plugin->shard_state_size);
            CHECK(gate->state != NULL);
        }
    }
}

static void try(const struct gate *gate, struct slice target, struct slice cookie, struct slice secret)
{
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->model = setup.model;
    exchange->shard = &shard;
    exchange->request.origin_form = target;
    exchange->path = slice_split(target, '?', &exchange->query);
    fake_exchange_header(exchange, "Cookie", cookie);
    fake_exchange_header(exchange, "Authorization", secret);
    fake_exchange_header(exchange, "Proxy-Authorization", secret);
    fake_exchange_header(exchange, "apikey", secret);
    enum verdict verdict = fake_exchange_run(exchange, gate->plugin, PHASE_ACCESS, gate->config, gate->state);
    CHECK(verdict == (gate->lets_pass ? VERDICT_CONTINUE : VERDICT_RESPOND));
    CHECK(gate->lets_pass || (exchange->status >= 400 && exchange->status <= 403));
    CHECK(exchange->authenticate_count == 0 && exchange->consumer == NULL);
    fake_exchange_close(exchange);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (gates[0].config == NULL)
        start();
    struct slice rest = { size ? (const char *)data : "", size }, cookie = SLICE(""), secret = SLICE("");
    struct slice target = slice_split(rest, '\n', &rest);
    if (rest.data != NULL)
        cookie = slice_split(rest, '\n', &rest);
    if (rest.data != NULL)
        secret = rest;
    for (size_t i = 0; i < COUNT_OF(gates); i++)
        try(&gates[i], target, cookie, secret);
    return 0;
}
