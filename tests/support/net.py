# SPDX-License-Identifier: Apache-2.0
"""Addresses, ports and waiting, so that any number of tests can run at once.

Each test process owns one loopback address (made from its process id). A port that is free on that address
stays free: no other test listens there, and outgoing connections leave from 127.0.0.1.
"""
import os
import socket
import time

SLOW_FACTOR = int(os.environ.get("TEST_SLOW_FACTOR", "1"))  # for sanitizer builds and valgrind


def own_host():
    """The loopback address of this process: 127.64.0.0 to 127.127.255.255."""
    pid = os.getpid()
    return "127.%d.%d.%d" % (64 + (pid >> 16) % 64, pid >> 8 & 255, pid & 255)


given_ports = set()


def free_port(host=None):
    """One that nobody listens on, and that this process has not been given before."""
    while True:
        with socket.socket() as s:
            s.bind((host or own_host(), 0))
            port = s.getsockname()[1]
        if port not in given_ports:
            given_ports.add(port)
            return port


def wait_until(condition, seconds=5.0, what="the condition"):
    """Polls until `condition()` is true and returns its value; fails with `what` after `seconds`."""
    seconds *= SLOW_FACTOR
    deadline = time.monotonic() + seconds
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError("waited %.1f s in vain for %s" % (seconds, text))
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
