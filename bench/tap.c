/* SPDX-License-Identifier: Apache-2.0 */
/* What a proxy itself adds to a request, by the kernel's time of each packet on loopback: from the request's
 * arrival at the proxy to its arrival at the origin, and from the answer's arrival at the proxy to its
 * arrival at the client. The waiting of the load generator and of the origin is not in it. Needs requests
 * without body whose targets differ while they are under way, answers of one segment, and the right to open
 * a packet socket. Prints one JSON object. */
#include "bench/histogram.h"
#include "bench/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 1 << 20,
    BLOCK_COUNT = 32,
    BLOCK_WAIT_MS = 20,
    CAPTURED_BYTES = 512, /* of each packet: enough for a request line */
    PORTS = 1 << 16,
    TARGETS = 1 << 18,
    LATE_MS = 200 /* for the last blocks after the end */
};

/* A request under way; the times are 0 until they are known. */
struct passage {
    uint64_t asked_ns, asked_origin_ns, answered_ns;
    uint32_t target_hash;
};

struct tap {
    int fd;
    char *ring;
    uint16_t proxy_port, origin_port;
    uint64_t begin_ns, end_ns; /* wall clock: packets outside are not counted */
    uint64_t unmatched, lost;
    struct passage passages[PORTS]; /* by the client's port */
    uint16_t client_of[PORTS]; /* by the port from which the proxy speaks to the origin; 0: none */
    uint16_t asker_of[TARGETS]; /* the client's port by the hash of the target; 0: nobody */
    struct histogram histogram;
};

struct segment {
    uint16_t source, target;
    const char *payload;
    size_t size;
    uint64_t time_ns;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "tap: %s: %s\n", what, strerror(errno));
    exit(3);
}

/* FNV-1a of the request line. */
static uint32_t target_hash(const struct segment *segment)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < segment->size && segment->payload[i] != '\r'; i++)
        hash = (hash ^ (unsigned char)segment->payload[i]) * 16777619u;
    return hash % TARGETS;
}

static bool is_request(const struct segment *segment)
{
    return segment->size > 4 && memcmp(segment->payload, "GET ", 4) == 0;
}

static void request_arrives(struct tap *tap, const struct segment *segment)
{
    uint32_t hash = target_hash(segment);
    tap->passages[segment->source] = (struct passage){ .asked_ns = segment->time_ns, .target_hash = hash };
    tap->asker_of[hash] = segment->source;
}

static void request_leaves(struct tap *tap, const struct segment *segment)
{
    uint16_t client = tap->asker_of[target_hash(segment)];
    tap->client_of[segment->source] = client;
    tap->passages[client].asked_origin_ns = segment->time_ns;
}

static void answer_arrives(struct tap *tap, const struct segment *segment)
{
    struct passage *passage = &tap->passages[tap->client_of[segment->target]];
    if (passage->answered_ns == 0)
        passage->answered_ns = segment->time_ns;
}

static void answer_leaves(struct tap *tap, const struct segment *segment)
{
    struct passage *passage = &tap->passages[segment->target];
    bool known = passage->asked_ns && passage->asked_origin_ns && passage->answered_ns;
    if (known && passage->asked_ns >= tap->begin_ns && segment->time_ns <= tap->end_ns)
        histogram_add(&tap->histogram,
                      passage->asked_origin_ns - passage->asked_ns + segment->time_ns - passage->answered_ns);
    tap->unmatched += passage->asked_ns >= tap->begin_ns && !known;
    *passage = (struct passage){ 0 };
}

static void take(struct tap *tap, const struct segment *segment)
{
    if (segment->size == 0)
        return;
    if (segment->target == tap->proxy_port && is_request(segment))
        request_arrives(tap, segment);
    else if (segment->target == tap->origin_port && is_request(segment))
        request_leaves(tap, segment);
    else if (segment->source == tap->origin_port)
        answer_arrives(tap, segment);
    else if (segment->source == tap->proxy_port)
        answer_leaves(tap, segment);
}

/* An IPv4 packet with its TCP header; what is none was not let in by the filter. */
static void take_packet(struct tap *tap, const struct tpacket3_hdr *packet)
{
    const unsigned char *ip = (const unsigned char *)packet + packet->tp_net;
    const unsigned char *end = (const unsigned char *)packet + packet->tp_mac + packet->tp_snaplen;
    size_t ip_size = (size_t)(ip[0] & 15) * 4;
    const unsigned char *tcp = ip + ip_size;
    if (end - ip < (ptrdiff_t)ip_size + 20)
        return;
    const unsigned char *payload = tcp + (size_t)(tcp[12] >> 4) * 4;
    size_t size = payload < end ? (size_t)(end - payload) : 0;
    struct segment segment = { .source = (uint16_t)(tcp[0] << 8 | tcp[1]),
                               .target = (uint16_t)(tcp[2] << 8 | tcp[3]),
                               .payload = (const char *)payload,
                               .size = size,
                               .time_ns = packet->tp_sec * 1000000000ull + packet->tp_nsec };
    take(tap, &segment);
}

static void take_block(struct tap *tap, struct tpacket_block_desc *block)
{
    const char *packet = (const char *)block + block->hdr.bh1.offset_to_first_pkt;
    for (uint32_t i = 0; i < block->hdr.bh1.num_pkts; i++) {
        const struct tpacket3_hdr *header = (const struct tpacket3_hdr *)packet;
        take_packet(tap, header);
        packet += header->tp_next_offset;
    }
    __atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

/* TCP over IPv4 that arrives (each packet of loopback is also seen leaving), from or to one of the ports. */
static void attach_filter(const struct tap *tap)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 0, 10),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 8),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, tap->proxy_port, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, tap->origin_port, 3, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, tap->proxy_port, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, tap->origin_port, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, CAPTURED_BYTES),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
    if (setsockopt(tap->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
        die("filter");
}

static void open_tap(struct tap *tap)
{
    tap->fd = socket(AF_PACKET, SOCK_DGRAM, 0);
    if (tap->fd < 0)
        die("packet socket");
    attach_filter(tap);
    int version = TPACKET_V3;
    struct tpacket_req3 request = { .tp_block_size = BLOCK_BYTES,
                                    .tp_block_nr = BLOCK_COUNT,
                                    .tp_frame_size = 2048,
                                    .tp_frame_nr = BLOCK_BYTES / 2048 * BLOCK_COUNT,
                                    .tp_retire_blk_tov = BLOCK_WAIT_MS };
    struct sockaddr_ll address = { .sll_family = AF_PACKET,
                                   .sll_protocol = htons(ETH_P_IP),
                                   .sll_ifindex = (int)if_nametoindex("lo") };
    size_t size = (size_t)BLOCK_BYTES * BLOCK_COUNT;
    if (setsockopt(tap->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) != 0 ||
        setsockopt(tap->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) != 0)
        die("packet ring");
    tap->ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, tap->fd, 0);
    if (tap->ring == MAP_FAILED || bind(tap->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("packet ring");
}

static uint64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void listen_in(struct tap *tap)
{
    uint32_t next = 0;
    while (wall_ns() < tap->end_ns + LATE_MS * 1000000ull) {
        struct tpacket_block_desc *block = (void *)(tap->ring + (size_t)next * BLOCK_BYTES);
        if (__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) {
            take_block(tap, block);
            next = (next + 1) % BLOCK_COUNT;
            continue;
        }
        struct pollfd wait = { .fd = tap->fd, .events = POLLIN };
        poll(&wait, 1, BLOCK_WAIT_MS);
    }
    struct tpacket_stats_v3 stats = { 0 };
    socklen_t size = sizeof(stats);
    if (getsockopt(tap->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
        tap->lost = stats.tp_drops;
}

static void print_result(const struct tap *tap)
{
    const struct histogram *histogram = &tap->histogram;
    printf("{\"requests\": %llu, \"unmatched\": %llu, \"lost\": %llu, \"p50\": %.1f, \"p99\": %.1f, "
           "\"p99_9\": %.1f, \"max\": %.1f}\n",
           (unsigned long long)histogram->count, (unsigned long long)tap->unmatched,
           (unsigned long long)tap->lost, (double)histogram_quantile(histogram, 0.5) / 1000,
           (double)histogram_quantile(histogram, 0.99) / 1000,
           (double)histogram_quantile(histogram, 0.999) / 1000, (double)histogram->max / 1000);
}

static uint64_t number(const char *text, double factor)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value < 1e6)) {
        fprintf(stderr, "tap: '%s' is not a number\n", text);
        exit(2);
    }
    return (uint64_t)(value * factor);
}

int main(int argc, char **argv)
{
    static struct tap tap;
    if (argc != 5) {
        fputs("usage: tap PROXY_PORT ORIGIN_PORT WARMUP_SECONDS SECONDS\n", stderr);
        return 2;
    }
    tap.proxy_port = (uint16_t)number(argv[1], 1);
    tap.origin_port = (uint16_t)number(argv[2], 1);
    open_tap(&tap);
    tap.begin_ns = wall_ns() + number(argv[3], 1e9);
    tap.end_ns = tap.begin_ns + number(argv[4], 1e9);
    listen_in(&tap);
    print_result(&tap);
    return 0;
}
