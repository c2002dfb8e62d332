/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of a command line as files: a directory stands for the configuration files in it. Control thread. */
#pragma once

#include "config/report.h"

typedef bool files_each_fn(void *owner, const char *path);

/* Calls `each` for the file, or in order of names every *.yaml, *.yml, *.json and *.tf of a directory, not
 * of those below it. What cannot be read is reported. False as soon as `each` says so. */
bool files_each(const char *path, struct report *report, files_each_fn *each, void *owner);

bool files_has_ending(const char *path, const char *ending);
