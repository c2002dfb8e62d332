/* SPDX-License-Identifier: Apache-2.0 */
/* Gets certificates from an ACME server (RFC 8555), one after the other, on one shard of the process: every
 * answer leads to the next request. What it asks for is in the configuration that is in force there; whoever
 * has failed waits. A certificate that has come goes into the store, and a reload takes it up. */
#include "plugins/acme.h"

#include "core/base/json_scan.h"
#include "core/crypto/base64.h"
#include "net/fetch/fetch.h"
#include "net/proxy/proxy.h"
#include "plugins/acme_message.h"
#include "tls/tls_challenge.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TICK_MS = 200,
    LOOK_MS = 1000, /* between looks at the configuration while there is nothing to do */
    POLLS_MAX = 120, /* of an authorization or an order, POLL_MS apart */
    POLL_MS = 1000,
    TIMEOUT_MS = 30000,
    ANSWER_BYTES_MAX = 128 * 1024,
    ORDER_BYTES_MAX = 4 * 1024 * 1024,
    NONCES_MAX = 5, /* repetitions of a request because of one */
    TEXT_MAX = 2048, /* of URLs, nonces and tokens */
    REMEMBERED = 256 /* domains that wait */
};

enum step {
    IDLE,
    DIRECTORY,
    NONCE,
    ACCOUNT,
    ORDER,
    AUTHORIZATION,
    CHALLENGE,
    AUTHORIZATION_AGAIN,
    KEY,
    FINALIZE,
    ORDER_AGAIN,
    CERTIFICATE
};

static const char *const step_names[] = { "nothing", "directory",     "nonce",     "account",
                                          "order",   "authorization", "challenge", "authorization",
                                          "key",     "finalization",  "order",     "certificate" };

struct pause {
    char domain[256];
    uint64_t until_ms;
};

struct acme_worker {
    struct shard *shard;
    struct timer timer;
    struct fetch fetch;
    enum step step;
    struct arena arena; /* of the order in progress */
    struct slice domain, api_uri, email, eab_kid, eab_secret; /* of it, copies */
    int rsa_bits;
    enum acme_challenge_kind challenge_kind;
    uint64_t backoff_ms;
    struct slice new_nonce, new_account, new_order; /* URLs */
    struct slice nonce, account, order, authorization, challenge, finalize, certificate;
    struct evp_pkey_st *key; /* the account's */
    struct header headers[1];
    struct slice url, payload; /* of the last request, to be repeated */
    unsigned polls, nonces;
    bool polling; /* the timer sends the request again */
    struct tls_acme_request request;
    struct arena request_arena; /* of the thread that makes it, until it has ended */
    pthread_t maker;
    bool making;
    int made; /* atomic: 0 not yet, 1 good, -1 failed */
    struct pause pauses[REMEMBERED];
    unsigned pause_at;
};

static void run(struct acme_worker *worker, enum step step);

static void tell(const struct acme_worker *worker, const char *what, struct slice detail)
{
    char line[1024];
    struct proxy *proxy = proxy_of(worker->shard);
    snprintf(line, sizeof(line), "acme: %s domain=%.*s detail=\"%.*s\"", what, SLICE_FORMAT(worker->domain),
             (int)(detail.size < 500 ? detail.size : 500), detail.data ? detail.data : "");
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    if (proxy->tell)
        proxy->tell(proxy, line);
}

static void end_order(struct acme_worker *worker)
{
    fetch_close(&worker->fetch);
    tls_challenge_clear();
    tls_acme_key_free(worker->key);
    arena_deinit(&worker->arena);
    arena_init(&worker->arena, NULL, 0, ORDER_BYTES_MAX);
    struct acme_worker fresh = { .shard = worker->shard };
    worker->key = NULL;
    worker->nonce = worker->account = worker->certificate = fresh.nonce;
    worker->polls = worker->nonces = 0;
    worker->polling = false;
    worker->step = IDLE;
}

/* Nothing is asked for it for a while: it has failed, or was renewed and would be again at once. */
static void rest(struct acme_worker *worker)
{
    struct pause *pause = &worker->pauses[worker->pause_at++ % REMEMBERED];
    snprintf(pause->domain, sizeof(pause->domain), "%.*s", SLICE_FORMAT(worker->domain));
    pause->until_ms = worker->shard->now_ms + worker->backoff_ms;
}

static void fail(struct acme_worker *worker, const char *reason, struct slice detail)
{
    char what[200];
    snprintf(what, sizeof(what), "no certificate: %s at %s", reason, step_names[worker->step]);
    tell(worker, what, detail);
    rest(worker);
    end_order(worker);
}

static void fail_memory(struct acme_worker *worker)
{
    fail(worker, "out of memory", SLICE(""));
}

/* --- requests ------------------------------------------------------------------------------------------- */

/* Nothing in it has to be escaped in JSON, and it is not endless. */
static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~' || text.data[i] == '"' || text.data[i] == '\\')
            return false;
    return text.size > 0 && text.size <= TEXT_MAX;
}

static void get(struct acme_worker *worker, struct slice method, struct slice url)
{
    struct fetch_request request = {
        .method = method, .url = url, .limit_bytes = ANSWER_BYTES_MAX, .timeout_ms = TIMEOUT_MS
    };
    fetch_start(&worker->fetch, &request);
}

static void send_again(struct acme_worker *worker)
{
    struct acme_message message = { worker->key, worker->account, worker->nonce, worker->url,
                                    worker->payload };
    struct slice body = acme_message_sign(&message, &worker->arena);
    worker->polling = false;
    if (body.data == NULL) {
        fail_memory(worker);
        return;
    }
    worker->nonce = (struct slice){ NULL, 0 };
    worker->headers[0] = (struct header){ SLICE("Content-Type"), SLICE("application/jose+json") };
    struct fetch_request request = { .method = SLICE("POST"),
                                     .url = worker->url,
                                     .headers = worker->headers,
                                     .header_count = 1,
                                     .body = body,
                                     .limit_bytes = ANSWER_BYTES_MAX,
                                     .timeout_ms = TIMEOUT_MS };
    fetch_start(&worker->fetch, &request);
}

/* A payload of NULL: out of memory. */
static void post(struct acme_worker *worker, struct slice url, struct slice payload)
{
    if (payload.data == NULL) {
        fail_memory(worker);
        return;
    }
    worker->url = url;
    worker->payload = payload;
    send_again(worker);
}

static void post_account(struct acme_worker *worker)
{
    struct acme_binding binding = { worker->eab_kid, worker->eab_secret, worker->new_account };
    struct slice bound = SLICE("");
    if (worker->eab_kid.data) {
        bound = acme_message_bind(worker->key, &binding, &worker->arena);
        if (bound.data)
            bound = arena_format(&worker->arena, ",\"externalAccountBinding\":%.*s", SLICE_FORMAT(bound));
    }
    struct slice payload = bound;
    if (bound.data)
        payload =
            arena_format(&worker->arena, "{\"termsOfServiceAgreed\":true,\"contact\":[\"mailto:%.*s\"]%.*s}",
                         SLICE_FORMAT(worker->email), SLICE_FORMAT(bound));
    post(worker, worker->new_account, payload);
}

static void post_order(struct acme_worker *worker)
{
    post(worker, worker->new_order,
         arena_format(&worker->arena, "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"%.*s\"}]}",
                      SLICE_FORMAT(worker->domain)));
}

static void post_request(struct acme_worker *worker)
{
    struct slice der = acme_message_encode(worker->request.der, &worker->arena);
    post(worker, worker->finalize,
         der.data ? arena_format(&worker->arena, "{\"csr\":\"%.*s\"}", SLICE_FORMAT(der)) : der);
}

/* A large key takes seconds: not on a shard. */
static void *make_request(void *pointer)
{
    struct acme_worker *worker = pointer;
    bool good =
        tls_acme_request_make(worker->domain, worker->rsa_bits, &worker->request_arena, &worker->request);
    __atomic_store_n(&worker->made, good ? 1 : -1, __ATOMIC_RELEASE);
    return NULL;
}

static void begin_request(struct acme_worker *worker)
{
    sigset_t all, before;
    arena_init(&worker->request_arena, NULL, 0, ORDER_BYTES_MAX);
    __atomic_store_n(&worker->made, 0, __ATOMIC_RELAXED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    worker->making = pthread_create(&worker->maker, NULL, make_request, worker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!worker->making)
        fail_memory(worker);
}

/* False: it goes on. */
static bool end_request(struct acme_worker *worker)
{
    if (!worker->making || __atomic_load_n(&worker->made, __ATOMIC_ACQUIRE) == 0)
        return false;
    (void)pthread_join(worker->maker, NULL);
    worker->making = false;
    bool good = worker->made > 0;
    worker->request.key_pem =
        good ? arena_copy(&worker->arena, worker->request.key_pem) : worker->request.key_pem;
    worker->request.der = good ? arena_copy(&worker->arena, worker->request.der) : worker->request.der;
    good = good && worker->request.key_pem.data && worker->request.der.data;
    arena_deinit(&worker->request_arena);
    if (good)
        run(worker, FINALIZE);
    else
        fail_memory(worker);
    return true;
}

static void run(struct acme_worker *worker, enum step step)
{
    const struct slice nothing = { "", 0 };
    worker->step = step;
    switch (step) {
    case IDLE: break;
    case DIRECTORY: get(worker, SLICE("GET"), worker->api_uri); break;
    case NONCE: get(worker, SLICE("HEAD"), worker->new_nonce); break;
    case ACCOUNT: post_account(worker); break;
    case ORDER: post_order(worker); break;
    case AUTHORIZATION:
    case AUTHORIZATION_AGAIN: post(worker, worker->authorization, nothing); break;
    case CHALLENGE: post(worker, worker->challenge, SLICE("{}")); break;
    case KEY: begin_request(worker); break;
    case FINALIZE: post_request(worker); break;
    case ORDER_AGAIN: post(worker, worker->order, nothing); break;
    case CERTIFICATE: post(worker, worker->certificate, nothing); break;
    }
}

/* --- answers -------------------------------------------------------------------------------------------- */

/* A text that stands in the answer, without what JSON would have to escape; absent: none. */
static struct slice text_of(struct acme_worker *worker, const struct json_member *member)
{
    struct slice text = member->value.text;
    if (member->value.kind != JSON_STRING || member->value.escaped || !is_plain(text))
        return (struct slice){ NULL, 0 };
    return arena_copy(&worker->arena, text);
}

static bool scan(struct slice body, struct json_member *members, size_t count)
{
    enum json_kind root;
    return json_scan(body, members, count, &root) && root == JSON_OBJECT;
}

static void take_directory(struct acme_worker *worker)
{
    struct json_member members[] = { { .name = SLICE("newNonce") },
                                     { .name = SLICE("newAccount") },
                                     { .name = SLICE("newOrder") } };
    if (scan(worker->fetch.body, members, COUNT_OF(members))) {
        worker->new_nonce = text_of(worker, &members[0]);
        worker->new_account = text_of(worker, &members[1]);
        worker->new_order = text_of(worker, &members[2]);
    }
    if (worker->new_nonce.data && worker->new_account.data && worker->new_order.data)
        run(worker, NONCE);
    else
        fail(worker, "an answer that cannot be used", SLICE("no directory"));
}

static struct slice location(struct acme_worker *worker)
{
    struct slice url = fetch_header(&worker->fetch, SLICE("Location"));
    return is_plain(url) ? arena_copy(&worker->arena, url) : (struct slice){ NULL, 0 };
}

/* Also of an order that is looked at again. */
static void take_order(struct acme_worker *worker)
{
    struct json_member members[] = { { .name = SLICE("status") },
                                     { .name = SLICE("authorizations") },
                                     { .name = SLICE("finalize") },
                                     { .name = SLICE("certificate") } };
    struct json_value first = { .kind = JSON_ABSENT };
    bool good = scan(worker->fetch.body, members, COUNT_OF(members));
    struct slice rest = members[1].value.text;
    if (good && members[1].value.kind == JSON_ARRAY && json_array_next(&rest, &first))
        worker->authorization = text_of(worker, &(struct json_member){ .value = first });
    worker->finalize = good ? text_of(worker, &members[2]) : (struct slice){ NULL, 0 };
    worker->certificate = good ? text_of(worker, &members[3]) : (struct slice){ NULL, 0 };
    struct slice status = good ? members[0].value.text : SLICE("");
    if (slice_equal(status, SLICE("valid")) && worker->certificate.data && worker->step != ORDER)
        run(worker, CERTIFICATE);
    else if (slice_equal(status, SLICE("pending")) && worker->step == ORDER && worker->authorization.data &&
             worker->finalize.data)
        run(worker, AUTHORIZATION);
    else if (slice_equal(status, SLICE("ready")) && worker->finalize.data && worker->step == ORDER)
        run(worker, KEY);
    else if (slice_equal(status, SLICE("processing")) || slice_equal(status, SLICE("ready"))) {
        worker->step = ORDER_AGAIN;
        worker->url = worker->order;
        worker->payload = SLICE("");
        worker->polling = true;
    } else
        fail(worker, "an order that cannot be used", status);
}

/* Where the server will look for it. False: out of memory. */
static bool show_answer(struct acme_worker *worker, struct slice token)
{
    struct slice answer = acme_message_authorize(worker->key, token, &worker->arena);
    if (answer.data == NULL)
        return false;
    return worker->challenge_kind == ACME_TLS_ALPN_01 ? tls_challenge_set(worker->domain, answer)
                                                      : acme_store_set_answer(token, answer);
}

static void begin_challenge(struct acme_worker *worker, struct slice list)
{
    struct slice type = slice_of(acme_challenge_names[worker->challenge_kind]);
    struct acme_challenge found;
    if (!acme_message_challenge(list, type, &found) || !is_plain(found.url) || !is_plain(found.token) ||
        memchr(found.token.data, '/', found.token.size)) {
        fail(worker, "an answer that cannot be used: no challenge", type);
        return;
    }
    worker->challenge = arena_copy(&worker->arena, found.url);
    if (worker->challenge.data == NULL || !show_answer(worker, found.token))
        fail_memory(worker);
    else
        run(worker, CHALLENGE);
}

static void take_authorization(struct acme_worker *worker)
{
    struct json_member members[] = { { .name = SLICE("status") }, { .name = SLICE("challenges") } };
    if (!scan(worker->fetch.body, members, COUNT_OF(members))) {
        fail(worker, "an answer that cannot be used", SLICE("no authorization"));
        return;
    }
    struct slice status = members[0].value.text;
    if (slice_equal(status, SLICE("valid")))
        run(worker, KEY);
    else if (!slice_equal(status, SLICE("pending")))
        fail(worker, "the name was not confirmed", worker->fetch.body);
    else if (worker->step == AUTHORIZATION && members[1].value.kind == JSON_ARRAY)
        begin_challenge(worker, members[1].value.text);
    else
        worker->polling = true;
}

static void take_certificate(struct acme_worker *worker)
{
    struct acme_pair pair = { worker->fetch.body, worker->request.key_pem };
    if (pair.chain.size == 0 || memchr(pair.chain.data, 0, pair.chain.size) ||
        !acme_store_put(worker->domain, &pair)) {
        fail(worker, "a certificate that cannot be used", SLICE(""));
        return;
    }
    tell(worker, "a certificate has come", SLICE(""));
    rest(worker);
    end_order(worker);
    (void)kill(getpid(), SIGHUP); /* takes it up */
}

static void take(struct acme_worker *worker)
{
    switch (worker->step) {
    case DIRECTORY: take_directory(worker); break;
    case NONCE: run(worker, ACCOUNT); break;
    case ACCOUNT:
        worker->account = location(worker);
        if (worker->account.data)
            run(worker, ORDER);
        else
            fail(worker, "an answer that cannot be used", SLICE("no account"));
        break;
    case ORDER:
        worker->order = location(worker);
        if (worker->order.data)
            take_order(worker);
        else
            fail(worker, "an answer that cannot be used", SLICE("no order"));
        break;
    case FINALIZE:
    case ORDER_AGAIN: take_order(worker); break;
    case AUTHORIZATION:
    case AUTHORIZATION_AGAIN: take_authorization(worker); break;
    case CHALLENGE: run(worker, AUTHORIZATION_AGAIN); break;
    case CERTIFICATE: take_certificate(worker); break;
    default: fail(worker, "an answer nobody has asked for", SLICE("")); break;
    }
}

static bool is_bad_nonce(const struct acme_worker *worker)
{
    static const char name[] = "urn:ietf:params:acme:error:badNonce";
    const struct slice *body = &worker->fetch.body;
    return worker->fetch.status == 400 && memmem(body->data, body->size, name, sizeof(name) - 1) != NULL;
}

static void fetched(struct fetch *fetch, enum error error)
{
    struct acme_worker *worker = CONTAINER_OF(fetch, struct acme_worker, fetch);
    if (error != ERROR_OK) {
        fail(worker, "no answer", slice_of(error_text(error)));
        return;
    }
    struct slice nonce = fetch_header(fetch, SLICE("Replay-Nonce"));
    if (is_plain(nonce))
        worker->nonce = arena_copy(&worker->arena, nonce);
    if (worker->step > DIRECTORY && worker->nonce.data == NULL)
        fail(worker, "an answer without a nonce", SLICE(""));
    else if (is_bad_nonce(worker) && worker->nonces++ < NONCES_MAX)
        send_again(worker);
    else if (fetch->status < 200 || fetch->status > 299)
        fail(worker, "refused", fetch->body);
    else {
        worker->nonces = 0;
        take(worker);
    }
}

/* --- what there is to do -------------------------------------------------------------------------------- */

static const struct acme_config *config_in_force(const struct acme_worker *worker)
{
    const struct snapshot *snapshot = proxy_of(worker->shard)->snapshot;
    for (uint32_t i = 0; snapshot && i < snapshot->model->plugins.count; i++) {
        const struct plugin_instance *instance = snapshot->model->plugins.items[i];
        if (instance->kind == &acme_plugin.kind && instance->enabled)
            return instance->config;
    }
    return NULL;
}

static bool waits(const struct acme_worker *worker, struct slice domain)
{
    for (unsigned i = 0; i < REMEMBERED; i++)
        if (worker->pauses[i].until_ms > worker->shard->now_ms &&
            slice_equal_nocase(slice_of(worker->pauses[i].domain), domain))
            return true;
    return false;
}

static bool is_due(const struct acme_worker *worker, const struct acme_config *config, struct slice domain)
{
    int64_t now_s = (int64_t)(worker->shard->wall_ms / 1000), end_s = acme_store_not_after_s(domain);
    return end_s - (int64_t)(config->renew_threshold_days * 24 * 3600) < now_s && !waits(worker, domain);
}

/* The account's key, made at the first order. */
static bool open_account(struct acme_worker *worker)
{
    struct slice pem = acme_store_account(&worker->arena);
    if (pem.data) {
        worker->key = tls_acme_key_read(pem);
        return worker->key != NULL;
    }
    worker->key = tls_acme_key_make();
    pem = worker->key ? tls_acme_key_pem(worker->key, &worker->arena) : pem;
    return pem.data && acme_store_set_account(pem);
}

static bool copy_config(struct acme_worker *worker, const struct acme_config *config, struct slice domain)
{
    struct arena *arena = &worker->arena;
    worker->domain = arena_copy(arena, domain);
    worker->api_uri = arena_copy(arena, config->api_uri);
    worker->email = arena_copy(arena, config->account_email);
    worker->eab_kid = arena_copy(arena, config->eab_kid);
    worker->rsa_bits = config->cert_type == 0 ? (int)config->rsa_key_size : 0;
    worker->challenge_kind = (enum acme_challenge_kind)config->challenge;
    worker->backoff_ms = (uint64_t)(config->fail_backoff_minutes * 60000);
    char *secret = arena_alloc(arena, base64_decoded_bound(config->eab_hmac_key.size) + 1);
    size_t size = 0;
    if (secret && config->eab_hmac_key.data &&
        !base64_decode(BASE64_URL, config->eab_hmac_key, secret, &size))
        return false; /* was checked */
    worker->eab_secret = (struct slice){ secret, size };
    return worker->domain.data && worker->api_uri.data && worker->email.data && secret;
}

static void look(struct acme_worker *worker)
{
    const struct acme_config *config = config_in_force(worker);
    for (uint32_t i = 0; config && i < config->domains.count; i++) {
        if (!is_due(worker, config, config->domains.items[i]))
            continue;
        worker->step = DIRECTORY;
        if (!copy_config(worker, config, config->domains.items[i]) || !open_account(worker))
            fail(worker, "the account's key cannot be used", SLICE(""));
        else
            run(worker, DIRECTORY);
        return;
    }
}

static void tick(struct timer *timer)
{
    struct acme_worker *worker = CONTAINER_OF(timer, struct acme_worker, timer);
    uint64_t next_ms = TICK_MS;
    if (worker->step == IDLE) {
        look(worker);
        next_ms = LOOK_MS;
    } else if (worker->step == KEY) {
        (void)end_request(worker);
    } else if (worker->polling && worker->polls++ < POLLS_MAX) {
        send_again(worker);
        next_ms = POLL_MS;
    } else if (worker->polling) {
        fail(worker, "nothing has happened for long", SLICE(""));
    }
    timer_arm(&worker->shard->timers, &worker->timer, worker->shard->now_ms + next_ms);
}

struct acme_worker *acme_worker_open(struct shard *shard)
{
    struct acme_worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL)
        return NULL;
    worker->shard = shard;
    arena_init(&worker->arena, NULL, 0, ORDER_BYTES_MAX);
    fetch_init(&worker->fetch, fetch_pool_of(shard), fetched);
    timer_init(&worker->timer, tick);
    timer_arm(&shard->timers, &worker->timer, shard->now_ms + TICK_MS);
    return worker;
}

void acme_worker_close(struct acme_worker *worker)
{
    if (worker == NULL)
        return;
    timer_disarm(&worker->shard->timers, &worker->timer);
    if (worker->making) {
        (void)pthread_join(worker->maker, NULL);
        arena_deinit(&worker->request_arena);
    }
    fetch_close(&worker->fetch);
    tls_challenge_clear();
    tls_acme_key_free(worker->key);
    arena_deinit(&worker->arena);
    free(worker);
}
