/* SPDX-License-Identifier: Apache-2.0 */
/* A model for unit tests of plugins: consumers, credentials and plugin configurations, read from YAML or JSON
 * texts through the plugin's own tables. The test owns it; one thread. */
#pragma once

#include "net/proxy/plugin.h"

struct plugin_setup {
    struct model *model;
    struct report report; /* errors and warnings of everything read */
};

void plugin_setup_init(struct plugin_setup *setup);
void plugin_setup_deinit(struct plugin_setup *setup);

/* NULL texts stand for what is absent. */
struct consumer *plugin_setup_consumer(struct plugin_setup *setup, const char *username,
                                       const char *custom_id, const char *id);

/* NULL when it was reported why not. */
const void *plugin_setup_config(struct plugin_setup *setup, const struct plugin *plugin, const char *text);
struct credential *plugin_setup_credential(struct plugin_setup *setup, const struct plugin *plugin,
                                           struct consumer *consumer, const char *text);

/* Is there an entry of that kind whose path ends with `field` and whose reason contains `reason`? */
bool plugin_setup_reported(const struct plugin_setup *setup, enum report_kind kind, const char *field,
                           const char *reason);
