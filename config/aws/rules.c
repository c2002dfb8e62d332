/* SPDX-License-Identifier: Apache-2.0 */
/* Match rules for route keys. They are made from the most specific on: their order is that of their
 * making. */
#include "config/aws/compile.h"

/* Below every other dialect: an API answers what nobody else wants. */
#define PRIORITY_OF_HOST MATCH_BASE_AWS
#define PRIORITY_OF_ANY_HOST (MATCH_BASE_AWS >> 1)

static struct slice explain_priority(const struct match_rule *rule, struct arena *arena)
{
    return arena_format(arena, "%s; number %llu in order of selection",
                        rule->priority == PRIORITY_OF_HOST ? "host of an API or domain"
                                                           : "the API for other hosts",
                        (unsigned long long)rule->order);
}

static const struct match_dialect dialect = { "AWS HTTP API", explain_priority };

/* --- patterns ------------------------------------------------------------------------------------------- */

static bool is_letter(char c)
{
    c = slice_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* A group's name is at most 32 letters, digits and underscores, and does not begin with a digit. */
static bool is_group_name(struct slice name)
{
    bool good = name.size > 0 && name.size <= 32 && !(name.data[0] >= '0' && name.data[0] <= '9');
    for (size_t i = 0; good && i < name.size; i++)
        good = is_letter(name.data[i]);
    return good;
}

struct slice aws_capture_name(struct aws_reader *reader, const struct aws_route_key *key, struct slice name)
{
    for (uint32_t i = 0; i < key->segment_count; i++)
        if (key->segments[i].kind != AWS_LITERAL && slice_equal(key->segments[i].text, name))
            return is_group_name(name) ? name : aws_text(reader, "_aws_%u", i);
    return (struct slice){ NULL, 0 };
}

static struct slice quote(struct aws_reader *reader, struct slice text)
{
    char *out = aws_take(reader, &reader->scratch, text.size * 2 + 1);
    size_t size = 0;
    for (size_t i = 0; out && i < text.size; i++) {
        if (!is_letter(text.data[i]) && text.data[i] != '/')
            out[size++] = '\\';
        out[size++] = text.data[i];
    }
    return (struct slice){ out ? out : "", size };
}

/* A greedy variable takes at least one segment that is not empty. */
static struct slice pattern_of(struct aws_reader *reader, struct slice prefix,
                               const struct aws_route_key *key)
{
    struct slice pattern = quote(reader, prefix);
    for (uint32_t i = 0; i < key->segment_count; i++) {
        const struct aws_segment *segment = &key->segments[i];
        struct slice text = segment->kind == AWS_LITERAL ? quote(reader, segment->text)
                                                         : aws_capture_name(reader, key, segment->text);
        const char *form = segment->kind == AWS_LITERAL    ? "%.*s/%.*s"
                           : segment->kind == AWS_VARIABLE ? "%.*s/(?<%.*s>[^/]+)"
                                                           : "%.*s/(?<%.*s>[^/][^\\x00]*)";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        pattern = aws_text(reader, form, SLICE_FORMAT(pattern), SLICE_FORMAT(text));
#pragma GCC diagnostic pop
    }
    return pattern;
}

static bool has_variables(const struct aws_route_key *key)
{
    for (uint32_t i = 0; i < key->segment_count; i++)
        if (key->segments[i].kind != AWS_LITERAL)
            return true;
    return false;
}

static struct slice literal_path(struct aws_reader *reader, struct slice prefix,
                                 const struct aws_route_key *key)
{
    struct slice path = prefix;
    for (uint32_t i = 0; i < key->segment_count; i++)
        path = aws_text(reader, "%.*s/%.*s", SLICE_FORMAT(path), SLICE_FORMAT(key->segments[i].text));
    return key->segment_count ? path : aws_text(reader, "%.*s/", SLICE_FORMAT(prefix));
}

/* --- rules ---------------------------------------------------------------------------------------------- */

static struct match_value *add_condition(struct aws_reader *reader, struct match_rule *rule,
                                         struct match_condition *list, const struct match_condition *one)
{
    struct match_value *value = aws_take(reader, &reader->model->arena, sizeof(*value));
    struct match_condition *condition = &list[rule->condition_count++];
    *condition = *one;
    condition->values = value;
    condition->value_count = value ? 1 : 0;
    return value;
}

static bool set_conditions(struct aws_reader *reader, const struct aws_rule *from, struct match_rule *rule)
{
    struct match_condition *list = aws_take(reader, &reader->model->arena, 3 * sizeof(*list));
    if (list == NULL)
        return false;
    rule->conditions = list;
    if (from->method.data) {
        struct match_condition method = { .field = MATCH_METHOD };
        struct match_value *value = add_condition(reader, rule, list, &method);
        if (value)
            *value = (struct match_value){ .test = MATCH_EQUAL, .text = from->method };
    }
    const struct match_condition asked[] = {
        { .field = MATCH_HEADER, .name = SLICE("Origin") },
        { .field = MATCH_HEADER, .name = SLICE("Access-Control-Request-Method") },
    };
    for (size_t i = 0; from->preflight && i < COUNT_OF(asked); i++)
        add_condition(reader, rule, list, &asked[i]); /* zero is MATCH_PRESENT */
    return !reader->out_of_memory;
}

static struct match_rule *start(struct aws_reader *reader, const struct aws_rule *from)
{
    const struct aws_scope *scope = from->scope;
    struct match_rule *rule = match_rule_add(reader->model);
    struct match_host *host = aws_take(reader, &reader->model->arena, sizeof(*host));
    if (rule == NULL || host == NULL)
        return aws_fail_memory(reader), NULL;
    bool any = scope->host.data == NULL;
    *rule = (struct match_rule){
        .route = from->route,
        .dialect = &dialect,
        .priority = any ? PRIORITY_OF_ANY_HOST : PRIORITY_OF_HOST,
        .order = reader->order++,
        .hosts = any ? NULL : host,
        .host_count = any ? 0 : 1,
        .traffic = MATCH_HTTP,
    };
    host->text = arena_copy(&reader->model->arena, scope->host);
    host->wildcard = scope->wildcard;
    host->fold_case = true;
    return set_conditions(reader, from, rule) ? rule : NULL;
}

static bool set_path(struct aws_reader *reader, struct match_rule *rule, enum match_path_kind kind,
                     struct slice text)
{
    rule->path.kind = kind;
    rule->path.text = arena_copy(&reader->model->arena, text);
    return rule->path.text.data != NULL || aws_fail_memory(reader);
}

static bool set_regex(struct aws_reader *reader, struct match_rule *rule, const struct aws_rule *from,
                      const struct aws_route_key *key)
{
    enum error error;
    char reason[REGEX_REASON_SIZE] = "";
    if (!set_path(reader, rule, MATCH_PATH_REGEX, pattern_of(reader, from->scope->prefix, key)))
        return false;
    struct match_regex_request request = { rule->path.text, REGEX_WHOLE, reason, &error };
    rule->path.regex = match_regex(&reader->model->arena, &request);
    if (rule->path.regex)
        return true;
    if (error == ERROR_MEMORY)
        return aws_fail_memory(reader);
    report_add(reader->report, REPORT_ERROR, &from->route->entity.position, "route_key", "%s", reason);
    return false;
}

bool aws_rule_for_key(struct aws_reader *reader, const struct aws_rule *from, const struct aws_route_key *key)
{
    struct slice prefix = from->scope->prefix;
    if (key->is_default)
        return aws_rule_for_all(reader, from);
    struct match_rule *rule = start(reader, from);
    if (rule == NULL)
        return false;
    if (has_variables(key))
        return set_regex(reader, rule, from, key);
    if (!set_path(reader, rule, MATCH_PATH_EXACT, literal_path(reader, prefix, key)))
        return false;
    if (key->segment_count || prefix.size == 0)
        return true;
    /* The root of a stage is /stage as well as /stage/. */
    rule = start(reader, from);
    return rule && set_path(reader, rule, MATCH_PATH_EXACT, prefix);
}

bool aws_rule_for_all(struct aws_reader *reader, const struct aws_rule *from)
{
    struct match_rule *rule = start(reader, from);
    if (rule == NULL)
        return false;
    struct slice prefix = from->scope->prefix;
    return prefix.size == 0 || set_path(reader, rule, MATCH_PATH_SEGMENTS, prefix);
}
