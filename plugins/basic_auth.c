/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's basic-auth plugin: a request needs the username and the password of a consumer (RFC 7617). Passwords
 * are kept as Kong stores them: the SHA-1 of the password followed by the consumer's id, in hexadecimal. */
#include "core/crypto/digest.h"
#include "plugins/authentication.h"
#include "plugins/plugins.h"

/* --- credentials ---------------------------------------------------------------------------------------- */

enum { HASH_SIZE = 41 };

struct basic_credential {
    struct credential credential;
    struct slice username;
    struct slice password; /* its hash, once the consumer is known */
    char hash[HASH_SIZE];
};

static const struct field basic_fields[] = {
    { .name = "username",
      .type = FIELD_STRING,
      .offset = offsetof(struct basic_credential, username),
      .flags = FIELD_REQUIRED,
      .help = "unique" },
    { .name = "password",
      .type = FIELD_STRING,
      .offset = offsetof(struct basic_credential, password),
      .flags = FIELD_REQUIRED | FIELD_SECRET | FIELD_VAULT,
      .help = "as it is, or hashed in a file with _transform: false" },
};

static bool hash_password(struct slice password, const struct consumer *consumer, char out[HASH_SIZE])
{
    enum { ID_SIZE = MODEL_ID_SIZE - 1 };
    char page[512];
    struct arena arena;
    /* A password comes from a header and may have any size up to a head's; long ones go to the heap. */
    arena_init(&arena, page, sizeof(page), (size_t)1024 * 1024);
    char *text = arena_alloc(&arena, password.size + ID_SIZE);
    bool good = text != NULL;
    if (good) {
        if (password.size > 0)
            memcpy(text, password.data, password.size);
        memcpy(text + password.size, consumer->entity.id, ID_SIZE);
        good = digest_hex(DIGEST_SHA1, (struct slice){ text, password.size + ID_SIZE }, out);
        explicit_bzero(text, password.size);
    }
    arena_deinit(&arena);
    return good;
}

static bool complete(struct credential *credential, enum secret_form form)
{
    struct basic_credential *basic = (struct basic_credential *)credential;
    if (form == SECRET_STORED)
        return true;
    if (!hash_password(basic->password, credential->consumer, basic->hash))
        return false;
    basic->password = slice_of(basic->hash);
    return true;
}

static const struct schema basic_schema = {
    .name = "basicauth_credentials",
    .fields = basic_fields,
    .field_count = COUNT_OF(basic_fields),
    .struct_size = sizeof(struct basic_credential),
};

static const char *const basic_aliases[] = { "basic-auth", NULL };

static const struct credential_kind basic_kind = {
    .name = "basicauth_credentials",
    .schema = &basic_schema,
    .key_offset = offsetof(struct basic_credential, username),
    .key_name = "username",
    .complete = complete,
    .aliases = basic_aliases,
};

/* --- configuration -------------------------------------------------------------------------------------- */

struct basic_auth_config {
    struct slice anonymous;
    bool hide_credentials;
    struct slice realm;
    struct slice challenge; /* prepared */
};

static const struct field config_fields[] = {
    { .name = "anonymous",
      .type = FIELD_STRING,
      .offset = offsetof(struct basic_auth_config, anonymous),
      .help = "id or username of the consumer that stands for failed authentication" },
    { .name = "hide_credentials",
      .type = FIELD_BOOLEAN,
      .offset = offsetof(struct basic_auth_config, hide_credentials),
      .fallback = "false",
      .help = "do not send the header with the password upstream" },
    { .name = "realm",
      .type = FIELD_STRING,
      .offset = offsetof(struct basic_auth_config, realm),
      .fallback = "service",
      .check = authentication_check_realm,
      .help = "the realm in WWW-Authenticate" },
};

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct basic_auth_config *config = value;
    config->challenge = authentication_challenge(place->arena, "Basic", config->realm);
    if (config->challenge.data == NULL)
        schema_error(place, node, "realm", "out of memory");
}

/* --- requests ------------------------------------------------------------------------------------------- */

/* What follows "Basic" or "basic" and space, Kong's pattern; absent for any other scheme. */
static struct slice encoded_login(struct slice value)
{
    enum { SCHEME_SIZE = 5 };
    if (value.size <= SCHEME_SIZE || (value.data[0] | 0x20) != 'b' ||
        memcmp(value.data + 1, "asic", SCHEME_SIZE - 1) != 0 ||
        (value.data[SCHEME_SIZE] != ' ' && value.data[SCHEME_SIZE] != '\t'))
        return (struct slice){ NULL, 0 };
    return slice_trim(slice_from(value, SCHEME_SIZE));
}

static const struct basic_credential *find_credential(const struct exchange *exchange,
                                                      const struct login *login)
{
    if (login->username.data == NULL)
        return NULL;
    return (const struct basic_credential *)model_credential(exchange_model(exchange), &basic_kind,
                                                             login->username);
}

enum result { RESULT_VERIFIED, RESULT_REFUSED, RESULT_FAILED };

static enum result verify(const struct basic_credential *credential, struct slice password)
{
    char hash[HASH_SIZE];
    if (!hash_password(password, credential->credential.consumer, hash))
        return RESULT_FAILED;
    return slice_equal_constant_time(slice_of(hash), credential->password) ? RESULT_VERIFIED : RESULT_REFUSED;
}

/* The first header that names a known user decides, as in Kong: a wrong password is not made good by the
 * other one. `flaw`: what to say of RESULT_REFUSED. */
static enum result judge(const struct basic_auth_config *config, struct exchange *exchange,
                         const struct basic_credential **credential, struct slice *flaw)
{
    *flaw = SLICE("no credentials");
    static const char *const names[] = { "Proxy-Authorization", "Authorization" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct slice name = slice_of(names[i]);
        struct login login;
        if (!authentication_read_login(exchange_arena(exchange),
                                       encoded_login(message_find_name(exchange_request(exchange), name)),
                                       &login))
            return RESULT_FAILED;
        if (config->hide_credentials)
            exchange_remove_upstream_header(exchange, name);
        if (login.username.data)
            *flaw = SLICE("no such user");
        *credential = find_credential(exchange, &login);
        if (*credential != NULL) {
            *flaw = SLICE("wrong password");
            return verify(*credential, login.password);
        }
    }
    return RESULT_REFUSED;
}

static enum verdict basic_auth_access(const struct plugin_call *call)
{
    const struct basic_auth_config *config = call->config;
    struct exchange *exchange = call->exchange;
    const struct basic_credential *credential = NULL;
    if (authentication_is_done(exchange, config->anonymous))
        return VERDICT_CONTINUE;
    struct slice flaw;
    switch (judge(config, exchange, &credential, &flaw)) {
    case RESULT_VERIFIED: return authentication_pass(exchange, &credential->credential, credential->username);
    case RESULT_REFUSED: {
        struct authentication_refusal refusal = { config->anonymous, config->challenge, SLICE("Unauthorized"),
                                                  flaw };
        return authentication_refuse(exchange, &refusal);
    }
    case RESULT_FAILED: break;
    }
    return exchange_respond_failure(exchange);
}

const struct plugin basic_auth_plugin = {
    .kind = { .name = "basic-auth",
              .priority = 1100,
              .config = { .name = "basic-auth",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct basic_auth_config),
                          .check = check_config },
              .credentials = &basic_kind,
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = basic_auth_access },
};
