/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's key-auth plugin: a request needs a key that belongs to a consumer. */
#include "config/kong/checks.h"
#include "core/base/query.h"
#include "net/proxy/exchange_body.h"
#include "plugins/authentication.h"
#include "plugins/body_arguments.h"
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
    { .name = "hide_credentials",
      .type = FIELD_BOOLEAN,
      .offset = OFFSET(hide_credentials),
      .fallback = "false",
      .help = "do not send the key upstream" },
    { .name = "anonymous",
      .type = FIELD_STRING,
      .offset = OFFSET(anonymous),
      .help = "id or username of the consumer that stands for failed authentication" },
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
      .help = "look in forms, JSON objects and multipart forms; the body is read before anything is sent" },
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
    config->challenge = authentication_challenge(place->arena, "Key", config->realm);
    if (config->challenge.data == NULL)
        schema_error(place, node, "realm", "out of memory");
}

/* --- requests ------------------------------------------------------------------------------------------- */

enum presence {
    KEY_NONE,
    KEY_ONE,
    KEY_SEVERAL,
    KEY_VALUELESS, /* a parameter without a "=" or without a text: there, but no key */
    KEY_LATER, /* the body has to be read first */
    KEY_OUT_OF_MEMORY
};

struct search {
    const struct key_auth_config *config;
    struct exchange *exchange;
    struct slice name, key; /* what was found */
    bool has_body; /* `body` is to be closed */
    struct body_arguments body;
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

static enum presence look_in_headers(struct search *search)
{
    const struct message *request = exchange_request(search->exchange);
    enum presence presence = KEY_NONE;
    if (!message_may_have(request, message_header_id(search->name), search->name))
        return KEY_NONE;
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (header->name.data != NULL && slice_equal_nocase(header->name, search->name))
            add(&presence, &search->key, header->value.data ? header->value : SLICE(""));
    }
    return presence;
}

static enum presence look_in_query(struct search *search)
{
    enum presence presence = KEY_NONE;
    struct slice query = exchange_query(search->exchange);
    while (query.data != NULL) {
        struct slice value, pair = slice_split(query, '&', &query);
        struct slice escaped = slice_split(pair, '=', &value);
        if (query_names(escaped, search->name))
            add(&presence, &search->key, value);
    }
    if (presence != KEY_ONE)
        return presence;
    search->key = query_unescape(exchange_arena(search->exchange), search->key);
    return search->key.data ? KEY_ONE : KEY_OUT_OF_MEMORY;
}

/* KEY_NONE: the body is there, as far as it can be. */
static enum presence open_body(struct search *search)
{
    struct slice body;
    if (search->has_body)
        return KEY_NONE;
    switch (exchange_read_body(search->exchange, UINT64_MAX, &body)) {
    case BODY_LATER: return KEY_LATER;
    case BODY_FAILED: return KEY_OUT_OF_MEMORY;
    case BODY_TOO_LONG: body = SLICE(""); break; /* its keys are not found, as in Kong */
    case BODY_READ: break;
    }
    search->has_body = true;
    body_arguments_open(&search->body, exchange_request(search->exchange), body);
    return search->body.failed ? KEY_OUT_OF_MEMORY : KEY_NONE;
}

static enum presence look_in_body(struct search *search)
{
    const struct body_argument *argument;
    uint32_t from = 0;
    enum presence presence = open_body(search);
    if (presence != KEY_NONE || search->body.kind == BODY_ARGUMENTS_NONE)
        return presence;
    while ((argument = body_arguments_next(&search->body, search->name, &from)) != NULL) {
        bool text = argument->type == BODY_VALUE_TEXT;
        if (argument->type == BODY_VALUE_JSON && strchr("[{", argument->value.data[0]))
            return KEY_SEVERAL;
        add(&presence, &search->key, text ? argument->value : (struct slice){ NULL, 0 });
    }
    return presence;
}

static enum presence look_for_name(struct search *search)
{
    enum presence presence = KEY_NONE;
    if (search->config->key_in_header)
        presence = look_in_headers(search);
    if (presence == KEY_NONE && search->config->key_in_query)
        presence = look_in_query(search);
    if (presence == KEY_NONE && search->config->key_in_body)
        presence = look_in_body(search);
    return presence;
}

/* Name by name, each in all places, as Kong does: an empty header hides a parameter of its name. */
static enum presence find_key(struct search *search)
{
    const struct slices *names = &search->config->key_names;
    for (uint32_t i = 0; i < names->count; i++) {
        search->name = names->items[i];
        enum presence presence = look_for_name(search);
        if (presence != KEY_NONE && presence != KEY_VALUELESS)
            return presence;
    }
    return KEY_NONE;
}

static bool hide_in_body(struct search *search)
{
    if (!search->has_body || search->body.kind == BODY_ARGUMENTS_NONE ||
        body_arguments_remove(&search->body, search->name) == 0)
        return true;
    struct slice left = body_arguments_write(&search->body);
    return left.data != NULL && exchange_set_body(search->exchange, left);
}

static bool hide(struct search *search)
{
    struct exchange *exchange = search->exchange;
    exchange_remove_upstream_header(exchange, search->name);
    if (!hide_in_body(search))
        return false;
    if (exchange_query(exchange).data == NULL)
        return true;
    struct slice left = query_without(exchange_arena(exchange), exchange_query(exchange), search->name);
    if (left.data != NULL)
        exchange_set_upstream_query(exchange, left);
    return left.data != NULL;
}

static const struct slice absent = { NULL, 0 };

/* reason: absent where the message says it. */
static enum verdict refuse(const struct search *search, struct slice message, struct slice reason)
{
    struct authentication_refusal refusal = { search->config->anonymous, search->config->challenge, message,
                                              reason };
    return authentication_refuse(search->exchange, &refusal);
}

static enum verdict judge(struct search *search)
{
    bool hides = search->config->hide_credentials;
    enum presence presence = find_key(search);
    if (presence == KEY_ONE && hides && search->config->key_in_body) {
        enum presence body = open_body(search); /* before anything is changed: the handler may run again */
        presence = body == KEY_NONE ? KEY_ONE : body;
    }
    if (presence == KEY_LATER)
        return VERDICT_READ_BODY;
    if (presence == KEY_OUT_OF_MEMORY || (presence == KEY_ONE && hides && !hide(search)))
        return exchange_respond_failure(search->exchange);
    if (presence == KEY_SEVERAL)
        return refuse(search, SLICE("Duplicate API key found"), absent);
    if (presence != KEY_ONE || search->key.size == 0)
        return refuse(search, SLICE("No API key found in request"), absent);
    const struct credential *credential =
        model_credential(exchange_model(search->exchange), &key_kind, search->key);
    if (credential == NULL)
        return refuse(search, SLICE("Unauthorized"), SLICE("no such key"));
    return authentication_pass(search->exchange, credential, slice_of(credential->entity.id));
}

static enum verdict authenticate(const struct key_auth_config *config, struct exchange *exchange)
{
    struct search search = { .config = config, .exchange = exchange };
    enum verdict verdict = judge(&search);
    if (search.has_body)
        body_arguments_close(&search.body);
    return verdict;
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
