# SPDX-License-Identifier: Apache-2.0
"""A gRPC server and client of plain bytes that make every kind of call, twice: with Debian's python3-grpcio, and in
Go (grpc_go/main.go), whose HTTP/2 is another. What a client saw is text, so that two runs can be compared."""
import concurrent.futures
import hashlib
import os
import subprocess
import threading
import time

from tests.support import net
from tests.support.runner import Skip

try:
    import grpc
except ImportError:  # an interpreter without Debian's modules
    grpc = None

HERE = os.path.dirname(os.path.abspath(__file__))
GO_PATH = "/usr/share/gocode"
MOST = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20),
        ("grpc.so_reuseport", 0)]
DETAILS = b"\0\1\2\xfe\xff"


def build_go(out):
    """False: there is nothing to build it with. It takes what Debian packages and nothing else."""
    if not os.access("/usr/bin/go", os.X_OK) or not os.path.isdir(GO_PATH + "/src/google.golang.org/grpc"):
        return False
    subprocess.run(["/usr/bin/go", "build", "-o", out, os.path.join(HERE, "grpc_go/main.go")], check=True,
                   env={**os.environ, "GO111MODULE": "off", "GOPATH": GO_PATH, "GOFLAGS": "", "GOROOT": "",
                        "CGO_ENABLED": "0", "GOCACHE": os.path.join(HERE, "../../build/go-cache")})
    return True


def go_peer(folder):
    """The path of the Go program."""
    out = os.path.join(folder.path, "grpc_go")
    if not build_go(out):
        raise Skip("no golang-go and golang-google-grpc-dev")
    return out


class GoServer:
    """`tls`: paths of the certificate and its key."""

    def __init__(self, program, tls=None):
        self.host = net.own_host()
        arguments = ["-host", self.host] + (["-cert", tls[0], "-key", tls[1]] if tls else [])
        self.child = subprocess.Popen([program, *arguments, "serve"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
        self.port = int(self.child.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.wait(10)
        self.child.stdout.close()


class PythonServer:
    def __init__(self, _program, tls=None):
        self.cancelled, self.lock = 0, threading.Lock()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(60), options=MOST)
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("interop.Peer", {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Gone": grpc.unary_unary_rpc_method_handler(lambda *_: b"%d" % self.cancelled),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Sum": grpc.stream_unary_rpc_method_handler(self.sum),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat)}),))
        self.host = net.own_host()
        if tls:
            with open(tls[0], "rb") as cert, open(tls[1], "rb") as key:
                made = grpc.ssl_server_credentials([(key.read(), cert.read())])
            self.port = self.server.add_secure_port(self.host + ":0", made)
        else:
            self.port = self.server.add_insecure_port(self.host + ":0")
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(0).wait()

    def obey(self, context):
        """What the metadata asks for: metadata back, time, a status."""
        asked = dict(context.invocation_metadata())
        if "x-echo-initial" in asked:
            context.send_initial_metadata((("x-echo-initial", asked["x-echo-initial"]),))
        trailing = [(name, asked[name]) for name in ("x-echo-trailing-bin", "x-details-bin") if name in asked]
        context.set_trailing_metadata(trailing)
        if "x-wait" in asked:
            self.wait_for_end(context)
        if "x-status" in asked:
            status = next(code for code in grpc.StatusCode if code.value[0] == int(asked["x-status"]))
            context.abort(status, asked["x-message-bin"].decode())

    @staticmethod
    def wait_for_end(context):
        over = threading.Event()
        if context.add_callback(over.set):
            over.wait(20)

    def expect_end(self, context):
        """Before all else: the handler is not asked on when the call is over."""
        if "x-wait" in dict(context.invocation_metadata()) and not context.add_callback(self.count_cancelled):
            self.count_cancelled()

    def count_cancelled(self):
        with self.lock:
            self.cancelled += 1

    def unary(self, message, context):
        self.expect_end(context)
        if dict(context.invocation_metadata()).get("x-wait") == "told":
            context.send_initial_metadata(())  # by it the client knows that the call is here
        self.obey(context)
        return message

    def count(self, message, context):
        self.obey(context)
        n, size = map(int, message.split())
        for i in range(n):
            yield b"%d" % (i % 10) * size

    def sum(self, messages, context):
        digest, n = hashlib.sha256(), 0
        for message in messages:
            digest.update(message)
            n += 1
        self.obey(context)
        return b"%d %s" % (n, digest.hexdigest().encode())

    def chat(self, messages, context):
        self.expect_end(context)
        for message in messages:
            yield message
            if "x-wait" in dict(context.invocation_metadata()):
                break
        self.obey(context)


def repeated(text, size, n):
    return [text * (size + i * size // 7) for i in range(n)]


def cases(big):
    """name, method, messages, options: metadata, timeout, compression, cancel (after so many answers)."""
    one, gzip = [b"hello"], {"compression": grpc.Compression.Gzip} if grpc else {}
    yield "unary", "Unary", one, {}
    yield "empty", "Unary", [b""], {}
    yield "large", "Unary", [b"x" * big], {}
    yield "compressed", "Unary", repeated(b"gz", 100000, 1), gzip
    yield "client stream", "Sum", repeated(b"abc", 3000, 50), {}
    yield "client stream of large ones", "Sum", repeated(b"d", big // 8, 8), {}
    yield "client stream of none", "Sum", [], {}
    yield "server stream", "Count", [b"100 1000"], {}
    yield "server stream of large ones", "Count", [b"8 1000000"], {}
    yield "server stream of none", "Count", [b"0 0"], {}
    yield "both, one by one", "Chat", repeated(b"p", 500, 30), {}
    yield "both, compressed", "Chat", repeated(b"p", 5000, 10), gzip
    yield "both, none", "Chat", [], {}
    yield "metadata", "Unary", one, {"metadata": (("x-echo-initial", "value one"),
                                                  ("x-echo-trailing-bin", DETAILS))}
    yield "deadline", "Unary", one, {"metadata": (("x-wait", "1"),), "timeout": 1}
    yield "deadline kept", "Unary", one, {"timeout": 10}
    yield "cancelled", "Unary", one, {"metadata": (("x-wait", "told"),), "cancel": 0}
    yield "cancelled after an answer", "Chat", one, {"metadata": (("x-wait", "1"),), "cancel": 1}
    yield "no such method", "None", one, {}
    yield "details", "Unary", one, {"metadata": (("x-status", "9"), ("x-message-bin", "50% ü\nof it".encode()),
                                                 ("x-details-bin", DETAILS))}
    yield "status behind a stream", "Chat", one, {"metadata": (("x-status", "10"), ("x-message-bin", b"late"))}
    for code in range(1, 17):
        yield "trailers only, %d" % code, "Count", [b"1 1"], {
            "metadata": (("x-status", str(code)), ("x-message-bin", b"said"))}


class PythonClient:
    def __init__(self, address, ca=None):
        if ca:
            made = grpc.ssl_channel_credentials(ca.encode())
            options = [*MOST, ("grpc.ssl_target_name_override", "a.test")]
            self.channel = grpc.secure_channel("%s:%d" % address, made, options)
        else:
            self.channel = grpc.insecure_channel("%s:%d" % address, MOST)

    def run(self, method, messages, cancel=None, **options):
        """What it saw: answers, the metadata that the cases ask for, the status."""
        answered, done = threading.Semaphore(0), threading.Event()

        def send():
            for i, message in enumerate(messages):
                if i and method == "Chat":
                    answered.acquire(timeout=10)
                yield message
            if cancel is not None:
                done.wait(10)
        stream = self.channel.stream_stream("/interop.Peer/" + method)(send(), **options)
        digest, sizes = hashlib.sha256(), []
        if cancel == 0:
            threading.Thread(target=lambda: (stream.initial_metadata(), stream.cancel()), daemon=True).start()
        try:
            for message in stream:
                digest.update(message)
                sizes.append(len(message))
                answered.release()
                if len(sizes) == cancel:
                    stream.cancel()
        except grpc.RpcError:
            pass
        done.set()
        code = stream.code()
        vague = code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNIMPLEMENTED)
        metadata = [] if code == grpc.StatusCode.CANCELLED else [
            pair for given in (stream.initial_metadata(), stream.trailing_metadata()) for pair in given or ()
            if pair[0].startswith("x-") and not pair[0].startswith("x-kong-")]
        return "%d %d %s %s %r %s" % (len(sizes), sum(sizes), sorted(map(tuple, metadata)), code.value[0],
                                      None if vague else stream.details(), digest.hexdigest()[:8])

    def lines(self, big):
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            timed = {name: pool.submit(self.run, method, messages, **options)  # beside the others, for it takes long
                     for name, method, messages, options in cases(big) if "timeout" in options}
            yield from ("%s: %s" % (name, self.run(method, messages, **options))
                        for name, method, messages, options in cases(big) if name not in timed)
            yield from ("%s: %s" % (name, result.result()) for name, result in timed.items())
            told = list(pool.map(lambda _: self.run("Chat", repeated(b"t", 900, 5)), range(50)))
        yield "50 together: %d, %d" % (len(told), len(set(told)))
        gone, deadline = "", time.monotonic() + 10
        while gone != "3" and time.monotonic() < deadline:  # both cancelled ones and the one whose time was over
            gone = self.channel.unary_unary("/interop.Peer/Gone")(b"").decode()
        yield "seen by the server: %s cancelled" % gone


def python_client(_program, address, ca, big):
    if grpc is None:
        raise Skip("no grpcio")
    client = PythonClient(address, ca)
    try:
        return list(client.lines(big))
    finally:
        client.channel.close()


def go_client(program, address, ca, big, ca_path=None):
    arguments = ["-big", str(big)] + (["-ca", ca_path] if ca else [])
    told = subprocess.run([program, *arguments, "call", "%s:%d" % address], check=True, stdout=subprocess.PIPE,
                          timeout=60 * net.SLOW_FACTOR)
    return told.stdout.decode().splitlines()
