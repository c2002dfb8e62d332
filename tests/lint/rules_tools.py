# SPDX-License-Identifier: Apache-2.0
"""Rules that ask another program: the compiler, clang-format, the shell. Findings as in rules_c.py."""
import concurrent.futures
import hashlib
import os
import re
import shutil
import subprocess

from rules_c import included_closure
from rules_tree import is_shell
from source import ROOT

CLANG_FORMAT = "clang-format-19"    # Debian 12 and 13 both have it; other versions format differently
LLHTTP = "build/deps/llhttp/usr/share/include/llhttp"
COMPILE = ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-DSLUICE_VERSION=\"0\"", "-I.", "-isystem", LLHTTP,
           "-isystem", "/usr/share/include/llhttp", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion",
           "-Wno-missing-field-initializers", "-Werror", "-fsyntax-only", "-x", "c", "-"]
CACHE = os.path.join(ROOT, "build", "lint-cache")


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return list(pool.map(function, items))


def located(output, fallback):
    """`path:line:...: error: message` lines as findings; other output belongs to line 1 of `fallback`."""
    found = []
    for line in output.splitlines():
        match = re.match(r"([^:\s]+):(\d+):(?:\d+:)? (?:fatal )?(?:error|warning): (.*)", line)
        if match:
            found.append((os.path.normpath(match.group(1)), int(match.group(2)), match.group(3)))
    return found or [(fallback, 1, output.strip()[:300])]


def headers_stand_alone(files):
    """Every header compiles as the only include of a file. What compiled once is not compiled again."""
    texts = {f.path: f.text for f in files if f.is_c}
    headers = [path for path in texts if path.endswith(".h")]

    def check(header):
        state = hashlib.sha256(" ".join(COMPILE).encode())
        for path in sorted(included_closure(header, texts, set())):
            state.update(path.encode() + b"\0" + texts[path].encode() + b"\0")
        mark = os.path.join(CACHE, state.hexdigest())
        if os.path.exists(mark):
            return []
        # A header may hold only static functions, or nothing that is used here.
        source = '#include "%s"\nextern int lint_unit;\n' % header
        done = subprocess.run(COMPILE, input=source, capture_output=True, text=True, cwd=ROOT)
        if done.returncode != 0:
            return located(done.stderr, header)
        os.makedirs(CACHE, exist_ok=True)
        open(mark, "w").close()
        return []

    for findings in in_parallel(check, headers):
        yield from findings


def formatted(files):
    """clang-format would change nothing; one finding per file, at the first place."""
    paths = [f.path for f in files if f.is_c]
    if paths and not shutil.which(CLANG_FORMAT):
        yield ".clang-format", 1, CLANG_FORMAT + " is not installed (./dev deps test)"
        return

    def check(path):
        done = subprocess.run([CLANG_FORMAT, "--dry-run", "-Werror", path], capture_output=True, text=True,
                              cwd=ROOT)
        if done.returncode == 0:
            return []
        places = located(done.stderr, path)
        return [(path, places[0][1], "not as ./dev fmt leaves it (%d places)" % len(places))]

    for findings in in_parallel(check, paths):
        yield from findings


def shell_parses(files):
    for f in files:
        if is_shell(f):
            shell = "bash" if "bash" in f.lines[0] else "sh"
            done = subprocess.run([shell, "-n", f.path], capture_output=True, text=True, cwd=ROOT)
            if done.returncode != 0:
                yield f.path, 1, done.stderr.strip()


def shellcheck(files):
    """Only where shellcheck is installed: it is no package that the tests ask for."""
    program = shutil.which("shellcheck")
    for f in files:
        if program and is_shell(f):
            done = subprocess.run([program, "-f", "gcc", f.path], capture_output=True, text=True, cwd=ROOT)
            for line in done.stdout.splitlines():
                match = re.match(r"[^:]+:(\d+):\d+: (.*)", line)
                if match:
                    yield f.path, int(match.group(1)), match.group(2)
