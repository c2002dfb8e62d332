/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of consumers nested and flat, who passes, what goes upstream, and lack of memory. */
#include "plugins/plugins.h"
#include "tests/support/config_setup.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

static struct plugin_setup setup;

/* In gold and staff, in silver, in none. */
static struct consumer *alice, *bob, *carol;

static void start(void)
{
    plugin_setup_init(&setup);
    alice = plugin_setup_consumer(&setup, "alice", NULL, NULL);
    bob = plugin_setup_consumer(&setup, "bob", NULL, NULL);
    carol = plugin_setup_consumer(&setup, "carol", NULL, NULL);
    cr_assert(plugin_setup_credential(&setup, &acl_plugin, alice, "{group: gold}") &&
              plugin_setup_credential(&setup, &acl_plugin, alice, "{group: staff}") &&
              plugin_setup_credential(&setup, &acl_plugin, bob, "{group: silver}"));
}

static void stop(void)
{
    plugin_setup_deinit(&setup);
}

TestSuite(acl, .init = start, .fini = stop);

static const void *config(const char *text)
{
    const void *read = plugin_setup_config(&setup, &acl_plugin, text);
    cr_assert_not_null(read, "%s", text);
    return read;
}

static struct exchange *request(const struct consumer *consumer, const struct credential *credential)
{
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->model = setup.model;
    exchange->consumer = consumer;
    exchange->credential = credential;
    return exchange;
}

static enum verdict run(struct exchange *exchange, const void *read)
{
    return fake_exchange_run(exchange, &acl_plugin, PHASE_ACCESS, read, NULL);
}

/* --- configuration -------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *field, *reason;
} wrong_configs[] = {
    { "{}", "test", "at least one of these fields must be non-empty: 'config.allow', 'config.deny'" },
    { "{allow: []}", "test",
      "at least one of these fields must be non-empty: 'config.allow', 'config.deny'" },
    { "{allow: [a], deny: [b]}", "test",
      "exactly one of these fields must be non-empty: 'config.allow', 'config.deny'" },
    { "{allow: gold}", "allow", "expected an array" },
    { "{whitelist: [a]}", "whitelist", "unknown field" },
};

Test(acl, wrong_configurations)
{
    for (size_t i = 0; i < COUNT_OF(wrong_configs); i++) {
        cr_assert_null(plugin_setup_config(&setup, &acl_plugin, wrong_configs[i].text));
        cr_assert(
            plugin_setup_reported(&setup, REPORT_ERROR, wrong_configs[i].field, wrong_configs[i].reason),
            "%zu", i);
    }
}

static const struct plugin_kind *const kinds[] = { &acl_plugin.kind, NULL };

static bool read_file(struct config_setup *read, const char *text)
{
    config_setup_init(read);
    const struct node *node = config_setup_node(read, text);
    return node && kong_read(node, kinds, read->model, &read->report);
}

Test(acl, groups_nested_and_flat)
{
    struct config_setup read;
    cr_assert(read_file(&read, "_format_version: '3.0'\n"
                               "acls:\n"
                               "- {group: gold, consumer: bob}\n"
                               "- {group: silver, consumer: alice}\n"
                               "consumers:\n"
                               "- {username: alice, acls: [{group: gold}, {group: staff}]}\n"
                               "- {username: bob}\n"));
    struct exchange *exchange = request(model_consumer(read.model, SLICE("alice")), NULL);
    cr_assert_eq(run(exchange, config("{allow: [staff]}")), VERDICT_CONTINUE);
    cr_assert(slice_equal(fake_exchange_upstream_header(exchange, "X-Consumer-Groups"),
                          SLICE("silver, gold, staff")));
    const struct consumer *consumer = model_consumer(read.model, SLICE("bob"));
    cr_assert_str_neq(consumer->credentials->entity.id, exchange->consumer->credentials->next->entity.id);
    fake_exchange_close(exchange);
    config_setup_deinit(&read);
}

Test(acl, a_group_once_per_consumer)
{
    struct config_setup read;
    cr_assert_not(read_file(&read, "_format_version: '3.0'\n"
                                   "acls:\n"
                                   "- {group: gold, consumer: alice}\n"
                                   "consumers:\n"
                                   "- {username: alice, acls: [{group: gold}]}\n"));
    cr_assert(config_setup_reported(&read, 0, "consumers[0].acls[0].group", "uniqueness violation"));
    cr_assert_eq(read.report.error_count, 1);
    config_setup_deinit(&read);
}

Test(acl, a_group_needs_a_consumer)
{
    struct config_setup read;
    cr_assert_not(read_file(&read, "_format_version: '3.0'\n"
                                   "acls: [{group: gold}, {group: gold, consumer: nobody}, {consumer: a}]\n"
                                   "consumers: [{username: a}]\n"));
    cr_assert(config_setup_reported(&read, 0, "acls[0].consumer", "required field missing"));
    cr_assert(config_setup_reported(&read, 0, "acls[1].consumer", "invalid reference"));
    cr_assert(config_setup_reported(&read, 0, "acls[2].group", "required field missing"));
    config_setup_deinit(&read);
}

/* --- who passes ----------------------------------------------------------------------------------------- */

enum who { NOBODY, ALICE, BOB, CAROL };
enum how { KNOWN, ANONYMOUS };

static const struct {
    const char *config;
    enum who who;
    enum how how;
    int status;
    const char *groups;
} visits[] = {
    { "{allow: [gold]}", NOBODY, KNOWN, 401, NULL },
    { "{deny: [gold]}", NOBODY, KNOWN, 401, NULL },
    { "{allow: [gold]}", ALICE, KNOWN, 200, "gold, staff" },
    { "{allow: [none, staff]}", ALICE, KNOWN, 200, "gold, staff" },
    { "{allow: [GOLD]}", ALICE, KNOWN, 403, NULL },
    { "{allow: [gol]}", ALICE, KNOWN, 403, NULL },
    { "{deny: [gold]}", ALICE, KNOWN, 403, NULL },
    { "{allow: [gold]}", BOB, KNOWN, 403, NULL },
    { "{deny: [gold]}", BOB, KNOWN, 200, "silver" },
    { "{allow: [gold]}", CAROL, KNOWN, 403, NULL },
    { "{deny: [gold]}", CAROL, KNOWN, 200, "" },
    { "{allow: [gold]}", CAROL, ANONYMOUS, 401, NULL },
    { "{deny: [gold]}", CAROL, ANONYMOUS, 200, "" },
    { "{allow: [gold]}", BOB, ANONYMOUS, 403, NULL },
    { "{allow: [gold], always_use_authenticated_groups: true}", ALICE, KNOWN, 200, "gold, staff" },
    { "{allow: [gold], hide_groups_header: true}", ALICE, KNOWN, 200, NULL },
};

Test(acl, who_passes)
{
    const struct consumer *const people[] = { NULL, alice, bob, carol };
    const struct credential some = { .consumer = alice };
    for (size_t i = 0; i < COUNT_OF(visits); i++) {
        bool known = visits[i].who != NOBODY && visits[i].how == KNOWN;
        struct exchange *exchange = request(people[visits[i].who], known ? &some : NULL);
        enum verdict verdict = run(exchange, config(visits[i].config));
        cr_assert_eq(verdict == VERDICT_CONTINUE ? 200 : exchange->status, visits[i].status, "%zu", i);
        struct slice groups = fake_exchange_upstream_header(exchange, "X-Consumer-Groups");
        cr_assert(visits[i].groups ? groups.data && slice_equal(groups, slice_of(visits[i].groups))
                                   : groups.data == NULL,
                  "%zu", i);
        cr_assert(visits[i].status != 401 || slice_equal(exchange->body, SLICE("Unauthorized")));
        cr_assert(visits[i].status != 403 ||
                  slice_equal(exchange->body, SLICE("You cannot consume this service")));
        fake_exchange_close(exchange);
    }
}

/* --- groups from elsewhere ------------------------------------------------------------------------------ */

enum { CONSUMER = 1, CREDENTIAL = 2, GROUPS = 4 };

static const struct {
    const char *config;
    unsigned with;
    int status;
    const char *outside, *own; /* what the upstream is told */
} outsiders[] = {
    { "{allow: [red]}", GROUPS, 200, "red, blue", NULL },
    { "{allow: [gold]}", GROUPS, 403, NULL, NULL },
    { "{deny: [red]}", GROUPS, 403, NULL, NULL },
    { "{deny: [gold]}", GROUPS, 200, "red, blue", NULL },
    { "{allow: [red], hide_groups_header: true}", GROUPS, 200, NULL, NULL },
    { "{allow: [red]}", 0, 401, NULL, NULL },
    { "{allow: [red]}", CREDENTIAL, 403, NULL, NULL },
    { "{deny: [red]}", CREDENTIAL, 403, NULL, NULL },
    { "{allow: [red]}", CREDENTIAL | GROUPS, 200, "red, blue", NULL },
    { "{allow: [red]}", CONSUMER | GROUPS, 200, "red, blue", NULL },
    { "{allow: [red]}", CONSUMER | CREDENTIAL | GROUPS, 403, NULL, NULL },
    { "{allow: [gold]}", CONSUMER | CREDENTIAL | GROUPS, 200, NULL, "gold, staff" },
    { "{allow: [red], always_use_authenticated_groups: true}", CONSUMER | CREDENTIAL | GROUPS, 200,
      "red, blue", NULL },
    { "{allow: [gold], always_use_authenticated_groups: true}", CONSUMER | CREDENTIAL | GROUPS, 403, NULL,
      NULL },
    { "{allow: [gold], always_use_authenticated_groups: true}", CONSUMER | CREDENTIAL, 200, NULL,
      "gold, staff" },
};

static bool is_told(const struct exchange *exchange, const char *name, const char *groups)
{
    struct slice told = fake_exchange_upstream_header(exchange, name);
    return groups ? told.data && slice_equal(told, slice_of(groups)) : told.data == NULL;
}

Test(acl, groups_from_elsewhere)
{
    struct slice groups[] = { SLICE("red"), SLICE("blue") };
    const struct credential some = { .consumer = alice };
    for (size_t i = 0; i < COUNT_OF(outsiders); i++) {
        unsigned with = outsiders[i].with;
        struct exchange *exchange = request(with & CONSUMER ? alice : NULL, with & CREDENTIAL ? &some : NULL);
        if (with & GROUPS)
            exchange->groups = (struct slices){ groups, COUNT_OF(groups) };
        enum verdict verdict = run(exchange, config(outsiders[i].config));
        cr_expect_eq(verdict == VERDICT_CONTINUE ? 200 : exchange->status, outsiders[i].status, "%zu", i);
        cr_expect(is_told(exchange, "X-Authenticated-Groups", outsiders[i].outside), "%zu", i);
        cr_expect(is_told(exchange, "X-Consumer-Groups", outsiders[i].own), "%zu", i);
        fake_exchange_close(exchange);
    }
}

Test(acl, never_lets_pass_without_memory)
{
    struct exchange *exchange = request(alice, NULL);
    exchange->grants_left = 0;
    cr_assert_eq(run(exchange, config("{allow: [gold]}")), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
    fake_exchange_close(exchange);
}
