/* SPDX-License-Identifier: Apache-2.0 */
/* A change is a configuration of its own: all other entities as they are stored, and behind them what was
 * sent. It is loaded as any other, and stored when it is good. */
#include "core/app/admin_change.h"

#include "config/kong/error_tree.h"

#include <stdio.h>
#include <stdlib.h>

#define ENTITY_NAME "entity.json"

static bool is_listed(const struct id_list *list, const struct catalog_row *row)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].id, row->id) == 0 && strcmp(list->items[i].kind, row->kind) == 0)
            return true;
    return false;
}

/* Rows stand by kind. */
static void write_others(const struct admin_writing *writing, const struct catalog *catalog, FILE *out)
{
    const char *kind = NULL;
    fputs("{\"_format_version\":\"3.0\",\"_transform\":false", out);
    for (uint32_t i = 0; i < catalog->count; i++) {
        const struct catalog_row *row = &catalog->rows[i];
        if (is_listed(&writing->puts, row) || is_listed(&writing->removals, row))
            continue;
        if (kind && strcmp(kind, row->kind) == 0)
            fputc(',', out);
        else
            fprintf(out, "%s,\"%s\":[", kind ? "]" : "", row->kind);
        fwrite(row->text.data, 1, row->text.size, out);
        kind = row->kind;
    }
    fputs(kind ? "]}" : "}", out);
}

char *admin_others(struct admin_writing *writing, const struct catalog *catalog)
{
    char *text = NULL;
    size_t size;
    writing->generation = writing->call->node->source.in_force->snapshot->generation;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    write_others(writing, catalog, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* --- by the control thread ------------------------------------------------------------------------------ */

/* The errors of the entity that was sent: it stands behind the stored ones. */
static json_t *errors_of_entity(const struct admin_writing *writing, const json_t *fields)
{
    const json_t *list = json_object_get(fields, writing->kind->name);
    size_t count = json_array_size(list);
    json_t *last = count ? json_array_get(list, count - 1) : NULL;
    return json_is_object(last) && writing->document ? json_incref(last) : NULL;
}

static bool refuse_twice(struct admin_writing *writing, const struct report *report)
{
    for (uint32_t i = 0; i < report->count; i++) {
        const struct report_entry *entry = &report->entries[i];
        if (entry->kind != REPORT_ERROR || entry->shape != REPORT_TWICE)
            continue;
        admin_error(writing->call->answer, ADMIN_ERROR_UNIQUE, entry->reason, json_object());
        return true;
    }
    return false;
}

/* It does not go together with the others. */
static void refuse_all(struct admin_writing *writing, const struct report *report)
{
    json_t *rules = json_array();
    for (uint32_t i = 0; i < report->count; i++) {
        const struct report_entry *entry = &report->entries[i];
        char text[1024];
        snprintf(text, sizeof(text), "%s%s%s", entry->path, entry->path[0] ? ": " : "", entry->reason);
        if (entry->kind == REPORT_ERROR)
            json_array_append_new(rules, kong_error_text(text));
    }
    admin_schema_violation(writing->call->answer, json_pack("{s:o}", "@entity", rules));
}

static void answer_refused(void *argument, const struct report *report, const struct documents *documents)
{
    struct admin_writing *writing = argument;
    const struct kong_error_source source = { report, documents };
    if (refuse_twice(writing, report))
        return;
    struct kong_error_tree tree = kong_error_tree(&source, KONG_ERRORS_FLATTENED);
    json_t *errors = errors_of_entity(writing, tree.fields);
    if (errors)
        admin_schema_violation(writing->call->answer, errors);
    else
        refuse_all(writing, report);
    json_decref(tree.fields);
    json_decref(tree.ids);
}

static bool commit(void *argument, const struct catalog *catalog)
{
    const struct admin_writing *writing = argument;
    const struct store_change change = { .puts = writing->puts.items,
                                         .put_count = writing->puts.count,
                                         .removals = writing->removals.items,
                                         .removal_count = writing->removals.count };
    return store_apply(writing->call->node->source.store, &change, catalog);
}

/* -------------------------------------------------------------------------------------------------------- */

static char *sent_text(const struct admin_writing *writing)
{
    json_t *all = json_pack("{s:s, s:b}", "_format_version", "3.0", "_transform", !writing->hashed);
    if (writing->document)
        json_object_set_new(all, writing->kind->name, json_pack("[O]", writing->document));
    if (writing->snis)
        json_object_set(all, "snis", writing->snis);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return text;
}

/* Kong says no more than that; whoever runs this wants to know. */
static void refuse_failed(struct admin_writing *writing, bool asked)
{
    struct admin_answer *answer = writing->call->answer;
    const struct store *store = writing->call->node->source.store;
    char message[320] = "An unexpected error occurred";
    if (asked)
        snprintf(message, sizeof(message), "An unexpected error occurred: %s", store_reason(store));
    admin_error(answer, ADMIN_ERROR_DATABASE, message, NULL);
    if (asked && store_is_locked(store)) {
        answer->status = 503;
        answer->retry_after_s = 1;
    }
}

bool admin_change(struct admin_writing *writing, const char *others)
{
    const struct admin_source *source = &writing->call->node->source;
    struct admin_answer *answer = writing->call->answer;
    char *sent = sent_text(writing);
    const struct config_text items[] = { { slice_of(others), "store.json" },
                                         { slice_of(sent), ENTITY_NAME } };
    const struct config_kong_texts texts = { items, COUNT_OF(items) };
    const struct change change = { .kong = &texts,
                                   .generation = writing->generation,
                                   .argument = writing,
                                   .refused = answer_refused,
                                   .commit = commit,
                                   .what = "change by the admin listener" };
    enum change_result result = sent && others ? source->change(source->owner, &change) : CHANGE_FAILED;
    free(sent);
    switch (result) {
    case CHANGE_DONE: return true;
    case CHANGE_INVALID: break;
    case CHANGE_FAILED: refuse_failed(writing, sent && others); break;
    case CHANGE_CLOSED: admin_message(answer, 503, "shutting down"); break;
    }
    return false;
}
