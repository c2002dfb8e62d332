/* SPDX-License-Identifier: Apache-2.0 */
/* A change of the binary without losing a connection (SIGUSR2): the running process starts the program anew
 * with its listening sockets, serves on until the new one says that it does, and then drains. If the new one
 * does not come up, nothing has changed. Control thread. */
#pragma once

#include "net/transport/address.h"

#include <sys/types.h>

enum handover_state { HANDOVER_NONE, HANDOVER_WAITING, HANDOVER_DONE, HANDOVER_FAILED };

struct handover {
    pid_t child; /* 0: none */
    int ready_fd; /* the child writes a byte into its other end */
    uint64_t until_ms; /* by then the child must be ready, or it is killed */
};

/* At the beginning of main: remembers what to start anew, and takes what an older process has handed over out
 * of the environment. */
void handover_start(char *const *argv);

/* By the old process. The descriptors stay its own too. False, with a line in the journal: not begun. */
bool handover_begin(struct handover *handover, const int *fds, uint32_t count);

/* What has become of it; DONE and FAILED are told once. now_ms: of the clock of until_ms, which the caller
 * sets. */
enum handover_state handover_poll(struct handover *handover, uint64_t now_ms);

/* By the new process: an inherited socket that listens on the address (any port if it asks for 0), or -1. */
int handover_take(const struct address *address);

/* Serving has begun: the old process may drain. Sockets that were not taken are closed. */
void handover_finish(void);
