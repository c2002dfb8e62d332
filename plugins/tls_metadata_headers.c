/* SPDX-License-Identifier: Apache-2.0 */
/* Kong Enterprise's tls-metadata-headers plugin: tells the upstream which certificate the client has
 * shown. */
#include "config/kong/checks.h"
#include "core/base/query.h"
#include "net/proxy/exchange.h"
#include "plugins/plugins.h"
#include "tls/tls_stream.h"

enum { CERTIFICATE, SERIAL, ISSUER, SUBJECT, FINGERPRINT, HEADERS };

struct metadata_config {
    bool inject;
    struct slice names[HEADERS];
};

#define NAME(index) offsetof(struct metadata_config, names) + (index) * sizeof(struct slice)

static const struct field config_fields[] = {
    { "inject_client_cert_details", FIELD_BOOLEAN, offsetof(struct metadata_config, inject),
      .fallback = "false", .help = "send the headers below; without it nothing is done" },
    { "client_cert_header_name", FIELD_STRING, NAME(CERTIFICATE), FIELD_REQUIRED, .fallback = "X-Client-Cert",
      .check = kong_check_header_name, .help = "for the certificate: PEM with percent escapes" },
    { "client_cert_serial_header_name", FIELD_STRING, NAME(SERIAL), FIELD_REQUIRED,
      .fallback = "X-Client-Cert-Serial", .check = kong_check_header_name,
      .help = "for its serial number: hex" },
    { "client_cert_issuer_dn_header_name", FIELD_STRING, NAME(ISSUER), FIELD_REQUIRED,
      .fallback = "X-Client-Cert-Issuer-DN", .check = kong_check_header_name,
      .help = "for who has issued it: RFC 2253" },
    { "client_cert_subject_dn_header_name", FIELD_STRING, NAME(SUBJECT), FIELD_REQUIRED,
      .fallback = "X-Client-Cert-Subject-DN", .check = kong_check_header_name,
      .help = "for whom it is issued to: RFC 2253" },
    { "client_cert_fingerprint_header_name", FIELD_STRING, NAME(FINGERPRINT), FIELD_REQUIRED,
      .fallback = "X-Client-Cert-Fingerprint", .check = kong_check_header_name,
      .help = "for its SHA-1 fingerprint: hex" },
};

/* As nginx writes $ssl_client_escaped_cert. */
static struct slice escape(struct arena *arena, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = text.data ? arena_alloc(arena, 3 * text.size + 1) : NULL;
    size_t size = 0;
    for (size_t i = 0; out && i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     (c && strchr("-._~", c));
        if (plain) {
            out[size++] = (char)c;
            continue;
        }
        out[size++] = '%';
        out[size++] = digits[c >> 4];
        out[size++] = digits[c & 15];
    }
    return (struct slice){ out, out ? size : 0 };
}

static enum verdict tell(const struct metadata_config *config, struct exchange *exchange,
                         const struct tls_peer *peer)
{
    struct arena *arena = exchange_arena(exchange);
    struct tls_peer_facts facts;
    if (!tls_peer_read(peer, arena, &facts))
        return exchange_respond_failure(exchange);
    struct slice values[HEADERS] = {
        [CERTIFICATE] = escape(arena, tls_peer_pem(peer, arena, TLS_PEER_CERTIFICATE)),
        [SERIAL] = facts.serial,
        [ISSUER] = facts.issuer,
        [SUBJECT] = facts.subject,
        [FINGERPRINT] = facts.sha1,
    };
    for (int i = 0; i < HEADERS; i++)
        if (values[i].size > 0 && !exchange_set_upstream_header(exchange, config->names[i], values[i]))
            return exchange_respond_failure(exchange);
    return VERDICT_CONTINUE;
}

static enum verdict metadata_access(const struct plugin_call *call)
{
    const struct metadata_config *config = call->config;
    struct tls_info info;
    if (!config->inject)
        return VERDICT_CONTINUE;
    for (int i = 0; i < HEADERS; i++) /* what a client says of itself counts for nothing */
        exchange_remove_upstream_header(call->exchange, config->names[i]);
    if (!exchange_tls(call->exchange, &info) || info.peer == NULL)
        return VERDICT_CONTINUE;
    return tell(config, call->exchange, info.peer);
}

const struct plugin tls_metadata_headers_plugin = {
    .kind = { .name = "tls-metadata-headers",
              .priority = 996,
              .config = { .name = "tls-metadata-headers",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct metadata_config) } },
    .on = { [PHASE_ACCESS] = metadata_access },
};
