/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/demo.h"

#include "core/app/demo_origin.h"
#include "core/base/check.h"
#include "core/crypto/base64.h"
#include "core/crypto/hmac.h"

#define DEMO_KEY "demo"
#define DEMO_SECRET "only-for-trying-sluice-out"

enum { CONFIGURATION_BYTES = 2048, TOKEN_BYTES = 512 };

static const char configuration[] = "_format_version: \"3.0\"\n"
                                    "services:\n"
                                    "- name: demo-origin\n"
                                    "  url: http://127.0.0.1:%u\n"
                                    "  routes:\n"
                                    "  - name: plain\n"
                                    "    paths: [/]\n"
                                    "    strip_path: false\n"
                                    "  - name: guarded\n"
                                    "    paths: [/guarded]\n"
                                    "    strip_path: false\n"
                                    "    plugins:\n"
                                    "    - name: jwt\n"
                                    "    - name: rate-limiting\n"
                                    "      config: { minute: 5, policy: local }\n"
                                    "consumers:\n"
                                    "- username: demo\n"
                                    "  jwt_secrets:\n"
                                    "  - { key: " DEMO_KEY ", secret: " DEMO_SECRET " }\n";

/* Set once at the start, by the control thread. */
static uint16_t origin_port;
static char configuration_text[CONFIGURATION_BYTES];

int demo_origin_start(uint16_t *port)
{
    int failure = demo_origin_open(&origin_port);
    *port = origin_port;
    return failure;
}

const char *demo_configuration(void)
{
    int size = snprintf(configuration_text, sizeof(configuration_text), configuration, origin_port);
    CHECK(size > 0 && size < CONFIGURATION_BYTES);
    return configuration_text;
}

/* A JSON Web Token (RFC 7519) of the demo's consumer that is good until 2100. */
static void make_token(char token[TOKEN_BYTES])
{
    struct slice head = SLICE("{\"typ\":\"JWT\",\"alg\":\"HS256\"}");
    struct slice claims = SLICE("{\"iss\":\"" DEMO_KEY "\",\"sub\":\"try-it-out\",\"exp\":4102444800}");
    unsigned char mac[HMAC_MAX];
    struct hmac_key key;
    size_t size = base64_encode(BASE64_URL, head, token);
    token[size++] = '.';
    size += base64_encode(BASE64_URL, claims, token + size);
    hmac_key_init(&key, HMAC_SHA256, SLICE(DEMO_SECRET));
    hmac_sign(&key, (struct slice){ token, size }, mac);
    token[size++] = '.';
    size +=
        base64_encode(BASE64_URL, (struct slice){ (const char *)mac, hmac_size(HMAC_SHA256) }, token + size);
    CHECK(size < TOKEN_BYTES);
    token[size] = '\0';
}

void demo_print(FILE *out, const char *proxy_address)
{
    char token[TOKEN_BYTES];
    make_token(token);
    fprintf(out,
            "\nTry, in another terminal:\n\n"
            "  curl -i http://%s/hello\n"
            "      passed on: 200, and the origin shows the request as it arrived\n\n"
            "  curl -i -H 'Authorization: Bearer %s' http://%s/guarded\n"
            "      the token is good: 200, five times a minute; then 429\n\n"
            "  curl -i http://%s/guarded\n"
            "      without a token: 401\n\n",
            proxy_address, token, proxy_address, proxy_address);
    fflush(out);
}
