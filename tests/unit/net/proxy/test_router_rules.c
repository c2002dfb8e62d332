/* SPDX-License-Identifier: Apache-2.0 */
/* Match rules of no dialect: kinds of paths and hosts, conditions over fields with several values. */
#include "config/model.h"
#include "core/base/hash.h"
#include "net/proxy/router.h"

#include <criterion/criterion.h>

static struct model *model;
static struct regex_scratch scratch;
static struct route route;
static struct message message;
static struct router router;
static struct router_match found;

static void start(void)
{
    hash_start();
    model = model_open();
    cr_assert_not_null(model);
    cr_assert_eq(regex_scratch_init(&scratch), ERROR_OK);
}

static void end(void)
{
    model_close(model);
    regex_scratch_deinit(&scratch);
}

TestSuite(router_rules, .init = start, .fini = end);

static struct match_rule *add(void)
{
    struct match_rule *rule = match_rule_add(model);
    cr_assert_not_null(rule);
    rule->route = &route;
    return rule;
}

static void build(void)
{
    struct router_source source = { model->rules.items, model->rules.count, MATCH_HTTP };
    cr_assert_eq(router_build(&router, &model->arena, &source), ERROR_OK);
}

static const struct regex *regex_of(const char *pattern, enum regex_anchor anchor)
{
    enum error error;
    struct match_regex_request request = { slice_of(pattern), anchor, NULL, &error };
    const struct regex *regex = match_regex(&model->arena, &request);
    cr_assert_not_null(regex);
    return regex;
}

static struct router_request ask(const char *host, const char *path)
{
    message_init(&message, &model->arena);
    struct slice query, text = slice_split(slice_of(path), '?', &query);
    return (struct router_request){ .method = SLICE("GET"),
                                    .host = slice_of(host),
                                    .path = text,
                                    .query = query,
                                    .port = 8000,
                                    .message = &message,
                                    .scratch = &scratch,
                                    .arena = &model->arena };
}

static const struct {
    enum match_path_kind kind;
    const char *text;
    bool fold_case;
    const char *path, *prefix; /* NULL: no match */
} path_rows[] = {
    { MATCH_PATH_PREFIX, "/ab", false, "/abc", "/ab" },
    { MATCH_PATH_PREFIX, "/ab", false, "/ABC", NULL },
    { MATCH_PATH_PREFIX, "/ab", true, "/ABC", "/AB" },
    { MATCH_PATH_EXACT, "/ab", false, "/ab", "/ab" },
    { MATCH_PATH_EXACT, "/ab", false, "/ab/", NULL },
    { MATCH_PATH_EXACT, "/ab", true, "/aB", "/aB" },
    { MATCH_PATH_SEGMENTS, "/ab", false, "/ab", "/ab" },
    { MATCH_PATH_SEGMENTS, "/ab", false, "/ab/", "/ab" },
    { MATCH_PATH_SEGMENTS, "/ab", false, "/ab/c", "/ab" },
    { MATCH_PATH_SEGMENTS, "/ab", false, "/abc", NULL },
    { MATCH_PATH_SEGMENTS, "/ab", true, "/AB/c", "/AB" },
    { MATCH_PATH_SEGMENTS, "", false, "/anything", "" },
};

Test(router_rules, paths)
{
    for (size_t i = 0; i < COUNT_OF(path_rows); i++) {
        model->rules.count = 0;
        add()->path = (struct match_path){ .kind = path_rows[i].kind,
                                           .text = slice_of(path_rows[i].text),
                                           .fold_case = path_rows[i].fold_case };
        build();
        struct router_request request = ask("h", path_rows[i].path);
        bool matched = router_match(&router, &request, &found);
        cr_assert_eq(matched, path_rows[i].prefix != NULL, "row %zu", i);
        cr_assert(!matched || slice_equal(found.prefix, slice_of(path_rows[i].prefix)), "row %zu", i);
    }
}

Test(router_rules, whole_regexes_match_all_of_a_path)
{
    add()->path = (struct match_path){ .kind = MATCH_PATH_REGEX,
                                       .text = SLICE("/a|/ab"),
                                       .regex = regex_of("/a|/ab", REGEX_WHOLE) };
    build();
    struct router_request one = ask("h", "/ab"), two = ask("h", "/abc");
    cr_assert(router_match(&router, &one, &found));
    cr_assert_not(router_match(&router, &two, &found));
}

static const struct {
    struct match_host host;
    const char *asked;
    bool matches;
} host_rows[] = {
    { { .text = { "a.test", 6 } }, "a.test:81", true },
    { { .text = { "a.test", 6 } }, "A.test", false },
    { { .text = { "a.test", 6 }, .fold_case = true }, "A.TEST", true },
    { { .text = { ".test", 5 }, .wildcard = MATCH_HOST_ENDS, .fold_case = true }, "x.a.TEST", true },
    { { .text = { "est", 3 }, .wildcard = MATCH_HOST_ENDS }, "a.test", true },
    { { .text = { "est", 3 }, .wildcard = MATCH_HOST_ENDS }, "a.org", false },
    { { .text = { "a.t", 3 }, .wildcard = MATCH_HOST_STARTS }, "a.test", true },
    { { .text = { "a.test", 6 }, .port_of = MATCH_PORT_OF_LISTENER, .port = 8000 }, "a.test", true },
    { { .text = { "a.test", 6 }, .port_of = MATCH_PORT_OF_SCHEME, .port = 80 }, "a.test", true },
    { { .text = { "a.test", 6 }, .port_of = MATCH_PORT_OF_SCHEME, .port = 8000 }, "a.test", false },
    { { .text = { "est", 3 }, .wildcard = MATCH_HOST_ENDS, .port_of = MATCH_PORT_OF_SCHEME, .port = 82 },
      "a.test:82",
      true },
};

Test(router_rules, hosts)
{
    for (size_t i = 0; i < COUNT_OF(host_rows); i++) {
        model->rules.count = 0;
        struct match_rule *rule = add();
        rule->hosts = &host_rows[i].host;
        rule->host_count = 1;
        build();
        struct router_request request = ask(host_rows[i].asked, "/");
        cr_assert_eq(router_match(&router, &request, &found), host_rows[i].matches, "row %zu", i);
    }
}

#define EQUALS(value) \
    .values = &(const struct match_value){ .test = MATCH_EQUAL, .text = SLICE(value) }, .value_count = 1
#define IS_THERE .values = &(const struct match_value){ .test = MATCH_PRESENT }, .value_count = 1

/* X-Two: 1, X-Two: 2; ?q=%31&q=2&r */
Test(router_rules, conditions)
{
    const struct {
        struct match_condition condition;
        bool matches;
    } rows[] = {
        { { .field = MATCH_HEADER, .name = SLICE("x-two"), EQUALS("2") }, true },
        { { .field = MATCH_HEADER, .name = SLICE("x_two"), EQUALS("2") }, false },
        { { .field = MATCH_HEADER, .name = SLICE("x_two"), .loose_name = true, EQUALS("2") }, true },
        { { .field = MATCH_HEADER, .name = SLICE("x-two"), .repeat = MATCH_FIRST_VALUE, EQUALS("2") },
          false },
        { { .field = MATCH_HEADER, .name = SLICE("x-two"), .repeat = MATCH_JOINED_VALUES, EQUALS("1,2") },
          true },
        { { .field = MATCH_HEADER, .name = SLICE("x-two"), .repeat = MATCH_EVERY_VALUE, EQUALS("2") },
          false },
        { { .field = MATCH_HEADER, .name = SLICE("x-two"), IS_THERE }, true },
        { { .field = MATCH_HEADER, .name = SLICE("x-none"), IS_THERE }, false },
        { { .field = MATCH_HEADER, .name = SLICE("x-none"), .inverted = true, IS_THERE }, true },
        { { .field = MATCH_QUERY, .name = SLICE("q"), .repeat = MATCH_FIRST_VALUE, EQUALS("1") }, true },
        { { .field = MATCH_RAW_QUERY, .name = SLICE("q"), .repeat = MATCH_FIRST_VALUE, EQUALS("%31") },
          true },
        { { .field = MATCH_QUERY, .name = SLICE("r"), EQUALS("") }, true },
        { { .field = MATCH_AUTHORITY, EQUALS("h:1") }, true },
        { { .field = MATCH_HOST, EQUALS("h") }, true },
        { { .field = MATCH_METHOD, .fold_case = true, EQUALS("get") }, true },
        { { .field = MATCH_SNI, .only_tls = true, EQUALS("x") }, true },
        { { .field = MATCH_SNI, EQUALS("x") }, false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        model->rules.count = 0;
        struct match_rule *rule = add();
        rule->conditions = &rows[i].condition;
        rule->condition_count = 1;
        build();
        struct router_request request = ask("h:1", "/?q=%31&q=2&r");
        cr_assert(message_add(&message, SLICE("X-Two"), SLICE("1")));
        cr_assert(message_add(&message, SLICE("X-Two"), SLICE("2")));
        cr_assert_eq(router_match(&router, &request, &found), rows[i].matches, "row %zu", i);
    }
}

Test(router_rules, order_and_traffic)
{
    static struct route routes[4];
    const uint64_t ranks[][2] = { { 1, 0 }, { 5, 2 }, { 5, 1 }, { 9, 0 } };
    for (size_t i = 0; i < COUNT_OF(ranks); i++) {
        struct match_rule *rule = add();
        rule->route = &routes[i];
        rule->priority = ranks[i][0];
        rule->order = ranks[i][1];
        rule->traffic = i == 3 ? MATCH_STREAM : MATCH_HTTP;
    }
    build();
    cr_assert_eq(router.rule_count, 3);
    struct router_request request = ask("h", "/");
    cr_assert(router_match(&router, &request, &found));
    cr_assert_eq(found.route, &routes[2], "the lower order of the higher priority");
}
