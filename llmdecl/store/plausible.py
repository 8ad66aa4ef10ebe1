"""What in a lock would lead out of the store, or is no lock's: nobody trusts its text. Pure.

Names in the store are made of digests, package versions and recipes; a build passes options on;
an engine's program is a path in its folder.
"""

import re
from collections.abc import Iterable, Iterator

from llmdecl.engines.llama_cpp.recipe import BuildRecipe, SourceArchive
from llmdecl.sources.reference import is_safe_member
from llmdecl.store.model import (
    Lock,
    LockedEngine,
    LockedFile,
    LockedNix,
    LockedOrigin,
    LockedPackage,
    LockedWeights,
)

_DIGEST = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_SRI = re.compile(r"sha256-[A-Za-z0-9+/]{43}=")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_:-]*")
_OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]*(/[A-Za-z0-9_][A-Za-z0-9._:-]*)*")
_NIX_PATH = re.compile(r"(/[A-Za-z0-9+._?=-]+)+/[0-9a-z]{32}-[A-Za-z0-9+._?=-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST = 2048
"""Characters of a text that a publisher chose."""


def implausible(lock: Lock) -> Iterator[str]:
    """Everything wrong, in words."""
    for source, weights in lock.weights.items():
        yield from (f"`{source}` {wrong}" for wrong in _weights(source, weights))
    for name, engine in lock.engines.items():
        yield from (f"engine `{name}` {wrong}" for wrong in _engine(engine))
    yield from (f"`{n}` has port {p}" for n, p in lock.ports.items() if not 1 <= p <= 65535)


def _weights(source: str, weights: LockedWeights) -> Iterator[str]:
    if weights.source != source:
        yield f"says of itself that it is `{weights.source}`"
    if not weights.files:
        yield "has no files"
    yield from _no_digests([weights.digest])
    for file in weights.files:
        yield from _file(file)
    if weights.package is not None:
        yield from _package(weights.package)
    if weights.origin is not None:
        yield from _origin(weights.origin)


def _file(file: LockedFile) -> Iterator[str]:
    yield from _no_digests([file.sha256])
    if not is_safe_member(file.name) or "/" in file.name:
        yield f"has {file.name!r} for a file name"
    if file.path is not None and not is_safe_member(file.path):
        yield f"has {file.path!r} for a path"
    if file.size_bytes < 0:
        yield f"has a file of {file.size_bytes} bytes"


def _package(package: LockedPackage) -> Iterator[str]:
    yield from _file(package.file)
    for text in (package.name, package.version):
        if not _PLAIN.fullmatch(text):
            yield f"has {text!r} for the name or version of a package"


def _origin(origin: LockedOrigin) -> Iterator[str]:
    texts = (origin.requested, origin.etag, origin.license, *origin.base_model)
    for text in texts:
        if text is not None and (_CONTROL.search(text) or len(text) > _LONGEST):
            yield f"has {text[:80]!r} of a publisher"
    if origin.kind != "https" and not (
        _REPOSITORY.fullmatch(origin.repository) and is_safe_member(origin.repository)
    ):
        yield f"has {origin.repository!r} for a repository"
    elif _CONTROL.search(origin.repository):
        yield f"has {origin.repository!r} for a place"
    if origin.revision is not None and not _COMMIT.fullmatch(origin.revision):
        yield f"has {origin.revision!r} for a revision"


def _engine(engine: LockedEngine) -> Iterator[str]:
    digests = [engine.digest, *([engine.binary_sha256] if engine.binary_sha256 else [])]
    yield from _no_digests(digests)
    parts = (("pypi", engine.package), ("source", engine.recipe), ("nix", engine.nix))
    for provider, part in parts:
        if (part is not None) != (engine.provider == provider):
            yield f"is of provider `{engine.provider}`, and " + (
                f"has what `{provider}` has" if part is not None else "lacks what it has"
            )
    stored = engine.package is not None or engine.recipe is not None
    if stored and not is_safe_member(engine.executable):
        yield "does not stay in its folder"
    if _CONTROL.search(engine.executable):
        yield f"has {engine.executable!r} for a program"
    if engine.package is not None:
        yield from _package(engine.package)
    if engine.recipe is not None:
        yield from _recipe(engine.recipe)
        if not any(_no_digests([engine.digest])) and engine.digest != engine.recipe.input_hash:
            yield "has a digest that is not its recipe's"
    if engine.nix is not None:
        yield from _nix(engine.nix)
        if not engine.executable.startswith(f"{engine.nix.output}/"):
            yield f"has {engine.executable!r} for a program, which is not in its output"


def _recipe(recipe: BuildRecipe) -> Iterator[str]:
    yield from _archive(recipe.archive)
    for text in (recipe.version, *recipe.backends):
        if not _PLAIN.fullmatch(text):
            yield f"has {text!r} for a version or backend"
    for text in recipe.architectures:
        if not _ARCHITECTURE.fullmatch(text):
            yield f"has {text!r} for an architecture"
    for name, value in (*recipe.options.items(), *recipe.asked.items()):
        if not _OPTION.fullmatch(name) or _CONTROL.search(value):
            yield f"has {name!r} for an option, or a value that is none"
    if any(_CONTROL.search(text) for text in recipe.toolchain):
        yield "has a tool with a control character"


def _archive(archive: SourceArchive) -> Iterator[str]:
    file = LockedFile(name=archive.file_name, sha256=archive.sha256, size_bytes=archive.size_bytes)
    yield from _file(file)
    if archive.root not in ("", ".") and not is_safe_member(archive.root):
        yield f"has {archive.root!r} for a folder in its archive"
    if not _SRI.fullmatch(archive.nar_hash):
        yield f"has {archive.nar_hash!r} for a hash of Nix"
    if archive.commit is not None and not _COMMIT.fullmatch(archive.commit):
        yield f"has {archive.commit!r} for a commit"
    if _CONTROL.search(archive.origin):
        yield f"has {archive.origin!r} for an origin"


def _nix(nix: LockedNix) -> Iterator[str]:
    paths = (nix.output, *([nix.derivation] if nix.derivation is not None else []))
    for path in paths:
        if not _NIX_PATH.fullmatch(path) or ".." in path.split("/"):
            yield f"has {path!r} for a path of Nix's store"
    for text in (nix.package, nix.reference):
        if _CONTROL.search(text) or text.startswith("-"):
            yield f"has {text!r} for a package of Nix"


def _no_digests(digests: Iterable[str]) -> Iterator[str]:
    for digest in digests:
        if not _DIGEST.fullmatch(digest):
            yield f"has {digest!r} for a SHA-256"
