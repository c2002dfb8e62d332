/* SPDX-License-Identifier: Apache-2.0 */
/* How loud an entry is for syslog and loggly: a severity by the class of the response's status, and the least
 * one that is sent. Any thread. */
#pragma once

#include "config/schema.h"

struct log_severities {
    int least, successful, client_errors, server_errors; /* as syslog counts: 0 emerg ... 7 debug */
};

extern const char *const log_severity_names[]; /* by number, ends with NULL */

#define LOG_SEVERITY_FIELDS(type, member)                                                 \
    { "log_level",                                                                        \
      FIELD_CHOICE,                                                                       \
      offsetof(struct type, member) + offsetof(struct log_severities, least),             \
      .fallback = "info",                                                                 \
      .choices = log_severity_names,                                                      \
      .help = "entries less severe are not sent" },                                       \
        { "successful_severity",                                                          \
          FIELD_CHOICE,                                                                   \
          offsetof(struct type, member) + offsetof(struct log_severities, successful),    \
          .fallback = "info",                                                             \
          .choices = log_severity_names,                                                  \
          .help = "of responses below 400" },                                             \
        { "client_errors_severity",                                                       \
          FIELD_CHOICE,                                                                   \
          offsetof(struct type, member) + offsetof(struct log_severities, client_errors), \
          .fallback = "info",                                                             \
          .choices = log_severity_names,                                                  \
          .help = "of 4xx" },                                                             \
        { "server_errors_severity",                                                       \
          FIELD_CHOICE,                                                                   \
          offsetof(struct type, member) + offsetof(struct log_severities, server_errors), \
          .fallback = "info",                                                             \
          .choices = log_severity_names,                                                  \
          .help = "of 5xx" }

/* The severity of that status; -1: it is not sent. */
int log_severity_of(const struct log_severities *severities, int status);
