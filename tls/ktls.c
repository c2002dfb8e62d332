/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/ktls.h"

#include "core/base/slice.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

_Static_assert(sizeof(struct tls12_crypto_info_aes_gcm_256) <= KTLS_INFO_MAX, "room for any of them");
_Static_assert(CMSG_SPACE(1) <= KTLS_CONTROL_MAX, "room for a record's type");

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

bool ktls_is_record_type(const struct cmsghdr *control)
{
    return control->cmsg_level == SOL_TLS && control->cmsg_type == TLS_GET_RECORD_TYPE &&
           control->cmsg_len >= CMSG_LEN(1);
}

/* --- what there is -------------------------------------------------------------------------------------- */

static const char *const cipher_names[] = { [STREAM_AES_128_GCM] = "AES-128-GCM",
                                            [STREAM_AES_256_GCM] = "AES-256-GCM",
                                            [STREAM_CHACHA20_POLY1305] = "ChaCha20-Poly1305" };

enum { CIPHERS = COUNT_OF(cipher_names) };

static uint8_t bit_of(uint16_t version, unsigned cipher)
{
    return (uint8_t)(1u << (cipher + (version == STREAM_TLS_1_3 ? CIPHERS : 0)));
}

bool ktls_supports(struct ktls_support support, uint16_t version, enum stream_cipher cipher)
{
    return support.suites & bit_of(version, cipher);
}

static void close_pair(const int pair[2])
{
    if (pair[0] >= 0)
        close(pair[0]);
    if (pair[1] >= 0)
        close(pair[1]);
}

/* Two ends of a TCP connection. */
static bool open_pair(int pair[2])
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr *any = (struct sockaddr *)&address;
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pair[1] = -1;
    if (listener >= 0 && pair[0] >= 0 && bind(listener, any, size) == 0 && listen(listener, 1) == 0 &&
        getsockname(listener, any, &size) == 0 && connect(pair[0], any, size) == 0)
        pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (listener >= 0)
        close(listener);
    if (pair[1] >= 0)
        return true;
    close_pair(pair);
    return false;
}

static void probe(struct ktls_support *support, uint16_t version, unsigned cipher)
{
    struct stream_crypto crypto = { .version = version, .cipher = (uint8_t)cipher };
    int pair[2];
    if (!open_pair(pair))
        return;
    if (ktls_protect(pair[0], KTLS_SEND, &crypto) == ERROR_OK &&
        ktls_protect(pair[0], KTLS_RECEIVE, &crypto) == ERROR_OK) {
        support->suites |= bit_of(version, cipher);
        if (version == STREAM_TLS_1_3)
            support->rekeys = ktls_protect(pair[0], KTLS_SEND, &crypto) == ERROR_OK;
    }
    close_pair(pair);
}

/* Without the record layer a socket says so before it is connected: ENOENT. */
static bool is_there(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool there = setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 4) == 0 || errno == ENOTCONN;
    close(fd);
    return there;
}

struct ktls_support ktls_probe(void)
{
    struct ktls_support support = { 0 };
    if (!is_there())
        return support;
    for (unsigned cipher = 0; cipher < CIPHERS; cipher++) {
        probe(&support, STREAM_TLS_1_2, cipher);
        probe(&support, STREAM_TLS_1_3, cipher);
    }
    return support;
}

const char *ktls_text(struct ktls_support support, char text[KTLS_TEXT_SIZE])
{
    size_t used = 0;
    text[0] = '\0';
    for (unsigned cipher = 0; cipher < CIPHERS; cipher++) {
        bool old = ktls_supports(support, STREAM_TLS_1_2, cipher);
        bool new = ktls_supports(support, STREAM_TLS_1_3, cipher);
        if (old || new)
            used += (size_t)snprintf(text + used, KTLS_TEXT_SIZE - used, "%s%s%s", used ? ", " : "",
                                     cipher_names[cipher],
                                     old && new ? ""
                                     : old      ? " (1.2)"
                                                : " (1.3)");
    }
    if (used == 0)
        return "none";
    if (support.rekeys)
        (void)snprintf(text + used, KTLS_TEXT_SIZE - used, ", KeyUpdate");
    return text;
}
