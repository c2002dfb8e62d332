/* SPDX-License-Identifier: Apache-2.0 */
/* Kong Enterprise's mtls-auth plugin: the certificate that a client has shown in its handshake says whose
 * consumer it is. */
#include "plugins/mtls_auth.h"

#include "config/kong/checks.h"
#include "core/crypto/digest.h"
#include "plugins/authentication.h"
#include "plugins/plugins.h"
#include "tls/tls_key.h"
#include "tls/tls_stream.h"

#include <stdlib.h>

/* --- credentials ---------------------------------------------------------------------------------------- */

/* A subject name, maybe for one authority only: it is found by both. */
struct mtls_credential {
    struct credential credential;
    struct slice subject_name;
    struct slice key;
};

static const struct field credential_fields[] = {
    { "subject_name", FIELD_STRING, offsetof(struct mtls_credential, subject_name), FIELD_REQUIRED,
      .check = authentication_check_realm,
      .help = "an alternative name of the certificate, or the common name of one without any" },
};

static const char *const credential_others[] = { "ca_certificate", NULL };

/* The id of an entry, or its certificate in PEM, of which the digest counts. Absent: none is given. */
static struct slice read_authority(const struct node *node, const struct config_place *place)
{
    char reason[TLS_REASON_SIZE], digest[DIGEST_HEX_MAX];
    const struct node *value = node_find(node, "ca_certificate");
    if (value && value->kind == NODE_MAPPING)
        value = node_find(value, "id");
    if (value == NULL || value->kind == NODE_NULL)
        return (struct slice){ NULL, 0 };
    if (value->kind == NODE_STRING && kong_check_id(value->text) == NULL) {
        struct slice id = arena_copy(place->arena, value->text);
        for (size_t i = 0; i < id.size; i++)
            ((char *)(uintptr_t)id.data)[i] = slice_lower(id.data[i]);
        return id;
    }
    if (value->kind == NODE_STRING && tls_trust_digest(value->text, digest, reason))
        return arena_copy(place->arena, slice_of(digest));
    schema_error(place, node, "ca_certificate", "expected the id of one of ca_certificates, or its PEM");
    return (struct slice){ NULL, 0 };
}

static struct slice key_of(struct arena *arena, struct slice authority, struct slice subject_name)
{
    return arena_format(arena, "%.*s %.*s", SLICE_FORMAT(authority), SLICE_FORMAT(subject_name));
}

static void check_credential(void *value, const struct node *node, const struct config_place *place)
{
    struct mtls_credential *credential = value;
    struct slice authority = read_authority(node, place);
    if (credential->subject_name.data == NULL)
        return;
    credential->key = key_of(place->arena, authority.data ? authority : SLICE(""), credential->subject_name);
    if (credential->key.data == NULL)
        schema_error(place, node, "", "out of memory");
}

static const struct schema credential_schema = {
    .name = "mtls_auth_credentials",
    .fields = credential_fields,
    .field_count = COUNT_OF(credential_fields),
    .struct_size = sizeof(struct mtls_credential),
    .check = check_credential,
    .others = credential_others,
};

static const char *const credential_aliases[] = { "mtls-auth", NULL };

static const struct credential_kind mtls_kind = {
    .name = "mtls_auth_credentials",
    .schema = &credential_schema,
    .key_offset = offsetof(struct mtls_credential, key),
    .key_name = "subject_name",
    .aliases = credential_aliases,
};

/* --- configuration -------------------------------------------------------------------------------------- */

#define OFFSET(member) offsetof(struct mtls_config, member)
#define TIME_MAX_MS 2147483646.0

enum { BY_USERNAME, BY_CUSTOM_ID };
static const char *const consumer_choices[] = { "username", "custom_id", NULL };
static const char *const group_choices[] = { "CN", "DN", NULL };
static const char *const mode_choices[] = { "IGNORE_CA_ERROR", "SKIP", "STRICT", NULL };

static const struct field config_fields[] = {
    { "ca_certificates", FIELD_STRINGS, OFFSET(ca_certificates), FIELD_REQUIRED, .min = 1, .max = 1000,
      .check = kong_check_id, .help = "ids of ca_certificates: who may issue clients' certificates" },
    { "skip_consumer_lookup", FIELD_BOOLEAN, OFFSET(skip_consumer_lookup), .fallback = "false",
      .help = "any good certificate will do, and nobody's consumer is looked for" },
    { "authenticated_group_by", FIELD_CHOICE, OFFSET(group_by), .fallback = "CN", .choices = group_choices,
      .help = "with skip_consumer_lookup: what of the certificate is the group that acl sees" },
    { "anonymous", FIELD_STRING, OFFSET(anonymous),
      .help = "id or username of the consumer that stands for failed authentication" },
    { "default_consumer", FIELD_STRING, OFFSET(default_consumer),
      .help = "id or username of the consumer for good certificates that are nobody's" },
    { "consumer_by", FIELD_CHOICES, OFFSET(consumer_by), .fallback = "username,custom_id",
      .choices = consumer_choices,
      .help = "what of a consumer a name of the certificate may be, besides mtls_auth_credentials" },
    { "allow_partial_chain", FIELD_BOOLEAN, OFFSET(allow_partial_chain), .fallback = "false",
      .help = "an intermediate among ca_certificates is enough; else a root must be there" },
    { "revocation_check_mode", FIELD_CHOICE, OFFSET(mode), .fallback = "IGNORE_CA_ERROR",
      .choices = mode_choices, .help = "SKIP: nobody is asked; STRICT: without an answer nobody passes" },
    { "http_timeout", FIELD_NUMBER, OFFSET(http_timeout_ms), .min = 1, .max = TIME_MAX_MS,
      .fallback = "30000", .help = "milliseconds for an answer about revocation" },
    { "cert_cache_ttl", FIELD_NUMBER, OFFSET(cert_cache_ttl_ms), .max = TIME_MAX_MS, .fallback = "60000",
      .help = "milliseconds for which such an answer is remembered" },
    { "cache_ttl", FIELD_NUMBER, OFFSET(cache_ttl_s), .max = TIME_MAX_MS / 1000, .fallback = "60",
      .help = "seconds for which a verified chain is remembered" },
    { "ssl_verify", FIELD_BOOLEAN, OFFSET(ssl_verify), .fallback = "true",
      .help = "the certificates of https responders and lists must be good" },
    { "http_proxy_host", FIELD_STRING, OFFSET(http_proxy_host), .check = kong_check_host,
      .help = "the proxy to responders and lists with http" },
    { "http_proxy_port", FIELD_INTEGER, OFFSET(http_proxy_port), .max = 65535 },
    { "https_proxy_host", FIELD_STRING, OFFSET(https_proxy_host), .check = kong_check_host,
      .help = "the same for https" },
    { "https_proxy_port", FIELD_INTEGER, OFFSET(https_proxy_port), .max = 65535 },
    { "send_ca_dn", FIELD_BOOLEAN, OFFSET(send_ca_dn), .fallback = "false",
      .help = "true is an error: handshakes do not name the authorities" },
    { "san_dirname_matcher", FIELD_STRINGS, OFFSET(san_dirname_matcher), .flags = FIELD_UNSUPPORTED,
      .help = "alternative names that are directory names are not looked at" },
};

static struct slice proxy_url(const struct config_place *place, struct slice host, int64_t port)
{
    return arena_format(place->arena, "http://%.*s:%lld", SLICE_FORMAT(host), (long long)port);
}

static void check_proxy(const struct node *node, const struct config_place *place, const char *name,
                        bool complete)
{
    if (!complete)
        schema_error(place, node, "", "all or none of these fields must be set: '%s_host', '%s_port'", name,
                     name);
}

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct mtls_config *config = value;
    const struct node *list = node_find(node, "ca_certificates");
    struct config_place deeper = schema_place(place, "ca_certificates");
    if (config->send_ca_dn)
        schema_error(place, node, "send_ca_dn", "not supported: handshakes do not name the authorities");
    check_proxy(node, place, "http_proxy",
                (config->http_proxy_host.data != NULL) == (config->http_proxy_port != INTEGER_NULL));
    check_proxy(node, place, "https_proxy",
                (config->https_proxy_host.data != NULL) == (config->https_proxy_port != INTEGER_NULL));
    if (config->http_proxy_host.data)
        config->http_proxy = proxy_url(place, config->http_proxy_host, config->http_proxy_port);
    if (config->https_proxy_host.data)
        config->https_proxy = proxy_url(place, config->https_proxy_host, config->https_proxy_port);
    if (list)
        config->position = list->position;
    config->path = arena_copy(place->arena, slice_of(deeper.path)).data;
    if (config->path == NULL)
        schema_error(place, node, "", "out of memory");
}

static const struct ca_certificate *find_authority(const struct model *model, struct slice id)
{
    for (uint32_t i = 0; i < model->ca_certificates.count; i++)
        if (slice_equal_nocase(slice_of(model->ca_certificates.items[i]->entity.id), id))
            return model->ca_certificates.items[i];
    return NULL;
}

static void release_trust(void *trust)
{
    tls_trust_release(trust);
}

/* Their certificates in one text; absent: reported. */
static struct slice find_authorities(struct mtls_config *config, struct model *model, struct arena *arena,
                                     struct report *report)
{
    struct slice all = SLICE("");
    for (uint32_t i = 0; all.data && i < config->ca_certificates.count; i++) {
        struct slice id = config->ca_certificates.items[i];
        config->authorities[i] = find_authority(model, id);
        if (config->authorities[i] == NULL) {
            struct slice path = arena_format(arena, "%s[%u]", config->path, i);
            report_add(report, REPORT_ERROR, &config->position, path.data ? path.data : config->path,
                       "invalid reference 'ca_certificates: %.*s' (no such entry in 'ca_certificates')",
                       SLICE_FORMAT(id));
            return (struct slice){ NULL, 0 };
        }
        all =
            arena_format(arena, "%.*s%.*s\n", SLICE_FORMAT(all), SLICE_FORMAT(config->authorities[i]->cert));
    }
    return all;
}

static bool link_authorities(struct model *model, struct plugin_instance *instance, struct report *report)
{
    static uint64_t last_serial;
    struct mtls_config *config = instance->config;
    char reason[TLS_REASON_SIZE];
    struct arena text;
    config->authorities = arena_array(&model->arena, config->ca_certificates.count + 1u, sizeof(void *));
    if (config->authorities == NULL)
        return false;
    arena_init(&text, NULL, 0, SIZE_MAX);
    struct slice pem = find_authorities(config, model, &text, report);
    struct tls_trust_options options = { .authorities_pem = pem,
                                         .depth = -1,
                                         .whole_chain = !config->allow_partial_chain };
    if (pem.data)
        config->trust = tls_trust_make(&options, reason);
    if (pem.data && config->trust == NULL)
        report_add(report, REPORT_ERROR, &config->position, config->path, "%s", reason);
    arena_deinit(&text);
    config->serial = __atomic_add_fetch(&last_serial, 1, __ATOMIC_RELAXED);
    if (config->trust == NULL || arena_on_close(&model->arena, release_trust, config->trust))
        return true;
    tls_trust_release(config->trust);
    return false;
}

/* --- requests ------------------------------------------------------------------------------------------- */

struct mtls_exchange {
    struct mtls_check check;
    struct exchange *exchange;
};

static const struct slice name_of_dn = { "X-Client-Cert-Dn", 16 };
static const struct slice name_of_san = { "X-Client-Cert-San", 17 };

static enum verdict refuse(const struct mtls_config *config, struct exchange *exchange, const char *message)
{
    if (config->anonymous.data)
        return authentication_pass_anonymous(exchange, config->anonymous);
    return exchange_respond_error(exchange, 401, slice_of(message));
}

static const struct credential *find_credential(struct exchange *exchange, const struct mtls_peer *peer,
                                                struct slice authority)
{
    for (uint32_t i = 0; i < peer->identities.count; i++) {
        struct slice key = key_of(exchange_arena(exchange), authority, peer->identities.items[i]);
        const struct credential *found =
            key.data ? model_credential(exchange_model(exchange), &mtls_kind, key) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

/* Those for the authority that has issued the certificate go before those for any. */
static const struct credential *find_mapping(struct exchange *exchange, const struct mtls_peer *peer)
{
    const struct credential *found = NULL;
    if (peer->authority)
        found = find_credential(exchange, peer, slice_of(peer->authority->entity.id));
    if (found == NULL && peer->authority)
        found = find_credential(exchange, peer, slice_of(peer->authority->digest));
    return found ? found : find_credential(exchange, peer, SLICE(""));
}

static const struct consumer *find_consumer(const struct mtls_config *config, const struct model *model,
                                            const struct mtls_peer *peer)
{
    const struct consumer *found = NULL;
    for (uint32_t i = 0; found == NULL && i < peer->identities.count; i++) {
        struct slice name = peer->identities.items[i];
        if (config->consumer_by & (1u << BY_USERNAME))
            found = map_find(&model->consumers_by_name, name);
        if (found == NULL && config->consumer_by & (1u << BY_CUSTOM_ID))
            found = model_consumer_of_custom_id(model, name);
    }
    if (found == NULL && config->default_consumer.data)
        found = model_consumer(model, config->default_consumer);
    return found;
}

/* A consumer that is found by its name has no credential of the configuration: its id stands for one. */
static enum verdict pass_as(struct exchange *exchange, const struct consumer *consumer)
{
    struct credential *credential = arena_alloc_zero(exchange_arena(exchange), sizeof(*credential));
    if (credential == NULL)
        return exchange_respond_failure(exchange);
    credential->consumer = (struct consumer *)(uintptr_t)consumer;
    memcpy(credential->entity.id, consumer->entity.id, sizeof(credential->entity.id));
    return authentication_pass(exchange, credential, slice_of(credential->entity.id));
}

static bool set_header(struct exchange *exchange, struct slice name, struct slice value)
{
    if (value.size == 0)
        return true;
    value = arena_copy(exchange_arena(exchange), value);
    return value.data && exchange_set_upstream_header(exchange, name, value);
}

/* Nobody's consumer: what the certificate says goes upstream, and into a group. */
static enum verdict pass_any(const struct mtls_config *config, struct exchange *exchange,
                             const struct mtls_peer *peer)
{
    struct slice group = config->group_by == 0 ? peer->names.common : peer->names.subject;
    struct slice *copy = arena_alloc(exchange_arena(exchange), sizeof(*copy));
    if (copy == NULL || !exchange_authenticate(exchange, NULL, NULL, (struct slice){ NULL, 0 }) ||
        !set_header(exchange, name_of_dn, peer->names.subject) ||
        !set_header(exchange, name_of_san, peer->san))
        return exchange_respond_failure(exchange);
    if (group.data == NULL)
        return VERDICT_CONTINUE;
    *copy = arena_copy(exchange_arena(exchange), group);
    if (copy->data == NULL)
        return exchange_respond_failure(exchange);
    exchange_set_groups(exchange, (struct slices){ copy, 1 });
    return VERDICT_CONTINUE;
}

#define MISSING "No required TLS certificate was sent"
#define REFUSED "TLS certificate failed verification"

/* What is known about the certificate is all there is to know. */
static enum verdict decide(const struct mtls_config *config, struct exchange *exchange,
                           const struct mtls_peer *peer)
{
    bool unknown = peer->status == TLS_REVOCATION_UNKNOWN;
    if (config->mode != MTLS_SKIP &&
        (peer->status == TLS_REVOKED || (unknown && config->mode == MTLS_STRICT)))
        return refuse(config, exchange, REFUSED);
    if (config->skip_consumer_lookup)
        return pass_any(config, exchange, peer);
    const struct credential *credential = find_mapping(exchange, peer);
    if (credential)
        return authentication_pass(exchange, credential, slice_of(credential->entity.id));
    const struct consumer *consumer = find_consumer(config, exchange_model(exchange), peer);
    return consumer ? pass_as(exchange, consumer) : refuse(config, exchange, REFUSED);
}

static void checked(struct mtls_check *check)
{
    struct mtls_exchange *own = CONTAINER_OF(check, struct mtls_exchange, check);
    enum verdict verdict = decide(check->config, own->exchange, check->peer);
    mtls_peer_release(check->peer);
    check->peer = NULL;
    exchange_resume(own->exchange, verdict);
}

static enum verdict judge(const struct plugin_call *call, struct mtls_peer *peer)
{
    const struct mtls_config *config = call->config;
    const struct mtls_shard *state = call->shard_state;
    struct mtls_exchange *own = call->exchange_state;
    if (peer->refusal)
        return refuse(config, call->exchange, REFUSED);
    if (!mtls_check_is_due(config, peer, state->shard->now_ms))
        return decide(config, call->exchange, peer);
    own->exchange = call->exchange;
    own->check.config = config;
    own->check.arena = exchange_arena(call->exchange);
    own->check.done = checked;
    own->check.peer = peer;
    if (!mtls_check_start(&own->check, state->shard))
        return exchange_respond_failure(call->exchange);
    peer->references++;
    return VERDICT_WAIT;
}

static enum verdict mtls_auth_access(const struct plugin_call *call)
{
    const struct mtls_config *config = call->config;
    struct exchange *exchange = call->exchange;
    struct tls_info info;
    exchange_remove_upstream_header(exchange, name_of_dn);
    exchange_remove_upstream_header(exchange, name_of_san);
    if (authentication_is_done(exchange, config->anonymous))
        return VERDICT_CONTINUE;
    if (!exchange_tls(exchange, &info) || info.peer == NULL)
        return refuse(config, exchange, MISSING);
    struct mtls_peer *peer = mtls_memory_get(call->shard_state, config, info.peer);
    if (peer == NULL)
        return exchange_respond_failure(exchange);
    enum verdict verdict = judge(call, peer);
    mtls_peer_release(peer);
    return verdict;
}

/* --- the shard ------------------------------------------------------------------------------------------ */

static enum error open_state(struct shard *shard, void *process_state, void *shard_state)
{
    (void)process_state;
    struct mtls_shard *state = shard_state;
    state->shard = shard;
    return ERROR_OK;
}

static void close_state(void *shard_state)
{
    mtls_memory_close(shard_state);
}

const struct plugin mtls_auth_plugin = {
    .kind = { .name = "mtls-auth",
              .priority = 1600,
              .config = { .name = "mtls-auth",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct mtls_config),
                          .check = check_config },
              .credentials = &mtls_kind,
              .forbids_consumer = true,
              .asks_client = true,
              .link = link_authorities },
    .on = { [PHASE_ACCESS] = mtls_auth_access },
    .shard_state_size = sizeof(struct mtls_shard),
    .exchange_state_size = sizeof(struct mtls_exchange),
    .shard_open = open_state,
    .shard_close = close_state,
};
