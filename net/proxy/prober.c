/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/prober.h"

static struct probe *probe_of(struct stream *stream)
{
    return stream->owner;
}

static void finish(struct probe *probe, enum probe_outcome outcome)
{
    if (probe->outcome != PROBE_NONE)
        return;
    probe->outcome = outcome;
    timer_disarm(&probe->connection.stream->shard->timers, &probe->timer);
    stream_close(probe->connection.stream);
}

int probe_read_status(const char *line, size_t size)
{
    static const char pattern[] = "HTTP/1.# ###";
    for (size_t i = 0; i < size && i < sizeof(pattern) - 1; i++)
        if (pattern[i] == '#' ? !slice_is_digit(line[i]) : line[i] != pattern[i])
            return -1;
    if (size < PROBE_LINE_BYTES)
        return 0;
    if (line[12] != ' ' && line[12] != '\r' && line[12] != '\n')
        return -1;
    int status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    return status >= 100 ? status : -1;
}

static void opened(struct stream *stream, enum error error)
{
    struct probe *probe = probe_of(stream);
    if (probe->outcome != PROBE_NONE)
        return;
    if (error != ERROR_OK) {
        finish(probe, error == ERROR_TIMEOUT ? PROBE_TIMED_OUT : PROBE_NO_ANSWER);
        return;
    }
    if (probe->request.size == 0) {
        finish(probe, PROBE_CONNECTED);
        return;
    }
    struct chunk request = probe->request;
    probe->request = (struct chunk){ 0 };
    stream_send(stream, request);
}

static void received(struct stream *stream, struct chunk chunk)
{
    struct probe *probe = probe_of(stream);
    struct slice bytes = chunk_slice(&chunk);
    size_t wanted = sizeof(probe->line) - probe->line_size;
    size_t size = bytes.size < wanted ? bytes.size : wanted;
    if (size > 0)
        memcpy(probe->line + probe->line_size, bytes.data, size);
    probe->line_size = (uint8_t)(probe->line_size + size);
    bool ended = chunk.size == 0;
    chunk_release(&chunk);
    int status = probe_read_status(probe->line, probe->line_size);
    if (status > 0 && probe->outcome == PROBE_NONE)
        probe->status = status;
    if (status > 0)
        finish(probe, PROBE_STATUS);
    else if (status < 0 || ended)
        finish(probe, PROBE_NO_ANSWER);
}

static void writable(struct stream *stream)
{
    (void)stream;
}

static void failed(struct stream *stream, enum error error)
{
    finish(probe_of(stream), error == ERROR_TIMEOUT ? PROBE_TIMED_OUT : PROBE_NO_ANSWER);
}

static void closed(struct stream *stream)
{
    struct probe *probe = probe_of(stream);
    connection_deinit(&probe->connection);
    chunk_release(&probe->request);
    probe->running = false;
    probe->done(probe);
}

static void time_passed(struct timer *timer)
{
    finish(CONTAINER_OF(timer, struct probe, timer), PROBE_TIMED_OUT);
}

static const struct stream_events probe_events = {
    .opened = opened, .received = received, .writable = writable, .failed = failed, .closed = closed
};

static bool write_request(struct probe *probe, struct shard *shard, struct slice request)
{
    if (request.size == 0)
        return true;
    struct block *block = block_open(shard->blocks, request.size);
    if (block == NULL)
        return false;
    memcpy(block->data, request.data, request.size);
    block->used = (uint32_t)request.size;
    probe->request = (struct chunk){ block, 0, (uint32_t)request.size };
    return true;
}

bool probe_begin(struct probe *probe, struct shard *shard, const struct probe_target *target)
{
    CHECK(!probe->running);
    probe->request = (struct chunk){ 0 };
    if (!write_request(probe, shard, target->request))
        return false;
    probe->address = target->address;
    probe->line_size = 0;
    probe->outcome = PROBE_NONE;
    probe->status = 0;
    const struct connection_owner owner = { &probe_events, probe };
    if (connection_connect(&probe->connection, shard, &owner, &probe->address, target->tls) != ERROR_OK) {
        chunk_release(&probe->request);
        return false;
    }
    probe->running = true;
    timer_init(&probe->timer, time_passed);
    timer_arm(&shard->timers, &probe->timer, shard->now_ms + target->timeout_ms);
    return true;
}

void probe_cancel(struct probe *probe)
{
    if (probe->running)
        finish(probe, PROBE_CANCELLED);
}
