# SPDX-License-Identifier: Apache-2.0
"""Suites of tests that others wrote, against the gateway; they need more than Debian: npm, Go or Maven, and a
network to install them, once, below build/conformance.

run.py [--binary PATH] [--only TEST] [SUITE...]

Without a name every suite runs. The last line of each is its score; exit status 0 only if nothing failed but what the
suite's own file here names, with its reason.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True

from tests.conformance import cache, h2spec, otlp, zipkin  # noqa: E402
from tests.support import gateway  # noqa: E402

SUITES = {"cache": cache, "h2spec": h2spec, "otlp": otlp, "zipkin": zipkin}
PLACE = os.path.join(ROOT, "build", "conformance")


def install(suite):
    """The folder where the suite's package is; installed by the suite's commands when it is not there. In those {}
    stands for the package, and FILES are there before."""
    place = os.path.join(PLACE, re.sub("[/:]", "_", suite.PACKAGE))
    if os.path.exists(os.path.join(place, "done")):
        return place
    tool = suite.INSTALL[0][0]
    if not shutil.which(tool):
        raise SystemExit("%s is needed to install %s" % (tool, suite.PACKAGE))
    os.makedirs(place, exist_ok=True)
    for name, text in getattr(suite, "FILES", {}).items():
        with open(os.path.join(place, name), "w", encoding="utf-8") as f:
            f.write(text)
    environment = {**os.environ, "GOBIN": place}
    for command in suite.INSTALL:
        subprocess.run([word.replace("{}", suite.PACKAGE) for word in command], cwd=place, env=environment, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(place, "done"), "w", encoding="utf-8"):
        return place


def run_suite(name, only):
    """True if nothing unexpected happened. A suite yields (test, passed or None for skipped, why not)."""
    suite = SUITES[name]
    counts = {True: 0, False: 0, None: 0}
    good = True
    for test, passed, reason in suite.run(install(suite), only):
        counts[passed] += 1
        known = suite.KNOWN.get(test)
        if passed is False:
            print("%s %s: %s: %s" % ("known" if known else "FAIL", name, test, known or reason))
            good = good and known is not None
        elif passed and known and not only:
            print("FAIL %s: %s passes, but is known to fail" % (name, test))
            good = False
    print("%s: %d passed, %d failed, %d skipped" % (name, counts[True], counts[False], counts[None]), flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="*", help="of: " + ", ".join(SUITES))
    parser.add_argument("--binary", default=os.path.join(ROOT, "build/sluice"))
    parser.add_argument("--only", help="one test of the suite, by its name")
    options = parser.parse_args()
    unknown = [name for name in options.suite if name not in SUITES]
    if unknown:
        parser.error("no suite is called " + unknown[0])
    gateway.set_binary(options.binary)
    results = [run_suite(name, options.only) for name in options.suite or SUITES]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
