/* SPDX-License-Identifier: Apache-2.0 */
#include "config/vault.h"

#include "core/crypto/base64.h"

#include <stdlib.h>
#include <sys/stat.h>

static const char prefix[] = "{vault://";

const char *const vault_kind_names[] = { "env", "file", NULL };

/* Far above what a secret is, far below what would hurt. */
static const struct document_limits secret_limits = { .file_bytes = 1048576, .depth = 8, .nodes = 65536 };

/* What a reference says. */
struct reference {
    struct slice vault, resource, key; /* percent escapes decoded; key absent: the whole value */
    struct slice options; /* as written; absent: none */
};

/* One look-up: where texts go and what vault it is, after the options of the reference. */
struct looking {
    struct arena *arena;
    struct vault vault;
};

bool vault_is_reference(struct slice text)
{
    return slice_starts_with(text, slice_of(prefix)) && slice_ends_with(text, SLICE("}"));
}

/* Absent when memory is exhausted. */
static struct slice unescape(struct slice text, struct arena *arena)
{
    char *out = arena_alloc(arena, text.size + 1);
    size_t size = 0;
    if (out == NULL)
        return (struct slice){ NULL, 0 };
    for (size_t i = 0; i < text.size; i++) {
        int high = text.data[i] == '%' && text.size - i > 2 ? slice_hex_value(text.data[i + 1]) : -1;
        int low = high >= 0 ? slice_hex_value(text.data[i + 2]) : -1;
        out[size++] = low < 0 ? text.data[i] : (char)(high * 16 + low);
        i += low < 0 ? 0 : 2;
    }
    out[size] = '\0';
    return (struct slice){ out, size };
}

static const char *parse(struct slice text, struct arena *arena, struct reference *out)
{
    struct slice version, path;
    struct slice rest = slice_from(text, sizeof(prefix) - 1);
    rest.size--;
    *out = (struct reference){ .vault = { NULL, 0 } };
    rest = slice_split(rest, '#', &version);
    if (version.data != NULL && !slice_equal(version, SLICE("1")))
        return "only version 1 of a secret is supported";
    rest = slice_split(rest, '?', &out->options);
    out->vault = slice_split(rest, '/', &path);
    if (out->vault.size == 0)
        return "reference url is missing host";
    if (path.data == NULL || path.size == 0)
        return "reference url has empty path";
    const char *slash = memrchr(path.data, '/', path.size);
    size_t size = slash ? (size_t)(slash - path.data) : path.size;
    if (slash != NULL && size + 1 < path.size)
        out->key = unescape(slice_from(path, size + 1), arena);
    out->resource = unescape((struct slice){ path.data, size }, arena);
    if (out->resource.data == NULL || (slash != NULL && size + 1 < path.size && out->key.data == NULL))
        return "out of memory";
    return out->resource.size > 0 ? NULL : "reference url has empty path";
}

/* Options of a reference go over what the vault says. Times to live are for vaults that change while the
 * gateway runs: known, and without effect on a value that is read once. */
static const char *apply_option(struct slice option, struct looking *looking)
{
    static const char *const times[] = { "ttl", "neg_ttl", "resurrect_ttl" };
    struct slice value;
    struct slice name = slice_split(option, '=', &value);
    uint64_t seconds;
    if (value.data == NULL)
        return "expected NAME=VALUE after the question mark";
    for (size_t i = 0; i < COUNT_OF(times); i++)
        if (slice_equal(name, slice_of(times[i])))
            return slice_to_u64(value, &seconds) ? NULL : "a time to live must be a number of seconds";
    if (slice_equal(name, SLICE("prefix"))) {
        looking->vault.prefix = unescape(value, looking->arena);
        return looking->vault.prefix.data ? NULL : "out of memory";
    }
    if (!slice_equal(name, SLICE("base64_decode")))
        return "unknown option after the question mark";
    looking->vault.base64_decode = slice_equal(value, SLICE("true"));
    return looking->vault.base64_decode || slice_equal(value, SLICE("false")) ? NULL
                                                                              : "expected base64_decode=true";
}

static const char *apply_options(struct slice options, struct looking *looking)
{
    const char *reason = NULL;
    while (reason == NULL && options.data != NULL)
        reason = apply_option(slice_split(options, '&', &options), looking);
    return reason;
}

static bool find_vault(const struct vaults *vaults, struct slice name, struct vault *out)
{
    for (uint32_t i = 0; vaults && i < vaults->count; i++)
        if (slice_equal(vaults->items[i]->entity.name, name)) {
            *out = *vaults->items[i];
            return true;
        }
    for (int kind = 0; vault_kind_names[kind]; kind++)
        if (slice_equal(name, slice_of(vault_kind_names[kind]))) {
            *out = (struct vault){ .kind = kind };
            if (vaults != NULL && vaults->disabled >> kind & 1)
                return false;
            if (vaults != NULL && kind == VAULT_ENV)
                out->prefix = vaults->env_prefix;
            if (vaults != NULL && kind == VAULT_FILE)
                out->path = vaults->file_path;
            return true;
        }
    return false;
}

/* my-secret is in MY_SECRET. */
static const char *read_variable(const struct looking *looking, struct slice resource, struct slice *out)
{
    struct slice name =
        arena_format(looking->arena, "%.*s%.*s", SLICE_FORMAT(looking->vault.prefix), SLICE_FORMAT(resource));
    char *variable = name.data ? arena_alloc(looking->arena, name.size + 1) : NULL;
    if (variable == NULL)
        return "out of memory";
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        variable[i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    variable[name.size] = '\0';
    const char *value = getenv(variable);
    if (value == NULL)
        return "no value found: the environment has no such variable";
    *out = arena_copy(looking->arena, slice_of(value));
    return out->data ? NULL : "out of memory";
}

/* A file's one document; reports are of no use here, as they would quote secrets. */
static const char *read_document(struct slice text, const char *name, struct arena *arena,
                                 const struct node **out)
{
    struct report report;
    struct documents documents;
    report_init(&report);
    struct document_reading reading = { &secret_limits, arena, &report };
    bool good = document_read_text(text, name, &reading, &documents) && documents.count == 1;
    report_deinit(&report);
    *out = good ? documents.items[0] : NULL;
    return good ? NULL : "the value is no JSON or YAML";
}

static const char *load(const char *path, struct arena *arena, struct slice *out)
{
    struct report report;
    report_init(&report);
    struct document_reading reading = { &secret_limits, arena, &report };
    bool good = document_load(path, &reading, out);
    report_deinit(&report);
    return good ? NULL : "no value found: the file cannot be read";
}

static const char *text_of(const struct node *value, struct slice *out)
{
    if (value == NULL)
        return "no value found: there is no such key";
    if (value->kind != NODE_STRING)
        return "the value of that key is no text";
    *out = value->text;
    return NULL;
}

static const char *find_key(struct slice text, struct slice key, struct arena *arena, struct slice *out)
{
    const struct node *document;
    const char *reason = read_document(text, "secret.json", arena, &document);
    return reason ? reason : text_of(node_find(document, key.data), out);
}

/* A resource may name a file below the directory, and nothing outside of it. */
static bool stays_inside(struct slice resource)
{
    for (struct slice rest = resource; rest.data != NULL;) {
        struct slice part = slice_split(rest, '/', &rest);
        if (part.size == 0 || slice_equal(part, SLICE(".")) || slice_equal(part, SLICE("..")))
            return false;
    }
    return memchr(resource.data, '\0', resource.size) == NULL;
}

static const char *read_in_directory(const struct looking *looking, struct slice name, struct slice *out)
{
    if (!stays_inside(name))
        return "the resource is no path below the vault's directory";
    struct slice file =
        arena_format(looking->arena, "%.*s/%.*s", SLICE_FORMAT(looking->vault.path), SLICE_FORMAT(name));
    const char *reason = file.data ? load(file.data, looking->arena, out) : "out of memory";
    /* An editor's line end is not part of a secret. */
    while (reason == NULL && out->size > 0 && strchr("\r\n", out->data[out->size - 1]))
        out->size--;
    return reason;
}

/* RESOURCE is a key of the file's mapping; with KEY its value is a mapping, or a text that holds JSON. */
static const char *read_in_document(const struct looking *looking, struct slice name,
                                    const struct reference *reference, struct slice *out)
{
    struct slice text;
    const struct node *document;
    const char *reason = load(looking->vault.path.data, looking->arena, &text);
    if (reason == NULL)
        reason = read_document(text, looking->vault.path.data, looking->arena, &document);
    if (reason != NULL)
        return reason;
    const struct node *value = node_find(document, name.data);
    if (reference->key.data == NULL)
        return text_of(value, out);
    if (value != NULL && value->kind == NODE_MAPPING)
        return text_of(node_find(value, reference->key.data), out);
    reason = text_of(value, out);
    return reason ? reason : find_key(*out, reference->key, looking->arena, out);
}

static const char *read_file(const struct looking *looking, const struct reference *reference,
                             struct slice *out)
{
    struct stat status;
    struct slice path = looking->vault.path;
    struct slice name = arena_format(looking->arena, "%.*s%.*s", SLICE_FORMAT(looking->vault.prefix),
                                     SLICE_FORMAT(reference->resource));
    if (name.data == NULL)
        return "out of memory";
    if (path.data == NULL)
        return "the vault has no path";
    if (stat(path.data, &status) != 0)
        return "the vault's path does not exist";
    if (!S_ISDIR(status.st_mode))
        return read_in_document(looking, name, reference, out);
    const char *reason = read_in_directory(looking, name, out);
    if (reason == NULL && reference->key.data != NULL)
        reason = find_key(*out, reference->key, looking->arena, out);
    return reason;
}

static const char *decode(struct arena *arena, struct slice *text)
{
    size_t size;
    char *decoded = arena_alloc(arena, base64_decoded_bound(text->size) + 1);
    if (decoded == NULL)
        return "out of memory";
    if (!base64_decode(BASE64_STANDARD, *text, decoded, &size))
        return "the value is no base64";
    decoded[size] = '\0';
    *text = (struct slice){ decoded, size };
    return NULL;
}

const char *vault_resolve(const struct vaults *vaults, struct slice reference, struct arena *arena,
                          struct slice *out)
{
    struct reference parts;
    struct looking looking = { .arena = arena };
    *out = (struct slice){ NULL, 0 };
    const char *reason = parse(reference, arena, &parts);
    if (reason == NULL && !find_vault(vaults, parts.vault, &looking.vault))
        reason = "could not find vault";
    if (reason == NULL)
        reason = apply_options(parts.options, &looking);
    if (reason != NULL)
        return reason;
    if (looking.vault.kind == VAULT_FILE)
        reason = read_file(&looking, &parts, out);
    else
        reason = read_variable(&looking, parts.resource, out);
    if (reason == NULL && looking.vault.kind == VAULT_ENV && parts.key.data != NULL)
        reason = find_key(*out, parts.key, arena, out);
    if (reason == NULL && looking.vault.base64_decode)
        reason = decode(arena, out);
    return reason;
}
