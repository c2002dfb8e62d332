# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong, at once, for a while: origins that misbehave in every state, clients that vanish
in every state, reloads, names that move or are not answered for, and ends in the middle of all that.

run.py [--binary PATH] [--seconds N] [--seed N] [--clients N] [-v]

Nobody may get another one's answer, no POST may arrive twice, no body may arrive otherwise than it was sent; the
gateway must end well at each signal (a sanitizer build tells more), and when the load stops nothing may be left.
The seed repeats the choices, though not their timing. Exit status 0 when all of that held.
"""
import argparse
import os
import signal
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True

from tests.soak.clients import Crowd  # noqa: E402
from tests.soak.origins import Moody  # noqa: E402
from tests.soak.world import World  # noqa: E402
from tests.support import gateway, net  # noqa: E402

ENDS = [signal.SIGTERM, None, signal.SIGINT, signal.SIGQUIT]  # None: the load stops first, and all is counted
DIALECTS = ["emissary", "kong", "kong", "emissary", "emissary"]
ORIGINS, ROUND_SECONDS = 4, 15


def one_round(world, end, options):
    """One life of a gateway, ended by `end` under load, or without load."""
    settings = {"shards": "2", "status_listen": "%s:%d" % (net.own_host(), net.free_port()),
                "dns_resolver": world.dns.address, "dns_timeout": "1", "dns_error_ttl": "0.1",
                "dns_not_found_ttl": "0.1", "drain_timeout": "2s", "upstream_keepalive_idle_timeout": "1"}
    with gateway.Gateway(world.configuration(), settings) as running:
        crowd = Crowd(running.address, options.clients, world)
        until_s = time.monotonic() + min(ROUND_SECONDS, options.seconds)
        while time.monotonic() < until_s and running.alive():
            world.change()
            running.reload(world.configuration())
            time.sleep(world.random.uniform(0.02, 0.4))
        if "reload failed" in running.stderr():
            world.fault("a configuration of ours was refused: " + running.stderr()[-1000:])
        try:
            if end is None:
                crowd.stop()
                world.check_nothing_left(settings["status_listen"])
            running.stop(end or signal.SIGTERM)
        finally:
            crowd.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(ROOT, "build/sluice"))
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("-v", dest="verbose", action="store_true", help="count the answers of every round")
    options = parser.parse_args()
    gateway.set_binary(options.binary)
    if not os.access(gateway.BINARY, os.X_OK):
        parser.error(gateway.BINARY + " is not an executable file: build it, or name one with --binary")
    print("seed", options.seed, flush=True)
    end_s, rounds = time.monotonic() + options.seconds, 0
    with World(options.seed, lambda world: [Moody(world) for _ in range(ORIGINS)]) as world:
        while time.monotonic() < end_s:
            end = ENDS[rounds % len(ENDS)]
            world.dialect = DIALECTS[rounds % len(DIALECTS)]
            one_round(world, end, options)
            world.check()
            rounds += 1
            if options.verbose:
                print("round", rounds, world.dialect, end.name if end else "quiet", dict(world.take_counts()),
                      flush=True)
    print("%d rounds passed" % rounds)


if __name__ == "__main__":
    main()
