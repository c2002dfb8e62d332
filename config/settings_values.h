/* SPDX-License-Identifier: Apache-2.0 */
/* What settings are made of beyond texts and numbers. Part of struct settings: written by the control
 * thread at start, then constant. */
#pragma once

#include "config/schema.h"

struct listener_setting {
    struct slice address; /* numeric, without brackets */
    uint16_t port; /* 0: any free one */
    bool ssl, http2, proxy_protocol, reuseport, deferred, udp;
    int backlog;
};

/* Empty: off. */
struct listener_settings {
    struct listener_setting *items;
    uint32_t count;
};

struct core_list {
    uint32_t *items;
    uint32_t count; /* 0: auto */
};

/* Bits of settings->headers_sent, in the order of Kong's names. */
enum settings_header {
    SETTINGS_HEADER_SERVER = 1,
    SETTINGS_HEADER_VIA = 2,
    SETTINGS_HEADER_PROXY_LATENCY = 4,
    SETTINGS_HEADER_UPSTREAM_LATENCY = 8,
    SETTINGS_HEADER_RESPONSE_LATENCY = 16,
    SETTINGS_HEADER_REQUEST_ID = 32,
    SETTINGS_HEADER_UPSTREAM_STATUS = 64,
    SETTINGS_HEADER_ADMIN_LATENCY = 128
};

enum settings_log_level {
    SETTINGS_LOG_DEBUG,
    SETTINGS_LOG_INFO,
    SETTINGS_LOG_NOTICE,
    SETTINGS_LOG_WARN,
    SETTINGS_LOG_ERROR,
    SETTINGS_LOG_CRIT /* and above */
};
enum settings_log_format { SETTINGS_FORMAT_COMBINED, SETTINGS_FORMAT_JSON };
enum settings_error_type { SETTINGS_TYPE_PLAIN, SETTINGS_TYPE_JSON, SETTINGS_TYPE_HTML, SETTINGS_TYPE_XML };

enum settings_tls_preset {
    SETTINGS_TLS_MODERN,
    SETTINGS_TLS_INTERMEDIATE,
    SETTINGS_TLS_OLD,
    SETTINGS_TLS_CUSTOM
};
enum settings_tls_verify { SETTINGS_TLS_VERIFY_OFF, SETTINGS_TLS_VERIFY_OPTIONAL, SETTINGS_TLS_VERIFY_ON };
enum settings_ktls { SETTINGS_KTLS_AUTO, SETTINGS_KTLS_OFF };

struct settings_port_maps {
    struct settings_port_map {
        uint16_t from, to; /* clients reach listener `to` as `from` */
    } *items;
    uint32_t count;
};

/* Record types of RFC 1035 and 2782 in the order in which they are asked for; 0: the one that answered
 * last. */
struct settings_dns_types {
    uint8_t items[8];
    uint32_t count;
};
