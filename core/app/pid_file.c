/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/pid_file.h"

#include "core/app/journal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

bool pid_file_write(struct pid_file *file)
{
    if (file->path.size == 0)
        return true;
    FILE *out = fopen(file->path.data, "we");
    if (out == NULL) {
        journal(JOURNAL_ERROR, "cannot write pid_file=%s: %s", file->path.data, strerror(errno));
        return false;
    }
    fprintf(out, "%ld\n", (long)getpid());
    file->written = fclose(out) == 0;
    return file->written;
}

void pid_file_remove(struct pid_file *file)
{
    if (file->written)
        (void)unlink(file->path.data);
    file->written = false;
}
