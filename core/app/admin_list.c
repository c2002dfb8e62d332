/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of collections: size, offset, tags. */
#include "core/app/admin_entities.h"
#include "core/base/query.h"
#include "core/crypto/base64.h"
#include "core/crypto/uuid.h"

#include <stdio.h>
#include <stdlib.h>

enum { SIZE_DEFAULT = 100, SIZE_MAX_ASKED = 1000, TAGS_MAX = 32 };

/* What Kong's workspace is called in offsets; there is one. */
#define WORKSPACE "0dc6f45b-8f8d-40d2-a504-473544ee190b"

struct listing {
    struct admin_call *call;
    const struct catalog *catalog;
    const struct admin_target *target;
    const struct catalog_row *parent;
    struct slice tags[TAGS_MAX];
    unsigned tag_count;
    bool any_tag; /* one of them is enough */
    struct slice custom_id; /* of consumers; absent: all */
    uint32_t size;
    const char *after; /* the id before the page; NULL: from the beginning */
};

/* --- what was asked ------------------------------------------------------------------------------------- */

static bool refuse_option(struct listing *listing, const char *reason)
{
    char message[128];
    snprintf(message, sizeof(message), "invalid option (tags: %s)", reason);
    admin_error(listing->call->answer, ADMIN_ERROR_OPTIONS, message, json_pack("{s:s}", "tags", reason));
    return false;
}

static bool read_tags(struct listing *listing)
{
    struct slice text = admin_parameter(listing->call, "tags");
    if (text.data == NULL)
        return true;
    if (text.size == 0)
        return refuse_option(listing, "cannot be null");
    bool any = memchr(text.data, '/', text.size) != NULL, all = memchr(text.data, ',', text.size) != NULL;
    if (any && all)
        return refuse_option(listing, "invalid filter syntax");
    listing->any_tag = any;
    while (text.data) {
        struct slice tag = slice_split(text, any ? '/' : ',', &text);
        if (tag.size == 0 || listing->tag_count == TAGS_MAX)
            return refuse_option(listing, "invalid filter syntax");
        listing->tags[listing->tag_count++] = tag;
    }
    return true;
}

static bool read_size(struct listing *listing)
{
    struct slice text = admin_parameter(listing->call, "size");
    uint64_t size = SIZE_DEFAULT;
    if (text.data && (!slice_to_u64(text, &size) || size < 1 || size > SIZE_MAX_ASKED)) {
        admin_error(listing->call->answer, ADMIN_ERROR_SIZE, "size must be an integer between 1 and 1000",
                    NULL);
        return false;
    }
    listing->size = (uint32_t)size;
    return true;
}

/* "services|WORKSPACE|*|ID" and a NUL, in base64url. */
static struct slice offset_after(const struct listing *listing, const char *id)
{
    struct arena *arena = listing->call->arena;
    struct slice text = arena_format(arena, "%s|%s|*|%s", listing->target->kind->name,
                                     listing->tag_count ? "*" : WORKSPACE, id);
    if (text.data == NULL)
        return text;
    text.size++;
    char *out = arena_alloc(arena, base64_encoded_size(BASE64_URL, text.size) + 1);
    return (struct slice){ out, out ? base64_encode(BASE64_URL, text, out) : 0 };
}

/* An offset that is none of ours leads behind the last entity. */
static const char *id_in_offset(const struct listing *listing, struct slice offset)
{
    static const char behind_all[] = "~";
    struct arena *arena = listing->call->arena;
    char *text = arena_alloc(arena, base64_decoded_bound(offset.size) + 1);
    size_t size;
    unsigned char bytes[UUID_BYTES];
    if (text == NULL || !base64_decode(BASE64_URL, offset, text, &size) || size < UUID_TEXT_SIZE)
        return behind_all;
    size_t kind_size = strlen(listing->target->kind->name);
    struct slice id = { text + size - UUID_TEXT_SIZE, UUID_TEXT_SIZE - 1 };
    bool good = text[size - 1] == '\0' && size > kind_size + UUID_TEXT_SIZE && text[kind_size] == '|' &&
                memcmp(text, listing->target->kind->name, kind_size) == 0 && uuid_read(id, bytes);
    return good ? id.data : behind_all;
}

/* --- the page ------------------------------------------------------------------------------------------- */

static bool has_tag(const json_t *tags, struct slice tag)
{
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const json_t *one = json_array_get(tags, i);
        if (slice_equal(tag, (struct slice){ json_string_value(one), json_string_length(one) }))
            return true;
    }
    return false;
}

static bool fits_tags(const struct listing *listing, const json_t *document)
{
    const json_t *tags = json_object_get(document, "tags");
    unsigned found = 0;
    for (unsigned i = 0; i < listing->tag_count; i++)
        found += has_tag(tags, listing->tags[i]);
    return listing->any_tag ? found > 0 : found == listing->tag_count;
}

static bool fits_custom_id(const struct listing *listing, const json_t *document)
{
    const json_t *value = json_object_get(document, "custom_id");
    return listing->custom_id.data == NULL ||
           slice_equal(listing->custom_id,
                       (struct slice){ json_string_value(value), json_string_length(value) });
}

static bool is_listed(const struct listing *listing, const struct catalog_row *row)
{
    if (listing->after && strcmp(row->id, listing->after) <= 0)
        return false;
    if (listing->parent && !catalog_refers(row, listing->target->relation->field, listing->parent->id))
        return false;
    if (listing->tag_count == 0 && listing->custom_id.data == NULL)
        return true;
    json_t *document = admin_document(row);
    bool fits = fits_tags(listing, document) && fits_custom_id(listing, document);
    json_decref(document);
    return fits;
}

static void add_next(struct listing *listing, const char *last, json_t *page)
{
    struct arena *arena = listing->call->arena;
    struct slice offset = offset_after(listing, last), tags = admin_parameter(listing->call, "tags");
    struct slice size = admin_parameter(listing->call, "size");
    if (tags.data)
        tags = query_escape(arena, tags);
    struct slice next = arena_format(arena, "%.*s?offset=%.*s%s%.*s%s%.*s", SLICE_FORMAT(listing->call->path),
                                     SLICE_FORMAT(offset), tags.data ? "&tags=" : "", SLICE_FORMAT(tags),
                                     size.data ? "&size=" : "", SLICE_FORMAT(size));
    json_object_set_new(page, "next", json_stringn(next.data, next.size));
    json_object_set_new(page, "offset", json_stringn(offset.data, offset.size));
}

static void write_page(struct listing *listing)
{
    uint32_t count, listed = 0;
    const struct catalog_row *rows = catalog_of_kind(listing->catalog, listing->target->kind->name, &count);
    const char *last = NULL;
    json_t *data = json_array(), *page = json_pack("{s:o, s:n}", "data", data, "next");
    for (uint32_t i = 0; i < count; i++) {
        if (!is_listed(listing, &rows[i]))
            continue;
        if (listed++ == listing->size) {
            add_next(listing, last, page);
            break;
        }
        last = rows[i].id;
        json_array_append_new(
            data, admin_show(listing->call->node, listing->catalog, listing->target->kind, &rows[i]));
    }
    admin_json(listing->call->answer, 200, page);
}

void admin_list(struct admin_call *call, const struct catalog *catalog, const struct admin_target *target,
                const struct catalog_row *parent)
{
    struct listing listing = { .call = call, .catalog = catalog, .target = target, .parent = parent };
    struct slice offset = admin_parameter(call, "offset");
    if (!read_size(&listing) || !read_tags(&listing))
        return;
    if (offset.data)
        listing.after = id_in_offset(&listing, offset);
    if (strcmp(target->kind->name, "consumers") == 0)
        listing.custom_id = admin_parameter(call, "custom_id");
    write_page(&listing);
}
