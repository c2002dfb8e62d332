/* SPDX-License-Identifier: Apache-2.0 */
/* Compresses responses for clients that accept it: gzip, brotli or zstd. */
#include "core/io/shard.h"
#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/compression_accept.h"
#include "plugins/plugins.h"

/* --- configuration -------------------------------------------------------------------------------------- */

enum { COMPRESSION_STREAMS_MAX = 4096 /* at a time on one shard: each has its memory */ };

struct compression_config {
    struct slices algorithms, content_types;
    struct encoder_settings encoder;
    int64_t min_length;
    bool vary, disable_on_etag, remove_accept_encoding, flush;
    enum coding order[CODING_COUNT]; /* prepared */
    uint32_t order_count;
};

#define OFFSET(member) offsetof(struct compression_config, member)

static const char *check_algorithm(struct slice text)
{
    for (size_t i = 0; i < CODING_COUNT; i++)
        if (slice_equal(text, slice_of(coding_names[i])))
            return NULL;
    return "expected one of: gzip, br, zstd";
}

/* type/subtype, of which the latter, or all, may be "*". */
static const char *check_type(struct slice text)
{
    const char *slash = memchr(text.data, '/', text.size);
    bool whole = slash && slash > text.data && slash + 1 < text.data + text.size;
    return whole || slice_equal(text, SLICE("*")) ? NULL : "expected a media type, type/* or *";
}

static const struct field config_fields[] = {
    { "algorithms", FIELD_STRINGS, OFFSET(algorithms), .min = 1, .max = CODING_COUNT,
      .fallback = "zstd,br,gzip", .check = check_algorithm,
      .help = "gzip, br and zstd, those that the gateway prefers first" },
    { "content_types", FIELD_STRINGS, OFFSET(content_types),
      .fallback = "application/javascript,application/json,application/problem+json,application/xhtml+xml,"
                  "application/xml,image/svg+xml,text/css,text/event-stream,text/html,text/javascript,"
                  "text/plain,text/xml",
      .check = check_type, .help = "what is compressed; text/* and * stand for several" },
    { "min_length", FIELD_INTEGER, OFFSET(min_length), .min = 0, .max = 1073741824, .fallback = "256",
      .help = "bytes; a body whose length is known and smaller stays as it is" },
    { "gzip_level", FIELD_INTEGER, OFFSET(encoder.level[CODING_GZIP]), .min = 1, .max = 9, .fallback = "5",
      .help = "1 is fastest, 9 smallest" },
    { "gzip_window_bits", FIELD_INTEGER, OFFSET(encoder.window_bits[CODING_GZIP]), .min = 9, .max = 15,
      .fallback = "15",
      .help = "the window is 2 to the power of it; memory is four times that, and 128 KiB" },
    { "br_quality", FIELD_INTEGER, OFFSET(encoder.level[CODING_BROTLI]), .min = 0, .max = 9, .fallback = "4",
      .help = "0 is fastest, 9 smallest; 10 and 11 would hold up other requests too long" },
    { "br_window_bits", FIELD_INTEGER, OFFSET(encoder.window_bits[CODING_BROTLI]), .min = 10, .max = 24,
      .fallback = "18", .help = "the window is 2 to the power of it; memory is some times that" },
    { "zstd_level", FIELD_INTEGER, OFFSET(encoder.level[CODING_ZSTD]), .min = 1, .max = 12, .fallback = "3",
      .help = "1 is fastest, 12 smallest; higher ones would hold up other requests too long" },
    { "zstd_window_bits", FIELD_INTEGER, OFFSET(encoder.window_bits[CODING_ZSTD]), .min = 10, .max = 23,
      .fallback = "18",
      .help = "the window is 2 to the power of it; memory is some times that (RFC 9659: <= 23)" },
    { "vary", FIELD_BOOLEAN, OFFSET(vary), .fallback = "true",
      .help = "tell caches by Vary that the response depends on Accept-Encoding" },
    { "disable_on_etag_header", FIELD_BOOLEAN, OFFSET(disable_on_etag), .fallback = "false",
      .help = "leave responses with a strong ETag alone instead of making it a weak one" },
    { "remove_accept_encoding_header", FIELD_BOOLEAN, OFFSET(remove_accept_encoding), .fallback = "false",
      .help = "do not send Accept-Encoding upstream, so that the upstream does not compress" },
    { "flush", FIELD_BOOLEAN, OFFSET(flush), .fallback = "true",
      .help = "send on what has arrived at once; false: wait for more, which gets a little smaller" },
};

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct compression_config *config = value;
    config->order_count = 0;
    for (uint32_t i = 0; i < config->algorithms.count && i < CODING_COUNT; i++) {
        enum coding coding = CODING_GZIP;
        while (coding + 1 < CODING_COUNT &&
               !slice_equal(config->algorithms.items[i], slice_of(coding_names[coding])))
            coding++;
        for (uint32_t j = 0; j < config->order_count; j++)
            if (config->order[j] == coding)
                schema_error(place, node, "algorithms", "%s stands there twice", coding_names[coding]);
        config->order[config->order_count++] = coding;
    }
}

/* --- what is compressed --------------------------------------------------------------------------------- */

static bool is_wanted_type(const struct slices *types, struct slice content_type)
{
    struct slice rest, type = slice_trim(slice_split(content_type, ';', &rest));
    for (uint32_t i = 0; i < types->count; i++) {
        struct slice wanted = types->items[i];
        if (slice_equal(wanted, SLICE("*")))
            return true;
        bool family = slice_ends_with(wanted, SLICE("/*"));
        if (family && type.size >= wanted.size &&
            slice_equal_nocase((struct slice){ type.data, wanted.size - 1 },
                               (struct slice){ wanted.data, wanted.size - 1 }))
            return true;
        if (slice_equal_nocase(type, wanted))
            return true;
    }
    return false;
}

/* Does any field of that name list the token? */
static bool response_lists(const struct exchange *exchange, struct slice name, struct slice token)
{
    struct header header;
    uint32_t cursor = 0;
    while (exchange_next_response_header(exchange, &cursor, &header))
        if (slice_equal_nocase(header.name, name) && message_list_has(header.value, token))
            return true;
    return false;
}

static bool may_have_body(int status)
{
    return status >= 200 && status != 204 && status != 205 && status != 206 && status != 304;
}

/* The length of the body when it is known, else UINT64_MAX. */
static uint64_t known_length(const struct exchange *exchange)
{
    uint64_t size;
    if (exchange_response_is_own(exchange))
        return exchange_own_body(exchange).size;
    struct slice length = exchange_response_header(exchange, SLICE("Content-Length"));
    return length.data && slice_to_u64(length, &size) ? size : UINT64_MAX;
}

/* Could this response be compressed, for a client that likes it? */
static bool is_eligible(const struct compression_config *config, const struct exchange *exchange,
                        uint64_t length)
{
    struct slice coding = exchange_response_header(exchange, SLICE("Content-Encoding"));
    if (!may_have_body(exchange_response_status(exchange)) ||
        (coding.data && !slice_equal_nocase(coding, SLICE("identity"))))
        return false;
    if (length < (uint64_t)config->min_length || length == 0)
        return false;
    if (!is_wanted_type(&config->content_types, exchange_response_header(exchange, SLICE("Content-Type"))))
        return false;
    if (response_lists(exchange, SLICE("Cache-Control"),
                       SLICE("no-transform"))) /* RFC 9111 section 5.2.2.6 */
        return false;
    struct slice tag = exchange_response_header(exchange, SLICE("ETag"));
    return !config->disable_on_etag || tag.data == NULL || slice_starts_with(tag, SLICE("W/"));
}

static enum coding choose(const struct compression_config *config, const struct exchange *exchange)
{
    const struct message *request = exchange_request(exchange);
    struct accepted accepted;
    accepted_init(&accepted);
    for (uint32_t i = 0; i < request->header_count; i++)
        if (request->headers[i].name.data &&
            slice_equal_nocase(request->headers[i].name, SLICE("Accept-Encoding")))
            accepted_read(&accepted, request->headers[i].value.data ? request->headers[i].value : SLICE(""));
    return accepted_choose(&accepted, config->order, config->order_count);
}

/* --- the stream ----------------------------------------------------------------------------------------- */

struct compression_shard {
    struct encoder_store store;
};

struct compression_exchange {
    struct body_filter filter;
    struct compression_shard *shard;
    struct encoder *encoder;
    bool decided;
    enum coding coding; /* when decided */
    bool flush;
    uint64_t left_bytes; /* that are still to come; UINT64_MAX: not known */
};

static struct compression_exchange *owner_of(struct body_filter *filter)
{
    return (struct compression_exchange *)((char *)filter - offsetof(struct compression_exchange, filter));
}

static bool pass(void *owner, struct slice piece)
{
    return body_filter_pass_text(owner, piece);
}

/* A slow response is not held back; before the end, which comes at once, nothing needs to be flushed. */
static bool compress(struct body_filter *filter, struct chunk chunk)
{
    struct compression_exchange *state = owner_of(filter);
    struct slice text = chunk_slice(&chunk);
    if (state->left_bytes != UINT64_MAX)
        state->left_bytes -= text.size < state->left_bytes ? text.size : state->left_bytes;
    enum encoder_step step = state->flush && state->left_bytes > 0 ? ENCODER_FLUSH : ENCODER_GO_ON;
    bool good = encoder_write(state->encoder, text, step, pass, filter);
    chunk_release(&chunk);
    return good;
}

static bool finish(struct body_filter *filter)
{
    return encoder_write(owner_of(filter)->encoder, SLICE(""), ENCODER_FINISH, pass, filter);
}

static void discard(struct body_filter *filter)
{
    struct compression_exchange *state = owner_of(filter);
    encoder_close(&state->shard->store, state->encoder);
    state->encoder = NULL;
}

static const struct body_filter_ops filter_ops = { .write = compress, .end = finish, .close = discard };

/* The same for every coding, so a strong tag would lie (RFC 9110 section 8.8.3.3). */
static bool weaken_tag(struct exchange *exchange)
{
    struct slice tag = exchange_response_header(exchange, SLICE("ETag"));
    if (tag.data == NULL || slice_starts_with(tag, SLICE("W/")))
        return true;
    tag = arena_format(exchange_arena(exchange), "W/%.*s", SLICE_FORMAT(tag));
    return tag.data && exchange_set_response_header(exchange, SLICE("ETag"), tag);
}

/* What is said about other bytes than those that are sent goes. */
static bool edit_head(struct exchange *exchange, enum coding coding)
{
    static const char *const untrue[] = { "Accept-Ranges", "Content-Digest", "Content-MD5", "Digest",
                                          "Repr-Digest" };
    if (!exchange_set_response_header(exchange, SLICE("Content-Encoding"), slice_of(coding_names[coding])) ||
        !weaken_tag(exchange))
        return false;
    for (size_t i = 0; i < COUNT_OF(untrue); i++)
        if (exchange_response_header(exchange, slice_of(untrue[i])).data &&
            !exchange_remove_response_header(exchange, slice_of(untrue[i])))
            return false;
    return true;
}

static bool tell_caches(struct exchange *exchange)
{
    if (response_lists(exchange, SLICE("Vary"), SLICE("Accept-Encoding")) ||
        response_lists(exchange, SLICE("Vary"), SLICE("*")))
        return true;
    return exchange_add_response_header(exchange, SLICE("Vary"), SLICE("Accept-Encoding"));
}

/* --- phases --------------------------------------------------------------------------------------------- */

static enum verdict on_access(const struct plugin_call *call)
{
    const struct compression_config *config = call->config;
    struct compression_exchange *state = call->exchange_state;
    if (!config->remove_accept_encoding)
        return VERDICT_CONTINUE;
    state->coding = choose(config, call->exchange);
    state->decided = true;
    exchange_remove_upstream_header(call->exchange, SLICE("Accept-Encoding"));
    return VERDICT_CONTINUE;
}

static void begin(const struct plugin_call *call, enum coding coding, uint64_t length)
{
    const struct compression_config *config = call->config;
    struct compression_exchange *state = call->exchange_state;
    struct compression_shard *shard = call->shard_state;
    if (shard->store.open_count == COMPRESSION_STREAMS_MAX)
        return;
    struct encoder *encoder = encoder_open(&shard->store, coding, &config->encoder, length);
    if (encoder == NULL)
        return;
    if (!edit_head(call->exchange, coding)) {
        encoder_close(&shard->store, encoder);
        (void)exchange_respond_failure(call->exchange);
        return;
    }
    state->filter.ops = &filter_ops;
    state->filter.kind = BODY_FILTER_CHANGES;
    state->shard = shard;
    state->encoder = encoder;
    state->flush = config->flush;
    state->left_bytes = length;
    exchange_filter_response(call->exchange, &state->filter);
}

static enum verdict on_response_head(const struct plugin_call *call)
{
    const struct compression_config *config = call->config;
    struct compression_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    uint64_t length = known_length(exchange);
    if (!is_eligible(config, exchange, length))
        return VERDICT_CONTINUE;
    if (config->vary && !tell_caches(exchange))
        return exchange_respond_failure(exchange);
    enum coding coding = state->decided ? state->coding : choose(config, exchange);
    if (coding != CODING_COUNT && !slice_equal(exchange_request(exchange)->method, SLICE("HEAD")))
        begin(call, coding, length);
    return VERDICT_CONTINUE;
}

static void shard_state_close(void *shard_state)
{
    encoder_store_deinit(&((struct compression_shard *)shard_state)->store);
}

const struct plugin compression_plugin = {
    .kind = { .name = "compression",
              .priority = -900, /* its filter stands behind those of all others */
              .config = { .name = "compression",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct compression_config),
                          .check = check_config } },
    .on = { [PHASE_ACCESS] = on_access, [PHASE_RESPONSE_HEAD] = on_response_head },
    .shard_state_size = sizeof(struct compression_shard),
    .exchange_state_size = sizeof(struct compression_exchange),
    .shard_close = shard_state_close,
};
