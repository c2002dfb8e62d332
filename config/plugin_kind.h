/* SPDX-License-Identifier: Apache-2.0 */
/* What a plugin declares to the front-ends: its options and its kind of credential. Constant, with the
 * plugin; any thread. */
#pragma once

#include "config/schema.h"

struct credential;
struct model;
struct plugin_instance;

/* How the secrets of a configuration are written: as they are, or as they are stored. */
enum secret_form { SECRET_PLAIN, SECRET_STORED };

/* A kind of credential, declared by its plugin (e.g. jwt_secrets). The struct described by `schema` begins
 * with struct credential; the schema's rows start after it. `key_offset`: the struct slice it is found by. */
struct credential_kind {
    const char *name;
    const struct schema *schema;
    size_t key_offset;
    const char *key_name; /* the field's name, e.g. "key" */
    bool generate_key; /* a missing key is drawn at random */
    bool per_consumer; /* the key is unique for one consumer, and is found in its list only */
    /* Called when the consumer is known; false: it could not be done. May be NULL. */
    bool (*complete)(struct credential *credential, enum secret_form form);
    const char *const *aliases; /* other names of the collection when nested, ends with NULL; may be NULL */
};

enum { PLUGIN_HOSTS_MAX = 32 };

/* What a front-end has to know of a plugin; the descriptor in net/proxy/plugin.h begins with it. */
struct plugin_kind {
    const char *name;
    int priority;
    struct schema config;
    const struct credential_kind *credentials; /* NULL: none */
    bool forbids_consumer; /* an instance may not be attached to a consumer */
    bool described_without_consumer; /* the same in Kong's description, but here it works */
    bool serves_streams; /* an instance may be for tcp, tls, udp and tls_passthrough, too */
    uint64_t default_streams; /* PROTOCOL_BITs of them that it is for unless it says otherwise */
    /* Host names that its work needs resolved from the start, PLUGIN_HOSTS_MAX at most; empty ones and
     * addresses are passed over. May be NULL. */
    uint32_t (*hosts_of)(const void *config, struct slice *hosts);
    /* Called once when all entities of the model are there, upstreams still to be linked; plugins of higher
     * priority come first. For services of its own (config/detour.h), for references, and for what depends
     * on the instance's place; what is wrong is reported. May be NULL. False: out of memory. */
    bool (*link)(struct model *model, struct plugin_instance *instance, struct report *report);
    /* Who connects by TLS for its routes is asked for a certificate, which is not judged then. */
    bool asks_client;
};
