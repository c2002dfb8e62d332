/* SPDX-License-Identifier: Apache-2.0 */
#include "config/vault.h"

#include "config/document.h"
#include "core/crypto/base64.h"

#include <stdlib.h>

static const char prefix[] = "{vault://";

bool vault_is_reference(struct slice text)
{
    return slice_starts_with(text, slice_of(prefix)) && slice_ends_with(text, SLICE("}"));
}

/* my-secret is in MY_SECRET. */
static const char *read_variable(struct slice name, struct arena *arena)
{
    char *variable = arena_alloc(arena, name.size + 1);
    if (variable == NULL)
        return NULL;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        variable[i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    variable[name.size] = '\0';
    return getenv(variable);
}

static const char *find_key(const char *json, struct slice key, struct arena *arena, struct slice *out)
{
    struct report report;
    struct documents documents;
    report_init(&report);
    struct document_reading reading = { &document_default_limits, arena, &report };
    bool good = document_read_text(slice_of(json), "vault.json", &reading, &documents);
    report_deinit(&report);
    if (!good)
        return "vault: the variable holds no JSON";
    struct slice name = arena_copy(arena, key);
    const struct node *value = name.data ? node_find(documents.items[0], name.data) : NULL;
    if (value == NULL || value->kind != NODE_STRING)
        return "vault: the variable's JSON has no text of that key";
    *out = value->text;
    return NULL;
}

static const char *decode(struct arena *arena, struct slice *text)
{
    size_t size;
    char *decoded = arena_alloc(arena, base64_decoded_bound(text->size) + 1);
    if (decoded == NULL)
        return "out of memory";
    if (!base64_decode(BASE64_STANDARD, *text, decoded, &size))
        return "vault: the value is no base64";
    decoded[size] = '\0';
    *text = (struct slice){ decoded, size };
    return NULL;
}

static bool has_option(struct slice options, struct slice wanted)
{
    while (options.data != NULL)
        if (slice_equal(slice_split(options, '&', &options), wanted))
            return true;
    return false;
}

const char *vault_resolve(struct slice reference, struct arena *arena, struct slice *out)
{
    struct slice rest = slice_from(reference, sizeof(prefix) - 1), options, key;
    rest.size--;
    rest = slice_split(rest, '?', &options);
    struct slice vault = slice_split(rest, '/', &rest);
    if (!slice_equal(vault, SLICE("env")))
        return "vault: only the vault 'env' is supported yet";
    struct slice name = rest.data ? slice_split(rest, '/', &key) : rest;
    if (rest.data == NULL || name.size == 0)
        return "vault: expected {vault://env/NAME}";
    const char *value = read_variable(name, arena);
    if (value == NULL)
        return "vault: the environment has no such variable";
    const char *reason = NULL;
    *out = arena_copy(arena, slice_of(value));
    if (key.data != NULL)
        reason = find_key(value, key, arena, out);
    if (reason == NULL && has_option(options, SLICE("base64_decode=true")))
        reason = decode(arena, out);
    return reason == NULL && out->data == NULL ? "out of memory" : reason;
}
