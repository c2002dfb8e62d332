/* SPDX-License-Identifier: Apache-2.0 */
/* libmodsecurity as the engine. Its handles are opaque to C: those of this file are cast to them. Each shard
 * has an engine of its own, so that collections and their locks are not shared; rules are only read. */
#include "plugins/waf.h"

#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>
#include <stdlib.h>

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
    ModSecurity *engine = msc_init();
    if (engine == NULL)
        return NULL;
    msc_set_connector_info(engine, "sluice " SLUICE_VERSION);
    msc_set_log_cb(engine, log);
    return (void *)engine;
}

void waf_engine_close(struct waf_engine *engine)
{
    if (engine)
        msc_cleanup(engine_of(engine));
}

/* --- rules ---------------------------------------------------------------------------------------------- */

struct waf_rules *waf_rules_open(void)
{
    return (void *)msc_create_rules_set();
}

void waf_rules_close(struct waf_rules *rules)
{
    if (rules)
        msc_rules_cleanup(rules_of(rules));
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
    int result = msc_rules_add(rules_of(rules), text, &error);
    return reason_of(result, error, arena);
}

const char *waf_rules_add_file(struct waf_rules *rules, const char *path, struct arena *arena)
{
    const char *error = NULL;
    int result = msc_rules_add_file(rules_of(rules), path, &error);
    return reason_of(result, error, arena);
}

/* --- one request ---------------------------------------------------------------------------------------- */

static struct waf_verdict ask(Transaction *transaction, struct arena *arena)
{
    ModSecurityIntervention wanted = { .status = 200 };
    struct waf_verdict verdict = { 0 };
    if (msc_intervention(transaction, &wanted) != 0 && wanted.disruptive) {
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
    Transaction *transaction = msc_new_transaction_with_id(
        engine_of(engine), rules_of(rules), (char *)(uintptr_t)connection->request_id, log_pointer);
    if (transaction)
        msc_process_connection(transaction, connection->client_ip, connection->client_port,
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
    msc_process_uri(transaction, target.data, method.data, message->version_minor ? "1.1" : "1.0");
    struct waf_verdict verdict = ask(transaction, arena);
    for (uint32_t i = 0; verdict.status == 0 && i < message->header_count; i++) {
        const struct header *header = &message->headers[i];
        if (header->name.data)
            msc_add_n_request_header(transaction, bytes_of(header->name), header->name.size,
                                     bytes_of(header->value), header->value.size);
    }
    if (verdict.status)
        return verdict;
    msc_process_request_headers(transaction);
    return ask(transaction, arena);
}

struct waf_verdict waf_request_body(struct waf_request *request, struct slice body, struct arena *arena)
{
    Transaction *transaction = transaction_of(request);
    if (body.size > 0) {
        msc_append_request_body(transaction, bytes_of(body), body.size);
        struct waf_verdict verdict = ask(transaction, arena); /* its own limit */
        if (verdict.status)
            return verdict;
    }
    msc_process_request_body(transaction);
    return ask(transaction, arena);
}

void waf_response_header(struct waf_request *request, struct slice name, struct slice value)
{
    msc_add_n_response_header(transaction_of(request), bytes_of(name), name.size, bytes_of(value),
                              value.size);
}

struct waf_verdict waf_response_head(struct waf_request *request, int status, struct arena *arena)
{
    msc_process_response_headers(transaction_of(request), status, "HTTP 1.1");
    return ask(transaction_of(request), arena);
}

void waf_response_piece(struct waf_request *request, struct slice piece)
{
    msc_append_response_body(transaction_of(request), bytes_of(piece), piece.size);
}

struct waf_verdict waf_response_body(struct waf_request *request, struct arena *arena)
{
    msc_process_response_body(transaction_of(request));
    return ask(transaction_of(request), arena);
}

void waf_request_end(struct waf_request *request)
{
    msc_process_logging(transaction_of(request));
}

void waf_request_close(struct waf_request *request)
{
    if (request)
        msc_transaction_cleanup(transaction_of(request));
}
