/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's ldap-auth plugin: a username and a password that a directory accepts (a simple bind). No consumer
 * belongs to them. What a directory has said is remembered for a while, under a keyed hash. */
#include "config/kong/checks.h"
#include "core/crypto/hmac.h"
#include "core/crypto/random.h"
#include "core/crypto/uuid.h"
#include "net/ldap/ldap_client.h"
#include "plugins/authentication.h"
#include "plugins/plugins.h"

#include <stdlib.h>

/* --- configuration -------------------------------------------------------------------------------------- */

struct ldap_auth_config {
    struct slice ldap_host;
    int64_t ldap_port;
    bool ldaps, start_tls, verify_ldap_host;
    struct slice base_dn, attribute;
    double cache_ttl_s, timeout_ms, keepalive_ms;
    bool hide_credentials;
    struct slice anonymous;
    struct slice header_type;
    struct slice realm;
    struct slice challenge; /* prepared */
    struct slice identity; /* what answers are remembered for: the directory, and where names stand in it */
    struct ldap_target target;
};

#define OFFSET(member) offsetof(struct ldap_auth_config, member)
#define TIME_MAX_MS 2147483646.0

static const struct field config_fields[] = {
    { "ldap_host", FIELD_STRING, OFFSET(ldap_host), FIELD_REQUIRED, .check = kong_check_host,
      .help = "the directory" },
    { "ldap_port", FIELD_INTEGER, OFFSET(ldap_port), .max = 65535, .fallback = "389",
      .help = "its port; 636 is usual with ldaps" },
    { "ldaps", FIELD_BOOLEAN, OFFSET(ldaps), .fallback = "false", .help = "connect over TLS" },
    { "start_tls", FIELD_BOOLEAN, OFFSET(start_tls), FIELD_REQUIRED, .fallback = "false",
      .help = "begin TLS on the connection before anything else" },
    { "verify_ldap_host", FIELD_BOOLEAN, OFFSET(verify_ldap_host), FIELD_REQUIRED, .fallback = "false",
      .help = "with TLS: the certificate must be good, and for ldap_host" },
    { "base_dn", FIELD_STRING, OFFSET(base_dn), FIELD_REQUIRED, .help = "where the users are" },
    { "attribute", FIELD_STRING, OFFSET(attribute), FIELD_REQUIRED,
      .help = "what names a user: uid, cn ..." },
    { "cache_ttl", FIELD_NUMBER, OFFSET(cache_ttl_s), FIELD_REQUIRED, .fallback = "60",
      .help = "seconds for which an answer of the directory is remembered" },
    { "hide_credentials", FIELD_BOOLEAN, OFFSET(hide_credentials), FIELD_REQUIRED, .fallback = "false",
      .help = "do not send the header with the password upstream" },
    { "timeout", FIELD_NUMBER, OFFSET(timeout_ms), .max = TIME_MAX_MS, .fallback = "10000",
      .help = "milliseconds for an answer of the directory" },
    { "keepalive", FIELD_NUMBER, OFFSET(keepalive_ms), .max = TIME_MAX_MS, .fallback = "60000",
      .help = "milliseconds for which an idle connection is kept" },
    { "anonymous", FIELD_STRING, OFFSET(anonymous),
      .help = "id or username of the consumer that stands for failed authentication" },
    { "header_type", FIELD_STRING, OFFSET(header_type), .fallback = "ldap",
      .help = "the scheme in the Authorization header" },
    { "realm", FIELD_STRING, OFFSET(realm), .check = authentication_check_realm,
      .help = "the realm in WWW-Authenticate" },
};

static void prepare_target(struct ldap_auth_config *config)
{
    config->target = (struct ldap_target){
        .host = config->ldap_host,
        .port = (uint16_t)config->ldap_port,
        .protection = config->ldaps       ? LDAP_OVER_TLS
                      : config->start_tls ? LDAP_STARTS_TLS
                                          : LDAP_CLEAR,
        .verifies = config->verify_ldap_host,
        .timeout_ms = config->timeout_ms >= 0 ? (uint32_t)config->timeout_ms : 0,
        .keepalive_ms = config->keepalive_ms >= 0 ? (uint32_t)config->keepalive_ms : 0,
    };
}

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct ldap_auth_config *config = value;
    if (config->ldaps && config->start_tls)
        schema_error(place, node, "", "LDAPS and StartTLS cannot be enabled simultaneously.");
    if (config->cache_ttl_s < 0 || config->cache_ttl_s > TIME_MAX_MS)
        schema_error(place, node, "cache_ttl", "value should be between 0 and 2147483646");
    if (config->ldap_host.data == NULL || config->base_dn.data == NULL || config->attribute.data == NULL)
        return; /* reported already */
    prepare_target(config);
    /* Kong writes the scheme it has by default in capitals, and any other as it is. */
    struct slice scheme = slice_equal(config->header_type, SLICE("ldap"))
                              ? SLICE("LDAP")
                              : arena_copy(place->arena, config->header_type);
    config->identity = arena_format(place->arena, "%.*s %lld %d %.*s %.*s", SLICE_FORMAT(config->ldap_host),
                                    (long long)config->ldap_port, (int)config->target.protection,
                                    SLICE_FORMAT(config->attribute), SLICE_FORMAT(config->base_dn));
    if (scheme.data != NULL)
        config->challenge = authentication_challenge(place->arena, scheme.data, config->realm);
    if (config->challenge.data == NULL || config->identity.data == NULL)
        schema_error(place, node, "", "out of memory");
}

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    const struct ldap_auth_config *config = value;
    hosts[0] = config->ldap_host;
    return 1;
}

/* --- what directories have said ------------------------------------------------------------------------- */

enum { MEMORY_WAYS = 4, MEMORY_SETS = 1024 /* at most 4096 answers per shard */, MEMORY_KEY_BYTES = 16 };

struct remembered {
    unsigned char key[MEMORY_KEY_BYTES]; /* of an HMAC over directory, username and password */
    uint64_t until_ms; /* 0: empty */
    bool accepted;
};

struct ldap_shard {
    struct shard *shard;
    struct ldap_pool pool;
    struct hmac_key key; /* drawn at random */
    struct remembered *memory; /* MEMORY_SETS * MEMORY_WAYS; NULL until the first answer */
};

static struct remembered *set_of(const struct ldap_shard *state, const unsigned char *key)
{
    unsigned set = (key[0] | (unsigned)key[1] << 8) % MEMORY_SETS;
    return state->memory + (size_t)set * MEMORY_WAYS;
}

static const struct remembered *recall(const struct ldap_shard *state, const unsigned char *key)
{
    struct remembered *set = state->memory ? set_of(state, key) : NULL;
    for (unsigned i = 0; set && i < MEMORY_WAYS; i++)
        if (set[i].until_ms > state->shard->now_ms && memcmp(set[i].key, key, MEMORY_KEY_BYTES) == 0)
            return &set[i];
    return NULL;
}

/* In the place of the one that is the first to be forgotten anyway. */
static void remember(struct ldap_shard *state, const unsigned char *key, bool accepted, uint64_t until_ms)
{
    if (state->memory == NULL)
        state->memory = calloc((size_t)MEMORY_SETS * MEMORY_WAYS, sizeof(*state->memory));
    if (state->memory == NULL)
        return;
    struct remembered *set = set_of(state, key), *oldest = set;
    for (unsigned i = 0; i < MEMORY_WAYS; i++) {
        if (memcmp(set[i].key, key, MEMORY_KEY_BYTES) == 0)
            oldest = &set[i];
        else if (set[i].until_ms < oldest->until_ms && memcmp(oldest->key, key, MEMORY_KEY_BYTES) != 0)
            oldest = &set[i];
    }
    oldest->until_ms = until_ms;
    oldest->accepted = accepted;
    memcpy(oldest->key, key, MEMORY_KEY_BYTES);
}

/* --- what the client says ------------------------------------------------------------------------------- */

/* False: out of memory. An empty password is no password: a directory would take it for a visitor's and say
 * yes (RFC 4513 section 5.1.2). */
static bool read_login(const struct ldap_auth_config *config, struct exchange *exchange, struct slice value,
                       struct login *login)
{
    struct slice encoded = authentication_after_scheme(value, config->header_type);
    if (!authentication_read_login(exchange_arena(exchange), encoded, login))
        return false;
    if (login->password.size == 0)
        *login = (struct login){ { NULL, 0 }, { NULL, 0 } };
    return true;
}

/* RFC 4514 section 2.4: what would end the value or begin another is escaped, so that a name stays a name. */
static size_t escape_value(struct slice value, char *out)
{
    static const char digits[] = "0123456789abcdef";
    char *to = out;
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        bool edge = (i == 0 && (c == ' ' || c == '#')) || (i + 1 == value.size && c == ' ');
        if (c >= 0x20 && c != 0x7f && !edge && !strchr("\"+,;<=>\\", c)) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '\\';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    return (size_t)(to - out);
}

/* "uid=name,base"; absent when memory is exhausted. */
static struct slice make_dn(const struct ldap_auth_config *config, struct arena *arena, struct slice username)
{
    enum { ESCAPED_MAX = 3 };
    char *text =
        arena_alloc(arena, config->attribute.size + config->base_dn.size + ESCAPED_MAX * username.size + 2);
    if (text == NULL)
        return (struct slice){ NULL, 0 };
    size_t size = config->attribute.size;
    memcpy(text, config->attribute.data, size);
    text[size++] = '=';
    size += escape_value(username, text + size);
    text[size++] = ',';
    memcpy(text + size, config->base_dn.data, config->base_dn.size);
    return (struct slice){ text, size + config->base_dn.size };
}

/* --- requests ------------------------------------------------------------------------------------------- */

static const char *const header_names[] = { "Proxy-Authorization", "Authorization" };

struct ldap_exchange {
    struct ldap_bind bind;
    struct exchange *exchange;
    const struct ldap_auth_config *config;
    struct ldap_shard *state;
    unsigned next_header;
    struct login login;
    bool refused; /* by the directory, with one of the headers */
    unsigned char key[HMAC_MAX];
};

static enum verdict refuse(const struct ldap_exchange *asked)
{
    struct slice reason = asked->refused ? SLICE("refused by the directory") : SLICE("no credentials");
    struct authentication_refusal refusal = { asked->config->anonymous, asked->config->challenge,
                                              SLICE("Unauthorized"), reason };
    return authentication_refuse(asked->exchange, &refusal);
}

/* What stands for the login as long as the exchange lives; NULL when memory is exhausted. */
static const struct credential *make_credential(const struct ldap_exchange *asked)
{
    static const unsigned char space[UUID_BYTES] = { 0x2f, 0x1d, 0x9c, 0x4e, 0x5b, 0x7a, 0x5e, 0x63,
                                                     0x8c, 0x10, 0x6e, 0x57, 0x3a, 0x90, 0xd2, 0x4b };
    unsigned char id[UUID_BYTES];
    struct arena *arena = exchange_arena(asked->exchange);
    struct credential *credential = arena_alloc_zero(arena, sizeof(*credential));
    struct slice name = arena_format(arena, "%.*s %.*s", SLICE_FORMAT(asked->config->identity),
                                     SLICE_FORMAT(asked->login.username));
    if (credential == NULL || name.data == NULL || !uuid_of_name(space, name, id))
        return NULL;
    uuid_write(id, credential->entity.id);
    return credential;
}

static bool is_text(struct slice username)
{
    return authentication_check_realm(username) == NULL; /* it goes into a header */
}

static enum verdict pass(struct ldap_exchange *asked)
{
    struct exchange *exchange = asked->exchange;
    const struct credential *credential = make_credential(asked);
    if (credential == NULL || !exchange_authenticate(exchange, NULL, credential, asked->login.username))
        return exchange_respond_failure(exchange);
    for (unsigned i = 0; asked->config->hide_credentials && i < COUNT_OF(header_names); i++)
        exchange_remove_upstream_header(exchange, slice_of(header_names[i]));
    return VERDICT_CONTINUE;
}

static bool make_key(struct ldap_exchange *asked)
{
    const struct slice parts[] = { asked->config->identity, asked->login.username, asked->login.password };
    size_t size = 0;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        size += parts[i].size + 1;
    char *text = arena_alloc(exchange_arena(asked->exchange), size);
    if (text == NULL)
        return false;
    size = 0;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        memcpy(text + size, parts[i].data, parts[i].size);
        size += parts[i].size;
        text[size++] = '\n'; /* no username holds one: it would not be asked for */
    }
    hmac_sign(&asked->state->key, (struct slice){ text, size }, asked->key);
    explicit_bzero(text, size);
    return true;
}

static void answered(struct ldap_bind *bind, enum ldap_outcome outcome);

/* WAIT, or a failure. */
static enum verdict ask_directory(struct ldap_exchange *asked)
{
    struct exchange *exchange = asked->exchange;
    struct ldap_server *server =
        ldap_pool_find(&asked->state->pool, exchange_shard(exchange), &asked->config->target);
    asked->bind.dn = make_dn(asked->config, exchange_arena(exchange), asked->login.username);
    asked->bind.password = asked->login.password;
    asked->bind.done = answered;
    if (server == NULL || asked->bind.dn.data == NULL || ldap_bind_start(server, &asked->bind) != ERROR_OK)
        return exchange_respond_failure(exchange);
    return VERDICT_WAIT;
}

/* Header by header, until one is accepted or there is none left. */
static enum verdict judge(struct ldap_exchange *asked)
{
    while (asked->next_header < COUNT_OF(header_names)) {
        struct slice name = slice_of(header_names[asked->next_header++]);
        struct slice value = message_find_name(exchange_request(asked->exchange), name);
        if (!read_login(asked->config, asked->exchange, value, &asked->login))
            return exchange_respond_failure(asked->exchange);
        if (asked->login.username.data == NULL || !is_text(asked->login.username))
            continue;
        if (!make_key(asked))
            return exchange_respond_failure(asked->exchange);
        const struct remembered *known = recall(asked->state, asked->key);
        if (known == NULL)
            return ask_directory(asked);
        if (known->accepted)
            return pass(asked);
        asked->refused = true;
    }
    return refuse(asked);
}

static void answered(struct ldap_bind *bind, enum ldap_outcome outcome)
{
    struct ldap_exchange *asked = CONTAINER_OF(bind, struct ldap_exchange, bind);
    struct exchange *exchange = asked->exchange;
    uint64_t ttl_ms = (uint64_t)(asked->config->cache_ttl_s * 1000);
    enum verdict verdict = VERDICT_RESPOND;
    if (outcome == LDAP_FAILED) {
        verdict = exchange_respond_failure(exchange);
        exchange_explain(exchange, SLICE("no answer of the directory"));
    } else {
        asked->refused |= outcome == LDAP_REFUSED;
        remember(asked->state, asked->key, outcome == LDAP_ACCEPTED, asked->state->shard->now_ms + ttl_ms);
        verdict = outcome == LDAP_ACCEPTED ? pass(asked) : judge(asked);
    }
    if (verdict != VERDICT_WAIT)
        exchange_resume(exchange, verdict);
}

static enum verdict ldap_auth_access(const struct plugin_call *call)
{
    struct ldap_exchange *asked = call->exchange_state;
    asked->exchange = call->exchange;
    asked->config = call->config;
    asked->state = call->shard_state;
    if (authentication_is_done(asked->exchange, asked->config->anonymous))
        return VERDICT_CONTINUE;
    return judge(asked);
}

/* --- the shard ------------------------------------------------------------------------------------------ */

static enum error open_state(struct shard *shard, void *process_state, void *shard_state)
{
    (void)process_state;
    struct ldap_shard *state = shard_state;
    char secret[32];
    random_bytes(secret, sizeof(secret));
    hmac_key_init(&state->key, HMAC_SHA256, (struct slice){ secret, sizeof(secret) });
    explicit_bzero(secret, sizeof(secret));
    state->shard = shard;
    return ERROR_OK;
}

static void close_state(void *shard_state)
{
    struct ldap_shard *state = shard_state;
    ldap_pool_close(&state->pool);
    free(state->memory);
}

const struct plugin ldap_auth_plugin = {
    .kind = { .name = "ldap-auth",
              .priority = 1200,
              .config = { .name = "ldap-auth",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct ldap_auth_config),
                          .check = check_config },
              .forbids_consumer = true,
              .hosts_of = hosts_of },
    .on = { [PHASE_ACCESS] = ldap_auth_access },
    .shard_state_size = sizeof(struct ldap_shard),
    .exchange_state_size = sizeof(struct ldap_exchange),
    .shard_open = open_state,
    .shard_close = close_state,
};
