/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords checked by a directory, as one shard does it: a simple bind (RFC 4511 section 4.2) is asked on a
 * connection of its own, for a bind must be answered before the next one begins; connections are kept for the
 * next. When all are busy, binds wait in line. The pool belongs to a plugin's shard state. One shard. */
#pragma once

#include "core/base/list.h"
#include "core/io/shard.h"
#include "net/transport/connection.h"

enum {
    LDAP_CONNECTIONS_MAX = 64, /* of one shard to one directory */
    LDAP_WAITING_MAX = 4096 /* binds in line for them; further ones fail */
};

enum ldap_protection { LDAP_CLEAR, LDAP_STARTS_TLS, LDAP_OVER_TLS };

struct ldap_target {
    struct slice host; /* an address, or a name that plugin_kind.hosts_of tells */
    uint16_t port;
    enum ldap_protection protection;
    bool verifies; /* the certificate and its name */
    uint32_t timeout_ms; /* of a whole bind */
    uint32_t keepalive_ms; /* an idle connection is closed after that */
};

enum ldap_outcome {
    LDAP_ACCEPTED,
    LDAP_REFUSED, /* the directory has judged: not this password for this name */
    LDAP_FAILED /* it could not be asked */
};

struct ldap_server;
struct ldap_bind;
typedef void ldap_done_fn(struct ldap_bind *bind, enum ldap_outcome outcome);

/* Embedded in whoever asks, with dn, password (not empty: that would bind as nobody, and succeed) and done
 * filled in; kept with its texts until `done`. */
struct ldap_bind {
    struct slice dn, password;
    ldap_done_fn *done; /* exactly once, from the loop */
    struct ldap_server *server;
    struct ldap_connection *connection; /* NULL: in line */
    struct list_node node;
    struct timer timer;
    bool repeated; /* a kept connection was found closed */
};

/* Zeroed is empty. */
struct ldap_pool {
    struct ldap_server *first;
};

/* The directory of that target, known from first use on; the host is copied. NULL: out of memory. */
struct ldap_server *ldap_pool_find(struct ldap_pool *pool, struct shard *shard,
                                   const struct ldap_target *target);

/* After the shard's last turn; who waits is told nothing. */
void ldap_pool_close(struct ldap_pool *pool);

/* An error: it could not begin, and `done` will not come. */
enum error ldap_bind_start(struct ldap_server *server, struct ldap_bind *bind) MUST_CHECK;
