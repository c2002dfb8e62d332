/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_ring.h"

#include "bench/answer.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RING_ENTRIES = 4096,
    BUFFER_COUNT = 1024, /* a power of two */
    BUFFER_BYTES = 16384,
    BUFFER_GROUP = 0,
    PARTIAL_BYTES = 4096,
    ANSWER_LIMIT_BYTES = 1 << 20,
    ORIGIN_SIDES_MAX = 1024,
};

#define TICK_NS ((uint64_t)10000000)

/* One end of a connection with the proxy. */
struct side {
    int fd; /* -1: closed */
    bool is_origin; /* the proxy connected to it */
    bool waits;     /* a client's request is under way */
    bool given_up;  /* its error is counted; the end of the connection is on the way */
    bool in_body;
    unsigned status;
    uint64_t intended_ns;
    uint64_t sent_ns;
    struct wire_body body;
    size_t partial_bytes; /* of a head that was cut */
    char partial[PARTIAL_BYTES];
};

struct pair {
    const struct load_options *options;
    struct load_result *result;
    struct io_uring ring;
    struct io_uring_buf_ring *lent;
    char *buffers;
    int listener;
    struct side *sides; /* the clients, then those of the origin */
    size_t side_count;
    struct side **ready; /* circular queue of clients free to send (open loop) */
    size_t ready_first;
    size_t ready_count;
    size_t outstanding;
    size_t next_request;
    char *answer; /* the last one, kept: a run asks for one size */
    size_t answer_size;
    uint64_t answer_body_bytes;
    struct schedule schedule;
    uint64_t now_ns; /* of this turn */
    int status;
};

static int failed(const char *what, int error)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(error));
    return -1;
}

/* --- the ring ------------------------------------------------------------------------------------------- */

static struct io_uring_sqe *prepare(struct pair *pair)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&pair->ring);
    if (entry == NULL) {
        io_uring_submit(&pair->ring);
        entry = io_uring_get_sqe(&pair->ring);
    }
    return entry;
}

static void arm_accept(struct pair *pair)
{
    struct io_uring_sqe *entry = prepare(pair);
    io_uring_prep_multishot_accept(entry, pair->listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data(entry, pair); /* not a side: the listener */
}

static void arm_receive(struct pair *pair, struct side *side)
{
    struct io_uring_sqe *entry = prepare(pair);
    io_uring_prep_recv_multishot(entry, side->fd, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = BUFFER_GROUP;
    io_uring_sqe_set_data(entry, side);
}

/* `data` stays as it is to the end of the run. Failing is left to the receive, which ends then as well. */
static void start_send(struct pair *pair, const struct side *side, const char *data, size_t size)
{
    struct io_uring_sqe *entry = prepare(pair);
    io_uring_prep_send(entry, side->fd, data, size, MSG_WAITALL | MSG_NOSIGNAL);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data(entry, NULL);
}

static void lend(struct pair *pair, unsigned id)
{
    io_uring_buf_ring_add(pair->lent, pair->buffers + (size_t)id * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)id, io_uring_buf_ring_mask(BUFFER_COUNT), 0);
    io_uring_buf_ring_advance(pair->lent, 1);
}

static int open_ring(struct pair *pair)
{
    struct io_uring_params parameters = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                                   IORING_SETUP_CQSIZE,
                                          .cq_entries = RING_ENTRIES * 4 };
    int result = io_uring_queue_init_params(RING_ENTRIES, &pair->ring, &parameters);
    if (result != 0)
        return failed("io_uring", -result);
    size_t lent_bytes = BUFFER_COUNT * sizeof(struct io_uring_buf);
    pair->lent = mmap(NULL, lent_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pair->buffers = malloc((size_t)BUFFER_COUNT * BUFFER_BYTES);
    if (pair->lent == MAP_FAILED || pair->buffers == NULL)
        return failed("buffers", ENOMEM);
    io_uring_buf_ring_init(pair->lent);
    struct io_uring_buf_reg registration = { .ring_addr = (uint64_t)(uintptr_t)pair->lent,
                                             .ring_entries = BUFFER_COUNT,
                                             .bgid = BUFFER_GROUP };
    result = io_uring_register_buf_ring(&pair->ring, &registration, 0);
    if (result != 0)
        return failed("buffer ring", -result);
    for (unsigned id = 0; id < BUFFER_COUNT; id++)
        lend(pair, id);
    return 0;
}

/* --- clients -------------------------------------------------------------------------------------------- */

static void send_request(struct pair *pair, struct side *side, uint64_t intended_ns)
{
    const struct load_request *request = &pair->options->requests[pair->next_request];
    if (++pair->next_request == pair->options->request_count)
        pair->next_request = 0;
    side->waits = true;
    side->intended_ns = intended_ns;
    side->sent_ns = wire_now_ns();
    if (pair->schedule.rate > 0 && schedule_counts(&pair->schedule, intended_ns))
        histogram_add(&pair->result->lag, side->sent_ns - intended_ns);
    pair->outstanding++;
    start_send(pair, side, request->text, request->size);
}

/* A client that may ask: at once, or when the schedule says so. */
static void be_ready(struct pair *pair, struct side *side)
{
    if (pair->schedule.rate <= 0) {
        send_request(pair, side, wire_now_ns());
        return;
    }
    pair->ready[(pair->ready_first + pair->ready_count) % pair->options->connections] = side;
    pair->ready_count++;
}

static void run_schedule(struct pair *pair)
{
    uint64_t due_ns, now_ns = wire_now_ns();
    while (pair->ready_count > 0 && schedule_take(&pair->schedule, now_ns, &due_ns)) {
        struct side *side = pair->ready[pair->ready_first];
        pair->ready_first = (pair->ready_first + 1) % pair->options->connections;
        pair->ready_count--;
        send_request(pair, side, due_ns);
    }
}

/* Connects, which on loopback needs no waiting. A client that could not is tried again at the next tick. */
static void begin_client(struct pair *pair, struct side *side)
{
    int on = 1;
    const struct sockaddr_in *server = &pair->options->server;
    *side = (struct side){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    if (side->fd < 0 || connect(side->fd, (const struct sockaddr *)server, sizeof *server) != 0) {
        pair->result->errors_connect++;
        if (side->fd >= 0)
            close(side->fd);
        side->fd = -1;
        return;
    }
    setsockopt(side->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    arm_receive(pair, side);
    be_ready(pair, side);
}

static void take_answer(struct pair *pair, struct side *side)
{
    load_result_status(pair->result, side->status);
    load_result_answer(pair->result, &pair->schedule, side->status, side->intended_ns, wire_now_ns());
    side->in_body = false;
    side->waits = false;
    pair->outstanding--;
    be_ready(pair, side);
}

/* --- the origin ----------------------------------------------------------------------------------------- */

static int make_answer(struct pair *pair, uint64_t body_bytes)
{
    if (body_bytes > ANSWER_LIMIT_BYTES)
        return failed("an answer of this size", EFBIG);
    if (pair->answer != NULL)
        return failed("answers of more than one size", EINVAL);
    pair->answer = malloc(ANSWER_HEAD_MAX + body_bytes);
    if (pair->answer == NULL)
        return failed("an answer", ENOMEM);
    size_t head_bytes = answer_head(pair->answer, body_bytes, false);
    memset(pair->answer + head_bytes, 'a', body_bytes);
    pair->answer_size = head_bytes + body_bytes;
    pair->answer_body_bytes = body_bytes;
    return 0;
}

static void answer_request(struct pair *pair, const struct side *side, const struct wire_head *head)
{
    uint64_t body_bytes = answer_body_bytes(head);
    if (pair->answer == NULL || pair->answer_body_bytes != body_bytes)
        pair->status = make_answer(pair, body_bytes);
    if (pair->status == 0)
        start_send(pair, side, pair->answer, pair->answer_size);
}

static void accepted(struct pair *pair, int fd)
{
    struct side *side = &pair->sides[pair->options->connections];
    struct side *end = &pair->sides[pair->side_count];
    while (side < end && side->fd >= 0)
        side++;
    if (side == end) {
        pair->status = failed("connections to the origin", EMFILE);
        close(fd);
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *side = (struct side){ .fd = fd, .is_origin = true };
    arm_receive(pair, side);
}

/* --- both ----------------------------------------------------------------------------------------------- */

/* Ends the connection; its receive tells when it is over. An error once is enough. */
static void give_up(struct side *side, uint64_t *counter)
{
    if (!side->given_up)
        (*counter)++;
    side->given_up = true;
    shutdown(side->fd, SHUT_RDWR);
}

/* A whole head, with `size` bytes of `data` behind it. Returns how many of them are the body's; -1: bad. */
static ssize_t take_head(struct pair *pair, struct side *side, const struct wire_head *head, const char *data,
                         size_t size)
{
    if (side->is_origin) {
        answer_request(pair, side, head);
        return head->framing == WIRE_EMPTY ? 0 : -1;
    }
    side->status = wire_head_status(head);
    if (side->status < 200 || !head->has_framing)
        return -1;
    wire_body_begin(&side->body, head->framing, head->length);
    side->in_body = true;
    ssize_t used = side->body.done ? 0 : wire_body_skip(&side->body, data, size);
    if (used >= 0 && side->body.done)
        take_answer(pair, side);
    return used;
}

static void take_bytes(struct pair *pair, struct side *side, const char *data, size_t size)
{
    if (side->in_body) {
        ssize_t used = wire_body_skip(&side->body, data, size);
        if (used < 0 || (size_t)used != size)
            give_up(side, &pair->result->errors_protocol);
        else if (side->body.done)
            take_answer(pair, side);
        return;
    }
    if (side->partial_bytes > 0 || memmem(data, size, "\r\n\r\n", 4) == NULL) {
        if (size > PARTIAL_BYTES - side->partial_bytes) {
            give_up(side, &pair->result->errors_protocol);
            return;
        }
        memcpy(side->partial + side->partial_bytes, data, size);
        side->partial_bytes += size;
        data = side->partial;
        size = side->partial_bytes;
    }
    struct wire_head head;
    int complete = wire_head_read(data, size, &head);
    if (complete == 0)
        return;
    side->partial_bytes = 0;
    if (complete < 0) {
        give_up(side, &pair->result->errors_protocol);
        return;
    }
    size_t rest = size - head.size_bytes;
    ssize_t used = take_head(pair, side, &head, data + head.size_bytes, rest);
    if (used < 0 || (size_t)used != rest) /* nobody sends before he is asked */
        give_up(side, &pair->result->errors_protocol);
}

/* Takes a client that waits to be asked out of the queue, which keeps its order. */
static void leave_ready(struct pair *pair, const struct side *side)
{
    size_t kept = 0, room = pair->options->connections;
    for (size_t i = 0; i < pair->ready_count; i++) {
        struct side *next = pair->ready[(pair->ready_first + i) % room];
        if (next != side)
            pair->ready[(pair->ready_first + kept++) % room] = next;
    }
    pair->ready_count = kept;
}

/* A client's connection is opened anew at the next tick. */
static void ended(struct pair *pair, struct side *side)
{
    if (side->waits) {
        pair->result->errors_reset += !side->given_up;
        pair->outstanding--;
    } else if (!side->is_origin) {
        pair->result->reconnects++;
        leave_ready(pair, side);
    }
    close(side->fd);
    side->fd = -1;
}

static void received(struct pair *pair, struct side *side, int result, unsigned flags)
{
    if (flags & IORING_CQE_F_BUFFER) {
        unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;
        if (result > 0 && !side->is_origin && schedule_counts(&pair->schedule, pair->now_ns))
            pair->result->bytes += (uint64_t)result;
        if (result > 0)
            take_bytes(pair, side, pair->buffers + (size_t)id * BUFFER_BYTES, (size_t)result);
        lend(pair, id);
    }
    if (flags & IORING_CQE_F_MORE)
        return;
    if (result > 0 || result == -ENOBUFS)
        arm_receive(pair, side);
    else
        ended(pair, side);
}

static void completed(struct pair *pair, const struct io_uring_cqe *completion)
{
    void *subject = io_uring_cqe_get_data(completion);
    if (subject == NULL)
        return; /* a send that failed */
    if (subject != pair) {
        received(pair, subject, completion->res, completion->flags);
        return;
    }
    if (completion->res >= 0)
        accepted(pair, completion->res);
    if (!(completion->flags & IORING_CQE_F_MORE))
        arm_accept(pair);
}

static void run_tick(struct pair *pair, uint64_t now_ns)
{
    for (size_t i = 0; i < pair->options->connections; i++) {
        struct side *side = &pair->sides[i];
        if (side->fd < 0) {
            begin_client(pair, side);
        } else if (side->waits && !side->given_up && now_ns > side->sent_ns + pair->options->timeout_ns) {
            give_up(side, &pair->result->errors_timeout);
        }
    }
}

static int run_turn(struct pair *pair, uint64_t until_ns)
{
    uint64_t wake_ns = until_ns;
    if (schedule_owes(&pair->schedule) && pair->ready_count > 0 && schedule_due_ns(&pair->schedule) < wake_ns)
        wake_ns = schedule_due_ns(&pair->schedule);
    struct io_uring_cqe *completion;
    struct __kernel_timespec timeout = { .tv_nsec =
                                             wake_ns > pair->now_ns ? (long)(wake_ns - pair->now_ns) : 0 };
    int result = io_uring_submit_and_wait_timeout(&pair->ring, &completion, 1, &timeout, NULL);
    if (result < 0 && result != -ETIME && result != -EINTR)
        return failed("io_uring_enter", -result);
    unsigned head, count = 0;
    io_uring_for_each_cqe(&pair->ring, head, completion)
    {
        completed(pair, completion);
        count++;
    }
    io_uring_cq_advance(&pair->ring, count);
    if (schedule_is_open(&pair->schedule))
        run_schedule(pair);
    return pair->status;
}

/* Ends earlier when all is answered, if `drains`. */
static int run_until(struct pair *pair, uint64_t until_ns, bool drains)
{
    uint64_t tick_ns = 0;
    for (pair->now_ns = wire_now_ns(); pair->now_ns < until_ns; pair->now_ns = wire_now_ns()) {
        if (drains && pair->outstanding == 0 && !schedule_owes(&pair->schedule))
            break;
        if (pair->now_ns >= tick_ns) {
            run_tick(pair, pair->now_ns);
            tick_ns = pair->now_ns + TICK_NS;
        }
        if (run_turn(pair, tick_ns < until_ns ? tick_ns : until_ns) != 0)
            return -1;
    }
    return 0;
}

/* --- the run -------------------------------------------------------------------------------------------- */

static int open_pair(struct pair *pair, uint16_t origin_port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(origin_port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    pair->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(pair->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(pair->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(pair->listener, RING_ENTRIES) != 0)
        return failed("the origin's port", errno);
    pair->side_count = pair->options->connections + ORIGIN_SIDES_MAX;
    pair->sides = calloc(pair->side_count, sizeof pair->sides[0]);
    pair->ready = calloc(pair->options->connections, sizeof(struct side *));
    if (pair->sides == NULL || pair->ready == NULL)
        return failed("connections", ENOMEM);
    for (size_t i = 0; i < pair->side_count; i++)
        pair->sides[i].fd = -1;
    if (open_ring(pair) != 0)
        return -1;
    /* The default slack of 50 us would show in every latency of the open loop. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    arm_accept(pair);
    return 0;
}

static int measure(struct pair *pair)
{
    const struct load_options *options = pair->options;
    struct load_result *result = pair->result;
    struct schedule *schedule = &pair->schedule;
    schedule_begin(schedule, options->rate, wire_now_ns(), options->warmup_ns, options->duration_ns);
    if (run_until(pair, schedule->interval_start_ns, false) != 0)
        return -1;
    load_result_begin(result, options->pids, options->pid_count);
    if (run_until(pair, schedule->interval_end_ns, false) != 0)
        return -1;
    load_result_end(result, options->pids, options->pid_count);
    if (schedule->rate <= 0)
        return 0;
    /* What was due inside the interval is still sent and waited for. */
    if (run_until(pair, schedule->interval_end_ns + options->timeout_ns, true) != 0)
        return -1;
    load_result_unanswered(result, schedule, pair->outstanding);
    return 0;
}

int load_ring_run(const struct load_options *options, uint16_t origin_port, struct load_result *result)
{
    struct pair pair = { .options = options, .result = result };
    /* What it opened and took ends with the process, which is about to. */
    return open_pair(&pair, origin_port) == 0 ? measure(&pair) : -1;
}
