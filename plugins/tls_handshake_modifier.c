/* SPDX-License-Identifier: Apache-2.0 */
/* Kong Enterprise's tls-handshake-modifier plugin: clients that connect for its routes are asked for a
 * certificate, which others (tls-metadata-headers) pass on. It judges none. */
#include "plugins/plugins.h"

struct handshake_config {
    int tls_client_certificate;
};

static const char *const request_choices[] = { "REQUEST", NULL };

static const struct field config_fields[] = {
    { "tls_client_certificate", FIELD_CHOICE, offsetof(struct handshake_config, tls_client_certificate),
      .fallback = "REQUEST", .choices = request_choices,
      .help = "REQUEST: a client may show a certificate, or none, and whichever it likes" },
};

const struct plugin tls_handshake_modifier_plugin = {
    .kind = { .name = "tls-handshake-modifier",
              .priority = 997,
              .config = { .name = "tls-handshake-modifier",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct handshake_config) },
              .asks_client = true },
};
