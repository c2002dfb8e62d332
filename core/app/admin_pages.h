/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask the admin and status listeners, and what is common to their answers. No I/O; on the admin
 * thread. */
#pragma once

#include "core/app/admin.h"
#include "core/app/admin_stream.h"
#include "core/app/admin_ui.h"
#include "core/crypto/uuid.h"
#include "net/http/message.h"

/* Of the admin thread. */
struct admin_counters {
    uint64_t connections; /* now */
    uint64_t evicted; /* closed for others */
};

/* The process, as the pages describe it. */
struct admin_node {
    const struct settings *settings;
    struct admin_source source;
    struct admin_ui *ui;
    char id[UUID_TEXT_SIZE];
    char hostname[256];
    int audit_fd; /* of the audit log; -1: there is none */
    struct admin_counters counters;
};

struct admin_request {
    enum admin_side side;
    const struct message *message;
    struct slice body; /* as sent, empty when there is none */
    struct slice local_address, peer_address; /* of the connection, numeric */
};

struct admin_answer {
    int status;
    const char *type; /* of the body */
    char allow[64]; /* "": no Allow header */
    unsigned retry_after_s; /* 0: no Retry-After */
    const char *headers; /* more of them, each with its line end, instead of Cache-Control; NULL: none */
    bool challenge; /* with WWW-Authenticate */
    bool bare; /* without the headers that say who answers */
    char *body; /* to be freed; NULL: memory was short, the answer has no body */
    size_t size;
    struct admin_stream *stream; /* instead of the body: it is made while it is sent; NULL: it is not */
};

/* Who may not ask gets an answer before the body of the request is read. */
bool admin_pages_refuse(const struct admin_node *node, const struct admin_request *request,
                        struct admin_answer *answer);

/* A request that is no HTTP as it should be. */
void admin_pages_refused(struct admin_answer *answer, int status, const char *reason);
