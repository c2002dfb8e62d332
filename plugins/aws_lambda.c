/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's aws-lambda: a function of AWS answers instead of an upstream. */
#include "plugins/aws_lambda.h"

#include "plugins/plugins.h"

#include <stdlib.h>

enum {
    BODY_BYTES_MAX = 6 * 1024 * 1024, /* what AWS takes and gives at once */
    ANSWER_BYTES_MAX = 8 * 1024 * 1024 /* with escapes */
};

/* --- configuration -------------------------------------------------------------------------------------- */

static const char *const imds_versions[] = { "v1", "v2", NULL };
static const char *const invocation_types[] = { "RequestResponse", "Event", "DryRun", NULL };
static const char *const log_types[] = { "Tail", "None", NULL };
static const char *const array_modes[] = { "legacy", "correct", NULL };

#define AT(member) offsetof(struct lambda_config, member)
#define SECRET FIELD_SECRET | FIELD_VAULT

static const struct field fields[] = {
    { "timeout", FIELD_INTEGER, AT(timeout_ms), .min = 1, .max = 2147483646, .fallback = "60000",
      .help = "milliseconds for a whole invocation" },
    { "keepalive", FIELD_INTEGER, AT(keepalive_ms), .max = 2147483646, .fallback = "60000",
      .help = "milliseconds for which an idle connection is kept" },
    { "aws_key", FIELD_STRING, AT(aws_key), .flags = SECRET,
      .help = "with aws_secret; without them the environment, the cluster, the container or the machine" },
    { "aws_secret", FIELD_STRING, AT(aws_secret), .flags = SECRET },
    { "aws_assume_role_arn", FIELD_STRING, AT(role), .flags = SECRET,
      .help = "a role that is assumed by STS with the keys" },
    { "aws_role_session_name", FIELD_STRING, AT(session), .fallback = "kong" },
    { "aws_sts_endpoint_url", FIELD_STRING, AT(sts_url), .help = "null: the region's" },
    { "aws_region", FIELD_STRING, AT(aws_region),
      .help = "null: AWS_REGION or AWS_DEFAULT_REGION of the environment" },
    { "function_name", FIELD_STRING, AT(function_name), .flags = FIELD_REQUIRED, .help = "or its ARN" },
    { "qualifier", FIELD_STRING, AT(qualifier), .help = "a version or an alias" },
    { "invocation_type", FIELD_CHOICE, AT(invocation_type), .fallback = "RequestResponse",
      .choices = invocation_types },
    { "log_type", FIELD_CHOICE, AT(log_type), .fallback = "Tail", .choices = log_types },
    { "host", FIELD_STRING, AT(host), .help = "null: lambda.REGION.amazonaws.com" },
    { "port", FIELD_INTEGER, AT(port), .max = 65535, .fallback = "443" },
    { "disable_https", FIELD_BOOLEAN, AT(disable_https), .fallback = "false" },
    { "ssl_verify", FIELD_BOOLEAN, AT(ssl_verify), .fallback = "true",
      .help = "false: any certificate is taken for the host's" },
    { "unhandled_status", FIELD_INTEGER, AT(unhandled_status), .min = 200, .max = 599,
      .help = "of the answer when the function has failed; null: what AWS says, 200" },
    { "forward_request_method", FIELD_BOOLEAN, AT(forward_method), .fallback = "false" },
    { "forward_request_uri", FIELD_BOOLEAN, AT(forward_uri), .fallback = "false" },
    { "forward_request_headers", FIELD_BOOLEAN, AT(forward_headers), .fallback = "false" },
    { "forward_request_body", FIELD_BOOLEAN, AT(forward_body), .fallback = "false" },
    { "is_proxy_integration", FIELD_BOOLEAN, AT(is_proxy_integration), .fallback = "false",
      .help = "the function says status, headers and body" },
    { "awsgateway_compatible", FIELD_BOOLEAN, AT(gateway_compatible), .fallback = "false",
      .help = "the event is that of a REST API of AWS" },
    { "proxy_url", FIELD_STRING, AT(proxy_url), .flags = FIELD_SECRET,
      .help = "an http proxy on the way to AWS" },
    { "skip_large_bodies", FIELD_BOOLEAN, AT(skip_large_bodies), .fallback = "true",
      .help = "bodies over plugin_body_bytes, or 6 MB, are left out; false: the request is refused" },
    { "base64_encode_body", FIELD_BOOLEAN, AT(base64_encode_body), .fallback = "true" },
    { "aws_imds_protocol_version", FIELD_CHOICE, AT(imds_version), .fallback = "v1",
      .choices = imds_versions },
    { "empty_arrays_mode", FIELD_CHOICE, AT(empty_arrays_mode), .fallback = "legacy", .choices = array_modes,
      .help = "legacy: [] in a function's answer becomes {}" },
};

static struct slice region_of(const struct lambda_config *config)
{
    static const char *const names[] = { "AWS_REGION", "AWS_DEFAULT_REGION" };
    struct slice region = config->aws_region;
    for (size_t i = 0; i < COUNT_OF(names) && region.size == 0; i++)
        region = slice_of(getenv(names[i]));
    return region.size ? region : (struct slice){ NULL, 0 };
}

/* Everything but unreserved characters is escaped: an ARN has colons. */
static struct slice escape(struct arena *arena, struct slice text)
{
    struct slice escaped = SLICE("");
    for (size_t i = 0; i < text.size && escaped.data; i++) {
        char c = text.data[i], lower = slice_lower(c);
        bool plain = (lower >= 'a' && lower <= 'z') || slice_is_digit(c) || (c && strchr("-._~", c));
        escaped =
            arena_format(arena, plain ? "%.*s%c" : "%.*s%%%02X", SLICE_FORMAT(escaped), (unsigned char)c);
    }
    return escaped;
}

static void prepare_url(struct lambda_config *config, const struct config_place *place)
{
    struct arena *arena = place->arena;
    struct slice region = region_of(config), host = config->host;
    bool usual = config->port == (config->disable_https ? 80 : 443);
    if (host.data == NULL && region.data)
        host = arena_format(arena, "lambda.%.*s.amazonaws.com", SLICE_FORMAT(region));
    if (host.data == NULL)
        return;
    config->path = arena_format(arena, "/2015-03-31/functions/%.*s/invocations",
                                SLICE_FORMAT(escape(arena, config->function_name)));
    config->query = SLICE("");
    if (config->qualifier.data)
        config->query = arena_format(arena, "Qualifier=%.*s", SLICE_FORMAT(escape(arena, config->qualifier)));
    config->authority =
        usual ? host : arena_format(arena, "%.*s:%lld", SLICE_FORMAT(host), (long long)config->port);
    config->url = arena_format(arena, "http%s://%.*s%.*s%s%.*s", config->disable_https ? "" : "s",
                               SLICE_FORMAT(config->authority), SLICE_FORMAT(config->path),
                               config->query.size ? "?" : "", SLICE_FORMAT(config->query));
}

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct lambda_config *config = value;
    struct fetch_url url;
    if ((config->aws_key.data == NULL) != (config->aws_secret.data == NULL))
        schema_error(place, node, "", "all or none of these fields must be set: 'aws_key', 'aws_secret'");
    if (config->proxy_url.data && (!fetch_url_parse_proxy(config->proxy_url, &url) || url.tls))
        schema_error(place, node, "proxy_url", "expected an http URL with a host");
    if (config->sts_url.data && !fetch_url_parse(config->sts_url, &url))
        schema_error(place, node, "aws_sts_endpoint_url", "expected an http or https URL with a host");
    prepare_url(config, place);
    if (config->url.data && !fetch_url_parse(config->url, &url))
        schema_error(place, node, config->host.data ? "host" : "aws_region", "makes no URL");
    config->source = (struct aws_source){ .key_id = config->aws_key,
                                          .secret = config->aws_secret,
                                          .region = region_of(config),
                                          .role = config->role,
                                          .session = config->session,
                                          .sts_url = config->sts_url,
                                          .proxy_url = config->proxy_url,
                                          .imds_v2 = config->imds_version == 1 };
    if (config->source.region.data) /* the environment's lives as long */
        config->source.region = arena_copy(place->arena, config->source.region);
}

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    const struct lambda_config *config = value;
    struct fetch_url url;
    bool proxy = config->proxy_url.data != NULL;
    bool good = proxy ? fetch_url_parse_proxy(config->proxy_url, &url)
                      : config->url.data && fetch_url_parse(config->url, &url);
    if (good)
        hosts[0] = url.host;
    return good;
}

/* --- requests ------------------------------------------------------------------------------------------- */

struct lambda_shard {
    struct shard *shard;
    struct aws_pool pool;
};

static const struct slice content_type = { "application/x-amz-json-1.1", 26 };

static bool invoke(struct lambda_call *call, const struct sigv4_credentials *keys)
{
    const struct lambda_config *config = call->config;
    struct arena *arena = exchange_arena(call->exchange);
    struct header *headers = arena_alloc_zero(arena, 8 * sizeof(*headers));
    struct slice kind = slice_of(invocation_types[config->invocation_type]);
    struct slice log = slice_of(log_types[config->log_type]), body = slice_of(call->payload);
    struct sigv4_field to_sign[] = { { SLICE("Host"), config->authority },
                                     { SLICE("Content-Type"), content_type },
                                     { SLICE("X-Amz-Invocation-Type"), kind },
                                     { SLICE("X-Amz-Log-Type"), log } };
    struct sigv4_request request = { .method = SLICE("POST"),
                                     .path = config->path,
                                     .query = config->query,
                                     .fields = to_sign,
                                     .field_count = COUNT_OF(to_sign),
                                     .body = body,
                                     .region = config->source.region.data ? config->source.region
                                                                          : SLICE("us-east-1"),
                                     .service = SLICE("lambda"),
                                     .time_s = (int64_t)(exchange_shard(call->exchange)->wall_ms / 1000) };
    struct sigv4_signature signature;
    if (headers == NULL || !sigv4_sign(&request, keys, arena, &signature))
        return false;
    uint32_t count = 0;
    for (; count < COUNT_OF(to_sign); count++)
        headers[count] = (struct header){ .name = to_sign[count].name, .value = to_sign[count].value };
    headers[count++] = (struct header){ .name = SLICE("X-Amz-Date"), .value = signature.date };
    headers[count++] = (struct header){ .name = SLICE("Authorization"), .value = signature.authorization };
    if (signature.token.data) {
        struct slice token = arena_copy(arena, signature.token); /* the keys may be renewed meanwhile */
        headers[count++] = (struct header){ .name = SLICE("X-Amz-Security-Token"), .value = token };
    }
    struct fetch_request fetch = { .method = request.method,
                                   .url = config->url,
                                   .headers = headers,
                                   .header_count = count,
                                   .body = body,
                                   .proxy_url = config->proxy_url,
                                   .limit_bytes = ANSWER_BYTES_MAX,
                                   .timeout_ms = (uint32_t)config->timeout_ms,
                                   .keep_ms = (uint32_t)config->keepalive_ms,
                                   .options = (config->ssl_verify ? 0 : FETCH_UNVERIFIED) |
                                              (config->keepalive_ms ? 0 : FETCH_SINGLE) };
    fetch_start(&call->fetch, &fetch);
    return true;
}

static enum verdict ask_for_keys(struct lambda_call *call)
{
    struct sigv4_credentials keys;
    switch (aws_credentials_ask(call->credentials, &call->waiter, &keys)) {
    case AWS_READY:
        if (invoke(call, &keys))
            return VERDICT_WAIT;
        break;
    case AWS_WAIT: return VERDICT_WAIT;
    case AWS_UNAVAILABLE: break;
    }
    return exchange_respond_failure(call->exchange);
}

static void keys_came(struct aws_waiter *waiter)
{
    struct lambda_call *call = CONTAINER_OF(waiter, struct lambda_call, waiter);
    enum verdict verdict = ask_for_keys(call);
    if (verdict != VERDICT_WAIT)
        exchange_resume(call->exchange, verdict);
}

static void answered(struct fetch *fetch, enum error error)
{
    struct lambda_call *call = CONTAINER_OF(fetch, struct lambda_call, fetch);
    exchange_resume(call->exchange,
                    error == ERROR_OK ? lambda_answer(call) : exchange_respond_failure(call->exchange));
}

static void end_call(void *pointer)
{
    struct lambda_call *call = pointer;
    list_remove(&call->waiter.node);
    fetch_close(&call->fetch);
    json_decref(call->decoded);
    free(call->payload);
}

static bool wants_body(const struct lambda_config *config)
{
    bool forwards = config->forward_method || config->forward_uri || config->forward_headers;
    return config->gateway_compatible || config->forward_body || !forwards;
}

static enum verdict begin(const struct plugin_call *plugin_call, struct slice body)
{
    struct lambda_shard *shard = plugin_call->shard_state;
    struct lambda_call *call = plugin_call->exchange_state;
    struct exchange *exchange = plugin_call->exchange;
    *call =
        (struct lambda_call){ .waiter.done = keys_came, .exchange = exchange, .config = plugin_call->config };
    list_init(&call->waiter.node);
    fetch_init(&call->fetch, fetch_pool_of(shard->shard), answered);
    if (!arena_on_close(exchange_arena(exchange), end_call, call))
        return exchange_respond_failure(exchange);
    call->payload = lambda_payload(call->config, exchange, body);
    call->credentials = aws_pool_find(&shard->pool, shard->shard, &call->config->source);
    if (call->payload == NULL || call->credentials == NULL || call->config->url.data == NULL)
        return exchange_respond_failure(exchange);
    return ask_for_keys(call);
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct lambda_config *config = call->config;
    struct slice body = { NULL, 0 };
    if (!wants_body(config))
        return begin(call, body);
    switch (exchange_read_body(call->exchange, BODY_BYTES_MAX, &body)) {
    case BODY_LATER: return VERDICT_READ_BODY;
    case BODY_FAILED: return exchange_respond_failure(call->exchange);
    case BODY_TOO_LONG:
        if (!config->skip_large_bodies)
            return exchange_respond_error(call->exchange, 413, SLICE("Request body too large"));
        body = (struct slice){ NULL, 0 };
        break;
    case BODY_READ: break;
    }
    return begin(call, body);
}

/* --- life ----------------------------------------------------------------------------------------------- */

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    (void)process_state;
    *(struct lambda_shard *)shard_state = (struct lambda_shard){ .shard = shard };
    return ERROR_OK;
}

static void shard_close_state(void *shard_state)
{
    aws_pool_close(&((struct lambda_shard *)shard_state)->pool);
}

const struct plugin aws_lambda_plugin = {
    .kind = { .name = "aws-lambda",
              .priority = 750,
              .config = { .name = "aws-lambda",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct lambda_config),
                          .check = check },
              .hosts_of = hosts_of },
    .on = { [PHASE_ACCESS] = on_access },
    .shard_state_size = sizeof(struct lambda_shard),
    .exchange_state_size = sizeof(struct lambda_call),
    .shard_open = shard_open_state,
    .shard_close = shard_close_state,
};
