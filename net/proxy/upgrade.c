/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/upgrade.h"

#include "net/proxy/action.h"
#include "net/proxy/origin.h"

#include "core/crypto/base64.h"
#include "core/crypto/digest.h"

#define WEBSOCKET SLICE("websocket")
#define WEBSOCKET_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */

static bool is_allowed(const struct exchange *exchange, struct slice protocol)
{
    const struct action *action = exchange->match.route->action;
    if (action == NULL)
        return slice_equal_nocase(protocol, WEBSOCKET);
    for (uint32_t i = 0; i < action->upgrades.count; i++)
        if (slice_equal_nocase(protocol, action->upgrades.items[i]))
            return true;
    return false;
}

struct slice upgrade_named(const struct exchange *exchange)
{
    const struct message *request = &exchange->request;
    struct slice none = { NULL, 0 }, protocol = none;
    if (!message_has(request, HEADER_UPGRADE) || request->version_minor == 0)
        return none;
    protocol = slice_trim(message_find(request, HEADER_UPGRADE));
    if (!slice_equal(action_method(exchange), SLICE("GET")) || request->framing != BODY_NONE ||
        !is_allowed(exchange, protocol))
        return none;
    return slice_equal_nocase(protocol, WEBSOCKET) ? WEBSOCKET : protocol;
}

bool upgrade_is_ambiguous(const struct exchange *exchange)
{
    const struct message *request = &exchange->request;
    return request->upgrade && request->framing != BODY_NONE &&
           slice_equal_nocase(slice_trim(message_find(request, HEADER_UPGRADE)), WEBSOCKET);
}

/* Envoy takes h2c for no upgrade at all. */
int upgrade_refusal(const struct exchange *exchange)
{
    const struct message *request = &exchange->request;
    struct slice protocol = slice_trim(message_find(request, HEADER_UPGRADE));
    if (exchange->style == ANSWER_STYLE_ENVOY && !slice_equal_nocase(protocol, SLICE("h2c")) &&
        !is_allowed(exchange, protocol))
        return 403;
    bool possible = upgrade_named(exchange).data &&
                    !(exchange->service && origin_speaks_http2(exchange->service->service));
    return upgrade_is_extended(exchange) && !possible ? 501 : 0;
}

/* RFC 6455 section 4.2.2: what proves that the upstream knows WebSocket. */
static bool proves(struct exchange *exchange, struct slice proof)
{
    unsigned char digest[DIGEST_MAX];
    char text[2 * DIGEST_MAX];
    struct slice key = slice_trim(message_find_name(&exchange->request, SLICE("Sec-WebSocket-Key")));
    struct slice joined = arena_format(&exchange->arena, "%.*s%s", SLICE_FORMAT(key), WEBSOCKET_GUID);
    if (joined.data == NULL || !digest_of(DIGEST_SHA1, joined, digest))
        return false;
    size_t size = base64_encode(BASE64_STANDARD, (struct slice){ (const char *)digest, 20 }, text);
    return slice_equal(slice_trim(proof), (struct slice){ text, size });
}

bool upgrade_is_agreed(struct exchange *exchange)
{
    const struct message *request = &exchange->request, *response = &exchange->response;
    struct slice wanted = upgrade_named(exchange);
    if (wanted.data == NULL || !request->upgrade || !response->upgrade ||
        !slice_equal_nocase(slice_trim(message_find(response, HEADER_UPGRADE)), wanted))
        return false;
    if (!slice_equal(wanted, WEBSOCKET))
        return true;
    return proves(exchange, message_find_name(response, SLICE("Sec-WebSocket-Accept")));
}
