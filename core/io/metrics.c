/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/metrics.h"

const char *const metric_names[METRIC_COUNT] = {
#define M(id, name, help) name,
    METRIC_LIST(M)
#undef M
};

const char *const metric_helps[METRIC_COUNT] = {
#define M(id, name, help) help,
    METRIC_LIST(M)
#undef M
};
