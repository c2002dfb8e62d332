# SPDX-License-Identifier: Apache-2.0
"""What suites do that are functions of ours, asked of a receiver that others wrote."""


def run(tests, receiver, only):
    """Calls each with the receiver, or only the one of that name; (name, whether it passed, the reason if not)."""
    for test in tests:
        name = test.__name__.replace("_", " ")
        if only and only != name:
            continue
        try:
            test(receiver)
            yield name, True, None
        except (AssertionError, KeyError, OSError) as error:
            yield name, False, "%s: %s" % (type(error).__name__, error)
