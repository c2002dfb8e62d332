/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/explain_request.h"

#include "net/transport/address.h"

#include <stdlib.h>

static const struct http1_limits limits = { .head_bytes = 1u << 20,
                                            .line_bytes = 1u << 18,
                                            .header_fields = 1000,
                                            .target_bytes = 1u << 18,
                                            .chunk_extension_bytes = 0,
                                            .trailer_bytes = 0 };

struct url {
    struct slice authority; /* host and port */
    struct slice target;
};

struct words {
    const char *method, *url;
    struct slice headers; /* their lines, each with CRLF */
    bool has_host, json;
};

static const char *read_url(struct explain_request *request, struct url *url, struct slice text)
{
    struct slice fragment, none = { NULL, 0 };
    text = slice_split(text, '#', &fragment);
    request->port = 80;
    *url = (struct url){ .authority = SLICE("localhost"), .target = text };
    if (text.size > 0 && text.data[0] == '/')
        return NULL;
    if (slice_starts_with(text, SLICE("https://"))) {
        request->tls = true;
        request->port = 443;
    } else if (!slice_starts_with(text, SLICE("http://"))) {
        return "the URL begins with neither http:// nor https:// nor /";
    }
    struct slice rest = slice_from(text, request->tls ? 8 : 7);
    size_t size = 0;
    while (size < rest.size && rest.data[size] != '/' && rest.data[size] != '?')
        size++;
    url->authority = (struct slice){ rest.data, size };
    url->target = size < rest.size ? slice_from(rest, size) : none;
    return size > 0 ? NULL : "the URL has no host";
}

/* The port of the authority, and the name a TLS client would send. */
static const char *read_authority(struct explain_request *request, struct slice authority)
{
    size_t size = authority.size;
    while (size > 0 && authority.data[size - 1] >= '0' && authority.data[size - 1] <= '9')
        size--;
    struct slice host = authority;
    if (size > 0 && authority.data[size - 1] == ':') {
        uint64_t port;
        if (!slice_to_u64(slice_from(authority, size), &port) || port == 0 || port > 65535)
            return "the port of the URL is not one of 1 to 65535";
        request->port = (uint16_t)port;
        host.size = size - 1;
    }
    struct address address;
    if (request->tls && !address_parse(host, 0, &address))
        request->sni = host;
    return NULL;
}

static const char *add_header(struct words *words, struct arena *arena, const char *text)
{
    struct slice rest;
    struct slice name = slice_split(slice_of(text), ':', &rest);
    if (rest.data == NULL || strpbrk(text, "\r\n"))
        return "a header is written as 'Name: value'";
    if (slice_equal_nocase(name, SLICE("host")))
        words->has_host = true;
    words->headers = arena_format(arena, "%.*s%s\r\n", SLICE_FORMAT(words->headers), text);
    return words->headers.data ? NULL : "out of memory";
}

static const char *read_words(struct words *words, struct arena *arena, const char *const *arguments,
                              int count)
{
    const char *reason = NULL;
    for (int i = 0; i < count && reason == NULL; i++) {
        if (strcmp(arguments[i], "-H") == 0)
            reason = ++i < count ? add_header(words, arena, arguments[i]) : "a header is missing after -H";
        else if (strcmp(arguments[i], "--json") == 0)
            words->json = true;
        else if (arguments[i][0] == '-')
            reason = arena_format(arena, "unknown option %s", arguments[i]).data;
        else if (words->method == NULL)
            words->method = arguments[i];
        else if (words->url == NULL)
            words->url = arguments[i];
        else
            reason = arena_format(arena, "unexpected argument %s", arguments[i]).data;
    }
    if (reason == NULL && words->url == NULL)
        reason = words->method ? "the URL is missing" : "METHOD and URL are missing";
    return reason;
}

static const char *parse(struct explain_request *request, struct arena *arena, struct slice text)
{
    struct http1_parser parser;
    struct slice body;
    size_t consumed;
    http1_parser_init(&parser, HTTP1_REQUEST, &limits);
    http1_parser_begin(&parser, &request->message, arena);
    switch (http1_parse(&parser, text.data, text.size, &consumed, &body)) {
    case HTTP1_HEAD: return NULL;
    case HTTP1_REFUSED: return http1_refusal_text(parser.refusal);
    default: return "not one request";
    }
}

const char *explain_request_read(struct explain_request *request, struct arena *arena,
                                 const char *const *arguments, int count)
{
    struct words words = { 0 };
    struct url url;
    *request = (struct explain_request){ 0 };
    const char *reason = read_words(&words, arena, arguments, count);
    if (reason == NULL)
        reason = read_url(request, &url, slice_of(words.url));
    request->json = words.json;
    if (reason == NULL)
        reason = read_authority(request, url.authority);
    if (reason)
        return reason;
    bool rooted = url.target.size > 0 && url.target.data[0] == '/';
    struct slice host = words.has_host ? (struct slice){ "", 0 } : url.authority;
    struct slice text =
        arena_format(arena, "%s %s%.*s HTTP/1.1\r\n%s%.*s%s%.*s\r\n", words.method, rooted ? "" : "/",
                     SLICE_FORMAT(url.target), words.has_host ? "" : "Host: ", SLICE_FORMAT(host),
                     words.has_host ? "" : "\r\n", SLICE_FORMAT(words.headers));
    if (text.data == NULL)
        return "out of memory";
    reason = parse(request, arena, text);
    if (reason == NULL)
        request->path = slice_split(request->message.target, '?', &request->query);
    return reason;
}
