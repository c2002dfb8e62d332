/* SPDX-License-Identifier: Apache-2.0 */
/* The other engine of the load generator: clients and origin in one process on one io_uring, so that neither
 * is what limits the proxy between them. Keep-alive, in the clear, answers of one size up to a megabyte; of
 * the options it takes what that needs. One thread. */
#pragma once

#include "bench/load_engine.h"

/* Listens on 127.0.0.1:`origin_port` for the proxy. Runs warm-up, interval and drain. 0, or -1 with a message
 * on stderr. */
int load_ring_run(const struct load_options *options, uint16_t origin_port, struct load_result *result);
