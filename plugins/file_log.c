/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's file-log: log entries, a line each, at the end of a file. */
#include "core/io/line_file.h"
#include "net/proxy/proxy.h"
#include "plugins/log_entry.h"
#include "plugins/plugins.h"

#include <stdlib.h>

struct file_log_config {
    struct slice path;
    bool reopen;
};

/* As in Kong, and nothing that C would end at. */
static const char *check_path(struct slice path)
{
    for (size_t i = 0; i < path.size; i++)
        if (path.data[i] == '\0' || strchr("*&%\\`", path.data[i]))
            return "not a valid filename";
    return NULL;
}

#define AT(member) offsetof(struct file_log_config, member)

static const struct field fields[] = {
    { "path", FIELD_STRING, AT(path), .flags = FIELD_REQUIRED, .check = check_path,
      .help = "written at its end, made with mode 0644 when it is missing" },
    { "reopen", FIELD_BOOLEAN, AT(reopen), .fallback = "false",
      .help = "true: entries go to whatever file is at the path then; else SIGUSR1 reopens it" },
    LOG_ENTRY_FIELD_LUA,
};

enum { FILES_MAX = 256, LINE_BYTES_MAX = LINE_FILE_BUFFER_BYTES };

struct file_log_file {
    struct file_log_file *next;
    struct line_file file;
    char path[];
};

struct file_log_shard {
    struct shard *shard;
    struct file_log_file *files; /* the one used last first */
    uint32_t count;
    struct text text;
};

static struct file_log_file *open_file(struct file_log_shard *state, struct slice path)
{
    struct file_log_file *file = state->count < FILES_MAX ? calloc(1, sizeof(*file) + path.size + 1) : NULL;
    if (file == NULL)
        return NULL;
    memcpy(file->path, path.data, path.size);
    struct line_file_options options = { .path = file->path, .mode = 0644, .opening = LINE_FILE_OPEN_LATER };
    if (line_file_open(&file->file, state->shard, &options) != ERROR_OK) {
        line_file_close(&file->file);
        free(file);
        return NULL;
    }
    proxy_add_file(proxy_of(state->shard), &file->file);
    file->next = state->files;
    state->files = file;
    state->count++;
    return file;
}

static struct file_log_file *file_of(struct file_log_shard *state, struct slice path)
{
    for (struct file_log_file **at = &state->files; *at; at = &(*at)->next) {
        struct file_log_file *file = *at;
        if (!slice_equal(slice_of(file->path), path))
            continue;
        *at = file->next;
        file->next = state->files;
        state->files = file;
        return file;
    }
    return open_file(state, path);
}

static enum verdict on_log(const struct plugin_call *call)
{
    const struct file_log_config *config = call->config;
    struct file_log_shard *state = call->shard_state;
    struct file_log_file *file = file_of(state, config->path);
    text_clear(&state->text);
    log_entry_write(&state->text, call);
    text_byte(&state->text, '\n');
    if (file == NULL || state->text.failed) {
        metric_add(&state->shard->metrics, METRIC_LOG_DROPPED, 1);
        return VERDICT_CONTINUE;
    }
    line_file_add(&file->file, text_slice(&state->text));
    if (config->reopen)
        line_file_reopen(&file->file);
    return VERDICT_CONTINUE;
}

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    struct file_log_shard *state = shard_state;
    (void)process_state;
    state->shard = shard;
    text_init(&state->text, LINE_BYTES_MAX);
    return ERROR_OK;
}

static void shard_close_state(void *shard_state)
{
    struct file_log_shard *state = shard_state;
    while (state->files) {
        struct file_log_file *file = state->files;
        state->files = file->next;
        line_file_close(&file->file);
        free(file);
    }
    text_deinit(&state->text);
}

const struct plugin file_log_plugin = {
    .kind = { .name = "file-log",
              .priority = 9,
              .config = { .name = "file-log",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct file_log_config) } },
    .on = { [PHASE_LOG] = on_log },
    .shard_state_size = sizeof(struct file_log_shard),
    .shard_open = shard_open_state,
    .shard_close = shard_close_state,
};
