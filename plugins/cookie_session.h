/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that live in their client's cookies, sealed: the gateway keeps nothing, every shard and every node
 * with the same secret can read them. One larger than a cookie is cut over several (name, name2, name3 ...).
 * Three clocks end a session: since it was last seen (idling), since it was last renewed (rolling), since it
 * began (absolute). A remembered one has a second, longer-lived cookie that brings it back. Shared by the
 * plugins that log people in. The configuration's owner is the snapshot, a session's the exchange. */
#pragma once

#include "config/schema.h"
#include "core/crypto/seal.h"
#include "net/proxy/exchange.h"

enum cookie_same_site { SAME_SITE_STRICT, SAME_SITE_LAX, SAME_SITE_NONE, SAME_SITE_DEFAULT };

struct cookie_session_config {
    struct slice secret; /* absent: drawn when the process starts, so sessions end with it */
    struct slice audience, cookie_name, cookie_path, cookie_domain, remember_cookie_name;
    int same_site; /* enum cookie_same_site */
    bool http_only, secure, remember;
    int64_t idling_s, rolling_s, absolute_s, remember_rolling_s, remember_absolute_s; /* 0: without end */
    struct seal_key key; /* prepared */
};

/* The rows of a table of fields, for a struct `owner` that holds the configuration at `place`; each name
 * begins with `prefix`. */
#define COOKIE_SESSION_AT(owner, place, part) \
    (offsetof(owner, place) + offsetof(struct cookie_session_config, part))
#define COOKIE_SESSION_FIELDS(prefix, owner, place, same_site_default)                              \
    { .name = prefix "secret",                                                                      \
      .type = FIELD_STRING,                                                                         \
      .offset = COOKIE_SESSION_AT(owner, place, secret),                                            \
      .flags = FIELD_SECRET | FIELD_VAULT,                                                          \
      .help = "what cookies are sealed with; the same on all nodes; absent: drawn at each start" }, \
        { .name = prefix "audience",                                                                \
          .type = FIELD_STRING,                                                                     \
          .offset = COOKIE_SESSION_AT(owner, place, audience),                                      \
          .fallback = "default",                                                                    \
          .help = "sessions of another audience are not taken" },                                   \
        { .name = prefix "cookie_name",                                                             \
          .type = FIELD_STRING,                                                                     \
          .offset = COOKIE_SESSION_AT(owner, place, cookie_name),                                   \
          .fallback = "session",                                                                    \
          .check = cookie_session_check_name },                                                     \
        { .name = prefix "cookie_path",                                                             \
          .type = FIELD_STRING,                                                                     \
          .offset = COOKIE_SESSION_AT(owner, place, cookie_path),                                   \
          .fallback = "/",                                                                          \
          .check = cookie_session_check_attribute },                                                \
        { .name = prefix "cookie_domain",                                                           \
          .type = FIELD_STRING,                                                                     \
          .offset = COOKIE_SESSION_AT(owner, place, cookie_domain),                                 \
          .check = cookie_session_check_attribute },                                                \
        { .name = prefix "cookie_same_site",                                                        \
          .type = FIELD_CHOICE,                                                                     \
          .offset = COOKIE_SESSION_AT(owner, place, same_site),                                     \
          .fallback = same_site_default,                                                            \
          .choices = cookie_session_same_sites },                                                   \
        { .name = prefix "cookie_http_only",                                                        \
          .type = FIELD_BOOLEAN,                                                                    \
          .offset = COOKIE_SESSION_AT(owner, place, http_only),                                     \
          .fallback = "true" },                                                                     \
        { .name = prefix "cookie_secure",                                                           \
          .type = FIELD_BOOLEAN,                                                                    \
          .offset = COOKIE_SESSION_AT(owner, place, secure),                                        \
          .fallback = "true",                                                                       \
          .help = "browsers send it over https only" },                                             \
        { .name = prefix "idling_timeout",                                                          \
          .type = FIELD_INTEGER,                                                                    \
          .offset = COOKIE_SESSION_AT(owner, place, idling_s),                                      \
          .max = 315360000,                                                                         \
          .fallback = "900",                                                                        \
          .help = "seconds without a request; 0: any" },                                            \
        { .name = prefix "rolling_timeout",                                                         \
          .type = FIELD_INTEGER,                                                                    \
          .offset = COOKIE_SESSION_AT(owner, place, rolling_s),                                     \
          .max = 315360000,                                                                         \
          .fallback = "3600",                                                                       \
          .help = "seconds until it must have been renewed, which happens by itself; 0: any" },     \
        { .name = prefix "absolute_timeout",                                                        \
          .type = FIELD_INTEGER,                                                                    \
          .offset = COOKIE_SESSION_AT(owner, place, absolute_s),                                    \
          .max = 315360000,                                                                         \
          .fallback = "86400",                                                                      \
          .help = "seconds in all; 0: any" },                                                       \
        { .name = prefix "remember",                                                                \
          .type = FIELD_BOOLEAN,                                                                    \
          .offset = COOKIE_SESSION_AT(owner, place, remember),                                      \
          .fallback = "false",                                                                      \
          .help = "a second cookie outlives the browser and brings the session back" },             \
        { .name = prefix "remember_cookie_name",                                                    \
          .type = FIELD_STRING,                                                                     \
          .offset = COOKIE_SESSION_AT(owner, place, remember_cookie_name),                          \
          .fallback = "remember",                                                                   \
          .check = cookie_session_check_name },                                                     \
        { .name = prefix "remember_rolling_timeout",                                                \
          .type = FIELD_INTEGER,                                                                    \
          .offset = COOKIE_SESSION_AT(owner, place, remember_rolling_s),                            \
          .max = 315360000,                                                                         \
          .fallback = "604800" },                                                                   \
        { .name = prefix "remember_absolute_timeout",                                               \
          .type = FIELD_INTEGER,                                                                    \
          .offset = COOKIE_SESSION_AT(owner, place, remember_absolute_s),                           \
          .max = 315360000,                                                                         \
          .fallback = "2592000" }

extern const char *const cookie_session_same_sites[];
const char *cookie_session_check_name(struct slice text);
const char *cookie_session_check_attribute(struct slice text);

/* From the check of the configuration. */
void cookie_session_prepare(struct cookie_session_config *config);

struct cookie_session {
    struct slice payload; /* its owner's business, any bytes */
    int64_t began_s, renewed_s, seen_s; /* wall clock; 0 in a new one */
    bool brought_back; /* by the remembering cookie: to be saved */
};

enum cookie_session_state {
    COOKIE_SESSION_OPEN,
    COOKIE_SESSION_NONE, /* no cookie, or one that is not ours, or its time is over */
    COOKIE_SESSION_FAILED /* memory */
};

/* Unless it is open, the session is an empty one afterwards. */
enum cookie_session_state cookie_session_open(const struct cookie_session_config *config,
                                              struct exchange *exchange, struct cookie_session *session);

/* Is it worth a new cookie, so that the clocks do not run out on somebody who is here? */
bool cookie_session_is_due(const struct cookie_session_config *config, struct exchange *exchange,
                           const struct cookie_session *session);

/* Sets the cookies on the response; the clocks go on. False: out of memory, or the payload is too large for
 * COOKIE_SESSION_PARTS_MAX cookies. */
enum { COOKIE_SESSION_PARTS_MAX = 9 };
bool cookie_session_save(const struct cookie_session_config *config, struct exchange *exchange,
                         const struct cookie_session *session) MUST_CHECK;

/* Has the client drop what it has of them. */
bool cookie_session_end(const struct cookie_session_config *config, struct exchange *exchange) MUST_CHECK;

/* The upstream does not see them. */
bool cookie_session_hide(const struct cookie_session_config *config, struct exchange *exchange) MUST_CHECK;
