/* SPDX-License-Identifier: Apache-2.0 */
/* What acme knows, for the whole process: reloads and all shards share it. A few entries under a lock, which
 * requests for /.well-known/acme-challenge/ take, and no others. */
#include "plugins/acme.h"

#include "core/crypto/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 256 * 1024, ENTRIES_MAX = 10000, PATH_BYTES = 4096 };

struct entry {
    struct entry *next;
    char *domain, *chain, *key;
    int64_t not_after_s;
    bool saved;
};

static struct {
    pthread_mutex_t lock;
    char *folder; /* NULL: memory only */
    char *account; /* PEM */
    bool account_saved;
    char *token, *answer;
    struct entry *entries;
    unsigned count;
} store = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void lock(void)
{
    pthread_mutex_lock(&store.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&store.lock);
}

static void forget_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static struct entry *find(struct slice domain)
{
    struct entry *entry = store.entries;
    while (entry && !slice_equal_nocase(slice_of(entry->domain), domain))
        entry = entry->next;
    return entry;
}

/* Takes both texts. */
static bool put(struct slice domain, char *chain, char *key, bool saved)
{
    char reason[CERTIFICATE_REASON_SIZE];
    struct certificate_facts facts;
    struct entry *entry = find(domain);
    bool good = chain && key && certificate_read(slice_of(chain), &facts, reason);
    if (good && entry == NULL && store.count < ENTRIES_MAX && (entry = calloc(1, sizeof(*entry))) != NULL) {
        entry->domain = strndup(domain.data, domain.size);
        entry->next = store.entries;
        if (entry->domain) {
            store.entries = entry;
            store.count++;
        } else {
            free(entry);
            entry = NULL;
        }
    }
    if (!good || entry == NULL) {
        free(chain);
        forget_secret(key);
        return false;
    }
    free(entry->chain);
    forget_secret(entry->key);
    entry->chain = chain;
    entry->key = key;
    entry->not_after_s = facts.not_after_s;
    entry->saved = saved;
    return true;
}

/* --- files ---------------------------------------------------------------------------------------------- */

/* False: there is no folder, or the name would not stay in it. */
static bool path_of(struct slice domain, const char *ending, char path[PATH_BYTES])
{
    if (store.folder == NULL || domain.size == 0 || domain.data[0] == '.' ||
        memchr(domain.data, '/', domain.size))
        return false;
    int size = snprintf(path, PATH_BYTES, "%s/%.*s.%s", store.folder, SLICE_FORMAT(domain), ending);
    return size > 0 && size < PATH_BYTES;
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(FILE_BYTES_MAX + 1) : NULL;
    size_t size = text ? fread(text, 1, FILE_BYTES_MAX, file) : 0;
    if (file)
        fclose(file);
    if (size == 0 || memchr(text, 0, size)) {
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}

/* Beside it, then in its place: nobody reads half of it. */
static bool write_file(const char *path, const char *text)
{
    char draft[PATH_BYTES + 8];
    snprintf(draft, sizeof(draft), "%s.new", path);
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    size_t size = strlen(text);
    bool good = write(fd, text, size) == (ssize_t)size && fsync(fd) == 0;
    good = close(fd) == 0 && good;
    return good && rename(draft, path) == 0;
}

void acme_store_place(struct slice folder)
{
    char path[PATH_BYTES];
    lock();
    free(store.folder);
    store.folder = folder.data ? strndup(folder.data, folder.size) : NULL;
    if (store.account == NULL && path_of(SLICE("account"), "key", path)) {
        store.account = read_file(path);
        store.account_saved = store.account != NULL;
    }
    unlock();
}

void acme_store_load(struct slice domain)
{
    char chain[PATH_BYTES], key[PATH_BYTES];
    lock();
    if (find(domain) == NULL && path_of(domain, "crt", chain) && path_of(domain, "key", key))
        (void)put(domain, read_file(chain), read_file(key), true);
    unlock();
}

void acme_store_save(void)
{
    char chain[PATH_BYTES], key[PATH_BYTES];
    lock();
    if (store.account && !store.account_saved && path_of(SLICE("account"), "key", key))
        store.account_saved = write_file(key, store.account);
    for (struct entry *entry = store.entries; entry; entry = entry->next)
        if (!entry->saved && path_of(slice_of(entry->domain), "crt", chain) &&
            path_of(slice_of(entry->domain), "key", key))
            entry->saved = write_file(key, entry->key) && write_file(chain, entry->chain);
    unlock();
}

/* --- what is asked -------------------------------------------------------------------------------------- */

bool acme_store_find(struct slice domain, struct arena *arena, struct acme_pair *pair)
{
    *pair = (struct acme_pair){ { NULL, 0 }, { NULL, 0 } };
    lock();
    const struct entry *entry = find(domain);
    if (entry) {
        pair->chain = arena_copy(arena, slice_of(entry->chain));
        pair->key = arena_copy(arena, slice_of(entry->key));
    }
    unlock();
    return entry == NULL || (pair->chain.data && pair->key.data);
}

bool acme_store_put(struct slice domain, const struct acme_pair *pair)
{
    lock();
    bool good = put(domain, strndup(pair->chain.data, pair->chain.size),
                    strndup(pair->key.data, pair->key.size), false);
    unlock();
    return good;
}

int64_t acme_store_not_after_s(struct slice domain)
{
    lock();
    const struct entry *entry = find(domain);
    int64_t not_after_s = entry ? entry->not_after_s : 0;
    unlock();
    return not_after_s;
}

struct slice acme_store_account(struct arena *arena)
{
    lock();
    struct slice pem = store.account ? arena_copy(arena, slice_of(store.account)) : (struct slice){ NULL, 0 };
    unlock();
    return pem;
}

bool acme_store_set_account(struct slice pem)
{
    char *copy = strndup(pem.data, pem.size);
    if (copy == NULL)
        return false;
    lock();
    forget_secret(store.account);
    store.account = copy;
    store.account_saved = false;
    unlock();
    return true;
}

struct slice acme_store_answer(struct slice token, struct arena *arena)
{
    struct slice answer = { NULL, 0 };
    lock();
    if (store.token && token.size > 0 && slice_equal(slice_of(store.token), token))
        answer = arena_copy(arena, slice_of(store.answer));
    unlock();
    return answer;
}

bool acme_store_set_answer(struct slice token, struct slice answer)
{
    char *one = strndup(token.data, token.size), *other = strndup(answer.data, answer.size);
    bool good = one && other;
    if (!good) {
        free(one);
        free(other);
        return false;
    }
    lock();
    free(store.token);
    free(store.answer);
    store.token = one;
    store.answer = other;
    unlock();
    return true;
}
