/* SPDX-License-Identifier: Apache-2.0 */
/* Names of types to the types. Inside net/protobuf, control thread. */
#pragma once

#include "net/protobuf/proto_parse.h"

/* NULL: reported. */
const struct proto_schema *proto_resolve(struct proto_declared *all, const struct config_place *place);
