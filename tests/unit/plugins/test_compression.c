/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/compression_accept.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <brotli/decode.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

static struct plugin_setup setup;
static struct exchange *exchange;
static void *shard_state;

static void start(void)
{
    plugin_setup_init(&setup);
    shard_state = calloc(1, compression_plugin.shard_state_size);
    exchange = fake_exchange_open("GET", "/");
    exchange->received.status = 200;
}

static void stop(void)
{
    fake_exchange_close(exchange);
    compression_plugin.shard_close(shard_state);
    free(shard_state);
    plugin_setup_deinit(&setup);
}

TestSuite(compression, .init = start, .fini = stop);

static void receive(struct exchange *one, const char *name, const char *value)
{
    cr_assert(message_add(&one->received, slice_of(name), slice_of(value)));
}

static void run(struct exchange *one, const char *text)
{
    const void *config = plugin_setup_config(&setup, &compression_plugin, text);
    cr_assert_not_null(config, "%s", text);
    cr_assert_eq(fake_exchange_run(one, &compression_plugin, PHASE_RESPONSE_HEAD, config, shard_state),
                 VERDICT_CONTINUE);
}

/* --- what clients want ---------------------------------------------------------------------------------- */

static const struct {
    const char *accept;
    enum coding coding; /* with the order br, gzip, zstd */
} accepts[] = {
    { "gzip", CODING_GZIP },
    { "x-gzip", CODING_GZIP },
    { "GZIP;q=0.5", CODING_GZIP },
    { "gzip, deflate, br, zstd", CODING_BROTLI },
    { "gzip;q=1.0, br;q=0.9", CODING_GZIP },
    { "gzip;q=0.001, br;q=0", CODING_GZIP },
    { "zstd;q=0.8 , br ; q=0.8", CODING_BROTLI },
    { "*", CODING_BROTLI },
    { "*;q=0.5, br;q=0", CODING_GZIP },
    { "br;q=0, *", CODING_GZIP },
    { "identity;q=0, zstd", CODING_ZSTD },
    { "identity, gzip;q=0.5", CODING_COUNT },
    { "identity;q=0.5, gzip", CODING_GZIP },
    { "", CODING_COUNT },
    { "deflate, compress", CODING_COUNT },
    { "gzip;q=0", CODING_COUNT },
    { "*;q=0", CODING_COUNT },
    { "identity;q=0", CODING_COUNT },
    { "gzip;q=2", CODING_COUNT },
    { "gzip;q=0.1234", CODING_COUNT },
    { "gzip;q=1.001", CODING_COUNT },
    { "gzip;q", CODING_COUNT },
    { "gzip;q=", CODING_COUNT },
    { "gzip;level=9;q=0.5", CODING_GZIP },
    { "gzipp, ,;q=1,zstd", CODING_ZSTD },
};

Test(compression, accept_encoding)
{
    static const enum coding order[] = { CODING_BROTLI, CODING_GZIP, CODING_ZSTD };
    for (size_t i = 0; i < COUNT_OF(accepts); i++) {
        struct accepted accepted;
        accepted_init(&accepted);
        accepted_read(&accepted, slice_of(accepts[i].accept));
        cr_assert_eq(accepted_choose(&accepted, order, COUNT_OF(order)), accepts[i].coding, "%s",
                     accepts[i].accept);
    }
}

/* --- what comes out ------------------------------------------------------------------------------------- */

static size_t decode(enum coding coding, struct slice in, char *out, size_t size)
{
    if (coding == CODING_ZSTD) { /* frames without a size, perhaps not ended */
        ZSTD_DCtx *zstd = ZSTD_createDCtx();
        ZSTD_inBuffer from = { in.data, in.size, 0 };
        ZSTD_outBuffer to = { out, size, 0 };
        while (from.pos < from.size && !ZSTD_isError(ZSTD_decompressStream(zstd, &to, &from)) &&
               to.pos < to.size) {
        }
        ZSTD_freeDCtx(zstd);
        return to.pos;
    }
    if (coding == CODING_BROTLI) {
        BrotliDecoderState *brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        size_t left = in.size, room = size;
        const uint8_t *next = (const uint8_t *)in.data;
        uint8_t *to = (uint8_t *)out;
        BrotliDecoderDecompressStream(brotli, &left, &next, &room, &to, NULL);
        BrotliDecoderDestroyInstance(brotli);
        return size - room;
    }
    z_stream gzip = { .next_in = (uint8_t *)(uintptr_t)in.data,
                      .avail_in = (uint32_t)in.size,
                      .next_out = (uint8_t *)out,
                      .avail_out = (uint32_t)size };
    cr_assert_eq(inflateInit2(&gzip, 31), Z_OK);
    (void)inflate(&gzip, Z_SYNC_FLUSH);
    inflateEnd(&gzip);
    return size - gzip.avail_out;
}

static struct slice sample(size_t size)
{
    char *text = malloc(size);
    unsigned seed = 1;
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = (char)("etaoin shrdlu,.{}"[seed >> 16 & 15]);
    }
    return (struct slice){ text, size };
}

Test(compression, round_trips)
{
    static const size_t sizes[] = { 1, 300, 70000, 400000 };
    struct slice text = sample(400000);
    char *out = malloc(text.size + 1);
    for (size_t i = 0; i < CODING_COUNT * COUNT_OF(sizes) * 2; i++) {
        enum coding coding = (enum coding)(i % CODING_COUNT);
        struct slice body = { text.data, sizes[i / CODING_COUNT % COUNT_OF(sizes)] };
        char length[32];
        struct exchange *one = fake_exchange_open("GET", "/");
        arena_deinit(&one->arena);
        arena_init(&one->arena, NULL, 0, SIZE_MAX);
        one->received.status = 200;
        fake_exchange_header(one, "Accept-Encoding", slice_of(coding_names[coding]));
        receive(one, "content-type", "text/plain; charset=utf-8");
        snprintf(length, sizeof(length), "%zu", body.size);
        if (i % 2)
            receive(one, "content-length", length);
        run(one, "{min_length: 0}");
        cr_assert_not_null(one->filters);
        cr_assert(slice_equal(fake_exchange_response_header(one, "Content-Encoding"),
                              slice_of(coding_names[coding])));
        cr_assert(fake_exchange_filter(one, body, 65536));
        cr_assert(body.size < 300 || one->passed.size < body.size);
        cr_assert_eq(decode(coding, one->passed, out, text.size + 1), body.size, "%s %zu",
                     coding_names[coding], body.size);
        cr_assert_eq(memcmp(out, text.data, body.size), 0);
        fake_exchange_close(one);
    }
    free(out);
    free((char *)(uintptr_t)text.data);
}

Test(compression, nothing_is_held_back)
{
    for (int i = 0; i < CODING_COUNT; i++) {
        char out[64];
        struct exchange *one = fake_exchange_open("GET", "/");
        one->received.status = 200;
        fake_exchange_header(one, "Accept-Encoding", slice_of(coding_names[i]));
        receive(one, "content-type", "text/event-stream");
        run(one, "{}");
        struct body_filter *filter = one->filters;
        filter->ops = &(struct body_filter_ops){ filter->ops->write, NULL, filter->ops->close };
        cr_assert(fake_exchange_filter(one, SLICE("data: 1\n\n"), 64)); /* without an end */
        cr_assert_eq(decode((enum coding)i, one->passed, out, sizeof(out)), 9, "%s", coding_names[i]);
        cr_assert(fake_exchange_filter(one, SLICE("data: 2\n\n"), 64));
        cr_assert_eq(decode((enum coding)i, one->passed, out, sizeof(out)), 18, "%s", coding_names[i]);
        fake_exchange_close(one);
    }
}

/* --- what is compressed --------------------------------------------------------------------------------- */

static const struct {
    int status;
    const char *method, *headers[5],
        *config; /* name, value, ...; content-type is text/html unless it is said */
    bool compressed, varies;
} eligible[] = {
    { 200, "GET", { NULL }, "{}", true, true },
    { 200, "GET", { NULL }, "{vary: false}", true, false },
    { 404, "GET", { NULL }, "{}", true, true },
    { 204, "GET", { NULL }, "{}", false, false },
    { 206, "GET", { NULL }, "{}", false, false },
    { 304, "GET", { NULL }, "{}", false, false },
    { 200, "HEAD", { NULL }, "{}", false, true },
    { 200, "GET", { "content-encoding", "br" }, "{}", false, false },
    { 200, "GET", { "content-encoding", "identity" }, "{}", true, true },
    { 200, "GET", { "cache-control", "max-age=1, no-transform" }, "{}", false, false },
    { 200, "GET", { "content-length", "255" }, "{}", false, false },
    { 200, "GET", { "content-length", "256" }, "{}", true, true },
    { 200, "GET", { "content-length", "0" }, "{min_length: 0}", false, false },
    { 200, "GET", { "content-type", "image/png" }, "{}", false, false },
    { 200, "GET", { "content-type", "image/png" }, "{content_types: ['image/*']}", true, true },
    { 200, "GET", { "content-type", "Text/CSS;charset=x" }, "{}", true, true },
    { 200, "GET", { "content-type", "image/png" }, "{content_types: ['*']}", true, true },
    { 200, "GET", { "etag", "\"x\"" }, "{disable_on_etag_header: true}", false, false },
    { 200, "GET", { "etag", "W/\"x\"" }, "{disable_on_etag_header: true}", true, true },
    { 200, "GET", { "vary", "Origin, accept-encoding" }, "{}", true, false },
    { 200, "GET", { "vary", "Origin" }, "{}", true, true },
    { 200, "GET", { NULL }, "{algorithms: [zstd]}", false, true },
};

Test(compression, what_is_compressed)
{
    for (size_t i = 0; i < COUNT_OF(eligible); i++) {
        struct exchange *one = fake_exchange_open(eligible[i].method, "/");
        const char *name = eligible[i].headers[0];
        one->received.status = eligible[i].status;
        fake_exchange_header(one, "accept-encoding", SLICE("gzip"));
        if (name == NULL || strcmp(name, "content-type") != 0)
            receive(one, "content-type", "text/html");
        if (name)
            receive(one, name, eligible[i].headers[1]);
        run(one, eligible[i].config);
        cr_assert_eq(one->filters != NULL, eligible[i].compressed, "%zu: %s", i, eligible[i].config);
        cr_assert_eq(fake_exchange_response_header(one, "Vary").data != NULL, eligible[i].varies, "%zu", i);
        fake_exchange_close(one);
    }
}

Test(compression, what_the_head_says)
{
    fake_exchange_header(exchange, "Accept-Encoding", SLICE("gzip"));
    receive(exchange, "content-type", "text/html");
    receive(exchange, "etag", "\"strong\"");
    receive(exchange, "accept-ranges", "bytes");
    receive(exchange, "content-md5", "x");
    run(exchange, "{}");
    cr_assert(slice_equal(fake_exchange_response_header(exchange, "ETag"), SLICE("W/\"strong\"")));
    cr_assert_not_null(message_find_name(&exchange->removed, SLICE("Accept-Ranges")).data);
    cr_assert_not_null(message_find_name(&exchange->removed, SLICE("Content-MD5")).data);
}

Test(compression, the_upstream_is_not_asked)
{
    fake_exchange_header(exchange, "Accept-Encoding", SLICE("br"));
    receive(exchange, "content-type", "text/html");
    const void *config =
        plugin_setup_config(&setup, &compression_plugin, "{remove_accept_encoding_header: true}");
    struct plugin_instance instance = { .kind = &compression_plugin.kind, .enabled = true };
    struct plugin_call call = { .exchange = exchange,
                                .instance = &instance,
                                .config = config,
                                .shard_state = shard_state,
                                .exchange_state = arena_alloc_zero(&exchange->arena,
                                                                   compression_plugin.exchange_state_size) };
    compression_plugin.on[PHASE_ACCESS](&call);
    exchange->request.header_count = 0;
    compression_plugin.on[PHASE_RESPONSE_HEAD](&call);
    cr_assert(slice_equal(fake_exchange_response_header(exchange, "Content-Encoding"), SLICE("br")));
}

Test(compression, what_is_wrong_is_reported)
{
    cr_assert_null(plugin_setup_config(&setup, &compression_plugin,
                                       "{algorithms: [deflate], content_types: [text], br_quality: 11}"));
    cr_assert(
        plugin_setup_reported(&setup, REPORT_ERROR, "algorithms[0]", "expected one of: gzip, br, zstd"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "content_types[0]", "expected a media type"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "br_quality", "between 0 and 9"));
    cr_assert_null(plugin_setup_config(&setup, &compression_plugin, "{algorithms: [br, br]}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "algorithms", "br stands there twice"));
    cr_assert_null(plugin_setup_config(&setup, &compression_plugin, "{algorithms: []}"));
}
