/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/ktls.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

_Static_assert(sizeof(struct tls12_crypto_info_aes_gcm_256) <= KTLS_INFO_MAX, "room for any of them");
_Static_assert(CMSG_SPACE(1) <= KTLS_CONTROL_MAX, "room for a record's type");

bool ktls_is_available(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    /* On a socket that is not connected: ENOTCONN where there is one, ENOENT where not. */
    int result = setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 4);
    bool available = result == 0 || errno == ENOTCONN;
    close(fd);
    return available;
}

static void put_sequence(unsigned char *out, uint64_t sequence)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(sequence >> (56 - 8 * i));
}

/* With AES-GCM the first four bytes of the nonce are called salt; the rest counts in TLS 1.2. */
static void fill_gcm(const struct stream_crypto *crypto, unsigned char *iv, unsigned char *salt,
                     unsigned char *sequence)
{
    put_sequence(sequence, crypto->sequence);
    memcpy(salt, crypto->iv, 4);
    memcpy(iv, crypto->version == STREAM_TLS_1_3 ? crypto->iv + 4 : sequence, 8);
}

void ktls_describe(const struct stream_crypto *crypto, struct ktls_info *info)
{
    uint16_t version = crypto->version == STREAM_TLS_1_3 ? TLS_1_3_VERSION : TLS_1_2_VERSION;
    memset(info, 0, sizeof(*info));
    if (crypto->cipher == STREAM_AES_128_GCM) {
        struct tls12_crypto_info_aes_gcm_128 gcm = { { version, TLS_CIPHER_AES_GCM_128 } };
        memcpy(gcm.key, crypto->key, sizeof(gcm.key));
        fill_gcm(crypto, gcm.iv, gcm.salt, gcm.rec_seq);
        memcpy(info->bytes, &gcm, info->size = sizeof(gcm));
        explicit_bzero(&gcm, sizeof(gcm));
    } else if (crypto->cipher == STREAM_AES_256_GCM) {
        struct tls12_crypto_info_aes_gcm_256 gcm = { { version, TLS_CIPHER_AES_GCM_256 } };
        memcpy(gcm.key, crypto->key, sizeof(gcm.key));
        fill_gcm(crypto, gcm.iv, gcm.salt, gcm.rec_seq);
        memcpy(info->bytes, &gcm, info->size = sizeof(gcm));
        explicit_bzero(&gcm, sizeof(gcm));
    } else {
        struct tls12_crypto_info_chacha20_poly1305 chacha = { { version, TLS_CIPHER_CHACHA20_POLY1305 } };
        memcpy(chacha.key, crypto->key, sizeof(chacha.key));
        memcpy(chacha.iv, crypto->iv, sizeof(chacha.iv));
        put_sequence(chacha.rec_seq, crypto->sequence);
        memcpy(info->bytes, &chacha, info->size = sizeof(chacha));
        explicit_bzero(&chacha, sizeof(chacha));
    }
}

enum error ktls_protect(int fd, enum ktls_direction direction, const struct stream_crypto *crypto)
{
    struct ktls_info info;
    int option = direction == KTLS_SEND ? TLS_TX : TLS_RX;
    if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 4) != 0 && errno != EEXIST)
        return ERROR_UNSUPPORTED;
    ktls_describe(crypto, &info);
    int result = setsockopt(fd, SOL_TLS, option, info.bytes, info.size);
    explicit_bzero(&info, sizeof(info));
    return result == 0 ? ERROR_OK : ERROR_UNSUPPORTED;
}

uint32_t ktls_record_type(unsigned char control[KTLS_CONTROL_MAX], uint8_t type)
{
    struct cmsghdr header = { .cmsg_len = CMSG_LEN(1),
                              .cmsg_level = SOL_TLS,
                              .cmsg_type = TLS_SET_RECORD_TYPE };
    memset(control, 0, KTLS_CONTROL_MAX);
    memcpy(control, &header, sizeof(header));
    control[CMSG_LEN(0)] = type;
    return (uint32_t)header.cmsg_len;
}
