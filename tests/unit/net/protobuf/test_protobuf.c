/* SPDX-License-Identifier: Apache-2.0 */
/* .proto files, and messages between JSON and bytes. The bytes are those that protoc and Google's Python
 * library make of the same. */
#include "net/protobuf/proto_json.h"
#include "net/protobuf/proto_load.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct arena arena;
static struct report report;

static void open_setup(void)
{
    arena_init(&arena, NULL, 0, 64 * 1024 * 1024);
    report_init(&report);
}

static void close_setup(void)
{
    arena_deinit(&arena);
    report_deinit(&report);
}

TestSuite(protobuf, .init = open_setup, .fini = close_setup);

static const char all_types[] =
    "syntax = \"proto3\"; // of everything one\n"
    "package t.v1;\n"
    "import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/duration.proto\";\n"
    "import \"google/protobuf/struct.proto\"; import 'google/protobuf/wrappers.proto';\n"
    "import public \"google/protobuf/field_mask.proto\";\n"
    "import \"google/api/annotations.proto\";\n"
    "option go_package = \"a\" \"b\";\n"
    "message All {\n"
    "  double d = 1; float f = 2; int64 i64 = 3; uint64 u64 = 4; int32 i32 = 5; fixed64 x64 = 6;\n"
    "  fixed32 x32 = 7; bool b = 8; string s = 9; bytes y = 12; uint32 u32 = 13; Kind kind = 14;\n"
    "  sfixed32 sx32 = 15; sfixed64 sx64 = 16; sint32 z32 = 17; sint64 z64 = 18;\n"
    "  reserved 100 to max, 20; reserved \"old\";\n"
    "}\n"
    "enum Kind { option allow_alias = true; KIND_NONE = 0; KIND_ONE = 1; KIND_EINS = 1;\n"
    " KIND_LESS = -2; }\n"
    "message Deep {\n"
    "  message Inner { optional string a_name = 1 [json_name = \"theName\"]; Deep deep = 2;\n"
    " .t.v1.Kind k = 3; }\n"
    "  repeated int32 many = 1; repeated string words = 2; map<string, Inner> inner = 3;\n"
    "  map<int64, Kind> kinds = 4; oneof choice { option (x) = 1; string text = 5; Inner one = 6; }\n"
    "  repeated uint32 loose = 7 [packed = false, deprecated = true, (my.opt) = { a: 1 b { c: [1, 2] } }];\n"
    "  map<bool, bytes> flags = 8;\n"
    "}\n"
    "message Known {\n"
    "  google.protobuf.Timestamp at = 1; google.protobuf.Duration took = 2; \n"
    "  google.protobuf.Struct data = 3;\n"
    "  google.protobuf.Value any = 4; google.protobuf.Int64Value count = 5;\n"
    "  google.protobuf.StringValue label = 6; google.protobuf.FieldMask mask = 7;\n"
    "  google.protobuf.ListValue list = 8;\n"
    "}\n"
    "extend All { string extra = 1000; }\n"
    "service Things {\n"
    "  option (x).y = -1.5e3;\n"
    "  rpc Get (Deep) returns (Known) { option (google.api.http) = {\n"
    "    get: \"/v1/{text=things/*}\" additional_bindings { post: '/v1/things:get', body: \"*\" }\n"
    "    additional_bindings: [ { custom: { kind: \"HEAD\" path: \"/v1/h\" } } ] }; }\n"
    "  rpc Watch (stream Deep.Inner) returns (stream .t.v1.All);\n"
    "  rpc Put (Known) returns (Known) { option (google.api.http).put = \"/v1/k\";\n"
    "     option (google.api.http).body = \"data\"; option deprecated = true; }\n"
    "}\n";

static const struct proto_schema *load(const char *text)
{
    struct node_position position = { "test.yaml", 1, 1 };
    struct config_place place = {
        .report = &report, .arena = &arena, .path = "proto", .position = &position
    };
    return proto_load_text(SLICE("a.proto"), slice_of(text), &place);
}

static const struct proto_schema *load_all(void)
{
    const struct proto_schema *schema = load(all_types);
    cr_assert_not_null(schema, "%u:%u %s", report.count ? report.entries[0].line : 0,
                       report.count ? report.entries[0].column : 0,
                       report.count ? report.entries[0].reason : "");
    return schema;
}

Test(protobuf, services)
{
    const struct proto_schema *schema = load_all();
    const struct proto_method *get = proto_find_method(schema, SLICE("/t.v1.Things/Get"));
    cr_assert(get && schema->method_count == 3 && get->binding_count == 3);
    cr_assert(!get->client_streams && !get->server_streams);
    cr_assert(slice_equal(get->input->name, SLICE("t.v1.Deep")));
    cr_assert(slice_equal(get->bindings[0].method, SLICE("GET")));
    cr_assert(slice_equal(get->bindings[0].path, SLICE("/v1/{text=things/*}")));
    cr_assert_null(get->bindings[0].body.data);
    cr_assert(slice_equal(get->bindings[1].body, SLICE("*")));
    cr_assert(slice_equal(get->bindings[2].method, SLICE("HEAD")));
    const struct proto_method *watch = proto_find_method(schema, SLICE("/t.v1.Things/Watch"));
    cr_assert(watch->client_streams && watch->server_streams && watch->binding_count == 0);
    cr_assert(slice_equal(watch->input->name, SLICE("t.v1.Deep.Inner")));
    const struct proto_method *put = proto_find_method(schema, SLICE("/t.v1.Things/Put"));
    cr_assert(put->binding_count == 1 && slice_equal(put->bindings[0].body, SLICE("data")));
    cr_assert_null(proto_find_method(schema, SLICE("/t.v1.Things/None")));
    const struct proto_message *inner = proto_find_message(schema, SLICE("t.v1.Deep.Inner"));
    cr_assert(proto_field_named(inner, SLICE("theName")) == proto_field_named(inner, SLICE("a_name")));
    cr_assert_null(proto_field_numbered(inner, 4));
}

static void check_error(const char *text, uint32_t line, uint32_t column, const char *reason)
{
    cr_assert_null(load(text), "%s", text);
    cr_assert_eq(report.error_count, 1, "%s", text);
    const struct report_entry *entry = &report.entries[0];
    cr_assert(entry->line == line && entry->column == column && strstr(entry->reason, reason),
              "%s: %s:%u:%u %s", text, entry->file, entry->line, entry->column, entry->reason);
    report_deinit(&report);
    report_init(&report);
}

#define P3 "syntax = \"proto3\";"

Test(protobuf, errors_have_places)
{
    check_error("message A {\n  optional int32 a = 1\n}", 3, 1, "expected \";\"");
    check_error("message A { int32 a = 1; }", 1, 13, "expected \"optional\"");
    check_error("syntax = \"proto4\";", 1, 10, "proto2");
    check_error("edition = \"2023\";", 1, 1, "editions");
    check_error(P3 " message A { Gone g = 1; }", 1, 32, "nobody declares \"Gone\"");
    check_error(P3 " message A { int32 a = 1; int32 b = 1; }", 1, 45, "field number 1 stands twice");
    check_error(P3 " message A { int32 a = 1; int32 a = 2; }", 1, 45, "a second field \"a\"");
    check_error(P3 " message A {} enum A { X = 0; }", 1, 38, "declared twice");
    check_error(P3 " message A { int32 a = 0; }", 1, 42, "from 1 to");
    check_error(P3 " message A { int32 a = 19000; }", 1, 42, "reserved");
    check_error(P3 " enum E { A = 1; }", 1, 29, "0 in proto3");
    check_error(P3 " enum E { }", 1, 25, "needs a value");
    check_error(P3 " import \"other.proto\";", 1, 27, "\"other.proto\" is not found");
    check_error(P3 " service S { rpc A (B) returns (B); }", 1, 36, "nobody declares a message \"B\"");
    check_error(P3
                " message M {} service S { rpc A (M) returns (M) { option (google.api.http) = { x: \"\" };",
                1, 98, "no field \"x\"");
    check_error(
        P3 " message M {} service S { rpc A (M) returns (M) { option (google.api.http) = { body: \"*\" };", 1,
        96, "a rule needs");
    check_error("message M { optional group G = 1 { } }", 1, 22, "groups");
    check_error(P3 " message A { map<float, int32> m = 1; }", 1, 35, "keys of maps");
    check_error(P3 "\n/* no end", 2, 10, "a comment has no end");
    check_error(P3 "\nimport \"no end\n\";", 2, 8, "a string has no end");
    check_error(P3 " message A { string s = 99999999999999999999; }", 1, 43, "no valid number");
    check_error("@", 1, 1, "expected a declaration, found \"@\"");
    check_error("message", 1, 8, "the end of the file");
}

static const char *round_trip(const char *type, const char *text)
{
    static const struct json_tree_limits limits = { 100, 10000 };
    const struct proto_schema *schema = load_all();
    const struct proto_message *message = proto_find_message(schema, slice_of(type));
    struct json_node *root = NULL;
    struct proto_buffer bytes = { .arena = &arena, .limit = 1 << 20 }, out = bytes;
    struct proto_reading reading = { .arena = &arena, .out = &bytes };
    cr_assert_eq(json_tree_read(&arena, slice_of(text), &limits, &root), JSON_READ, "%s", text);
    if (!proto_read_json(&reading, message, root))
        return arena_copy(&arena, slice_of(reading.reason)).data;
    cr_assert_eq(proto_write_json(&out, message, (struct slice){ bytes.data, bytes.size }, &arena),
                 PROTO_WRITTEN);
    return arena_copy(&arena, (struct slice){ out.data, out.size }).data;
}

static void check_trip(const char *type, const char *text, const char *expected)
{
    const char *got = round_trip(type, text);
    cr_assert_str_eq(got, expected, "%s -> %s, not %s", text, got, expected);
}

Test(protobuf, scalars)
{
    check_trip("t.v1.All", "{}",
               "{\"d\":0,\"f\":0,\"i64\":\"0\",\"u64\":\"0\",\"i32\":0,\"x64\":\"0\",\"x32\":0,\"b\":false,"
               "\"s\":\"\",\"y\":\"\",\"u32\":0,\"kind\":\"KIND_NONE\",\"sx32\":0,\"sx64\":\"0\",\"z32\":0,"
               "\"z64\":\"0\"}");
    check_trip("t.v1.All",
               "{\"d\":0.1,\"f\":\"-Infinity\",\"i64\":\"-9223372036854775808\",\"u64\":18446744073709551615,"
               "\"i32\":-1,\"x64\":\"5\",\"x32\":4294967295,\"b\":true,\"s\":\"\\u00fc\\n\","
               "\"y\":\"_-8\",\"u32\":1e2,\"kind\":1,\"sx32\":-2147483648,\"sx64\":\"-1\",\"z32\":-7,"
               "\"z64\":-8,\"unknown\":{\"x\":[1]}}",
               "{\"d\":0.1,\"f\":\"-Infinity\",\"i64\":\"-9223372036854775808\","
               "\"u64\":\"18446744073709551615\",\"i32\":-1,\"x64\":\"5\",\"x32\":4294967295,\"b\":true,"
               "\"s\":\"\xc3\xbc\\n\",\"y\":\"/+8=\",\"u32\":100,\"kind\":\"KIND_ONE\",\"sx32\":-2147483648,"
               "\"sx64\":\"-1\",\"z32\":-7,\"z64\":\"-8\"}");
}

Test(protobuf, what_is_refused)
{
    static const char *const bad[] = {
        "{\"i32\":2147483648}", "{\"i32\":1.5}",     "{\"u32\":-1}",   "{\"i64\":\"1x\"}",
        "{\"b\":\"true\"}",     "{\"s\":1}",         "{\"y\":\"*\"}",  "{\"kind\":\"KIND_TWO\"}",
        "{\"d\":\"nan\"}",      "{\"f\":1e300}",     "{\"u64\":1e20}", "[]",
        "{\"s\":[]}",           "{\"z32\":\"0x1\"}", "{\"b\":0}",      "{\"kind\":true}",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const char *reason = round_trip("t.v1.All", bad[i]);
        cr_assert(strstr(reason, "expected"), "%s -> %s", bad[i], reason);
    }
    cr_assert(strstr(round_trip("t.v1.Deep", "{\"many\":3}"), "expected an array"));
    cr_assert(strstr(round_trip("t.v1.Deep", "{\"kinds\":{\"x\":0}}"), "expected an integer"));
    cr_assert(strstr(round_trip("t.v1.Deep", "{\"words\":[null]}"), "no null"));
}

Test(protobuf, composites)
{
    check_trip("t.v1.Deep", "{}",
               "{\"many\":[],\"words\":[],\"inner\":{},\"kinds\":{},\"loose\":[],"
               "\"flags\":{}}");
    check_trip("t.v1.Deep",
               "{\"many\":[1,-2,\"3\"],\"words\":[\"a\",\"\"],\"inner\":{\"k\":{\"theName\":\"n\","
               "\"k\":\"KIND_LESS\"}},\"kinds\":{\"-5\":\"KIND_ONE\"},\"one\":{\"a_name\":\"\"},"
               "\"loose\":[7,8],\"flags\":{\"true\":\"AA==\"},\"text\":null}",
               "{\"many\":[1,-2,3],\"words\":[\"a\",\"\"],\"inner\":{\"k\":{\"a_name\":\"n\","
               "\"k\":\"KIND_LESS\"}},\"kinds\":{\"-5\":\"KIND_ONE\"},"
               "\"one\":{\"a_name\":\"\",\"k\":\"KIND_NONE\"},"
               "\"loose\":[7,8],\"flags\":{\"true\":\"AA==\"}}");
}

Test(protobuf, known_types)
{
    check_trip("t.v1.Known", "{}", "{}");
    check_trip("t.v1.Known",
               "{\"at\":\"2024-02-29T23:59:59.5+02:00\",\"took\":\"-1.25s\","
               "\"data\":{\"a\":[1,null,{\"b\":true}]},\"any\":null,\"count\":\"12\",\"label\":\"x\","
               "\"mask\":\"fooBar,a.b\",\"list\":[1.5,\"s\"]}",
               "{\"at\":\"2024-02-29T21:59:59.500Z\",\"took\":\"-1.250s\","
               "\"data\":{\"a\":[1,null,{\"b\":true}]},\"any\":null,\"count\":\"12\",\"label\":\"x\","
               "\"mask\":\"fooBar,a.b\",\"list\":[1.5,\"s\"]}");
    check_trip("t.v1.Known", "{\"at\":\"0001-01-01T00:00:00Z\",\"took\":\"0s\",\"any\":\"x\",\"count\":0}",
               "{\"at\":\"0001-01-01T00:00:00Z\",\"took\":\"0s\",\"any\":\"x\",\"count\":\"0\"}");
    cr_assert(strstr(round_trip("t.v1.Known", "{\"at\":\"2023-02-29T00:00:00Z\"}"), "RFC 3339"));
    cr_assert(strstr(round_trip("t.v1.Known", "{\"at\":\"2023-02-28\"}"), "RFC 3339"));
    cr_assert(strstr(round_trip("t.v1.Known", "{\"took\":\"1\"}"), "duration"));
    cr_assert(strstr(round_trip("t.v1.Known", "{\"mask\":\"a_b\"}"), "lowerCamelCase"));
}

static enum proto_writing_result write_of(const char *type, struct slice bytes, const char **text)
{
    const struct proto_schema *schema = load_all();
    struct proto_buffer out = { .arena = &arena, .limit = 1 << 20 };
    enum proto_writing_result result =
        proto_write_json(&out, proto_find_message(schema, slice_of(type)), bytes, &arena);
    *text = out.data ? arena_copy(&arena, (struct slice){ out.data, out.size }).data : "";
    return result;
}

Test(protobuf, bytes_of_others)
{
    const char *text;
    /* One message in two pieces, unknown fields and a group among them; a packed list in pieces. */
    struct slice pieces =
        SLICE("\x32\x03\x0a\x01y\x32\x02\x18\x01\xa3\x06\x08\x01\xa4\x06\x08\x05\x0a\x02\x01\x02"
              "\x9a\x06\x01z");
    cr_assert_eq(write_of("t.v1.Deep", pieces, &text), PROTO_WRITTEN);
    cr_assert_str_eq(text, "{\"many\":[5,1,2],\"words\":[],\"inner\":{},\"kinds\":{},"
                           "\"one\":{\"a_name\":\"y\",\"k\":\"KIND_ONE\"},\"loose\":[],\"flags\":{}}");
    static const struct slice broken[] = {
        { "\x0a", 1 },         { "\x0a\x05\x01", 3 },
        { "\x00\x01", 2 },     { "\x12\x02\xff\xfe", 4 },
        { "\x0b", 1 },         { "\x0c", 1 },
        { "\x0f", 1 },         { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11 },
        { "\x0a\x01\x80", 3 },
    };
    for (size_t i = 0; i < COUNT_OF(broken); i++)
        cr_assert_eq(write_of("t.v1.Deep", broken[i], &text), PROTO_BROKEN, "%zu: %s", i, text);
}

Test(protobuf, depth_has_a_limit)
{
    char nested[2048] = "", *at = nested;
    for (int i = 0; i < 50; i++)
        at += snprintf(at, 32, "{\"one\":{\"deep\":");
    at += snprintf(at, 8, "{}");
    for (int i = 0; i < 50; i++)
        at += snprintf(at, 8, "}}");
    static const struct json_tree_limits limits = { 200, 10000 };
    const struct proto_message *message = proto_find_message(load_all(), SLICE("t.v1.Deep"));
    struct json_node *root = NULL;
    struct proto_buffer out = { .arena = &arena, .limit = 1 << 20 };
    struct proto_reading reading = { .arena = &arena, .out = &out };
    cr_assert_eq(json_tree_read(&arena, slice_of(nested), &limits, &root), JSON_READ);
    cr_assert(!proto_read_json(&reading, message, root));
    cr_assert_str_eq(reading.reason, "nested too deep");
}
