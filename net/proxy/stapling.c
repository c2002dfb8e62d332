/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/stapling.h"

#include "tls/tls_staple.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOOK_MS = 500,
    TIMEOUT_MS = 10000,
    ANSWER_BYTES_MAX = 64 * 1024,
    QUESTION_BYTES_MAX = 64 * 1024,
    AT_A_TIME = 8
};

/* A question under way. */
struct asking {
    struct stapling *stapling;
    struct fetch fetch;
    struct arena arena;
    struct tls_staple *staple; /* NULL: none */
    struct header headers[1];
};

struct stapling {
    struct shard *shard;
    struct stapling_options options;
    struct timer timer;
    struct asking askings[AT_A_TIME];
};

static void tell(const struct asking *asking, const char *reason, const char *detail)
{
    char line[512];
    struct proxy *proxy = proxy_of(asking->stapling->shard);
    snprintf(line, sizeof(line), "stapling: %s certificate=%s %s", reason, tls_staple_name(asking->staple),
             detail);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    if (proxy->tell)
        proxy->tell(proxy, line);
}

static void end(struct asking *asking)
{
    arena_deinit(&asking->arena);
    tls_staple_release(asking->staple);
    asking->staple = NULL;
}

static void fail(struct asking *asking, const char *reason)
{
    metric_add(&asking->stapling->shard->metrics, METRIC_STAPLES_FAILED, 1);
    tell(asking, "no response", reason);
    end(asking);
}

static void fetched(struct fetch *fetch, enum error error)
{
    struct asking *asking = CONTAINER_OF(fetch, struct asking, fetch);
    char status[64];
    const char *reason = NULL;
    if (error != ERROR_OK) {
        reason = error_text(error);
    } else if (fetch->status != 200) {
        snprintf(status, sizeof(status), "the responder's status is %d", fetch->status);
        reason = status;
    } else {
        reason = tls_staple_offer(asking->staple, fetch->body, asking->stapling->options.refresh_s);
    }
    fetch_close(fetch);
    if (reason && error != ERROR_CANCELLED) {
        fail(asking, reason);
        return;
    }
    metric_add(&asking->stapling->shard->metrics, METRIC_STAPLES, reason == NULL);
    end(asking);
}

static void ask(struct asking *asking)
{
    struct slice own = asking->stapling->options.responder;
    arena_init(&asking->arena, NULL, 0, QUESTION_BYTES_MAX);
    asking->headers[0] = (struct header){ SLICE("Content-Type"), SLICE("application/ocsp-request") };
    struct fetch_request request = { .method = SLICE("POST"),
                                     .url = own.size > 0 ? own : tls_staple_url(asking->staple),
                                     .headers = asking->headers,
                                     .header_count = 1,
                                     .body = tls_staple_question(asking->staple, &asking->arena),
                                     .limit_bytes = ANSWER_BYTES_MAX,
                                     .timeout_ms = TIMEOUT_MS,
                                     .options = FETCH_REPEATABLE };
    if (request.url.data == NULL)
        fail(asking, "it names no responder");
    else if (request.body.data == NULL)
        fail(asking, "out of memory");
    else
        fetch_start(&asking->fetch, &request);
}

static void look(struct timer *timer)
{
    struct stapling *stapling = CONTAINER_OF(timer, struct stapling, timer);
    int64_t now_s = (int64_t)(stapling->shard->wall_ms / 1000);
    for (unsigned i = 0; i < AT_A_TIME; i++) {
        struct asking *asking = &stapling->askings[i];
        if (asking->staple)
            continue;
        asking->staple = tls_staple_due(now_s, stapling->options.retry_s);
        if (asking->staple == NULL)
            break;
        ask(asking);
    }
    timer_arm(&stapling->shard->timers, &stapling->timer, stapling->shard->now_ms + LOOK_MS);
}

struct stapling *stapling_open(struct shard *shard, const struct stapling_options *options)
{
    struct stapling *stapling = calloc(1, sizeof(*stapling));
    if (stapling == NULL)
        return NULL;
    stapling->shard = shard;
    stapling->options = *options;
    for (unsigned i = 0; i < AT_A_TIME; i++) {
        stapling->askings[i].stapling = stapling;
        fetch_init(&stapling->askings[i].fetch, fetch_pool_of(shard), fetched);
    }
    timer_init(&stapling->timer, look);
    timer_arm(&shard->timers, &stapling->timer, shard->now_ms + 1);
    return stapling;
}

void stapling_close(struct stapling *stapling)
{
    if (stapling == NULL)
        return;
    timer_disarm(&stapling->shard->timers, &stapling->timer);
    for (unsigned i = 0; i < AT_A_TIME; i++) {
        fetch_close(&stapling->askings[i].fetch);
        if (stapling->askings[i].staple)
            end(&stapling->askings[i]);
    }
    free(stapling);
}
