/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 load generator. Without --rate every connection sends the next
 * request when the last was answered (closed loop, saturation). With --rate
 * requests start by the clock and latency counts from the intended start, so
 * that a stall shows in every request it delayed. Prints one JSON object. */
#include "bench/load_engine.h"
#include "bench/load_ring.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct arguments {
    struct load_options load;
    uint16_t origin_port; /* 0: the origin is somebody else */
    const char *host;
    const char *target_path;
    char *headers;
};

static const struct option long_options[] = {
    { "address", required_argument, NULL, 'a' },
    { "port", required_argument, NULL, 'p' },
    { "host", required_argument, NULL, 'h' },
    { "connections", required_argument, NULL, 'c' },
    { "rate", required_argument, NULL, 'r' },
    { "duration", required_argument, NULL, 'd' },
    { "warmup", required_argument, NULL, 'w' },
    { "timeout", required_argument, NULL, 't' },
    { "target", required_argument, NULL, 'T' },
    { "header", required_argument, NULL, 'H' },
    { "close", no_argument, NULL, 'C' },
    { "idle", required_argument, NULL, 'i' },
    { "tls", no_argument, NULL, 's' },
    { "tls-resume", no_argument, NULL, 'S' },
    { "pid", required_argument, NULL, 'P' },
    { "origin-port", required_argument, NULL, 'o' },
    { NULL, 0, NULL, 0 },
};

static const char usage[] =
    "usage: load --port PORT [--address 127.0.0.1] [--host NAME] [--connections 64]\n"
    "            [--rate PER_SECOND] [--duration SECONDS] [--warmup SECONDS] [--timeout SECONDS]\n"
    "            [--target FILE] [--header 'Name: value']... [--close] [--idle N] [--pid PID]...\n"
    "            [--tls | --tls-resume]\n"
    "       load --origin-port PORT --port PORT ...    is the origin as well; keep-alive, in the clear\n"
    "FILE has one request target per line; a tab and one header line may follow it.\n";

static _Noreturn void die(const char *message)
{
    fprintf(stderr, "load: %s\n", message);
    exit(2);
}

static uint64_t seconds_to_ns(const char *text)
{
    char *end = NULL;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0 && seconds < 1e6))
        die("a time is not a number of seconds");
    return (uint64_t)llround(seconds * 1e9);
}

static size_t count_of(const char *text, unsigned long limit)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value > limit)
        die("a number is not valid");
    return value;
}

static void add_header(struct arguments *arguments, const char *header)
{
    char *joined = NULL;
    if (asprintf(&joined, "%s%s\r\n", arguments->headers != NULL ? arguments->headers : "", header) < 0)
        die("out of memory");
    free(arguments->headers);
    arguments->headers = joined;
}

static void apply_option(struct arguments *arguments, int option, const char *value)
{
    struct load_options *load = &arguments->load;
    switch (option) {
    case 'a':
        if (inet_pton(AF_INET, value, &load->server.sin_addr) != 1)
            die("--address wants an IPv4 address");
        break;
    case 'p': load->server.sin_port = htons((uint16_t)count_of(value, 65535)); break;
    case 'h': arguments->host = value; break;
    case 'c': load->connections = count_of(value, 1000000); break;
    case 'r': load->rate = strtod(value, NULL); break;
    case 'd': load->duration_ns = seconds_to_ns(value); break;
    case 'w': load->warmup_ns = seconds_to_ns(value); break;
    case 't': load->timeout_ns = seconds_to_ns(value); break;
    case 'T': arguments->target_path = value; break;
    case 'H': add_header(arguments, value); break;
    case 'C': load->close = true; break;
    case 's': load->tls = LOAD_TLS; break;
    case 'S': load->tls = LOAD_TLS_RESUMED; break;
    case 'o': arguments->origin_port = (uint16_t)count_of(value, 65535); break;
    case 'i': load->idle = count_of(value, 1000000); break;
    case 'P':
        if (load->pid_count == PROCESS_LIMIT)
            die("too many --pid");
        load->pids[load->pid_count++] = (pid_t)count_of(value, 1u << 30);
        break;
    default: fputs(usage, stderr); exit(2);
    }
}

static void add_request(struct arguments *arguments, char *line)
{
    struct load_options *load = &arguments->load;
    char *extra = strchr(line, '\t');
    if (extra != NULL)
        *extra++ = '\0';
    struct load_request request = { .text = NULL };
    int size = asprintf(&request.text,
                        "GET %s HTTP/1.1\r\n"
                        "Host: %s\r\n"
                        "User-Agent: bench-load/1.0 (open and closed loop)\r\n"
                        "Accept: application/json, text/plain;q=0.9, */*;q=0.1\r\n"
                        "Accept-Encoding: identity\r\n"
                        "Accept-Language: en\r\n"
                        "%s%s%s%s\r\n",
                        line, arguments->host, arguments->headers != NULL ? arguments->headers : "",
                        extra != NULL ? extra : "", extra != NULL ? "\r\n" : "",
                        load->close ? "Connection: close\r\n" : "");
    load->requests = reallocarray(load->requests, load->request_count + 1, sizeof request);
    if (size < 0 || load->requests == NULL)
        die("out of memory");
    request.size = (size_t)size;
    load->requests[load->request_count++] = request;
}

static void read_targets(struct arguments *arguments)
{
    char root[] = "/";
    if (arguments->target_path == NULL) {
        add_request(arguments, root);
        return;
    }
    FILE *file = fopen(arguments->target_path, "r");
    char *line = NULL;
    size_t capacity = 0;
    if (file == NULL)
        die("cannot open the target file");
    while (getline(&line, &capacity, file) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0')
            add_request(arguments, line);
    }
    free(line);
    fclose(file);
    if (arguments->load.request_count == 0)
        die("the target file is empty");
}

static uint64_t status_errors(const struct load_result *result)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < LOAD_STATUS_LIMIT; i++)
        sum += result->errors_status[i];
    return sum;
}

static void print_errors(const struct load_result *result)
{
    unsigned long long broken =
        result->errors_connect + result->errors_reset + result->errors_timeout + result->errors_protocol;
    printf("\"errors\":{\"total\":%llu,\"connect\":%llu,\"reset\":%llu,\"timeout\":%llu,"
           "\"protocol\":%llu,\"status\":{",
           broken + (unsigned long long)status_errors(result), (unsigned long long)result->errors_connect,
           (unsigned long long)result->errors_reset, (unsigned long long)result->errors_timeout,
           (unsigned long long)result->errors_protocol);
    const char *separator = "";
    for (size_t i = 0; i < LOAD_STATUS_LIMIT; i++) {
        if (result->errors_status[i] == 0)
            continue;
        printf("%s\"%zu\":%llu", separator, i, (unsigned long long)result->errors_status[i]);
        separator = ",";
    }
    printf("}},");
}

static void print_quantiles(const char *name, const struct histogram *histogram)
{
    static const struct {
        const char *name;
        double quantile;
    } rows[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99_9", 0.999 } };
    printf("\"%s\":{", name);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        printf("\"%s\":%.1f,", rows[i].name, (double)histogram_quantile(histogram, rows[i].quantile) / 1e3);
    printf("\"max\":%.1f,\"count\":%llu},", (double)histogram->max / 1e3,
           (unsigned long long)histogram->count);
}

/* Difference of two readings; a process that ended in between must not wrap it. */
static double growth(uint64_t before, uint64_t after)
{
    return after > before ? (double)(after - before) : 0;
}

/* User and system time come in ticks; they only divide the exact total. */
static void print_process(const struct load_result *result)
{
    double cpu_us = growth(result->start.cpu_ns, result->end.cpu_ns) / 1e3;
    double user = growth(result->start.user_ticks, result->end.user_ticks);
    double system = growth(result->start.system_ticks, result->end.system_ticks);
    double user_share = user + system > 0 ? user / (user + system) : 0;
    double per_request = result->responses > 0 ? cpu_us / (double)result->responses : 0;
    printf("\"proxy\":{\"cpu_us_per_request\":%.4f,\"user_us_per_request\":%.4f,"
           "\"system_us_per_request\":%.4f,\"core_share\":%.4f,\"processes\":%u,\"rss_before_idle\":%llu,"
           "\"rss_start\":%llu,\"rss_end\":%llu,\"anonymous_before_idle\":%llu,\"anonymous_start\":%llu,"
           "\"anonymous_end\":%llu},",
           per_request, per_request * user_share, per_request * (1 - user_share),
           cpu_us * 1e3 / (double)result->interval_ns, result->end.processes,
           (unsigned long long)result->before_idle.rss_bytes, (unsigned long long)result->start.rss_bytes,
           (unsigned long long)result->end.rss_bytes, (unsigned long long)result->before_idle.anonymous_bytes,
           (unsigned long long)result->start.anonymous_bytes,
           (unsigned long long)result->end.anonymous_bytes);
}

static void print_result(const struct load_options *options, const struct load_result *result)
{
    double seconds = (double)result->interval_ns / 1e9;
    printf("{\"requests\":%llu,\"seconds\":%.4f,\"rps\":%.1f,\"bytes_per_second\":%.0f,\"reconnects\":%llu,",
           (unsigned long long)result->responses, seconds, (double)result->responses / seconds,
           (double)result->bytes / seconds, (unsigned long long)result->reconnects);
    print_errors(result);
    print_quantiles("latency_us", &result->latency);
    print_quantiles("lag_us", &result->lag);
    if (options->pid_count > 0)
        print_process(result);
    if (options->tls != LOAD_CLEAR)
        printf("\"tls\":{\"handshakes\":%llu,\"resumed\":%llu},", (unsigned long long)result->handshakes,
               (unsigned long long)result->resumed);
    if (options->idle > 0)
        printf("\"idle\":{\"opened\":%llu,\"failed\":%llu,\"closed\":%llu},",
               (unsigned long long)result->idle_opened, (unsigned long long)result->idle_failed,
               (unsigned long long)result->idle_closed);
    printf("\"generator_core_share\":%.4f}\n", (double)result->own_cpu_ns / (double)result->interval_ns);
}

int main(int argc, char **argv)
{
    static struct load_result result;
    struct arguments arguments = {
        .load = { .connections = 64,
                  .warmup_ns = 1000000000u,
                  .duration_ns = 3000000000u,
                  .timeout_ns = 5000000000u,
                  .server = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } },
        .host = "bench.test",
    };
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;)
        apply_option(&arguments, option, optarg);
    if (arguments.load.server.sin_port == 0 || arguments.load.connections == 0)
        die("--port is needed, and --connections must not be 0");
    const struct load_options *load = &arguments.load;
    bool simple = !load->close && load->idle == 0 && load->tls == LOAD_CLEAR;
    if (arguments.origin_port != 0 && !simple)
        die("--origin-port goes with keep-alive connections in the clear");
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    read_targets(&arguments);
    int status = arguments.origin_port != 0 ? load_ring_run(load, arguments.origin_port, &result)
                                            : load_run(load, &result);
    if (status != 0)
        return 3;
    print_result(load, &result);
    for (size_t i = 0; i < load->request_count; i++)
        free(load->requests[i].text);
    free(arguments.load.requests);
    free(arguments.headers);
    return 0;
}
