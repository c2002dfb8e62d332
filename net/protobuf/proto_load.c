/* SPDX-License-Identifier: Apache-2.0 */
#include "net/protobuf/proto_load.h"

#include "net/protobuf/proto_builtin.h"
#include "net/protobuf/proto_parse.h"
#include "net/protobuf/proto_resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct loader {
    struct proto_declared *all;
    const struct config_place *place;
    struct slice folder; /* of the first file; absent: files are not read */
    struct proto_import *files; /* that were begun, in this order */
    uint32_t file_count;
};

/* --- files ---------------------------------------------------------------------------------------------- */

/* The whole of it, or absent with errno. */
static struct slice read_file(struct arena *arena, const char *path)
{
    struct slice text = { NULL, 0 };
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return text;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_size > PROTO_FILE_BYTES_MAX) {
        errno = errno ? errno : EFBIG;
        close(descriptor);
        return text;
    }
    size_t room = (size_t)status.st_size, size = 0;
    char *data = arena_alloc(arena, room + 1);
    ssize_t got = 1;
    while (data && size < room && (got = read(descriptor, data + size, room - size)) > 0)
        size += (size_t)got;
    close(descriptor);
    if (data && got >= 0)
        text = (struct slice){ data, size };
    return text;
}

/* *path is what places say. */
static struct slice find_file(struct loader *loader, struct slice name, const char **path)
{
    static const char *const folders[] = { "/usr/local/kong/include", "/usr/include" };
    struct arena *arena = loader->all->arena;
    struct slice text = proto_builtin(name), full = arena_copy(arena, name);
    *path = full.data;
    if (text.data || loader->folder.data == NULL || full.data == NULL)
        return text;
    for (size_t i = 0; i <= COUNT_OF(folders) && text.data == NULL; i++) {
        struct slice folder = i == 0 ? loader->folder : slice_of(folders[i - 1]);
        full = arena_format(arena, "%.*s/%.*s", SLICE_FORMAT(folder), SLICE_FORMAT(name));
        if (full.data == NULL)
            break;
        *path = full.data;
        errno = 0;
        text = read_file(arena, full.data);
    }
    return text;
}

static bool is_begun(const struct loader *loader, struct slice name)
{
    for (uint32_t i = 0; i < loader->file_count; i++)
        if (slice_equal(loader->files[i].name, name))
            return true;
    return false;
}

static bool plan(struct loader *loader, const struct proto_import *import)
{
    if (is_begun(loader, import->name))
        return true;
    struct proto_import *list =
        loader->file_count < PROTO_FILES_MAX
            ? proto_append(loader->all->arena, loader->files, &loader->file_count, sizeof(*list))
            : NULL;
    if (list == NULL) {
        report_add(loader->place->report, REPORT_ERROR, &import->position, loader->place->path,
                   "too many files are imported");
        return false;
    }
    loader->files = list;
    list[loader->file_count - 1] = *import;
    return true;
}

static bool parse_one(struct loader *loader, const char *path, struct slice text)
{
    struct proto_parser parser = { .all = loader->all, .place = loader->place };
    bool good = proto_parse(&parser, path, text);
    for (uint32_t i = 0; good && i < parser.import_count; i++)
        good = plan(loader, &parser.imports[i]);
    return good;
}

static bool parse_imports(struct loader *loader)
{
    for (uint32_t i = 0; i < loader->file_count; i++) {
        struct proto_import import = loader->files[i];
        const char *path = NULL;
        struct slice text = find_file(loader, import.name, &path);
        if (text.data == NULL) {
            report_add(loader->place->report, REPORT_ERROR, &import.position, loader->place->path,
                       "\"%.*s\" is not found", SLICE_FORMAT(import.name));
            return false;
        }
        if (!parse_one(loader, path, text))
            return false;
    }
    return true;
}

/* --- all of it ------------------------------------------------------------------------------------------ */

static const struct proto_schema *load(struct loader *loader, const char *path, struct slice text)
{
    map_init(&loader->all->symbols, loader->all->arena);
    if (!parse_one(loader, path, text) || !parse_imports(loader))
        return NULL;
    return proto_resolve(loader->all, loader->place);
}

const struct proto_schema *proto_load_text(struct slice name, struct slice text,
                                           const struct config_place *place)
{
    struct proto_declared all = { .arena = place->arena };
    struct loader loader = { .all = &all, .place = place };
    struct slice path = arena_copy(place->arena, name);
    return path.data ? load(&loader, path.data, text) : NULL;
}

const struct proto_schema *proto_load(struct slice path, const struct config_place *place)
{
    struct proto_declared all = { .arena = place->arena };
    struct loader loader = { .all = &all, .place = place };
    struct slice name = arena_copy(place->arena, path);
    const char *slash = name.data ? memrchr(name.data, '/', name.size) : NULL;
    loader.folder = slash ? (struct slice){ name.data, (size_t)(slash - name.data) } : SLICE(".");
    errno = 0;
    struct slice text = name.data ? read_file(place->arena, name.data) : (struct slice){ NULL, 0 };
    if (text.data == NULL) {
        report_add(place->report, REPORT_ERROR, place->position, place->path, "cannot read \"%.*s\": %s",
                   SLICE_FORMAT(path), errno ? strerror(errno) : "no regular file");
        return NULL;
    }
    return load(&loader, name.data, text);
}
