/* SPDX-License-Identifier: Apache-2.0 */
#include "config/files.h"

#include "config/document.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

bool files_has_ending(const char *path, const char *ending)
{
    return slice_ends_with(slice_of(path), slice_of(ending));
}

static int is_configuration(const struct dirent *entry)
{
    static const char *const endings[] = { ".yaml", ".yml", ".json", ".tf" };
    for (size_t i = 0; i < COUNT_OF(endings); i++)
        if (entry->d_name[0] != '.' && files_has_ending(entry->d_name, endings[i]))
            return true;
    return false;
}

static void report_path(struct report *report, const char *path, const char *reason)
{
    struct node_position position = { .file = path };
    report_add(report, REPORT_ERROR, &position, "", "%s", reason);
}

static bool each_of_directory(const char *path, struct report *report, files_each_fn *each, void *owner)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_configuration, alphasort);
    bool good = true;
    if (count < 0) {
        report_path(report, path, strerror(errno));
        return true;
    }
    if (count == 0)
        report_path(report, path, "holds no configuration (*.yaml, *.yml, *.json)");
    for (int i = 0; i < count; i++) {
        char *file = NULL;
        if (good &&
            asprintf(&file, "%s%s%s", path, files_has_ending(path, "/") ? "" : "/", entries[i]->d_name) < 0)
            good = false;
        good = good && each(owner, file);
        free(file);
        free(entries[i]);
    }
    free(entries);
    return good;
}

bool files_each(const char *path, struct report *report, files_each_fn *each, void *owner)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        report_path(report, path, strerror(errno));
        return true;
    }
    return S_ISDIR(status.st_mode) ? each_of_directory(path, report, each, owner) : each(owner, path);
}
