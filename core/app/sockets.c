/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/sockets.h"

#include "core/app/handover.h"
#include "core/app/journal.h"
#include "net/transport/listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool serves(const struct listener_setting *setting)
{
    return !setting->udp;
}

static bool open_one(struct sockets *sockets, const struct listener_setting *setting, uint16_t *port,
                     struct report *report)
{
    struct address address;
    const char *reason = "not a numeric address";
    bool numeric = address_parse(setting->address, *port, &address);
    int fd = numeric ? handover_take(&address) : -1;
    if (fd >= 0)
        (void)listen(fd, setting->backlog);
    else if (!numeric || listener_bind(&address, setting->backlog, &fd, &reason) != ERROR_OK) {
        report_add(report, REPORT_ERROR, NULL, "proxy_listen", "cannot listen on %.*s:%u: %s",
                   SLICE_FORMAT(setting->address), setting->port, reason);
        return false;
    }
    /* Port 0 is any free one: the other shards take the same. */
    socklen_t size = sizeof(address.v6);
    if (getsockname(fd, &address.any, &size) == 0)
        *port = address_port(&address);
    if (sockets->count == 0) {
        char text[ADDRESS_TEXT_SIZE];
        address_text(&address, text);
        bool any = text[strspn(text, "0.:")] == '\0';
        snprintf(sockets->first_text, sizeof(sockets->first_text), "%s:%u", any ? "127.0.0.1" : text, *port);
    }
    sockets->fds[sockets->count++] = fd;
    return true;
}

/* The listeners that can be served now. */
static uint32_t choose(const struct listener_settings *all, const struct listener_setting **chosen)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        const struct listener_setting *setting = &all->items[i];
        if (serves(setting))
            chosen[count++] = setting;
        else
            journal(JOURNAL_WARN, "proxy_listen %.*s:%u is not opened: HTTP is not spoken over udp",
                    SLICE_FORMAT(setting->address), setting->port);
    }
    return count;
}

static bool open_all(struct sockets *sockets, const struct listener_setting *const *chosen,
                     unsigned shard_count, struct report *report)
{
    for (uint32_t i = 0; i < sockets->per_shard; i++) {
        sockets->options[i] = (struct listener_options){ .port = chosen[i]->port,
                                                         .tls = chosen[i]->ssl,
                                                         .http2 = chosen[i]->http2,
                                                         .proxy_protocol = chosen[i]->proxy_protocol };
    }
    for (unsigned shard = 0; shard < shard_count; shard++)
        for (uint32_t i = 0; i < sockets->per_shard; i++)
            if (!open_one(sockets, chosen[i], &sockets->options[i].port, report))
                return false;
    return true;
}

/* What clients see instead of a listener's own port (port_maps). */
static void map_ports(struct sockets *sockets, const struct settings *settings)
{
    for (uint32_t i = 0; i < sockets->per_shard; i++) {
        uint16_t own = sockets->options[i].port;
        for (uint32_t j = 0; j < settings->port_map.count; j++)
            if (settings->port_map.items[j].to == own)
                sockets->options[i].port = settings->port_map.items[j].from;
    }
}

bool sockets_open(struct sockets *sockets, const struct settings *settings, unsigned shard_count,
                  struct report *report)
{
    const struct listener_settings *all = &settings->proxy_listeners;
    const struct listener_setting **chosen = calloc(all->count + 1, sizeof(*chosen));
    sockets->fds = calloc((size_t)all->count * shard_count + 1, sizeof(int));
    sockets->options = calloc(all->count + 1, sizeof(*sockets->options));
    bool opened = chosen && sockets->fds && sockets->options;
    if (opened) {
        sockets->per_shard = choose(all, chosen);
        opened = open_all(sockets, chosen, shard_count, report);
        map_ports(sockets, settings);
    }
    free(chosen);
    if (!opened)
        sockets_close(sockets);
    return opened;
}

void sockets_given(struct sockets *sockets, unsigned shard)
{
    sockets->given_count = (shard + 1) * sockets->per_shard;
}

void sockets_close(struct sockets *sockets)
{
    for (uint32_t i = sockets->given_count; i < sockets->count; i++)
        close(sockets->fds[i]);
    free(sockets->fds);
    free(sockets->options);
    *sockets = (struct sockets){ 0 };
}

const char *sockets_first_text(const struct sockets *sockets)
{
    return sockets->first_text;
}
