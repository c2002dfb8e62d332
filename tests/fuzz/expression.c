/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as an expression: it is refused at a place within it, or it can be filed and asked, and the index
 * finds what the rule itself says. */
#include "config/kong/expression.h"
#include "config/model.h"
#include "core/base/hash.h"
#include "net/proxy/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct match_node *node, struct arena *arena, struct regex_scratch *scratch)
{
    struct route route = { 0 };
    struct match_rule rule = { .route = &route, .expression = node };
    struct match_rule *rules = &rule;
    struct router_source source = { &rules, 1, MATCH_HTTP };
    struct router router;
    struct message message;
    struct router_match match;
    struct router_candidate *candidates;
    message_init(&message, arena);
    CHECK(message_add(&message, SLICE("X-A"), SLICE("b")));
    CHECK(router_build(&router, arena, &source) == ERROR_OK);
    struct router_request request = { .method = SLICE("GET"),
                                      .host = SLICE("a.test"),
                                      .path = SLICE("/a/b"),
                                      .query = SLICE("q=%31&r"),
                                      .message = &message,
                                      .scratch = scratch,
                                      .arena = arena };
    bool matched = router_match(&router, &request, &match);
    CHECK(router_explain(&router, &request, &candidates) == 1);
    CHECK(candidates[0].matched == matched);
    CHECK(!matched || match.prefix.size <= request.path.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct regex_scratch scratch;
    struct kong_expression_error error;
    struct slice text = { size ? (const char *)data : "", size };
    hash_start();
    arena_init(&arena, NULL, 0, (size_t)64 * 1024 * 1024);
    struct kong_expression_source source = { text, size % 5 == 4 ? MATCH_STREAM : MATCH_HTTP, &arena };
    const struct match_node *node = kong_expression_parse(&source, &error);
    if (node == NULL) {
        CHECK(error.reason.size > 0 && error.line >= 1 && error.column >= 1 && error.column <= size + 1);
    } else if (regex_scratch_init(&scratch) == ERROR_OK) {
        ask(node, &arena, &scratch);
        regex_scratch_deinit(&scratch);
    }
    arena_deinit(&arena);
    return 0;
}
