/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/sockets.h"

#include "core/app/handover.h"
#include "net/transport/listener.h"
#include "net/transport/udp.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One that another process hands over, or a new one. Datagrams come to whoever has bound the address. */
static enum error take_or_bind(const struct listener_setting *setting, const struct address *address, int *fd,
                               const char **reason)
{
    if (setting->udp)
        return udp_bind(address, fd, reason);
    *fd = handover_take(address);
    if (*fd < 0)
        return listener_bind(address, setting->backlog, fd, reason);
    (void)listen(*fd, setting->backlog);
    return ERROR_OK;
}

static bool open_one(struct sockets *sockets, const struct listener_setting *setting,
                     struct listener_options *options, struct report *report)
{
    struct address address;
    int fd = -1;
    uint16_t *port = &options->port;
    const char *reason = "not a numeric address";
    if (!address_parse(setting->address, *port, &address) ||
        take_or_bind(setting, &address, &fd, &reason) != ERROR_OK) {
        report_add(report, REPORT_ERROR, NULL, options->streams ? "stream_listen" : "proxy_listen",
                   "cannot listen on %.*s:%u: %s", SLICE_FORMAT(setting->address), setting->port, reason);
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

static void choose(struct sockets *sockets, const struct listener_settings *all,
                   const struct listener_setting **chosen, bool streams)
{
    for (uint32_t i = 0; i < all->count; i++) {
        const struct listener_setting *setting = &all->items[i];
        chosen[sockets->per_shard] = setting;
        sockets->options[sockets->per_shard++] =
            (struct listener_options){ .port = setting->port,
                                       .tls = setting->ssl,
                                       .http2 = setting->http2,
                                       .proxy_protocol = setting->proxy_protocol,
                                       .streams = streams,
                                       .datagrams = setting->udp };
    }
}

static bool open_all(struct sockets *sockets, const struct listener_setting *const *chosen,
                     unsigned shard_count, struct report *report)
{
    for (unsigned shard = 0; shard < shard_count; shard++)
        for (uint32_t i = 0; i < sockets->per_shard; i++)
            if (!open_one(sockets, chosen[i], &sockets->options[i], report))
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
    uint32_t count = settings->proxy_listeners.count + settings->stream_listeners.count;
    const struct listener_setting **chosen = calloc(count + 1, sizeof(*chosen));
    sockets->fds = calloc((size_t)count * shard_count + 1, sizeof(int));
    sockets->options = calloc(count + 1, sizeof(*sockets->options));
    bool opened = chosen && sockets->fds && sockets->options;
    if (opened) {
        choose(sockets, &settings->proxy_listeners, chosen, false);
        choose(sockets, &settings->stream_listeners, chosen, true);
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

uint32_t sockets_listening(const struct sockets *sockets, int *fds)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sockets->count; i++)
        if (!sockets->options[i % sockets->per_shard].datagrams)
            fds[count++] = sockets->fds[i];
    return count;
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
