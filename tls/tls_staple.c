/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_staple.h"

#include "tls/tls_pem.h"
#include "tls/tls_revocation.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    RESPONSE_MAX = 64 * 1024,
    UNSAID_S = 3600, /* how long a response without an end is shown */
    NAME_MAX_BYTES = 128
};

/* What does not change is read without the lock. */
struct tls_staple {
    struct tls_staple *next;
    uint32_t references;
    struct slice certificate, issuer; /* DER, of libcrypto's memory */
    char name[NAME_MAX_BYTES];
    char *url; /* NULL: none */
    char *response;
    size_t size;
    uint64_t version;
    int64_t until_s; /* of the response */
    int64_t due_s;
    bool from_file;
};

static struct {
    pthread_mutex_t lock;
    struct tls_staple *first;
    uint64_t versions;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void lock(void)
{
    pthread_mutex_lock(&all.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&all.lock);
}

/* --- one of them ---------------------------------------------------------------------------------------- */

static struct slice der_of(X509 *x509)
{
    unsigned char *der = NULL;
    int size = i2d_X509(x509, &der);
    return size > 0 ? (struct slice){ (const char *)der, (size_t)size } : (struct slice){ NULL, 0 };
}

static void drop_der(struct slice der)
{
    OPENSSL_free((void *)(uintptr_t)der.data);
}

static X509 *find_issuer(STACK_OF(X509) * chain)
{
    X509 *own = sk_X509_value(chain, 0);
    for (int i = 1; i < sk_X509_num(chain); i++)
        if (X509_check_issued(sk_X509_value(chain, i), own) == X509_V_OK)
            return sk_X509_value(chain, i);
    return NULL;
}

static void note_name(struct tls_staple *staple, X509 *own)
{
    GENERAL_NAMES *alternatives = X509_get_ext_d2i(own, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives) && staple->name[0] == '\0'; i++) {
        int kind = 0;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(alternatives, i), &kind);
        if (kind == GEN_DNS)
            snprintf(staple->name, sizeof(staple->name), "%.*s", ASN1_STRING_length(value),
                     (const char *)ASN1_STRING_get0_data(value));
    }
    GENERAL_NAMES_free(alternatives);
    if (staple->name[0] == '\0')
        (void)X509_NAME_oneline(X509_get_subject_name(own), staple->name, sizeof(staple->name));
}

static bool note_url(struct tls_staple *staple)
{
    struct arena arena;
    struct tls_revocation_urls urls;
    arena_init(&arena, NULL, 0, RESPONSE_MAX);
    bool good = tls_revocation_urls(staple->certificate, &arena, &urls);
    if (good && urls.ocsp.data) {
        staple->url = strndup(urls.ocsp.data, urls.ocsp.size);
        good = staple->url != NULL;
    }
    arena_deinit(&arena);
    return good;
}

static void drop(struct tls_staple *staple)
{
    drop_der(staple->certificate);
    drop_der(staple->issuer);
    free(staple->url);
    free(staple->response);
    free(staple);
}

static struct tls_staple *make(STACK_OF(X509) * chain)
{
    X509 *own = sk_X509_value(chain, 0), *issuer = find_issuer(chain);
    struct tls_staple *staple = issuer ? calloc(1, sizeof(*staple)) : NULL;
    if (staple == NULL)
        return NULL;
    staple->references = 1;
    staple->certificate = der_of(own);
    staple->issuer = der_of(issuer);
    note_name(staple, own);
    if (staple->certificate.data && staple->issuer.data && note_url(staple))
        return staple;
    drop(staple);
    return NULL;
}

/* The one that is there already goes first. */
static struct tls_staple *file(struct tls_staple *made)
{
    lock();
    struct tls_staple *found = all.first;
    while (found &&
           !(slice_equal(found->certificate, made->certificate) && slice_equal(found->issuer, made->issuer)))
        found = found->next;
    if (found) {
        found->references++;
    } else {
        made->next = all.first;
        all.first = made;
    }
    unlock();
    if (found)
        drop(made);
    return found ? found : made;
}

struct tls_staple *tls_staple_open(const struct tls_key *key)
{
    char reason[TLS_REASON_SIZE];
    STACK_OF(X509) *chain = tls_pem_certificates(tls_key_chain_pem(key), reason);
    struct tls_staple *made = chain ? make(chain) : NULL;
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    return made ? file(made) : NULL;
}

void tls_staple_take(struct tls_staple *staple)
{
    lock();
    staple->references++;
    unlock();
}

void tls_staple_release(struct tls_staple *staple)
{
    if (staple == NULL)
        return;
    lock();
    bool last = --staple->references == 0;
    if (last) {
        struct tls_staple **at = &all.first;
        while (*at != staple)
            at = &(*at)->next;
        *at = staple->next;
    }
    unlock();
    if (last)
        drop(staple);
}

struct slice tls_staple_issuer(const struct tls_staple *staple)
{
    return staple->issuer;
}

const char *tls_staple_name(const struct tls_staple *staple)
{
    return staple->name;
}

struct slice tls_staple_url(const struct tls_staple *staple)
{
    return slice_of(staple->url);
}

/* --- showing -------------------------------------------------------------------------------------------- */

static bool is_in_force(const struct tls_staple *staple)
{
    return staple->response && staple->until_s > (int64_t)time(NULL);
}

uint64_t tls_staple_version(struct tls_staple *staple)
{
    lock();
    uint64_t version = is_in_force(staple) ? staple->version : 0;
    unlock();
    return version;
}

struct slice tls_staple_copy(struct tls_staple *staple, void *(*allocate)(size_t size))
{
    struct slice found = { NULL, 0 };
    lock();
    char *copy = is_in_force(staple) ? allocate(staple->size) : NULL;
    if (copy) {
        memcpy(copy, staple->response, staple->size);
        found = (struct slice){ copy, staple->size };
    }
    unlock();
    return found;
}

/* --- getting -------------------------------------------------------------------------------------------- */

struct tls_staple *tls_staple_due(int64_t now_s, int64_t retry_s)
{
    lock();
    struct tls_staple *due = all.first;
    while (due && (due->from_file || due->due_s > now_s))
        due = due->next;
    if (due) {
        due->references++;
        due->due_s = now_s + retry_s;
    }
    unlock();
    return due;
}

static struct tls_issued issued_of(const struct tls_staple *staple)
{
    return (struct tls_issued){ staple->certificate, staple->issuer };
}

struct slice tls_staple_question(const struct tls_staple *staple, struct arena *arena)
{
    struct tls_issued issued = issued_of(staple);
    return tls_ocsp_question(&issued, arena);
}

/* A BasicOCSPResponse (RFC 6960 section 4.2.1) without the certificates behind its three signed parts. */
static OCSP_BASICRESP *without_certificates(const unsigned char *der, long size)
{
    const unsigned char *at = der;
    long length = 0;
    int tag = 0, class = 0;
    if (ASN1_get_object(&at, &length, &tag, &class, size) & 0x80)
        return NULL;
    const unsigned char *first = at, *end = der + size;
    for (int i = 0; i < 3 && !(ASN1_get_object(&at, &length, &tag, &class, end - at) & 0x80); i++)
        at += length;
    int body = (int)(at - first), whole = ASN1_object_size(1, body, V_ASN1_SEQUENCE);
    unsigned char *text = whole > 0 ? malloc((size_t)whole) : NULL, *out = text;
    if (text == NULL)
        return NULL;
    ASN1_put_object(&out, 1, body, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    memcpy(out, first, (size_t)body);
    const unsigned char *again = text;
    OCSP_BASICRESP *stripped = d2i_OCSP_BASICRESP(NULL, &again, whole);
    free(text);
    return stripped;
}

static struct slice encode(OCSP_BASICRESP *basic)
{
    unsigned char *der = NULL;
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    int size = response ? i2d_OCSP_RESPONSE(response, &der) : 0;
    OCSP_RESPONSE_free(response);
    return size > 0 ? (struct slice){ (const char *)der, (size_t)size } : (struct slice){ NULL, 0 };
}

/* What the issuer itself has signed needs no certificates beside it: they are no part of what is signed,
 * and wolfSSL would look for who has issued them. Absent: not a response, or no memory; for drop_der. */
static struct slice strip(struct slice response)
{
    const unsigned char *data = (const unsigned char *)response.data;
    unsigned char *der = NULL;
    OCSP_RESPONSE *whole = response.size > 0 ? d2i_OCSP_RESPONSE(NULL, &data, (long)response.size) : NULL;
    OCSP_BASICRESP *basic = whole ? OCSP_response_get1_basic(whole) : NULL;
    int size = basic ? i2d_OCSP_BASICRESP(basic, &der) : 0;
    OCSP_BASICRESP *stripped = size > 0 ? without_certificates(der, size) : NULL;
    struct slice found = stripped ? encode(stripped) : (struct slice){ NULL, 0 };
    OCSP_BASICRESP_free(stripped);
    OPENSSL_free(der);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(whole);
    ERR_clear_error();
    return found;
}

/* Takes the text; NULL: there is none any more. Under the lock. */
static void put(struct tls_staple *staple, char *response, size_t size, const struct tls_ocsp_period *period)
{
    free(staple->response);
    staple->response = response;
    staple->size = size;
    staple->version = ++all.versions;
    staple->until_s = period->until_s ? period->until_s : (int64_t)time(NULL) + UNSAID_S;
}

static int64_t next_of(const struct tls_staple *staple, int64_t refresh_s)
{
    int64_t now_s = time(NULL), half_s = (staple->until_s - now_s) / 2;
    return now_s + (half_s < 1 ? 1 : half_s < refresh_s ? half_s : refresh_s);
}

/* NULL, or why it is not taken. */
static const char *keep(struct tls_staple *staple, struct slice response, int64_t refresh_s)
{
    struct tls_issued issued = issued_of(staple);
    struct tls_ocsp_period period = { 0, 0 };
    enum tls_revocation status = tls_ocsp_read_period(&issued, response, &period);
    bool over = status == TLS_NOT_REVOKED && period.until_s && period.until_s <= (int64_t)time(NULL);
    if (status == TLS_REVOCATION_UNKNOWN || over)
        return "not a response about this certificate that is signed by its authority and in force";
    char *copy = status == TLS_NOT_REVOKED ? malloc(response.size) : NULL;
    if (status == TLS_NOT_REVOKED && copy == NULL)
        return "out of memory";
    if (copy)
        memcpy(copy, response.data, response.size);
    lock();
    put(staple, copy, response.size, &period);
    staple->due_s = next_of(staple, refresh_s);
    unlock();
    return copy ? NULL : "the certificate is revoked";
}

const char *tls_staple_offer(struct tls_staple *staple, struct slice response, int64_t refresh_s)
{
    if (response.size > RESPONSE_MAX)
        return "too long";
    struct slice stripped = strip(response);
    const char *reason = stripped.data ? keep(staple, stripped, refresh_s) : "not a response";
    if (stripped.data && reason) /* one that somebody else has signed for the issuer, perhaps */
        reason = keep(staple, response, refresh_s);
    drop_der(stripped);
    return reason;
}

/* The next one in the list behind it, with a reference, for that of `one`. */
static struct tls_staple *walk(struct tls_staple *one)
{
    lock();
    struct tls_staple *next = one ? one->next : all.first;
    if (next)
        next->references++;
    unlock();
    tls_staple_release(one);
    return next;
}

const char *tls_staple_offer_file(struct slice response)
{
    const char *reason = "not in force, or about no certificate that is served with its issuer";
    for (struct tls_staple *one = walk(NULL); one; one = walk(one)) {
        const char *other = tls_staple_offer(one, response, UNSAID_S);
        if (other == NULL) {
            lock();
            one->from_file = true;
            unlock();
            reason = NULL;
        }
    }
    return reason;
}

void tls_staple_forget_files(void)
{
    lock();
    for (struct tls_staple *one = all.first; one; one = one->next) {
        one->due_s = one->from_file ? 0 : one->due_s;
        one->from_file = false;
    }
    unlock();
}
