r"""systemd's unit files: systemd.syntax(7), systemd.service(5) "COMMAND LINES", systemd.unit(5)
"SPECIFIERS"; version 252.

Rules met here:
* A value is trimmed and split at white space; inside double quotes C escapes are undone.
* `%` begins a specifier everywhere; `$` begins a variable in `ExecStart=` only.
* A backslash at the end of a line continues it: every control character is written as an escape, so
  that a directive stays one line, which NixOS' switch-to-configuration needs as well.
* Text is UTF-8. Of what Unicode calls noncharacters (U+FFFE and its like) an argument is carried by
  bytes, and a variable of the environment is dropped in silence, so those are refused.
"""

import re
from collections.abc import Iterable, Mapping

from llmdecl.plan.model import Root, Word

_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def refused(text: str) -> str | None:
    """What `text` holds that no quoting carries as an argument; `None`: nothing."""
    if "\0" in text:
        return "a NUL"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "half of a surrogate pair"
    return None


def refused_setting(text: str) -> str | None:
    """The same for a variable of the environment."""
    if problem := refused(text):
        return problem
    if any(_is_noncharacter(ord(character)) for character in text):
        return "a noncharacter of Unicode"
    return None


def quote_exec(text: str) -> str:
    """`text` as one token of `ExecStart=`, by systemd.service(5); `$` and `%` are doubled.

    Raises ValueError for what is refused.
    """
    if problem := refused(text):
        raise ValueError(f"systemd can't carry {problem}")
    return _quoted(text).replace("$", "$$")


def quote_setting(text: str) -> str:
    """`text` as one token of `Environment=`, by systemd.syntax(7); `$` has no meaning here.

    Raises ValueError for what is refused.
    """
    if problem := refused_setting(text):
        raise ValueError(f"systemd can't carry {problem}")
    return _quoted(text)


def escape_path(path: str) -> str:
    """`path` inside a word that is not quoted: C escapes for what would end it, `%` doubled."""
    return "".join(
        character
        if character.isalnum() or character in "/._-+@"
        else "%%"
        if character == "%"
        else "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
        for character in path
    )


def path_setting(path: str) -> str:
    """`path` as one word of `ReadWritePaths=` and other lists of paths, by systemd.exec(5): quotes
    count, a backslash takes the next character as it is, and `%` is doubled."""
    if re.fullmatch(r"[\w/.+@-]+", path):
        return path
    return '"' + re.sub(r'["\\]', r"\\\g<0>", path).replace("%", "%%") + '"'


def whole_value(text: str) -> str:
    """`text` as the rest of a line that undoes no quoting, as the path of `LoadCredential=`, by
    systemd.exec(5); `%` is doubled.

    Raises ValueError for what ends the line or is trimmed from it.
    """
    if not is_whole_value(text):
        raise ValueError(f"no line of a unit carries {text!r}")
    return text.replace("%", "%%")


def environment_file(path: str) -> str:
    """The same for `EnvironmentFile=`, which takes a pattern, by glob(7).

    Raises ValueError for what ends the line or is trimmed from it.
    """
    return re.sub(r"[*?[\\]", r"\\\g<0>", whole_value(path))


def is_whole_value(text: str) -> bool:
    """Whether a line carries it as it is."""
    return (
        refused(text) is None
        and text == text.strip()
        and not text.endswith("\\")
        and not any(character < " " or character == "\x7f" for character in text)
    )


def _quoted(text: str) -> str:
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character == "%":
        return "%%"
    if character < " " or character == "\x7f" or _is_noncharacter(ord(character)):
        return "".join(f"\\x{byte:02x}" for byte in character.encode())
    return character


def _is_noncharacter(point: int) -> bool:
    """What systemd's `unichar_is_valid` (src/basic/utf8.c) refuses beside surrogates."""
    return 0xFDD0 <= point <= 0xFDEF or point & 0xFFFE == 0xFFFE


def exec_line(words: Iterable[Word], roots: Mapping[Root, str]) -> str:
    """The value of `ExecStart=`; `roots` are folders in systemd's words (`%S/llmdecl`)."""
    return " ".join(
        f'"{roots[word.root]}{quote_exec(word.text)[1:]}' if word.root else quote_exec(word.text)
        for word in words
    )


def section(name: str, directives: Iterable[tuple[str, str]]) -> str:
    """`[name]` and its directives, one a line, in the order given."""
    return "\n".join((f"[{name}]", *(f"{key}={value}" for key, value in directives))) + "\n"
