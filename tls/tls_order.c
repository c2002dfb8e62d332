/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_order.h"

enum { CERTIFICATE_VERIFY = 15, CLIENT_KEY_EXCHANGE = 16 };

static bool begin_message(struct tls_order *order)
{
    order->header_size = 0;
    order->left = (uint32_t)(order->header[1] << 16 | order->header[2] << 8 | order->header[3]);
    order->key_exchanged |= order->header[0] == CLIENT_KEY_EXCHANGE;
    return order->header[0] != CERTIFICATE_VERIFY || order->key_exchanged;
}

bool tls_order_allows(struct tls_order *order, struct slice record)
{
    order->ciphered |= record.data[0] == TLS_CHANGE_CIPHER_SPEC;
    if (order->ciphered || record.data[0] != TLS_HANDSHAKE)
        return true;
    struct slice rest = slice_from(record, TLS_HEADER_BYTES);
    while (rest.size > 0) {
        size_t skipped = order->left < rest.size ? order->left : rest.size;
        order->left -= (uint32_t)skipped;
        rest = slice_from(rest, skipped);
        if (rest.size == 0)
            break;
        order->header[order->header_size++] = (unsigned char)rest.data[0];
        rest = slice_from(rest, 1);
        if (order->header_size == sizeof(order->header) && !begin_message(order))
            return false;
    }
    return true;
}
