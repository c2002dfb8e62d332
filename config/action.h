/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with a request that has matched a route, beyond what Kong's own fields of a route and a
 * service say: in nobody's dialect. Part of the model: built by a front-end in the model's arena, then
 * only read. */
#pragma once

#include "core/base/regex.h"

struct service;

/* Whose clients are answered: bodies of errors and the headers that the gateway adds. */
enum answer_style { ANSWER_STYLE_KONG, ANSWER_STYLE_ENVOY, ANSWER_STYLE_AWS };

enum header_edit_kind {
    HEADER_EDIT_SET, /* instead of what is there */
    HEADER_EDIT_APPEND, /* one more field */
    HEADER_EDIT_REMOVE
};

struct header_edit {
    enum header_edit_kind kind;
    struct slice name, value;
};

/* Applied in this order. */
struct header_edits {
    const struct header_edit *items;
    uint32_t count;
};

enum path_edit_kind {
    PATH_EDIT_JOIN, /* the service's path and what strip_path leaves, by path_handling (Kong) */
    PATH_EDIT_KEEP, /* as it is in normal form */
    PATH_EDIT_PREFIX, /* what the rule's path matched becomes `text`, byte by byte (Envoy) */
    PATH_EDIT_SEGMENTS, /* the same by whole segments, one slash between (Gateway API) */
    PATH_EDIT_WHOLE, /* all of it becomes `text` */
    PATH_EDIT_REGEX, /* every match of `regex` becomes `text`, in which \0..\9 are its groups */
    PATH_EDIT_TEMPLATE /* `text`, in which {name} are the captures of the path of the rule */
};

struct path_edit {
    enum path_edit_kind kind;
    struct slice text;
    const struct regex *regex;
};

enum host_edit_kind {
    HOST_EDIT_TARGET, /* upstream.host_header, else the target's name, unless the route preserves it (Kong) */
    HOST_EDIT_KEEP, /* the client's */
    HOST_EDIT_TEXT
};

struct host_edit {
    enum host_edit_kind kind;
    struct slice text;
};

/* One of several places, drawn by weight for each request. */
struct backend {
    struct service *service; /* NULL: its share is answered with `status` */
    uint32_t weight; /* 0: never */
    int status;
    struct header_edits request, response; /* of this backend only, after the action's */
};

/* What a Location says behind its scheme. */
enum redirect_authority {
    /* `host`, else the client's without its port; then `port`, unless it is the scheme's own (Gateway API) */
    REDIRECT_AUTHORITY_PARTS,
    /* `host` as it is written, else the client's Host field as it is, of which :80 goes when the scheme
     * becomes https and :443 when it becomes http (Envoy) */
    REDIRECT_AUTHORITY_TEXT
};

/* Where a client is sent instead; absent parts stay as they were. */
struct redirect {
    struct slice scheme, host;
    enum redirect_authority authority;
    uint16_t port; /* 0: the one of the scheme if that is given, else the listener's */
    struct path_edit path;
    int status;
};

enum retry_on {
    RETRY_ON_CONNECT_FAILURE = 1,
    RETRY_ON_RESET = 2,
    RETRY_ON_5XX = 4,
    RETRY_ON_GATEWAY_ERROR = 8, /* 502, 503, 504 */
    RETRY_ON_409 = 16
};

struct retry_policy {
    unsigned on; /* enum retry_on bits */
    uint32_t retries; /* beyond the first try */
    int64_t per_try_ms; /* 0: none */
    const int *statuses; /* further ones */
    uint32_t status_count;
};

struct action {
    enum answer_style style;
    struct slice method; /* sent upstream; absent: the client's */
    struct path_edit path;
    struct slice query; /* sent upstream before the client's; may be absent */
    struct host_edit host;
    struct header_edits request, response;
    const struct backend *backends; /* 1: no drawing */
    uint32_t backend_count;
    const struct redirect *redirect; /* NULL: none */
    const struct retry_policy *retry; /* NULL: the service's */
    int64_t timeout_ms; /* of the whole exchange with all tries; 0: none */
    int64_t idle_timeout_ms; /* without a byte either way; 0: the service's timeouts */
    struct slices upgrades; /* protocols that a connection may become, in any case */
    int status; /* answered as it is, without a backend; 0: not */
    struct slice body, content_type; /* of that answer */
};

/* The one on which the point `at` of their weights, laid behind each other, falls; NULL behind the end. */
const struct backend *backend_at(const struct backend *backends, uint32_t count, uint32_t at);

/* What may stand in a head: the name of a field (RFC 9110 section 5.1), its value, a host. A name must not be
 * empty. */
bool action_is_field_name(struct slice name);
bool action_is_field_value(struct slice value);
bool action_is_host(struct slice host);
