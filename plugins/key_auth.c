/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's key-auth plugin: a request needs a key that belongs to a consumer. */
#include "config/kong/checks.h"
#include "core/base/query.h"
#include "plugins/authentication.h"
#include "plugins/plugins.h"

/* --- credentials ---------------------------------------------------------------------------------------- */

struct key_credential {
    struct credential credential;
    struct slice key;
    int64_t ttl_s;
};

static const struct field key_fields[] = {
    { .name = "key",
      .type = FIELD_STRING,
      .offset = offsetof(struct key_credential, key),
      .flags = FIELD_SECRET | FIELD_VAULT,
      .help = "what a request has to show; unique; drawn at random when absent" },
    { .name = "ttl",
      .type = FIELD_INTEGER,
      .offset = offsetof(struct key_credential, ttl_s),
      .flags = FIELD_UNSUPPORTED,
      .help = "keys that expire need a database" },
};

static const struct schema key_schema = {
    .name = "keyauth_credentials",
    .fields = key_fields,
    .field_count = COUNT_OF(key_fields),
    .struct_size = sizeof(struct key_credential),
};

static const char *const key_aliases[] = { "key-auth", NULL };

static const struct credential_kind key_kind = {
    .name = "keyauth_credentials",
    .schema = &key_schema,
    .key_offset = offsetof(struct key_credential, key),
    .key_name = "key",
    .generate_key = true,
    .aliases = key_aliases,
};

/* --- configuration -------------------------------------------------------------------------------------- */

struct key_auth_config {
    struct slices key_names;
    bool key_in_header, key_in_query, key_in_body;
    bool hide_credentials;
    bool run_on_preflight;
    struct slice anonymous;
    struct slice realm;
    struct slice challenge; /* prepared */
};

#define OFFSET(member) offsetof(struct key_auth_config, member)

static const struct field config_fields[] = {
    { .name = "key_names",
      .type = FIELD_STRINGS,
      .offset = OFFSET(key_names),
      .fallback = "apikey",
      .check = kong_check_header_name,
      .help = "names of the headers and parameters that may carry a key; the first that is there counts" },
    { .name = "key_in_header",
      .type = FIELD_BOOLEAN,
      .offset = OFFSET(key_in_header),
      .fallback = "true",
      .help = "look in the headers" },
    { .name = "key_in_query",
      .type = FIELD_BOOLEAN,
      .offset = OFFSET(key_in_query),
      .fallback = "true",
      .help = "look in the query parameters" },
    { .name = "key_in_body",
      .type = FIELD_BOOLEAN,
      .offset = OFFSET(key_in_body),
      .fallback = "false",
      .help = "true is not supported yet" },
    { .name = "hide_credentials",
      .type = FIELD_BOOLEAN,
      .offset = OFFSET(hide_credentials),
      .fallback = "false",
      .help = "do not send the key upstream" },
    { .name = "anonymous",
      .type = FIELD_STRING,
      .offset = OFFSET(anonymous),
      .help = "id or username of the consumer that stands for failed authentication" },
    { .name = "run_on_preflight",
      .type = FIELD_BOOLEAN,
      .offset = OFFSET(run_on_preflight),
      .fallback = "true",
      .help = "false: OPTIONS requests pass without a key" },
    { .name = "realm",
      .type = FIELD_STRING,
      .offset = OFFSET(realm),
      .check = authentication_check_realm,
      .help = "the realm in WWW-Authenticate" },
};

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct key_auth_config *config = value;
    if (config->key_in_body)
        schema_error(place, node, "key_in_body", "not supported yet: keys in request bodies");
    config->challenge = authentication_challenge(place->arena, "Key", config->realm);
    if (config->challenge.data == NULL)
        schema_error(place, node, "realm", "out of memory");
}

/* --- requests ------------------------------------------------------------------------------------------- */

enum presence {
    KEY_NONE,
    KEY_ONE,
    KEY_SEVERAL,
    KEY_VALUELESS, /* a parameter without a "=": there, but no text */
    KEY_OUT_OF_MEMORY
};

static void add(enum presence *presence, struct slice *key, struct slice found)
{
    if (*presence != KEY_NONE) {
        *presence = KEY_SEVERAL;
        return;
    }
    *presence = found.data ? KEY_ONE : KEY_VALUELESS;
    *key = found;
}

static enum presence look_in_headers(const struct message *request, struct slice name, struct slice *key)
{
    enum presence presence = KEY_NONE;
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (header->name.data != NULL && slice_equal_nocase(header->name, name))
            add(&presence, key, header->value.data ? header->value : SLICE(""));
    }
    return presence;
}

static enum presence look_in_query(struct exchange *exchange, struct slice name, struct slice *key)
{
    enum presence presence = KEY_NONE;
    struct slice query = exchange_query(exchange);
    while (query.data != NULL) {
        struct slice value, pair = slice_split(query, '&', &query);
        struct slice escaped = slice_split(pair, '=', &value);
        if (query_names(escaped, name))
            add(&presence, key, value);
    }
    if (presence != KEY_ONE)
        return presence;
    *key = query_unescape(exchange_arena(exchange), *key);
    return key->data ? KEY_ONE : KEY_OUT_OF_MEMORY;
}

/* Name by name, each in all places, as Kong does: an empty header hides a parameter of its name. */
static enum presence find_key(const struct key_auth_config *config, struct exchange *exchange,
                              struct slice *name, struct slice *key)
{
    for (uint32_t i = 0; i < config->key_names.count; i++) {
        enum presence presence = KEY_NONE;
        *name = config->key_names.items[i];
        if (config->key_in_header)
            presence = look_in_headers(exchange_request(exchange), *name, key);
        if (presence == KEY_NONE && config->key_in_query)
            presence = look_in_query(exchange, *name, key);
        if (presence != KEY_NONE && presence != KEY_VALUELESS)
            return presence;
    }
    return KEY_NONE;
}

static bool hide(struct exchange *exchange, struct slice name)
{
    exchange_remove_upstream_header(exchange, name);
    if (exchange_query(exchange).data == NULL)
        return true;
    struct slice left = query_without(exchange_arena(exchange), exchange_query(exchange), name);
    if (left.data != NULL)
        exchange_set_upstream_query(exchange, left);
    return left.data != NULL;
}

static enum verdict refuse(const struct key_auth_config *config, struct exchange *exchange,
                           struct slice message)
{
    struct authentication_refusal refusal = { config->anonymous, config->challenge, message };
    return authentication_refuse(exchange, &refusal);
}

static enum verdict authenticate(const struct key_auth_config *config, struct exchange *exchange)
{
    struct slice name, key = { NULL, 0 };
    enum presence presence = find_key(config, exchange, &name, &key);
    if (presence == KEY_OUT_OF_MEMORY ||
        (presence == KEY_ONE && config->hide_credentials && !hide(exchange, name)))
        return exchange_respond_failure(exchange);
    if (presence == KEY_SEVERAL)
        return refuse(config, exchange, SLICE("Duplicate API key found"));
    if (key.size == 0)
        return refuse(config, exchange, SLICE("No API key found in request"));
    const struct credential *credential = model_credential(exchange_model(exchange), &key_kind, key);
    if (credential == NULL)
        return refuse(config, exchange, SLICE("Unauthorized"));
    return authentication_pass(exchange, credential, slice_of(credential->entity.id));
}

static enum verdict key_auth_access(const struct plugin_call *call)
{
    const struct key_auth_config *config = call->config;
    struct exchange *exchange = call->exchange;
    if (!config->run_on_preflight && slice_equal(exchange_request(exchange)->method, SLICE("OPTIONS")))
        return VERDICT_CONTINUE;
    if (authentication_is_done(exchange, config->anonymous))
        return VERDICT_CONTINUE;
    return authenticate(config, exchange);
}

const struct plugin key_auth_plugin = {
    .kind = { .name = "key-auth",
              .priority = 1250,
              .config = { .name = "key-auth",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct key_auth_config),
                          .check = check_config },
              .credentials = &key_kind,
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = key_auth_access },
};
