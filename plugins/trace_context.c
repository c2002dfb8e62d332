/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/trace_context.h"

#include <stdarg.h>
#include <stdio.h>

/* --- words ---------------------------------------------------------------------------------------------- */

static bool is_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Hexadecimal digits, at most two per byte, into the last bytes. */
static bool read_hex(struct slice text, unsigned char *out, size_t size)
{
    if (text.size == 0 || text.size > size * 2)
        return false;
    memset(out, 0, size);
    for (size_t i = 0; i < text.size; i++) {
        int digit = slice_hex_value(text.data[text.size - 1 - i]);
        if (digit < 0)
            return false;
        out[size - 1 - i / 2] |= (unsigned char)(digit << i % 2 * 4);
    }
    return true;
}

static bool read_trace_id(struct slice text, struct trace_context *context)
{
    context->has_trace =
        read_hex(text, context->trace_id, TRACE_ID_BYTES) && !is_zero(context->trace_id, TRACE_ID_BYTES);
    return context->has_trace;
}

static bool read_span_id(struct slice text, struct trace_context *context)
{
    context->has_span =
        read_hex(text, context->span_id, SPAN_ID_BYTES) && !is_zero(context->span_id, SPAN_ID_BYTES);
    return context->has_span;
}

static void write_number(unsigned char *out, uint64_t number)
{
    for (size_t i = 0; i < 8; i++)
        out[i] = (unsigned char)(number >> (7 - i) * 8);
}

static uint64_t read_number(const unsigned char *bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | bytes[i];
    return number;
}

static struct slice header(const struct message *request, const char *name)
{
    return message_find_name(request, slice_of(name));
}

static enum trace_decision decision_of(struct slice word)
{
    if (slice_equal(word, SLICE("1")) || slice_equal_nocase(word, SLICE("true")) ||
        slice_equal(word, SLICE("d")))
        return TRACE_SAMPLED;
    if (slice_equal(word, SLICE("0")) || slice_equal_nocase(word, SLICE("false")))
        return TRACE_DROPPED;
    return TRACE_UNDECIDED;
}

/* --- reading -------------------------------------------------------------------------------------------- */

/* https://github.com/openzipkin/b3-propagation: "0", or trace-span[-sampled[-parent]]. */
static bool extract_b3_single(const struct message *request, struct trace_context *context)
{
    struct slice rest, value = header(request, "b3");
    if (value.data == NULL)
        return false;
    context->format = TRACE_B3_SINGLE;
    if (!memchr(value.data, '-', value.size)) {
        context->decision = decision_of(value);
        context->debug = slice_equal(value, SLICE("d"));
        return context->decision != TRACE_UNDECIDED;
    }
    struct slice trace = slice_split(value, '-', &rest), span = slice_split(rest, '-', &rest), sampled,
                 parent;
    if (!read_trace_id(trace, context) || !read_span_id(span, context))
        return false;
    if (rest.data == NULL)
        return true;
    sampled = slice_split(rest, '-', &parent);
    context->decision = decision_of(sampled);
    context->debug = slice_equal(sampled, SLICE("d"));
    if (parent.data)
        return read_hex(parent, context->parent_id, SPAN_ID_BYTES);
    return context->decision != TRACE_UNDECIDED;
}

static bool extract_b3(const struct message *request, struct trace_context *context)
{
    struct trace_context single = { .format = TRACE_NONE };
    if (extract_b3_single(request, &single)) {
        *context = single;
        return true;
    }
    struct slice trace = header(request, "x-b3-traceid"), span = header(request, "x-b3-spanid");
    struct slice parent = header(request, "x-b3-parentspanid");
    context->format = TRACE_B3;
    context->decision = decision_of(header(request, "x-b3-sampled"));
    context->debug = slice_equal(header(request, "x-b3-flags"), SLICE("1"));
    if (context->debug)
        context->decision = TRACE_SAMPLED;
    if (trace.data == NULL && span.data == NULL)
        return context->decision != TRACE_UNDECIDED;
    if (!read_trace_id(trace, context))
        return false;
    if (span.data && !read_span_id(span, context))
        return false;
    return parent.data == NULL || read_hex(parent, context->parent_id, SPAN_ID_BYTES);
}

/* https://www.w3.org/TR/trace-context section 3.2. */
static bool extract_w3c(const struct message *request, struct trace_context *context)
{
    unsigned char version, flags;
    struct slice value = header(request, "traceparent");
    if (value.size < 55 || value.data[2] != '-' || value.data[35] != '-' || value.data[52] != '-')
        return false;
    if (!read_hex((struct slice){ value.data, 2 }, &version, 1) || version == 0xff ||
        (version == 0 && value.size != 55) || (value.size > 55 && value.data[55] != '-'))
        return false;
    context->format = TRACE_W3C;
    if (!read_trace_id((struct slice){ value.data + 3, 32 }, context) ||
        !read_span_id((struct slice){ value.data + 36, 16 }, context) ||
        !read_hex((struct slice){ value.data + 53, 2 }, &flags, 1))
        return false;
    context->decision = flags & 1 ? TRACE_SAMPLED : TRACE_DROPPED;
    return true;
}

static bool extract_jaeger(const struct message *request, struct trace_context *context)
{
    unsigned char flags;
    struct slice rest, value = header(request, "uber-trace-id");
    if (value.data == NULL)
        return false;
    struct slice trace = slice_split(value, ':', &rest), span = slice_split(rest, ':', &rest);
    struct slice parent = slice_split(rest, ':', &rest);
    context->format = TRACE_JAEGER;
    if (!read_trace_id(trace, context) || !read_span_id(span, context) ||
        !read_hex(parent, context->parent_id, SPAN_ID_BYTES) || !read_hex(rest, &flags, 1))
        return false;
    context->decision = flags & 1 ? TRACE_SAMPLED : TRACE_DROPPED;
    context->debug = (flags & 3) == 3;
    return true;
}

static bool extract_ot(const struct message *request, struct trace_context *context)
{
    struct slice trace = header(request, "ot-tracer-traceid"), span = header(request, "ot-tracer-spanid");
    context->format = TRACE_OT;
    context->decision = decision_of(header(request, "ot-tracer-sampled"));
    return trace.data && read_trace_id(trace, context) && (span.data == NULL || read_span_id(span, context));
}

/* Priorities: -1 and 0 drop, 1 and 2 keep. */
static bool extract_datadog(const struct message *request, struct trace_context *context)
{
    uint64_t trace, span;
    struct slice priority = header(request, "x-datadog-sampling-priority");
    if (!slice_to_u64(header(request, "x-datadog-trace-id"), &trace) || trace == 0)
        return false;
    context->format = TRACE_DATADOG;
    write_number(context->trace_id + 8, trace);
    context->has_trace = true;
    context->has_span = slice_to_u64(header(request, "x-datadog-parent-id"), &span) && span != 0;
    if (context->has_span)
        write_number(context->span_id, span);
    if (priority.size)
        context->decision =
            priority.data[0] >= '1' && priority.data[0] <= '9' ? TRACE_SAMPLED : TRACE_DROPPED;
    return true;
}

static void read_aws_root(struct slice root, struct trace_context *context)
{
    char digits[32];
    if (root.size != 35 || root.data[0] != '1' || root.data[1] != '-' || root.data[10] != '-')
        return;
    memcpy(digits, root.data + 2, 8);
    memcpy(digits + 8, root.data + 11, 24);
    (void)read_trace_id((struct slice){ digits, sizeof(digits) }, context);
}

static bool extract_aws(const struct message *request, struct trace_context *context)
{
    struct slice value = header(request, "x-amzn-trace-id");
    context->format = TRACE_AWS;
    while (value.data) {
        struct slice rest, text;
        struct slice name = slice_trim(slice_split(slice_split(value, ';', &rest), '=', &text));
        value = rest;
        text = text.data ? slice_trim(text) : SLICE("");
        if (slice_equal_nocase(name, SLICE("root")))
            read_aws_root(text, context);
        else if (slice_equal_nocase(name, SLICE("parent")))
            (void)read_span_id(text, context);
        else if (slice_equal_nocase(name, SLICE("sampled")))
            context->decision = decision_of(text);
    }
    return context->has_trace;
}

static bool extract_gcp(const struct message *request, struct trace_context *context)
{
    uint64_t span;
    struct slice options, value = header(request, "x-cloud-trace-context");
    struct slice ids = slice_split(value, ';', &options), decimal;
    struct slice trace = slice_split(ids, '/', &decimal);
    context->format = TRACE_GCP;
    if (value.data == NULL || trace.size != 32 || !read_trace_id(trace, context))
        return false;
    context->has_span = decimal.data && slice_to_u64(decimal, &span) && span != 0;
    if (context->has_span)
        write_number(context->span_id, span);
    if (options.data)
        context->decision = slice_equal(options, SLICE("o=1"))   ? TRACE_SAMPLED
                            : slice_equal(options, SLICE("o=0")) ? TRACE_DROPPED
                                                                 : TRACE_UNDECIDED;
    return true;
}

static bool extract_instana(const struct message *request, struct trace_context *context)
{
    struct slice trace = header(request, "x-instana-t"), span = header(request, "x-instana-s");
    context->format = TRACE_INSTANA;
    context->decision = decision_of(header(request, "x-instana-l"));
    if (trace.data == NULL)
        return context->decision != TRACE_UNDECIDED;
    return read_trace_id(trace, context) && (span.data == NULL || read_span_id(span, context));
}

static bool (*const extractors[])(const struct message *request, struct trace_context *context) = {
    [TRACE_B3] = extract_b3,           [TRACE_B3_SINGLE] = extract_b3_single,
    [TRACE_W3C] = extract_w3c,         [TRACE_JAEGER] = extract_jaeger,
    [TRACE_OT] = extract_ot,           [TRACE_DATADOG] = extract_datadog,
    [TRACE_AWS] = extract_aws,         [TRACE_GCP] = extract_gcp,
    [TRACE_INSTANA] = extract_instana,
};

void trace_extract(const struct message *request, const enum trace_format *formats, uint32_t count,
                   struct trace_context *context)
{
    for (uint32_t i = 0; i < count; i++) {
        *context = (struct trace_context){ .format = TRACE_NONE };
        if (extractors[formats[i]](request, context))
            return;
    }
    *context = (struct trace_context){ .format = TRACE_NONE };
}

/* --- writing -------------------------------------------------------------------------------------------- */

struct injection {
    struct exchange *exchange;
    const struct trace_context *context;
    bool good;
};

static void set(struct injection *to, const char *name, struct slice value)
{
    struct slice copy = arena_copy(exchange_arena(to->exchange), value);
    to->good = to->good && copy.data && exchange_set_upstream_header(to->exchange, slice_of(name), copy);
}

struct hex {
    char text[TRACE_ID_BYTES * 2 + 1];
};

static struct hex hex_of(const unsigned char *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    struct hex hex;
    for (size_t i = 0; i < size; i++) {
        hex.text[i * 2] = digits[bytes[i] >> 4];
        hex.text[i * 2 + 1] = digits[bytes[i] & 15];
    }
    hex.text[size * 2] = '\0';
    return hex;
}

/* As short as it came: eight bytes when the first eight are zeros. */
static struct hex trace_hex(const struct trace_context *context)
{
    bool is_short = is_zero(context->trace_id, 8);
    return hex_of(context->trace_id + (is_short ? 8 : 0), is_short ? 8 : 16);
}

static void set_format(struct injection *to, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void set_format(struct injection *to, const char *name, const char *format, ...)
{
    char value[160];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(value, sizeof(value), format, arguments);
    va_end(arguments);
    set(to, name, (struct slice){ value, (size_t)size });
}

static void inject_b3(struct injection *to)
{
    const struct trace_context *context = to->context;
    set(to, "x-b3-traceid", slice_of(trace_hex(context).text));
    set(to, "x-b3-spanid", slice_of(hex_of(context->span_id, SPAN_ID_BYTES).text));
    if (!is_zero(context->parent_id, SPAN_ID_BYTES))
        set(to, "x-b3-parentspanid", slice_of(hex_of(context->parent_id, SPAN_ID_BYTES).text));
    else
        exchange_remove_upstream_header(to->exchange, SLICE("x-b3-parentspanid"));
    if (context->debug) {
        set(to, "x-b3-flags", SLICE("1"));
        exchange_remove_upstream_header(to->exchange, SLICE("x-b3-sampled"));
    } else {
        set(to, "x-b3-sampled", context->decision == TRACE_SAMPLED ? SLICE("1") : SLICE("0"));
    }
}

static void inject_b3_single(struct injection *to)
{
    const struct trace_context *context = to->context;
    bool has_parent = !is_zero(context->parent_id, SPAN_ID_BYTES);
    set_format(to, "b3", "%s-%s-%s%s%s", trace_hex(context).text,
               hex_of(context->span_id, SPAN_ID_BYTES).text,
               context->debug                       ? "d"
               : context->decision == TRACE_SAMPLED ? "1"
                                                    : "0",
               has_parent ? "-" : "", has_parent ? hex_of(context->parent_id, SPAN_ID_BYTES).text : "");
}

static void inject_w3c(struct injection *to)
{
    const struct trace_context *context = to->context;
    set_format(to, "traceparent", "00-%s-%s-%s", hex_of(context->trace_id, TRACE_ID_BYTES).text,
               hex_of(context->span_id, SPAN_ID_BYTES).text,
               context->decision == TRACE_SAMPLED ? "01" : "00");
}

static void inject_jaeger(struct injection *to)
{
    const struct trace_context *context = to->context;
    set_format(to, "uber-trace-id", "%s:%s:%s:%s", hex_of(context->trace_id, TRACE_ID_BYTES).text,
               hex_of(context->span_id, SPAN_ID_BYTES).text, hex_of(context->parent_id, SPAN_ID_BYTES).text,
               context->decision == TRACE_SAMPLED ? "01" : "00");
}

static void inject_ot(struct injection *to)
{
    const struct trace_context *context = to->context;
    set(to, "ot-tracer-traceid", slice_of(trace_hex(context).text));
    set(to, "ot-tracer-spanid", slice_of(hex_of(context->span_id, SPAN_ID_BYTES).text));
    set(to, "ot-tracer-sampled", context->decision == TRACE_SAMPLED ? SLICE("1") : SLICE("0"));
}

static void inject_datadog(struct injection *to)
{
    const struct trace_context *context = to->context;
    set_format(to, "x-datadog-trace-id", "%llu", (unsigned long long)read_number(context->trace_id + 8));
    set_format(to, "x-datadog-parent-id", "%llu", (unsigned long long)read_number(context->span_id));
    set(to, "x-datadog-sampling-priority", context->decision == TRACE_SAMPLED ? SLICE("1") : SLICE("0"));
}

static void inject_aws(struct injection *to)
{
    const struct trace_context *context = to->context;
    set_format(to, "X-Amzn-Trace-Id", "Root=1-%s-%s;Parent=%s;Sampled=%d", hex_of(context->trace_id, 4).text,
               hex_of(context->trace_id + 4, 12).text, hex_of(context->span_id, SPAN_ID_BYTES).text,
               context->decision == TRACE_SAMPLED);
}

static void inject_gcp(struct injection *to)
{
    const struct trace_context *context = to->context;
    set_format(to, "x-cloud-trace-context", "%s/%llu;o=%d", hex_of(context->trace_id, TRACE_ID_BYTES).text,
               (unsigned long long)read_number(context->span_id), context->decision == TRACE_SAMPLED);
}

static void inject_instana(struct injection *to)
{
    const struct trace_context *context = to->context;
    set(to, "x-instana-t", slice_of(hex_of(context->trace_id, TRACE_ID_BYTES).text));
    set(to, "x-instana-s", slice_of(hex_of(context->span_id, SPAN_ID_BYTES).text));
    set(to, "x-instana-l", context->decision == TRACE_SAMPLED ? SLICE("1") : SLICE("0"));
}

static void (*const injectors[])(struct injection *to) = {
    [TRACE_B3] = inject_b3,           [TRACE_B3_SINGLE] = inject_b3_single,
    [TRACE_W3C] = inject_w3c,         [TRACE_JAEGER] = inject_jaeger,
    [TRACE_OT] = inject_ot,           [TRACE_DATADOG] = inject_datadog,
    [TRACE_AWS] = inject_aws,         [TRACE_GCP] = inject_gcp,
    [TRACE_INSTANA] = inject_instana,
};

bool trace_inject(struct exchange *exchange, enum trace_format format, const struct trace_context *context)
{
    struct injection to = { exchange, context, true };
    injectors[format](&to);
    return to.good;
}
