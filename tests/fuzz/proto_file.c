/* SPDX-License-Identifier: Apache-2.0 */
/* A .proto file: it is read, or refused with one error, within the bounds. */
#include "net/protobuf/proto_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = { size ? (const char *)data : "", size };
    struct arena arena;
    struct report report;
    arena_init(&arena, NULL, 0, 32 * 1024 * 1024);
    report_init(&report);
    struct config_place place = { .report = &report, .arena = &arena, .path = "proto" };
    const struct proto_schema *schema = proto_load_text(SLICE("fuzz.proto"), text, &place);
    CHECK((schema == NULL) == (report.error_count > 0));
    for (uint32_t i = 0; schema && i < schema->method_count; i++) {
        const struct proto_method *method = schema->method_list[i];
        CHECK(proto_find_method(schema, method->path) == method);
        CHECK(method->input && method->output);
    }
    report_deinit(&report);
    arena_deinit(&arena);
    return 0;
}
