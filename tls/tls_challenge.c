/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_challenge.h"

#include <pthread.h>
#include <stdlib.h>

static const struct slice protocol = { "acme-tls/1", 10 };
static const struct slice offered = { "\012acme-tls/1", 11 }; /* it alone, as a ClientHello has it */

static struct {
    pthread_mutex_t lock;
    char *domain;
    struct tls_server *server; /* NULL: nothing is being confirmed */
} place = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void put(char *domain, struct tls_server *server)
{
    pthread_mutex_lock(&place.lock);
    char *former_domain = place.domain;
    struct tls_server *former = place.server;
    place.domain = domain;
    place.server = server;
    pthread_mutex_unlock(&place.lock);
    free(former_domain);
    tls_server_release(former);
}

bool tls_challenge_set(struct slice domain, struct slice authorization)
{
    char reason[TLS_REASON_SIZE];
    struct slice names[] = { domain }, protocols[] = { protocol };
    struct tls_site_options site = { .names = { names, 1 } };
    struct tls_server_options options = { .sites = &site,
                                          .site_count = 1,
                                          .refuses_unknown = true,
                                          .suites = { .preset = TLS_INTERMEDIATE,
                                                      .version_min = STREAM_TLS_1_2,
                                                      .version_max = STREAM_TLS_1_3 },
                                          .protocols = { protocols, 1 },
                                          .set_count = 1 };
    char *copy = strndup(domain.data, domain.size);
    site.pairs[0].key = tls_key_make_challenge(domain, authorization, reason);
    struct tls_server *server = copy && site.pairs[0].key ? tls_server_make(&options, reason) : NULL;
    tls_key_release(site.pairs[0].key);
    if (server == NULL) {
        free(copy);
        return false;
    }
    put(copy, server);
    return true;
}

void tls_challenge_clear(void)
{
    put(NULL, NULL);
}

struct tls_server *tls_challenge_take(const struct tls_hello *hello)
{
    struct tls_server *server = NULL;
    if (!slice_equal(hello->protocols, offered) || hello->name.data == NULL)
        return NULL;
    pthread_mutex_lock(&place.lock);
    if (place.server && slice_equal_nocase(slice_of(place.domain), hello->name)) {
        server = place.server;
        tls_server_take(server);
    }
    pthread_mutex_unlock(&place.lock);
    return server;
}
