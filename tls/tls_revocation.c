/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_revocation.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { CLOCK_SKEW_S = 300 };

struct both {
    X509 *certificate, *issuer;
};

static X509 *parse(struct slice der)
{
    const unsigned char *data = (const unsigned char *)der.data;
    return der.size <= LONG_MAX ? d2i_X509(NULL, &data, (long)der.size) : NULL;
}

static bool open_both(struct both *both, const struct tls_issued *issued)
{
    *both = (struct both){ parse(issued->certificate), parse(issued->issuer) };
    return both->certificate != NULL && both->issuer != NULL;
}

static void close_both(struct both *both)
{
    X509_free(both->certificate);
    X509_free(both->issuer);
    ERR_clear_error();
}

/* --- whom to ask ---------------------------------------------------------------------------------------- */

static bool is_http(struct slice url)
{
    struct slice begin = { url.data, url.size < 8 ? url.size : 8 };
    return slice_equal_nocase(begin, SLICE("https://")) ||
           slice_equal_nocase((struct slice){ begin.data, begin.size < 7 ? begin.size : 7 },
                              SLICE("http://"));
}

static struct slice url_of(const GENERAL_NAME *name, struct arena *arena)
{
    int kind = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &kind);
    if (kind != GEN_URI)
        return (struct slice){ NULL, 0 };
    struct slice url = { (const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value) };
    return is_http(url) && memchr(url.data, 0, url.size) == NULL ? arena_copy(arena, url)
                                                                 : (struct slice){ NULL, 0 };
}

static struct slice find_ocsp(const X509 *certificate, struct arena *arena)
{
    struct slice found = { NULL, 0 };
    AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(certificate, NID_info_access, NULL, NULL);
    for (int i = 0; access && found.data == NULL && i < sk_ACCESS_DESCRIPTION_num(access); i++) {
        const ACCESS_DESCRIPTION *one = sk_ACCESS_DESCRIPTION_value(access, i);
        if (OBJ_obj2nid(one->method) == NID_ad_OCSP)
            found = url_of(one->location, arena);
    }
    AUTHORITY_INFO_ACCESS_free(access);
    return found;
}

static struct slice find_in_point(const DIST_POINT *point, struct arena *arena)
{
    struct slice found = { NULL, 0 };
    if (point->distpoint == NULL || point->distpoint->type != 0)
        return found;
    const GENERAL_NAMES *names = point->distpoint->name.fullname;
    for (int i = 0; found.data == NULL && i < sk_GENERAL_NAME_num(names); i++)
        found = url_of(sk_GENERAL_NAME_value(names, i), arena);
    return found;
}

static struct slice find_list(const X509 *certificate, struct arena *arena)
{
    struct slice found = { NULL, 0 };
    CRL_DIST_POINTS *points = X509_get_ext_d2i(certificate, NID_crl_distribution_points, NULL, NULL);
    for (int i = 0; points && found.data == NULL && i < sk_DIST_POINT_num(points); i++)
        found = find_in_point(sk_DIST_POINT_value(points, i), arena);
    CRL_DIST_POINTS_free(points);
    return found;
}

bool tls_revocation_urls(struct slice certificate, struct arena *arena, struct tls_revocation_urls *urls)
{
    X509 *own = parse(certificate);
    *urls = (struct tls_revocation_urls){ { NULL, 0 }, { NULL, 0 } };
    if (own != NULL) {
        urls->ocsp = find_ocsp(own, arena);
        urls->list = find_list(own, arena);
    }
    X509_free(own);
    ERR_clear_error();
    return own != NULL;
}

/* --- OCSP ----------------------------------------------------------------------------------------------- */

struct slice tls_ocsp_question(const struct tls_issued *issued, struct arena *arena)
{
    struct both both;
    struct slice question = { NULL, 0 };
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id =
        open_both(&both, issued) ? OCSP_cert_to_id(EVP_sha1(), both.certificate, both.issuer) : NULL;
    if (request && id && OCSP_request_add0_id(request, id) != NULL) {
        id = NULL; /* the request's now */
        int size = i2d_OCSP_REQUEST(request, NULL);
        unsigned char *bytes = size > 0 ? arena_alloc(arena, (size_t)size) : NULL, *next = bytes;
        if (bytes && i2d_OCSP_REQUEST(request, &next) == size)
            question = (struct slice){ (const char *)bytes, (size_t)size };
    }
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(request);
    close_both(&both);
    return question;
}

/* By the issuer, or by one that it has given the right to (RFC 6960 section 4.2.2.2). */
static bool is_signed(OCSP_BASICRESP *basic, const struct both *both)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *issuers = sk_X509_new_null();
    X509_VERIFY_PARAM *asked = store ? X509_STORE_get0_param(store) : NULL;
    bool good = asked && issuers && X509_STORE_add_cert(store, both->issuer) == 1 &&
                X509_VERIFY_PARAM_set_flags(asked, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
                sk_X509_push(issuers, both->issuer) > 0 &&
                OCSP_basic_verify(basic, issuers, store, OCSP_PARTIAL_CHAIN) == 1;
    sk_X509_free(issuers);
    X509_STORE_free(store);
    return good;
}

static int64_t seconds_of(const ASN1_GENERALIZEDTIME *time)
{
    struct tm parts = { 0 };
    return time && ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

static enum tls_revocation find_status(OCSP_BASICRESP *basic, OCSP_CERTID *id, struct tls_ocsp_period *period)
{
    int status = V_OCSP_CERTSTATUS_UNKNOWN, reason = 0;
    ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *until = NULL;
    if (OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &from, &until) != 1 ||
        OCSP_check_validity(from, until, CLOCK_SKEW_S, -1) != 1)
        return TLS_REVOCATION_UNKNOWN;
    *period = (struct tls_ocsp_period){ seconds_of(from), seconds_of(until) };
    return status == V_OCSP_CERTSTATUS_GOOD      ? TLS_NOT_REVOKED
           : status == V_OCSP_CERTSTATUS_REVOKED ? TLS_REVOKED
                                                 : TLS_REVOCATION_UNKNOWN;
}

static enum tls_revocation judge_response(OCSP_RESPONSE *response, const struct both *both,
                                          struct tls_ocsp_period *period)
{
    enum tls_revocation result = TLS_REVOCATION_UNKNOWN;
    if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return result;
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), both->certificate, both->issuer);
    if (basic && id && is_signed(basic, both))
        result = find_status(basic, id, period);
    OCSP_CERTID_free(id);
    OCSP_BASICRESP_free(basic);
    return result;
}

enum tls_revocation tls_ocsp_read_period(const struct tls_issued *issued, struct slice answer,
                                         struct tls_ocsp_period *period)
{
    struct both both;
    enum tls_revocation result = TLS_REVOCATION_UNKNOWN;
    const unsigned char *data = (const unsigned char *)answer.data;
    OCSP_RESPONSE *response =
        answer.size > 0 && answer.size <= LONG_MAX ? d2i_OCSP_RESPONSE(NULL, &data, (long)answer.size) : NULL;
    if (open_both(&both, issued) && response)
        result = judge_response(response, &both, period);
    OCSP_RESPONSE_free(response);
    close_both(&both);
    return result;
}

enum tls_revocation tls_ocsp_read(const struct tls_issued *issued, struct slice answer)
{
    struct tls_ocsp_period period;
    return tls_ocsp_read_period(issued, answer, &period);
}

/* --- lists ---------------------------------------------------------------------------------------------- */

static X509_CRL *parse_list(struct slice list)
{
    const unsigned char *data = (const unsigned char *)list.data;
    if (list.size == 0 || list.size > INT_MAX)
        return NULL;
    if (memmem(list.data, list.size, "-----BEGIN ", 11) == NULL)
        return d2i_X509_CRL(NULL, &data, (long)list.size);
    BIO *bio = BIO_new_mem_buf(list.data, (int)list.size);
    X509_CRL *crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return crl;
}

static bool is_current(const X509_CRL *crl)
{
    const ASN1_TIME *from = X509_CRL_get0_lastUpdate(crl), *until = X509_CRL_get0_nextUpdate(crl);
    time_t now = time(NULL), later = now + CLOCK_SKEW_S;
    return from && X509_cmp_time(from, &later) < 0 && (until == NULL || X509_cmp_time(until, &now) > 0);
}

/* One that says nothing about some certificates of its issuer, or only what has changed (RFC 5280 sections
 * 5.2.4 and 5.2.5). */
static bool is_partial(const X509_CRL *crl)
{
    int critical = 0;
    ISSUING_DIST_POINT *scope = X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &critical, NULL);
    bool partial = (scope == NULL && critical != -1) || X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0;
    if (scope)
        partial = partial || scope->onlyCA > 0 || scope->onlyattr > 0 || scope->indirectCRL > 0 ||
                  scope->onlysomereasons != NULL;
    ISSUING_DIST_POINT_free(scope);
    return partial;
}

enum tls_revocation tls_list_read(const struct tls_issued *issued, struct slice list)
{
    struct both both;
    enum tls_revocation result = TLS_REVOCATION_UNKNOWN;
    X509_CRL *crl = parse_list(list);
    EVP_PKEY *key = open_both(&both, issued) ? X509_get0_pubkey(both.issuer) : NULL;
    if (crl && key && X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(both.issuer)) == 0 &&
        X509_CRL_verify(crl, key) == 1 && is_current(crl) && !is_partial(crl)) {
        X509_REVOKED *entry = NULL;
        int found = X509_CRL_get0_by_cert(crl, &entry, both.certificate);
        result = found == 1 ? TLS_REVOKED : TLS_NOT_REVOKED; /* 2: taken off the list again */
    }
    X509_CRL_free(crl);
    close_both(&both);
    return result;
}
