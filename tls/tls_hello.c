/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_hello.h"

enum extension {
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_STATUS = 5,
    EXTENSION_SIGNATURES = 13,
    EXTENSION_PROTOCOLS = 16,
    EXTENSION_VERSIONS = 43,
    EXTENSION_KEY_SHARES = 51
};

enum { CLIENT_HELLO = 1, EXTENSIONS_MAX = 64, KEY_SHARES_MAX = 32, NAME_IS_HOST = 0, STATUS_IS_OCSP = 1 };

/* What is left to read; once something was missing, everything is. */
struct reader {
    const unsigned char *next;
    size_t left;
    bool broken;
};

static struct slice take(struct reader *reader, size_t size)
{
    if (reader->broken || size > reader->left) {
        reader->broken = true;
        return (struct slice){ NULL, 0 };
    }
    struct slice taken = { (const char *)reader->next, size };
    reader->next += size;
    reader->left -= size;
    return taken;
}

static size_t take_number(struct reader *reader, size_t bytes)
{
    struct slice taken = take(reader, bytes);
    size_t number = 0;
    for (size_t i = 0; i < taken.size; i++)
        number = number << 8 | (unsigned char)taken.data[i];
    return number;
}

static struct reader reader_of(struct slice bytes)
{
    return (struct reader){ (const unsigned char *)bytes.data, bytes.size, bytes.data == NULL };
}

/* A vector: its length in that many bytes, and then it. */
static struct reader take_vector(struct reader *reader, size_t length_bytes)
{
    return reader_of(take(reader, take_number(reader, length_bytes)));
}

static bool is_done(const struct reader *reader)
{
    return !reader->broken && reader->left == 0;
}

static void note_suite(struct tls_hello *hello, size_t suite)
{
    switch (suite) {
    case 0xC02B:
    case 0xC02C:
    case 0xCCA9: hello->suites_ecdsa = true; break;
    case 0xC02F:
    case 0xC030:
    case 0xCCA8: hello->suites_rsa = true; break;
    default: break;
    }
}

static void note_signature(struct tls_hello *hello, size_t scheme)
{
    switch (scheme) {
    case 0x0403: hello->signs_p256 = true; break;
    case 0x0503: hello->signs_p384 = true; break;
    case 0x0807: hello->signs_ed25519 = true; break;
    case 0x0401:
    case 0x0501:
    case 0x0601: /* PKCS #1 is for TLS 1.2 only, but whoever takes it takes PSS as well */
    case 0x0804:
    case 0x0805:
    case 0x0806: hello->signs_rsa = true; break;
    default: break;
    }
}

/* A list of 16-bit numbers behind a length. */
static bool read_numbers(struct tls_hello *hello, struct reader *body, size_t length_bytes,
                         void (*note)(struct tls_hello *, size_t))
{
    struct reader list = take_vector(body, length_bytes);
    while (!list.broken && list.left > 0)
        note(hello, take_number(&list, 2));
    return is_done(&list);
}

static void note_version(struct tls_hello *hello, size_t version)
{
    hello->tls_1_2 |= version == 0x0303;
    hello->tls_1_3 |= version == 0x0304;
}

static bool is_name_legal(struct slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~')
            return false;
    return name.size > 0 && name.size <= TLS_NAME_MAX;
}

static bool read_name(struct tls_hello *hello, struct reader *body)
{
    struct reader list = take_vector(body, 2);
    while (!list.broken && list.left > 0) {
        size_t kind = take_number(&list, 1);
        struct slice name = take(&list, take_number(&list, 2));
        if (kind != NAME_IS_HOST)
            continue;
        if (hello->name.data != NULL || !is_name_legal(name))
            return false;
        hello->name = name;
    }
    return is_done(&list);
}

static bool read_protocols(struct tls_hello *hello, struct reader *body)
{
    struct slice whole = take(body, take_number(body, 2));
    struct reader list = reader_of(whole);
    while (!list.broken && list.left > 0) {
        size_t size = take_number(&list, 1);
        (void)take(&list, size);
        list.broken |= size == 0;
    }
    hello->protocols = whole;
    return is_done(&list) && whole.size > 0;
}

/* No group twice (RFC 8446 section 4.2.8): wolfSSL 5.5.4 would keep both keys. */
static bool read_key_shares(struct reader *body)
{
    size_t groups[KEY_SHARES_MAX], count = 0;
    struct reader list = take_vector(body, 2);
    while (!list.broken && list.left > 0) {
        size_t group = take_number(&list, 2);
        (void)take(&list, take_number(&list, 2));
        for (size_t i = 0; i < count; i++)
            if (groups[i] == group)
                return false;
        if (count == KEY_SHARES_MAX)
            return false;
        groups[count++] = group;
    }
    return is_done(&list);
}

static bool read_extension(struct tls_hello *hello, size_t kind, struct reader *body)
{
    switch (kind) {
    case EXTENSION_SERVER_NAME: return read_name(hello, body);
    case EXTENSION_STATUS:
        hello->asks_status = take_number(body, 1) == STATUS_IS_OCSP;
        (void)take(body, body->left);
        return !body->broken;
    case EXTENSION_SIGNATURES: return read_numbers(hello, body, 2, note_signature);
    case EXTENSION_PROTOCOLS: return read_protocols(hello, body);
    case EXTENSION_VERSIONS: hello->tls_1_2 = false; return read_numbers(hello, body, 1, note_version);
    case EXTENSION_KEY_SHARES: return read_key_shares(body);
    default: (void)take(body, body->left); return true;
    }
}

static bool is_new(const size_t *kinds, size_t count, size_t kind)
{
    for (size_t i = 0; i < count; i++)
        if (kinds[i] == kind)
            return false;
    return count < EXTENSIONS_MAX;
}

static enum tls_alert read_extensions(struct tls_hello *hello, struct reader *all)
{
    size_t kinds[EXTENSIONS_MAX], count = 0;
    while (!all->broken && all->left > 0) {
        size_t kind = take_number(all, 2);
        struct reader body = take_vector(all, 2);
        if (all->broken)
            break;
        if (!is_new(kinds, count, kind))
            return TLS_ILLEGAL_PARAMETER;
        kinds[count++] = kind;
        if (!read_extension(hello, kind, &body) || !is_done(&body))
            return kind == EXTENSION_KEY_SHARES ? TLS_ILLEGAL_PARAMETER : TLS_DECODE_ERROR;
    }
    return is_done(all) ? TLS_ALERT_NONE : TLS_DECODE_ERROR;
}

enum tls_alert tls_hello_read(struct slice message, struct tls_hello *hello)
{
    struct reader reader = reader_of(message);
    *hello = (struct tls_hello){ 0 };
    if (take_number(&reader, 1) != CLIENT_HELLO)
        return TLS_UNEXPECTED_MESSAGE;
    struct reader body = take_vector(&reader, 3);
    if (!is_done(&reader))
        return TLS_DECODE_ERROR;
    hello->tls_1_2 = take_number(&body, 2) >= 0x0303;
    (void)take(&body, 32); /* random */
    struct reader session = take_vector(&body, 1);
    if (session.left > 32 || !read_numbers(hello, &body, 2, note_suite))
        return TLS_DECODE_ERROR;
    struct reader compression = take_vector(&body, 1);
    if (compression.broken || compression.left == 0 || body.broken)
        return TLS_DECODE_ERROR;
    if (body.left == 0)
        return TLS_ALERT_NONE; /* legal in TLS 1.2 */
    struct reader extensions = take_vector(&body, 2);
    if (!is_done(&body))
        return TLS_DECODE_ERROR;
    return read_extensions(hello, &extensions);
}

bool tls_hello_offers(const struct tls_hello *hello, struct slice protocol)
{
    struct reader list = reader_of(hello->protocols);
    while (!list.broken && list.left > 0)
        if (slice_equal(take(&list, take_number(&list, 1)), protocol))
            return true;
    return false;
}

/* --- before it is one message --------------------------------------------------------------------------- */

/* Handshake bytes from the records that have come; the first message only. */
struct gathered {
    unsigned char *bytes;
    size_t size, wanted; /* of the message; 0: not known yet */
};

static enum tls_alert note_wanted(struct gathered *hello)
{
    if (hello->wanted > 0 || hello->size < TLS_MESSAGE_HEADER_BYTES)
        return TLS_ALERT_NONE;
    if (hello->bytes[0] != 1)
        return TLS_UNEXPECTED_MESSAGE;
    hello->wanted =
        TLS_MESSAGE_HEADER_BYTES + (size_t)(hello->bytes[1] << 16 | hello->bytes[2] << 8 | hello->bytes[3]);
    return hello->wanted > TLS_HELLO_MAX ? TLS_DECODE_ERROR : TLS_ALERT_NONE;
}

static enum tls_alert gather(unsigned char *all, size_t size, struct gathered *hello)
{
    size_t offset = 0;
    *hello = (struct gathered){ .bytes = all };
    while (size - offset >= TLS_HEADER_BYTES) {
        struct tls_header header;
        enum tls_alert alert = tls_record_header(all + offset, TLS_EPOCH_HANDSHAKE, &header);
        if (alert != TLS_ALERT_NONE)
            return alert;
        if (header.type != TLS_HANDSHAKE)
            return TLS_UNEXPECTED_MESSAGE;
        offset += TLS_HEADER_BYTES;
        size_t body = header.size < size - offset ? header.size : size - offset;
        memmove(all + hello->size, all + offset, body);
        hello->size += body;
        offset += body;
        alert = note_wanted(hello);
        if (alert != TLS_ALERT_NONE || (hello->wanted > 0 && hello->size >= hello->wanted))
            return alert;
    }
    return hello->size > TLS_HELLO_MAX ? TLS_DECODE_ERROR : TLS_ALERT_NONE;
}

enum tls_alert tls_hello_gather(unsigned char *records, size_t size, struct slice *message)
{
    struct gathered gathered;
    enum tls_alert alert = gather(records, size, &gathered);
    bool whole = alert == TLS_ALERT_NONE && gathered.wanted > 0 && gathered.size >= gathered.wanted;
    *message = whole ? (struct slice){ (const char *)records, gathered.wanted } : (struct slice){ NULL, 0 };
    return alert;
}
