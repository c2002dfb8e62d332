/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary credentials of AWS as they are written by those who give them. */
#include "core/base/json_scan.h"
#include "plugins/aws_credentials.h"

#include <time.h>

int64_t aws_time_read(struct slice text)
{
    struct tm time = { 0 };
    char copy[32];
    if (text.size == 0 || text.size >= sizeof(copy))
        return 0;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    const char *end = strptime(copy, "%Y-%m-%dT%H:%M:%S", &time);
    if (end == NULL || (*end != 'Z' && *end != '.'))
        return 0;
    time_t seconds = timegm(&time);
    return seconds > 0 ? (int64_t)seconds : 0;
}

/* Keys go into a head: printable, and of a size. */
static bool is_key(struct slice text, size_t limit)
{
    bool good = text.size > 0 && text.size < limit;
    for (size_t i = 0; i < text.size; i++)
        good &= text.data[i] > ' ' && text.data[i] < 0x7f;
    return good;
}

static bool are_keys(const struct aws_keys *keys)
{
    return is_key(keys->key_id, AWS_KEY_SIZE) && is_key(keys->secret, AWS_KEY_SIZE) &&
           (keys->token.data == NULL || is_key(keys->token, AWS_TOKEN_SIZE));
}

bool aws_keys_read_json(struct slice text, struct aws_keys *keys)
{
    struct json_member members[] = { { .name = SLICE("AccessKeyId") },
                                     { .name = SLICE("SecretAccessKey") },
                                     { .name = SLICE("Token") },
                                     { .name = SLICE("Expiration") } };
    struct slice *to[] = { &keys->key_id, &keys->secret, &keys->token };
    enum json_kind root;
    *keys = (struct aws_keys){ .expires_s = 0 };
    if (!json_scan(text, members, COUNT_OF(members), &root))
        return false;
    for (size_t i = 0; i < COUNT_OF(to); i++) {
        if (members[i].value.kind == JSON_ABSENT && to[i] == &keys->token)
            continue;
        if (members[i].value.kind != JSON_STRING || members[i].value.escaped)
            return false;
        *to[i] = members[i].value.text;
    }
    if (members[3].value.kind == JSON_STRING)
        keys->expires_s = aws_time_read(members[3].value.text);
    return are_keys(keys);
}

/* The text of the first element of that name; absent: there is none. */
static struct slice element(struct slice xml, const char *opens, const char *closes)
{
    const char *start = xml.size ? memmem(xml.data, xml.size, opens, strlen(opens)) : NULL;
    if (start == NULL)
        return (struct slice){ NULL, 0 };
    struct slice rest = slice_from(xml, (size_t)(start - xml.data) + strlen(opens));
    const char *end = rest.size ? memmem(rest.data, rest.size, closes, strlen(closes)) : NULL;
    return end ? slice_trim((struct slice){ rest.data, (size_t)(end - rest.data) })
               : (struct slice){ NULL, 0 };
}

bool aws_keys_read_xml(struct slice text, struct aws_keys *keys)
{
    *keys = (struct aws_keys){ .key_id = element(text, "<AccessKeyId>", "</AccessKeyId>"),
                               .secret = element(text, "<SecretAccessKey>", "</SecretAccessKey>"),
                               .token = element(text, "<SessionToken>", "</SessionToken>") };
    keys->expires_s = aws_time_read(element(text, "<Expiration>", "</Expiration>"));
    return are_keys(keys);
}
