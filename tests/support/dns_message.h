/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages for tests, written record by record without compression. The test owns them. */
#pragma once

#include "net/dns/dns_answer.h"

struct dns_message {
    uint8_t bytes[4096];
    size_t size;
};

/* A response with one question and no records yet; rcode 0: no error, 3: no such name. */
void dns_message_begin(struct dns_message *message, uint16_t id, const char *name, uint16_t type,
                       unsigned rcode);
void dns_message_address(struct dns_message *message, const char *owner, uint32_t ttl_s, const char *address);
void dns_message_alias(struct dns_message *message, const char *owner, uint32_t ttl_s, const char *name);
/* "PRIORITY WEIGHT PORT HOST" */
void dns_message_service(struct dns_message *message, const char *owner, uint32_t ttl_s, const char *data);

/* Any record, its data as it is. */
void dns_message_record(struct dns_message *message, const char *owner, uint16_t type, struct slice data);

struct slice dns_message_slice(const struct dns_message *message);

/* The first question of a message: its name in dotted text, its type. */
bool dns_message_question(struct slice message, char name[DNS_NAME_SIZE], uint16_t *type);
