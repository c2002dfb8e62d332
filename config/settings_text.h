/* SPDX-License-Identifier: Apache-2.0 */
/* Settings whose text has a grammar of its own: listeners, cores, addresses, ports. Each function gives NULL
 * or the reason (static text). Used by config/settings*.c alone, on the control thread. */
#pragma once

#include "config/settings.h"

/* Kong's syntax: ADDR:PORT [flags], with commas between; or off. */
const char *settings_parse_listeners(struct slice text, struct arena *arena, struct listener_settings *out);

/* auto, or cores and ranges: 0,2-4. */
const char *settings_parse_cores(struct slice text, struct arena *arena, struct core_list *out);

/* auto (0), or a number from 1 to `most`. */
const char *settings_parse_auto(struct slice text, uint64_t most, uint64_t *out);

/* "80:8000". */
const char *settings_parse_port_map(struct slice text, struct settings_port_map *out);

/* Names of types that were checked, each once. */
void settings_parse_dns_types(const struct slices *names, struct settings_dns_types *out);

/* Names of protocols with spaces or commas between; older ones are accepted, and not spoken. */
const char *settings_parse_protocols(struct slice text, bool *tls_1_2, bool *tls_1_3);

/* Bits of enum settings_header; 0 for `off`. */
const char *settings_parse_header(struct slice text, unsigned *bits);

field_check_fn settings_check_aws_host, settings_check_listeners, settings_check_cores, settings_check_shards,
    settings_check_auto, settings_check_port_map, settings_check_header, settings_check_header_upstream,
    settings_check_http, settings_check_instrumentation, settings_check_range, settings_check_header_name,
    settings_check_off, settings_check_none, settings_check_path, settings_check_store, settings_check_vault,
    settings_check_dns_server, settings_check_dns_type, settings_check_protocols;
