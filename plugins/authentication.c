/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/authentication.h"

#include "core/crypto/base64.h"

#include "core/crypto/random.h"

const char *authentication_check_realm(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return "invalid value: control characters are not allowed";
    return NULL;
}

struct slice authentication_challenge(struct arena *arena, const char *scheme, struct slice realm)
{
    if (realm.data == NULL)
        return slice_of(scheme);
    size_t bytes;
    char *quoted =
        __builtin_mul_overflow(realm.size, (size_t)2, &bytes) ? NULL : arena_alloc(arena, bytes + 1);
    if (quoted == NULL)
        return (struct slice){ NULL, 0 };
    size_t size = 0;
    for (size_t i = 0; i < realm.size; i++) {
        if (realm.data[i] == '"' || realm.data[i] == '\\')
            quoted[size++] = '\\';
        quoted[size++] = realm.data[i];
    }
    quoted[size] = '\0';
    return arena_format(arena, "%s realm=\"%s\"", scheme, quoted);
}

bool authentication_draw_secret(struct arena *arena, struct slice *secret)
{
    enum { GENERATED_SIZE = 32 };
    char generated[GENERATED_SIZE + 1];
    if (secret->data == NULL) {
        random_alphanumeric(generated, GENERATED_SIZE);
        *secret = arena_copy(arena, slice_of(generated));
    }
    return secret->data != NULL;
}

bool authentication_is_done(const struct exchange *exchange, struct slice anonymous)
{
    return anonymous.data != NULL && exchange_credential(exchange) != NULL;
}

enum verdict authentication_pass(struct exchange *exchange, const struct credential *credential,
                                 struct slice identifier)
{
    CHECK(credential->consumer != NULL); /* a credential without one never gets into a model */
    if (!exchange_authenticate(exchange, credential->consumer, credential, identifier))
        return exchange_respond_failure(exchange);
    return VERDICT_CONTINUE;
}

enum verdict authentication_pass_anonymous(struct exchange *exchange, struct slice anonymous)
{
    const struct consumer *consumer = model_consumer(exchange_model(exchange), anonymous);
    struct slice nothing = { NULL, 0 };
    /* Kong 3.9 keeps the name of the missing consumer to itself. */
    if (consumer == NULL || !exchange_authenticate(exchange, consumer, NULL, nothing))
        return exchange_respond_failure(exchange);
    return VERDICT_CONTINUE;
}

enum verdict authentication_refuse(struct exchange *exchange, const struct authentication_refusal *refusal)
{
    if (refusal->anonymous.data != NULL)
        return authentication_pass_anonymous(exchange, refusal->anonymous);
    if (!exchange_set_response_header(exchange, SLICE("WWW-Authenticate"), refusal->challenge))
        return exchange_respond_failure(exchange);
    enum verdict verdict = exchange_respond_error(exchange, 401, refusal->message);
    if (refusal->reason.data)
        exchange_explain(exchange, refusal->reason);
    return verdict;
}

struct slice authentication_after_scheme(struct slice value, struct slice scheme)
{
    value = slice_trim(value);
    struct slice begin = { value.data, value.size < scheme.size ? value.size : scheme.size };
    if (!slice_equal_nocase(begin, scheme) || value.size == scheme.size)
        return (struct slice){ NULL, 0 };
    struct slice rest = slice_from(value, scheme.size);
    return rest.data[0] == ' ' || rest.data[0] == '\t' ? slice_trim(rest) : (struct slice){ NULL, 0 };
}

bool authentication_read_login(struct arena *arena, struct slice encoded, struct login *login)
{
    enum { QUANTUM = 4 };
    struct slice rest, decoded;
    *login = (struct login){ { NULL, 0 }, { NULL, 0 } };
    encoded = slice_split(encoded, '=', &rest);
    if (encoded.size == 0)
        return true;
    char *text = arena_alloc(arena, encoded.size + QUANTUM);
    if (text == NULL)
        return false;
    memcpy(text, encoded.data, encoded.size);
    while (encoded.size % QUANTUM != 0)
        text[encoded.size++] = '=';
    decoded.data = text;
    if (!base64_decode(BASE64_STANDARD, (struct slice){ text, encoded.size }, text, &decoded.size))
        return true;
    struct slice password, username = slice_split(decoded, ':', &password);
    if (username.size > 0 && password.data != NULL)
        *login = (struct login){ username, password };
    return true;
}
