# SPDX-License-Identifier: Apache-2.0
"""Rules for the tree as a whole. Each is a function from all files to findings (path, line, message)."""
import re

MAX_BYTES = 400_000
AT_ROOT = {"core", "net", "tls", "plugins", "config", "bench", "tests", "CMakeLists.txt", "CMakePresets.json",
           "README.md", "LICENSE", "dev", ".ci", ".clang-format", ".clang-tidy", ".editorconfig", ".gitignore"}
CORPUS = "tests/fuzz/corpus/"       # recorded inputs may hold any bytes
BROKEN = "tests/e2e/broken/"         # configurations that are wrong on purpose
RECORDED = (CORPUS, "tests/kong/cases/")
FORBIDDEN = [a + b for a, b in (("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("HA", "CK"))]
SPDX = "SPDX-License-Identifier: Apache-2.0"


def at_root(files):
    """The root holds only what is fixed there."""
    for name in sorted({f.path.split("/")[0] for f in files} - AT_ROOT):
        yield name, 1, "is not one of the things that belong in the root"


def file_size(files):
    for f in files:
        if len(f.data) > MAX_BYTES:
            yield f.path, 1, "%d bytes, more than %d" % (len(f.data), MAX_BYTES)


def no_binary(files):
    for f in files:
        if f.path.startswith(CORPUS):
            continue
        if b"\0" in f.data or "\ufffd" in f.text and not f.path.startswith(BROKEN):
            yield f.path, 1, "is not UTF-8 text"


def whitespace(files):
    """No tabs, carriage returns, spaces at the end of a line; one newline at the end of the file."""
    for f in files:
        if f.path.startswith(RECORDED) or f.path == "LICENSE" or f.path.endswith((".json", ".svg", ".pem")):
            continue
        if f.data and not f.data.endswith(b"\n") or f.data.endswith(b"\n\n"):
            yield f.path, len(f.lines), "must end with exactly one newline"
        for number, line in enumerate(f.lines, 1):
            if line != line.rstrip(" \t\r") and not f.path.startswith(BROKEN):
                yield f.path, number, "space at the end of the line"
            elif "\t" in line and f.path.endswith((".c", ".h", ".py", "CMakeLists.txt")):
                yield f.path, number, "tab"


def spdx(files):
    for f in files:
        first = f.lines[0]
        if f.is_c:
            if first != "/* %s */" % SPDX:
                yield f.path, 1, "the first line must be /* %s */" % SPDX
        elif is_script(f) or f.path.endswith("CMakeLists.txt"):
            line = f.lines[1] if first.startswith("#!") and len(f.lines) > 1 else first
            if f.text and line != "# " + SPDX:
                yield f.path, 1, "the first line (behind #!) must be # %s" % SPDX


def forbidden_words(files):
    pattern = re.compile(r"\b(%s)\b" % "|".join(FORBIDDEN))
    for f in files:
        if f.path.startswith(RECORDED):
            continue
        for match in pattern.finditer(f.text):
            yield f.path, f.text.count("\n", 0, match.start()) + 1, "%s: finish it, or file it" % match.group()


def python_compiles(files):
    for f in files:
        if f.path.endswith(".py"):
            try:
                compile(f.data, f.path, "exec")
            except (SyntaxError, ValueError) as error:
                yield f.path, getattr(error, "lineno", 1) or 1, str(error)


def is_shell(f):
    return f.path.endswith(".sh") or bool(re.match(r"#!.*\b(ba)?sh\b", f.lines[0]))


def is_script(f):
    return f.path.endswith(".py") or is_shell(f)
