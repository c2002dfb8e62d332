# SPDX-License-Identifier: Apache-2.0
"""Checks the rules of the house over all files of the tree.

run.py [--only RULE]... [FILE...]

A finding prints as `file:line: rule: message`. With FILEs only their findings are shown. Each rule is one test;
so is each case of tests/lint/selftest.py. exceptions.txt lists what is excused, with a reason; an exception
that excuses nothing any more is a failure, so the list can only shrink. The last line is `N passed, N failed`.
"""
import argparse
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import rules_c  # noqa: E402
import rules_tools  # noqa: E402
import rules_tree  # noqa: E402
import selftest  # noqa: E402
from source import File, tree  # noqa: E402

RULES = [
    rules_c.include_direction, rules_c.include_from_root, rules_tools.headers_stand_alone, rules_c.header_guard,
    rules_c.function_length, rules_c.file_length, rules_c.parameter_count, rules_c.nesting, rules_c.line_length,
    rules_c.banned_functions, rules_c.no_typedef, rules_c.listed_sources, rules_tools.formatted,
    rules_tree.at_root, rules_tree.file_size, rules_tree.no_binary, rules_tree.whitespace, rules_tree.spdx,
    rules_tree.forbidden_words, rules_tree.python_compiles, rules_tools.shell_parses, rules_tools.shellcheck,
]


class Exceptions:
    """Lines `RULE PATH[:FUNCTION] REASON...` of exceptions.txt."""

    def __init__(self):
        self.reasons, self.used, self.wrong = {}, set(), []
        known = {rule.__name__ for rule in RULES}
        with open(os.path.join(HERE, "exceptions.txt"), encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                words = line.split(None, 2)
                if not words or words[0].startswith("#"):
                    continue
                if len(words) < 3 or words[0] not in known:
                    self.wrong.append((number, "must be RULE PATH[:FUNCTION] REASON, with a rule that exists"))
                else:
                    self.reasons[(words[0], words[1])] = number

    def excuse(self, rule, path, name):
        keys = [(rule, path), (rule, "%s:%s" % (path, name))]
        hits = [key for key in keys if key in self.reasons]
        self.used.update(hits)
        return bool(hits)

    def findings(self, rules_run):
        """Lines that are wrong, or that excuse nothing any more."""
        unused = [(number, "excuses nothing any more: remove it") for key, number in self.reasons.items()
                  if key not in self.used and key[0] in rules_run]
        return [("tests/lint/exceptions.txt", number, text) for number, text in self.wrong + unused]


def check(rule, files, exceptions, shown):
    """Prints the findings of one rule; True if there are none."""
    good = True
    for finding in rule(files):
        path, line, message = finding[:3]
        name = finding[3] if len(finding) > 3 else None
        if exceptions.excuse(rule.__name__, path, name) or (shown and path not in shown):
            continue
        good = False
        print("%s:%d: %s: %s" % (path, line, rule.__name__, message))
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="RULE",
                        choices=[rule.__name__ for rule in RULES])
    parser.add_argument("files", nargs="*", metavar="FILE")
    options = parser.parse_args()
    files = [File(path) for path in tree()]
    rules = [rule for rule in RULES if not options.only or rule.__name__ in options.only]
    exceptions = Exceptions()
    shown = {os.path.relpath(path) for path in options.files}
    results = [check(rule, files, exceptions, shown) for rule in rules]
    stale = exceptions.findings({rule.__name__ for rule in rules})
    for path, line, text in stale:
        print("%s:%d: exceptions: %s" % (path, line, text))
    results.append(not stale)
    results += selftest.run()
    print("%d passed, %d failed" % (sum(results), len(results) - sum(results)))
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
