/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/sanitise.h"

enum { NAME_MAX_BYTES = 40 };

/* Names, `-` for any of `-` and `_`; upstreams that speak CGI cannot tell the two apart. */
static const char *const vouching_prefixes[] = { "x-consumer-", "x-credential-", "x-anonymous-consumer",
                                                 "x-authenticated-", "x-kong-request-debug" };

/* Those of the names above that have an id. */
static const enum header_id vouching_ids[] = { HEADER_X_CONSUMER_ID,        HEADER_X_CONSUMER_GROUPS,
                                               HEADER_X_CONSUMER_USERNAME,  HEADER_X_ANONYMOUS_CONSUMER,
                                               HEADER_X_CONSUMER_CUSTOM_ID, HEADER_X_CREDENTIAL_IDENTIFIER };

/* Spelled with `-` these are the gateway's own to write; any other spelling goes. */
static const char *const own_prefixes[] = { "x-forwarded-", "x-real-ip", "x-kong-request-id" };

/* The framing and routing fields are never for one hop only, whatever Connection says; Upgrade is, and is
 * looked at here. */
static bool is_needed(enum header_id id)
{
    return id == HEADER_HOST || id == HEADER_CONTENT_LENGTH || id == HEADER_TRANSFER_ENCODING ||
           id == HEADER_CONNECTION || id == HEADER_TE || id == HEADER_EXPECT || id == HEADER_UPGRADE;
}

static void remove_one(struct header *header)
{
    header->name.data = NULL;
    header->id = HEADER_OTHER;
}

static bool starts_with_any(struct slice name, const char *const *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_starts_with(name, slice_of(prefixes[i])))
            return true;
    return false;
}

/* For names without an id that begin with x. */
static bool vouches(struct slice name)
{
    char folded[NAME_MAX_BYTES];
    bool spelled_otherwise = false;
    struct slice start = { folded, name.size < sizeof(folded) ? name.size : sizeof(folded) };
    for (size_t i = 0; i < start.size; i++) {
        spelled_otherwise |= name.data[i] == '_';
        folded[i] = name.data[i] == '_' ? '-' : slice_lower(name.data[i]);
    }
    return starts_with_any(start, vouching_prefixes, COUNT_OF(vouching_prefixes)) ||
           (spelled_otherwise && starts_with_any(start, own_prefixes, COUNT_OF(own_prefixes)));
}

void sanitise_request(struct exchange *exchange)
{
    struct message *request = &exchange->request;
    bool names = message_connection_names_fields(request);
    for (size_t i = 0; i < COUNT_OF(vouching_ids); i++)
        if (message_has(request, vouching_ids[i]))
            message_remove_id(request, vouching_ids[i]);
    for (uint32_t i = 0; i < request->header_count; i++) {
        struct header *header = &request->headers[i];
        if (header->name.data == NULL)
            continue;
        if (names && !is_needed(header->id) && message_is_named_by_connection(request, header->name))
            message_remove(request, header->name);
        else if (header->id == HEADER_OTHER && slice_lower(header->name.data[0]) == 'x' &&
                 vouches(header->name))
            remove_one(header);
    }
}

uint32_t sanitise_trailers(struct header *trailers, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (trailers[i].id == HEADER_OTHER &&
            !(slice_lower(trailers[i].name.data[0]) == 'x' && vouches(trailers[i].name)))
            trailers[kept++] = trailers[i];
    return kept;
}
