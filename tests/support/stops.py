# SPDX-License-Identifier: Apache-2.0
"""Takes the cores away at random, as a busy host does to a virtual machine: tests that pass by luck fail then."""
import contextlib
import multiprocessing
import os
import random
import time

LONGEST_SECONDS = 0.2
PRIORITY = 50   # of SCHED_FIFO: before everything that is not the kernel's own


def stop_at_random(core, share):
    """Nine of ten stops are short, up to 20 ms."""
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    parent = os.getppid()
    while os.getppid() == parent:
        drawn = random.random()
        seconds = drawn * 0.02 if drawn < 0.9 else drawn ** 4 * LONGEST_SECONDS
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        time.sleep(seconds * (1 - share) / share)


@contextlib.contextmanager
def stops(share):
    """`share` of each core's time is gone meanwhile, 0 to below 1. Needs root."""
    processes = [multiprocessing.Process(target=stop_at_random, args=(core, share), daemon=True)
                 for core in os.sched_getaffinity(0)] if share else []
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
