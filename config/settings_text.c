/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings_text.h"

#include <arpa/inet.h>

enum { DEFAULT_BACKLOG = 16384, MOST_CORES = 1024, MOST_LISTENERS = 256 };

static bool is_ip(int family, struct slice text)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (text.size == 0 || text.size >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return inet_pton(family, copy, address) == 1;
}

static bool parse_number(struct slice text, uint64_t most, uint64_t *out)
{
    return text.size > 0 && slice_to_u64(text, out) && *out <= most;
}

/* ADDR:PORT with an IPv6 address in brackets. */
static const char *parse_address(struct slice text, struct arena *arena, struct listener_setting *out)
{
    const char *colon = memrchr(text.data, ':', text.size);
    uint64_t port;
    if (slice_starts_with(text, SLICE("unix:")))
        return "unix sockets are not supported yet";
    if (colon == NULL)
        return "expected ADDRESS:PORT in '{}'";
    struct slice address = { text.data, (size_t)(colon - text.data) };
    bool bracketed = address.size > 2 && address.data[0] == '[' && address.data[address.size - 1] == ']';
    if (bracketed)
        address = (struct slice){ address.data + 1, address.size - 2 };
    if (!is_ip(bracketed ? AF_INET6 : AF_INET, address))
        return "expected a numeric address in '{}'";
    if (!parse_number(slice_from(text, (size_t)(colon - text.data) + 1), 65535, &port))
        return "expected a port from 0 to 65535 in '{}'";
    out->address = arena_copy(arena, address);
    out->port = (uint16_t)port;
    return out->address.data ? NULL : "out of memory";
}

static const char *parse_flag(struct slice word, struct listener_setting *out)
{
    struct {
        const char *name;
        bool *flag;
    } rows[] = {
        { "ssl", &out->ssl },
        { "http2", &out->http2 },
        { "proxy_protocol", &out->proxy_protocol },
        { "reuseport", &out->reuseport },
        { "deferred", &out->deferred },
        { "udp", &out->udp },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (slice_equal(word, slice_of(rows[i].name))) {
            *rows[i].flag = true;
            return NULL;
        }
    uint64_t backlog;
    if (slice_starts_with(word, SLICE("backlog="))) {
        if (!parse_number(slice_from(word, 8), 65535, &backlog) || backlog == 0)
            return "expected a backlog from 1 to 65535 in '{}'";
        out->backlog = (int)backlog;
        return NULL;
    }
    /* Kong's names for what is always so here, or left to the system. */
    if (slice_equal(word, SLICE("bind")) || slice_starts_with(word, SLICE("ipv6only=")) ||
        slice_starts_with(word, SLICE("so_keepalive=")))
        return NULL;
    return "unknown flag in '{}'";
}

static const char *parse_listener(struct slice text, struct arena *arena, struct listener_setting *out)
{
    struct slice rest = slice_trim(text);
    *out = (struct listener_setting){ .backlog = DEFAULT_BACKLOG };
    const char *reason = parse_address(slice_split(rest, ' ', &rest), arena, out);
    while (reason == NULL && rest.data != NULL) {
        struct slice word = slice_trim(slice_split(rest, ' ', &rest));
        if (word.size > 0)
            reason = parse_flag(word, out);
    }
    return reason;
}

const char *settings_parse_listeners(struct slice text, struct arena *arena, struct listener_settings *out)
{
    *out = (struct listener_settings){ 0 };
    if (slice_equal(text, SLICE("off")))
        return NULL;
    size_t count = 1;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == ',';
    if (count > MOST_LISTENERS)
        return "more than 256 listeners";
    out->items = arena_array(arena, count, sizeof(*out->items));
    if (out->items == NULL)
        return "out of memory";
    for (struct slice rest = text; rest.data != NULL;) {
        const char *reason = parse_listener(slice_split(rest, ',', &rest), arena, &out->items[out->count++]);
        if (reason)
            return reason;
    }
    return NULL;
}

/* N or N-M. */
static bool parse_core_range(struct slice text, uint64_t *first, uint64_t *last)
{
    struct slice rest;
    struct slice start = slice_split(slice_trim(text), '-', &rest);
    if (!parse_number(start, MOST_CORES - 1, first))
        return false;
    *last = *first;
    return rest.data == NULL || (parse_number(rest, MOST_CORES - 1, last) && *last >= *first);
}

const char *settings_parse_cores(struct slice text, struct arena *arena, struct core_list *out)
{
    *out = (struct core_list){ .items = arena_array(arena, MOST_CORES, sizeof(*out->items)) };
    if (out->items == NULL)
        return "out of memory";
    if (slice_equal(text, SLICE("auto")))
        return NULL;
    for (struct slice rest = text; rest.data != NULL;) {
        uint64_t first, last;
        if (!parse_core_range(slice_split(rest, ',', &rest), &first, &last))
            return "expected auto, or cores like 0,2-4";
        if (out->count + (last - first) + 1 > MOST_CORES)
            return "more than 1024 cores";
        for (uint64_t core = first; core <= last; core++)
            out->items[out->count++] = (uint32_t)core;
    }
    return NULL;
}

const char *settings_parse_auto(struct slice text, uint64_t most, uint64_t *out)
{
    *out = 0;
    if (slice_equal(text, SLICE("auto")))
        return NULL;
    return parse_number(text, most, out) && *out > 0 ? NULL : "expected auto, or a number greater than 0";
}

const char *settings_parse_port_map(struct slice text, struct settings_port_map *out)
{
    struct slice rest;
    uint64_t from, to;
    struct slice first = slice_split(text, ':', &rest);
    if (!parse_number(first, 65535, &from) || rest.data == NULL || !parse_number(rest, 65535, &to))
        return "expected FROM:TO in '{}'";
    *out = (struct settings_port_map){ (uint16_t)from, (uint16_t)to };
    return NULL;
}

const char *settings_parse_header(struct slice text, unsigned *bits)
{
    enum {
        LATENCIES = SETTINGS_HEADER_PROXY_LATENCY | SETTINGS_HEADER_UPSTREAM_LATENCY |
                    SETTINGS_HEADER_RESPONSE_LATENCY | SETTINGS_HEADER_ADMIN_LATENCY
    };
    static const struct {
        const char *name;
        unsigned bits;
    } rows[] = {
        { "off", 0 },
        { "server_tokens", SETTINGS_HEADER_SERVER | SETTINGS_HEADER_VIA },
        { "latency_tokens", LATENCIES },
        { "Server", SETTINGS_HEADER_SERVER },
        { "Via", SETTINGS_HEADER_VIA },
        { "X-Kong-Proxy-Latency", SETTINGS_HEADER_PROXY_LATENCY },
        { "X-Kong-Upstream-Latency", SETTINGS_HEADER_UPSTREAM_LATENCY },
        { "X-Kong-Response-Latency", SETTINGS_HEADER_RESPONSE_LATENCY },
        { "X-Kong-Admin-Latency", SETTINGS_HEADER_ADMIN_LATENCY },
        { "X-Kong-Upstream-Status", SETTINGS_HEADER_UPSTREAM_STATUS },
        { "X-Kong-Request-Id", SETTINGS_HEADER_REQUEST_ID },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (slice_equal_nocase(text, slice_of(rows[i].name))) {
            *bits |= rows[i].bits;
            return NULL;
        }
    return "unknown header '{}'";
}

const char *settings_check_listeners(struct slice text)
{
    char page[4096];
    struct arena arena;
    struct listener_settings listeners;
    arena_init(&arena, page, sizeof(page), (size_t)1024 * 1024);
    const char *reason = settings_parse_listeners(text, &arena, &listeners);
    arena_deinit(&arena);
    return reason;
}

const char *settings_check_cores(struct slice text)
{
    struct arena arena;
    struct core_list cores;
    arena_init(&arena, NULL, 0, (size_t)64 * 1024);
    const char *reason = settings_parse_cores(text, &arena, &cores);
    arena_deinit(&arena);
    return reason;
}

const char *settings_check_shards(struct slice text)
{
    uint64_t count;
    return settings_parse_auto(text, MOST_CORES, &count);
}

const char *settings_check_auto(struct slice text)
{
    uint64_t count;
    return settings_parse_auto(text, UINT32_MAX, &count);
}

const char *settings_check_port_map(struct slice text)
{
    struct settings_port_map map;
    return settings_parse_port_map(text, &map);
}

const char *settings_check_header(struct slice text)
{
    unsigned bits = 0;
    return settings_parse_header(text, &bits);
}

const char *settings_check_instrumentation(struct slice text)
{
    static const char *const known[] = { "off",           "all",
                                         "request",       "router",
                                         "balancer",      "plugin_rewrite",
                                         "plugin_access", "plugin_header_filter",
                                         "db_query",      "dns_query",
                                         "http_client" };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (slice_equal(text, slice_of(known[i])))
            return NULL;
    return "unknown instrumentation '{}'";
}

const char *settings_check_header_upstream(struct slice text)
{
    bool good = slice_equal_nocase(text, SLICE("X-Kong-Request-Id")) || slice_equal(text, SLICE("off"));
    return good ? NULL : "expected one of: X-Kong-Request-Id, off";
}

const char *settings_check_http(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return "expected an http or https URL";
    bool http = text.size > 7 && memcmp(text.data, "http://", 7) == 0;
    return http || (text.size > 8 && memcmp(text.data, "https://", 8) == 0) ? NULL
                                                                            : "expected an http or https URL";
}

const char *settings_check_range(struct slice text)
{
    struct slice rest;
    struct slice address = slice_split(text, '/', &rest);
    bool four = is_ip(AF_INET, address);
    uint64_t bits = 0;
    if (!four && !is_ip(AF_INET6, address))
        return "invalid ip or cidr range: '{}'";
    if (rest.data != NULL && !parse_number(rest, four ? 32 : 128, &bits))
        return "invalid ip or cidr range: '{}'";
    return NULL;
}

const char *settings_check_header_name(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = slice_lower(text.data[i]);
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_')
            return "expected a header name";
    }
    return NULL;
}

const char *settings_check_aws_host(struct slice text)
{
    const char *sign = memrchr(text.data, '=', text.size);
    size_t before = sign ? (size_t)(sign - text.data) : 0;
    return before > 0 && before + 1 < text.size ? NULL : "expected NAME=HOST or NAME=HOST:PORT";
}

const char *settings_check_off(struct slice text)
{
    return slice_equal(text, SLICE("off")) ? NULL : "not supported yet: only off";
}

const char *settings_check_store(struct slice text)
{
    bool file = slice_starts_with(text, SLICE("sqlite:")) && text.size > sizeof("sqlite:") - 1;
    return file || slice_equal(text, SLICE("none")) ? NULL : "'{}' is neither none nor sqlite:PATH";
}

const char *settings_check_vault(struct slice text)
{
    static const char *const names[] = { "bundled", "off", "env", "file" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal(text, slice_of(names[i])))
            return NULL;
    return "vault '{}' is not installed";
}

const char *settings_check_path(struct slice text)
{
    if (memchr(text.data, ' ', text.size))
        return "'{}': expected a path alone: formats with a name are not supported yet";
    bool good = slice_equal(text, SLICE("off")) || memchr(text.data, '/', text.size);
    return good ? NULL : "expected a path with a '/', or off";
}

/* --- DNS ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    uint8_t type;
} dns_types[] = { { "LAST", 0 }, { "A", 1 }, { "CNAME", 5 }, { "AAAA", 28 }, { "SRV", 33 } };

const char *settings_check_dns_server(struct slice text)
{
    uint64_t port;
    bool bracketed = text.size > 0 && text.data[0] == '[';
    struct slice rest, address = text;
    if (bracketed) {
        address = slice_split(slice_from(text, 1), ']', &rest);
        if (rest.data == NULL || (rest.size > 0 && rest.data[0] != ':'))
            return "expected ADDRESS[:PORT], a numeric address: '{}'";
        rest = rest.size > 0 ? slice_from(rest, 1) : (struct slice){ NULL, 0 };
    } else if (!is_ip(AF_INET6, text)) {
        address = slice_split(text, ':', &rest);
    } else {
        rest = (struct slice){ NULL, 0 };
    }
    if (!is_ip(AF_INET, address) && !is_ip(AF_INET6, address))
        return "expected ADDRESS[:PORT], a numeric address: '{}'";
    return rest.data && (!parse_number(rest, 65535, &port) || port == 0)
               ? "expected a port from 1 to 65535: '{}'"
               : NULL;
}

const char *settings_check_dns_type(struct slice text)
{
    for (size_t i = 0; i < COUNT_OF(dns_types); i++)
        if (slice_equal_nocase(text, slice_of(dns_types[i].name)))
            return NULL;
    return "expected LAST, SRV, A, AAAA or CNAME, not '{}'";
}

void settings_parse_dns_types(const struct slices *names, struct settings_dns_types *out)
{
    *out = (struct settings_dns_types){ 0 };
    for (uint32_t i = 0; i < names->count; i++)
        for (size_t j = 0; j < COUNT_OF(dns_types); j++)
            if (slice_equal_nocase(names->items[i], slice_of(dns_types[j].name)) &&
                memchr(out->items, dns_types[j].type, out->count) == NULL)
                out->items[out->count++] = dns_types[j].type;
}

/* --- TLS ------------------------------------------------------------------------------------------------ */

const char *settings_parse_protocols(struct slice text, bool *tls_1_2, bool *tls_1_3)
{
    static const char *const older[] = { "SSLv2", "SSLv3", "TLSv1", "TLSv1.1" };
    *tls_1_2 = *tls_1_3 = false;
    for (struct slice rest = text; rest.data != NULL;) {
        struct slice word = slice_split(rest, memchr(rest.data, ',', rest.size) ? ',' : ' ', &rest);
        bool known = false;
        word = slice_trim(word);
        *tls_1_2 |= slice_equal(word, SLICE("TLSv1.2"));
        *tls_1_3 |= slice_equal(word, SLICE("TLSv1.3"));
        for (size_t i = 0; i < COUNT_OF(older); i++)
            known |= slice_equal(word, slice_of(older[i]));
        known |= word.size == 0 || slice_equal(word, SLICE("TLSv1.2")) || slice_equal(word, SLICE("TLSv1.3"));
        if (!known)
            return "unknown protocol in '{}'";
    }
    return *tls_1_2 || *tls_1_3 ? NULL : "nothing in '{}' is spoken: there are TLSv1.2 and TLSv1.3";
}

const char *settings_check_protocols(struct slice text)
{
    bool tls_1_2, tls_1_3;
    return settings_parse_protocols(text, &tls_1_2, &tls_1_3);
}
