/* SPDX-License-Identifier: Apache-2.0 */
#include "net/protobuf/proto_builtin.h"

#include "core/base/check.h"

#define KNOWN "syntax = \"proto3\"; package google.protobuf; "

static const struct {
    const char *name, *text;
} files[] = {
    { "google/api/annotations.proto", "syntax = \"proto3\"; package google.api;" },
    { "google/api/client.proto", "syntax = \"proto3\"; package google.api;" },
    { "google/api/field_behavior.proto", "syntax = \"proto3\"; package google.api;" },
    { "google/api/http.proto", "syntax = \"proto3\"; package google.api;" },
    { "google/api/resource.proto", "syntax = \"proto3\"; package google.api;" },
    { "google/protobuf/any.proto", KNOWN "message Any { string type_url = 1; bytes value = 2; }" },
    { "google/protobuf/descriptor.proto", KNOWN },
    { "google/protobuf/duration.proto", KNOWN "message Duration { int64 seconds = 1; int32 nanos = 2; }" },
    { "google/protobuf/empty.proto", KNOWN "message Empty {}" },
    { "google/protobuf/field_mask.proto", KNOWN "message FieldMask { repeated string paths = 1; }" },
    { "google/protobuf/struct.proto",
      KNOWN "message Struct { map<string, Value> fields = 1; }"
            "message Value { oneof kind { NullValue null_value = 1; double number_value = 2;"
            " string string_value = 3; bool bool_value = 4; Struct struct_value = 5;"
            " ListValue list_value = 6; } }"
            "message ListValue { repeated Value values = 1; }"
            "enum NullValue { NULL_VALUE = 0; }" },
    { "google/protobuf/timestamp.proto", KNOWN "message Timestamp { int64 seconds = 1; int32 nanos = 2; }" },
    { "google/protobuf/wrappers.proto",
      KNOWN "message DoubleValue { double value = 1; } message FloatValue { float value = 1; }"
            "message Int64Value { int64 value = 1; } message UInt64Value { uint64 value = 1; }"
            "message Int32Value { int32 value = 1; } message UInt32Value { uint32 value = 1; }"
            "message BoolValue { bool value = 1; } message StringValue { string value = 1; }"
            "message BytesValue { bytes value = 1; }" },
    { "google/rpc/status.proto",
      "syntax = \"proto3\"; package google.rpc; import \"google/protobuf/any.proto\";"
      "message Status { int32 code = 1; string message = 2;"
      " repeated google.protobuf.Any details = 3; }" },
};

struct slice proto_builtin(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(files); i++)
        if (slice_equal(name, slice_of(files[i].name)))
            return slice_of(files[i].text);
    return (struct slice){ NULL, 0 };
}
