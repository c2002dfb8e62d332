/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_record.h"

static bool is_size_legal(const struct tls_header *header, enum tls_epoch epoch)
{
    if (header->type == TLS_CHANGE_CIPHER_SPEC)
        return header->size == 1;
    if (epoch == TLS_EPOCH_1_3 || (epoch == TLS_EPOCH_HANDSHAKE && header->type == TLS_DATA))
        return header->size >= TLS_SEALED_1_3_MIN;
    return header->size > 0;
}

enum tls_alert tls_record_header(const unsigned char bytes[TLS_HEADER_BYTES], enum tls_epoch epoch,
                                 struct tls_header *header)
{
    header->type = bytes[0];
    header->size = (uint16_t)(bytes[3] << 8 | bytes[4]);
    if (header->type < TLS_CHANGE_CIPHER_SPEC || header->type > TLS_DATA)
        return TLS_UNEXPECTED_MESSAGE;
    if (bytes[1] != 3)
        return TLS_PROTOCOL_VERSION;
    if (header->size > TLS_SEALED_MAX)
        return TLS_RECORD_OVERFLOW;
    return is_size_legal(header, epoch) ? TLS_ALERT_NONE : TLS_DECODE_ERROR;
}

const char *tls_alert_text(unsigned alert)
{
    switch (alert) {
    case 0: return "close_notify";
    case 10: return "unexpected_message";
    case 20: return "bad_record_mac";
    case 22: return "record_overflow";
    case 40: return "handshake_failure";
    case 42: return "bad_certificate";
    case 43: return "unsupported_certificate";
    case 44: return "certificate_revoked";
    case 45: return "certificate_expired";
    case 46: return "certificate_unknown";
    case 47: return "illegal_parameter";
    case 48: return "unknown_ca";
    case 49: return "access_denied";
    case 50: return "decode_error";
    case 51: return "decrypt_error";
    case 70: return "protocol_version";
    case 71: return "insufficient_security";
    case 80: return "internal_error";
    case 86: return "inappropriate_fallback";
    case 90: return "user_canceled";
    case 100: return "no_renegotiation";
    case 109: return "missing_extension";
    case 110: return "unsupported_extension";
    case 112: return "unrecognized_name";
    case 113: return "bad_certificate_status_response";
    case 115: return "unknown_psk_identity";
    case 116: return "certificate_required";
    case 120: return "no_application_protocol";
    default: return "alert";
    }
}
