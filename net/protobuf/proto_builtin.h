/* SPDX-License-Identifier: Apache-2.0 */
/* What services import from Google, as far as transcoding needs it, so that no package has to be installed.
 * Constant; any thread. */
#pragma once

#include "core/base/slice.h"

/* Absent: not built in. */
struct slice proto_builtin(struct slice name);
