/* SPDX-License-Identifier: Apache-2.0 */
/* The hosts file: names with addresses that no server is asked for. Read again when the file has changed. The
 * file is read at once, so only a thread that may wait for a disk owns one. */
#pragma once

#include "core/base/map.h"
#include "net/transport/address.h"

#include <sys/stat.h>

struct dns_hosts_entry {
    struct address *addresses; /* port 0, of both families, in the order of the file */
    uint32_t count, capacity;
};

struct dns_hosts {
    const char *path; /* NULL: none */
    struct arena arena;
    struct map names; /* lower case -> struct dns_hosts_entry */
    struct stat seen; /* of the file when it was read; st_ino 0: there was none */
};

/* path must outlive it; NULL for no file. Nothing is read yet. */
void dns_hosts_init(struct dns_hosts *hosts, const char *path);
void dns_hosts_deinit(struct dns_hosts *hosts);

/* Reads the file if it is another than before: then true. A file that cannot be read holds no names. */
bool dns_hosts_refresh(struct dns_hosts *hosts);

/* name in lower case; NULL when the file does not have it. */
const struct dns_hosts_entry *dns_hosts_find(const struct dns_hosts *hosts, struct slice name);
