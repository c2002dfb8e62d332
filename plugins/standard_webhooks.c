/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's standard-webhooks: only calls that are signed as the Standard Webhooks specification says get
 * through. */
#include "core/crypto/base64.h"
#include "core/crypto/hmac.h"
#include "core/io/shard.h"
#include "net/proxy/exchange_body.h"
#include "plugins/plugins.h"

struct standard_webhooks_config {
    struct slice secret;
    int64_t tolerance_s;
    struct hmac_key key; /* prepared */
};

#define OFFSET(member) offsetof(struct standard_webhooks_config, member)

static const struct field fields[] = {
    { "secret_v1", FIELD_STRING, OFFSET(secret), .flags = FIELD_REQUIRED | FIELD_SECRET | FIELD_VAULT,
      .help = "the secret that calls are signed with" },
    { "tolerance_second", FIELD_INTEGER, OFFSET(tolerance_s), .max = 2147483647, .fallback = "300",
      .help = "how far a call's time may be from now, in seconds" },
};

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct standard_webhooks_config *config = value;
    (void)node, (void)place;
    hmac_key_init(&config->key, HMAC_SHA256, config->secret);
}

enum { MAC_BYTES = 32, MAC_CHARACTERS = 44 };

/* "v1,<base64>", or several of them with spaces between, when the sender changes its secret. */
static bool is_signed(struct slice signatures, const char mac[MAC_CHARACTERS])
{
    bool found = false;
    while (signatures.data) {
        struct slice signature = slice_split(signatures, ' ', &signatures);
        if (slice_starts_with(signature, SLICE("v1,")))
            found |=
                slice_equal_constant_time(slice_from(signature, 3), (struct slice){ mac, MAC_CHARACTERS });
    }
    return found;
}

static bool is_recent(const struct standard_webhooks_config *config, struct slice time, uint64_t now_s)
{
    uint64_t then_s;
    if (!slice_to_u64(time, &then_s))
        return false;
    uint64_t distance_s = then_s > now_s ? then_s - now_s : now_s - then_s;
    return distance_s <= (uint64_t)config->tolerance_s;
}

static enum verdict refuse(struct exchange *exchange)
{
    return exchange_respond_error(exchange, 400, SLICE("Bad request"));
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct standard_webhooks_config *config = call->config;
    struct exchange *exchange = call->exchange;
    const struct message *request = exchange_request(exchange);
    struct slice id = message_find_name(request, SLICE("webhook-id"));
    struct slice time = message_find_name(request, SLICE("webhook-timestamp"));
    struct slice signatures = message_find_name(request, SLICE("webhook-signature"));
    if (id.data == NULL || signatures.data == NULL ||
        !is_recent(config, time, exchange_shard(exchange)->wall_ms / 1000))
        return refuse(exchange);
    struct slice body;
    switch (exchange_read_body(exchange, UINT64_MAX, &body)) {
    case BODY_READ: break;
    case BODY_LATER: return VERDICT_READ_BODY;
    case BODY_TOO_LONG: return exchange_respond_error(exchange, 413, SLICE("Request size limit exceeded"));
    case BODY_FAILED: return exchange_respond_failure(exchange);
    }
    const struct slice parts[] = { id, SLICE("."), time, SLICE("."), body };
    unsigned char mac[MAC_BYTES];
    char text[MAC_CHARACTERS];
    hmac_sign_parts(&config->key, parts, COUNT_OF(parts), mac);
    base64_encode(BASE64_STANDARD, (struct slice){ (const char *)mac, sizeof(mac) }, text);
    return body.size > 0 && is_signed(signatures, text) ? VERDICT_CONTINUE : refuse(exchange);
}

const struct plugin standard_webhooks_plugin = {
    .kind = { .name = "standard-webhooks",
              .priority = 760,
              .config = { .name = "standard-webhooks",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct standard_webhooks_config),
                          .check = check },
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = on_access },
};
