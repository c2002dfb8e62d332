/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of request-validator share. */
#pragma once

#include "config/schema.h"
#include "core/base/json_schema.h"
#include "net/proxy/exchange_body.h"

enum { VALIDATOR_NODES_MAX = 200000 /* values in one body */ };

enum parameter_place { PARAMETER_QUERY, PARAMETER_HEADER, PARAMETER_PATH };
enum parameter_style {
    STYLE_LABEL,
    STYLE_FORM,
    STYLE_MATRIX,
    STYLE_SIMPLE,
    STYLE_SPACE_DELIMITED,
    STYLE_PIPE_DELIMITED,
    STYLE_DEEP_OBJECT
};

struct validator_parameter {
    int in; /* enum parameter_place */
    int style; /* enum parameter_style; -1: the usual one of the place */
    struct slice name, schema_text;
    bool required, explode;
    const struct json_schema *schema; /* prepared; NULL: any value is good */
};

/* A request that is looked at, with memory of its own. */
struct validator_run {
    struct exchange *exchange;
    struct arena arena;
    struct regex_scratch *scratch;
};

enum validator_result { VALIDATOR_GOOD, VALIDATOR_BAD, VALIDATOR_NO_MEMORY };

/* BAD: *reason says why, in the run's arena. */
enum validator_result validator_check_parameter(struct validator_run *run,
                                                const struct validator_parameter *parameter,
                                                struct slice *reason);
enum validator_result validator_check_value(struct validator_run *run, const struct json_schema *schema,
                                            const struct json_node *value, struct slice *reason);

/* A body_schema in Kong's own language as a JSON Schema of draft 7; absent: *reason says why. */
struct slice validator_translate(struct arena *arena, struct slice text, const char **reason);
