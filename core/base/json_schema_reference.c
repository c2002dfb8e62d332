/* SPDX-License-Identifier: Apache-2.0 */
/* Which schema of a document a reference means (RFC 3986, RFC 6901). */
#include "core/base/json_schema_tree.h"

#include "core/base/query.h"

/* --- URIs ----------------------------------------------------------------------------------------------- */

static struct slice before(struct slice text, char end)
{
    const char *at = text.size ? memchr(text.data, end, text.size) : NULL;
    return at ? (struct slice){ text.data, (size_t)(at - text.data) } : text;
}

/* scheme ":" */
static bool is_absolute(struct slice uri)
{
    for (size_t i = 0; i < uri.size; i++) {
        char c = slice_lower(uri.data[i]);
        if (c == ':')
            return i > 0;
        if (!((c >= 'a' && c <= 'z') || slice_is_digit(c) || c == '+' || c == '-' || c == '.'))
            return false;
    }
    return false;
}

/* The size of scheme and authority. */
static size_t authority_size(struct slice uri)
{
    const char *mark = uri.size ? memmem(uri.data, uri.size, "://", 3) : NULL;
    if (mark == NULL)
        return 0;
    size_t size = (size_t)(mark - uri.data) + 3;
    while (size < uri.size && uri.data[size] != '/')
        size++;
    return size;
}

/* `reference`, which is not empty and has no fragment, as seen from `base`. Absent: out of memory. */
static struct slice resolve(struct arena *arena, struct slice base, struct slice reference)
{
    if (is_absolute(reference) || base.size == 0)
        return reference;
    size_t kept = authority_size(base);
    if (reference.data[0] != '/')
        for (size_t i = base.size; i > kept; i--)
            if (base.data[i - 1] == '/') {
                kept = i;
                break;
            }
    return arena_format(arena, "%.*s%.*s", (int)kept, base.data, SLICE_FORMAT(reference));
}

/* --- addresses ------------------------------------------------------------------------------------------ */

static void add(struct schema_addresses *addresses, struct slice uri, const struct json_node *node)
{
    if (addresses->count == addresses->capacity) {
        uint32_t capacity = addresses->capacity ? addresses->capacity * 2 : 16;
        struct schema_address *items = arena_array(addresses->arena, capacity, sizeof(*items));
        addresses->failed |= items == NULL;
        if (items == NULL)
            return;
        if (addresses->count)
            memcpy(items, addresses->items, addresses->count * sizeof(*items));
        addresses->items = items;
        addresses->capacity = capacity;
    }
    addresses->failed |= uri.data == NULL;
    addresses->items[addresses->count++] = (struct schema_address){ uri, node };
}

/* The text of a member that is a string; absent: there is none. */
static struct slice member_text(struct schema_addresses *addresses, const struct json_node *node,
                                const char *name)
{
    const struct json_node *member = json_member_of(node, slice_of(name));
    if (member == NULL || member->value.kind != JSON_STRING)
        return (struct slice){ NULL, 0 };
    struct slice text = json_text(addresses->arena, &member->value);
    addresses->failed |= text.data == NULL;
    return text;
}

static struct slice id_of(struct schema_addresses *addresses, const struct json_node *node)
{
    if (addresses->draft < JSON_SCHEMA_DRAFT_2019_09 && json_member_of(node, SLICE("$ref")))
        return (struct slice){ NULL, 0 };
    return member_text(addresses, node, addresses->draft == JSON_SCHEMA_DRAFT_4 ? "id" : "$id");
}

/* What references in `node` are relative to: the identifier of the schema around it, without fragment. */
static struct slice base_of(struct schema_addresses *addresses, const struct json_node *node,
                            const struct json_node **resource)
{
    *resource = addresses->root;
    for (; node; node = node->parent)
        for (uint32_t i = 0; i < addresses->count; i++)
            if (addresses->items[i].node == node &&
                !memchr(addresses->items[i].uri.data, '#', addresses->items[i].uri.size)) {
                *resource = node;
                return addresses->items[i].uri;
            }
    return SLICE("");
}

static void collect_one(struct schema_addresses *addresses, const struct json_node *node)
{
    const struct json_node *resource;
    struct slice id = id_of(addresses, node), path = before(id, '#');
    struct slice base = node->parent ? base_of(addresses, node->parent, &resource) : SLICE("");
    if (path.size > 0)
        add(addresses, base = resolve(addresses->arena, base, path), node);
    else if (node->parent == NULL)
        add(addresses, SLICE(""), node);
    if (id.size > path.size + 1 && !addresses->failed) /* "#name" */
        add(addresses,
            arena_format(addresses->arena, "%.*s%.*s", SLICE_FORMAT(base),
                         SLICE_FORMAT(slice_from(id, path.size))),
            node);
    struct slice anchor = { NULL, 0 };
    if (addresses->draft >= JSON_SCHEMA_DRAFT_2019_09)
        anchor = member_text(addresses, node, "$anchor");
    if (anchor.size > 0 && !addresses->failed)
        add(addresses, arena_format(addresses->arena, "%.*s#%.*s", SLICE_FORMAT(base), SLICE_FORMAT(anchor)),
            node);
}

/* Are there schemas in what has this name? Values of enum and const only look like some. */
static bool holds_schemas(const struct json_node *node)
{
    return node->name.kind == JSON_ABSENT ||
           !(json_says(&node->name, SLICE("enum")) || json_says(&node->name, SLICE("const")));
}

/* Down, else onward, else up: without recursion. */
static const struct json_node *next_of(const struct json_node *node)
{
    if (node->first && holds_schemas(node))
        return node->first;
    while (node && node->next == NULL)
        node = node->parent;
    return node ? node->next : NULL;
}

void schema_addresses_collect(struct schema_addresses *addresses)
{
    for (const struct json_node *node = addresses->root; node && !addresses->failed; node = next_of(node))
        if (node->value.kind == JSON_OBJECT && holds_schemas(node))
            collect_one(addresses, node);
}

/* --- pointers ------------------------------------------------------------------------------------------- */

/* "~1" is "/", "~0" is "~". */
static struct slice unescape_token(struct arena *arena, struct slice token)
{
    char *out = arena_alloc(arena, token.size + 1);
    size_t size = 0;
    for (size_t i = 0; out && i < token.size; i++) {
        bool escape = token.data[i] == '~' && i + 1 < token.size;
        out[size++] = escape ? (token.data[i + 1] == '1' ? '/' : '~') : token.data[i];
        i += escape;
    }
    return (struct slice){ out, size };
}

static const struct json_node *child_of(const struct json_node *node, struct slice token)
{
    uint64_t index;
    if (node->value.kind == JSON_OBJECT)
        return json_member_of(node, token);
    if (node->value.kind != JSON_ARRAY || !slice_to_u64(token, &index) || index >= node->count)
        return NULL;
    node = node->first;
    while (index-- > 0)
        node = node->next;
    return node;
}

/* A "+" stands for itself here, unlike in a query. */
static struct slice decode(struct arena *arena, struct slice text)
{
    struct slice first, rest = text, out = SLICE("");
    while (rest.data) {
        bool more = memchr(rest.data, '+', rest.size) != NULL;
        first = query_unescape(arena, slice_split(rest, '+', &rest));
        out = arena_format(arena, "%.*s%.*s%s", SLICE_FORMAT(out), SLICE_FORMAT(first), more ? "+" : "");
    }
    return out;
}

static const struct json_node *follow(struct arena *arena, const struct json_node *node, struct slice pointer)
{
    struct slice rest = slice_from(pointer, 1);
    while (node && rest.data) {
        struct slice token = unescape_token(arena, slice_split(rest, '/', &rest));
        node = token.data ? child_of(node, token) : NULL;
    }
    return node;
}

static const struct json_node *find_uri(const struct schema_addresses *addresses, struct slice uri)
{
    for (uint32_t i = 0; i < addresses->count; i++)
        if (slice_equal(addresses->items[i].uri, uri))
            return addresses->items[i].node;
    return NULL;
}

const struct json_node *schema_addresses_find(struct schema_addresses *addresses,
                                              const struct json_node *from, struct slice reference)
{
    const struct json_node *resource;
    struct slice path = before(reference, '#'), base = base_of(addresses, from, &resource),
                 fragment = SLICE("");
    if (path.size > 0) {
        base = resolve(addresses->arena, base, path);
        resource = base.data ? find_uri(addresses, base) : NULL;
    }
    if (reference.size > path.size)
        fragment = decode(addresses->arena, slice_from(reference, path.size + 1));
    if (fragment.size == 0 || resource == NULL)
        return resource;
    if (fragment.data[0] == '/')
        return follow(addresses->arena, resource, fragment);
    struct slice named =
        arena_format(addresses->arena, "%.*s#%.*s", SLICE_FORMAT(base), SLICE_FORMAT(fragment));
    return named.data ? find_uri(addresses, named) : NULL;
}

/* --- patterns ------------------------------------------------------------------------------------------- */

/* ECMA-262 knows \uXXXX, and its "$" matches at the very end only. */
struct slice schema_pattern_text(struct arena *arena, struct slice pattern)
{
    char *out = arena_alloc(arena, pattern.size * 2 + 1);
    size_t size = 0;
    bool in_class = false;
    for (size_t i = 0; out && i < pattern.size; i++) {
        char c = pattern.data[i];
        if (c == '\\' && i + 5 < pattern.size && pattern.data[i + 1] == 'u' &&
            slice_hex_value(pattern.data[i + 2]) >= 0 && slice_hex_value(pattern.data[i + 3]) >= 0 &&
            slice_hex_value(pattern.data[i + 4]) >= 0 && slice_hex_value(pattern.data[i + 5]) >= 0) {
            memcpy(out + size, "\\x{", 3);
            memcpy(out + size + 3, pattern.data + i + 2, 4);
            out[size + 7] = '}';
            size += 8;
            i += 5;
        } else if (c == '\\' && i + 1 < pattern.size) {
            out[size++] = c;
            out[size++] = pattern.data[++i];
        } else if (c == '$' && !in_class) {
            memcpy(out + size, "\\z", 2);
            size += 2;
        } else {
            in_class = c == '[' || (in_class && c != ']');
            out[size++] = c;
        }
    }
    return (struct slice){ out, size };
}
