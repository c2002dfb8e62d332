/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to DNS servers through c-ares, whose sockets are polled by the shard's ring and whose time limits
 * are the shard's timers. c-ares is never called from one of its own callbacks, and never told to cancel:
 * questions end by their answer, their time limit, or with the client. One shard. */
#pragma once

#include "core/io/shard.h"
#include "net/dns/dns_answer.h"

enum {
    DNS_IN_FLIGHT_MAX = 128, /* questions on the wire; further ones wait in line */
    DNS_TRIES = 2 /* of each server; the second waits twice as long */
};

enum dns_status {
    DNS_STATUS_OK,
    DNS_STATUS_NO_DATA, /* the name has no such record */
    DNS_STATUS_NO_NAME,
    DNS_STATUS_TIMEOUT, /* no server answers */
    DNS_STATUS_FAILED /* a server refuses or fails, or answers nonsense */
};

struct dns_query;

/* One question, embedded in whoever asks; from ask to `done`, which comes exactly once and from the loop, it
 * belongs to the one asked. */
struct dns_query {
    struct list_node node;
    struct dns_client *client;
    void (*done)(struct dns_query *query);
    char name[DNS_NAME_SIZE + 1]; /* with a dot at its end: no search domains */
    enum dns_type type;
    enum dns_status status;
    struct dns_answer answer; /* with OK; valid until `done` returns */
    struct arena arena;
};

/* Whoever answers questions: a dns_client, or a test. */
struct dns_server {
    void (*ask)(struct dns_server *server, struct dns_query *query);
};

struct dns_client_options {
    const char *servers; /* "ip[:port],..."; NULL or "": those of resolv.conf */
    uint32_t timeout_ms; /* of the first try */
};

struct dns_client {
    struct dns_server server; /* first: clients are recovered from it */
    struct shard *shard;
    struct ares_channeldata *channel;
    struct list_node sockets, gone_sockets; /* struct dns_socket; those that c-ares has closed */
    struct list_node waiting, answered; /* queries: not yet on the wire, not yet told */
    uint32_t in_flight;
    struct timer timer;
    struct shard_task task;
    struct dns_client_options options;
    bool refreshing, closing;
};

/* Reads resolv.conf and its environment. ERROR_INVALID: c-ares does not accept the servers. The options'
 * text must outlive the client. */
enum error dns_client_open(struct dns_client *client, struct shard *shard,
                           const struct dns_client_options *options) MUST_CHECK;

/* Reads resolv.conf again, once the questions on the wire are answered; further ones wait for that. */
void dns_client_refresh(struct dns_client *client);

/* After shard_disconnect. Queries on their way are forgotten without a word. Legal after a failed open. */
void dns_client_close(struct dns_client *client);
