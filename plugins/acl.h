/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of consumers, for other plugins than acl. Any thread. */
#pragma once

#include "config/consumer.h"

/* Is the consumer in one of these groups by its entities of kind `acls`? */
bool acl_is_member(const struct consumer *consumer, const struct slices *groups);
