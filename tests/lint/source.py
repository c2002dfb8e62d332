# SPDX-License-Identifier: Apache-2.0
"""The files of the tree, and C text cut into tokens.

A token is (text, line). Comments, literals' contents and preprocessor lines are gone; of #if ... #else only the
first branch is kept, so that braces balance.
"""
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/|//(?:\\\n|[^\n])*)
  | (?P<string>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*")
  | (?P<char>[uUL]?'(?:\\.|[^'\\\n])*')
  | (?P<number>\.?[0-9](?:[eEpP][+-]|[0-9A-Za-z_.])*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<operator>->|\.\.\.|\+\+|--|[<>=!+\-*/%&|^]=|&&|\|\||<<|>>|[^\s\w])
""", re.X | re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|/\*.*?\*/|[^\n])*", re.M | re.S)
CONDITION = re.compile(r"#\s*(if|ifdef|ifndef|elif|else|endif)\b")


def blank(text):
    """As many lines as `text`, all empty: positions behind it stay right."""
    return "\n" * text.count("\n")


def without_comments(text):
    def keep(match):
        return " " + blank(match.group()) if match.lastgroup == "comment" else match.group()
    return TOKEN.sub(keep, text)


def without_directives(text):
    """`text` (without comments) minus preprocessor lines and minus every #else branch."""
    out, position, dropping = [], 0, []
    for match in DIRECTIVE.finditer(text):
        part = text[position:match.start()]
        out.append(blank(part) if any(dropping) else part)
        out.append(blank(match.group()))
        position = match.end()
        word = CONDITION.match(match.group().lstrip())
        if not word:
            continue
        if word.group(1).startswith("if"):
            dropping.append(False)
        elif word.group(1) == "endif":
            del dropping[-1:]
        elif dropping:
            dropping[-1] = True
    out.append(text[position:])
    return "".join(out)


def tokens(text):
    """[(token, line)]; a literal is reduced to its quotes."""
    found, line, position = [], 1, 0
    for match in TOKEN.finditer(without_directives(without_comments(text))):
        line += match.string.count("\n", position, match.start())
        position = match.start()
        word = {"string": '""', "char": "''"}.get(match.lastgroup, match.group())
        found.append((word, line))
    return found


def tree():
    """Paths of all files that are or could be committed, relative to the root of the repository."""
    command = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = walk()
    return sorted(path for path in listed if path and os.path.isfile(os.path.join(ROOT, path)))


def walk():
    """The same for a tree that is not a git checkout."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        at_root = folder == ROOT
        folders[:] = [f for f in folders if f not in (".git", "__pycache__")
                      and not (at_root and f.startswith("build"))]
        found += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files if not f.endswith(".pyc")]
    return [path for path in found if not path.startswith("bench/results/")]


class File:
    """One file, read once, its C tokens made when asked for."""

    def __init__(self, path):
        self.path = path
        with open(os.path.join(ROOT, path), "rb") as f:
            self.data = f.read()
        self.text = self.data.decode("utf-8", errors="replace")
        self.lines = self.text.split("\n")
        self.cached_tokens = None

    @property
    def is_c(self):
        return self.path.endswith((".c", ".h"))

    @property
    def tokens(self):
        if self.cached_tokens is None:
            self.cached_tokens = tokens(self.text)
        return self.cached_tokens
