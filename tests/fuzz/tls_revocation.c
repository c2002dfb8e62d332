/* SPDX-License-Identifier: Apache-2.0 */
/* What responders and lists say of a certificate. An input is three parts with their sizes before them, two
 * bytes each: the certificate, its issuer, the answer. */
#include "tls/tls_revocation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice take(struct slice *rest)
{
    if (rest->size < 2)
        return *rest;
    size_t size = (size_t)(unsigned char)rest->data[0] << 8 | (unsigned char)rest->data[1];
    *rest = slice_from(*rest, 2);
    struct slice part = { rest->data, size < rest->size ? size : rest->size };
    *rest = slice_from(*rest, part.size);
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = { (const char *)data, size };
    struct tls_issued issued = { .certificate = take(&rest) };
    struct tls_revocation_urls urls;
    struct arena arena;
    issued.issuer = take(&rest);
    struct slice answer = take(&rest);
    arena_init(&arena, NULL, 0, SIZE_MAX);
    (void)!tls_revocation_urls(issued.certificate, &arena, &urls);
    (void)tls_ocsp_question(&issued, &arena);
    (void)tls_ocsp_read(&issued, answer);
    (void)tls_list_read(&issued, answer);
    arena_deinit(&arena);
    return 0;
}
