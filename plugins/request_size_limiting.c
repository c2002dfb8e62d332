/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's request-size-limiting: bodies up to a size. A length that is told is judged at once; a body without
 * one is counted by the exchange while it flows. */
#include "net/proxy/exchange.h"
#include "plugins/plugins.h"

enum size_unit { UNIT_MEGABYTES, UNIT_KILOBYTES, UNIT_BYTES };

struct request_size_limiting_config {
    int64_t allowed_payload_size;
    int size_unit; /* enum size_unit */
    bool require_content_length;
};

static const char *const unit_names[] = { "megabytes", "kilobytes", "bytes", NULL };

#define OFFSET(member) offsetof(struct request_size_limiting_config, member)

static const struct field fields[] = {
    { "allowed_payload_size", FIELD_INTEGER, OFFSET(allowed_payload_size), .max = 1099511627776.0,
      .fallback = "128", .help = "the largest body, in units of size_unit" },
    { "size_unit", FIELD_CHOICE, OFFSET(size_unit), .fallback = "megabytes", .choices = unit_names,
      .help = "1048576 bytes, 1024 bytes, or bytes" },
    { "require_content_length", FIELD_BOOLEAN, OFFSET(require_content_length), .fallback = "false",
      .help = "refuse with 411 what has neither Content-Length nor a chunked body" },
};

static uint64_t limit_bytes(const struct request_size_limiting_config *config)
{
    static const uint64_t units[] = {
        [UNIT_MEGABYTES] = 1024 * 1024, [UNIT_KILOBYTES] = 1024, [UNIT_BYTES] = 1
    };
    return (uint64_t)config->allowed_payload_size * units[config->size_unit];
}

static const struct slice exceeded = { "Request size limit exceeded", 27 };

static enum verdict refuse(struct exchange *exchange)
{
    return exchange_respond_error(exchange, exchange_request(exchange)->expects_continue ? 417 : 413,
                                  exceeded);
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct request_size_limiting_config *config = call->config;
    const struct message *request = exchange_request(call->exchange);
    if (request->framing == BODY_CHUNKED) {
        bool fits = exchange_limit_body(call->exchange, limit_bytes(config), exceeded);
        return fits ? VERDICT_CONTINUE : refuse(call->exchange);
    }
    if (message_has(request, HEADER_CONTENT_LENGTH))
        return request->body_bytes > limit_bytes(config) ? refuse(call->exchange) : VERDICT_CONTINUE;
    if (config->require_content_length)
        return exchange_respond_error(call->exchange, 411,
                                      SLICE("A valid Content-Length header is required"));
    return VERDICT_CONTINUE;
}

const struct plugin request_size_limiting_plugin = {
    .kind = { .name = "request-size-limiting",
              .priority = 951,
              .config = { .name = "request-size-limiting",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct request_size_limiting_config) } },
    .on = { [PHASE_ACCESS] = on_access },
};
