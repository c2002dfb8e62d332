/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that speak no HTTP, or not any more: from a stream_listen listener, or behind an upgrade. Each has
 * one exchange, whose tunnel takes what arrives. Its shard's. */
#pragma once

#include "net/proxy/client.h"

/* Everything before the first byte is settled: begins the exchange, before anything was received, because
 * there are protocols in which servers speak first. May close the client. */
void client_stream_begin(struct client *client);

/* A route may want TLS passed on as it is: looks for the name in what has come of the ClientHello. True: it
 * is to be unwrapped here, and `chunk` is the first of it; more may lie in client->input. Otherwise the chunk
 * was taken. */
bool client_stream_peeked(struct client *client, struct chunk *chunk);

/* CLIENT_RAW: */
void client_stream_received(struct client *client, struct chunk chunk);
void client_stream_writable(struct client *client);
/* The tunnel is open: what has come before it goes in. */
void client_stream_flow(struct client *client);
struct stream *client_stream_open_raw(struct caller *caller);
