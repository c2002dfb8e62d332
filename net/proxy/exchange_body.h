/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of an exchange for plugins that look into them: a request's as a whole, a response's as it
 * passes. Without such a plugin bodies flow untouched. Its shard's. */
#pragma once

#include "core/io/block.h"
#include "net/proxy/exchange.h"

enum body_reading {
    BODY_READ,
    BODY_LATER, /* return VERDICT_READ_BODY: the handler is called again when the body is there */
    BODY_TOO_LONG, /* it flows on untouched when the plugin continues */
    BODY_FAILED /* memory */
};

/* In PHASE_REWRITE and PHASE_ACCESS: the whole body of the request in one piece, the empty text when there is
 * none. Valid as long as the exchange. The limit is no more than the setting plugin_body_bytes. */
enum body_reading exchange_read_body(struct exchange *exchange, uint64_t limit_bytes, struct slice *body);

/* Sent upstream instead, with its length; after BODY_READ only. The text is copied. */
bool exchange_set_body(struct exchange *exchange, struct slice body) MUST_CHECK;

/* --- filters ---------------------------------------------------------------------------------------------
 * A filter is a stage that the response's body passes, embedded in its plugin's exchange state. */

struct body_filter;

struct body_filter_ops {
    /* A piece, whose reference is the filter's now. False: the response cannot be completed. */
    bool (*write)(struct body_filter *filter, struct chunk chunk);
    bool (*end)(struct body_filter *filter); /* the body is complete, there may have been none; may be NULL */
    void (*close)(
        struct body_filter *filter); /* once, at the end of the exchange, come what may; may be NULL */
};

enum body_filter_kind {
    BODY_FILTER_WATCHES,
    BODY_FILTER_CHANGES /* the body's length, so Content-Length goes */
};

struct body_filter {
    const struct body_filter_ops *ops;
    enum body_filter_kind kind;
    struct exchange *exchange; /* from here on the exchange's */
    struct body_filter *next;
};

/* In PHASE_RESPONSE_HEAD: the body will pass this one after those added before. The gateway's own answers
 * do too. */
void exchange_filter_response(struct exchange *exchange, struct body_filter *filter);

/* From a filter's end: the fields behind the upstream's body, one after the other, *cursor starting from 0.
 * False: no more. */
bool exchange_next_response_trailer(const struct exchange *exchange, uint32_t *cursor, struct header *header);

/* From write and end: to the next stage. False: give up, out of memory. The text is copied. */
bool body_filter_pass(struct body_filter *filter, struct chunk chunk) MUST_CHECK;
bool body_filter_pass_text(struct body_filter *filter, struct slice text) MUST_CHECK;
