/* SPDX-License-Identifier: Apache-2.0 */
/* Asks those whom a certificate names whether it has been revoked: first the OCSP responder, then for the
 * list. */
#include "plugins/mtls_auth.h"

enum { ANSWER_BYTES_MAX = 64 * 1024, LIST_BYTES_MAX = 16 * 1024 * 1024 };

static void answered(struct fetch *fetch, enum error error);

bool mtls_check_is_due(const struct mtls_config *config, const struct mtls_peer *peer, uint64_t now_ms)
{
    return config->mode != MTLS_SKIP && peer->issued.issuer.data &&
           (peer->urls.ocsp.data || peer->urls.list.data) && peer->status_until_ms <= now_ms;
}

static bool is_https(struct slice url)
{
    return slice_equal_nocase((struct slice){ url.data, url.size < 8 ? url.size : 8 }, SLICE("https://"));
}

/* False: out of memory. */
static bool ask(struct mtls_check *check)
{
    const struct mtls_config *config = check->config;
    const struct mtls_peer *peer = check->peer;
    struct slice url = check->lists ? peer->urls.list : peer->urls.ocsp;
    struct fetch_request request = { .url = url,
                                     .proxy_url = is_https(url) ? config->https_proxy : config->http_proxy,
                                     .limit_bytes = check->lists ? LIST_BYTES_MAX : ANSWER_BYTES_MAX,
                                     .timeout_ms = (uint32_t)config->http_timeout_ms,
                                     .options = config->ssl_verify ? 0 : FETCH_UNVERIFIED };
    if (!check->lists) {
        check->headers[0] = (struct header){ SLICE("Content-Type"), SLICE("application/ocsp-request") };
        check->headers[1] = (struct header){ SLICE("Accept"), SLICE("application/ocsp-response") };
        request.method = SLICE("POST");
        request.headers = check->headers;
        request.header_count = COUNT_OF(check->headers);
        request.options |= FETCH_REPEATABLE;
        request.body = tls_ocsp_question(&peer->issued, check->arena);
        if (request.body.data == NULL)
            return false;
    }
    fetch_start(&check->fetch, &request);
    return true;
}

static void finish(struct mtls_check *check, enum tls_revocation status)
{
    fetch_close(&check->fetch);
    check->peer->status = status;
    check->peer->status_until_ms = check->shard->now_ms + (uint64_t)check->config->cert_cache_ttl_ms;
    check->done(check);
}

static void answered(struct fetch *fetch, enum error error)
{
    struct mtls_check *check = CONTAINER_OF(fetch, struct mtls_check, fetch);
    const struct tls_issued *issued = &check->peer->issued;
    enum tls_revocation status = TLS_REVOCATION_UNKNOWN;
    if (error == ERROR_OK && fetch->status == 200)
        status = check->lists ? tls_list_read(issued, fetch->body) : tls_ocsp_read(issued, fetch->body);
    if (status != TLS_REVOCATION_UNKNOWN || check->lists || check->peer->urls.list.data == NULL) {
        finish(check, status);
        return;
    }
    check->lists = true;
    (void)ask(check);
}

bool mtls_check_start(struct mtls_check *check, struct shard *shard)
{
    check->shard = shard;
    check->lists = check->peer->urls.ocsp.data == NULL;
    fetch_init(&check->fetch, fetch_pool_of(shard), answered);
    return ask(check);
}
