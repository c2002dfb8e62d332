/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's expression language: what is read, what is refused and where, and every beginning of a good text. */
#include "config/kong/expression.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct arena arena;
static struct kong_expression_error error;

static void start(void)
{
    arena_init(&arena, NULL, 0, 64u << 20);
}

static void end(void)
{
    arena_deinit(&arena);
}

TestSuite(expression, .init = start, .fini = end);

static const struct match_node *parse_for(struct slice text, enum match_traffic traffic)
{
    struct kong_expression_source source = { .text = text, .traffic = traffic, .arena = &arena };
    return kong_expression_parse(&source, &error);
}

static const struct match_node *parse(const char *text)
{
    return parse_for(slice_of(text), MATCH_HTTP);
}

static const char *const good[] = {
    "http.path == \"/a\"",
    "http.path!=\"/a\"&&http.method==\"GET\"",
    "http.path ~ r#\"^/a/(\\d+)$\"#",
    "http.path ^= \"/a\" || http.path =^ \".png\" || http.host contains \"x\"",
    "!(http.path == \"/a\" && (tls.sni == \"a\" || !(net.protocol == \"https\")))",
    "lower(http.headers.x_a) == \"b\"",
    "any(lower(http.queries.q)) != \"\"",
    "lower ( any ( http.queries.q.r ) ) == \"\\\"\\\\\\n\\r\\t\"",
    "net.src.ip in 10.0.0.0/8 && net.dst.ip not in fd00::/8",
    "net.src.ip == 1.2.3.4 || net.src.ip != ::1",
    "net.dst.port == 0x1F90 && net.src.port > 010 && net.port <= 65535",
    "http.path.segments.len >= 2 && http.path.segments.0 == \"a\" && http.path.segments.1_12 == \"b/c\"",
    "net.src.port < -5",
    "\t(\n((http.host == \"a\")) \r\n)\t",
};

Test(expression, reads_what_kong_reads)
{
    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_assert_not_null(parse(good[i]), "%s: %u:%u %.*s", good[i], error.line, error.column,
                           SLICE_FORMAT(error.reason));
}

/* A shorter text is another good one, or it is refused within its bounds. */
Test(expression, every_beginning_is_judged)
{
    for (size_t i = 0; i < COUNT_OF(good); i++)
        for (size_t size = 0; size < strlen(good[i]); size++) {
            char *copy = malloc(size + 1);
            memcpy(copy, good[i], size);
            bool read = parse_for((struct slice){ copy, size }, MATCH_HTTP) != NULL;
            cr_assert(read || (error.reason.size > 0 && error.column >= 1 && error.column <= size + 1));
            free(copy);
        }
}

static const struct {
    const char *text;
    uint32_t line, column;
    const char *reason;
} bad[] = {
    { "", 1, 1, "expected a field" },
    { "net.foo == 3000", 1, 1, "Unknown LHS field" },
    { "http.path == \"/\" && net.foo == 3000", 1, 21, "Unknown LHS field" },
    { "http.path = \"/\"", 1, 11, "expected an operator" },
    { "http.path == /", 1, 14, "expected a string, a number, an IP address or a CIDR" },
    { "http.path == \"/", 1, 16, "expected \" at the end of a string" },
    { "http.path == r#\"/\"", 1, 19, "expected \"# at the end of a raw string" },
    { "http.path == \"\\d\"", 1, 15, "unknown escape" },
    { "http.path == \"/\" http", 1, 18, "expected && or ||" },
    { "(http.path == \"/\"", 1, 18, "expected ), && or ||" },
    { "!http.path == \"/\"", 1, 2, "expected ( behind !" },
    { "http.path == \"/\" &&\n  foo == 1", 2, 3, "Unknown LHS field" },
    { "http.path == 1", 1, 1, "Type mismatch between the LHS and RHS values of predicate" },
    { "net.dst.port == \"80\"", 1, 1, "Type mismatch between the LHS and RHS values of predicate" },
    { "net.src.ip == 10.0.0.0/8", 1, 1, "Type mismatch between the LHS and RHS values of predicate" },
    { "net.src.ip in 10.0.0.1", 1, 1, "In/NotIn operators only supports IP in CIDR" },
    { "http.host in \"a\"", 1, 1, "In/NotIn operators only supports IP in CIDR" },
    { "net.src.ip in 10.0.0.1/8", 1, 15, "'10.0.0.1/8': host part of address was not zero" },
    { "net.src.ip in 10.0.0.0/33", 1, 15, "'10.0.0.0/33': more bits than the address has" },
    { "net.src.port ~ \"1\"", 1, 1, "Regex operators only supports string operands" },
    { "net.src.port ^= 1", 1, 1, "Regex/Prefix/Postfix operators only supports string operands" },
    { "net.src.port contains 1", 1, 1, "Contains operator only supports string operands" },
    { "http.host > \"1\"", 1, 1,
      "Greater/GreaterOrEqual/Lesser/LesserOrEqual operators only supports integer operands" },
    { "lower(net.src.port) == 1", 1, 1,
      "lower-case transformation function only supported with String type fields" },
    { "upper(http.host) == \"a\"", 1, 1, "unknown function: lower() and any() are known" },
    { "http.path.segments.2_1 == \"a\"", 1, 1, "illformed http.path.segments.* field" },
    { "http.path.segments.01 == \"a\"", 1, 1, "illformed http.path.segments.* field" },
    { "http.path ~ \"a(\"", 1, 13, NULL },
    { "http.path ~ \"(?=a)\"", 1, 13, "invalid regex: look-around is not supported" },
    { "http.path ~ r#\"(a)\\1\"#", 1, 13, "invalid regex: a back-reference is not supported" },
    { "net.src.port == 9223372036854775808", 1, 17, "'9223372036854775808' is no number of 64 bits" },
    { "net.src.port == 019", 1, 17, "'019' is no number of 64 bits" },
    { "net.src.ip not 10.0.0.0/8", 1, 16, "expected in" },
};

Test(expression, says_what_is_wrong_and_where)
{
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cr_assert_null(parse(bad[i].text), "%s", bad[i].text);
        cr_assert(!bad[i].reason || slice_equal(error.reason, slice_of(bad[i].reason)), "%s: %.*s",
                  bad[i].text, SLICE_FORMAT(error.reason));
        cr_assert(error.line == bad[i].line && error.column == bad[i].column, "%s: %u:%u", bad[i].text,
                  error.line, error.column);
    }
}

Test(expression, streams_have_no_http)
{
    cr_assert_not_null(parse_for(SLICE("net.src.port == 1 && tls.sni == \"a\""), MATCH_STREAM));
    cr_assert_null(parse_for(SLICE("http.path == \"/\""), MATCH_STREAM));
    cr_assert_null(parse_for(SLICE("http.headers.a == \"/\""), MATCH_STREAM));
}

Test(expression, and_binds_tighter_than_or)
{
    const struct match_node *node =
        parse("http.method == \"A\" || http.method == \"B\" && http.method == \"C\" && tls.sni == \"D\"");
    cr_assert_eq(node->kind, MATCH_ONE_OF);
    cr_assert_eq(node->first->kind, MATCH_LEAF);
    cr_assert_eq(node->first->next->kind, MATCH_ALL_OF);
    cr_assert_not_null(node->first->next->first->next->next);
    cr_assert_null(node->first->next->next);
    cr_assert(slice_equal(node->first->text, SLICE("http.method == \"A\"")));
}

Test(expression, levels_are_limited)
{
    char text[400] = "";
    for (unsigned levels = 1; levels <= 100; levels++) {
        memset(text, '(', levels);
        int wrote = snprintf(text + levels, sizeof(text) - levels, "tls.sni == \"a\"");
        memset(text + levels + (size_t)wrote, ')', levels);
        text[2 * levels + (unsigned)wrote] = '\0';
        cr_assert_eq(parse(text) != NULL, levels <= KONG_EXPRESSION_DEPTH_MAX, "%u", levels);
    }
}

Test(expression, memory_may_end_anywhere)
{
    bool read = false;
    for (size_t limit = 0; !read && limit < 1u << 20; limit += 64) {
        struct arena small;
        arena_init(&small, NULL, 0, limit);
        struct kong_expression_source source = { slice_of(good[4]), MATCH_HTTP, &small };
        read = kong_expression_parse(&source, &error) != NULL;
        cr_assert(read || error.reason.data == NULL);
        arena_deinit(&small);
    }
    cr_assert(read);
}
