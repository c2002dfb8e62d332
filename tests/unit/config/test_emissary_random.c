/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings drawn at random: what the rules answer is what sorting the Mappings and scanning them answers. */
#include "tests/support/kube_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAPPINGS = 24, ROUNDS = 150, QUESTIONS = 80 };

/* A Mapping as the plain implementation sees it; empty texts: no such condition. */
struct plain {
    char name[16];
    const char *prefix, *method, *host, *header, *query;
    bool exact, regex_header;
    int precedence;
};

static struct kube_setup setup;
static uint64_t state;

static unsigned draw(unsigned below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(state >> 33) % below;
}

#define PICK(list) list[draw(COUNT_OF(list))]

static const char *const prefixes[] = { "/", "/a", "/a/", "/a/b", "/b", "/ab", "/a/b/c", "/b/" };
static const char *const methods[] = { "", "", "", "GET", "POST" };
static const char *const hosts[] = { "*", "*", "h.test", "*.test", "h.*" };
static const char *const headers[] = { "", "", "", "1", "22" };
static const char *const queries[] = { "", "", "", "1", "22" };

static size_t size_of(const char *name, const char *value, bool regex)
{
    return value[0] ? strlen(name) + strlen(value) + regex : 0;
}

static int compare_sizes(size_t a, size_t b)
{
    return a > b ? -1 : a < b;
}

/* The conditions as Emissary writes them into its sort key. */
static void write_keys(const struct plain *one, char keys[4][32])
{
    int next = 0;
    memset(keys, 0, 4 * 32);
    if (one->header[0])
        snprintf(keys[next++], 32, "x-%s", one->header);
    snprintf(keys[next++], 32, ":authority-%s", one->host);
    if (one->method[0])
        snprintf(keys[next++], 32, ":method-%s", one->method);
    if (one->query[0])
        snprintf(keys[next++], 32, "q-%s", one->query);
}

/* Below 0: `a` is asked first. */
static int compare(const void *left, const void *right)
{
    const struct plain *a = left, *b = right;
    size_t headers_a = size_of("x", a->header, a->regex_header) + size_of(":authority", a->host, false) +
                       size_of(":method", a->method, false);
    size_t headers_b = size_of("x", b->header, b->regex_header) + size_of(":authority", b->host, false) +
                       size_of(":method", b->method, false);
    char keys_a[4][32], keys_b[4][32];
    int order = b->precedence - a->precedence;
    order = order ? order : compare_sizes(strlen(a->prefix), strlen(b->prefix));
    order = order ? order : compare_sizes(headers_a, headers_b);
    order = order ? order : compare_sizes(size_of("q", a->query, false), size_of("q", b->query, false));
    order = order ? order : strcmp(b->prefix, a->prefix);
    order = order ? order : strcmp(b->method[0] ? b->method : "GET", a->method[0] ? a->method : "GET");
    write_keys(a, keys_a);
    write_keys(b, keys_b);
    for (int i = 0; order == 0 && i < 4; i++)
        order = strcmp(keys_b[i], keys_a[i]);
    return order ? order : strcmp(a->name, b->name);
}

static bool host_matches(const char *glob, const char *host)
{
    size_t size = strlen(glob);
    if (strcmp(glob, "*") == 0)
        return true;
    if (glob[0] == '*')
        return strlen(host) >= size && strcmp(host + strlen(host) - (size - 1), glob + 1) == 0;
    return glob[size - 1] == '*' ? strncmp(glob, host, size - 1) == 0 : strcmp(glob, host) == 0;
}

struct question {
    const char *method, *host, *path, *header, *query;
};

static bool matches(const struct plain *one, const struct question *question)
{
    bool path = one->exact ? strcmp(one->prefix, question->path) == 0
                           : strncmp(one->prefix, question->path, strlen(one->prefix)) == 0;
    return path && host_matches(one->host, question->host) &&
           (!one->method[0] || strcmp(one->method, question->method) == 0) &&
           (!one->header[0] || strcmp(one->header, question->header) == 0) &&
           (!one->query[0] || strcmp(one->query, question->query) == 0);
}

/* Of two with the same conditions the second is left out: they would be one group. */
static bool is_same(const struct plain *a, const struct plain *b)
{
    return a->prefix == b->prefix && strcmp(a->method, b->method) == 0 && strcmp(a->host, b->host) == 0 &&
           strcmp(a->header, b->header) == 0 && strcmp(a->query, b->query) == 0 &&
           a->precedence == b->precedence && a->regex_header == b->regex_header;
}

static uint32_t draw_mappings(struct plain *list, char *text, size_t room)
{
    uint32_t count = 0;
    size_t size = 0;
    for (int i = 0; i < MAPPINGS; i++) {
        struct plain one = { .prefix = PICK(prefixes),
                             .method = PICK(methods),
                             .host = PICK(hosts),
                             .header = PICK(headers),
                             .query = PICK(queries),
                             .exact = draw(5) == 0,
                             .precedence = draw(6) == 0 };
        one.regex_header = one.header[0] && draw(3) == 0;
        snprintf(one.name, sizeof(one.name), "m%02d", i);
        bool known = false;
        for (uint32_t j = 0; j < count; j++)
            known = known || is_same(&list[j], &one);
        if (known)
            continue;
        list[count++] = one;
        size += (size_t)snprintf(
            text + size, room - size,
            "---\n{apiVersion: getambassador.io/v3alpha1, kind: Mapping, metadata: {name: %s}, spec: "
            "{prefix: %s, prefix_exact: %s, hostname: '%s', service: s, precedence: %d%s%s%s%s%s%s%s%s%s}}\n",
            one.name, one.prefix, one.exact ? "true" : "false", one.host, one.precedence,
            one.method[0] ? ", method: " : "", one.method,
            !one.header[0]     ? ""
            : one.regex_header ? ", regex_headers: {x: '"
                               : ", headers: {x: '",
            one.header, one.header[0] ? "'}" : "", one.query[0] ? ", query_parameters: {q: '" : "", one.query,
            one.query[0] ? "'}" : "", "");
        cr_assert_lt(size, room);
    }
    return count;
}

static void ask(const struct plain *list, uint32_t count)
{
    static const char *const asked_hosts[] = { "h.test", "x.test", "h.other", "other" };
    static const char *const paths[] = { "/", "/a", "/a/", "/a/b", "/a/b/c/d", "/b", "/abc", "/c" };
    static const char *const values[] = { "", "1", "22", "3" };
    static const char *const verbs[] = { "GET", "POST", "PUT" };
    struct question question = { PICK(verbs), PICK(asked_hosts), PICK(paths), PICK(values), PICK(values) };
    char text[128];
    const char *expected = "-";
    snprintf(text, sizeof(text), "%s %s %s%s%s%s%s", question.method, question.host, question.path,
             question.query[0] ? "?q=" : "", question.query, question.header[0] ? "\nx: " : "",
             question.header);
    for (uint32_t i = 0; i < count && expected[0] == '-'; i++)
        if (matches(&list[i], &question))
            expected = list[i].name;
    const char *got = kube_setup_name(&setup, text);
    cr_assert_str_eq(got, expected, "%s: %s instead of %s", text, got, expected);
}

Test(emissary_random, rules_are_a_sort_and_a_scan)
{
    static struct plain list[MAPPINGS];
    static char text[65536];
    kube_setup_init(&setup);
    state = 42;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t count = draw_mappings(list, text, sizeof(text));
        cr_assert(kube_setup_load(&setup, text));
        qsort(list, count, sizeof(list[0]), compare);
        for (int i = 0; i < QUESTIONS; i++)
            ask(list, count);
        arena_reset(&setup.arena);
    }
    kube_setup_deinit(&setup);
}
