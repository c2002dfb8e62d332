/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/resolver.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void name_table_init(struct name_table *table, struct arena *arena)
{
    table->arena = arena;
    map_init(&table->names, arena);
}

static struct slice lower_copy(struct arena *arena, struct slice text)
{
    struct slice copy = arena_copy(arena, text);
    for (size_t i = 0; copy.data && i < copy.size; i++)
        ((char *)(uintptr_t)copy.data)[i] = slice_lower(copy.data[i]);
    return copy;
}

bool name_table_need(struct name_table *table, struct slice name)
{
    struct address numeric;
    if (name.size == 0 || address_parse(name, 0, &numeric))
        return true;
    struct resolved_name *entry = arena_alloc_zero(table->arena, sizeof(*entry));
    if (entry == NULL)
        return false;
    entry->name = lower_copy(table->arena, name);
    return entry->name.data && map_add(&table->names, entry->name, entry, NULL);
}

static bool has_address(const struct resolved_name *entry, const struct address *address)
{
    for (uint32_t i = 0; i < entry->count; i++)
        if (address_equal(&entry->addresses[i], address))
            return true;
    return false;
}

static bool add_address(struct name_table *table, struct resolved_name *entry, const struct address *address)
{
    if (entry->count == RESOLVER_ADDRESSES_MAX)
        return true;
    if (entry->addresses == NULL)
        entry->addresses = arena_array(table->arena, RESOLVER_ADDRESSES_MAX, sizeof(*address));
    if (entry->addresses == NULL)
        return false;
    if (has_address(entry, address))
        return true;
    entry->addresses[entry->count++] = *address;
    return true;
}

static bool read_hosts_line(struct name_table *table, char *line)
{
    char *comment = strchr(line, '#');
    if (comment)
        *comment = '\0';
    char *rest = line + strspn(line, " \t"), *word = strsep(&rest, " \t\r\n");
    struct address address;
    if (word == NULL || !address_parse(slice_of(word), 0, &address))
        return true;
    while ((word = strsep(&rest, " \t\r\n")) != NULL) {
        char lower[256];
        size_t size = strlen(word);
        if (size == 0 || size >= sizeof(lower))
            continue;
        for (size_t i = 0; i <= size; i++)
            lower[i] = slice_lower(word[i]);
        struct resolved_name *entry = map_find(&table->names, slice_of(lower));
        if (entry && !add_address(table, entry, &address))
            return false;
    }
    return true;
}

static bool read_hosts_file(struct name_table *table, const char *path)
{
    FILE *file = path[0] ? fopen(path, "re") : NULL;
    if (file == NULL)
        return true; /* like a resolver: without the file there are no such names */
    char *line = NULL;
    size_t capacity = 0;
    bool enough = true;
    while (enough && getline(&line, &capacity, file) >= 0)
        enough = read_hosts_line(table, line);
    free(line);
    fclose(file);
    return enough;
}

struct lookup {
    struct gaicb request;
    char *name;
    struct resolved_name *entry;
};

static bool take_lookup(struct name_table *table, struct lookup *lookup)
{
    bool enough = true;
    for (const struct addrinfo *at = lookup->request.ar_result; enough && at; at = at->ai_next) {
        struct address address = { .size = at->ai_addrlen };
        if (at->ai_addrlen > sizeof(address.v6))
            continue;
        memcpy(&address.any, at->ai_addr, at->ai_addrlen);
        enough = add_address(table, lookup->entry, &address);
    }
    if (lookup->request.ar_result)
        freeaddrinfo(lookup->request.ar_result);
    return enough;
}

static void wait_for(struct gaicb *requests[], uint32_t count, uint32_t timeout_ms)
{
    struct timespec now, end;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t end_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + timeout_ms * 1000000ull;
    for (uint32_t i = 0; i < count; i++) {
        while (gai_error(requests[i]) == EAI_INPROGRESS) {
            clock_gettime(CLOCK_MONOTONIC, &now);
            uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
            if (now_ns >= end_ns)
                return;
            end = (struct timespec){ .tv_sec = (time_t)((end_ns - now_ns) / 1000000000u),
                                     .tv_nsec = (long)((end_ns - now_ns) % 1000000000u) };
            const struct gaicb *one[1] = { requests[i] };
            (void)gai_suspend(one, 1, &end);
        }
    }
}

static uint32_t collect_unresolved(struct name_table *table, struct lookup *lookups, struct gaicb *requests[])
{
    static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    uint32_t count = 0;
    for (uint32_t i = 0; i < table->names.capacity; i++) {
        struct resolved_name *entry = table->names.entries[i].value;
        if (entry == NULL || entry->count > 0)
            continue;
        lookups[count].entry = entry;
        lookups[count].name = strdup(entry->name.data); /* a lookup may outlive the table */
        if (lookups[count].name == NULL)
            continue;
        lookups[count].request = (struct gaicb){ .ar_name = lookups[count].name, .ar_request = &hints };
        requests[count] = &lookups[count].request;
        count++;
    }
    return count;
}

/* A lookup that is still running after the time is up cannot be stopped: its memory is then left to it. */
static bool ask_system(struct name_table *table, uint32_t timeout_ms)
{
    struct lookup *lookups = calloc(table->names.count + 1, sizeof(*lookups));
    struct gaicb **requests = calloc(table->names.count + 1, sizeof(*requests));
    bool enough = lookups && requests, running = false;
    uint32_t count = enough ? collect_unresolved(table, lookups, requests) : 0;
    if (count > 0 && getaddrinfo_a(GAI_NOWAIT, requests, (int)count, NULL) == 0) {
        wait_for(requests, count, timeout_ms);
        for (uint32_t i = 0; i < count; i++) {
            if (gai_error(requests[i]) == EAI_INPROGRESS && gai_cancel(requests[i]) != EAI_CANCELED)
                running = true;
            else if (gai_error(requests[i]) == 0)
                enough = take_lookup(table, &lookups[i]) && enough;
        }
    }
    if (!running) {
        for (uint32_t i = 0; i < count; i++)
            free(lookups[i].name);
        free(lookups);
        free(requests);
    }
    return enough;
}

bool name_table_resolve(struct name_table *table, const struct resolver_options *options,
                        const struct name_table *before)
{
    if (table->names.count == 0)
        return true;
    if (!read_hosts_file(table, options->hosts_file) || !ask_system(table, options->timeout_ms))
        return false;
    for (uint32_t i = 0; before && i < table->names.capacity; i++) {
        struct resolved_name *entry = table->names.entries[i].value;
        const struct resolved_name *old = entry ? map_find(&before->names, entry->name) : NULL;
        if (old == NULL || entry->count > 0)
            continue;
        for (uint32_t j = 0; j < old->count; j++)
            if (!add_address(table, entry, &old->addresses[j]))
                return false;
    }
    return true;
}

/* In any order: servers rotate their answers. */
bool name_table_equal(const struct name_table *a, const struct name_table *b)
{
    if (a->names.count != b->names.count)
        return false;
    for (uint32_t i = 0; i < a->names.capacity; i++) {
        const struct resolved_name *left = a->names.entries[i].value;
        const struct resolved_name *right = left ? map_find(&b->names, left->name) : NULL;
        if (left == NULL)
            continue;
        if (right == NULL || left->count != right->count)
            return false;
        for (uint32_t j = 0; j < left->count; j++)
            if (!has_address(right, &left->addresses[j]))
                return false;
    }
    return true;
}

static void set_port(struct address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = htons(port);
    else
        address->v4.sin_port = htons(port);
}

uint32_t name_table_lookup(const struct name_table *table, struct slice name, uint16_t port,
                           struct address *out, uint32_t most)
{
    if (most > 0 && address_parse(name, port, out))
        return 1;
    char lower[256];
    if (name.size >= sizeof(lower))
        return 0;
    for (size_t i = 0; i < name.size; i++)
        lower[i] = slice_lower(name.data[i]);
    const struct resolved_name *entry = map_find(&table->names, (struct slice){ lower, name.size });
    uint32_t count = entry == NULL ? 0 : entry->count < most ? entry->count : most;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = entry->addresses[i];
        set_port(&out[i], port);
    }
    return count;
}
