/* SPDX-License-Identifier: Apache-2.0 */
/* The demo: a configuration in the executable, a small origin to pass requests to, and three commands to
 * try. The origin has a thread of its own that lives until the process ends; the rest belongs to the control
 * thread. */
#pragma once

#include <stdint.h>
#include <stdio.h>

/* Starts the origin on a free port of 127.0.0.1. 0, or the errno of what failed. */
int demo_origin_start(uint16_t *port);

/* The Kong YAML whose services point to the origin that was started; valid until the process ends. */
const char *demo_configuration(void);

/* Three curl lines and what to expect. proxy_address: "127.0.0.1:8000". */
void demo_print(FILE *out, const char *proxy_address);
