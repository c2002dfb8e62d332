/* SPDX-License-Identifier: Apache-2.0 */
/* The entities of a model as Kong's log entries show them: JSON objects without what is null. Any thread. */
#pragma once

#include "config/model.h"
#include "core/base/text.h"

/* What Kong calls its default workspace without a database. */
#define LOG_WORKSPACE "0dc6f45b-8f8d-40d2-a504-473544ee190b"

void log_route(struct text *text, const struct route *route);
void log_service(struct text *text, const struct service *service);
void log_consumer(struct text *text, const struct consumer *consumer);
