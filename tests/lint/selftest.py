# SPDX-License-Identifier: Apache-2.0
"""Tests of the lint itself: small C texts and what the measuring must say of them."""
import rules_c
import rules_tree
from functions import functions
from source import tokens


class Text:
    """Stands for a File."""

    def __init__(self, path, text):
        self.path, self.text, self.data = path, text, text.encode()
        self.lines, self.tokens = text.split("\n"), tokens(text)
        self.is_c = path.endswith((".c", ".h"))


def measured(body):
    found = functions(tokens("static int f(int a)\n{\n%s\n}\n" % body))
    return found[0].depth if len(found) == 1 else None


NESTING = [
    ("a = 1;", 0),
    ("{ { a = 1; } }", 0),
    ("if (a) b();", 1),
    ("if (a) { b(); } else if (c) { d(); } else { e(); }", 1),
    ("if (a) b(); else for (;;) c();", 2),
    ("for (;;) while (a) if (b) c();", 3),
    ("for (;;) { while (a) { if (b) { if (c) d(); } } }", 4),
    ("do { if (a) break; } while (b);", 2),
    ("switch (a) { case 1: case X ? 2 : 3: if (b) c(); break; default: d(); }", 2),
    ("struct s x = { .a = { 1, 2 }, .f = { g } }; if (x.a) h();", 1),
    ("list_each(node, list) { if (node) g(); }", 2),
    ("list_each(node, list)\n  if (node) g();", 2),
    ("TRY(g()); return h(a) ? 1 : 2;", 0),
    ("again: if (a) goto again;", 1),
    ("x = ({ int y = 1; y; }); if (x) g();", 1),
    ("#if A\nif (a) {\n#else\nif (b) {\n#endif\ng(); }", 1),
    ('s = "}{"; c = \'{\'; /* { */ // {\nif (a) g();', 1),
    ("return (struct s){ 1, 2 }.a;", 0),
]

PARAMETERS = [
    ("int f(void)\n{\n}\n", 0),
    ("int f()\n{\n}\n", 0),
    ("int f(int a, void (*g)(int, int), int b[2])\n{\n}\n", 3),
    ("__attribute__((noreturn)) static void f(int a, int b) {\n}\n", 2),
    ("struct s *f(int a)\n{\n}\n", 1),
]

FINDINGS = [
    (rules_c.include_direction, "core/io/a.c", '#include "net/http/a.h"\n', 1),
    (rules_c.include_direction, "core/io/a.c", '#include "core/crypto/a.h"\n', 1),
    (rules_c.include_direction, "config/a.c", '#include "tls/a.h"\n', 1),
    (rules_c.include_direction, "net/proxy/a.c", '#include "tls/a.h"\n#include "core/base/b.h"\n', 0),
    (rules_c.include_direction, "core/app/a.c", '#include "plugins/a.h"\n', 0),
    (rules_c.include_direction, "plugins/a.c", '#include "core/app/a.h"\n', 1),
    (rules_c.include_direction, "tests/unit/a.c", '#include "core/app/a.h"\n', 0),
    (rules_c.include_from_root, "core/io/a.c", '#include "ring.h"\n#include <stdio.h>\n', 1),
    (rules_c.banned_functions, "net/a.c", "void f(void)\n{\n  strcpy(a, b);\n  x->signal(1); /* gets( */\n}\n", 1),
    (rules_c.banned_functions, "tests/unit/a.c", "void f(void)\n{\n  usleep(1);\n}\n", 1),
    (rules_c.no_typedef, "net/a.h", "typedef struct { int a; } x;\ntypedef void f(int);\n", 1),
    (rules_c.function_length, "net/a.c", "int f(void)\n{\n%s}\n" % ("a();\n" * 68), 1),
    (rules_c.function_length, "net/a.c", "int f(void)\n{\n%s}\n" % ("a();\n" * 67), 0),
    (rules_c.file_length, "net/a.h", "\n" * 151, 1),
    (rules_c.line_length, "net/a.c", "/* %s */\n" % ("x" * 105), 1),
    (rules_tree.spdx, "net/a.c", "int a;\n", 1),
    (rules_tree.at_root, "notes.txt", "", 1),
    (rules_tree.forbidden_words, "net/a.c", "/* %s: later */\n" % rules_tree.FORBIDDEN[0], 1),
    (rules_tree.whitespace, "net/a.c", "int a; \n\tint b;\n", 2),
]


def cases():
    for body, depth in NESTING:
        yield "nesting of " + body, measured(body), depth
    for text, count in PARAMETERS:
        found = functions(tokens(text))
        yield "parameters of " + text, [function.parameter_count for function in found], [count]
    for rule, path, text, count in FINDINGS:
        found = list(rule([Text(path, text)]))
        yield "%s in %s" % (rule.__name__, path), len(found), count


def run():
    """[True or False per case]; prints what is wrong."""
    results = []
    for name, got, expected in cases():
        results.append(got == expected)
        if got != expected:
            print("tests/lint/selftest.py:1: %s: got %s, expected %s" % (name, got, expected))
    return results
