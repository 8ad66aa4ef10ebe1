"""llama-swap as a reader, written anew from its rules: environment, macros, words, sets.

Not the emitter's way backwards: this follows internal/config/{load,macros,commands}.go,
golib's shlex and internal/matrix/dsl.go.
"""

import re
from itertools import product

import yaml


def load(text, environment):
    """The configuration as llama-swap has it, or ValueError as it would fail."""

    def value(match):
        if match[1] not in environment:
            raise ValueError(f"environment variable '{match[1]}' is not set")
        raw = environment[match[1]]
        return raw.replace("\\", "\\\\").replace('"', '\\"')

    name = r"\$\{env\.([a-zA-Z_][a-zA-Z0-9_]*)\}"
    scanned = re.findall(name, yaml.safe_dump(yaml.safe_load(text), width=10**9))
    for variable in dict.fromkeys(scanned):
        text = re.sub(name.replace("([a-zA-Z_][a-zA-Z0-9_]*)", f"({variable})"), value, text)
    config = yaml.safe_load(text)
    for model in config["models"].values():
        model["cmd"] = "\n".join(uncommented(model["cmd"]))
    refuse_macros(config)
    return config


def refuse_macros(tree):
    if isinstance(tree, str):
        if re.search(r"\$\{([a-zA-Z0-9_-]+)\}|\$\{env\.([a-zA-Z_][a-zA-Z0-9_]*)\}", tree):
            raise ValueError(f"unknown macro in {tree!r}")
    elif isinstance(tree, dict):
        for inner in tree.values():
            refuse_macros(inner)
    elif isinstance(tree, list):
        for inner in tree:
            refuse_macros(inner)


def uncommented(text):
    return [line for line in text.split("\n") if not line.strip().startswith("#")]


def argv(cmd):
    r"""Comments away, `\` at a line's end a space, then golib's shlex.Posix."""
    lines = []
    for line in uncommented(cmd):
        stripped = line.strip()
        lines.append(stripped.removesuffix("\\") + " " if stripped.endswith("\\") else line)
    return split("\n".join(lines))


def split(line):
    """A word at a time; `quote` is the open quote, `word` is None between words."""
    words, word, quote = [], None, None
    rest = list(line)
    while rest:
        character = rest.pop(0)
        following = rest[0] if rest else None
        if character == "\\" and quote != "'":
            if following in (None, "\n"):
                if rest:
                    rest.pop(0)
                continue
            if quote is None or following in '$`"\\':
                word = (word or "") + rest.pop(0)
                continue
        if quote is not None:
            if character == quote:
                quote = None
            else:
                word += character
        elif character in "'\"":
            word, quote = word or "", character
        elif character in " \t\n":
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + character
    return words if word is None else [*words, word]


def expand(matrix):
    """Every set of models that the matrix names, as real model names, by set."""
    asts = {name: _parse(text) for name, text in matrix["sets"].items()}
    models = matrix.get("vars", {})

    def sets(node):
        match node:
            case ("name", name):
                return {frozenset([models.get(name, name)])}
            case ("ref", name):
                return sets(asts[name])
            case ("or", *parts):
                return set().union(*map(sets, parts))
            case ("and", *parts):
                return {frozenset().union(*choice) for choice in product(*map(sets, parts))}

    return {name: sets(node) for name, node in asts.items()}


def _parse(text):
    tokens = re.findall(r"[&|()]|\+[\w.-]+|[\w.-]+|\S", text)

    def alternatives():
        parts = [together()]
        while tokens and tokens[0] == "|":
            tokens.pop(0)
            parts.append(together())
        return parts[0] if len(parts) == 1 else ("or", *parts)

    def together():
        parts = [atom()]
        while tokens and tokens[0] == "&":
            tokens.pop(0)
            parts.append(atom())
        return parts[0] if len(parts) == 1 else ("and", *parts)

    def atom():
        token = tokens.pop(0)
        if token == "(":
            inner = alternatives()
            assert tokens.pop(0) == ")"
            return inner
        assert re.fullmatch(r"\+?[\w.-]+", token), token
        return ("ref", token[1:]) if token.startswith("+") else ("name", token)

    tree = alternatives()
    assert not tokens
    return tree
