/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a directory: what is understood as a message is so whatever follows it, and not without its last
 * byte. */
#include "net/ldap/ldap_message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum ldap_reading read_copy(const uint8_t *data, size_t size, struct ldap_response *response)
{
    char *copy = malloc(size + 1);
    CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    enum ldap_reading reading = ldap_read_response((struct slice){ copy, size }, response);
    free(copy);
    return reading;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ldap_response response, again;
    if (read_copy(data, size, &response) != LDAP_READ)
        return 0;
    CHECK(response.bytes >= 2 && response.bytes <= size);
    CHECK(read_copy(data, response.bytes, &again) == LDAP_READ);
    CHECK(again.id == response.id && again.code == response.code && again.bytes == response.bytes);
    CHECK(read_copy(data, response.bytes - 1, &again) == LDAP_INCOMPLETE);
    return 0;
}
