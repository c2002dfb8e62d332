/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/log_http.h"

#include "net/http/token.h"

enum { BODY_BYTES_MAX = 256 * 1024 * 1024, ANSWER_BYTES_MAX = 1024 * 1024 };

/* --- settings ------------------------------------------------------------------------------------------- */

static bool add_header(struct log_http_settings *settings, struct arena *arena, struct slice name,
                       struct slice value)
{
    struct header *header = &settings->headers[settings->header_count++];
    *header = (struct header){ .name = arena_copy(arena, name), .value = arena_copy(arena, value) };
    return header->name.data && header->value.data;
}

bool log_http_copy(struct log_sender *sender, const struct log_http_settings *from,
                   const struct schema_map *headers)
{
    struct log_http_settings *settings = sender->settings;
    struct arena *arena = &sender->arena;
    *settings = *from;
    settings->method = arena_copy(arena, from->method);
    settings->url = arena_copy(arena, from->url);
    settings->header_count = 0;
    settings->headers = arena_array(arena, headers->count + 1u, sizeof(struct header));
    if (settings->method.data == NULL || settings->url.data == NULL || settings->headers == NULL)
        return false;
    if (!add_header(settings, arena, SLICE("Content-Type"), from->content_type))
        return false;
    for (uint32_t i = 0; i < headers->count; i++)
        if (headers->entries[i].values.count > 0 &&
            !add_header(settings, arena, headers->entries[i].name, headers->entries[i].values.items[0]))
            return false;
    return true;
}

const char *log_http_check_url(struct slice url)
{
    struct fetch_url parsed;
    if (!slice_starts_with(url, SLICE("http://")) && !slice_starts_with(url, SLICE("https://")))
        return "missing host in url";
    return fetch_url_parse_proxy(url, &parsed) ? NULL : "expected an http or https URL with a host";
}

const char *log_http_check_header(struct slice name)
{
    static const char *const own[] = { "host", "content-length", "content-type", "transfer-encoding",
                                       "connection" };
    static const char *const reasons[] = { "cannot contain 'Host' header",
                                           "cannot contain 'Content-Length' header",
                                           "cannot contain 'Content-Type' header",
                                           "cannot contain 'Transfer-Encoding' header",
                                           "cannot contain 'Connection' header" };
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (slice_equal_nocase(name, slice_of(own[i])))
            return reasons[i];
    return token_is(name) ? NULL : "bad header name '{}', allowed characters are A-Z, a-z, 0-9, '_', and '-'";
}

uint32_t log_http_host(struct slice url, struct slice *hosts)
{
    struct fetch_url parsed;
    bool good = url.data && fetch_url_parse_proxy(url, &parsed);
    if (good)
        hosts[0] = parsed.host;
    return good;
}

/* --- sending -------------------------------------------------------------------------------------------- */

bool log_http_compose_json(const struct log_batch *batch, struct text *body)
{
    bool bare = batch->sender->limits.batch_entries == 1;
    if (!bare)
        text_byte(body, '[');
    for (const struct log_entry *entry = batch->first; entry; entry = entry->next) {
        if (entry != batch->first)
            text_byte(body, ',');
        text_add(body, (struct slice){ entry->data, entry->size });
    }
    if (!bare)
        text_byte(body, ']');
    return !body->failed;
}

static void fetched(struct fetch *fetch, enum error error)
{
    struct log_http_work *work = CONTAINER_OF(fetch, struct log_http_work, fetch);
    struct log_batch *batch = CONTAINER_OF(work, struct log_batch, work);
    const struct log_http_settings *settings = batch->sender->settings;
    bool taken = error == ERROR_OK && fetch->status >= settings->delivered_from &&
                 fetch->status <= settings->delivered_to;
    text_deinit(&work->body); /* made again when it is sent again */
    log_batch_done(batch, taken ? LOG_DELIVERED : LOG_FAILED);
}

void log_http_send(struct log_batch *batch)
{
    const struct log_http_settings *settings = batch->sender->settings;
    struct log_http_work *work = (struct log_http_work *)(void *)batch->work;
    if (!work->used)
        fetch_init(&work->fetch, fetch_pool_of(batch->sender->shard), fetched);
    work->used = true;
    text_init(&work->body, BODY_BYTES_MAX);
    if (!settings->compose(batch, &work->body)) {
        text_deinit(&work->body);
        log_batch_done(batch, LOG_FAILED);
        return;
    }
    struct fetch_request request = { .method = settings->method,
                                     .url = settings->url,
                                     .headers = settings->headers,
                                     .header_count = settings->header_count,
                                     .body = text_slice(&work->body),
                                     .limit_bytes = ANSWER_BYTES_MAX,
                                     .timeout_ms = settings->timeout_ms,
                                     .keep_ms = settings->keep_ms,
                                     .options = FETCH_DISCARD | FETCH_REPEATABLE |
                                                (settings->verify ? 0 : FETCH_UNVERIFIED) };
    fetch_start(&work->fetch, &request);
}

void log_http_stop(struct log_batch *batch)
{
    struct log_http_work *work = (struct log_http_work *)(void *)batch->work;
    if (!work->used)
        return;
    fetch_close(&work->fetch);
    text_deinit(&work->body);
}
