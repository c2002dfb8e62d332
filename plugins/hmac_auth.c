/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's hmac-auth plugin: the client signs chosen fields of the request with a secret that it shares with
 * the gateway, after draft-cavage-http-signatures-00. */
#include "core/crypto/base64.h"
#include "core/crypto/digest.h"
#include "core/crypto/hmac.h"
#include "core/io/shard.h"
#include "net/http/http_date.h"
#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/authentication.h"
#include "plugins/plugins.h"

#include <math.h>

/* --- credentials ---------------------------------------------------------------------------------------- */

struct hmac_credential {
    struct credential credential;
    struct slice username, secret;
};

static const struct field credential_fields[] = {
    { .name = "username",
      .type = FIELD_STRING,
      .offset = offsetof(struct hmac_credential, username),
      .flags = FIELD_REQUIRED,
      .help = "unique" },
    { .name = "secret",
      .type = FIELD_STRING,
      .offset = offsetof(struct hmac_credential, secret),
      .flags = FIELD_SECRET | FIELD_VAULT,
      .help = "what requests are signed with; drawn at random when absent" },
};

static void check_credential(void *value, const struct node *node, const struct config_place *place)
{
    struct hmac_credential *credential = value;
    if (!authentication_draw_secret(place->arena, &credential->secret))
        schema_error(place, node, "secret", "out of memory");
}

static const struct schema credential_schema = {
    .name = "hmacauth_credentials",
    .fields = credential_fields,
    .field_count = COUNT_OF(credential_fields),
    .struct_size = sizeof(struct hmac_credential),
    .check = check_credential,
};

static const char *const credential_aliases[] = { "hmac-auth", NULL };

static const struct credential_kind hmac_credential_kind = {
    .name = "hmacauth_credentials",
    .schema = &credential_schema,
    .key_offset = offsetof(struct hmac_credential, username),
    .key_name = "username",
    .aliases = credential_aliases,
};

/* --- configuration -------------------------------------------------------------------------------------- */

/* In the order of enum hmac_kind. */
static const char *const algorithm_names[] = { "hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512",
                                               NULL };

struct hmac_auth_config {
    bool hide_credentials;
    double clock_skew_s;
    struct slice anonymous;
    bool validate_request_body;
    struct slices enforce_headers;
    uint64_t algorithms; /* a bit per enum hmac_kind */
    struct slice realm;
    struct slice challenge; /* prepared */
};

#define OFFSET(member) offsetof(struct hmac_auth_config, member)

static const struct field config_fields[] = {
    { "hide_credentials", FIELD_BOOLEAN, OFFSET(hide_credentials), .fallback = "false",
      .help = "do not send the header with the signature upstream" },
    { "clock_skew", FIELD_NUMBER, OFFSET(clock_skew_s), FIELD_POSITIVE, .fallback = "300",
      .help = "seconds that X-Date or Date may be off" },
    { "anonymous", FIELD_STRING, OFFSET(anonymous),
      .help = "id or username of the consumer that stands for failed authentication" },
    { "validate_request_body", FIELD_BOOLEAN, OFFSET(validate_request_body), .fallback = "false",
      .help = "compare the body with the header Digest" },
    { "enforce_headers", FIELD_STRINGS, OFFSET(enforce_headers), .fallback = "",
      .help = "names that every signature has to cover" },
    { "algorithms", FIELD_CHOICES, OFFSET(algorithms),
      .fallback = "hmac-sha1,hmac-sha256,hmac-sha384,hmac-sha512", .choices = algorithm_names,
      .help = "the ones a client may choose from" },
    { "realm", FIELD_STRING, OFFSET(realm), .check = authentication_check_realm,
      .help = "the realm in WWW-Authenticate" },
};

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct hmac_auth_config *config = value;
    config->challenge = authentication_challenge(place->arena, "hmac", config->realm);
    if (config->challenge.data == NULL)
        schema_error(place, node, "realm", "out of memory");
}

/* --- what the client says ------------------------------------------------------------------------------- */

struct signature {
    struct slice username, algorithm, names, base64;
};

static bool take(struct slice *text, struct slice literal)
{
    if (!slice_starts_with(*text, literal))
        return false;
    *text = slice_from(*text, literal.size);
    return true;
}

/* Takes the last `", name="` out of the text, which is then what stood before; *value is what stands
 * behind. */
static bool split_last(struct slice *text, struct slice name, struct slice *value)
{
    for (size_t at = text->size; at-- > 1;) {
        if (text->data[at] != '"')
            continue;
        struct slice rest = slice_from(*text, at + 1);
        if (!take(&rest, SLICE(",")))
            continue;
        rest = slice_trim(rest);
        if (take(&rest, name) && take(&rest, SLICE("=\""))) {
            *value = rest;
            text->size = at;
            return true;
        }
    }
    return false;
}

/* hmac username="u", algorithm="a", headers="h1 h2", signature="b64", in this order only, as in Kong. A
 * text may hold quotes: the last place that fits counts, so there is one reading. */
static bool read_signature(struct slice text, struct signature *out)
{
    text = slice_trim(text);
    if (!take(&text, SLICE("hmac")) && !take(&text, SLICE("Hmac")))
        return false;
    text = slice_trim(text);
    if (!take(&text, SLICE("username=\"")) || !split_last(&text, SLICE("signature"), &out->base64) ||
        !split_last(&text, SLICE("headers"), &out->names) ||
        !split_last(&text, SLICE("algorithm"), &out->algorithm))
        return false;
    while (out->base64.size > 0 && out->base64.data[out->base64.size - 1] != '"')
        out->base64.size--;
    if (out->base64.size < 2 || out->names.size == 0 || out->algorithm.size == 0)
        return false;
    out->base64.size--;
    out->username = text;
    return true;
}

/* --- judging it ----------------------------------------------------------------------------------------- */

static bool covers(struct slice names, struct slice wanted)
{
    while (names.data != NULL)
        if (slice_equal(slice_split(names, ' ', &names), wanted))
            return true;
    return false;
}

static bool covers_enforced(const struct hmac_auth_config *config, struct slice names)
{
    for (uint32_t i = 0; i < config->enforce_headers.count; i++)
        if (!covers(names, config->enforce_headers.items[i]))
            return false;
    return true;
}

/* -1: none that is allowed */
static int allowed_algorithm(const struct hmac_auth_config *config, struct slice name)
{
    for (int kind = 0; algorithm_names[kind] != NULL; kind++)
        if (slice_equal(name, slice_of(algorithm_names[kind])))
            return config->algorithms >> kind & 1 ? kind : -1;
    return -1;
}

static bool is_timely(const struct hmac_auth_config *config, struct exchange *exchange, struct slice name)
{
    int64_t sent_s, now_s = (int64_t)(exchange_shard(exchange)->wall_ms / 1000);
    if (!http_date_parse(message_find_name(exchange_request(exchange), name), now_s, &sent_s))
        return false;
    return fabs((double)(now_s - sent_s)) <= config->clock_skew_s;
}

/* A text that is measured first (data NULL), then written. */
struct text {
    char *data;
    size_t size;
};

static void append(struct text *text, struct slice piece)
{
    if (text->data != NULL && piece.size > 0)
        memcpy(text->data + text->size, piece.data, piece.size);
    text->size += piece.size;
}

static void append_target(struct text *text, const struct message *request)
{
    append(text, SLICE("@request-target: "));
    for (size_t i = 0; i < request->method.size; i++) {
        char lower = slice_lower(request->method.data[i]);
        append(text, (struct slice){ &lower, 1 });
    }
    append(text, SLICE(" "));
    append(text, request->origin_form);
}

static void append_request_line(struct text *text, const struct message *request)
{
    append(text, request->method);
    append(text, SLICE(" "));
    append(text, request->origin_form);
    append(text, SLICE(" "));
    append(text, message_version(request));
}

/* One of the names that the signature covers; a header of such a name goes before the special ones. */
static void append_name(struct text *text, const struct message *request, struct slice name)
{
    struct slice value = message_find_name(request, name);
    if (value.data == NULL && slice_equal(name, SLICE("@request-target"))) {
        append_target(text, request);
    } else if (value.data == NULL && slice_equal(name, SLICE("request-line"))) {
        append_request_line(text, request);
    } else {
        append(text, name);
        append(text, value.data ? SLICE(": ") : SLICE(":"));
        append(text, value);
    }
}

static void append_names(struct text *text, const struct message *request, struct slice names)
{
    while (names.data != NULL) {
        append_name(text, request, slice_split(names, ' ', &names));
        if (names.data != NULL)
            append(text, SLICE("\n"));
    }
}

/* Absent when memory is exhausted. */
static struct slice signed_text(struct exchange *exchange, struct slice names)
{
    struct text text = { NULL, 0 };
    append_names(&text, exchange_request(exchange), names);
    text = (struct text){ arena_alloc(exchange_arena(exchange), text.size + 1), 0 };
    if (text.data != NULL)
        append_names(&text, exchange_request(exchange), names);
    return (struct slice){ text.data, text.data ? text.size : 0 };
}

/* Are these the bytes that the text is the base64 of, padded or not? */
static bool says_bytes(struct slice base64, const unsigned char *bytes, size_t size)
{
    enum { ENCODED_MAX = (HMAC_MAX + 2) / 3 * 4 };
    char encoded[ENCODED_MAX];
    struct slice ignored, own = { encoded, 0 };
    own.size = base64_encode(BASE64_STANDARD, (struct slice){ (const char *)bytes, size }, encoded);
    return slice_equal_constant_time(slice_split(own, '=', &ignored), slice_split(base64, '=', &ignored));
}

static bool is_signed_by(struct slice text, const struct signature *signature, int kind, struct slice secret)
{
    unsigned char mac[HMAC_MAX];
    struct hmac_key key;
    hmac_key_init(&key, (enum hmac_kind)kind, secret);
    hmac_sign(&key, text, mac);
    explicit_bzero(&key, sizeof(key));
    return says_bytes(signature->base64, mac, hmac_size((enum hmac_kind)kind));
}

/* Digest (RFC 3230) of the one algorithm that Kong takes; without it there may be no body. */
static bool is_digest_right(struct exchange *exchange, struct slice body)
{
    enum { SHA256_BYTES = 32 };
    unsigned char digest[SHA256_BYTES];
    char encoded[(SHA256_BYTES + 2) / 3 * 4];
    struct slice sent = message_find_name(exchange_request(exchange), SLICE("digest"));
    if (sent.data == NULL)
        return body.size == 0;
    if (!take(&sent, SLICE("SHA-256=")) || !digest_of(DIGEST_SHA256, body, digest))
        return false;
    size_t size =
        base64_encode(BASE64_STANDARD, (struct slice){ (const char *)digest, sizeof(digest) }, encoded);
    return slice_equal_constant_time(sent, (struct slice){ encoded, size });
}

/* --- requests ------------------------------------------------------------------------------------------- */

#define UNVERIFIABLE "HMAC signature cannot be verified"
#define UNTIMELY UNVERIFIABLE ", a valid date or x-date header is required for HMAC Authentication"
#define MISMATCH "HMAC signature does not match"

static enum verdict refuse(const struct hmac_auth_config *config, struct exchange *exchange,
                           struct slice message)
{
    struct authentication_refusal refusal = { config->anonymous, config->challenge, message };
    return authentication_refuse(exchange, &refusal);
}

/* Proxy-Authorization before Authorization; false: neither can be read. */
static bool find_signature(const struct hmac_auth_config *config, struct exchange *exchange,
                           struct signature *signature)
{
    static const char *const names[] = { "Proxy-Authorization", "Authorization" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct slice name = slice_of(names[i]);
        if (!read_signature(message_find_name(exchange_request(exchange), name), signature))
            continue;
        if (config->hide_credentials)
            exchange_remove_upstream_header(exchange, name);
        return true;
    }
    return false;
}

static enum verdict finish(const struct hmac_auth_config *config, struct exchange *exchange,
                           const struct hmac_credential *credential)
{
    struct slice body;
    if (!config->validate_request_body)
        return authentication_pass(exchange, &credential->credential, credential->username);
    switch (exchange_read_body(exchange, UINT64_MAX, &body)) {
    case BODY_LATER: return VERDICT_READ_BODY;
    case BODY_FAILED: return exchange_respond_failure(exchange);
    case BODY_TOO_LONG: return refuse(config, exchange, SLICE(MISMATCH));
    case BODY_READ: break;
    }
    if (!is_digest_right(exchange, body))
        return refuse(config, exchange, SLICE(MISMATCH));
    return authentication_pass(exchange, &credential->credential, credential->username);
}

static enum verdict authenticate(const struct hmac_auth_config *config, struct exchange *exchange)
{
    const struct message *request = exchange_request(exchange);
    struct signature signature;
    if (message_find_name(request, SLICE("proxy-authorization")).data == NULL &&
        !message_has(request, HEADER_AUTHORIZATION))
        return refuse(config, exchange, SLICE("Unauthorized"));
    if (!is_timely(config, exchange, SLICE("x-date")) && !is_timely(config, exchange, SLICE("date")))
        return refuse(config, exchange, SLICE(UNTIMELY));
    if (!find_signature(config, exchange, &signature) || !covers_enforced(config, signature.names))
        return refuse(config, exchange, SLICE(UNVERIFIABLE));
    int kind = allowed_algorithm(config, signature.algorithm);
    const struct hmac_credential *credential = (const struct hmac_credential *)model_credential(
        exchange_model(exchange), &hmac_credential_kind, signature.username);
    if (kind < 0 || credential == NULL)
        return refuse(config, exchange, SLICE(UNVERIFIABLE));
    struct slice text = signed_text(exchange, signature.names);
    if (text.data == NULL)
        return exchange_respond_failure(exchange);
    if (!is_signed_by(text, &signature, kind, credential->secret))
        return refuse(config, exchange, SLICE(MISMATCH));
    return finish(config, exchange, credential);
}

static enum verdict hmac_auth_access(const struct plugin_call *call)
{
    const struct hmac_auth_config *config = call->config;
    if (authentication_is_done(call->exchange, config->anonymous))
        return VERDICT_CONTINUE;
    return authenticate(config, call->exchange);
}

const struct plugin hmac_auth_plugin = {
    .kind = { .name = "hmac-auth",
              .priority = 1030,
              .config = { .name = "hmac-auth",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct hmac_auth_config),
                          .check = check_config },
              .credentials = &hmac_credential_kind,
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = hmac_auth_access },
};
