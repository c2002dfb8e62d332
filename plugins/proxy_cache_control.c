/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/proxy_cache_control.h"

#include "net/http/http_date.h"
#include "net/http/token.h"

/* --- directives ----------------------------------------------------------------------------------------- */

/* RFC 9111 section 1.2.2; what is no number makes a response stale (section 4.2.1). */
static int64_t seconds_of(struct slice text)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return 0;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
        if (value > (uint64_t)CONTROL_SECONDS_MAX)
            value = (uint64_t)CONTROL_SECONDS_MAX;
    }
    return (int64_t)value;
}

static const struct {
    const char *name;
    unsigned flag; /* 0: it has a number */
    size_t offset;
} directives[] = {
    { "no-store", CONTROL_NO_STORE, 0 },
    { "no-cache", CONTROL_NO_CACHE, 0 },
    { "private", CONTROL_PRIVATE, 0 },
    { "public", CONTROL_PUBLIC, 0 },
    { "must-revalidate", CONTROL_MUST_REVALIDATE, 0 },
    { "proxy-revalidate", CONTROL_MUST_REVALIDATE, 0 },
    { "only-if-cached", CONTROL_ONLY_IF_CACHED, 0 },
    { "must-understand", CONTROL_MUST_UNDERSTAND, 0 },
    { "max-age", 0, offsetof(struct control, max_age_s) },
    { "s-maxage", 0, offsetof(struct control, s_maxage_s) },
    { "max-stale", CONTROL_MAX_STALE, offsetof(struct control, max_stale_s) },
    { "min-fresh", 0, offsetof(struct control, min_fresh_s) },
    { "stale-while-revalidate", 0, offsetof(struct control, while_revalidate_s) },
    { "stale-if-error", 0, offsetof(struct control, if_error_s) },
};

/* The first of several counts (section 4.2.1). */
static void take(struct control *control, struct slice name, struct slice value)
{
    for (size_t i = 0; i < COUNT_OF(directives); i++) {
        if (!slice_equal_nocase(name, slice_of(directives[i].name)))
            continue;
        control->flags |= directives[i].flag;
        int64_t *seconds = (int64_t *)(void *)((char *)control + directives[i].offset);
        if (directives[i].offset && *seconds < 0 && (value.data || !directives[i].flag))
            *seconds = seconds_of(value);
        return;
    }
}

/* After the opening quote: the text to the closing one, escapes as they stand. */
static struct slice quoted(struct slice *rest)
{
    size_t at = 0;
    while (at < rest->size && rest->data[at] != '"')
        at += rest->data[at] == '\\' && at + 1 < rest->size ? 2 : 1;
    struct slice text = { rest->data, at };
    *rest = slice_from(*rest, at < rest->size ? at + 1 : at);
    return text;
}

static struct slice token(struct slice *rest)
{
    size_t at = 0;
    while (at < rest->size && token_has(rest->data[at]))
        at++;
    struct slice text = { rest->data, at };
    *rest = slice_from(*rest, at);
    return text;
}

/* One field line; what is neither a token nor a separator is passed over to the next comma. */
static void read_line(struct control *control, struct slice line)
{
    while (line.size > 0) {
        struct slice value = { NULL, 0 }, name = token(&line);
        if (name.size > 0 && slice_starts_with(line, SLICE("="))) {
            line = slice_from(line, 1);
            bool in_quotes = slice_starts_with(line, SLICE("\""));
            if (in_quotes)
                line = slice_from(line, 1);
            value = in_quotes ? quoted(&line) : token(&line);
        }
        bool clean = line.size == 0 || line.data[0] == ',' || line.data[0] == ' ' || line.data[0] == '\t';
        if (name.size > 0)
            take(control, name, clean || value.data == NULL ? value : SLICE("?"));
        while (line.size > 0 && line.data[0] != ',')
            line = slice_from(line, 1);
        while (line.size > 0 && (line.data[0] == ',' || line.data[0] == ' ' || line.data[0] == '\t'))
            line = slice_from(line, 1);
    }
}

struct control control_read(const struct message *message)
{
    struct control control = { 0, -1, -1, -1, -1, -1, -1 };
    for (uint32_t i = 0; i < message->header_count; i++) {
        const struct header *header = &message->headers[i];
        if (header->name.size == 13 && slice_equal_nocase(header->name, SLICE("Cache-Control")))
            read_line(&control, slice_trim(header->value));
    }
    return control;
}

/* --- freshness ------------------------------------------------------------------------------------------ */

static int64_t lifetime_of(const struct message *response, const struct control *control, int64_t date_s)
{
    if (control->s_maxage_s >= 0)
        return control->s_maxage_s;
    if (control->max_age_s >= 0)
        return control->max_age_s;
    int64_t expires_s;
    struct slice expires = message_find_name(response, SLICE("Expires"));
    if (expires.data == NULL)
        return -1;
    if (!http_date_parse(slice_trim(expires), date_s, &expires_s) || expires_s <= date_s)
        return 0;
    return expires_s - date_s;
}

/* Of a list the first member; anything else is ignored (section 5.1). */
static int64_t age_of(const struct message *response)
{
    struct slice rest, text = message_find_name(response, SLICE("Age"));
    text = slice_trim(slice_split(text, ',', &rest));
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return 0;
    return seconds_of(text);
}

struct freshness freshness_read(const struct message *response, const struct control *control,
                                uint64_t asked_ms, uint64_t now_ms)
{
    int64_t now_s = (int64_t)(now_ms / 1000), date_s;
    if (!http_date_parse(slice_trim(message_find(response, HEADER_DATE)), now_s, &date_s))
        date_s = now_s;
    int64_t apparent_s = now_s > date_s ? now_s - date_s : 0;
    int64_t delay_s = now_ms > asked_ms ? (int64_t)((now_ms - asked_ms) / 1000) : 0;
    int64_t corrected_s = age_of(response) + delay_s;
    return (struct freshness){ .lifetime_s = lifetime_of(response, control, date_s),
                               .age_s = apparent_s > corrected_s ? apparent_s : corrected_s };
}

/* --- entity tags ---------------------------------------------------------------------------------------- */

static struct slice without_weakness(struct slice etag)
{
    return slice_starts_with(etag, SLICE("W/")) ? slice_from(etag, 2) : etag;
}

bool etag_list_matches(struct slice list, struct slice etag)
{
    etag = without_weakness(etag);
    list = slice_trim(list);
    if (slice_equal(list, SLICE("*")))
        return true;
    while (list.size > 0) {
        struct slice at = without_weakness(list);
        size_t size = 0;
        if (at.size == 0)
            break;
        if (at.data[0] == '"') /* an opaque tag may hold commas */
            for (size = 1; size < at.size && at.data[size] != '"'; size++)
                ;
        while (size < at.size && at.data[size] != ',' && at.data[size] != ' ' && at.data[size] != '\t')
            size++;
        if (size > 0 && slice_equal((struct slice){ at.data, size }, etag))
            return true;
        list = slice_from(at, size);
        while (list.size > 0 && (list.data[0] == ',' || list.data[0] == ' ' || list.data[0] == '\t'))
            list = slice_from(list, 1);
    }
    return false;
}

bool etag_is_same(struct slice a, struct slice b)
{
    return a.size > 0 && a.data[0] == '"' && slice_equal(a, b);
}
