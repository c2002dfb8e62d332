/* SPDX-License-Identifier: Apache-2.0 */
/* The file that says which process serves (the setting pid_file), for the commands that talk to it. Of the
 * control thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

struct pid_file {
    struct slice path; /* empty: none is wanted */
    bool written; /* and still this process' own */
};

/* False: it cannot be written, and the journal says why. */
bool pid_file_write(struct pid_file *file) MUST_CHECK;

void pid_file_remove(struct pid_file *file);
