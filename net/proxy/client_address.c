/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/client_address.h"

#include "net/proxy/client.h"

/* Commas with nothing behind them are passed over (RFC 9110 section 5.6.1, and nginx does). */
static struct slice last_element(struct slice list, struct slice *before)
{
    while (list.size > 0 && memchr(", \t", list.data[list.size - 1], 3))
        list.size--;
    size_t at = list.size;
    while (at > 0 && list.data[at - 1] != ',')
        at--;
    *before = (struct slice){ list.data, at > 0 ? at - 1 : 0 };
    return slice_trim(slice_from(list, at));
}

/* An element may carry a port: "1.2.3.4:5", "[::1]:5". */
static bool parse_element(struct slice text, struct address *address)
{
    if (address_parse(text, 0, address))
        return true;
    size_t at = text.size;
    while (at > 0 && text.data[at - 1] != ':')
        at--;
    return at > 1 && address_parse((struct slice){ text.data, at - 1 }, 0, address);
}

/* The nearest untrusted hop from the right; without `recursive` simply the last one. */
static bool from_list(const struct proxy_options *options, struct slice list, struct address *address)
{
    bool found = false;
    while (list.size > 0) {
        struct address hop;
        if (!parse_element(last_element(list, &list), &hop))
            return found;
        *address = hop;
        found = true;
        if (!options->real_ip_recursive || !address_in_ranges(&hop, &options->trusted))
            return true;
    }
    return found;
}

static struct slice header_list(struct exchange *exchange, struct slice name)
{
    struct slice joined = { NULL, 0 };
    for (uint32_t i = 0; i < exchange->request.header_count; i++) {
        const struct header *header = &exchange->request.headers[i];
        if (header->name.data == NULL || !slice_equal_nocase(header->name, name))
            continue;
        joined = joined.data == NULL ? header->value
                                     : arena_format(&exchange->arena, "%.*s,%.*s", SLICE_FORMAT(joined),
                                                    SLICE_FORMAT(header->value));
    }
    return joined;
}

struct address client_address_of_stream(const struct client *client)
{
    const struct address *told = &client->told.source;
    bool trusted = told->size > 0 && address_in_ranges(&client->peer, &client->proxy->options->trusted);
    return trusted ? *told : client->peer;
}

void client_address_determine(struct exchange *exchange)
{
    const struct proxy_options *options = exchange->proxy->options;
    const struct client *client = exchange->caller->client;
    /* A copy: the exchange may outlive its client. */
    exchange->peer_ip =
        arena_copy(&exchange->arena, (struct slice){ client->peer_text, client->peer_text_size });
    exchange->client_ip = exchange->peer_ip;
    exchange->client_address = client->peer;
    exchange->trust = PEER_UNTRUSTED;
    if (options->trusted.count == 0 || !address_in_ranges(&client->peer, &options->trusted))
        return;
    exchange->trust = PEER_TRUSTED;
    struct address address = client->told.source;
    bool by_preamble = exchange->is_stream || slice_equal(options->real_ip_header, SLICE("proxy_protocol"));
    if (by_preamble ? address.size == 0
                    : !from_list(options, header_list(exchange, options->real_ip_header), &address))
        return;
    char text[ADDRESS_TEXT_SIZE];
    size_t size = address_text(&address, text);
    struct slice copy = arena_copy(&exchange->arena, (struct slice){ text, size });
    if (copy.data == NULL)
        return;
    exchange->client_ip = copy;
    exchange->client_address = address;
}
