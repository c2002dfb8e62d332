/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_peer.h"

#include "core/crypto/digest.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

struct tls_peer *tls_peer_copy(const struct slice *chain, uint32_t count)
{
    size_t size = sizeof(struct tls_peer) + count * sizeof(struct slice);
    for (uint32_t i = 0; i < count; i++)
        size += chain[i].size;
    struct tls_peer *peer = count > 0 ? malloc(size) : NULL;
    if (peer == NULL)
        return NULL;
    peer->count = count;
    char *next = (char *)&peer->chain[count];
    for (uint32_t i = 0; i < count; i++) {
        memcpy(next, chain[i].data, chain[i].size);
        peer->chain[i] = (struct slice){ next, chain[i].size };
        next += chain[i].size;
    }
    const char *bytes = (const char *)&peer->chain[count];
    if (digest_of(DIGEST_SHA256, (struct slice){ bytes, (size_t)(next - bytes) }, peer->digest))
        return peer;
    free(peer);
    return NULL;
}

void tls_peer_free(struct tls_peer *peer)
{
    free(peer);
}

static X509 *parse(struct slice der)
{
    const unsigned char *data = (const unsigned char *)der.data;
    return d2i_X509(NULL, &data, (long)der.size);
}

/* What was written to a memory BIO, which is freed. */
static struct slice text_of(BIO *bio, struct arena *arena)
{
    char *data = NULL;
    long size = bio ? BIO_get_mem_data(bio, &data) : 0;
    char *copy = size > 0 ? arena_alloc(arena, (size_t)size) : NULL;
    if (copy)
        memcpy(copy, data, (size_t)size);
    BIO_free(bio);
    return (struct slice){ copy, copy ? (size_t)size : 0 };
}

static struct slice name_text(const X509_NAME *name, struct arena *arena)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio)
        (void)X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
    return text_of(bio, arena);
}

static struct slice serial_text(const X509 *certificate, struct arena *arena)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio)
        (void)i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(certificate));
    return text_of(bio, arena);
}

static struct slice fingerprint(enum digest_kind kind, struct slice der, struct arena *arena)
{
    char *hex = arena_alloc(arena, DIGEST_HEX_MAX);
    bool good = hex != NULL && digest_hex(kind, der, hex);
    return good ? slice_of(hex) : (struct slice){ NULL, 0 };
}

static void print_name(BIO *bio, const GENERAL_NAME *name)
{
    int kind = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &kind);
    const unsigned char *bytes = ASN1_STRING_get0_data(value);
    int size = ASN1_STRING_length(value);
    if (kind == GEN_IPADD && size == 4)
        (void)BIO_printf(bio, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
    else if (kind == GEN_IPADD)
        for (int i = 0; i + 1 < size; i += 2)
            (void)BIO_printf(bio, i ? ":%x" : "%x", (unsigned)(bytes[i] << 8 | bytes[i + 1]));
    else
        for (int i = 0; i < size; i++) /* they end up in headers and logs */
            (void)BIO_printf(bio, "%c",
                             bytes[i] > ' ' && bytes[i] != 127 && bytes[i] != ',' ? bytes[i] : '?');
}

static struct slice names_of(const GENERAL_NAMES *names, int kind, struct arena *arena)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool first = true;
    for (int i = 0; bio && names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != kind)
            continue;
        if (!first)
            (void)BIO_write(bio, ",", 1);
        print_name(bio, name);
        first = false;
    }
    return text_of(bio, arena);
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm parts = { 0 };
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

bool tls_peer_read(const struct tls_peer *peer, struct arena *arena, struct tls_peer_facts *facts)
{
    X509 *own = parse(peer->chain[0]);
    if (own == NULL) {
        ERR_clear_error();
        return false;
    }
    GENERAL_NAMES *names = X509_get_ext_d2i(own, NID_subject_alt_name, NULL, NULL);
    *facts = (struct tls_peer_facts){ .subject = name_text(X509_get_subject_name(own), arena),
                                      .issuer = name_text(X509_get_issuer_name(own), arena),
                                      .serial = serial_text(own, arena),
                                      .sha1 = fingerprint(DIGEST_SHA1, peer->chain[0], arena),
                                      .sha256 = fingerprint(DIGEST_SHA256, peer->chain[0], arena),
                                      .dns_names = names_of(names, GEN_DNS, arena),
                                      .emails = names_of(names, GEN_EMAIL, arena),
                                      .uris = names_of(names, GEN_URI, arena),
                                      .addresses = names_of(names, GEN_IPADD, arena),
                                      .not_before_s = seconds_of(X509_get0_notBefore(own)),
                                      .not_after_s = seconds_of(X509_get0_notAfter(own)) };
    GENERAL_NAMES_free(names);
    X509_free(own);
    ERR_clear_error();
    return facts->serial.data != NULL && facts->sha256.data != NULL;
}

static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 127)
            return false;
    return text.size > 0;
}

static struct slice common_name(const X509 *certificate, struct arena *arena)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID((X509_NAME *)(uintptr_t)subject, NID_commonName, -1);
    unsigned char *utf8 = NULL;
    int size =
        at < 0 ? -1 : ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    struct slice text = { (const char *)utf8, size > 0 ? (size_t)size : 0 };
    text = size > 0 && is_plain(text) ? arena_copy(arena, text) : (struct slice){ NULL, 0 };
    OPENSSL_free(utf8);
    return text;
}

/* Absent: of another kind, or not plain. */
static struct slice alternative_name(const GENERAL_NAME *name, struct arena *arena)
{
    int kind = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &kind);
    BIO *bio = NULL;
    if (kind == GEN_IPADD) {
        bio = BIO_new(BIO_s_mem());
        if (bio)
            print_name(bio, name);
        return text_of(bio, arena);
    }
    if (kind != GEN_DNS && kind != GEN_EMAIL && kind != GEN_URI)
        return (struct slice){ NULL, 0 };
    struct slice text = { (const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value) };
    return is_plain(text) ? arena_copy(arena, text) : (struct slice){ NULL, 0 };
}

bool tls_peer_read_names(const struct tls_peer *peer, struct arena *arena, struct tls_peer_names *names)
{
    X509 *own = parse(peer->chain[0]);
    *names = (struct tls_peer_names){ .has_alternative = false };
    if (own == NULL) {
        ERR_clear_error();
        return false;
    }
    GENERAL_NAMES *found = X509_get_ext_d2i(own, NID_subject_alt_name, NULL, NULL);
    int count = found ? sk_GENERAL_NAME_num(found) : 0;
    names->has_alternative = found != NULL;
    names->subject = name_text(X509_get_subject_name(own), arena);
    names->common = common_name(own, arena);
    names->alternative.items = arena_array(arena, (size_t)count + 1, sizeof(struct slice));
    for (int i = 0; names->alternative.items && i < count; i++) {
        struct slice text = alternative_name(sk_GENERAL_NAME_value(found, i), arena);
        if (text.data)
            names->alternative.items[names->alternative.count++] = text;
    }
    GENERAL_NAMES_free(found);
    X509_free(own);
    ERR_clear_error();
    return names->alternative.items != NULL;
}

struct slice tls_peer_pem(const struct tls_peer *peer, struct arena *arena, enum tls_peer_part part)
{
    BIO *bio = BIO_new(BIO_s_mem());
    uint32_t count = part == TLS_PEER_CHAIN ? peer->count : 1;
    for (uint32_t i = 0; bio && i < count; i++) {
        X509 *certificate = parse(peer->chain[i]);
        if (certificate)
            (void)PEM_write_bio_X509(bio, certificate);
        X509_free(certificate);
    }
    ERR_clear_error();
    return text_of(bio, arena);
}
