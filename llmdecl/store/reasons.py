"""From what to what a pin changed: one short phrase for each thing that differs. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from llmdecl.facts.gguf_values import printable
from llmdecl.facts.model import Flag, GgufFacts
from llmdecl.store.model import LockedEngine, LockedOrigin, LockedWeights
from llmdecl.store.pins import describe_engine
from llmdecl.units import format_bytes

NAMED = 4
"""Flags that are named before the rest is counted."""


def short(digest: str) -> str:
    """Enough of a digest to tell it from others."""
    return digest[:12]


def weights_bytes(weights: LockedWeights) -> int:
    """Size of all parts."""
    return sum(file.size_bytes for file in weights.files)


def revision(origin: LockedOrigin) -> str:
    """`main 1a2b3c4d5e6f`: what was asked for, and what it was; a commit is what it is."""
    named = None if origin.requested == origin.revision else origin.requested
    words = (named, short(origin.revision) if origin.revision else None)
    return " ".join(word for word in words if word) or "unknown"


def licence(weights: LockedWeights) -> str | None:
    """The publisher's word, else the header's."""
    if weights.origin is not None and weights.origin.license is not None:
        return weights.origin.license
    return _text(weights.gguf, "general.license")


def base_model(weights: LockedWeights) -> tuple[str, ...]:
    """The publisher's words, else the header's."""
    if weights.origin is not None and weights.origin.base_model:
        return weights.origin.base_model
    count = weights.gguf.parameters.get("general.base_model.count")
    names = (
        _text(weights.gguf, f"general.base_model.{number}.repo_url")
        or _text(weights.gguf, f"general.base_model.{number}.name")
        for number in range(count if isinstance(count, int) and 0 < count <= 16 else 0)
    )
    return tuple(name for name in names if name)


def weights_reasons(old: LockedWeights, new: LockedWeights) -> tuple[str, ...]:
    """What differs between two pins of one source."""
    found = [*_origin(old.origin, new.origin)]
    if old.package != new.package and old.package and new.package:
        found += _turned("package", old.package.version, new.package.version)
        found += _turned("wheel", short(old.package.file.sha256), short(new.package.file.sha256))
    found += _turned("parts", str(len(old.files)), str(len(new.files)))
    sizes = weights_bytes(old), weights_bytes(new)
    if sizes[0] != sizes[1]:
        words = format_bytes(sizes[0]), format_bytes(sizes[1])
        exact = words if words[0] != words[1] else (f"{sizes[0]:,} B", f"{sizes[1]:,} B")
        found += _turned("size", *exact)
    found += _turned("sha256", short(old.digest), short(new.digest))
    found += _named(old, new)
    found += _gguf(old.gguf, new.gguf)
    found += _turned("licence", licence(old), licence(new))
    found += _turned("base model", _list(base_model(old)), _list(base_model(new)))
    return tuple(found) or ("what is known of the file is read anew",)


def engine_reasons(old: LockedEngine, new: LockedEngine) -> tuple[str, ...]:
    """What differs between two pins of one engine."""
    found = [*_turned("", describe_engine(old), describe_engine(new))]
    found += _turned("version", old.version, new.version) if not found else []
    found += _turned("commit", old.commit, new.commit)
    if old.recipe is not None and new.recipe is not None:
        one, other = old.recipe, new.recipe
        found += _turned("archive", short(one.archive.sha256), short(other.archive.sha256))
        found += _turned("cpu", one.cpu, other.cpu)
        found += _options(one.options, other.options)
        found += _turned("toolchain", _list(one.toolchain), _list(other.toolchain))
    if old.nix is not None and new.nix is not None:
        found += _turned("output", old.nix.output, new.nix.output)
    found += _turned("sha256", short(old.digest), short(new.digest))
    if old.digest == new.digest:
        found += _turned("binary", old.binary_sha256, new.binary_sha256, shorten=True)
    found += _turned("backends", _list(old.backends), _list(new.backends))
    found += _flags(old.flags, new.flags)
    found += _turned("needs of the processor", _list(old.cpu_features), _list(new.cpu_features))
    return tuple(found) or ("what it says of itself is read anew",)


def _origin(old: LockedOrigin | None, new: LockedOrigin | None) -> Iterator[str]:
    if old is None or new is None:
        return
    yield from _turned("repository", old.repository, new.repository)
    before, after = revision(old), revision(new)
    if old.requested == new.requested and old.requested and before != after:
        yield f"revision {before} -> {revision(new.replace(requested=None))}"
    else:
        yield from _turned("revision", before, after)
    yield from _turned("etag", old.etag, new.etag)
    if old.gated != new.gated:
        yield "is gated now" if new.gated else "is no longer gated"


def _named(old: LockedWeights, new: LockedWeights) -> Iterator[str]:
    before = _list(file.path or file.name for file in old.files)
    after = _list(file.path or file.name for file in new.files)
    if len(old.files) == len(new.files) == 1:
        yield from _turned("file", before, after)
    elif before != after:
        yield "file names changed"


def _gguf(old: GgufFacts, new: GgufFacts) -> Iterator[str]:
    yield from _turned("architecture", old.architecture, new.architecture)
    before = old.file_type_declared or old.file_type
    yield from _turned("quantization", before, new.file_type_declared or new.file_type)
    yield from _turned("parameters", f"{old.n_params:,}", f"{new.n_params:,}")
    if old.vocabulary != new.vocabulary:
        yield "vocabulary changed"
    if old.chat_template_sha256 != new.chat_template_sha256:
        if old.chat_template_sha256 is None:
            yield "has a chat template now"
        elif new.chat_template_sha256 is None:
            yield "has no chat template any more"
        else:
            digests = short(old.chat_template_sha256), short(new.chat_template_sha256)
            yield f"chat template changed, {digests[0]} -> {digests[1]}"


def _options(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        yield from _turned(name, old.get(name), new.get(name))


def _flags(old: Iterable[Flag], new: Iterable[Flag]) -> Iterator[str]:
    before, after = _spellings(old), _spellings(new)
    for words, names in (("new flags", after - before), ("lost flags", before - after)):
        if names:
            shown = sorted(names, key=lambda name: (not name.startswith("--"), name))
            more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
            yield f"{words} {' '.join(shown[:NAMED])}{more}"


def _spellings(flags: Iterable[Flag]) -> set[str]:
    return {
        name for flag in flags if flag.removed is None for name in (*flag.names, *flag.negatives)
    }


def _turned(
    what: str, old: str | None, new: str | None, *, shorten: bool = False
) -> tuple[str, ...]:
    if old == new:
        return ()
    words = [short(each) if each and shorten else each or "none" for each in (old, new)]
    return (f"{what} {words[0]} -> {words[1]}".strip(),)


def _list(words: Iterable[str] | None) -> str | None:
    return None if words is None else " ".join(words)


def _text(gguf: GgufFacts, key: str) -> str | None:
    value = gguf.parameters.get(key)
    return printable(value) if isinstance(value, str) else None
