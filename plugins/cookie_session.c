/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/cookie_session.h"

#include "core/crypto/base64.h"
#include "core/crypto/random.h"
#include "core/io/shard.h"
#include "net/http/cookie.h"
#include "net/proxy/exchange_edit.h"

#include <pthread.h>

/* A cookie's value: the number of cookies as a digit and a dot in the first one, then base64url of
 *   version (1) | reserved (1) | began, renewed, seen (8 each) | the sealed payload
 * where the clocks, the audience and the cookie's name are bound to the seal. */
enum { VERSION = 1, CLOCKS_BYTES = 26, PART_BYTES = 3840, PREFIX_BYTES = 2 };

const char *const cookie_session_same_sites[] = { "Strict", "Lax", "None", "Default", NULL };

/* --- configuration -------------------------------------------------------------------------------------- */

const char *cookie_session_check_name(struct slice text)
{
    return text.size <= 64 && action_is_field_name(text) ? NULL : "not the name of a cookie";
}

const char *cookie_session_check_attribute(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] <= 0x20 || text.data[i] == 0x7f || text.data[i] == ';')
            return "spaces, semicolons and control characters are not allowed";
    return NULL;
}

static unsigned char drawn[SEAL_KEY_BYTES];

static void draw(void)
{
    random_bytes(drawn, sizeof(drawn));
}

void cookie_session_prepare(struct cookie_session_config *config)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct slice secret = config->secret;
    if (secret.data == NULL) {
        (void)pthread_once(&once, draw);
        secret = (struct slice){ (const char *)drawn, sizeof(drawn) };
    }
    seal_key_init(&config->key, secret, SLICE("sluice session cookie 1"));
}

/* --- the value ------------------------------------------------------------------------------------------ */

static void put_u64(unsigned char *out, int64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)((uint64_t)value >> (56 - 8 * i));
}

static int64_t get_u64(const unsigned char *in)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | in[i];
    return (int64_t)value;
}

/* What the seal is bound to; absent when memory is exhausted. */
static struct slice bound_of(const struct cookie_session_config *config, struct arena *arena,
                             struct slice name, const unsigned char *clocks)
{
    size_t size = CLOCKS_BYTES + config->audience.size + name.size + 1;
    char *text = arena_alloc(arena, size);
    if (text == NULL)
        return (struct slice){ NULL, 0 };
    memcpy(text, clocks, CLOCKS_BYTES);
    memcpy(text + CLOCKS_BYTES, name.data, name.size);
    text[CLOCKS_BYTES + name.size] = '\0'; /* no name holds one */
    if (config->audience.size)
        memcpy(text + CLOCKS_BYTES + name.size + 1, config->audience.data, config->audience.size);
    return (struct slice){ text, size };
}

/* "name", "name2" ... */
static struct slice part_name(struct arena *arena, struct slice name, unsigned index)
{
    return index == 0 ? name : arena_format(arena, "%.*s%u", SLICE_FORMAT(name), index + 1);
}

/* The value of all its cookies together, without the count. Absent: not there as a whole. */
static enum cookie_session_state gather(struct exchange *exchange, struct slice name, struct slice *value)
{
    const struct message *request = exchange_request(exchange);
    struct arena *arena = exchange_arena(exchange);
    struct slice first = cookie_find(request, name);
    if (first.size <= PREFIX_BYTES || first.data[0] < '1' || first.data[0] > '9' || first.data[1] != '.')
        return COOKIE_SESSION_NONE;
    unsigned count = (unsigned)(first.data[0] - '0');
    *value = slice_from(first, PREFIX_BYTES);
    for (unsigned i = 1; i < count; i++) {
        struct slice its_name = part_name(arena, name, i);
        if (its_name.data == NULL)
            return COOKIE_SESSION_FAILED;
        struct slice part = cookie_find(request, its_name);
        if (part.data == NULL)
            return COOKIE_SESSION_NONE;
        *value = arena_format(arena, "%.*s%.*s", SLICE_FORMAT(*value), SLICE_FORMAT(part));
        if (value->data == NULL)
            return COOKIE_SESSION_FAILED;
    }
    return COOKIE_SESSION_OPEN;
}

static enum cookie_session_state unseal(const struct cookie_session_config *config, struct exchange *exchange,
                                        struct slice name, struct cookie_session *session)
{
    struct arena *arena = exchange_arena(exchange);
    struct slice value;
    enum cookie_session_state state = gather(exchange, name, &value);
    if (state != COOKIE_SESSION_OPEN)
        return state;
    unsigned char *bytes = arena_alloc(arena, base64_decoded_bound(value.size));
    size_t size;
    if (bytes == NULL)
        return COOKIE_SESSION_FAILED;
    if (!base64_decode(BASE64_URL, value, bytes, &size) || size < CLOCKS_BYTES + SEAL_OVERHEAD_BYTES ||
        bytes[0] != VERSION)
        return COOKIE_SESSION_NONE;
    struct slice sealed = { (const char *)bytes + CLOCKS_BYTES, size - CLOCKS_BYTES };
    struct slice bound = bound_of(config, arena, name, bytes);
    unsigned char *text = arena_alloc(arena, sealed.size - SEAL_OVERHEAD_BYTES + 1);
    if (bound.data == NULL || text == NULL)
        return COOKIE_SESSION_FAILED;
    if (!seal_open(&config->key, sealed, bound, text))
        return COOKIE_SESSION_NONE;
    *session = (struct cookie_session){
        .payload = { (const char *)text, sealed.size - SEAL_OVERHEAD_BYTES },
        .began_s = get_u64(bytes + 2),
        .renewed_s = get_u64(bytes + 10),
        .seen_s = get_u64(bytes + 18),
    };
    return COOKIE_SESSION_OPEN;
}

/* --- clocks --------------------------------------------------------------------------------------------- */

static int64_t now_s(struct exchange *exchange)
{
    return (int64_t)(exchange_shard(exchange)->wall_ms / 1000);
}

static bool is_over(int64_t from_s, int64_t timeout_s, int64_t now)
{
    return timeout_s > 0 && now - from_s >= timeout_s;
}

static enum cookie_session_state open_either(const struct cookie_session_config *config,
                                             struct exchange *exchange, struct cookie_session *session)
{
    int64_t now = now_s(exchange);
    enum cookie_session_state state = unseal(config, exchange, config->cookie_name, session);
    if (state == COOKIE_SESSION_FAILED)
        return state;
    if (state == COOKIE_SESSION_OPEN && !is_over(session->seen_s, config->idling_s, now) &&
        !is_over(session->renewed_s, config->rolling_s, now) &&
        !is_over(session->began_s, config->absolute_s, now))
        return COOKIE_SESSION_OPEN;
    if (!config->remember)
        return COOKIE_SESSION_NONE;
    state = unseal(config, exchange, config->remember_cookie_name, session);
    if (state != COOKIE_SESSION_OPEN)
        return state;
    session->brought_back = true;
    return is_over(session->renewed_s, config->remember_rolling_s, now) ||
                   is_over(session->began_s, config->remember_absolute_s, now)
               ? COOKIE_SESSION_NONE
               : COOKIE_SESSION_OPEN;
}

enum cookie_session_state cookie_session_open(const struct cookie_session_config *config,
                                              struct exchange *exchange, struct cookie_session *session)
{
    enum cookie_session_state state = open_either(config, exchange, session);
    if (state !=
        COOKIE_SESSION_OPEN) /* whoever saves a new one must not inherit the clocks of one that is over */
        *session = (struct cookie_session){ .payload = { NULL, 0 } };
    return state;
}

bool cookie_session_is_due(const struct cookie_session_config *config, struct exchange *exchange,
                           const struct cookie_session *session)
{
    int64_t now = now_s(exchange);
    return session->brought_back || is_over(session->seen_s, config->idling_s / 4, now) ||
           is_over(session->renewed_s, config->rolling_s / 4 * 3, now);
}

/* --- cookies -------------------------------------------------------------------------------------------- */

/* What follows the value; absent when memory is exhausted. */
static struct slice attributes(const struct cookie_session_config *config, struct arena *arena, int64_t age_s)
{
    struct slice age = SLICE(""), domain = SLICE("");
    if (age_s >= 0)
        age = arena_format(arena, "; Max-Age=%lld", (long long)age_s);
    if (config->cookie_domain.data)
        domain = arena_format(arena, "; Domain=%.*s", SLICE_FORMAT(config->cookie_domain));
    if (age.data == NULL || domain.data == NULL)
        return age;
    bool none = config->same_site == SAME_SITE_DEFAULT;
    return arena_format(arena, "; Path=%.*s%.*s%.*s%s%s%s%s", SLICE_FORMAT(config->cookie_path),
                        SLICE_FORMAT(domain), SLICE_FORMAT(age),
                        none ? "" : "; SameSite=", none ? "" : cookie_session_same_sites[config->same_site],
                        config->secure ? "; Secure" : "", config->http_only ? "; HttpOnly" : "");
}

static bool send_cookie(struct exchange *exchange, struct slice name, struct slice value, struct slice tail)
{
    struct slice text = arena_format(exchange_arena(exchange), "%.*s=%.*s%.*s", SLICE_FORMAT(name),
                                     SLICE_FORMAT(value), SLICE_FORMAT(tail));
    return text.data && exchange_add_response_header(exchange, SLICE("Set-Cookie"), text);
}

/* The cookies of that name from `from` on which the client has sent: they are dropped. */
static bool drop(const struct cookie_session_config *config, struct exchange *exchange, struct slice name,
                 unsigned from)
{
    struct arena *arena = exchange_arena(exchange);
    struct slice tail = attributes(config, arena, 0);
    bool enough = tail.data != NULL;
    for (unsigned i = from; enough && i < COOKIE_SESSION_PARTS_MAX; i++) {
        struct slice part = part_name(arena, name, i);
        enough = part.data != NULL;
        if (enough && cookie_find(exchange_request(exchange), part).data)
            enough = send_cookie(exchange, part, SLICE(""), tail);
    }
    return enough;
}

static bool send_parts(const struct cookie_session_config *config, struct exchange *exchange,
                       struct slice name, struct slice value, int64_t age_s)
{
    struct arena *arena = exchange_arena(exchange);
    size_t count = (value.size + PART_BYTES - 1) / PART_BYTES;
    struct slice tail = attributes(config, arena, age_s);
    bool enough = tail.data != NULL && count <= COOKIE_SESSION_PARTS_MAX;
    for (unsigned i = 0; enough && i < count; i++) {
        struct slice part = { value.data, value.size < PART_BYTES ? value.size : PART_BYTES };
        struct slice its_name = part_name(arena, name, i);
        value = slice_from(value, part.size);
        if (i == 0)
            part = arena_format(arena, "%zu.%.*s", count, SLICE_FORMAT(part));
        enough = part.data && its_name.data && send_cookie(exchange, its_name, part, tail);
    }
    return enough && drop(config, exchange, name, (unsigned)count);
}

static bool save_as(const struct cookie_session_config *config, struct exchange *exchange, struct slice name,
                    const struct cookie_session *session)
{
    struct arena *arena = exchange_arena(exchange);
    int64_t now = now_s(exchange);
    bool remembering = !slice_equal(name, config->cookie_name);
    size_t size = CLOCKS_BYTES + session->payload.size + SEAL_OVERHEAD_BYTES;
    if (session->payload.size > (size_t)COOKIE_SESSION_PARTS_MAX * PART_BYTES)
        return false;
    unsigned char *bytes = arena_alloc_zero(arena, size);
    char *text = arena_alloc(arena, base64_encoded_size(BASE64_URL, size));
    if (bytes == NULL || text == NULL)
        return false;
    bytes[0] = VERSION;
    put_u64(bytes + 2, session->began_s ? session->began_s : now);
    put_u64(bytes + 10, now);
    put_u64(bytes + 18, now);
    struct slice bound = bound_of(config, arena, name, bytes);
    if (bound.data == NULL || !seal_close(&config->key, session->payload, bound, bytes + CLOCKS_BYTES))
        return false;
    struct slice value = { text, base64_encode(BASE64_URL, (struct slice){ (char *)bytes, size }, text) };
    return send_parts(config, exchange, name, value, remembering ? config->remember_rolling_s : -1);
}

bool cookie_session_save(const struct cookie_session_config *config, struct exchange *exchange,
                         const struct cookie_session *session)
{
    return save_as(config, exchange, config->cookie_name, session) &&
           (!config->remember || save_as(config, exchange, config->remember_cookie_name, session));
}

bool cookie_session_end(const struct cookie_session_config *config, struct exchange *exchange)
{
    return drop(config, exchange, config->cookie_name, 0) &&
           (!config->remember || drop(config, exchange, config->remember_cookie_name, 0));
}

static bool is_part_of(struct slice found, struct slice name)
{
    if (!slice_starts_with(found, name))
        return false;
    struct slice rest = slice_from(found, name.size);
    return rest.size == 0 || (rest.size == 1 && rest.data[0] >= '2' && rest.data[0] <= '9');
}

static bool is_session(const void *context, struct slice name)
{
    const struct cookie_session_config *config = context;
    return is_part_of(name, config->cookie_name) ||
           (config->remember && is_part_of(name, config->remember_cookie_name));
}

bool cookie_session_hide(const struct cookie_session_config *config, struct exchange *exchange)
{
    struct slice left;
    struct cookie_choice choice = { is_session, config };
    if (!cookie_others(exchange_arena(exchange), exchange_request(exchange), &choice, &left))
        return false;
    if (left.data == NULL)
        return true;
    if (left.size > 0)
        return exchange_set_upstream_header(exchange, SLICE("Cookie"), left);
    exchange_remove_upstream_header(exchange, SLICE("Cookie"));
    return true;
}
