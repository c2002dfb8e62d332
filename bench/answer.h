/* SPDX-License-Identifier: Apache-2.0 */
/* What the origins of the benchmarks answer. Pure functions. */
#pragma once

#include "bench/wire.h"

enum { ANSWER_HEAD_MAX = 256 };

/* Body size that a request asks for: N, 1 GiB at most, if its target ends in /bytes/N; otherwise 128. */
uint64_t answer_body_bytes(const struct wire_head *request);

/* Around 170 bytes, like the head of an ordinary application server; returns its size. */
size_t answer_head(char head[ANSWER_HEAD_MAX], uint64_t body_bytes, bool close);
