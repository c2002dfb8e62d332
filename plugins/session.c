/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's session plugin: whoever has been authenticated once gets a sealed cookie, and is known by it
 * afterwards. */
#include "core/base/query.h"
#include "core/crypto/digest.h"
#include "core/crypto/random.h"
#include "core/io/shard.h"
#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/authentication.h"
#include "plugins/body_arguments.h"
#include "plugins/cookie_session.h"
#include "plugins/plugins.h"

/* --- configuration -------------------------------------------------------------------------------------- */

enum session_fact {
    FACT_ID,
    FACT_AUDIENCE,
    FACT_SUBJECT,
    FACT_TIMEOUT,
    FACT_IDLING,
    FACT_ROLLING,
    FACT_ABSOLUTE
};

static const char *const fact_names[] = {
    "id", "audience", "subject", "timeout", "idling-timeout", "rolling-timeout", "absolute-timeout", NULL
};
static const char *const fact_headers[] = { "Session-Id",
                                            "Session-Audience",
                                            "Session-Subject",
                                            "Session-Timeout",
                                            "Session-Idling-Timeout",
                                            "Session-Rolling-Timeout",
                                            "Session-Absolute-Timeout" };

enum session_storage { STORAGE_COOKIE, STORAGE_KONG };
static const char *const storage_names[] = { "cookie", "kong", NULL };

static const char *const method_names[] = { "GET", "POST", "DELETE", NULL };

struct session_config {
    struct cookie_session_config cookie;
    int storage; /* enum session_storage */
    int64_t stale_ttl_s;
    uint64_t request_headers, response_headers; /* a bit per enum session_fact */
    uint64_t logout_methods; /* a bit per name above */
    struct slice logout_query_arg, logout_post_arg;
    bool read_body_for_logout;
    bool hash_subject, store_metadata;
};

#define OFFSET(member) offsetof(struct session_config, member)

static const struct field config_fields[] = {
    COOKIE_SESSION_FIELDS("", struct session_config, cookie, "Strict"),
    { "storage", FIELD_CHOICE, OFFSET(storage), .fallback = "cookie", .choices = storage_names,
      .help = "where sessions are kept: cookie" },
    { "stale_ttl", FIELD_INTEGER, OFFSET(stale_ttl_s), .max = 315360000, .fallback = "10",
      .help = "for storages that keep sessions; without effect with cookies" },
    { "request_headers", FIELD_CHOICES, OFFSET(request_headers), .choices = fact_names,
      .help = "what the upstream is told of the session" },
    { "response_headers", FIELD_CHOICES, OFFSET(response_headers), .choices = fact_names,
      .help = "what the client is told of it" },
    { "logout_methods", FIELD_CHOICES, OFFSET(logout_methods), .fallback = "POST,DELETE",
      .choices = method_names, .help = "requests that may end a session" },
    { "logout_query_arg", FIELD_STRING, OFFSET(logout_query_arg), .fallback = "session_logout",
      .help = "a parameter of the query that does" },
    { "logout_post_arg", FIELD_STRING, OFFSET(logout_post_arg), .fallback = "session_logout",
      .help = "an argument of a form that does, with read_body_for_logout" },
    { "read_body_for_logout", FIELD_BOOLEAN, OFFSET(read_body_for_logout), .fallback = "false",
      .help = "look for logout_post_arg" },
    { "hash_subject", FIELD_BOOLEAN, OFFSET(hash_subject), .fallback = "false",
      .help = "keep and tell the SHA-256 of the subject instead of it" },
    { "store_metadata", FIELD_BOOLEAN, OFFSET(store_metadata), .fallback = "false",
      .help = "for storages that keep sessions; without effect with cookies" },
};

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct session_config *config = value;
    if (config->storage == STORAGE_KONG)
        schema_error(place, node, "storage", "not supported: sessions in a database");
    cookie_session_prepare(&config->cookie);
}

/* --- what a session says -------------------------------------------------------------------------------- */

/* The payload is these texts, a line each; none of them holds a line's end. */
struct session_data {
    struct slice id, subject, consumer, credential;
    struct slice groups; /* the rest: a line each */
};

static struct session_data read_data(struct slice payload)
{
    struct session_data data;
    data.id = slice_split(payload, '\n', &payload);
    data.subject = slice_split(payload, '\n', &payload);
    data.consumer = slice_split(payload, '\n', &payload);
    data.credential = slice_split(payload, '\n', &payload);
    data.groups = payload;
    return data;
}

static bool is_line(struct slice text)
{
    return text.size == 0 || memchr(text.data, '\n', text.size) == NULL;
}

/* Those that can be written as a line. */
static struct slice join_groups(struct arena *arena, struct slices groups)
{
    size_t size = 0;
    for (uint32_t i = 0; i < groups.count; i++)
        size += groups.items[i].size + 1;
    char *text = arena_alloc(arena, size + 1);
    size = 0;
    for (uint32_t i = 0; text && i < groups.count; i++) {
        if (!is_line(groups.items[i]))
            continue;
        text[size++] = '\n';
        if (groups.items[i].size > 0)
            memcpy(text + size, groups.items[i].data, groups.items[i].size);
        size += groups.items[i].size;
    }
    return (struct slice){ text, size };
}

/* False: out of memory. */
static bool restore_groups(struct exchange *exchange, struct slice lines)
{
    uint32_t count = lines.data != NULL;
    for (size_t i = 0; i < lines.size; i++)
        count += lines.data[i] == '\n';
    struct slice *items = arena_array(exchange_arena(exchange), count + 1, sizeof(*items));
    for (uint32_t i = 0; items && i < count; i++)
        items[i] = slice_split(lines, '\n', &lines);
    if (items && count > 0)
        exchange_set_groups(exchange, (struct slices){ items, count });
    return items != NULL;
}

/* Whom the session is about; absent when memory is exhausted. */
static struct slice subject_of(const struct session_config *config, struct arena *arena,
                               const struct consumer *consumer)
{
    char hex[DIGEST_HEX_MAX];
    struct slice subject = consumer->entity.name.data ? consumer->entity.name : consumer->custom_id;
    if (subject.data == NULL || !is_line(subject))
        subject = slice_of(consumer->entity.id);
    if (!config->hash_subject)
        return subject;
    return digest_hex(DIGEST_SHA256, subject, hex) ? arena_copy(arena, slice_of(hex))
                                                   : (struct slice){ NULL, 0 };
}

static struct slice make_payload(const struct session_config *config, struct exchange *exchange)
{
    enum { ID_SIZE = 32 };
    char id[ID_SIZE + 1];
    struct arena *arena = exchange_arena(exchange);
    const struct consumer *consumer = exchange_consumer(exchange);
    struct slice subject = subject_of(config, arena, consumer);
    struct slice groups = join_groups(arena, exchange_groups(exchange));
    random_alphanumeric(id, ID_SIZE);
    if (subject.data == NULL || groups.data == NULL)
        return (struct slice){ NULL, 0 };
    return arena_format(arena, "%s\n%.*s\n%s\n%s%.*s", id, SLICE_FORMAT(subject), consumer->entity.id,
                        exchange_credential(exchange)->entity.id, SLICE_FORMAT(groups));
}

/* --- telling of it -------------------------------------------------------------------------------------- */

/* -1: no end */
static int64_t left_of(int64_t whole_s, int64_t since_s, int64_t now_s)
{
    int64_t left_s = since_s + whole_s - now_s;
    return whole_s == 0 ? -1 : left_s > 0 ? left_s : 0;
}

static int64_t time_left(const struct session_config *config, const struct cookie_session *session,
                         enum session_fact fact, int64_t now_s)
{
    const struct cookie_session_config *cookie = &config->cookie;
    int64_t lefts[] = { left_of(cookie->idling_s, session->seen_s ? session->seen_s : now_s, now_s),
                        left_of(cookie->rolling_s, session->renewed_s ? session->renewed_s : now_s, now_s),
                        left_of(cookie->absolute_s, session->began_s ? session->began_s : now_s, now_s) };
    int64_t least = -1;
    if (fact >= FACT_IDLING)
        return lefts[fact - FACT_IDLING];
    for (size_t i = 0; i < COUNT_OF(lefts); i++)
        if (lefts[i] >= 0 && (least < 0 || lefts[i] < least))
            least = lefts[i];
    return least;
}

/* Absent: nothing to say, or no memory. */
static struct slice fact_text(const struct session_config *config, struct exchange *exchange,
                              const struct cookie_session *session, enum session_fact fact)
{
    struct session_data data = read_data(session->payload);
    int64_t now_s = (int64_t)(exchange_shard(exchange)->wall_ms / 1000);
    switch (fact) {
    case FACT_ID: return data.id;
    case FACT_AUDIENCE: return config->cookie.audience;
    case FACT_SUBJECT: return data.subject;
    case FACT_TIMEOUT:
    case FACT_IDLING:
    case FACT_ROLLING:
    case FACT_ABSOLUTE: break;
    }
    int64_t left_s = time_left(config, session, fact, now_s);
    if (left_s < 0)
        return (struct slice){ NULL, 0 };
    return arena_format(exchange_arena(exchange), "%lld", (long long)left_s);
}

typedef bool set_header_fn(struct exchange *exchange, struct slice name, struct slice value);

static bool tell(const struct session_config *config, struct exchange *exchange,
                 const struct cookie_session *session, uint64_t facts, set_header_fn *set)
{
    for (unsigned i = 0; i < COUNT_OF(fact_headers); i++) {
        if (!(facts >> i & 1))
            continue;
        struct slice text = fact_text(config, exchange, session, (enum session_fact)i);
        if (text.data != NULL && !set(exchange, slice_of(fact_headers[i]), text))
            return false;
    }
    return true;
}

/* --- the end of a session ------------------------------------------------------------------------------- */

enum logout { LOGOUT_NO, LOGOUT_YES, LOGOUT_LATER, LOGOUT_FAILED };

static bool is_logout_method(const struct session_config *config, struct slice method)
{
    for (unsigned i = 0; method_names[i] != NULL; i++)
        if (config->logout_methods >> i & 1 && slice_equal(method, slice_of(method_names[i])))
            return true;
    return false;
}

static bool query_has(struct slice query, struct slice name)
{
    while (query.data != NULL) {
        struct slice value;
        if (query_names(slice_split(slice_split(query, '&', &query), '=', &value), name))
            return true;
    }
    return false;
}

static enum logout read_logout(const struct session_config *config, struct exchange *exchange)
{
    struct body_arguments arguments;
    struct slice body;
    uint32_t from = 0;
    if (!config->read_body_for_logout || config->logout_post_arg.size == 0)
        return LOGOUT_NO;
    switch (exchange_read_body(exchange, UINT64_MAX, &body)) {
    case BODY_LATER: return LOGOUT_LATER;
    case BODY_FAILED: return LOGOUT_FAILED;
    case BODY_TOO_LONG: return LOGOUT_NO;
    case BODY_READ: break;
    }
    body_arguments_open(&arguments, exchange_request(exchange), body);
    bool found = arguments.kind == BODY_ARGUMENTS_FORM &&
                 body_arguments_next(&arguments, config->logout_post_arg, &from) != NULL;
    enum logout logout = arguments.failed ? LOGOUT_FAILED : found ? LOGOUT_YES : LOGOUT_NO;
    body_arguments_close(&arguments);
    return logout;
}

static enum logout asks_for_logout(const struct session_config *config, struct exchange *exchange)
{
    if (!is_logout_method(config, exchange_request(exchange)->method))
        return LOGOUT_NO;
    if (config->logout_query_arg.size > 0 && query_has(exchange_query(exchange), config->logout_query_arg))
        return LOGOUT_YES;
    return read_logout(config, exchange);
}

/* --- requests ------------------------------------------------------------------------------------------- */

struct session_exchange {
    bool known; /* by the session below */
    struct cookie_session session;
};

static enum verdict log_out(const struct session_config *config, struct exchange *exchange)
{
    if (!cookie_session_end(&config->cookie, exchange))
        return exchange_respond_failure(exchange);
    return exchange_respond_body(exchange, 200, (struct slice){ NULL, 0 }, SLICE(""));
}

/* The credential of which only the id is known still. */
static const struct credential *stand_in(struct arena *arena, struct slice id,
                                         const struct consumer *consumer)
{
    struct credential *credential = arena_alloc_zero(arena, sizeof(*credential));
    if (credential == NULL || id.size >= sizeof(credential->entity.id))
        return NULL;
    memcpy(credential->entity.id, id.data, id.size);
    credential->consumer = (struct consumer *)(uintptr_t)consumer;
    return credential;
}

static enum verdict resume(const struct session_config *config, struct exchange *exchange,
                           struct session_exchange *state)
{
    struct session_data data = read_data(state->session.payload);
    const struct consumer *consumer = model_consumer(exchange_model(exchange), data.consumer);
    if (consumer == NULL || data.credential.size == 0)
        return cookie_session_end(&config->cookie, exchange) ? VERDICT_CONTINUE
                                                             : exchange_respond_failure(exchange);
    const struct credential *credential = stand_in(exchange_arena(exchange), data.credential, consumer);
    bool good = credential != NULL &&
                exchange_authenticate(exchange, consumer, credential, data.credential) &&
                restore_groups(exchange, data.groups) && cookie_session_hide(&config->cookie, exchange);
    if (good && cookie_session_is_due(&config->cookie, exchange, &state->session))
        good = cookie_session_save(&config->cookie, exchange, &state->session);
    if (!good ||
        !tell(config, exchange, &state->session, config->request_headers, exchange_set_upstream_header))
        return exchange_respond_failure(exchange);
    state->known = true;
    return VERDICT_CONTINUE;
}

static enum verdict session_access(const struct plugin_call *call)
{
    const struct session_config *config = call->config;
    struct session_exchange *state = call->exchange_state;
    switch (cookie_session_open(&config->cookie, call->exchange, &state->session)) {
    case COOKIE_SESSION_OPEN: break;
    case COOKIE_SESSION_NONE: return VERDICT_CONTINUE;
    case COOKIE_SESSION_FAILED: return exchange_respond_failure(call->exchange);
    }
    switch (asks_for_logout(config, call->exchange)) {
    case LOGOUT_NO: break;
    case LOGOUT_YES: return log_out(config, call->exchange);
    case LOGOUT_LATER: return VERDICT_READ_BODY;
    case LOGOUT_FAILED: return exchange_respond_failure(call->exchange);
    }
    return resume(config, call->exchange, state);
}

static bool says_the_same(const struct exchange *exchange, const struct session_exchange *state)
{
    struct session_data data = read_data(state->session.payload);
    return slice_equal(data.consumer, slice_of(exchange_consumer(exchange)->entity.id)) &&
           slice_equal(data.credential, slice_of(exchange_credential(exchange)->entity.id));
}

/* Somebody was authenticated, or somebody else than the session said: a new session. */
static enum verdict session_response_head(const struct plugin_call *call)
{
    const struct session_config *config = call->config;
    struct session_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    bool good = true;
    if (exchange_credential(exchange) == NULL || exchange_consumer(exchange) == NULL)
        return VERDICT_CONTINUE;
    if (!state->known || !says_the_same(exchange, state)) {
        state->session = (struct cookie_session){ .payload = make_payload(config, exchange) };
        good = state->session.payload.data != NULL &&
               cookie_session_save(&config->cookie, exchange, &state->session);
    }
    if (!good ||
        !tell(config, exchange, &state->session, config->response_headers, exchange_set_response_header))
        return exchange_respond_failure(exchange);
    return VERDICT_CONTINUE;
}

const struct plugin session_plugin = {
    .kind = { .name = "session",
              .priority = 1900,
              .config = { .name = "session",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct session_config),
                          .check = check_config },
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = session_access, [PHASE_RESPONSE_HEAD] = session_response_head },
    .exchange_state_size = sizeof(struct session_exchange),
};
