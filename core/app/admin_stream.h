/* SPDX-License-Identifier: Apache-2.0 */
/* The body of an answer that is made while it is sent, so that it is never in memory as a whole. On the admin
 * thread. */
#pragma once

#include "core/base/text.h"

struct admin_stream {
    /* Appends the next part. False: that was the last one. */
    bool (*next)(struct admin_stream *stream, struct text *out);
    void (*close)(struct admin_stream *stream);
};
