# SPDX-License-Identifier: Apache-2.0
"""Origins that say who they are, and configurations that balance over them."""
import collections

from tests.support import client, net, origin


class Target(origin.Origin):
    """An origin that names itself in X-Origin; `answer(request)` may be given to do something else."""

    def __init__(self, name, handler=None, **kw):
        self.name = name
        super().__init__(handler or self.reply, **kw)

    def reply(self, request):
        reply = origin.answer(headers=[("X-Origin", self.name)])
        return reply[:-len(origin.BODY)] if request.method == "HEAD" else reply


def text_of(target):
    """What a target is configured as: an origin, or (host, port)."""
    return "%s:%d" % (target.address if hasattr(target, "address") else target)


def configuration(targets, weights=None, service=None, route=None, **upstream):
    """One upstream of these targets behind one route that takes everything."""
    rows = [{"target": text_of(target), "weight": weights[i] if weights else 100}
            for i, target in enumerate(targets)]
    return {"_format_version": "3.0",
            "services": [{"name": "s", "host": "up", **(service or {}),
                          "routes": [{"name": "r", "paths": ["/"], "strip_path": False, **(route or {})}]}],
            "upstreams": [{"name": "up", **upstream, "targets": rows}]}


def who(gateway, target="/", headers=()):
    """The name of who answers; the status when it is not 200."""
    answer = gateway.get(target, headers)
    return answer.get("X-Origin") if answer.status == 200 else answer.status


def count(gateway, requests, target="/", headers=()):
    """How many requests each one answers, sent over one connection: by one shard."""
    counts = collections.Counter()
    with gateway.connect() as connection:
        for _ in range(requests):
            answer = connection.exchange(client.encode("GET", target, headers))
            counts[answer.get("X-Origin") if answer.status == 200 else answer.status] += 1
    return counts


def dead_address():
    """An address that refuses connections."""
    return net.own_host(), net.free_port()
