# SPDX-License-Identifier: Apache-2.0
"""Finds the function definitions of a C file and measures them.

Nesting: `if`, `else`, `for`, `while`, `do`, `switch` and loop macros (a name with parentheses before a block or
a statement) put what they control one level deeper, with or without braces; `else if` is the level of its `if`,
a bare block and a `case` add none. A function's own statements are on level 0.
"""

OPEN, CLOSE = "([{", ")]}"
CONTROL = ("if", "for", "while", "switch")
NOT_A_MACRO = {"sizeof", "typeof", "__typeof__", "_Alignas", "_Static_assert", "static_assert", "__attribute__",
               "_Generic", "return", "int", "char", "void", "long", "short", "unsigned", "signed", "float",
               "double", "bool", "_Bool", "struct", "union", "enum"}


def is_name(word):
    return word[0].isalpha() or word[0] == "_"


def closing(tokens, start):
    """Index of the bracket that closes the one at `start`; the last token if none does."""
    depth = 0
    for index in range(start, len(tokens)):
        word = tokens[index][0]
        if word in OPEN:
            depth += 1
        elif word in CLOSE:
            depth -= 1
            if depth == 0:
                return index
    return len(tokens) - 1


def opening(tokens, end):
    """Index of the bracket that opens the one at `end`."""
    depth = 0
    for index in range(end, -1, -1):
        word = tokens[index][0]
        if word in CLOSE:
            depth += 1
        elif word in OPEN:
            depth -= 1
            if depth == 0:
                return index
    return 0


class Function:
    def __init__(self, tokens, name, brace):
        """`name` is the index of the function's name, `brace` that of the body's opening brace."""
        self.name, self.line = tokens[name]
        self.end = closing(tokens, brace)
        self.line_count = tokens[self.end][1] - self.line + 1
        self.parameter_count = count_parameters(tokens[name + 2:closing(tokens, name + 1)])
        nesting = Nesting(tokens, brace, self.end)
        self.depth, self.depth_line = nesting.deepest, nesting.line

    @property
    def is_macro(self):
        """Test(suite, name) { ... }: what a test macro defines has no parameters of its own."""
        return self.name[0].isupper()


def count_parameters(inside):
    words = [word for word, _ in inside]
    if not words or words == ["void"]:
        return 0
    depth, count = 0, 1
    for word in words:
        depth += (word in OPEN) - (word in CLOSE)
        count += depth == 0 and word == ","
    return count


def functions(tokens):
    found, index = [], 0
    while index < len(tokens):
        if tokens[index][0] != "{":
            index += 1
            continue
        name = name_before(tokens, index)
        if name is not None:
            found.append(Function(tokens, name, index))
        index = closing(tokens, index) + 1
    return found


def name_before(tokens, brace):
    """Index of the name if the brace opens a function's body: `name ( ... ) [attributes] {`."""
    index = brace - 1
    while index > 0 and tokens[index][0] == ")":
        start = opening(tokens, index)
        name = start - 1
        if name < 0 or not is_name(tokens[name][0]):
            return None
        if tokens[name][0] != "__attribute__":
            return name
        index = name - 1
    return None


class Nesting:
    """Walks the statements of one body. `deepest` is the deepest level found, `line` where it begins."""

    def __init__(self, tokens, brace, end):
        self.tokens, self.end = tokens, end
        self.deepest, self.line = 0, tokens[brace][1]
        self.block(brace, 0)

    def word(self, index):
        return self.tokens[index][0] if index < self.end else "}"

    def block(self, index, level):
        """Statements from the brace at `index`; returns the index behind the closing brace."""
        last = closing(self.tokens, index)
        index += 1
        while index < last:
            index = self.statement(index, level)
        return last + 1

    def nested(self, index, level):
        if level + 1 > self.deepest:
            self.deepest, self.line = level + 1, self.tokens[min(index, self.end)][1]
        return self.statement(index, level + 1)

    def statement(self, index, level):
        """One statement; returns the index behind it."""
        word = self.word(index)
        if word == "{":
            return self.block(index, level)
        if word in CONTROL:
            return self.controlled(index, word, level)
        if word == "do":
            index = self.nested(index + 1, level)
            return self.simple(index)
        if word in ("case", "default"):
            return self.behind_colon(index)
        if is_name(word) and self.word(index + 1) == ":":
            return index + 2
        if is_name(word) and word not in NOT_A_MACRO and self.word(index + 1) == "(":
            body = closing(self.tokens, index + 1) + 1
            if self.word(body) == "{" or is_name(self.word(body)):
                return self.nested(body, level)
        return self.simple(index)

    def controlled(self, index, word, level):
        index = self.nested(closing(self.tokens, index + 1) + 1, level)
        if word != "if" or self.word(index) != "else":
            return index
        if self.word(index + 1) == "if":
            return self.statement(index + 1, level)
        return self.nested(index + 1, level)

    def simple(self, index):
        """Up to the semicolon, over all brackets (initializers, statement expressions)."""
        while index < self.end and self.word(index) != ";":
            index = closing(self.tokens, index) + 1 if self.word(index) in OPEN else index + 1
        return index + 1

    def behind_colon(self, index):
        choices = 0
        while index < self.end:
            word = self.word(index)
            if word == ":" and choices == 0:
                return index + 1
            choices += (word == "?") - (word == ":")
            index = closing(self.tokens, index) + 1 if word in OPEN else index + 1
        return index
