/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/store.h"

#include "core/app/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LAYOUT_VERSION = 1, START_LOCK_MS = 5000 };

struct store {
    sqlite3 *database;
    char reason[256];
    bool locked; /* that was the reason */
};

/* False, always. */
static bool fail(struct store *store, const char *reason)
{
    int code = store->database ? sqlite3_errcode(store->database) & 0xff : SQLITE_OK;
    store->locked = code == SQLITE_BUSY || code == SQLITE_LOCKED;
    snprintf(store->reason, sizeof(store->reason), "%s", reason);
    journal(JOURNAL_ERROR, "store failed reason=\"%s\"", store->reason);
    return false;
}

static bool run(struct store *store, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(store->database, sql, NULL, NULL, &message) == SQLITE_OK)
        return true;
    (void)fail(store, message ? message : "SQLite failed");
    sqlite3_free(message);
    return false;
}

/* The one number that a query gives; -1: it failed. */
static int number_of(struct store *store, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int number = -1;
    if (sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* It holds keys and passwords: SQLite would let everybody read it. Files that it puts beside it are as this
 * one. Before SQLite opens it, whose locks would go with this descriptor. */
static bool create(struct store *store, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(store, strerror(errno));
    close(fd);
    return true;
}

static bool prepare(struct store *store, const char *path)
{
    if (!create(store, path))
        return false;
    if (sqlite3_open_v2(path, &store->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK) {
        snprintf(store->reason, sizeof(store->reason), "%s",
                 store->database ? sqlite3_errmsg(store->database) : "out of memory");
        return false;
    }
    sqlite3_busy_timeout(store->database, START_LOCK_MS);
    int version = number_of(store, "PRAGMA user_version");
    if (version > LAYOUT_VERSION) {
        snprintf(store->reason, sizeof(store->reason), "written by a newer version (layout %d)", version);
        return false;
    }
    return run(store, "PRAGMA journal_mode=WAL") && run(store, "PRAGMA synchronous=FULL") &&
           run(store, "CREATE TABLE IF NOT EXISTS entities (kind TEXT NOT NULL, id TEXT NOT NULL, "
                      "document TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID") &&
           run(store, "PRAGMA user_version=1");
}

struct store *store_open(const char *path, const char **reason)
{
    static char text[256]; /* of the control thread */
    struct store *store = calloc(1, sizeof(*store));
    *reason = "out of memory";
    if (store == NULL)
        return NULL;
    if (prepare(store, path))
        return store;
    snprintf(text, sizeof(text), "%s", store->reason);
    *reason = text;
    store_close(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    sqlite3_close(store->database);
    free(store);
}

void store_be_patient(struct store *store, int64_t wait_ms)
{
    sqlite3_busy_timeout(store->database, (int)wait_ms);
}

bool store_is_locked(const struct store *store)
{
    return store->locked;
}

const char *store_reason(const struct store *store)
{
    return store->reason[0] ? store->reason : "out of memory";
}

/* Rows come by kind, so that each collection is written once. */
static bool write_rows(sqlite3_stmt *statement, FILE *out)
{
    char kind[64] = "";
    int step;
    fputs("{\"_format_version\":\"3.0\",\"_transform\":false", out);
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        const char *document = (const char *)sqlite3_column_text(statement, 1);
        if (name == NULL || document == NULL)
            return false;
        bool same = strcmp(kind, name) == 0;
        if (same)
            fputc(',', out);
        else
            fprintf(out, "%s,\"%s\":[", kind[0] ? "]" : "", name);
        fputs(document, out);
        snprintf(kind, sizeof(kind), "%s", name);
    }
    fputs(kind[0] ? "]}" : "}", out);
    return step == SQLITE_DONE;
}

char *store_text(struct store *store)
{
    sqlite3_stmt *statement = NULL;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    bool good =
        out && sqlite3_prepare_v2(store->database, "SELECT kind, document FROM entities ORDER BY kind, id",
                                  -1, &statement, NULL) == SQLITE_OK;
    good = good && write_rows(statement, out);
    sqlite3_finalize(statement);
    if (out && fclose(out) != 0)
        good = false;
    if (good)
        return text;
    free(text);
    return NULL;
}

static bool execute(struct store *store, const char *sql, const struct store_id *one, struct slice document)
{
    sqlite3_stmt *statement = NULL;
    bool good = sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK;
    good = good && sqlite3_bind_text(statement, 1, one->kind, -1, SQLITE_STATIC) == SQLITE_OK &&
           sqlite3_bind_text(statement, 2, one->id, -1, SQLITE_STATIC) == SQLITE_OK;
    if (good && document.data)
        good = sqlite3_bind_text(statement, 3, document.data, (int)document.size, SQLITE_STATIC) == SQLITE_OK;
    good = good && sqlite3_step(statement) == SQLITE_DONE;
    if (!good)
        (void)fail(store, sqlite3_errmsg(store->database));
    sqlite3_finalize(statement);
    return good;
}

static bool apply(struct store *store, const struct store_change *change, const struct catalog *catalog)
{
    bool good = true;
    for (uint32_t i = 0; i < change->removal_count && good; i++)
        good = execute(store, "DELETE FROM entities WHERE kind = ? AND id = ?", &change->removals[i],
                       (struct slice){ NULL, 0 });
    for (uint32_t i = 0; i < change->put_count && good; i++) {
        const struct store_id *one = &change->puts[i];
        const struct catalog_row *row = catalog ? catalog_find(catalog, one->kind, slice_of(one->id)) : NULL;
        good = row && execute(store, "INSERT OR REPLACE INTO entities (kind, id, document) VALUES (?, ?, ?)",
                              one, row->text);
    }
    return good;
}

bool store_apply(struct store *store, const struct store_change *change, const struct catalog *catalog)
{
    store->reason[0] = '\0';
    store->locked = false;
    if (!run(store, "BEGIN IMMEDIATE"))
        return false;
    if (apply(store, change, catalog) && run(store, "COMMIT"))
        return true;
    (void)sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

bool store_seed(struct store *store, const struct catalog *catalog)
{
    int count = number_of(store, "SELECT EXISTS (SELECT 1 FROM entities)");
    if (count != 0 || catalog == NULL || catalog->count == 0)
        return count >= 0;
    struct store_id *ids = calloc(catalog->count, sizeof(*ids));
    for (uint32_t i = 0; ids && i < catalog->count; i++) {
        ids[i].kind = catalog->rows[i].kind;
        snprintf(ids[i].id, sizeof(ids[i].id), "%s", catalog->rows[i].id);
    }
    bool good = ids && store_apply(store, &(struct store_change){ .puts = ids, .put_count = catalog->count },
                                   catalog);
    free(ids);
    return good;
}
