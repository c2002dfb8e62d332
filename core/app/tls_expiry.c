/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/tls_expiry.h"

#include "core/app/journal.h"

#include <stdlib.h>

enum { DAY_S = 24 * 3600, SOON_DAYS = 30 };

#define METRIC "sluice_tls_certificate_not_after_seconds"

/* Names are hosts: nothing in them needs an escape. */
static void write_names(const struct model *model, const struct certificate *certificate, FILE *out)
{
    const char *before = "";
    for (uint32_t i = 0; i < model->snis.count; i++) {
        if (model->snis.items[i]->certificate != certificate)
            continue;
        fprintf(out, "%s%.*s", before, SLICE_FORMAT(model->snis.items[i]->entity.name));
        before = ",";
    }
}

void tls_expiry_write(const struct tls_expiry *expiry, FILE *out)
{
    const struct model *model = expiry->model;
    if (model->certificates.count == 0 && expiry->default_not_after_s == 0)
        return;
    fprintf(out, "# HELP " METRIC " when a certificate ends, since 1970\n# TYPE " METRIC " gauge\n");
    if (expiry->default_not_after_s)
        fprintf(out, METRIC "{certificate=\"default\",names=\"\"} %lld\n",
                (long long)expiry->default_not_after_s);
    for (uint32_t i = 0; i < model->certificates.count; i++) {
        const struct certificate *certificate = model->certificates.items[i];
        if (certificate->not_after_s == 0)
            continue;
        fprintf(out, METRIC "{certificate=\"%s\",names=\"", certificate->entity.id);
        write_names(model, certificate, out);
        fprintf(out, "\"} %lld\n", (long long)certificate->not_after_s);
    }
}

static void warn(const char *id, const char *names, int64_t left_s)
{
    if (left_s <= 0)
        journal(JOURNAL_WARN, "a certificate has expired certificate=%s names=%s", id, names);
    else if (left_s < (int64_t)SOON_DAYS * DAY_S)
        journal(JOURNAL_WARN, "a certificate expires soon certificate=%s names=%s days=%lld", id, names,
                (long long)(left_s / DAY_S));
}

void tls_expiry_warn(const struct tls_expiry *expiry, int64_t now_s)
{
    const struct model *model = expiry->model;
    if (expiry->default_not_after_s)
        warn("default", "", expiry->default_not_after_s - now_s);
    for (uint32_t i = 0; i < model->certificates.count; i++) {
        const struct certificate *certificate = model->certificates.items[i];
        char *names = NULL;
        size_t size = 0;
        FILE *out = certificate->not_after_s ? open_memstream(&names, &size) : NULL;
        if (out == NULL)
            continue;
        write_names(model, certificate, out);
        if (fclose(out) == 0)
            warn(certificate->entity.id, names, certificate->not_after_s - now_s);
        free(names);
    }
}
