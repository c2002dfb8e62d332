/* SPDX-License-Identifier: Apache-2.0 */
/* The origin of the demo: blocking sockets on 127.0.0.1, a thread to accept and one per connection. It
 * answers any request with the request, as JSON. Lives until the process ends. */
#pragma once

#include <stdint.h>

/* 0, or the errno of what failed. */
int demo_origin_open(uint16_t *port);
