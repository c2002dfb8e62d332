/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/tls_sites.h"

#include <stdio.h>

/* --- who is asked --------------------------------------------------------------------------------------- */

struct asked {
    const struct tls_profile_source *source;
    bool everybody;
    struct slices names; /* lower case, as routes give them: exact, or with a wildcard at one end */
    struct map known; /* the same */
};

static struct slice lower(struct arena *arena, struct slice text)
{
    char *copy = arena_alloc(arena, text.size + 1);
    for (size_t i = 0; copy && i < text.size; i++)
        copy[i] = slice_lower(text.data[i]);
    return (struct slice){ copy, copy ? text.size : 0 };
}

static uint32_t count_names(const struct model *model)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->routes.count; i++)
        count += model->routes.items[i]->snis.count;
    return count;
}

static bool ask_for_route(struct asked *asked, const struct route *route)
{
    if (route->snis.count == 0 || route->expression.data)
        asked->everybody = true;
    for (uint32_t i = 0; !asked->everybody && i < route->snis.count; i++) {
        struct slice name = lower(asked->source->arena, route->snis.items[i]);
        void *existing = NULL;
        if (name.data == NULL || !map_add(&asked->known, name, asked, &existing))
            return false;
        if (existing == NULL)
            asked->names.items[asked->names.count++] = name;
    }
    return true;
}

static bool ask_for_plugin(struct asked *asked, const struct plugin_instance *instance)
{
    const struct model *model = asked->source->model;
    if (instance->route)
        return ask_for_route(asked, instance->route);
    if (instance->service == NULL)
        asked->everybody = true;
    for (uint32_t i = 0; !asked->everybody && i < model->routes.count; i++)
        if (model->routes.items[i]->service == instance->service &&
            !ask_for_route(asked, model->routes.items[i]))
            return false;
    return true;
}

static bool find_asked(struct asked *asked)
{
    const struct model *model = asked->source->model;
    map_init(&asked->known, asked->source->arena);
    asked->names.items = arena_array(asked->source->arena, count_names(model) + 1u, sizeof(struct slice));
    for (uint32_t i = 0; asked->names.items && i < model->plugins.count; i++) {
        const struct plugin_instance *instance = model->plugins.items[i];
        if (instance->kind->asks_client && instance->enabled && !ask_for_plugin(asked, instance))
            return false;
    }
    return asked->names.items != NULL;
}

static bool begins_with(struct slice text, struct slice start)
{
    return text.size >= start.size && memcmp(text.data, start.data, start.size) == 0;
}

static bool ends_with(struct slice text, struct slice end)
{
    return text.size >= end.size && memcmp(text.data + text.size - end.size, end.data, end.size) == 0;
}

static bool covers(struct slice pattern, struct slice name)
{
    if (pattern.data[0] == '*')
        return ends_with(name, slice_from(pattern, 1));
    if (pattern.data[pattern.size - 1] == '*')
        return begins_with(name, (struct slice){ pattern.data, pattern.size - 1 });
    return slice_equal(pattern, name);
}

static bool is_asked(const struct asked *asked, struct slice name)
{
    if (asked->everybody || map_find(&asked->known, name))
        return true;
    for (uint32_t i = 0; i < asked->names.count; i++)
        if (memchr(asked->names.items[i].data, '*', asked->names.items[i].size) &&
            covers(asked->names.items[i], name))
            return true;
    return false;
}

/* --- sites ---------------------------------------------------------------------------------------------- */

/* What one certificate (or the settings' pairs) is for. */
struct holder {
    const struct certificate *certificate; /* NULL: the settings' pairs */
    struct slices plain, asked;
};

struct building {
    const struct tls_profile_source *source;
    struct asked asked;
    struct holder *holders; /* the settings' pairs first, then by index of the certificate */
    struct map names; /* of certificates, lower case -> struct holder */
    struct tls_sites *sites;
};

static void complain(const struct tls_profile_source *source, const struct entity *entity, const char *reason)
{
    struct slice path = arena_format(source->arena, "certificates[%u]", entity->index);
    report_add(source->report, REPORT_ERROR, &entity->position, path.data ? path.data : "certificates", "%s",
               reason);
}

static bool add_name(struct arena *arena, struct slices *names, struct slice name)
{
    if ((names->count & (names->count - 1)) == 0) {
        uint32_t room = names->count ? 2 * names->count : 1;
        struct slice *more = arena_array(arena, room, sizeof(*more));
        if (more == NULL)
            return false;
        if (names->count)
            memcpy(more, names->items, names->count * sizeof(*more));
        names->items = more;
    }
    names->items[names->count++] = name;
    return true;
}

static bool file_names(struct building *building)
{
    const struct model *model = building->source->model;
    struct arena *arena = building->source->arena;
    building->holders = arena_array(arena, model->certificates.count + 1u, sizeof(struct holder));
    map_init(&building->names, arena);
    if (building->holders == NULL)
        return false;
    memset(building->holders, 0, (model->certificates.count + 1u) * sizeof(struct holder));
    for (uint32_t i = 0; i < model->certificates.count; i++)
        building->holders[i + 1].certificate = model->certificates.items[i];
    for (uint32_t i = 0; i < model->snis.count; i++) {
        const struct sni *sni = model->snis.items[i];
        struct holder *holder = &building->holders[sni->certificate->entity.index + 1];
        struct slice name = lower(arena, sni->entity.name);
        if (name.data == NULL || !map_add(&building->names, name, holder, NULL) ||
            !add_name(arena, is_asked(&building->asked, name) ? &holder->asked : &holder->plain, name))
            return false;
    }
    return true;
}

/* What a client that asks for that name is shown (tls_server_choose); a name with a wildcard at its end gets
 * what the wildcard alone would. */
static struct holder *holder_for(const struct building *building, struct slice name)
{
    char pattern[TLS_NAME_MAX + 2];
    const char *first = memchr(name.data, '.', name.size), *last = memrchr(name.data, '.', name.size);
    struct holder *found = NULL;
    if (first && name.size <= TLS_NAME_MAX) {
        size_t rest = name.size - (size_t)(first - name.data), front = (size_t)(last - name.data) + 1;
        pattern[0] = '*';
        memcpy(pattern + 1, first, rest);
        found = map_find(&building->names, (struct slice){ pattern, rest + 1 });
        memcpy(pattern, name.data, front);
        pattern[front] = '*';
        if (found == NULL)
            found = map_find(&building->names, (struct slice){ pattern, front + 1 });
    }
    if (found == NULL)
        found = map_find(&building->names, SLICE("*"));
    return found ? found : &building->holders[0];
}

/* Names that are asked, but stand in no certificate's list. */
static bool file_asked(struct building *building)
{
    const struct asked *asked = &building->asked;
    for (uint32_t i = 0; !asked->everybody && i < asked->names.count; i++) {
        struct slice name = asked->names.items[i];
        if (map_find(&building->names, name) == NULL &&
            !add_name(building->source->arena, &holder_for(building, name)->asked, name))
            return false;
    }
    return true;
}

static struct tls_site_options *add_site(struct building *building, const struct slices *names, bool asks)
{
    const struct tls_profile_options *options = building->source->options;
    struct tls_site_options *site = &building->sites->items[building->sites->count++];
    *site = (struct tls_site_options){ .policy = options->policy, .trust = options->clients };
    if (names)
        site->names = *names;
    if (asks && options->policy == TLS_CLIENT_NONE)
        site->policy = TLS_CLIENT_UNVERIFIED;
    return site;
}

static void copy_keys(struct tls_site_options *site, const struct tls_site_options *from)
{
    for (uint32_t i = 0; i < TLS_SITE_KEYS && from->pairs[i].key; i++)
        tls_key_take(site->pairs[i].key = from->pairs[i].key);
}

/* A text that a vault did not have is empty: then there is no such pair. */
static bool read_pair(const struct building *building, const struct certificate *certificate,
                      struct tls_site_options *site, const struct slice pair[2])
{
    char reason[TLS_REASON_SIZE];
    uint32_t count = 0;
    if (pair[0].size == 0 || pair[1].size == 0)
        return true;
    while (site->pairs[count].key)
        count++;
    site->pairs[count].key = tls_key_read(pair[0], pair[1], reason);
    if (site->pairs[count].key == NULL)
        complain(building->source, &certificate->entity, reason);
    return site->pairs[count].key != NULL;
}

static bool read_pairs(const struct building *building, const struct certificate *certificate,
                       struct tls_site_options *site)
{
    const struct slice first[2] = { certificate->cert, certificate->key };
    const struct slice second[2] = { certificate->cert_alt, certificate->key_alt };
    return read_pair(building, certificate, site, first) && read_pair(building, certificate, site, second);
}

static bool add_certificate(struct building *building, const struct holder *holder)
{
    const struct slices *lists[] = { &holder->plain, &holder->asked };
    const struct tls_site_options *first = NULL;
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        if (lists[i]->count == 0)
            continue;
        struct tls_site_options *site = add_site(building, lists[i], i == 1);
        if (first)
            copy_keys(site, first);
        else if (!read_pairs(building, holder->certificate, site))
            return false;
        first = site;
        if (site->pairs[0].key == NULL) { /* the vault had neither */
            building->sites->count--;
            return true;
        }
    }
    return true;
}

static void add_settings_pairs(struct building *building)
{
    const struct tls_profile_options *options = building->source->options;
    struct tls_site_options *site = add_site(building, NULL, building->asked.everybody);
    for (uint32_t i = 0; i < TLS_SITE_KEYS && options->defaults[i]; i++)
        tls_key_take(site->pairs[i].key = options->defaults[i]);
    if (building->holders[0].asked.count > 0)
        copy_keys(add_site(building, &building->holders[0].asked, true), site);
}

bool tls_sites_build(const struct tls_profile_source *source, struct tls_sites *sites)
{
    const struct model *model = source->model;
    struct building building = { .source = source, .asked = { .source = source }, .sites = sites };
    sites->count = 0;
    sites->items = arena_array(source->arena, 2u * model->certificates.count + 2, sizeof(*sites->items));
    if (sites->items == NULL || !find_asked(&building.asked) || !file_names(&building) ||
        !file_asked(&building))
        return false;
    bool good = true;
    add_settings_pairs(&building);
    for (uint32_t i = 0; i < model->certificates.count; i++)
        good = add_certificate(&building, &building.holders[i + 1]) && good;
    return good;
}

void tls_sites_drop(const struct tls_sites *sites)
{
    for (uint32_t i = 0; i < sites->count; i++)
        for (uint32_t j = 0; j < TLS_SITE_KEYS; j++)
            tls_key_release(sites->items[i].pairs[j].key);
}

void tls_sites_check(const struct model *model, struct arena *scratch, struct report *report)
{
    const struct tls_profile_source source = { .arena = scratch, .model = model, .report = report };
    const struct building building = { .source = &source };
    for (uint32_t i = 0; i < model->certificates.count; i++) {
        struct tls_site_options site = { .policy = TLS_CLIENT_NONE };
        struct tls_sites sites = { &site, 1 };
        (void)read_pairs(&building, model->certificates.items[i], &site);
        tls_sites_drop(&sites);
    }
}
