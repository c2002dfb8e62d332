/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/action.h"

#include "core/base/path.h"
#include "net/proxy/answer.h"
#include "net/proxy/balancer.h"
#include "net/proxy/exchange_edit.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443, TEMPLATE_NAME_MAX = 64 };

/* --- a backend ------------------------------------------------------------------------------------------ */

static const struct backend *draw(struct exchange *exchange, const struct action *action)
{
    uint32_t total = 0;
    if (action->backend_count == 1)
        return &action->backends[0];
    for (uint32_t i = 0; i < action->backend_count; i++)
        total += action->backends[i].weight;
    uint32_t at = total ? balancer_draw(&exchange->proxy->balancers, total) : 0;
    return backend_at(action->backends, action->backend_count, at);
}

static enum step_result answer_share(struct exchange *exchange, int status)
{
    answer_error(exchange, status, (struct slice){ NULL, 0 }, ANSWER_FROM_BELOW);
    return exchange_jump(exchange, STEP_RESPONSE_HEAD);
}

/* --- paths ---------------------------------------------------------------------------------------------- */

static bool join(struct exchange *exchange, struct slice first, struct slice rest, struct slice *path)
{
    *path = arena_format(&exchange->arena, "%s%.*s%.*s", first.size && first.data[0] == '/' ? "" : "/",
                         SLICE_FORMAT(first), SLICE_FORMAT(rest));
    return path->data != NULL;
}

/* One slash between the two, and none is lost at the end (the ReplacePrefixMatch table of the Gateway
 * API). */
static bool join_segments(struct exchange *exchange, struct slice first, struct slice rest,
                          struct slice *path)
{
    while (first.size > 0 && first.data[first.size - 1] == '/')
        first.size--;
    if (first.size + rest.size == 0)
        rest = SLICE("/");
    if (rest.size > 0 && rest.data[0] != '/')
        *path = arena_format(&exchange->arena, "%.*s/%.*s", SLICE_FORMAT(first), SLICE_FORMAT(rest));
    else
        *path = arena_format(&exchange->arena, "%.*s%.*s", SLICE_FORMAT(first), SLICE_FORMAT(rest));
    return path->data != NULL;
}

/* A text under way, in the exchange's arena: pieces are many, and each may be small. */
struct growing {
    struct exchange *exchange;
    char *data;
    size_t size, capacity;
    bool failed; /* for want of memory */
};

static void put(struct growing *out, struct slice piece)
{
    enum { LEAST_BYTES = 256 };
    if (out->failed || piece.size == 0)
        return;
    if (piece.size > out->capacity - out->size) {
        size_t capacity = (out->size + piece.size) * 2 + LEAST_BYTES;
        char *data = arena_alloc(&out->exchange->arena, capacity);
        out->failed = data == NULL;
        if (out->failed)
            return;
        if (out->size)
            memcpy(data, out->data, out->size);
        out->data = data;
        out->capacity = capacity;
    }
    memcpy(out->data + out->size, piece.data, piece.size);
    out->size += piece.size;
}

/* Appends the edit's text, in which \0..\9 are groups of the last match and \\ is a backslash. */
static void substitute(struct growing *out, const struct path_edit *edit, struct slice subject)
{
    struct regex_scratch *scratch = &out->exchange->proxy->regex;
    for (size_t i = 0; i < edit->text.size; i++) {
        struct slice piece = { edit->text.data + i, 1 };
        char after = i + 1 < edit->text.size ? edit->text.data[i + 1] : '\0';
        if (edit->text.data[i] == '\\' && after >= '0' && after <= '9') {
            uint32_t number = (uint32_t)(after - '0');
            piece = number <= edit->regex->group_count ? regex_group(scratch, subject, number)
                                                       : (struct slice){ NULL, 0 };
            i++;
        } else if (edit->text.data[i] == '\\' && after == '\\') {
            i++;
        }
        put(out, piece);
    }
}

/* Behind the character at `at`, which UTF-8 may write in several bytes. */
static size_t after_character(struct slice text, size_t at)
{
    at++;
    while (at < text.size && ((unsigned char)text.data[at] & 0xc0) == 0x80)
        at++;
    return at;
}

/* Every match, from left to right; an empty one takes a character along. */
static bool replace(struct exchange *exchange, const struct path_edit *edit, struct slice subject,
                    struct slice *path)
{
    struct regex_scratch *scratch = &exchange->proxy->regex;
    struct growing out = { .exchange = exchange };
    size_t at = 0;
    while (at <= subject.size && !out.failed && regex_match_from(edit->regex, subject, at, scratch)) {
        struct slice found = regex_group(scratch, subject, 0);
        size_t begin = (size_t)(found.data - subject.data), next = begin + found.size;
        put(&out, (struct slice){ subject.data + at, begin - at });
        substitute(&out, edit, subject);
        at = found.size == 0 ? after_character(subject, next) : next;
        if (next < at && next < subject.size)
            put(&out, (struct slice){ subject.data + next, at - next });
    }
    put(&out, at < subject.size ? slice_from(subject, at) : SLICE(""));
    return !out.failed &&
           join(exchange, (struct slice){ out.data, out.size }, (struct slice){ NULL, 0 }, path);
}

/* {name} and {name+} are captures of the rule's path. */
static bool expand(struct exchange *exchange, struct slice text, struct slice *path)
{
    struct slice out = SLICE("");
    while (text.size > 0 && out.data) {
        const char *open = memchr(text.data, '{', text.size);
        const char *close = open ? memchr(open, '}', text.size - (size_t)(open - text.data)) : NULL;
        size_t plain = close ? (size_t)(open - text.data) : text.size;
        struct slice value = { NULL, 0 };
        if (close) {
            struct slice name = { open + 1, (size_t)(close - open) - 1 };
            if (name.size && name.data[name.size - 1] == '+')
                name.size--;
            value = router_capture(&exchange->match, name);
        }
        out = arena_format(&exchange->arena, "%.*s%.*s%.*s", SLICE_FORMAT(out), (int)plain, text.data,
                           SLICE_FORMAT(value));
        text = close ? slice_from(text, (size_t)(close - text.data) + 1) : (struct slice){ NULL, 0 };
    }
    return out.data && join(exchange, out, (struct slice){ NULL, 0 }, path);
}

static bool edit_path(struct exchange *exchange, const struct path_edit *edit, struct slice *path)
{
    struct slice own = exchange->path;
    size_t matched = exchange->match.prefix.size < own.size ? exchange->match.prefix.size : own.size;
    *path = own;
    switch (edit->kind) {
    case PATH_EDIT_JOIN:
    case PATH_EDIT_KEEP: return true;
    case PATH_EDIT_PREFIX: return join(exchange, edit->text, slice_from(own, matched), path);
    case PATH_EDIT_SEGMENTS: return join_segments(exchange, edit->text, slice_from(own, matched), path);
    case PATH_EDIT_WHOLE: return join(exchange, edit->text, (struct slice){ NULL, 0 }, path);
    case PATH_EDIT_REGEX: return replace(exchange, edit, own, path);
    case PATH_EDIT_TEMPLATE: return expand(exchange, edit->text, path);
    }
    return true;
}

bool action_path(struct exchange *exchange, struct slice *path)
{
    return edit_path(exchange, &exchange->match.route->action->path, path);
}

struct slice action_method(const struct exchange *exchange)
{
    const struct action *action = exchange->match.route->action;
    if (exchange->upstream_method.data)
        return exchange->upstream_method;
    return action && action->method.data ? action->method : exchange->request.method;
}

/* --- fields --------------------------------------------------------------------------------------------- */

static bool edit_fields(struct message *message, const struct header_edits *edits)
{
    bool enough = true;
    for (uint32_t i = 0; enough && i < edits->count; i++) {
        const struct header_edit *edit = &edits->items[i];
        switch (edit->kind) {
        case HEADER_EDIT_SET: enough = message_set(message, edit->name, edit->value); break;
        case HEADER_EDIT_APPEND: enough = message_add(message, edit->name, edit->value); break;
        case HEADER_EDIT_REMOVE: message_remove(message, edit->name); break;
        }
    }
    return enough;
}

bool action_edit_request(struct exchange *exchange)
{
    const struct action *action = exchange->match.route->action;
    if (exchange->request_edited)
        return true;
    exchange->request_edited = true;
    return edit_fields(&exchange->request, &action->request) &&
           (exchange->backend == NULL || edit_fields(&exchange->request, &exchange->backend->request));
}

bool action_edit_response(struct exchange *exchange)
{
    const struct action *action = exchange->match.route->action;
    return edit_fields(&exchange->response, &action->response) &&
           (exchange->backend == NULL || edit_fields(&exchange->response, &exchange->backend->response));
}

/* Of an answer that the action makes itself: there is no response to edit yet. */
static bool edit_answer(struct exchange *exchange, const struct header_edits *edits)
{
    bool enough = true;
    for (uint32_t i = 0; enough && i < edits->count; i++) {
        const struct header_edit *edit = &edits->items[i];
        enough = edit->kind == HEADER_EDIT_REMOVE
                     ? exchange_remove_response_header(exchange, edit->name)
                     : exchange_set_response_header(exchange, edit->name, edit->value);
    }
    return enough;
}

/* --- redirects ------------------------------------------------------------------------------------------ */

static struct slice without_port(struct slice host)
{
    size_t size = host.size;
    while (size > 0 && host.data[size - 1] >= '0' && host.data[size - 1] <= '9')
        size--;
    if (size > 0 && host.data[size - 1] == ':')
        host.size = size - 1;
    return host;
}

static struct slice authority_text(struct exchange *exchange, const struct redirect *redirect, bool secure)
{
    struct slice host = redirect->host.data ? redirect->host : message_find(&exchange->request, HEADER_HOST);
    bool changes = redirect->scheme.data && secure != exchange->tls;
    if (redirect->host.data == NULL && changes &&
        slice_ends_with(host, secure ? SLICE(":80") : SLICE(":443")))
        return without_port(host);
    return host;
}

static struct slice authority_parts(struct exchange *exchange, const struct redirect *redirect, bool secure)
{
    struct slice host =
        redirect->host.data ? redirect->host : without_port(message_find(&exchange->request, HEADER_HOST));
    uint16_t usual = secure ? PORT_HTTPS : PORT_HTTP;
    uint16_t port = redirect->port ? redirect->port : redirect->scheme.data ? usual : exchange->port;
    return port == usual ? host : arena_format(&exchange->arena, "%.*s:%u", SLICE_FORMAT(host), port);
}

static enum step_result send_redirect(struct exchange *exchange, const struct redirect *redirect)
{
    struct slice path, scheme = exchange->tls ? SLICE("https") : SLICE("http");
    if (redirect->scheme.data)
        scheme = redirect->scheme;
    bool secure = slice_equal(scheme, SLICE("https"));
    struct slice authority = redirect->authority == REDIRECT_AUTHORITY_TEXT
                                 ? authority_text(exchange, redirect, secure)
                                 : authority_parts(exchange, redirect, secure);
    if (authority.data == NULL || !edit_path(exchange, &redirect->path, &path) ||
        path_escape(&exchange->arena, path, &path) != ERROR_OK)
        return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
    struct slice location =
        arena_format(&exchange->arena, "%.*s://%.*s%.*s%s%.*s", SLICE_FORMAT(scheme), SLICE_FORMAT(authority),
                     SLICE_FORMAT(path), exchange->query.data ? "?" : "", SLICE_FORMAT(exchange->query));
    if (location.data == NULL || !exchange_set_response_header(exchange, SLICE("Location"), location) ||
        !edit_answer(exchange, &exchange->match.route->action->response))
        return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
    exchange->answer = (struct answer){ .status = redirect->status };
    return exchange_jump(exchange, STEP_RESPONSE_HEAD);
}

/* --- the beginning -------------------------------------------------------------------------------------- */

enum step_result action_begin(struct exchange *exchange)
{
    const struct action *action = exchange->match.route->action;
    if (action->redirect)
        return send_redirect(exchange, action->redirect);
    if (action->status) {
        if (!edit_answer(exchange, &action->response))
            return exchange_answer_from_below(exchange, 503, (struct slice){ NULL, 0 });
        exchange->answer = (struct answer){ action->status, action->content_type, action->body };
        return exchange_jump(exchange, STEP_RESPONSE_HEAD);
    }
    if (action->backend_count == 0)
        return STEP_RESULT_NEXT;
    exchange->backend = draw(exchange, action);
    if (exchange->backend == NULL || exchange->backend->service == NULL)
        return answer_share(exchange, exchange->backend ? exchange->backend->status : 500);
    exchange->service = &exchange->snapshot->services[exchange->backend->service->entity.index];
    return STEP_RESULT_NEXT;
}

/* --- retries -------------------------------------------------------------------------------------------- */

bool action_retries(const struct exchange *exchange, int status, enum error error)
{
    const struct action *action = exchange->match.route->action;
    const struct retry_policy *policy = action ? action->retry : NULL;
    if (policy == NULL)
        return status == 0;
    for (uint32_t i = 0; i < policy->status_count; i++)
        if (policy->statuses[i] == status)
            return true;
    unsigned on = policy->on;
    if (status >= 500)
        return on & RETRY_ON_5XX || (on & RETRY_ON_GATEWAY_ERROR && status >= 502 && status <= 504);
    if (status != 0)
        return status == 409 && on & RETRY_ON_409;
    bool connecting = !exchange->upstream_sent;
    if (error == ERROR_TIMEOUT && !connecting)
        return on & (RETRY_ON_5XX | RETRY_ON_GATEWAY_ERROR);
    return on &
           (RETRY_ON_5XX | RETRY_ON_GATEWAY_ERROR | (connecting ? RETRY_ON_CONNECT_FAILURE : RETRY_ON_RESET));
}
