/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/dns_message.h"

#include <arpa/inet.h>
#include <stdio.h>

static void put(struct dns_message *message, const void *bytes, size_t size)
{
    CHECK(message->size + size <= sizeof(message->bytes));
    memcpy(message->bytes + message->size, bytes, size);
    message->size += size;
}

static void put_u16(struct dns_message *message, unsigned value)
{
    put(message, (uint8_t[]){ (uint8_t)(value >> 8), (uint8_t)value }, 2);
}

static void put_name(struct dns_message *message, const char *name)
{
    while (*name) {
        uint8_t size = (uint8_t)strcspn(name, ".");
        put(message, &size, 1);
        put(message, name, size);
        name += size + (name[size] == '.');
    }
    put(message, "", 1);
}

void dns_message_begin(struct dns_message *message, uint16_t id, const char *name, uint16_t type,
                       unsigned rcode)
{
    message->size = 0;
    put_u16(message, id);
    put_u16(message, 0x8180u | rcode);
    put_u16(message, 1);
    put(message, "\0\0\0\0\0", 6);
    put_name(message, name);
    put_u16(message, type);
    put_u16(message, 1);
}

static void add(struct dns_message *message, const char *owner, uint16_t type, uint32_t ttl_s)
{
    message->bytes[7]++;
    put_name(message, owner);
    put_u16(message, type);
    put_u16(message, 1);
    put_u16(message, ttl_s >> 16);
    put_u16(message, ttl_s & 0xffff);
}

static void put_sized_name(struct dns_message *message, const char *name)
{
    size_t at = message->size;
    put_u16(message, 0);
    put_name(message, name);
    message->bytes[at + 1] = (uint8_t)(message->size - at - 2);
}

void dns_message_address(struct dns_message *message, const char *owner, uint32_t ttl_s, const char *address)
{
    uint8_t bytes[16];
    bool v6 = strchr(address, ':') != NULL;
    CHECK(inet_pton(v6 ? AF_INET6 : AF_INET, address, bytes) == 1);
    add(message, owner, v6 ? DNS_TYPE_AAAA : DNS_TYPE_A, ttl_s);
    put_u16(message, v6 ? 16 : 4);
    put(message, bytes, v6 ? 16 : 4);
}

void dns_message_alias(struct dns_message *message, const char *owner, uint32_t ttl_s, const char *name)
{
    add(message, owner, DNS_TYPE_CNAME, ttl_s);
    put_sized_name(message, name);
}

void dns_message_service(struct dns_message *message, const char *owner, uint32_t ttl_s, const char *data)
{
    unsigned priority, weight, port;
    char host[DNS_NAME_SIZE];
    CHECK(sscanf(data, "%u %u %u %255s", &priority, &weight, &port, host) == 4);
    add(message, owner, DNS_TYPE_SRV, ttl_s);
    size_t at = message->size;
    put_u16(message, 0);
    put_u16(message, priority);
    put_u16(message, weight);
    put_u16(message, port);
    put_name(message, strcmp(host, ".") == 0 ? "" : host);
    message->bytes[at + 1] = (uint8_t)(message->size - at - 2);
}

void dns_message_record(struct dns_message *message, const char *owner, uint16_t type, struct slice data)
{
    add(message, owner, type, 60);
    put_u16(message, (unsigned)data.size);
    put(message, data.data, data.size);
}

struct slice dns_message_slice(const struct dns_message *message)
{
    return (struct slice){ (const char *)message->bytes, message->size };
}

bool dns_message_question(struct slice message, char name[DNS_NAME_SIZE], uint16_t *type)
{
    const uint8_t *bytes = (const uint8_t *)message.data;
    size_t at = 12, size = 0;
    while (at < message.size && bytes[at] > 0 && size + bytes[at] + 2 < DNS_NAME_SIZE) {
        if (size > 0)
            name[size++] = '.';
        memcpy(name + size, bytes + at + 1, bytes[at]);
        size += bytes[at];
        at += 1 + (size_t)bytes[at];
    }
    name[size] = '\0';
    if (at + 3 > message.size)
        return false;
    *type = (uint16_t)(bytes[at + 1] << 8 | bytes[at + 2]);
    return true;
}
