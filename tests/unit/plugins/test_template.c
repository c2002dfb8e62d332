/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/template.h"

#include <criterion/criterion.h>

static const struct template_root roots[] = {
    { "headers", true }, { "captures", true }, { "status", false }, { NULL, false }
};
static struct arena arena;

static void start(void)
{
    arena_init(&arena, NULL, 0, 8 * 1024 * 1024);
}

static void stop(void)
{
    arena_deinit(&arena);
}

TestSuite(template, .init = start, .fini = stop);

static bool find(const struct template_scope *scope, uint32_t root, const struct template_value *key,
                 uint32_t nth, struct template_value *value)
{
    static const struct {
        uint32_t root;
        const char *key;
        uint32_t nth;
        const char *text;
    } values[] = {
        { 0, "x", 1, "one" },    { 0, "x", 2, "two" },
        { 0, "x-y", 1, "dash" }, { 0, "authorization", 1, "Bearer abc.def" },
        { 0, "empty", 1, "" },   { 1, "id", 1, "42" },
    };
    (void)scope;
    *value = (struct template_value){ .kind = TEMPLATE_NIL };
    if (root == 2)
        *value = (struct template_value){ .kind = TEMPLATE_NUMBER, .number = 404 };
    else if (root == 1 && key->kind == TEMPLATE_NUMBER && key->number > 0 && key->number < 2)
        *value = (struct template_value){ .kind = TEMPLATE_STRING, .text = SLICE("first") };
    else if (root == 0 && slice_equal(key->text, SLICE("flag")))
        value->kind = TEMPLATE_TRUE;
    for (size_t i = 0; root < 2 && key->kind == TEMPLATE_STRING && i < COUNT_OF(values); i++)
        if (values[i].root == root && values[i].nth == nth && slice_equal(key->text, slice_of(values[i].key)))
            *value = (struct template_value){ .kind = TEMPLATE_STRING, .text = slice_of(values[i].text) };
    return true;
}

static const struct {
    const char *template, *text; /* text NULL: it fails when it is rendered */
} rows[] = {
    { "plain", "plain" },
    { "", "" },
    { "$", "$" },
    { "a$b(c)", "a$b(c)" },
    { "$(headers.x)", "one" },
    { "$(headers['x'])", "one" },
    { "$(headers[\"x-y\"])", "dash" },
    { "$(headers.x[2])", "two" },
    { "$(headers.x[3])", "" },
    { "$(headers.x[0])", "" },
    { "$(headers.none)", "" },
    { "$(headers['x' .. '-' .. 'y'])", "dash" },
    { "$(captures[1])/$(captures.id)", "first/42" },
    { "$(status)", "404" },
    { "$(status == 404 and 'gone' or 'here')", "gone" },
    { "pre-$(headers.x)-post", "pre-one-post" },
    { "$(headers.none)$(headers.x)", "one" },
    { "$(headers.none or headers.x)", "one" },
    { "$(headers.none or 'dflt')", "dflt" },
    { "$(headers.empty or 'dflt')", "" },
    { "$(headers.none or captures.none or \"unknown\")", "unknown" },
    { "$(headers.x and 'yes' or 'no')", "yes" },
    { "$(not headers.x)", "" },
    { "$(not headers.none)", "true" },
    { "$(headers.flag)", "true" },
    { "$(1 + 2)", "3" },
    { "$(2 ^ 3 ^ 2)", "512" },
    { "$(-2 ^ 2)", "-4" },
    { "$(7 % 3 - -7 % 3)", "-1" },
    { "$(10 / 4)", "2.5" },
    { "$('10' * 2)", "20" },
    { "$(1e3 + 0x10)", "1016" },
    { "$(1 .. 2)", "12" },
    { "$('a' .. 'b' == 'ab')", "true" },
    { "$(1 == '1')", "" },
    { "$('b' > 'a' and 2 <= 2 and 3 ~= 4)", "true" },
    { "$(#headers.x)", "3" },
    { "$('$(escaped)')", "$(escaped)" },
    { "$(')')", ")" },
    { "$([[long \" string]])", "long \" string" },
    { "$('\\65\\x42\\n\\'')", "AB\n'" },
    { "$(headers.x:upper())", "ONE" },
    { "$(string.upper(headers.x))", "ONE" },
    { "$((headers.none or 'q'):upper():lower())", "q" },
    { "$(('abc'):sub(2))$(('abc'):sub(-2, -2))$(('abc'):sub(3, 1))", "bcb" },
    { "$(headers.authorization:sub(8))", "abc.def" },
    { "$(headers.authorization:gsub('^Bearer%s+', ''))", "abc.def" },
    { "$(headers.authorization:match('^Bearer (.-)%.'))", "abc" },
    { "$(headers.authorization:find('abc'))", "8" },
    { "$(headers.authorization:find('.', 1, true))", "11" },
    { "$(string.gsub('a-b-c', '-', '_', 1))", "a_b-c" },
    { "$(('hello world'):gsub('(%w+) (%w+)', '%2 %1%%'))", "world hello%" },
    { "$(('abc'):gsub('%w', '%0%0'))", "aabbcc" },
    { "$(('abc'):gsub('', '-'))", "-a-b-c-" },
    { "$(('ab'):rep(3))$(('ab'):reverse())$(('ab'):len())", "abababba2" },
    { "$(tostring(nil) .. tostring(true) .. tostring(12))", "niltrue12" },
    { "$(tonumber('12') + 1)$(tonumber('ff', 16))$(tonumber('x'))", "13255" },
    { "$(type(headers.x) == 'string' and type(nil) or type(1))", "nil" },
    { "$((function() return 'f' end)())", "f" },
    { "$((function() end)())", "" },
    { "$((function() local v = headers.authorization if not v then return end "
      "v = v:gsub('Bearer ', '') return v end)())",
      "abc.def" },
    { "$((function() local v if headers.none then v = 1 "
      "elseif status == 404 then v = 'b'; else v = 3 end return v; end)())",
      "b" },
    { "$((function() local a = 'x' if true then local a = 'y' end "
      "return a end)() .. (function() return 2 end)())",
      "x2" },
    { "$(headers.x -- what follows is a comment\n)", "one" },
    { "$(headers.none .. 'x')", NULL },
    { "$(string.upper(headers.none))", NULL },
    { "$(headers.none:upper())", NULL },
    { "$(headers.none < 1)", NULL },
    { "$('a' + 1)", NULL },
    { "$(#status)", NULL },
    { "$(('x'):rep(70000))", NULL },
    { "$(('x'):gsub('[' .. headers['x-y'], ''))", NULL },
};

Test(template, renders)
{
    struct template_scope scope = { &arena, find };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct template_error error;
        struct slice text;
        const struct template *template = template_compile(&arena, slice_of(rows[i].template), roots, &error);
        cr_assert_not_null(template, "%s: %s at %zu", rows[i].template, error.reason, error.offset);
        enum template_result result = template_render(template, &scope, &text);
        cr_assert_eq(result, rows[i].text ? TEMPLATE_RENDERED : TEMPLATE_FAILED, "%s", rows[i].template);
        if (rows[i].text)
            cr_assert(slice_equal(text, slice_of(rows[i].text)), "%s gives '%.*s'", rows[i].template,
                      SLICE_FORMAT(text));
    }
}

static const struct {
    const char *template, *reason;
    size_t offset;
} errors[] = {
    { "a$(nofunc())", "unknown name 'nofunc'", 3 },
    { "$(string.format('%d', 1))", "unknown name 'string.format'", 9 },
    { "$(os.time())", "unknown name 'os'", 2 },
    { "$(headers)", "headers is a table", 9 },
    { "$(headers.)", "expected a name", 10 },
    { "$(headers.x", "the $( has no )", 11 },
    { "$()", "')' is not supported here", 2 },
    { "$(", "expected an expression", 2 },
    { "$(1 +)", "')' is not supported here", 5 },
    { "$(headers.x headers.y)", "not supported in an expression", 12 },
    { "$(headers.x:frobnicate())", "unknown method 'frobnicate'", 12 },
    { "$(headers.x:sub())", "does not take so many arguments", 15 },
    { "$(headers.x.y.z)", "not supported here", 11 },
    { "$({})", "'{' is not supported here", 2 },
    { "$(tostring)", "is a function", 2 },
    { "$(('x'):gsub('%', ''))", "the pattern is malformed", 12 },
    { "$('x)", "the string does not end", 2 },
    { "$('\\q')", "an unknown escape", 3 },
    { "$(1x)", "a malformed number", 2 },
    { "$((function() for i = 1, 2 do end end)())", "only local, if, return", 14 },
    { "$((function() return 1 end))", "expected '('", 27 },
    { "$((function() x = 1 end)())", "only local, if, return", 14 },
    { "$((function() if 1 then return 2 end)())", "only local, if, return", 36 },
    { "$((function(a) return a end)())", "expected ')'", 12 },
};

Test(template, what_is_refused)
{
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        struct template_error error;
        cr_assert_null(template_compile(&arena, slice_of(errors[i].template), roots, &error), "%s",
                       errors[i].template);
        cr_assert(strstr(error.reason, errors[i].reason), "%s: %s", errors[i].template, error.reason);
        cr_assert_eq(error.offset, errors[i].offset, "%s: %zu", errors[i].template, error.offset);
    }
}

Test(template, bounds)
{
    char text[8192] = "$(";
    struct template_error error;
    memset(text + 2, '(', 200);
    text[202] = '\0';
    cr_assert_null(template_compile(&arena, slice_of(text), roots, &error));
    cr_assert(strstr(error.reason, "nested too deeply"));
    for (size_t i = 2; i < 4000; i += 2)
        memcpy(text + i, "1+", 2);
    memcpy(text + 4000, "1)", 3);
    cr_assert_null(template_compile(&arena, slice_of(text), roots, &error));
    cr_assert(strstr(error.reason, "too long"));
    cr_assert(
        slice_equal(template_constant(template_compile(&arena, SLICE("abc"), roots, &error)), SLICE("abc")));
    cr_assert_null(template_constant(template_compile(&arena, SLICE("$(1)"), roots, &error)).data);
}

Test(template, memory)
{
    struct template_error error;
    struct slice text;
    const struct template *template =
        template_compile(&arena, SLICE("$(headers.x .. 'y')$(status)"), roots, &error);
    struct arena none;
    cr_assert_not_null(template);
    for (size_t limit = 0; limit <= 8; limit += 8) { /* builds that poison need more */
        arena_init(&none, NULL, 0, limit);
        struct template_scope scope = { &none, find };
        cr_assert_eq(template_render(template, &scope, &text), TEMPLATE_OUT_OF_MEMORY);
        cr_assert_null(template_compile(&none, SLICE("$(headers.x)"), roots, &error));
        arena_deinit(&none);
    }
}
