r"""supervisord's configuration language: an INI read by `configparser`, then `%` expanded, then,
for `command=`, split by `shlex`. Manual: http://supervisord.org/configuration.html, version 4.3.

Rules met here:
* `%` is doubled; `%(ENV_NAME)s` is replaced by supervisord's own environment.
* A `;` or `#` after white space starts a comment, even inside quotes.
* A newline in a value is a continuation line; each line loses white space at both ends.
* Inside double quotes `shlex` gives `"` and `\` back when a backslash stands before them.
* Carriage return and NUL can't be carried at all.
"""

from collections.abc import Iterable

from llmdecl.plan.model import Root, Word

ROOTS = {
    Root.STATE: "%(ENV_LLMDECL_STATE)s",
    Root.RUN: "%(ENV_LLMDECL_RUN)s",
    Root.STORE: "%(ENV_LLMDECL_STORE)s",
}
"""Folders, by the variables that `apply` gives to supervisord."""

REFUSED = {"\r": "a carriage return", "\0": "a NUL"}


def refused(text: str) -> str | None:
    """What `text` holds that no quoting carries; `None`: nothing."""
    for character, name in REFUSED.items():
        if character in text:
            return name
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "half of a surrogate pair"
    return None


def quote_command(text: str) -> str:
    """`text` as (a part of) one token of `command=`; raises ValueError for what is refused."""
    problem = refused(text)
    if problem is not None:
        raise ValueError(f"supervisord can't carry {problem}")
    quoted, previous = ['"'], ""
    for character in text:
        if character == "\n":
            quoted.append('""\n ""')
        elif character in ";#" and previous.isspace():
            quoted.append(f'""{character}')
        elif character in '"\\':
            quoted.append("\\" + character)
        else:
            quoted.append("%%" if character == "%" else character)
        previous = character
    quoted.append('"')
    return "".join(quoted)


def quote_word(word: Word) -> str:
    """A plan's word as one token: the folder's variable and the text in double quotes."""
    quoted = quote_command(word.text)
    return f'"{ROOTS[word.root]}{quoted[1:]}' if word.root is not None else quoted


def command(words: Iterable[Word | str]) -> str:
    """The value of `command=`: every word quoted; a text that is a string is taken as it is."""
    return " ".join(word if isinstance(word, str) else quote_word(word) for word in words)


def section(name: str, **options: str | int | bool) -> str:
    """`[name]` with its options in the order given; `True` is `true`."""
    lines = [f"[{name}]"]
    for key, value in options.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        lines.append(f"{key} = {text}")
    return "\n".join(lines) + "\n"
