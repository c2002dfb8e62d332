/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of request-transformer share. */
#pragma once

#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/transformer.h"

/* One of remove, rename, replace, add and append. */
struct request_edits {
    struct slices headers, querystring, body;
    struct slice uri; /* of replace; absent: none */
    struct transformer_entries header_entries, query_entries, body_entries; /* prepared */
};

struct request_transformer_config {
    struct slice http_method; /* absent: as it came */
    struct request_edits edits[TRANSFORMER_EDIT_COUNT];
    /* prepared */
    struct transformer_entry uri; /* value absent: none */
    uint32_t template_count;
    bool method_is_bodiless; /* a form's fields go to the query */
    bool edits_query, edits_body;
};

enum request_transformer_step { TRANSFORM_HEAD, TRANSFORM_REST };

struct request_transformer_exchange {
    enum request_transformer_step step;
    struct slice *values; /* of templates, by their number: made of the request before it is changed */
    bool form_to_query;
};

/* The names that templates know, and what they stand for in a request. */
enum { ROOT_HEADERS, ROOT_QUERY, ROOT_CAPTURES, ROOT_SHARED, REQUEST_ROOT_COUNT };

extern const struct template_root request_transformer_roots[];

struct request_scope {
    struct template_scope scope; /* first */
    struct exchange *exchange;
};

template_find_fn request_transformer_find;

/* Renders all templates of the configuration. */
enum template_result request_transformer_render(const struct request_transformer_config *config,
                                                struct exchange *exchange, struct slice **values);

/* The value of an entry; absent: none. */
struct slice request_transformer_value(const struct transformer_entry *entry, const struct slice *values);

/* False: out of memory, or a value that cannot be a Host. */
bool request_transformer_edit_headers(const struct request_transformer_config *config,
                                      struct exchange *exchange, const struct slice *values) MUST_CHECK;

/* Is it a field that the gateway writes itself? Host is, but for replace. */
bool request_transformer_is_own_field(struct slice name);
