/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/stored.h"

#include "core/app/journal.h"

#include <stdlib.h>

bool stored_read(struct store *store, struct stored_text *stored, struct config_sources *sources)
{
    stored->text = store_text(store);
    stored->item = (struct config_text){ slice_of(stored->text), "store.json" };
    stored->texts = (struct config_kong_texts){ &stored->item, 1 };
    sources->kong = &stored->texts;
    if (stored->text == NULL)
        journal(JOURNAL_ERROR, "the store could not be read");
    return stored->text != NULL;
}

/* Once more, with the entities of the store. */
static bool load_again(struct store *store, const struct config_sources *sources, struct loaded *loaded,
                       struct report *report)
{
    struct stored_text stored = { 0 };
    struct config_sources own = *sources;
    struct loaded again = { 0 };
    bool good = stored_read(store, &stored, &own) && config_load(&own, &again, report);
    if (good) {
        model_close(loaded->model);
        loaded->model = again.model;
        again.model = NULL;
    }
    config_unload(&again);
    free(stored.text);
    return good;
}

bool stored_begin(const struct config_sources *sources, struct loaded *loaded, struct store **store,
                  struct report *report)
{
    static const char prefix[] = "sqlite:";
    const char *reason = "";
    struct slice name = loaded->settings.store;
    if (!slice_starts_with(name, SLICE("sqlite:")))
        return true;
    *store = store_open(name.data + sizeof(prefix) - 1, &reason);
    if (*store == NULL) {
        report_add(report, REPORT_ERROR, NULL, "store", "%s: %s", name.data, reason);
        return false;
    }
    if (!store_seed(*store, loaded->model->catalog)) {
        report_add(report, REPORT_ERROR, NULL, "store", "%s: could not be written", name.data);
        return false;
    }
    store_be_patient(*store, loaded->settings.store_lock_timeout_ms);
    return load_again(*store, sources, loaded, report);
}
