/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_suites.h"

#include <stdio.h>

static const struct tls_suite suites[] = {
    { 0x1301, STREAM_TLS_1_3, "TLS_AES_128_GCM_SHA256", "TLS13-AES128-GCM-SHA256", STREAM_AES_128_GCM },
    { 0x1302, STREAM_TLS_1_3, "TLS_AES_256_GCM_SHA384", "TLS13-AES256-GCM-SHA384", STREAM_AES_256_GCM },
    { 0x1303, STREAM_TLS_1_3, "TLS_CHACHA20_POLY1305_SHA256", "TLS13-CHACHA20-POLY1305-SHA256",
      STREAM_CHACHA20_POLY1305 },
    { 0xC02B, STREAM_TLS_1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256",
      STREAM_AES_128_GCM },
    { 0xC02F, STREAM_TLS_1_2, "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
      STREAM_AES_128_GCM },
    { 0xC02C, STREAM_TLS_1_2, "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384",
      STREAM_AES_256_GCM },
    { 0xC030, STREAM_TLS_1_2, "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
      STREAM_AES_256_GCM },
    { 0xCCA9, STREAM_TLS_1_2, "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305",
      STREAM_CHACHA20_POLY1305 },
    { 0xCCA8, STREAM_TLS_1_2, "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
      STREAM_CHACHA20_POLY1305 },
};

enum { SUITE_COUNT = sizeof(suites) / sizeof(suites[0]) };

const struct tls_suite *tls_suite_by_id(uint16_t id)
{
    for (unsigned i = 0; i < SUITE_COUNT; i++)
        if (suites[i].id == id)
            return &suites[i];
    return NULL;
}

static const struct tls_suite *by_name(struct slice name)
{
    for (unsigned i = 0; i < SUITE_COUNT; i++)
        if (slice_equal(name, slice_of(suites[i].name)) ||
            slice_equal(name, slice_of(suites[i].library_name)))
            return &suites[i];
    return NULL;
}

static void append(char *list, const struct tls_suite *suite, const struct tls_suite_choice *choice)
{
    size_t used = strlen(list);
    if (suite->version >= choice->version_min && suite->version <= choice->version_max)
        snprintf(list + used, TLS_SUITE_LIST_SIZE - used, "%s%s", used ? ":" : "", suite->library_name);
}

static bool append_custom(const struct tls_suite_choice *choice, char *list, struct slice *wrong)
{
    bool has_1_3 = false;
    for (struct slice rest = choice->custom; rest.data != NULL;) {
        struct slice name = slice_split(rest, ':', &rest);
        const struct tls_suite *suite = by_name(name);
        if (suite == NULL) {
            *wrong = name;
            return false;
        }
        has_1_3 |= suite->version == STREAM_TLS_1_3;
        append(list, suite, choice);
    }
    /* As with OpenSSL, a list of TLS 1.2's suites says nothing about TLS 1.3's. */
    for (unsigned i = 0; i < SUITE_COUNT && !has_1_3; i++)
        if (suites[i].version == STREAM_TLS_1_3)
            append(list, &suites[i], choice);
    return true;
}

bool tls_suites_list(const struct tls_suite_choice *choice, char *list, struct slice *wrong)
{
    list[0] = '\0';
    *wrong = (struct slice){ NULL, 0 };
    if (choice->preset == TLS_CUSTOM) {
        if (!append_custom(choice, list, wrong))
            return false;
    } else {
        for (unsigned i = 0; i < SUITE_COUNT; i++)
            if (choice->preset != TLS_MODERN || suites[i].version == STREAM_TLS_1_3)
                append(list, &suites[i], choice);
    }
    return list[0] != '\0';
}
