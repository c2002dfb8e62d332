/* SPDX-License-Identifier: Apache-2.0 */
/* A text as HCL: whatever it is, it is read and evaluated, or refused with a reason, within the limits. */
#include "config/hcl/evaluate.h"
#include "core/base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct document_limits limits = { .file_bytes = 65536, .depth = 32, .nodes = 20000 };

static const struct node *resolve(struct hcl_evaluation *evaluation, struct hcl_path *path)
{
    if (slice_equal(path->names[0], SLICE("gone")))
        return hcl_refuse(evaluation, &path->position, "gone");
    return hcl_make_text(evaluation, &path->position, path->names[path->count - 1]);
}

static void evaluate_body(struct hcl_evaluation *evaluation, const struct hcl_body *body)
{
    for (const struct hcl_item *item = body->first; item; item = item->next) {
        uint32_t before = evaluation->report->error_count;
        const struct node *value = item->value ? hcl_evaluate(evaluation, item->value) : NULL;
        CHECK(item->value == NULL || (value == NULL) == (evaluation->report->error_count > before));
        if (item->body)
            evaluate_body(evaluation, item->body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    struct arena arena;
    struct report report;
    if (!started)
        hash_start();
    started = true;
    arena_init(&arena, NULL, 0, (size_t)256 * 1024 * 1024);
    report_init(&report);
    struct document_reading reading = { &limits, &arena, &report };
    struct hcl_body *body = hcl_read((struct slice){ (const char *)data, size }, "fuzz.tf", &reading);
    CHECK((body == NULL) == (report.error_count > 0));
    struct hcl_evaluation evaluation = { .arena = &arena, .report = &report, .resolve = resolve };
    if (body)
        evaluate_body(&evaluation, body);
    report_deinit(&report);
    arena_deinit(&arena);
    return 0;
}
