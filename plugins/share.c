/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/share.h"

enum { DIGITS = 8 };

_Static_assert(SHARE_COUNT *DIGITS <= 32, "an id has 32 digits");

double share_draw(const struct exchange *exchange, enum share share)
{
    struct slice id = exchange_request_id(exchange);
    uint32_t number = 0;
    for (size_t i = (size_t)share * DIGITS; i < ((size_t)share + 1) * DIGITS && i < id.size; i++)
        number = number << 4 | ((uint32_t)slice_hex_value(id.data[i]) & 15);
    return number * (100.0 / 4294967296.0);
}
