/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/aws_credentials.h"

#include "core/base/query.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ANSWER_BYTES = 64 * 1024,
    WORK_BYTES = 256 * 1024,
    METADATA_MS = 2000, /* who is not on a machine of AWS learns it soon */
    STS_MS = 10000,
    RENEW_S = 300, /* before they expire */
    LAST_S = 10, /* before they expire they are not used any more */
    RETRY_MS = 5000, /* at most one renewal in this time */
    UNUSED_MS = 3600 * 1000
};

/* One request after the other; each leads to another or to the end. */
enum step {
    STEP_WEB_IDENTITY, /* a token of the cluster for keys of a role */
    STEP_CONTAINER,
    STEP_MACHINE_TOKEN, /* IMDSv2 */
    STEP_MACHINE_ROLE,
    STEP_MACHINE_KEYS,
    STEP_ASSUME /* with the keys that have been found */
};

struct kept_keys {
    char key_id[AWS_KEY_SIZE], secret[AWS_KEY_SIZE];
    char token[AWS_TOKEN_SIZE]; /* empty: none */
    int64_t expires_s; /* 0: never */
    bool there;
};

struct aws_credentials {
    struct aws_credentials *next; /* of the pool */
    struct aws_pool *pool;
    struct shard *shard;
    struct aws_source source; /* its texts are copies */
    struct fetch fetch;
    enum step step;
    struct arena work; /* of one renewal */
    struct slice machine_token, machine_role;
    struct kept_keys keys, base; /* in use; found on the way to a role */
    struct list_node waiters;
    struct timer unused;
    uint64_t tried_ms;
    bool fetching;
};

static struct slice environment(const char *name)
{
    struct slice text = slice_of(getenv(name)); /* nobody changes it once threads run */
    return text.size ? text : (struct slice){ NULL, 0 };
}

/* --- keys ----------------------------------------------------------------------------------------------- */

static void keep(struct kept_keys *kept, const struct aws_keys *keys)
{
    *kept = (struct kept_keys){ .expires_s = keys->expires_s };
    if (keys->key_id.size >= sizeof(kept->key_id) || keys->secret.size >= sizeof(kept->secret) ||
        keys->token.size >= sizeof(kept->token))
        return;
    memcpy(kept->key_id, keys->key_id.data, keys->key_id.size);
    memcpy(kept->secret, keys->secret.data, keys->secret.size);
    if (keys->token.size)
        memcpy(kept->token, keys->token.data, keys->token.size);
    kept->there = true;
}

static struct sigv4_credentials credentials_of(const struct kept_keys *kept)
{
    struct slice token = slice_of(kept->token);
    return (struct sigv4_credentials){ slice_of(kept->key_id), slice_of(kept->secret),
                                       token.size ? token : (struct slice){ NULL, 0 } };
}

static int64_t left_s(const struct aws_credentials *credentials)
{
    const struct kept_keys *keys = &credentials->keys;
    if (!keys->there)
        return -1;
    return keys->expires_s == 0 ? INT64_MAX : keys->expires_s - (int64_t)(credentials->shard->wall_ms / 1000);
}

/* --- the end of a renewal ------------------------------------------------------------------------------- */

static void finish(struct aws_credentials *credentials)
{
    struct list_node waiters;
    credentials->fetching = false;
    explicit_bzero(&credentials->base, sizeof(credentials->base));
    list_init(&waiters);
    list_move_all(&waiters, &credentials->waiters);
    while (!list_is_empty(&waiters)) {
        struct aws_waiter *waiter = CONTAINER_OF(waiters.next, struct aws_waiter, node);
        list_remove(&waiter->node);
        waiter->done(waiter);
    }
}

/* --- requests ------------------------------------------------------------------------------------------- */

static struct slice escape(struct arena *arena, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *copy = arena_alloc(arena, text.size * 3 + 1), *end = copy;
    for (size_t i = 0; copy && i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (slice_is_digit(text.data[i]) ||
            (slice_lower(text.data[i]) >= 'a' && slice_lower(text.data[i]) <= 'z') ||
            (c && strchr("-._~", c))) {
            *end++ = text.data[i];
            continue;
        }
        *end++ = '%';
        *end++ = digits[c >> 4];
        *end++ = digits[c & 15];
    }
    return (struct slice){ copy, (size_t)(end - copy) };
}

/* A small file that the cluster keeps in memory, once per renewal. */
static struct slice read_token(struct arena *arena, struct slice path)
{
    char *text = arena_alloc(arena, AWS_TOKEN_SIZE);
    int fd = text ? open(path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0)
        return (struct slice){ NULL, 0 };
    ssize_t size = read(fd, text, AWS_TOKEN_SIZE);
    close(fd);
    struct slice token = { text, size > 0 ? (size_t)size : 0 };
    while (token.size && (unsigned char)token.data[token.size - 1] <= ' ')
        token.size--;
    return token.size ? token : (struct slice){ NULL, 0 };
}

static struct slice region_of(const struct aws_credentials *credentials)
{
    return credentials->source.region.data ? credentials->source.region : SLICE("us-east-1");
}

static struct slice sts_url(struct aws_credentials *credentials)
{
    if (credentials->source.sts_url.data)
        return credentials->source.sts_url;
    return arena_format(&credentials->work, "https://sts.%.*s.amazonaws.com/",
                        SLICE_FORMAT(region_of(credentials)));
}

static void call(struct aws_credentials *credentials, struct fetch_request *request)
{
    request->limit_bytes = ANSWER_BYTES;
    if (request->timeout_ms == 0)
        request->timeout_ms = METADATA_MS;
    fetch_start(&credentials->fetch, request);
}

static struct slice web_identity_form(struct aws_credentials *credentials)
{
    struct arena *arena = &credentials->work;
    struct slice session = environment("AWS_ROLE_SESSION_NAME");
    struct slice token = read_token(arena, environment("AWS_WEB_IDENTITY_TOKEN_FILE"));
    if (token.data == NULL)
        return token;
    token = escape(arena, token);
    struct slice role = escape(arena, environment("AWS_ROLE_ARN"));
    session = escape(arena, session.data ? session : SLICE("sluice"));
    return arena_format(
        arena,
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=%.*s&RoleSessionName=%.*s"
        "&WebIdentityToken=%.*s",
        SLICE_FORMAT(role), SLICE_FORMAT(session), SLICE_FORMAT(token));
}

static struct slice assume_form(struct aws_credentials *credentials)
{
    struct arena *arena = &credentials->work;
    struct slice role = escape(arena, credentials->source.role);
    struct slice session = credentials->source.session;
    session = escape(arena, session.data ? session : SLICE("kong"));
    return arena_format(arena, "Action=AssumeRole&Version=2011-06-15&RoleArn=%.*s&RoleSessionName=%.*s",
                        SLICE_FORMAT(role), SLICE_FORMAT(session));
}

static const struct slice form_type = { "application/x-www-form-urlencoded; charset=utf-8", 48 };

/* To STS; with the keys that have been found, if there are any. False: it cannot be sent. */
static bool call_sts(struct aws_credentials *credentials, struct slice form)
{
    struct fetch_request request = { .method = SLICE("POST"),
                                     .url = sts_url(credentials),
                                     .body = form,
                                     .proxy_url = credentials->source.proxy_url,
                                     .timeout_ms = STS_MS,
                                     .options = FETCH_REPEATABLE };
    struct header *headers = arena_alloc_zero(&credentials->work, 4 * sizeof(*headers));
    struct fetch_url url;
    if (form.data == NULL || headers == NULL || !fetch_url_parse(request.url, &url))
        return false;
    headers[0] = (struct header){ .name = SLICE("Content-Type"), .value = form_type };
    request.headers = headers;
    request.header_count = 1;
    if (credentials->base.there) {
        struct sigv4_field fields[] = { { SLICE("Host"), url.authority },
                                        { SLICE("Content-Type"), form_type } };
        struct sigv4_request to_sign = { .method = request.method,
                                         .path = url.target,
                                         .fields = fields,
                                         .field_count = COUNT_OF(fields),
                                         .body = form,
                                         .region = region_of(credentials),
                                         .service = SLICE("sts"),
                                         .time_s = (int64_t)(credentials->shard->wall_ms / 1000) };
        struct sigv4_credentials keys = credentials_of(&credentials->base);
        struct sigv4_signature signature;
        if (!sigv4_sign(&to_sign, &keys, &credentials->work, &signature))
            return false;
        headers[1] = (struct header){ .name = SLICE("X-Amz-Date"), .value = signature.date };
        headers[2] = (struct header){ .name = SLICE("Authorization"), .value = signature.authorization };
        headers[3] = (struct header){ .name = SLICE("X-Amz-Security-Token"), .value = signature.token };
        request.header_count = signature.token.data ? 4 : 3;
    }
    call(credentials, &request);
    return true;
}

static bool call_container(struct aws_credentials *credentials)
{
    struct slice path = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    struct slice url = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    struct slice token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    struct slice file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    struct header *header = arena_alloc_zero(&credentials->work, sizeof(*header));
    if (header == NULL)
        return false;
    if (path.data)
        url = arena_format(&credentials->work, "http://169.254.170.2%.*s", SLICE_FORMAT(path));
    if (file.data)
        token = read_token(&credentials->work, file);
    *header = (struct header){ .name = SLICE("Authorization"), .value = token };
    struct fetch_request request = { .url = url, .headers = header, .header_count = token.data != NULL };
    call(credentials, &request);
    return true;
}

static bool call_machine(struct aws_credentials *credentials)
{
    static const struct header ask = { .name = { "X-aws-ec2-metadata-token-ttl-seconds", 36 },
                                       .value = { "60", 2 } };
    static const char path[] = "/latest/meta-data/iam/security-credentials/";
    struct arena *arena = &credentials->work;
    struct slice base = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    struct header *header = arena_alloc_zero(arena, sizeof(*header));
    if (base.data == NULL)
        base = SLICE("http://169.254.169.254");
    while (base.size && base.data[base.size - 1] == '/')
        base.size--;
    if (header == NULL)
        return false;
    struct fetch_request request = { .headers = header,
                                     .header_count = credentials->machine_token.data != NULL };
    *header =
        (struct header){ .name = SLICE("X-aws-ec2-metadata-token"), .value = credentials->machine_token };
    if (credentials->step == STEP_MACHINE_TOKEN) {
        request.method = SLICE("PUT");
        request.headers = &ask;
        request.header_count = 1;
        request.body = SLICE("");
        request.url = arena_format(arena, "%.*s/latest/api/token", SLICE_FORMAT(base));
    } else {
        request.url = arena_format(arena, "%.*s%s%.*s", SLICE_FORMAT(base), path,
                                   SLICE_FORMAT(credentials->machine_role));
    }
    call(credentials, &request);
    return true;
}

/* False: it cannot even be tried. */
static bool take_step(struct aws_credentials *credentials, enum step step)
{
    credentials->step = step;
    switch (step) {
    case STEP_WEB_IDENTITY: return call_sts(credentials, web_identity_form(credentials));
    case STEP_ASSUME: return call_sts(credentials, assume_form(credentials));
    case STEP_CONTAINER: return call_container(credentials);
    case STEP_MACHINE_TOKEN:
    case STEP_MACHINE_ROLE:
    case STEP_MACHINE_KEYS: break;
    }
    return call_machine(credentials);
}

/* --- answers -------------------------------------------------------------------------------------------- */

/* What is found is used, or goes to STS for the role. False: it leads nowhere. */
static bool found(struct aws_credentials *credentials, const struct aws_keys *keys)
{
    bool assumes = credentials->source.role.data && credentials->step != STEP_ASSUME;
    struct kept_keys *kept = assumes ? &credentials->base : &credentials->keys;
    keep(kept, keys);
    return kept->there && (!assumes || take_step(credentials, STEP_ASSUME));
}

/* The first line. */
static struct slice line_of(struct aws_credentials *credentials)
{
    struct slice rest, line = slice_trim(slice_split(credentials->fetch.body, '\n', &rest));
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] <= ' ' || line.data[i] >= 0x7f)
            return (struct slice){ NULL, 0 };
    return line.size ? arena_copy(&credentials->work, line) : (struct slice){ NULL, 0 };
}

static bool take_answer(struct aws_credentials *credentials)
{
    struct aws_keys keys;
    struct slice body = credentials->fetch.body;
    switch (credentials->step) {
    case STEP_WEB_IDENTITY:
    case STEP_ASSUME: return aws_keys_read_xml(body, &keys) && found(credentials, &keys);
    case STEP_MACHINE_TOKEN:
        credentials->machine_token = line_of(credentials);
        return credentials->machine_token.data && take_step(credentials, STEP_MACHINE_ROLE);
    case STEP_MACHINE_ROLE:
        credentials->machine_role = line_of(credentials);
        return credentials->machine_role.data && take_step(credentials, STEP_MACHINE_KEYS);
    case STEP_CONTAINER:
    case STEP_MACHINE_KEYS: break;
    }
    return aws_keys_read_json(body, &keys) && found(credentials, &keys);
}

static void fetched(struct fetch *fetch, enum error error)
{
    struct aws_credentials *credentials = CONTAINER_OF(fetch, struct aws_credentials, fetch);
    bool good = error == ERROR_OK && fetch->status == 200 && take_answer(credentials);
    if (!good || !fetch_is_busy(fetch))
        finish(credentials);
}

/* --- the chain ------------------------------------------------------------------------------------------ */

/* False: there is nothing that could be tried, or it has failed at once. */
static bool begin(struct aws_credentials *credentials)
{
    const struct aws_source *source = &credentials->source;
    struct aws_keys keys = { .key_id = source->key_id, .secret = source->secret };
    arena_deinit(&credentials->work);
    arena_init(&credentials->work, NULL, 0, WORK_BYTES);
    credentials->machine_token = credentials->machine_role = (struct slice){ NULL, 0 };
    credentials->base.there = false;
    credentials->step = STEP_CONTAINER; /* any but STEP_ASSUME */
    if (keys.key_id.data == NULL) {
        keys.key_id = environment("AWS_ACCESS_KEY_ID");
        keys.secret = environment("AWS_SECRET_ACCESS_KEY");
        keys.token = environment("AWS_SESSION_TOKEN");
    }
    if (keys.key_id.data && keys.secret.data)
        return found(credentials, &keys);
    if (environment("AWS_WEB_IDENTITY_TOKEN_FILE").data && environment("AWS_ROLE_ARN").data)
        return take_step(credentials, STEP_WEB_IDENTITY);
    if (environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").data ||
        environment("AWS_CONTAINER_CREDENTIALS_FULL_URI").data)
        return take_step(credentials, STEP_CONTAINER);
    if (slice_equal_nocase(environment("AWS_EC2_METADATA_DISABLED"), SLICE("true")))
        return false;
    return take_step(credentials, source->imds_v2 ? STEP_MACHINE_TOKEN : STEP_MACHINE_ROLE);
}

static void renew(struct aws_credentials *credentials)
{
    credentials->tried_ms = credentials->shard->now_ms;
    (void)begin(credentials); /* nothing to try: nothing is found */
    credentials->fetching = fetch_is_busy(&credentials->fetch);
}

enum aws_answer aws_credentials_ask(struct aws_credentials *credentials, struct aws_waiter *waiter,
                                    struct sigv4_credentials *keys)
{
    bool paused = credentials->tried_ms && credentials->shard->now_ms < credentials->tried_ms + RETRY_MS;
    if (left_s(credentials) < RENEW_S && !credentials->fetching && !paused)
        renew(credentials);
    if (left_s(credentials) >= LAST_S) {
        *keys = credentials_of(&credentials->keys);
        return AWS_READY;
    }
    if (!credentials->fetching)
        return AWS_UNAVAILABLE;
    list_append(&credentials->waiters, &waiter->node);
    return AWS_WAIT;
}

/* --- the pool ------------------------------------------------------------------------------------------- */

enum { TEXTS = 7 };

static void texts_of(struct aws_source *source, struct slice *texts[TEXTS])
{
    struct slice *all[TEXTS] = { &source->key_id,  &source->secret,  &source->region,   &source->role,
                                 &source->session, &source->sts_url, &source->proxy_url };
    memcpy(texts, all, sizeof(all));
}

static bool is_same(struct aws_source *a, const struct aws_source *b)
{
    struct aws_source copy = *b;
    struct slice *left[TEXTS], *right[TEXTS];
    texts_of(a, left);
    texts_of(&copy, right);
    for (size_t i = 0; i < TEXTS; i++)
        if (!slice_equal(*left[i], *right[i]) || (left[i]->data == NULL) != (right[i]->data == NULL))
            return false;
    return a->imds_v2 == b->imds_v2;
}

static void credentials_free(struct aws_credentials *credentials)
{
    struct slice *texts[TEXTS];
    texts_of(&credentials->source, texts);
    timer_disarm(&credentials->shard->timers, &credentials->unused);
    while (!list_is_empty(&credentials->waiters))
        list_remove(credentials->waiters.next);
    fetch_close(&credentials->fetch);
    arena_deinit(&credentials->work);
    for (size_t i = 0; i < TEXTS; i++)
        free((void *)(uintptr_t)texts[i]->data);
    explicit_bzero(&credentials->keys, sizeof(credentials->keys));
    free(credentials);
}

static void mark_used(struct aws_credentials *credentials)
{
    timer_arm(&credentials->shard->timers, &credentials->unused, credentials->shard->now_ms + UNUSED_MS);
}

static void is_unused(struct timer *timer)
{
    struct aws_credentials *credentials = CONTAINER_OF(timer, struct aws_credentials, unused);
    if (credentials->fetching || !list_is_empty(&credentials->waiters)) {
        mark_used(credentials);
        return;
    }
    struct aws_credentials **at = &credentials->pool->first;
    while (*at != credentials)
        at = &(*at)->next;
    *at = credentials->next;
    credentials_free(credentials);
}

struct aws_credentials *aws_pool_find(struct aws_pool *pool, struct shard *shard,
                                      const struct aws_source *source)
{
    struct slice *texts[TEXTS];
    bool enough = true;
    for (struct aws_credentials *known = pool->first; known; known = known->next)
        if (is_same(&known->source, source)) {
            mark_used(known);
            return known;
        }
    struct aws_credentials *credentials = calloc(1, sizeof(*credentials));
    if (credentials == NULL)
        return NULL;
    credentials->source = *source;
    credentials->pool = pool;
    credentials->shard = shard;
    texts_of(&credentials->source, texts);
    for (size_t i = 0; i < TEXTS; i++)
        if (texts[i]->data) {
            texts[i]->data = strndup(texts[i]->data, texts[i]->size);
            enough = enough && texts[i]->data;
        }
    list_init(&credentials->waiters);
    timer_init(&credentials->unused, is_unused);
    arena_init(&credentials->work, NULL, 0, 0);
    fetch_init(&credentials->fetch, fetch_pool_of(shard), fetched);
    if (!enough) {
        credentials_free(credentials);
        return NULL;
    }
    credentials->next = pool->first;
    pool->first = credentials;
    mark_used(credentials);
    return credentials;
}

void aws_pool_close(struct aws_pool *pool)
{
    while (pool->first) {
        struct aws_credentials *credentials = pool->first;
        pool->first = credentials->next;
        credentials_free(credentials);
    }
}
