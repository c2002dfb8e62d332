/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_socket.h"

#include "tls/tls_shake.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { OUTPUT_MAX = 128 * 1024, SEND_MAX = 16 * 1024 - 256 };

enum state { HELLO, SHAKING, OPEN, ENDED, BROKEN };

struct tls_socket {
    struct tls_server *server;
    int fd;
    enum state state;
    bool is_1_3;
    struct tls_shake *shake;
    struct tls_half sending, receiving;
    unsigned char *output; /* records that wait for the socket */
    size_t output_at, output_size, output_room;
    size_t promised; /* of the caller's bytes, in `output` */
    size_t plain_at, plain_size; /* data in `record` that was opened, but not taken yet */
    size_t record_size; /* of bytes received */
    unsigned char record[TLS_HEADER_BYTES + TLS_SEALED_MAX];
};

struct tls_socket *tls_socket_open(struct tls_server *server, int fd)
{
    struct tls_socket *tls = calloc(1, sizeof(*tls));
    if (tls == NULL)
        return NULL;
    tls_server_take(tls->server = server);
    tls->fd = fd;
    return tls;
}

void tls_socket_free(struct tls_socket *tls)
{
    if (tls == NULL)
        return;
    tls_shake_close(tls->shake);
    tls_half_close(&tls->sending);
    tls_half_close(&tls->receiving);
    tls_server_release(tls->server);
    free(tls->output);
    explicit_bzero(tls, sizeof(*tls));
    free(tls);
}

static ssize_t fail(struct tls_socket *tls, int reason)
{
    tls->state = BROKEN;
    errno = reason;
    return -1;
}

/* --- output --------------------------------------------------------------------------------------------- */

static unsigned char *reserve(struct tls_socket *tls, size_t size)
{
    if (tls->output_size + size > tls->output_room) {
        size_t room = tls->output_size + size;
        unsigned char *more = room <= OUTPUT_MAX ? realloc(tls->output, room) : NULL;
        if (more == NULL)
            return NULL;
        tls->output = more;
        tls->output_room = room;
    }
    return tls->output + tls->output_size;
}

static bool put_out(void *owner, struct slice bytes)
{
    struct tls_socket *tls = owner;
    unsigned char *place = reserve(tls, bytes.size);
    if (place == NULL)
        return false;
    memcpy(place, bytes.data, bytes.size);
    tls->output_size += bytes.size;
    return true;
}

/* 0: all has left. */
static ssize_t flush(struct tls_socket *tls)
{
    while (tls->output_at < tls->output_size) {
        ssize_t sent =
            send(tls->fd, tls->output + tls->output_at, tls->output_size - tls->output_at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? -1 : fail(tls, errno);
        tls->output_at += (size_t)sent;
    }
    tls->output_at = tls->output_size = 0;
    return 0;
}

static bool seal(struct tls_socket *tls, enum tls_type type, struct slice bytes)
{
    struct slices parts = { &bytes, 1 };
    unsigned char *place = reserve(tls, bytes.size + TLS_HALF_OVERHEAD);
    uint32_t size = place ? tls_half_seal(&tls->sending, type, &parts, place) : 0;
    tls->output_size += size;
    return size > 0;
}

/* --- the handshake -------------------------------------------------------------------------------------- */

/* What the client wishes, if all of it came in one record; else what everybody can do. */
static void read_hello(const struct tls_socket *tls, size_t size, struct tls_hello *hello)
{
    const unsigned char *message = tls->record + TLS_HEADER_BYTES;
    struct slice bytes = { (const char *)message, size - TLS_HEADER_BYTES };
    size_t wanted =
        bytes.size < TLS_MESSAGE_HEADER_BYTES
            ? SIZE_MAX
            : TLS_MESSAGE_HEADER_BYTES + (size_t)(message[1] << 16 | message[2] << 8 | message[3]);
    if (wanted <= bytes.size && tls_hello_read((struct slice){ bytes.data, wanted }, hello) == TLS_ALERT_NONE)
        return;
    *hello = (struct tls_hello){ .tls_1_2 = true,
                                 .tls_1_3 = true,
                                 .suites_ecdsa = true,
                                 .suites_rsa = true,
                                 .signs_p256 = true,
                                 .signs_p384 = true,
                                 .signs_ed25519 = true,
                                 .signs_rsa = true };
}

static bool begin(struct tls_socket *tls, size_t size)
{
    struct tls_hello hello;
    struct tls_choice choice;
    read_hello(tls, size, &hello);
    enum tls_alert alert = tls_server_choose(tls->server, &hello, 0, &choice);
    if (alert != TLS_ALERT_NONE) {
        const char clear[] = { TLS_ALERT, 3, 3, 0, 2, 2, (char)alert };
        (void)(put_out(tls, (struct slice){ clear, sizeof(clear) }) && flush(tls) == 0);
        return false;
    }
    struct tls_shake_options options = { .side = TLS_SIDE_SERVER,
                                         .ctx = choice.ctx,
                                         .key = choice.key,
                                         .trust = choice.trust,
                                         .owner = tls,
                                         .output = put_out };
    tls->shake = tls_shake_open(&options);
    tls->state = SHAKING;
    return tls->shake != NULL;
}

static bool take_keys(struct tls_socket *tls)
{
    struct tls_outcome outcome;
    if (!tls_shake_take(tls->shake, &outcome))
        return false;
    tls_peer_free(outcome.peer);
    tls->sending = outcome.sending;
    tls->receiving = outcome.receiving;
    tls->is_1_3 = outcome.suite->version == STREAM_TLS_1_3;
    explicit_bzero(&outcome, sizeof(outcome));
    tls_shake_close(tls->shake);
    tls->shake = NULL;
    tls->state = OPEN;
    return true;
}

static bool shake(struct tls_socket *tls, size_t size)
{
    if (tls->state == HELLO && !begin(tls, size))
        return false;
    enum tls_progress progress =
        tls_shake_feed(tls->shake, (struct slice){ (const char *)tls->record, size });
    if (progress == TLS_SHAKE_BROKEN) {
        (void)flush(tls); /* the alert */
        return false;
    }
    return progress == TLS_SHAKE_MORE || take_keys(tls);
}

/* --- records -------------------------------------------------------------------------------------------- */

/* False: the connection is broken. */
static bool open_record(struct tls_socket *tls, size_t size)
{
    struct tls_opened opened;
    if (tls->is_1_3 && tls->record[0] == TLS_CHANGE_CIPHER_SPEC)
        return true; /* for the sake of old middleboxes */
    if (tls_half_unseal(&tls->receiving, tls->record, (uint32_t)size, &opened) != TLS_ALERT_NONE)
        return false;
    if (opened.type == TLS_ALERT && opened.size == 2 && tls->record[opened.offset + 1] == TLS_CLOSE_NOTIFY) {
        tls->state = ENDED;
        return true;
    }
    tls->plain_at = opened.offset;
    tls->plain_size = opened.size;
    return opened.type == TLS_DATA; /* nobody who asks us needs new keys */
}

static enum tls_epoch epoch_of(const struct tls_socket *tls)
{
    if (tls->state != OPEN)
        return TLS_EPOCH_HANDSHAKE;
    return tls->is_1_3 ? TLS_EPOCH_1_3 : TLS_EPOCH_1_2;
}

/* Until the record is whole. 1: it is; 0: the peer has ended; -1 as with recv(). */
static ssize_t fill(struct tls_socket *tls, size_t *size)
{
    for (;;) {
        struct tls_header header;
        size_t wanted = TLS_HEADER_BYTES;
        if (tls->record_size >= wanted) {
            if (tls_record_header(tls->record, epoch_of(tls), &header) != TLS_ALERT_NONE)
                return fail(tls, EPROTO);
            wanted += header.size;
            if (tls->record_size == wanted) {
                *size = wanted;
                return 1;
            }
        }
        ssize_t got = recv(tls->fd, tls->record + tls->record_size, wanted - tls->record_size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? fail(tls, ECONNRESET) : errno == EAGAIN ? -1 : fail(tls, errno);
        tls->record_size += (size_t)got;
    }
}

static ssize_t take_plain(struct tls_socket *tls, void *out, size_t room)
{
    size_t part = tls->plain_size < room ? tls->plain_size : room;
    memcpy(out, tls->record + tls->plain_at, part);
    tls->plain_at += part;
    tls->plain_size -= part;
    return (ssize_t)part;
}

ssize_t tls_socket_receive(struct tls_socket *tls, void *out, size_t room)
{
    while (tls->plain_size == 0) {
        size_t size = 0;
        if (tls->state == ENDED)
            return 0;
        if (tls->state == BROKEN)
            return fail(tls, ECONNRESET);
        if (flush(tls) < 0 && tls->state == BROKEN)
            return -1;
        if (fill(tls, &size) <= 0)
            return -1;
        tls->record_size = 0;
        if (!(tls->state == OPEN ? open_record(tls, size) : shake(tls, size)))
            return fail(tls, EPROTO);
    }
    return take_plain(tls, out, room);
}

ssize_t tls_socket_send(struct tls_socket *tls, const void *bytes, size_t size)
{
    if (tls->state != OPEN && tls->state != ENDED)
        return fail(tls, ECONNRESET);
    if (tls->promised == 0) {
        struct slice part = { bytes, size < SEND_MAX ? size : SEND_MAX };
        if (!seal(tls, TLS_DATA, part))
            return fail(tls, ENOMEM);
        tls->promised = part.size;
    }
    if (flush(tls) < 0)
        return -1;
    ssize_t sent = (ssize_t)tls->promised;
    tls->promised = 0;
    return sent;
}

void tls_socket_finish(struct tls_socket *tls)
{
    static const char farewell[] = { 1, TLS_CLOSE_NOTIFY };
    if ((tls->state == OPEN || tls->state == ENDED) &&
        seal(tls, TLS_ALERT, (struct slice){ farewell, sizeof(farewell) }))
        (void)flush(tls);
}
