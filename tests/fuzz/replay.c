/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target once over each file named on the command line, and each file of the folders named there:
 * with it, the recorded inputs of the fuzz targets are tests under any compiler. */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The memory has exactly the input's size, so that reading behind it is seen. */
static int replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1);
    int status = -1;
    if (file && data && fread(data, 1, size, file) == size) {
        LLVMFuzzerTestOneInput(data, size);
        status = 0;
    }
    if (status)
        perror(path);
    free(data);
    if (file)
        fclose(file);
    return status;
}

static int replay(const char *path)
{
    struct stat status;
    if (stat(path, &status)) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(status.st_mode))
        return replay_file(path, (size_t)status.st_size);
    DIR *folder = opendir(path);
    int failed = folder ? 0 : -1;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char name[PATH_MAX];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && replay(name))
            failed = -1;
    }
    if (folder)
        closedir(folder);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    return failed ? 1 : 0;
}
