/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns/dns_hosts.h"

#include <stdio.h>
#include <stdlib.h>

enum { HOSTS_BYTES = 64 * 1024 * 1024, NAME_BYTES = 256 };

void dns_hosts_init(struct dns_hosts *hosts, const char *path)
{
    *hosts = (struct dns_hosts){ .path = path };
    arena_init(&hosts->arena, NULL, 0, HOSTS_BYTES);
    map_init(&hosts->names, &hosts->arena);
}

void dns_hosts_deinit(struct dns_hosts *hosts)
{
    arena_deinit(&hosts->arena);
}

static void add_address(struct dns_hosts *hosts, struct dns_hosts_entry *entry, const struct address *address)
{
    for (uint32_t i = 0; i < entry->count; i++)
        if (address_equal(&entry->addresses[i], address))
            return;
    if (entry->count == entry->capacity) {
        uint32_t capacity = entry->capacity ? entry->capacity * 2 : 1;
        struct address *grown = arena_array(&hosts->arena, capacity, sizeof(*grown));
        if (grown == NULL)
            return;
        if (entry->count)
            memcpy(grown, entry->addresses, entry->count * sizeof(*grown));
        entry->addresses = grown;
        entry->capacity = capacity;
    }
    entry->addresses[entry->count++] = *address;
}

static void add_name(struct dns_hosts *hosts, char *word, const struct address *address)
{
    size_t size = strlen(word);
    if (size == 0 || size >= NAME_BYTES)
        return;
    for (size_t i = 0; i < size; i++)
        word[i] = slice_lower(word[i]);
    struct dns_hosts_entry *entry = map_find(&hosts->names, (struct slice){ word, size });
    if (entry == NULL) {
        struct slice name = arena_copy(&hosts->arena, (struct slice){ word, size });
        entry = arena_alloc_zero(&hosts->arena, sizeof(*entry));
        if (name.data == NULL || entry == NULL || !map_add(&hosts->names, name, entry, NULL))
            return;
    }
    add_address(hosts, entry, address);
}

static void read_line(struct dns_hosts *hosts, char *line)
{
    static const char spaces[] = " \t\r\n";
    struct address address;
    line[strcspn(line, "#")] = '\0';
    char *rest = line + strspn(line, spaces), *word = strsep(&rest, spaces);
    if (!address_parse(slice_of(word), 0, &address))
        return;
    while ((word = strsep(&rest, spaces)) != NULL)
        add_name(hosts, word, &address);
}

static void read_file(struct dns_hosts *hosts, FILE *file)
{
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) >= 0)
        read_line(hosts, line);
    free(line);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool dns_hosts_refresh(struct dns_hosts *hosts)
{
    struct stat now = { 0 };
    if (hosts->path == NULL)
        return false;
    if (stat(hosts->path, &now) != 0)
        now = (struct stat){ 0 };
    if (is_same(&now, &hosts->seen))
        return false;
    arena_reset(&hosts->arena);
    map_init(&hosts->names, &hosts->arena);
    hosts->seen = now;
    FILE *file = fopen(hosts->path, "re");
    if (file) {
        read_file(hosts, file);
        fclose(file);
    }
    return true;
}

const struct dns_hosts_entry *dns_hosts_find(const struct dns_hosts *hosts, struct slice name)
{
    return map_find(&hosts->names, name);
}
