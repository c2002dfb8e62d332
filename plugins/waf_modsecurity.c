/* SPDX-License-Identifier: Apache-2.0 */
/* libmodsecurity as the engine. Its handles are opaque to C: those of this file are cast to them. Each shard
 * has an engine of its own, so that collections and their locks are not shared; rules are only read.
 *
 * The library is opened when the first configuration asks for it, and then stays: with the forty libraries
 * behind it, it takes as much memory as the rest of an idle gateway. */
#include "plugins/waf.h"

#include <dlfcn.h>
#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>
#include <stdlib.h>

#define LIBRARY "libmodsecurity.so.3"

#define FUNCTION_LIST(F)            \
    F(msc_init)                     \
    F(msc_set_connector_info)       \
    F(msc_set_log_cb)               \
    F(msc_cleanup)                  \
    F(msc_create_rules_set)         \
    F(msc_rules_cleanup)            \
    F(msc_rules_add)                \
    F(msc_rules_add_file)           \
    F(msc_new_transaction_with_id)  \
    F(msc_process_connection)       \
    F(msc_process_uri)              \
    F(msc_add_n_request_header)     \
    F(msc_process_request_headers)  \
    F(msc_append_request_body)      \
    F(msc_process_request_body)     \
    F(msc_add_n_response_header)    \
    F(msc_process_response_headers) \
    F(msc_append_response_body)     \
    F(msc_process_response_body)    \
    F(msc_process_logging)          \
    F(msc_intervention)             \
    F(msc_transaction_cleanup)

/* Written before the first shard hears of a configuration that needs them. */
static struct {
    void *handle; /* NULL: not opened */
#define F(name) __typeof__(name) *name;
    FUNCTION_LIST(F)
#undef F
} library;

static const struct {
    const char *name;
    void *pointer; /* to the function pointer */
} functions[] = {
#define F(name) { #name, &library.name },
    FUNCTION_LIST(F)
#undef F
};

const char *waf_engine_load(void)
{
    if (library.handle)
        return NULL;
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; handle && i < COUNT_OF(functions); i++) {
        void *function = dlsym(handle, functions[i].name);
        if (function == NULL) {
            dlclose(handle);
            return LIBRARY ": another version than this build was made with";
        }
        memcpy(functions[i].pointer, &function, sizeof(function));
    }
    library.handle = handle;
    return handle ? NULL : dlerror();
}

static ModSecurity *engine_of(struct waf_engine *engine)
{
    return (void *)engine;
}

static RulesSet *rules_of(struct waf_rules *rules)
{
    return (void *)rules;
}

static Transaction *transaction_of(struct waf_request *request)
{
    return (void *)request;
}

const char *waf_engine_version(void)
{
    return "libmodsecurity " MODSECURITY_MAJOR "." MODSECURITY_MINOR "." MODSECURITY_PATCHLEVEL;
}

struct waf_engine *waf_engine_open(waf_log_fn *log)
{
    ModSecurity *engine = library.msc_init();
    if (engine == NULL)
        return NULL;
    library.msc_set_connector_info(engine, "sluice " SLUICE_VERSION);
    library.msc_set_log_cb(engine, log);
    return (void *)engine;
}

void waf_engine_close(struct waf_engine *engine)
{
    if (engine)
        library.msc_cleanup(engine_of(engine));
}

/* --- rules ---------------------------------------------------------------------------------------------- */

struct waf_rules *waf_rules_open(void)
{
    return (void *)library.msc_create_rules_set();
}

void waf_rules_close(struct waf_rules *rules)
{
    if (rules)
        library.msc_rules_cleanup(rules_of(rules));
}

/* The library's text belongs to us, and ends with a line end. */
static const char *reason_of(int result, const char *error, struct arena *arena)
{
    if (result >= 0)
        return NULL;
    struct slice text = slice_of(error ? error : "the rules cannot be read");
    while (text.size > 0 && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == ' '))
        text.size--;
    struct slice copy = arena_copy(arena, text);
    free((char *)(uintptr_t)error);
    return copy.data ? copy.data : "out of memory";
}

const char *waf_rules_add(struct waf_rules *rules, const char *text, struct arena *arena)
{
    const char *error = NULL;
    int result = library.msc_rules_add(rules_of(rules), text, &error);
    return reason_of(result, error, arena);
}

const char *waf_rules_add_file(struct waf_rules *rules, const char *path, struct arena *arena)
{
    const char *error = NULL;
    int result = library.msc_rules_add_file(rules_of(rules), path, &error);
    return reason_of(result, error, arena);
}

/* --- one request ---------------------------------------------------------------------------------------- */

static struct waf_verdict ask(Transaction *transaction, struct arena *arena)
{
    ModSecurityIntervention wanted = { .status = 200 };
    struct waf_verdict verdict = { 0 };
    if (library.msc_intervention(transaction, &wanted) != 0 && wanted.disruptive) {
        verdict.status = wanted.status >= 300 && wanted.status <= 599 ? wanted.status : 403;
        if (wanted.url)
            verdict.location = arena_copy(arena, slice_of(wanted.url));
    }
    free(wanted.url);
    free(wanted.log);
    return verdict;
}

struct waf_request *waf_request_open(struct waf_engine *engine, struct waf_rules *rules,
                                     const struct waf_connection *connection, void *log_pointer)
{
    Transaction *transaction = library.msc_new_transaction_with_id(
        engine_of(engine), rules_of(rules), (char *)(uintptr_t)connection->request_id, log_pointer);
    if (transaction)
        library.msc_process_connection(transaction, connection->client_ip, connection->client_port,
                                       connection->server_ip, connection->server_port);
    return (void *)transaction;
}

static const unsigned char *bytes_of(struct slice text)
{
    return (const unsigned char *)(text.data ? text.data : "");
}

struct waf_verdict waf_request_head(struct waf_request *request, const struct message *message,
                                    struct arena *arena)
{
    Transaction *transaction = transaction_of(request);
    struct slice target = arena_copy(arena, message->target), method = arena_copy(arena, message->method);
    if (target.data == NULL || method.data == NULL)
        return (struct waf_verdict){ .status = 500 };
    library.msc_process_uri(transaction, target.data, method.data,
                            message_version(message).data + sizeof("HTTP/") - 1);
    struct waf_verdict verdict = ask(transaction, arena);
    for (uint32_t i = 0; verdict.status == 0 && i < message->header_count; i++) {
        const struct header *header = &message->headers[i];
        if (header->name.data)
            library.msc_add_n_request_header(transaction, bytes_of(header->name), header->name.size,
                                             bytes_of(header->value), header->value.size);
    }
    if (verdict.status)
        return verdict;
    library.msc_process_request_headers(transaction);
    return ask(transaction, arena);
}

struct waf_verdict waf_request_body(struct waf_request *request, struct slice body, struct arena *arena)
{
    Transaction *transaction = transaction_of(request);
    if (body.size > 0) {
        library.msc_append_request_body(transaction, bytes_of(body), body.size);
        struct waf_verdict verdict = ask(transaction, arena); /* its own limit */
        if (verdict.status)
            return verdict;
    }
    library.msc_process_request_body(transaction);
    return ask(transaction, arena);
}

void waf_response_header(struct waf_request *request, struct slice name, struct slice value)
{
    library.msc_add_n_response_header(transaction_of(request), bytes_of(name), name.size, bytes_of(value),
                                      value.size);
}

struct waf_verdict waf_response_head(struct waf_request *request, int status, struct arena *arena)
{
    library.msc_process_response_headers(transaction_of(request), status, "HTTP 1.1");
    return ask(transaction_of(request), arena);
}

void waf_response_piece(struct waf_request *request, struct slice piece)
{
    library.msc_append_response_body(transaction_of(request), bytes_of(piece), piece.size);
}

struct waf_verdict waf_response_body(struct waf_request *request, struct arena *arena)
{
    library.msc_process_response_body(transaction_of(request));
    return ask(transaction_of(request), arena);
}

void waf_request_end(struct waf_request *request)
{
    library.msc_process_logging(transaction_of(request));
}

void waf_request_close(struct waf_request *request)
{
    if (request)
        library.msc_transaction_cleanup(transaction_of(request));
}
