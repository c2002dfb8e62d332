/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of routes: prefixes in normal form, regular expressions behind `~`, and the older formats. */
#include "config/kong/route_checks.h"

#include "core/base/path.h"
#include "core/base/regex.h"

static bool refuse(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                   const char *reason)
{
    report_add(reader->report, REPORT_ERROR, &node->position, place->path, "%s", reason);
    return false;
}

static char byte_of(const char *digits)
{
    int value = 0;
    for (int i = 0; i < 2; i++)
        value = value * 16 + slice_hex_value(digits[i]);
    return (char)value;
}

static bool is_triplet(struct slice text, size_t at)
{
    return text.size - at >= 3 && text.data[at] == '%' && slice_hex_value(text.data[at + 1]) >= 0 &&
           slice_hex_value(text.data[at + 2]) >= 0;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Writes one percent triplet as a regular expression: reserved characters stay encoded, the others stand for
 * themselves even where they mean something. Returns the end of what it wrote, at most 3 bytes. */
static char *write_decoded(char *out, const char *triplet)
{
    char c = byte_of(triplet + 1);
    if (c == '\0' || strchr("%:/?#[]@!$&'()*+,;=", c)) {
        *out++ = '%';
        *out++ = upper(triplet[1]);
        *out++ = upper(triplet[2]);
        return out;
    }
    if (strchr("\\^.|{}-", c))
        *out++ = '\\';
    *out++ = c;
    return out;
}

/* Ends with a NUL, which a normalised path need not. */
static struct slice copy(struct kong_reader *reader, struct slice text)
{
    struct slice copied = arena_copy(&reader->scratch, text);
    return copied.data ? copied : (kong_fail_memory(reader), SLICE("/"));
}

/* Formats before 3.0 had no `~`: a path with any character out of the ordinary was a regular expression. */
static struct slice convert_old(struct kong_reader *reader, struct slice text)
{
    struct slice normal;
    const char *plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_~/%";
    if (strspn(text.data, plain) == text.size)
        return path_normalise(&reader->scratch, text, &normal) == ERROR_OK ? copy(reader, normal) : text;
    if (text.size == 0 || text.data[0] != '/')
        return text;
    char *converted = kong_take(reader, &reader->scratch, text.size + 2);
    char *out = converted;
    if (converted == NULL)
        return text;
    *out++ = '~';
    for (size_t i = 0; i < text.size;) {
        bool triplet = is_triplet(text, i);
        if (triplet)
            out = write_decoded(out, text.data + i);
        else
            *out++ = text.data[i];
        i += triplet ? 3 : 1;
    }
    *out = '\0';
    return (struct slice){ converted, (size_t)(out - converted) };
}

bool kong_check_regex(struct kong_reader *reader, struct slice pattern, const struct node *node,
                      const struct config_place *place)
{
    char reason[REGEX_REASON_SIZE];
    const char *construct;
    if (!regex_check(pattern, reason, sizeof(reason))) {
        report_add(reader->report, REPORT_ERROR, &node->position, place->path,
                   "invalid regex: '%.*s' (PCRE returned: pcre2_compile() failed: %s)", SLICE_FORMAT(pattern),
                   reason);
        return false;
    }
    /* Kong's other flavors have another engine; files written for this one should not lose their routes. */
    if (reader->model->kong_flavor != ROUTER_TRADITIONAL && !regex_is_linear(pattern, &construct))
        report_add(reader->report, REPORT_WARNING, &node->position, place->path,
                   "%s: Kong has it with router_flavor 'traditional' only", construct);
    return true;
}

static bool check_escapes(struct kong_reader *reader, struct slice text, const struct node *node,
                          const struct config_place *place)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%' || is_triplet(text, i))
            continue;
        size_t size = text.size - i < 3 ? text.size - i : 3;
        report_add(reader->report, REPORT_ERROR, &node->position, place->path,
                   "invalid url-encoded value: '%.*s'", (int)size, text.data + i);
        return false;
    }
    return true;
}

/* Kong loads these without a word, and they match nothing their author had in mind. */
static void warn_odd(struct kong_reader *reader, struct slice text, const struct node *node,
                     const struct config_place *place)
{
    const char *reason = NULL;
    if (strcspn(text.data, "\\^$*+?()[]{}|") < text.size)
        reason =
            "looks like a regular expression, but is compared as it is: begin it with '~' to make it one";
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 0x7f)
            reason = "never matches: no request path holds such a character";
    if (reason)
        report_add(reader->report, REPORT_WARNING, &node->position, place->path, "%s", reason);
}

static bool check_prefix(struct kong_reader *reader, struct slice text, const struct node *node,
                         const struct config_place *place)
{
    struct slice normal;
    if (!check_escapes(reader, text, node, place))
        return false;
    if (path_normalise(&reader->scratch, text, &normal) != ERROR_OK)
        return refuse(reader, node, place, "invalid path: it leads above the root");
    if (slice_equal(normal, text)) {
        warn_odd(reader, text, node, place);
        return true;
    }
    report_add(reader->report, REPORT_ERROR, &node->position, place->path,
               "non-normalized path, consider use '%.*s' instead", SLICE_FORMAT(normal));
    return false;
}

struct slice kong_route_path(struct kong_reader *reader, const struct node *node,
                             const struct config_place *place)
{
    const struct slice none = { NULL, 0 };
    struct slice text = reader->old_format ? convert_old(reader, node->text) : node->text;
    bool regex = slice_starts_with(text, SLICE("~/"));
    if (!regex && !slice_starts_with(text, SLICE("/")))
        return refuse(reader, node, place, "should start with: / (fixed path) or ~/ (regex path)"), none;
    if (memmem(text.data, text.size, "//", 2))
        return refuse(reader, node, place, "must not have empty segments"), none;
    bool good = regex ? kong_check_regex(reader, slice_from(text, 1), node, place)
                      : check_prefix(reader, text, node, place);
    if (!good)
        return none;
    struct slice kept = arena_copy(&reader->model->arena, text);
    if (kept.data == NULL)
        kong_fail_memory(reader);
    return kept;
}
