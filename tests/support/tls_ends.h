/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS client and server of ours over a pipe in memory, which record what they are told; profiles for them
 * from few words. The test owns them; one shard. */
#pragma once

#include "tests/support/pipe_stream.h"
#include "tests/support/test_certs.h"
#include "tls/tls_stream.h"

struct tls_end {
    struct tls_stream tls; /* first */
    struct pipe_stream pipe;
    uint64_t opened, ended, failed, closed, writable; /* events */
    enum error error; /* of the last opened or failed */
    uint64_t received, wrong; /* bytes; of them, other than the pattern */
    char text[64];
    bool echoes, closes; /* closes at `opened` */
    uint32_t pauses_every; /* bytes; pauses and resumes in the next turn; 0: never */
    uint64_t pause_at;
    uint64_t to_send, sent; /* of the pattern */
};

struct tls_ends {
    struct shard shard;
    struct tls_loop loop;
    struct tls_end client, server;
    struct test_cert *authority, *certs[4]; /* [0] P-256, [1] RSA, both "a.test" */
};

/* Is it true, has the counter come that far, within ten seconds? */
bool tls_ends_until(struct shard *shard, bool (*is_true)(void *pointer), void *pointer) MUST_CHECK;
bool tls_ends_until_count(struct shard *shard, const uint64_t *counter, uint64_t wanted) MUST_CHECK;

void tls_ends_open(struct tls_ends *ends);
void tls_ends_close(struct tls_ends *ends);

/* With versions 1.2 and 1.3 and every suite. */
struct tls_suite_choice tls_ends_suites(void);
struct tls_key *tls_ends_key(struct test_cert *cert);
struct tls_trust *tls_ends_trust(struct slice authorities, struct slice revocations, int depth);

/* One site with that certificate, which asks for none. */
struct tls_server *tls_ends_server(struct tls_ends *ends, struct test_cert *cert);
struct tls_client *tls_ends_client(struct tls_ends *ends);

/* Begins a handshake; takes the profiles over. */
void tls_ends_begin(struct tls_ends *ends, struct tls_server *server, struct tls_client *client);

/* Only the server's end, on the pipe that is open already; takes the profile over. */
void tls_ends_accept(struct tls_ends *ends, struct tls_server *server);
void tls_ends_accept_on(struct tls_ends *ends, struct tls_server *server, struct stream *lower);

/* Only the client's; the same. */
void tls_ends_connect(struct tls_ends *ends, struct tls_client *client, const char *name);

/* Turns until both are told the end of it, or have failed; did both succeed? */
bool tls_ends_shake(struct tls_ends *ends);

/* Closes both; nothing may be held after that. */
void tls_ends_part(struct tls_ends *ends);

void tls_ends_send_text(struct tls_end *end, const char *text);
void tls_ends_send_pattern(struct tls_end *end, uint64_t size);
char tls_ends_byte(uint64_t offset);
