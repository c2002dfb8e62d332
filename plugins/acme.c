/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's acme plugin: certificates for its domains come from an ACME server (Let's Encrypt) by themselves. */
#include "plugins/acme.h"

#include "config/kong/checks.h"
#include "core/crypto/base64.h"
#include "core/crypto/uuid.h"
#include "net/fetch/fetch_url.h"
#include "net/proxy/exchange.h"
#include "plugins/plugins.h"

/* --- configuration -------------------------------------------------------------------------------------- */

#define OFFSET(member) offsetof(struct acme_config, member)

static const char *check_email(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 127 || strchr("\"\\<>", text.data[i]))
            return "invalid value: {}";
    return memchr(text.data, '@', text.size) ? NULL : "invalid value: {}";
}

static const char *check_url(struct slice text)
{
    struct fetch_url url;
    return fetch_url_parse(text, &url) ? NULL : "expected an http or https URL";
}

static const char *check_kid(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~' || strchr("\"\\", text.data[i]))
            return "invalid value: only printable characters";
    return NULL;
}

static const char *check_secret(struct slice text)
{
    enum { ROOM = 1024 };
    char decoded[ROOM];
    size_t size;
    if (base64_decoded_bound(text.size) > ROOM || !base64_decode(BASE64_URL, text, decoded, &size))
        return "expected base64url without padding";
    explicit_bzero(decoded, sizeof(decoded));
    return NULL;
}

/* Which names may be asked for is not a pattern here: each one is ordered as soon as it is configured. */
static const char *check_domain(struct slice text)
{
    if (memchr(text.data, '*', text.size))
        return "not supported: wildcards; name each domain";
    return kong_check_host(text);
}

static const struct field file_fields[] = {
    { "path", FIELD_STRING, offsetof(struct acme_file_config, path),
      .help = "a folder that exists, for keys and certificates" },
};
static const struct schema file_schema = { .name = "file",
                                           .fields = file_fields,
                                           .field_count = COUNT_OF(file_fields),
                                           .struct_size = sizeof(struct acme_file_config) };

static const struct field shm_fields[] = {
    { "shm_name", FIELD_STRING, offsetof(struct acme_shm_config, shm_name), .fallback = "kong",
      .help = "there is one memory: the name says nothing" },
};
static const struct schema shm_schema = { .name = "shm",
                                          .fields = shm_fields,
                                          .field_count = COUNT_OF(shm_fields),
                                          .struct_size = sizeof(struct acme_shm_config) };

#define STORAGE(member) offsetof(struct acme_storage_config, member)
static const struct field storage_fields[] = {
    { "file", FIELD_RECORD, STORAGE(file), .record = &file_schema },
    { "shm", FIELD_RECORD, STORAGE(shm), .record = &shm_schema },
    { "kong", FIELD_STRING, STORAGE(kong), FIELD_UNSUPPORTED },
    { "redis", FIELD_STRING, STORAGE(redis), FIELD_UNSUPPORTED },
    { "consul", FIELD_STRING, STORAGE(consul), FIELD_UNSUPPORTED },
    { "vault", FIELD_STRING, STORAGE(vault), FIELD_UNSUPPORTED },
};
static const struct schema storage_schema = { .name = "storage_config",
                                              .fields = storage_fields,
                                              .field_count = COUNT_OF(storage_fields),
                                              .struct_size = sizeof(struct acme_storage_config) };

const char *const acme_challenge_names[] = { "http-01", "tls-alpn-01", NULL };
static const char *const type_choices[] = { "rsa", "ecc", NULL };
static const char *const storage_choices[] = { "shm", "file", "kong", "redis", "consul", "vault", NULL };

static const struct field config_fields[] = {
    { "account_email", FIELD_STRING, OFFSET(account_email), FIELD_REQUIRED | FIELD_VAULT,
      .check = check_email, .help = "whom the server may write to" },
    { "api_uri", FIELD_STRING, OFFSET(api_uri), FIELD_REQUIRED,
      .fallback = "https://acme-v02.api.letsencrypt.org/directory", .check = check_url,
      .help = "the server's directory" },
    { "tos_accepted", FIELD_BOOLEAN, OFFSET(tos_accepted), .fallback = "false",
      .help = "the server's terms of service are agreed to; Let's Encrypt asks for it" },
    { "domains", FIELD_STRINGS, OFFSET(domains), .check = check_domain,
      .help = "names that get a certificate each" },
    { "challenge", FIELD_CHOICE, OFFSET(challenge), .fallback = "http-01", .choices = acme_challenge_names,
      .help =
          "how the server makes sure of a name: http-01 by HTTP to port 80, tls-alpn-01 by TLS to port 443" },
    { "allow_any_domain", FIELD_BOOLEAN, OFFSET(allow_any_domain), .fallback = "false",
      .help = "true is an error: name each domain" },
    { "cert_type", FIELD_CHOICE, OFFSET(cert_type), .fallback = "rsa", .choices = type_choices,
      .help = "the kind of key; ecc is P-256" },
    { "rsa_key_size", FIELD_INTEGER, OFFSET(rsa_key_size), .min = 2048, .max = 4096, .fallback = "4096",
      .help = "bits: 2048, 3072 or 4096" },
    { "renew_threshold_days", FIELD_NUMBER, OFFSET(renew_threshold_days), .max = 365, .fallback = "14",
      .help = "days before a certificate's end at which another one is ordered" },
    { "fail_backoff_minutes", FIELD_NUMBER, OFFSET(fail_backoff_minutes), .max = 525600, .fallback = "5",
      .help = "minutes until a domain that has failed is tried again" },
    { "eab_kid", FIELD_STRING, OFFSET(eab_kid), FIELD_VAULT, .check = check_kid,
      .help = "an account elsewhere that the server wants named (external account binding)" },
    { "eab_hmac_key", FIELD_STRING, OFFSET(eab_hmac_key), FIELD_VAULT | FIELD_SECRET, .check = check_secret,
      .help = "its secret, base64url" },
    { "storage", FIELD_CHOICE, OFFSET(storage), .fallback = "shm", .choices = storage_choices,
      .help = "shm: memory, gone at the end of the process; file: a folder; the others are errors" },
    { "storage_config", FIELD_RECORD, OFFSET(storage_config), .record = &storage_schema },
    { "account_key", FIELD_STRING, OFFSET(preferred_chain), FIELD_UNSUPPORTED },
    { "preferred_chain", FIELD_STRING, OFFSET(preferred_chain), FIELD_UNSUPPORTED,
      .help = "the server's own choice is taken" },
    { "enable_ipv4_common_name", FIELD_BOOLEAN, OFFSET(enable_ipv4_common_name), .fallback = "true",
      .help = "without effect: clients that ask for no name get the settings' certificate" },
};

static bool is_lets_encrypt(struct slice url)
{
    static const char name[] = ".api.letsencrypt.org/";
    return memmem(url.data, url.size, name, sizeof(name) - 1) != NULL;
}

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct acme_config *config = value;
    if (config->allow_any_domain)
        schema_error(place, node, "allow_any_domain", "not supported: name each domain");
    if (config->storage != ACME_SHM && config->storage != ACME_FILE)
        schema_error(place, node, "storage", "not supported: only shm and file are");
    if (config->storage == ACME_FILE && config->storage_config.file.path.size == 0)
        schema_error(place, node, "storage_config", "file.path is needed when storage is file");
    if (config->rsa_key_size != 2048 && config->rsa_key_size != 3072 && config->rsa_key_size != 4096)
        schema_error(place, node, "rsa_key_size", "expected one of: 2048, 3072, 4096");
    if ((config->eab_kid.data == NULL) != (config->eab_hmac_key.data == NULL))
        schema_error(place, node, "", "all or none of these fields must be set: 'eab_kid', 'eab_hmac_key'");
    if (config->api_uri.data && is_lets_encrypt(config->api_uri) && !config->tos_accepted)
        schema_error(place, node, "tos_accepted",
                     "terms of service must be accepted, see https://letsencrypt.org/repository/");
}

/* --- certificates --------------------------------------------------------------------------------------- */

static bool is_named(const struct model *model, struct slice domain)
{
    for (uint32_t i = 0; i < model->snis.count; i++)
        if (slice_equal_nocase(model->snis.items[i]->entity.name, domain))
            return true;
    return false;
}

struct parts {
    struct certificate certificate;
    struct sni sni;
};

/* As if they had been configured. */
static bool add_certificate(struct model *model, struct slice domain, const struct acme_pair *pair)
{
    struct parts *parts = arena_alloc_zero(&model->arena, sizeof(*parts));
    struct certificate **certificates = model_reserve(
        model, model->certificates.items, model->certificates.count, &model->certificates.capacity);
    if (certificates)
        model->certificates.items = certificates;
    struct sni **snis = model_reserve(model, model->snis.items, model->snis.count, &model->snis.capacity);
    if (snis)
        model->snis.items = snis;
    if (parts == NULL || certificates == NULL || snis == NULL)
        return false;
    parts->certificate.cert = pair->chain;
    parts->certificate.key = pair->key;
    parts->certificate.not_after_s = acme_store_not_after_s(domain);
    parts->certificate.entity.index = model->certificates.count;
    uuid_random(NULL, parts->certificate.entity.id);
    parts->sni.entity.name = domain;
    parts->sni.entity.index = model->snis.count;
    parts->sni.certificate = &parts->certificate;
    uuid_random(NULL, parts->sni.entity.id);
    certificates[model->certificates.count++] = &parts->certificate;
    snis[model->snis.count++] = &parts->sni;
    return true;
}

static bool serving; /* set before other threads begin: `check` writes no files */

static bool link_certificates(struct model *model, struct plugin_instance *instance, struct report *report)
{
    const struct acme_config *config = instance->config;
    if (instance->route || instance->service)
        report_add(report, REPORT_ERROR, &instance->entity.position, "plugins",
                   "acme is for the whole gateway: neither for a route nor for a service");
    acme_store_place(config->storage == ACME_FILE ? config->storage_config.file.path
                                                  : (struct slice){ NULL, 0 });
    if (serving)
        acme_store_save();
    for (uint32_t i = 0; i < config->domains.count; i++) {
        struct slice domain = config->domains.items[i];
        struct acme_pair pair;
        acme_store_load(domain);
        if (!acme_store_find(domain, &model->arena, &pair))
            return false;
        if (pair.chain.data && !is_named(model, domain) && !add_certificate(model, domain, &pair))
            return false;
    }
    return true;
}

/* --- requests ------------------------------------------------------------------------------------------- */

static enum verdict acme_rewrite(const struct plugin_call *call)
{
    static const char start[] = "/.well-known/acme-challenge/";
    struct slice path = exchange_path(call->exchange);
    if (path.size < sizeof(start) || memcmp(path.data, start, sizeof(start) - 1) != 0)
        return VERDICT_CONTINUE;
    struct slice answer =
        acme_store_answer(slice_from(path, sizeof(start) - 1), exchange_arena(call->exchange));
    if (answer.data == NULL)
        return VERDICT_CONTINUE; /* somebody else's */
    return exchange_respond_body(call->exchange, 200, SLICE("text/plain"), answer);
}

/* --- the process ---------------------------------------------------------------------------------------- */

struct acme_process {
    bool taken; /* atomic: a shard has the worker */
};

struct acme_shard {
    struct acme_worker *worker; /* NULL: another shard's */
};

static void *open_process(unsigned shard_count)
{
    static struct acme_process process;
    (void)shard_count;
    __atomic_store_n(&process.taken, false, __ATOMIC_RELAXED);
    serving = true;
    return &process;
}

static enum error open_shard(struct shard *shard, void *process_state, void *shard_state)
{
    struct acme_process *process = process_state;
    struct acme_shard *state = shard_state;
    if (__atomic_exchange_n(&process->taken, true, __ATOMIC_ACQ_REL))
        return ERROR_OK;
    state->worker = acme_worker_open(shard);
    return state->worker ? ERROR_OK : ERROR_MEMORY;
}

static void close_shard(void *shard_state)
{
    struct acme_shard *state = shard_state;
    acme_worker_close(state->worker);
}

const struct plugin acme_plugin = {
    .kind = { .name = "acme",
              .priority = 1705,
              .config = { .name = "acme",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct acme_config),
                          .check = check_config },
              .forbids_consumer = true,
              .link = link_certificates },
    .on = { [PHASE_REWRITE] = acme_rewrite },
    .shard_state_size = sizeof(struct acme_shard),
    .process_open = open_process,
    .shard_open = open_shard,
    .shard_close = close_shard,
};
