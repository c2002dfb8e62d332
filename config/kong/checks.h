/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of single texts for the tables of fields, with Kong's messages. For config/kong and the
 * plugins. */
#pragma once

#include "config/schema.h"

field_check_fn kong_check_id, kong_check_name, kong_check_tag, kong_check_host, kong_check_route_host,
    kong_check_path, kong_check_sni, kong_check_wildcard_host, kong_check_header_name, kong_check_header_text,
    kong_check_cookie_name, kong_check_method;
