# SPDX-License-Identifier: Apache-2.0
"""A gRPC service with all kinds of calls, by Debian's grpcio and protoc, to stand behind the gateway."""
import concurrent.futures
import os
import subprocess
import threading

from tests.support import gateway, net
from tests.support.runner import Skip

try:
    import grpc
    from google.protobuf import descriptor_pb2, descriptor_pool
    from google.protobuf.message_factory import MessageFactory
except ImportError:  # an interpreter without Debian's modules
    grpc = None

PROTO = """
syntax = "proto3";
package things.v1;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
message Part { string label = 1; repeated int32 numbers = 2; }
message Thing {
  string name = 1; int64 count = 2; Part part = 3; repeated string tags = 4; Kind kind = 5;
  map<string, string> labels = 6; google.protobuf.Timestamp at = 7; bytes data = 8; bool flag = 9;
}
enum Kind { PLAIN = 0; FANCY = 1; }
service Things {
  rpc Echo (Thing) returns (Thing) {
    option (google.api.http) = {
      get: "/v1/things/{name}"
      additional_bindings { post: "/v1/things" body: "*" }
      additional_bindings { put: "/v1/things/{name}/part" body: "part" response_body: "part" }
      additional_bindings { get: "/v1/{part.label=shelves/*/books/**}:read" }
    };
  }
  rpc Fail (Thing) returns (Thing) { option (google.api.http) = { get: "/v1/fail/{count}" }; }
  rpc Count (Thing) returns (stream Thing) { option (google.api.http) = { get: "/v1/count/{count}" }; }
  rpc Sum (stream Thing) returns (Thing);
  rpc Chat (stream Thing) returns (stream Thing);
  rpc Wait (Thing) returns (Thing);
}
"""

ANNOTATIONS = """
syntax = "proto3";
package google.api;
import "google/protobuf/descriptor.proto";
message HttpRule {
  string selector = 1; string get = 2; string put = 3; string post = 4; string delete = 5; string patch = 6;
  string body = 7; string response_body = 12; repeated HttpRule additional_bindings = 11;
}
extend google.protobuf.MethodOptions { HttpRule http = 72295728; }
"""


def compile_messages(folder):
    """The classes of the messages by name; leaves things.proto in the folder."""
    os.makedirs(os.path.join(folder.path, "inc/google/api"), exist_ok=True)
    folder.file("inc/google/api/annotations.proto", ANNOTATIONS)
    path = folder.file("things.proto", PROTO)
    out = folder.file("things.set")
    subprocess.run(["protoc", "-I", folder.path, "-I", folder.file("inc"), "--include_imports",
                    "--descriptor_set_out=" + out, path], check=True)
    pool = descriptor_pool.DescriptorPool()
    with open(out, "rb") as f:
        files = descriptor_pb2.FileDescriptorSet.FromString(f.read())
    for one in files.file:
        pool.Add(one)
    factory = MessageFactory(pool)
    return {name: factory.GetPrototype(pool.FindMessageTypeByName("things.v1." + name))
            for name in ("Thing", "Part")}


class Server:
    """Things on a free port; `seen` has the metadata and the message of each call."""

    def __init__(self, credentials=None, host=None):
        if grpc is None:
            raise Skip("no grpcio")
        self.folder = gateway.Folder()
        self.Thing = compile_messages(self.folder)["Thing"]
        self.seen, self.cancelled = [], threading.Event()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(16),
                                  options=[("grpc.max_receive_message_length", 64 << 20),
                                           ("grpc.so_reuseport", 0)])
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("things.v1.Things", {
            name: kind(getattr(self, name.lower()), self.Thing.FromString, self.Thing.SerializeToString)
            for name, kind in (("Echo", grpc.unary_unary_rpc_method_handler),
                               ("Fail", grpc.unary_unary_rpc_method_handler),
                               ("Count", grpc.unary_stream_rpc_method_handler),
                               ("Sum", grpc.stream_unary_rpc_method_handler),
                               ("Chat", grpc.stream_stream_rpc_method_handler),
                               ("Wait", grpc.unary_unary_rpc_method_handler))}),))
        self.host = host or net.own_host()
        address = self.host + ":0"
        self.port = (self.server.add_secure_port(address, credentials) if credentials
                     else self.server.add_insecure_port(address))
        self.address = (self.host, self.port)
        self.proto = self.folder.file("things.proto")
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(0).wait()
        self.folder.close()

    def note(self, thing, context):
        self.seen.append((dict(context.invocation_metadata()), thing))

    def echo(self, thing, context):
        self.note(thing, context)
        context.send_initial_metadata((("x-early", "1"),))
        context.set_trailing_metadata((("x-late", "2"), ("x-bytes-bin", b"\0\1\2")))
        return thing

    def fail(self, thing, context):
        self.note(thing, context)
        status = next(code for code in grpc.StatusCode if code.value[0] == thing.count)
        context.abort(status, "no: \u00fc%")

    def count(self, thing, context):
        self.note(thing, context)
        for i in range(thing.count):
            yield self.Thing(name=thing.name, count=i)

    def sum(self, things, _context):
        total = self.Thing()
        for thing in things:
            total.count += thing.count
            total.tags.append(thing.name)
        return total

    def chat(self, things, _context):
        for thing in things:
            yield self.Thing(name="re: " + thing.name, count=thing.count + 1)

    def wait(self, thing, context):
        self.note(thing, context)
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(thing.count)
        return thing
