/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_challenge.h"
#include "tls/tls_stream_parts.h"

#include <stdlib.h>

/* --- the ClientHello ------------------------------------------------------------------------------------ */

static void look_for_challenge(struct tls_stream *tls, const struct tls_hello *hello)
{
    struct tls_server *server = tls_server_takes_challenges(tls->server) ? tls_challenge_take(hello) : NULL;
    if (server == NULL)
        return;
    tls_server_release(tls->server);
    tls->server = server;
    tls->confirms = true;
}

static bool open_shake(struct tls_stream *tls, const struct tls_hello *hello)
{
    struct tls_choice choice;
    look_for_challenge(tls, hello);
    uint32_t set = tls->confirms ? 0 : tls->loop->options.set;
    enum tls_alert alert = tls_server_choose(tls->server, hello, set, &choice);
    if (alert != TLS_ALERT_NONE) {
        tls_stream_fail(tls, ERROR_TLS, alert, tls_alert_text(alert));
        return false;
    }
    tls->name = hello->name.data ? strndup(hello->name.data, hello->name.size) : NULL;
    struct tls_shake_options options = { .side = TLS_SIDE_SERVER,
                                         .ctx = choice.ctx,
                                         .key = choice.key,
                                         .trust = choice.trust,
                                         .name = tls->name,
                                         .protocol = choice.protocol,
                                         .staple = choice.staple,
                                         .tickets = choice.trust || tls->confirms ? NULL : tls->loop->tickets,
                                         .owner = tls,
                                         .output = tls_stream_output };
    tls->shake = hello->name.data && tls->name == NULL ? NULL : tls_shake_open(&options);
    if (tls->shake == NULL)
        tls_stream_fail(tls, ERROR_MEMORY, TLS_INTERNAL_ERROR, NULL);
    return tls->shake != NULL;
}

static void copy_incoming(struct tls_stream *tls, unsigned char *out)
{
    for (uint32_t i = 0; i < tls->incoming.count; i++) {
        struct slice bytes = chunk_slice(chunk_queue_at(&tls->incoming, i));
        memcpy(out, bytes.data, bytes.size);
        out += bytes.size;
    }
}

/* False: more is needed, or it has failed. */
static bool read_hello(struct tls_stream *tls)
{
    struct slice message;
    struct tls_hello hello;
    size_t size = (size_t)tls->incoming.bytes;
    unsigned char *all = size > 0 ? malloc(size) : NULL;
    if (all == NULL)
        return false;
    copy_incoming(tls, all);
    enum tls_alert alert = tls_hello_gather(all, size, &message);
    bool whole = alert == TLS_ALERT_NONE && message.data;
    if (whole)
        alert = tls_hello_read(message, &hello);
    bool good = whole && alert == TLS_ALERT_NONE && open_shake(tls, &hello);
    if (alert != TLS_ALERT_NONE)
        tls_stream_fail(tls, ERROR_TLS, alert, "not a ClientHello that can be answered");
    free(all);
    if (good)
        tls->phase = TLS_PHASE_SHAKE;
    return good;
}

/* --- the rest of it ------------------------------------------------------------------------------------- */

static bool open_as_client(struct tls_stream *tls)
{
    bool checks = tls_client_checks_name(tls->client);
    struct tls_shake_options options = { .side = TLS_SIDE_CLIENT,
                                         .ctx = tls_client_context(tls->client, tls->loop->options.set),
                                         .key = tls_client_key(tls->client),
                                         .trust = tls_client_trust(tls->client),
                                         .name = tls->name,
                                         .checked_name = checks ? tls->checked_name : NULL,
                                         .protocols = tls_client_protocols(tls->client),
                                         .owner = tls,
                                         .output = tls_stream_output };
    if (checks && tls->checked_name == NULL) {
        tls_stream_fail(tls, ERROR_TLS, TLS_ALERT_NONE, "no name to check the certificate against");
        return false;
    }
    tls->shake = tls_shake_open(&options);
    if (tls->shake == NULL)
        tls_stream_fail(tls, ERROR_MEMORY, TLS_ALERT_NONE, NULL);
    return tls->shake != NULL;
}

void tls_stream_end_shake(struct tls_stream *tls)
{
    tls_shake_close(tls->shake);
    tls->shake = NULL;
    tls_server_release(tls->server);
    tls->server = NULL;
    tls_client_release(tls->client);
    tls->client = NULL;
    free(tls->checked_name);
    tls->checked_name = NULL;
}

/* RFC 8737 section 3: nothing is said on such a connection. */
static void part(struct tls_stream *tls)
{
    static const char close_notify[] = { 1, TLS_CLOSE_NOTIFY };
    tls->phase = TLS_PHASE_OPEN;
    tls_stream_seal_control(tls, TLS_ALERT, (struct slice){ close_notify, sizeof(close_notify) });
    tls_stream_fail(tls, ERROR_CLOSED, TLS_ALERT_NONE, "a challenge was answered");
}

static void succeed(struct tls_stream *tls)
{
    struct tls_outcome outcome;
    if (!tls_shake_take(tls->shake, &outcome)) {
        tls_stream_fail(tls, ERROR_TLS, TLS_ALERT_NONE, "the keys cannot be taken over");
        return;
    }
    tls->suite = outcome.suite;
    tls->resumed = outcome.resumed;
    tls->sending = outcome.sending;
    tls->receiving = outcome.receiving;
    tls->peer = outcome.peer;
    memcpy(tls->protocol, outcome.protocol, sizeof(tls->protocol));
    explicit_bzero(&outcome, sizeof(outcome));
    tls_stream_end_shake(tls);
    if (tls->confirms) {
        part(tls);
        return;
    }
    tls->phase = TLS_PHASE_OPEN;
    tls->opened = true;
    tls_stream_plan(tls);
    tls->stream.events->opened(&tls->stream, ERROR_OK);
    if (tls->closing)
        return;
    shard_defer(tls->stream.shard, &tls->task); /* what the owner has sent, and what has come behind it */
}

static void break_off(struct tls_stream *tls)
{
    tls->failure = tls_shake_failure(tls->shake);
    bool silent = tls->failure.alert_sent == TLS_ALERT_NONE && tls->failure.alert_received == TLS_ALERT_NONE;
    bool clear = silent && tls_shake_is_clear(tls->shake);
    tls_stream_fail(tls, ERROR_TLS, clear ? TLS_HANDSHAKE_FAILURE : TLS_ALERT_NONE, tls->failure.reason);
}

/* A record of the peer, or nothing for the first step of a client. False: no more for now. */
static bool feed(struct tls_stream *tls, struct slice record)
{
    switch (tls_shake_feed(tls->shake, record)) {
    case TLS_SHAKE_MORE: return true;
    case TLS_SHAKE_DONE: succeed(tls); return false;
    default: break_off(tls); return false;
    }
}

static bool in_order(struct tls_stream *tls, struct slice record)
{
    if (!tls->server_side || tls_order_allows(&tls->order, record))
        return true;
    tls_stream_fail(tls, ERROR_TLS, TLS_UNEXPECTED_MESSAGE, "CertificateVerify before ClientKeyExchange");
    return false;
}

static void feed_all(struct tls_stream *tls)
{
    struct chunk record;
    bool more = true;
    while (more && tls->phase == TLS_PHASE_SHAKE) {
        if (tls_stream_frame(tls, TLS_EPOCH_HANDSHAKE, &record) != TLS_FRAME_WHOLE)
            break;
        more = in_order(tls, chunk_slice(&record)) && feed(tls, chunk_slice(&record));
        chunk_release(&record);
    }
    if (tls->cut && !tls->closing && tls->phase == TLS_PHASE_SHAKE)
        tls_stream_fail(tls, ERROR_TRUNCATED, TLS_ALERT_NONE, "closed during the handshake");
}

void tls_stream_shake(struct tls_job *job)
{
    struct tls_stream *tls = CONTAINER_OF(job, struct tls_stream, job);
    if (tls->closing)
        return;
    if (tls->phase == TLS_PHASE_HELLO && !read_hello(tls)) {
        if (tls->cut)
            tls_stream_fail(tls, ERROR_TRUNCATED, TLS_ALERT_NONE, "closed before a ClientHello");
        return;
    }
    if (tls->phase != TLS_PHASE_SHAKE)
        return;
    if (tls->shake == NULL && (!open_as_client(tls) || !feed(tls, (struct slice){ NULL, 0 })))
        return;
    feed_all(tls);
}
