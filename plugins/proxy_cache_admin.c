/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/proxy_cache_admin.h"

#include "plugins/proxy_cache.h"
#include "plugins/proxy_cache_entry.h"

static bool read_key(struct slice text, unsigned char key[SHARED_KEY_BYTES])
{
    if (text.size != 2 * SHARED_KEY_BYTES)
        return false;
    for (size_t i = 0; i < SHARED_KEY_BYTES; i++) {
        int high = slice_hex_value(text.data[2 * i]), low = slice_hex_value(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

uint32_t proxy_cache_purge(void *process_state)
{
    struct proxy_cache_process *process = process_state;
    return shared_cache_purge(process->cache).removed;
}

bool proxy_cache_forget(void *process_state, struct slice key)
{
    struct proxy_cache_process *process = process_state;
    unsigned char bytes[SHARED_KEY_BYTES];
    return read_key(key, bytes) && shared_cache_remove(process->cache, bytes).removed > 0;
}

static json_t *text_json(struct slice text)
{
    json_t *value = json_stringn(text.data ? text.data : "", text.size);
    return value ? value : json_string("(not UTF-8)");
}

/* Several fields of a name become a list, as in Kong. */
static void add_header(json_t *headers, struct slice name, struct slice value)
{
    char text[256];
    if (name.size >= sizeof(text))
        return;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    json_t *there = json_object_get(headers, text);
    if (there == NULL) {
        json_object_set_new(headers, text, text_json(value));
    } else if (json_is_array(there)) {
        json_array_append_new(there, text_json(value));
    } else {
        json_t *list = json_array();
        json_array_append(list, there);
        json_array_append_new(list, text_json(value));
        json_object_set_new(headers, text, list);
    }
}

static json_t *show(const struct shared_entry *entry)
{
    const struct stored *stored = stored_of(entry);
    json_t *headers = json_object();
    for (uint32_t i = 0; i < stored->header_count; i++) {
        const struct stored_field *field = &stored->fields[i];
        add_header(headers, (struct slice){ (const char *)stored + field->name, field->name_size },
                   (struct slice){ (const char *)stored + field->value, field->value_size });
    }
    struct slice body = { (const char *)stored + stored->head_bytes, stored->body_bytes };
    json_t *value = json_pack("{s:i, s:o, s:o, s:I, s:I}", "status", stored->status, "headers", headers,
                              "body", text_json(body), "body_len", (json_int_t)stored->body_bytes, "ttl",
                              (json_int_t)stored->lifetime_s);
    return value;
}

json_t *proxy_cache_show(void *process_state, struct slice key)
{
    struct proxy_cache_process *process = process_state;
    unsigned char bytes[SHARED_KEY_BYTES];
    json_t *value = NULL;
    if (!read_key(key, bytes))
        return NULL;
    shared_cache_enter(process->cache, process->shard_count);
    struct shared_entry *entry = shared_cache_next(process->cache, bytes, NULL);
    if (entry)
        value = show(entry);
    shared_cache_leave(process->cache, process->shard_count);
    return value;
}
