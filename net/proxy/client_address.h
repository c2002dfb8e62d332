/* SPDX-License-Identifier: Apache-2.0 */
/* Who the client is: the TCP peer, or what a trusted peer says (Kong's trusted_ips, real_ip_header and
 * real_ip_recursive). */
#pragma once

#include "net/proxy/exchange_state.h"

struct client;

/* Fills in peer_ip, client_ip, client_address and trust. */
void client_address_determine(struct exchange *exchange);

/* Before there is an exchange: of a stream, where only a PROXY header may say. */
struct address client_address_of_stream(const struct client *client);
