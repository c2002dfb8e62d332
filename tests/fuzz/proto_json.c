/* SPDX-License-Identifier: Apache-2.0 */
/* A message, as bytes or as JSON: what could be read is written as JSON that means the same the second
 * time. */
#include "net/protobuf/proto_json.h"
#include "net/protobuf/proto_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char declared[] =
    "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\";"
    "import \"google/protobuf/duration.proto\"; import \"google/protobuf/struct.proto\";"
    "import \"google/protobuf/wrappers.proto\"; import \"google/protobuf/field_mask.proto\";"
    "enum E { ZERO = 0; ONE = 1; }"
    "message M { M m = 1; repeated M ms = 2; string s = 3; bytes y = 4; int32 i = 5; sint64 z = 6;"
    " double d = 7; float f = 8; fixed32 x = 9; repeated E es = 10; map<string, M> sm = 11;"
    " map<int32, bytes> im = 12; map<bool, E> bm = 13; oneof o { uint64 u = 14; bool b = 15; }"
    " google.protobuf.Timestamp t = 16; google.protobuf.Duration l = 17; google.protobuf.Struct st = 18;"
    " google.protobuf.Value v = 19; google.protobuf.BytesValue w = 20; google.protobuf.FieldMask fm = 21;"
    " google.protobuf.ListValue lv = 22; repeated sfixed64 sx = 23; }";

static bool read_back(struct arena *arena, const struct proto_message *message, struct slice text,
                      struct proto_buffer *bytes)
{
    static const struct json_tree_limits limits = { 200, 100000 };
    struct json_node *root = NULL;
    struct proto_reading reading = { .arena = arena, .out = bytes };
    return json_tree_read(arena, text, &limits, &root) == JSON_READ &&
           proto_read_json(&reading, message, root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = { size ? (const char *)data : "", size };
    struct arena arena;
    struct report report;
    arena_init(&arena, NULL, 0, 64 * 1024 * 1024);
    report_init(&report);
    struct config_place place = { .report = &report, .arena = &arena, .path = "proto" };
    const struct proto_schema *schema = proto_load_text(SLICE("m.proto"), slice_of(declared), &place);
    CHECK(schema);
    const struct proto_message *message = proto_find_message(schema, SLICE("M"));
    struct proto_buffer bytes = { .arena = &arena, .limit = 1 << 20 }, first = bytes, again = bytes,
                        second = bytes;
    struct slice wire = text;
    if (size > 0 && text.data[0] == '{') {
        wire = (struct slice){ NULL, 0 };
        if (read_back(&arena, message, text, &bytes))
            wire = (struct slice){ bytes.data ? bytes.data : "", bytes.size };
    }
    if (wire.data && proto_write_json(&first, message, wire, &arena) == PROTO_WRITTEN &&
        read_back(&arena, message, (struct slice){ first.data, first.size }, &again) &&
        proto_write_json(&second, message, (struct slice){ again.data ? again.data : "", again.size },
                         &arena) == PROTO_WRITTEN)
        CHECK(slice_equal((struct slice){ first.data, first.size },
                          (struct slice){ second.data, second.size }));
    report_deinit(&report);
    arena_deinit(&arena);
    return 0;
}
