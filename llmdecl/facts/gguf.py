"""GGUF files on this machine: a model's facts from its header, a split model's parts as one."""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts import rules
from llmdecl.facts.cache import Cache, Identity, identity
from llmdecl.facts.gguf_facts import gguf_facts, judge_model, judge_parts, judge_tensors
from llmdecl.facts.gguf_header import MAX_HEADER_BYTES, parse_header
from llmdecl.facts.gguf_values import GgufHeader, HeaderError, KeyValue, printable
from llmdecl.facts.gguf_window import Window
from llmdecl.facts.model import GgufFacts
from llmdecl.store.layout import split_names

CACHE_SCHEMA = 1
"""To be raised when `GgufFacts` or what it is measured from changes."""

Read = tuple[GgufFacts | None, tuple[Diagnostic, ...]]


def read_gguf(path: Path, *, address: str | None = None, cache: Path | None = None) -> Read:
    """The facts of the model that `path` is, or is a part of.

    `address` is what diagnostics point at (default: the path). With a `cache` folder a second
    look at unchanged files reads no header. Facts come even with errors (tensors cut short,
    parts missing) as long as the header of the first part reads.
    """
    address = address or str(path)
    names = split_names(path.name)
    paths = [path.with_name(name) for name in names]
    kept = Cache(cache, "gguf", CACHE_SCHEMA)
    key = _identities(paths)
    if key and (facts := kept.get(key, GgufFacts)):
        return facts, ()
    facts, found = _read(path, names, address)
    if key and facts is not None and not found and all(one.settled for one in key):
        kept.put(key, facts)
    return facts, found


def read_header(
    path: Path, *, address: str | None = None
) -> tuple[GgufHeader | None, tuple[Diagnostic, ...]]:
    """One file's raw header, and what is wrong with it or with where its tensors lie."""
    address = address or str(path)
    try:
        with _window(path) as window:
            return header_in(window, path.name, address)
    except OSError as error:
        reason = error.strerror or str(error)
        summary = f"`{path.name}` cannot be read: {reason[:1].lower()}{reason[1:]}"
        return None, (rules.GGUF_UNREADABLE.at(address, summary, notes=(str(path),)),)


def header_in(
    window: Window, name: str, address: str, alike: Mapping[str, KeyValue] | None = None
) -> tuple[GgufHeader | None, tuple[Diagnostic, ...]]:
    """The same for a file that is read through `window`; what reading raises passes through.

    `alike`: values of a file with the same vocabulary, which is then not read again.
    """
    try:
        header, odd_texts = parse_header(window, alike)
    except HeaderError as error:
        return None, (error.at(address, name),)
    found = judge_tensors(header, address, name)
    if odd_texts:
        summary = f"`{name}` has text that is not UTF-8 in {printable(odd_texts[0])}"
        notes = (f"{len(odd_texts) - 1} more places",) if len(odd_texts) > 1 else ()
        found = (*found, rules.GGUF_TEXT.at(address, summary, notes=notes))
    return header, found


def _read(path: Path, names: Sequence[str], address: str) -> Read:
    def header_of(name: str) -> tuple[GgufHeader | None, tuple[Diagnostic, ...]]:
        return read_header(path.with_name(name), address=address)

    def is_missing(name: str) -> bool:
        return not path.with_name(name).exists()

    return read_parts(path.name, names, header_of, is_missing, address)


def read_parts(
    name: str,
    names: Sequence[str],
    header_of: Callable[[str], tuple[GgufHeader | None, tuple[Diagnostic, ...]]],
    is_missing: Callable[[str], bool],
    address: str,
) -> Read:
    """The facts of the model that file `name` is; `names` are all parts that its name claims.

    What the header says decides: a file that is no part stands for itself.
    """
    header, found = header_of(name)
    if header is None:
        return None, found
    count = header.number("split.count") or 1
    if count <= 1:
        facts = gguf_facts([header])
        return facts, (*found, *judge_model([header], facts, address, name))
    if len(names) != count:
        summary = f"`{name}` is one of {count} parts, but is not named as one"
        note = f"the engine looks for `NAME-00001-of-{count:05}.gguf`"
        return None, (*found, rules.SPLIT_PART_MISMATCH.at(address, summary, notes=(note,)))
    missing = [each for each in names if is_missing(each)]
    problems: list[Diagnostic] = []
    headers: dict[str, GgufHeader] = {}
    for each in names:
        if each in missing:
            continue
        part, of_part = (header, found) if each == name else header_of(each)
        problems.extend(of_part)
        if part is not None:
            headers[each] = part
    if missing:
        summary = f"{len(missing)} of {len(names)} parts of `{names[0]}` are missing"
        shown = [f"`{each}` is not there" for each in missing[:5]]
        more = [f"and {len(missing) - 5} more"] if len(missing) > 5 else []
        problems.append(rules.SPLIT_PART_MISSING.at(address, summary, notes=(*shown, *more)))
    if names[0] not in headers:
        return None, tuple(problems)
    in_order = [headers[each] for each in names if each in headers]
    facts = gguf_facts(in_order)
    if len(headers) == len(names):
        problems.extend(judge_parts(headers, list(names), address))
        problems.extend(judge_model(in_order, facts, address, names[0]))
    return facts, tuple(problems)


def _identities(paths: list[Path]) -> tuple[Identity, ...]:
    """Of all parts; empty when one is not there."""
    try:
        return tuple(identity(path) for path in paths)
    except OSError:
        return ()


@contextmanager
def _window(path: Path) -> Iterator[Window]:
    # O_NONBLOCK: opening a FIFO must not wait for its other end
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            kind = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
            raise OSError(kind, "it is a folder" if kind == errno.EISDIR else "not a regular file")
        yield Window(
            lambda offset, count: os.pread(handle, count, offset), status.st_size, MAX_HEADER_BYTES
        )
    finally:
        os.close(handle)
