/* SPDX-License-Identifier: Apache-2.0 */
#include "net/redis/redis_slots.h"

#include "net/transport/address.h"

/* --- the slot of a key ---------------------------------------------------------------------------------- */

/* CRC-16/XMODEM: polynomial 0x1021, most significant bit first, from 0. Four bits at a time. */
static uint16_t crc16(struct slice text)
{
    static const uint16_t table[16] = { 0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
                                        0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef };
    uint16_t crc = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        crc = (uint16_t)((crc << 4) ^ table[(crc >> 12) ^ (byte >> 4)]);
        crc = (uint16_t)((crc << 4) ^ table[(crc >> 12) ^ (byte & 15)]);
    }
    return crc;
}

/* The text between the first '{' and the first '}' behind it, unless that is empty. */
static struct slice hash_tag(struct slice key)
{
    const char *open = key.size > 0 ? memchr(key.data, '{', key.size) : NULL;
    if (open == NULL)
        return key;
    struct slice inside = slice_from(key, (size_t)(open - key.data) + 1);
    const char *close = inside.size > 0 ? memchr(inside.data, '}', inside.size) : NULL;
    if (close == NULL || close == inside.data)
        return key;
    return (struct slice){ inside.data, (size_t)(close - inside.data) };
}

uint16_t redis_slot_of(struct slice key)
{
    return crc16(hash_tag(key)) % REDIS_SLOT_COUNT;
}

/* --- CLUSTER SLOTS -------------------------------------------------------------------------------------- */

/* What stands at each depth, from outside: all ranges; one: first, last, the master, replicas; a node: host,
 * port, id, metadata; metadata: names and values. */
enum { IN_RANGES = 1, IN_RANGE, IN_NODE, IN_METADATA };

void redis_slots_init(struct redis_slots_reader *reader, redis_range_fn *take, void *owner)
{
    *reader = (struct redis_slots_reader){ .take = take, .owner = owner };
}

static bool open_array(struct redis_slots_reader *reader, uint32_t count)
{
    static const uint32_t at_least[] = { 0, 3, 2, 0 };
    if (reader->depth == REDIS_SLOTS_DEPTH || count < at_least[reader->depth])
        return false;
    if (reader->depth == IN_RANGES) {
        reader->range.host_size = 0;
        reader->has_port = reader->is_address = false;
    }
    reader->left[reader->depth] = count;
    reader->index[reader->depth] = 0;
    reader->names_address = false;
    reader->depth++;
    return true;
}

/* Leaves what is at its end. */
static bool close_arrays(struct redis_slots_reader *reader)
{
    while (reader->depth > 0 && reader->left[reader->depth - 1] == 0) {
        bool ends_range = reader->depth == IN_RANGE;
        reader->depth--;
        if (ends_range && (!reader->has_port || !reader->take(reader->owner, &reader->range)))
            return false;
    }
    reader->complete = reader->depth == 0;
    return true;
}

static bool take_slot(struct redis_slots_reader *reader, uint32_t index, const struct redis_reply *item)
{
    if (item->kind != REDIS_INTEGER || item->integer < 0 || item->integer >= REDIS_SLOT_COUNT)
        return false;
    if (index == 0)
        reader->range.first = (uint16_t)item->integer;
    else
        reader->range.last = (uint16_t)item->integer;
    return index == 0 || reader->range.first <= reader->range.last;
}

static bool take_host(struct redis_slots_reader *reader, struct slice host)
{
    struct address address;
    if (host.size > sizeof(reader->range.host))
        return false;
    if (host.size > 0)
        memcpy(reader->range.host, host.data, host.size);
    reader->range.host_size = (uint8_t)host.size;
    reader->is_address = host.size == 0 || address_parse(host, 0, &address);
    return true;
}

static bool take_node_part(struct redis_slots_reader *reader, uint32_t index, const struct redis_reply *item)
{
    if (index == 0)
        return item->kind == REDIS_NIL || (item->kind == REDIS_TEXT && take_host(reader, item->text));
    if (index > 1)
        return true;
    reader->has_port = item->kind == REDIS_INTEGER && item->integer > 0 && item->integer <= UINT16_MAX;
    reader->range.port = (uint16_t)item->integer;
    return reader->has_port;
}

/* A node that is announced by a name tells its address behind the word "ip". */
static bool take_metadata(struct redis_slots_reader *reader, uint32_t index, const struct redis_reply *item)
{
    if (index % 2 == 0)
        reader->names_address = item->kind == REDIS_TEXT && slice_equal(item->text, SLICE("ip"));
    else if (reader->names_address && !reader->is_address && item->kind == REDIS_TEXT && item->text.size > 0)
        return take_host(reader, item->text);
    return true;
}

bool redis_slots_feed(struct redis_slots_reader *reader, const struct redis_reply *item)
{
    if (reader->complete)
        return false;
    unsigned depth = reader->depth;
    uint32_t index = 0;
    if (depth > 0) {
        index = reader->index[depth - 1]++;
        reader->left[depth - 1]--;
    }
    bool is_slot = depth == IN_RANGE && index < 2;
    bool is_word = is_slot || (depth == IN_NODE && index < 2);
    bool is_master = depth > IN_RANGE && reader->index[IN_RANGE - 1] == 3;
    bool good = true;
    if (item->kind == REDIS_ARRAY)
        good = !is_word && open_array(reader, (uint32_t)item->integer);
    else if (depth <= IN_RANGES)
        good = false;
    else if (depth == IN_RANGE)
        good = is_slot && take_slot(reader, index, item);
    else if (depth == IN_NODE && is_master)
        good = take_node_part(reader, index, item);
    else if (depth == IN_METADATA && is_master)
        good = take_metadata(reader, index, item);
    return good && close_arrays(reader);
}

/* --- errors that lead elsewhere ------------------------------------------------------------------------- */

/* "<slot> <host>:<port>"; the host may be empty, or an IPv6 address without brackets. */
static bool parse_where(struct slice text, struct redis_redirect *redirect)
{
    struct slice where;
    uint64_t slot, port;
    struct slice number = slice_split(text, ' ', &where);
    if (!slice_to_u64(number, &slot) || slot >= REDIS_SLOT_COUNT || where.data == NULL)
        return false;
    size_t colon = where.size;
    while (colon > 0 && where.data[colon - 1] != ':')
        colon--;
    if (colon == 0 || colon - 1 > REDIS_HOST_MAX_BYTES || !slice_to_u64(slice_from(where, colon), &port) ||
        port == 0 || port > UINT16_MAX)
        return false;
    redirect->slot = (uint16_t)slot;
    redirect->server = (struct redis_server){ { where.data, colon - 1 }, (uint16_t)port };
    return true;
}

struct redis_redirect redis_redirect_parse(struct slice text)
{
    static const struct {
        const char *word;
        enum redis_complaint complaint;
    } words[] = { { "MOVED", REDIS_MOVED },          { "ASK", REDIS_ASK },
                  { "TRYAGAIN", REDIS_TRY_AGAIN },   { "CLUSTERDOWN", REDIS_CLUSTER_DOWN },
                  { "LOADING", REDIS_CLUSTER_DOWN }, { "MASTERDOWN", REDIS_CLUSTER_DOWN },
                  { "READONLY", REDIS_READ_ONLY } };
    struct redis_redirect redirect = { .complaint = REDIS_OTHER_ERROR };
    struct slice rest, word = slice_split(text, ' ', &rest);
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (slice_equal(word, slice_of(words[i].word)))
            redirect.complaint = words[i].complaint;
    bool leads = redirect.complaint == REDIS_MOVED || redirect.complaint == REDIS_ASK;
    if (leads && (rest.data == NULL || !parse_where(rest, &redirect)))
        redirect.complaint = REDIS_OTHER_ERROR;
    return redirect;
}
