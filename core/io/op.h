/* SPDX-License-Identifier: Apache-2.0 */
/* One kernel operation, embedded in the object that needs it. The owner stays alive while it is armed: from
 * submission to the last completion (multishot: the one without IORING_CQE_F_MORE). One shard. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct op;
typedef void op_done_fn(struct op *op, int32_t result, uint32_t cqe_flags);

struct op {
    op_done_fn *done;
    bool armed;
};
