# SPDX-License-Identifier: Apache-2.0
"""Runs the end-to-end tests: every function test_* of tests/e2e/test_*.py against the real binary.

run.py [--binary PATH] [--only TEXT]... [-v] [--jobs N] [--stops PERCENT]

A test function takes one argument, the recorder of its cases (tests/support/runner.py), and may set
`test_x.seconds`, its time limit (default 30). TEST_SLOW_FACTOR in the environment stretches all limits. A file's
`prepare()` is called before all tests and without a limit: to compile a peer, for one.
Failures print as `FAIL name: reason`; the last line is `N passed, N failed[, N skipped]`.
"""
import argparse
import glob
import importlib
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True

from tests.support import gateway, net  # noqa: E402
from tests.support.runner import Job, Report, run_jobs  # noqa: E402
from tests.support.stops import stops  # noqa: E402

JOBS = 2 * (os.cpu_count() or 1)    # half of a test's time is waiting, for timeouts and for peers that start


def discover(texts):
    jobs, preparations = [], {}
    for path in sorted(glob.glob(os.path.join(ROOT, "tests/e2e/test_*.py"))):
        name = os.path.basename(path)[:-3]
        module = importlib.import_module("tests.e2e." + name)
        for key, function in vars(module).items():
            full = "%s.%s" % (name, key)
            wanted = not texts or any(t in full for t in texts)
            if key.startswith("test_") and wanted:
                jobs.append(Job(full, function, getattr(function, "seconds", 30) * net.SLOW_FACTOR))
                preparations[name] = getattr(module, "prepare", None)
    for prepare in filter(None, preparations.values()):
        prepare()
    return sorted(jobs, key=lambda job: -job.seconds)  # the long ones first


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(ROOT, "build/sluice"))
    parser.add_argument("--only", action="append", metavar="TEXT", help="tests whose name has this text")
    parser.add_argument("-v", dest="verbose", action="store_true", help="name every test, with its time")
    parser.add_argument("--jobs", type=int, default=JOBS, help="tests at a time (default: %(default)s)")
    parser.add_argument("--stops", type=int, default=0, metavar="PERCENT",
                        help="take so much of all cores away meanwhile, at random (as root)")
    options = parser.parse_args()
    if not 0 <= options.stops <= 90:
        parser.error("--stops: 0 to 90")
    gateway.set_binary(options.binary)
    if not os.access(gateway.BINARY, os.X_OK):
        parser.error(gateway.BINARY + " is not an executable file: build it, or name one with --binary")
    report = Report(options.verbose)
    with stops(options.stops / 100):
        run_jobs(discover(options.only), options.jobs, report.done)
    sys.exit(report.end())


if __name__ == "__main__":
    main()
