# SPDX-License-Identifier: Apache-2.0
"""Rules for C files. Each is a function from all files to findings (path, line, message[, name])."""
import os
import re

from functions import functions

FUNCTION_LINES, FILE_LINES, HEADER_LINES, PARAMETERS, LEVELS = 70, 600, 150, 5, 3
COLUMNS, SCRIPT_COLUMNS = 110, 120

# Which folders each folder may include from. tests and bench may include from all.
CORE = ["core/base", "core/crypto", "core/io"]
MAY_INCLUDE = {
    "core/base": ["core/base"],
    "core/crypto": ["core/base", "core/crypto"],
    "core/io": ["core/base", "core/io"],
    "config": CORE + ["config"],
    "tls": CORE + ["tls"],
    "net": CORE + ["config", "tls", "net"],
    "plugins": CORE + ["config", "tls", "net", "plugins"],
    "core/app": CORE + ["config", "tls", "net", "plugins", "core/app"],
    "bench": None,
    "tests": None,
}
NAMED_ELSEWHERE = {"core/app/main.c", "tests/fuzz/replay.c", "tests/support/plain_runner.c"}
OWN = ("core", "config", "tls", "net", "plugins", "bench", "tests")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]*)"|<([^>]*)>)', re.M)

BANNED = {
    "strcpy": "no bound: use a slice or memcpy with a checked size",
    "strcat": "no bound",
    "sprintf": "no bound: use snprintf",
    "vsprintf": "no bound: use vsnprintf",
    "strtok": "writes into its input and keeps state",
    "gets": "no bound",
    "rand": "guessable: use getrandom",
    "atoi": "hides errors: use a checked parser",
    "atol": "hides errors: use a checked parser",
    "alloca": "no bound on the stack",
    "system": "starts a shell",
    "popen": "starts a shell",
    "signal": "differs between systems: use sigaction",
}
SLEEPS = {name: "tests wait for events, not for time" for name in ("sleep", "usleep", "nanosleep")}


def c_files(files):
    return [f for f in files if f.is_c]


def folder_of(path):
    """The folder of MAY_INCLUDE that a path belongs to, or None."""
    parts = path.split("/")
    for folder in ("/".join(parts[:2]), parts[0]):
        if folder in MAY_INCLUDE:
            return folder
    return None


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def include_direction(files):
    """A folder includes only from those below it."""
    for f in c_files(files):
        folder = folder_of(f.path)
        if folder is None:
            yield f.path, 1, "not in one of the folders %s" % ", ".join(MAY_INCLUDE)
            continue
        allowed = MAY_INCLUDE[folder]
        for match in INCLUDE.finditer(f.text):
            target = folder_of(match.group(1) or "")
            if target and allowed is not None and target not in allowed:
                yield f.path, line_of(f.text, match.start()), "%s must not include from %s" % (folder, target)


def include_from_root(files):
    """The house's own files are included by their path from the root, in quotes."""
    paths = {f.path for f in files}
    for f in c_files(files):
        for match in INCLUDE.finditer(f.text):
            line, quoted, angled = line_of(f.text, match.start()), match.group(1), match.group(2)
            if quoted is not None and quoted not in paths:
                yield f.path, line, '"%s" is no path from the root (libraries go in <>)' % quoted
            elif angled is not None and angled.split("/")[0] in OWN and angled in paths:
                yield f.path, line, "<%s> is ours: include it in quotes" % angled
            elif quoted is not None and quoted.endswith(".c"):
                yield f.path, line, "a .c file is not included"


def function_length(files):
    for f in c_files(files):
        for function in functions(f.tokens):
            if function.line_count > FUNCTION_LINES:
                yield (f.path, function.line, "%s has %d lines, more than %d"
                       % (function.name, function.line_count, FUNCTION_LINES), function.name)


def file_length(files):
    for f in c_files(files):
        limit = HEADER_LINES if f.path.endswith(".h") else FILE_LINES
        count = f.text.count("\n")
        if count > limit:
            yield f.path, limit + 1, "%d lines, more than %d" % (count, limit)


def parameter_count(files):
    for f in c_files(files):
        for function in functions(f.tokens):
            if function.parameter_count > PARAMETERS and not function.is_macro:
                yield (f.path, function.line, "%s has %d parameters, more than %d"
                       % (function.name, function.parameter_count, PARAMETERS), function.name)


def nesting(files):
    for f in c_files(files):
        for function in functions(f.tokens):
            if function.depth > LEVELS:
                yield (f.path, function.depth_line, "%s nests %d levels deep, more than %d"
                       % (function.name, function.depth, LEVELS), function.name)


def line_length(files):
    for f in files:
        if not f.is_c and not f.path.endswith((".py", ".sh", "CMakeLists.txt")) and f.path != "dev":
            continue
        limit = COLUMNS if f.is_c else SCRIPT_COLUMNS
        for number, line in enumerate(f.lines, 1):
            if len(line) > limit:
                yield f.path, number, "%d columns, more than %d" % (len(line), limit)


def banned_functions(files):
    for f in c_files(files):
        banned = {**BANNED, **SLEEPS} if f.path.startswith("tests/") else BANNED
        words = f.tokens
        for index, (word, line) in enumerate(words[:-1]):
            before = words[index - 1][0] if index else ""
            if word in banned and words[index + 1][0] == "(" and before not in (".", "->"):
                yield f.path, line, "%s: %s" % (word, banned[word])


def no_typedef(files):
    """`struct x` is written out; only function types get a name of their own."""
    for f in c_files(files):
        words = [word for word, _ in f.tokens]
        for index, word in enumerate(words):
            if word != "typedef":
                continue
            end = words.index(";", index) if ";" in words[index:] else len(words)
            if "{" in words[index:end] or "(" not in words[index:end]:
                yield f.path, f.tokens[index][1], "no typedef: write struct, union or enum"


def header_guard(files):
    for f in files:
        if f.path.endswith(".h") and "#pragma once" not in f.lines[:20]:
            yield f.path, 1, "#pragma once is missing near the top"


def listed_sources(files):
    """Every .c file is in a sorted list of its folder's CMakeLists.txt, and the lists name only files."""
    texts = {f.path: f for f in files}
    for top in OWN:
        path = top + "/CMakeLists.txt"
        sources = [f.path for f in files if f.path.startswith(top + "/") and f.path.endswith(".c")]
        listed = []
        for name, entries in source_lists(texts[path].text if path in texts else ""):
            listed += entries
            if entries != sorted(entries):
                yield path, 1, "%s is not in alphabetical order" % name
        known = {os.path.normpath(os.path.join(top, entry)) for entry in listed}
        known |= NAMED_ELSEWHERE
        for source in sources:
            if source not in known:
                yield source, 1, "is in no source list of %s" % path


def source_lists(text):
    """[(name, [file])] of every set(X_SOURCES ...) and set(X_PROGRAMS ...)."""
    for match in re.finditer(r"set\((\w+_(?:SOURCES|PROGRAMS))([^)]*)\)", text):
        yield match.group(1), [word for word in match.group(2).split() if word.endswith(".c")]


def included_closure(path, texts, seen):
    """All files of the house that `path` includes, itself too."""
    if path in texts and path not in seen:
        seen.add(path)
        for match in INCLUDE.finditer(texts[path]):
            included_closure(match.group(1), texts, seen)
    return seen
