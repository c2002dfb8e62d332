/* SPDX-License-Identifier: Apache-2.0 */
/* Anything at all as a DNS message, read as an answer of each type: names end and are plain. */
#include "net/dns/dns_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_host(struct slice host)
{
    CHECK(host.size < DNS_NAME_SIZE && host.data[host.size] == '\0');
    for (size_t i = 0; i < host.size; i++)
        CHECK(host.data[i] == slice_lower(host.data[i]) && host.data[i] > ' ');
}

static void check_answer(const struct dns_answer *answer)
{
    CHECK(answer->count <= DNS_RECORDS_MAX);
    for (uint32_t i = 0; i < answer->count; i++)
        if (answer->records[i].host.data)
            check_host(answer->records[i].host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = { DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_CNAME, DNS_TYPE_SRV };
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct dns_answer answer;
        struct arena arena;
        arena_init(&arena, NULL, 0, 1 << 20);
        if (dns_answer_read(&answer, &arena, (struct slice){ (const char *)data, size }, types[i]))
            check_answer(&answer);
        arena_deinit(&arena);
    }
    return 0;
}
