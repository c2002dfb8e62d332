# SPDX-License-Identifier: Apache-2.0
"""gRPC clients and servers of two languages: through the gateway they see what they see without it."""
import os

from tests.support import certs, gateway, grpc_peers, net
from tests.support.gateway import Gateway
from tests.support.runner import Skip

BIG = 6000000
CLIENTS = {"Python": grpc_peers.python_client, "Go": grpc_peers.go_client}
SERVERS = {"Python": grpc_peers.PythonServer, "Go": grpc_peers.GoServer}
IN_ALL = {"unary": "1 5 ", "large": "1 %d " % BIG, "server stream of large ones": "8 8000000 "}


def config(server, tls):
    return {"_format_version": "3.0", "services": [{
        "name": "s", "protocol": "grpcs" if tls else "grpc", "host": "up", "port": 1,
        "routes": [{"name": "r", "paths": ["/"], "protocols": ["grpc", "grpcs"]}]}],
        "upstreams": [{"name": "up", "host_header": "a.test",
                       "targets": [{"target": "%s:%d" % (server.host, server.port)}]}]}


def compare(t, program, pair, tls):
    """`tls`: (authority, paths of a certificate) or None."""
    client, server = pair
    ca, files = tls or (None, None)
    more = {"ca_path": ca.path} if ca and client == "Go" else {}
    call = lambda address: CLIENTS[client](program, address, ca and ca.own, BIG, **more)  # noqa: E731
    with SERVERS[server](program, files) as peer:
        direct = call((peer.host, peer.port))
    with SERVERS[server](program, files) as peer:
        listen = (net.own_host(), net.free_port())
        settings = {"shards": "1", "proxy_listen": "%s:%d%s" % (*listen, " ssl http2" if ca else " http2")}
        if ca:
            settings.update(ssl_cert=files[0], ssl_cert_key=files[1], upstream_tls_trusted=ca.own)
        with Gateway(config(peer, ca), settings):
            through = call(listen)
    for a, b in zip(direct, through):
        with t.case("%s to %s%s, %s" % (client, server, " over TLS" if ca else "", a.split(":")[0])):
            assert a == b, "direct: %s, through the gateway: %s" % (a, b)
    with t.case("%s to %s%s, all of them" % (client, server, " over TLS" if ca else "")):
        assert len(direct) == len(through) == 39, (len(direct), len(through))
        assert direct[-1] == "seen by the server: 3 cancelled", direct[-1]


def prepare():
    """Fills the cache of the compiler, which takes a minute the first time."""
    grpc_peers.build_go(os.devnull)


def run(t, tls):
    if grpc_peers.grpc is None:
        raise Skip("no grpcio")
    with gateway.Folder() as folder:
        program, made = grpc_peers.go_peer(folder), None
        if tls:
            ca = certs.Authority()
            ca.path = folder.file("ca.pem", ca.own)
            made = ca, ca.issue("a.test").files(folder, "own")
        for client in CLIENTS:
            for server in SERVERS:
                compare(t, program, (client, server), made)


def test_in_the_clear(t):
    run(t, False)


def test_over_tls(t):
    run(t, True)


test_in_the_clear.seconds = test_over_tls.seconds = 180
