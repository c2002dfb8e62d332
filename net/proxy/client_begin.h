/* SPDX-License-Identifier: Apache-2.0 */
/* What comes before HTTP on a client's connection: a PROXY header, and the handshake of TLS. For client.c. */
#pragma once

#include "net/proxy/client.h"

/* What has arrived in CLIENT_PREAMBLE or CLIENT_HELLO; takes the reference. */
void client_begin(struct client *client, struct chunk chunk);

/* The handshake has ended: the stream's `opened`. */
void client_shaken(struct stream *stream, enum error error);

void client_count_handshakes(struct client *client, int change);

/* Ends the connection, which has no exchange; gives it back behind its `closed`. In client.c. */
void client_close(struct client *client);
void client_closed(struct stream *stream);
