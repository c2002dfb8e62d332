/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/compression_encoder.h"

#include "core/base/check.h"

#include <brotli/encode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    OUTPUT_BYTES = 16384,
    GZIP_MEMORY_LEVEL = 8, /* zlib's own default: 128 KiB beside the window */
    GZIP_FORMAT = 16 /* added to the window's bits: a gzip head and trailer */
};

const char *const coding_names[CODING_COUNT + 1] = { "gzip", "br", "zstd", NULL };

struct encoder {
    enum coding coding;
    int window_bits; /* of gzip: cannot be changed afterwards */
    struct encoder *next; /* spare */
    z_stream gzip;
    ZSTD_CCtx *zstd;
    BrotliEncoderState *brotli;
};

/* --- opening -------------------------------------------------------------------------------------------- */

/* The bits of the smallest window that holds it all, within the limits. */
static int window_for(uint64_t size_bytes, int least, int most)
{
    int bits = least;
    while (bits < most && (UINT64_C(1) << bits) < size_bytes)
        bits++;
    return bits;
}

static bool open_gzip(struct encoder *encoder, int level, int window_bits)
{
    if (encoder->window_bits == window_bits)
        return deflateReset(&encoder->gzip) == Z_OK &&
               deflateParams(&encoder->gzip, level, Z_DEFAULT_STRATEGY) == Z_OK;
    if (encoder->window_bits != 0)
        deflateEnd(&encoder->gzip);
    encoder->gzip = (z_stream){ .next_in = NULL };
    encoder->window_bits = 0;
    if (deflateInit2(&encoder->gzip, level, Z_DEFLATED, window_bits + GZIP_FORMAT, GZIP_MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    encoder->window_bits = window_bits;
    return true;
}

static bool open_brotli(struct encoder *encoder, int level, int window_bits, uint64_t size_bytes)
{
    uint32_t hint = size_bytes < UINT32_MAX ? (uint32_t)size_bytes : 0;
    encoder->brotli = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    return encoder->brotli &&
           BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_QUALITY, (uint32_t)level) &&
           BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_LGWIN, (uint32_t)window_bits) &&
           BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_SIZE_HINT, hint);
}

/* The size is not pledged: it would be checked at the end, and a body may be cut short. */
static bool open_zstd(struct encoder *encoder, int level, int window_bits)
{
    if (encoder->zstd == NULL)
        encoder->zstd = ZSTD_createCCtx();
    return encoder->zstd &&
           !ZSTD_isError(ZSTD_CCtx_reset(encoder->zstd, ZSTD_reset_session_and_parameters)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, level)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_windowLog, window_bits));
}

static void destroy(struct encoder *encoder)
{
    if (encoder->window_bits != 0)
        deflateEnd(&encoder->gzip);
    if (encoder->zstd)
        ZSTD_freeCCtx(encoder->zstd);
    if (encoder->brotli)
        BrotliEncoderDestroyInstance(encoder->brotli);
    free(encoder);
}

/* A spare one, or a new one that is empty. */
static struct encoder *take(struct encoder_store *store, enum coding coding)
{
    struct encoder *encoder = store->spare[coding];
    if (encoder) {
        store->spare[coding] = encoder->next;
        store->spare_count[coding]--;
        encoder->next = NULL;
        return encoder;
    }
    encoder = calloc(1, sizeof(*encoder));
    if (encoder)
        encoder->coding = coding;
    return encoder;
}

struct encoder *encoder_open(struct encoder_store *store, enum coding coding,
                             const struct encoder_settings *settings, uint64_t size_bytes)
{
    static const int least_bits[] = { [CODING_GZIP] = 9, [CODING_BROTLI] = 10, [CODING_ZSTD] = 10 };
    int level = (int)settings->level[coding], most = (int)settings->window_bits[coding];
    int bits = window_for(size_bytes, least_bits[coding], most);
    struct encoder *encoder = take(store, coding);
    bool good = encoder != NULL;
    if (good && coding == CODING_GZIP) /* of one size, so that they can be used again */
        good = open_gzip(encoder, level, most);
    else if (good && coding == CODING_BROTLI)
        good = open_brotli(encoder, level, bits, size_bytes);
    else if (good)
        good = open_zstd(encoder, level, bits);
    if (good)
        store->open_count++;
    else if (encoder)
        destroy(encoder);
    return good ? encoder : NULL;
}

void encoder_close(struct encoder_store *store, struct encoder *encoder)
{
    store->open_count--;
    if (encoder->coding == CODING_BROTLI || store->spare_count[encoder->coding] == ENCODERS_SPARE_MAX) {
        destroy(encoder); /* brotli's cannot be reset */
        return;
    }
    encoder->next = store->spare[encoder->coding];
    store->spare[encoder->coding] = encoder;
    store->spare_count[encoder->coding]++;
}

void encoder_store_deinit(struct encoder_store *store)
{
    for (size_t i = 0; i < CODING_COUNT; i++)
        while (store->spare[i]) {
            struct encoder *encoder = store->spare[i];
            store->spare[i] = encoder->next;
            destroy(encoder);
        }
}

/* --- writing -------------------------------------------------------------------------------------------- */

struct sink {
    encoder_emit_fn *emit;
    void *owner;
    uint8_t output[OUTPUT_BYTES];
};

static bool emit(struct sink *sink, size_t size)
{
    return size == 0 || sink->emit(sink->owner, (struct slice){ (const char *)sink->output, size });
}

static bool write_gzip(struct encoder *encoder, struct slice input, enum encoder_step step, struct sink *sink)
{
    static const int flushes[] = {
        [ENCODER_GO_ON] = Z_NO_FLUSH, [ENCODER_FLUSH] = Z_SYNC_FLUSH, [ENCODER_FINISH] = Z_FINISH
    };
    z_stream *gzip = &encoder->gzip;
    CHECK(input.size <= UINT32_MAX);
    gzip->next_in = (uint8_t *)(uintptr_t)input.data; /* zlib does not write to it */
    gzip->avail_in = (uint32_t)input.size;
    do {
        gzip->next_out = sink->output;
        gzip->avail_out = OUTPUT_BYTES;
        int result = deflate(gzip, flushes[step]);
        if (result == Z_STREAM_ERROR || !emit(sink, OUTPUT_BYTES - gzip->avail_out))
            return false;
    } while (gzip->avail_out == 0);
    return true;
}

static bool write_brotli(struct encoder *encoder, struct slice input, enum encoder_step step,
                         struct sink *sink)
{
    static const BrotliEncoderOperation operations[] = { [ENCODER_GO_ON] = BROTLI_OPERATION_PROCESS,
                                                         [ENCODER_FLUSH] = BROTLI_OPERATION_FLUSH,
                                                         [ENCODER_FINISH] = BROTLI_OPERATION_FINISH };
    const uint8_t *next = (const uint8_t *)input.data;
    size_t left = input.size;
    do {
        uint8_t *out = sink->output;
        size_t room = OUTPUT_BYTES;
        if (!BrotliEncoderCompressStream(encoder->brotli, operations[step], &left, &next, &room, &out,
                                         NULL) ||
            !emit(sink, OUTPUT_BYTES - room))
            return false;
    } while (left > 0 || BrotliEncoderHasMoreOutput(encoder->brotli));
    return true;
}

static bool write_zstd(struct encoder *encoder, struct slice input, enum encoder_step step, struct sink *sink)
{
    static const ZSTD_EndDirective directives[] = {
        [ENCODER_GO_ON] = ZSTD_e_continue, [ENCODER_FLUSH] = ZSTD_e_flush, [ENCODER_FINISH] = ZSTD_e_end
    };
    ZSTD_inBuffer in = { input.data, input.size, 0 };
    size_t left;
    do {
        ZSTD_outBuffer out = { sink->output, OUTPUT_BYTES, 0 };
        left = ZSTD_compressStream2(encoder->zstd, &out, &in, directives[step]);
        if (ZSTD_isError(left) || !emit(sink, out.pos))
            return false;
    } while (in.pos < in.size || (left > 0 && step != ENCODER_GO_ON));
    return true;
}

bool encoder_write(struct encoder *encoder, struct slice input, enum encoder_step step,
                   encoder_emit_fn *emit_fn, void *owner)
{
    struct sink sink; /* its output is written before it is read */
    sink.emit = emit_fn;
    sink.owner = owner;
    if (input.size == 0 && step == ENCODER_GO_ON)
        return true;
    if (encoder->coding == CODING_GZIP)
        return write_gzip(encoder, input, step, &sink);
    return encoder->coding == CODING_BROTLI ? write_brotli(encoder, input, step, &sink)
                                            : write_zstd(encoder, input, step, &sink);
}
