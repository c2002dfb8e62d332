/* SPDX-License-Identifier: Apache-2.0 */
/* What the settings say about TLS, made ready: pairs and authorities read from their files, the pair that
 * stands in for them, keys of tickets, profiles for what the gateway itself asks for. Control thread. */
#pragma once

#include "config/settings.h"
#include "net/proxy/tls_profiles.h"
#include "tls/tls_loop.h"
#include "tls/tls_tickets.h"

#include <pthread.h>

enum tls_own_listener { TLS_LISTENER_ADMIN, TLS_LISTENER_STATUS, TLS_OWN_LISTENERS };

struct tls_setup {
    const struct settings *settings;
    unsigned shard_count; /* the monitor's comes behind them */
    bool started, listens;
    struct tls_key *made; /* self-signed; NULL: not needed yet */
    struct tls_client *own[TLS_OWN_COUNT];
    struct tls_tickets *tickets; /* NULL: none are given */
    uint64_t rotate_at_ms; /* 0: never */
    struct ktls_support kernel; /* what is handed over to the kernel */
    struct tls_profile_options profiles; /* those read last */
    struct tls_server *listeners[TLS_OWN_LISTENERS]; /* the same; NULL: it does not speak TLS */
    pthread_mutex_t lock;
    struct tls_server *published[TLS_OWN_LISTENERS]; /* under the lock: what these listeners speak */
};

/* Before other threads begin. False: reported. tls_setup_close also then, after they have ended. */
bool tls_setup_open(struct tls_setup *setup, const struct settings *settings, unsigned shard_count,
                    struct report *report) MUST_CHECK;
void tls_setup_close(struct tls_setup *setup);

/* Reads the files again, for the next snapshot; those of the one before are forgotten. False: reported, and
 * nothing has changed. */
bool tls_setup_read(struct tls_setup *setup, struct report *report) MUST_CHECK;

/* What was read is in force: the gateway's own listeners speak by it from now on. */
void tls_setup_publish(struct tls_setup *setup);

/* What such a listener speaks, with a reference for the caller; NULL: nothing. Any thread. */
struct tls_server *tls_setup_take(struct tls_setup *setup, enum tls_own_listener listener);

/* Before the monitor has the model: what its probes connect by (net/proxy/tls_profiles.h). */
bool tls_setup_equip(const struct tls_setup *setup, struct model *model, struct report *report) MUST_CHECK;

/* When the first of the settings' pairs ends, since 1970; 0: none is used. */
int64_t tls_setup_not_after(const struct tls_setup *setup);

struct tls_loop_options tls_setup_loop(const struct tls_setup *setup, unsigned shard);

/* Is it time for other keys of tickets? Then setup->tickets has been replaced. */
bool tls_setup_rotate(struct tls_setup *setup, uint64_t now_ms);

/* The keys are read from their file again, if there is one. False: reported, the old ones stay. */
bool tls_setup_read_tickets(struct tls_setup *setup, struct report *report) MUST_CHECK;
