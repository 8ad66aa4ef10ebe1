"""Everything that a compile may look at, from this machine and the lock."""

from collections.abc import Iterator
from pathlib import Path

from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.facts import rules
from llmdecl.facts.digest import file_sha256
from llmdecl.facts.engine import list_devices, probe_engine
from llmdecl.facts.gguf import read_gguf
from llmdecl.facts.hardware import look
from llmdecl.facts.hub_others import known_others
from llmdecl.facts.locked import locked_engine_facts, locked_weights_facts
from llmdecl.facts.measured import read_measured
from llmdecl.facts.model import EngineFacts, Facts, Presence, WeightsFacts
from llmdecl.facts.siblings import others_beside
from llmdecl.paths import Folders
from llmdecl.sources.file import locate, named
from llmdecl.sources.reference import FileReference, parse_reference
from llmdecl.spec.schema import PathEngine, Spec
from llmdecl.store.layout import engine_executable, split_names, weights_digest, weights_files
from llmdecl.store.model import Lock, LockedEngine, LockedFile, LockedWeights
from llmdecl.store.rules import FILE_MISSING
from llmdecl.store.wanted import WantedEngine, WantedSource, wanted


def gather(
    spec: Spec, lock: Lock | None, folders: Folders, base: Path
) -> tuple[Facts, tuple[Diagnostic, ...]]:
    """Host, engines and weights of a spec in the folder `base`.

    What is locked speaks for itself: flag tables and GGUF facts come from the lock, and this
    machine only says whether the files are here and are the locked ones. What is not locked is
    looked at when it is a file of this machine; nothing is downloaded.
    """
    lock = lock or Lock()
    found: tuple[Diagnostic, ...] = ()
    wants = wanted(spec)
    engines: dict[str, EngineFacts] = {}
    for want in wants.engines:
        engine, problems = _engine(want, lock.engines.get(want.name), folders, base)
        found += problems
        if engine is not None:
            engines[want.name] = engine
    looked = look(spec.host, engines, cache=folders.cache)
    found += looked.problems
    weights: dict[str, WeightsFacts] = {}
    for source in wants.sources:
        facts, problems = _weights(source, lock.weights.get(source.key), folders, base)
        found += problems
        if facts is not None:
            weights[source.key] = facts
    measured = read_measured(folders.state / "measured", spec.models)
    gathered = Facts(host=looked.host, engines=looked.engines, weights=weights, measured=measured)
    return gathered, found


def _engine(
    want: WantedEngine, locked: LockedEngine | None, folders: Folders, base: Path
) -> tuple[EngineFacts | None, tuple[Diagnostic, ...]]:
    if isinstance(want.engine, PathEngine):
        return _engine_at_path(want, want.engine, locked, folders, base)
    if locked is None or locked.provider != want.engine.provider:
        return None, ()
    word = engine_executable(locked)
    path = folders.store / word.text.lstrip("/") if word.root else Path(word.text)
    facts = locked_engine_facts(locked, f"{word.root or ''}{word.text}", present=path.is_file())
    if not facts.present:
        return facts, ()
    devices, problems = list_devices(path, address=want.address, cache=folders.cache)
    return facts.replace(devices=devices), problems


def _engine_at_path(
    want: WantedEngine,
    engine: PathEngine,
    locked: LockedEngine | None,
    folders: Folders,
    base: Path,
) -> tuple[EngineFacts | None, tuple[Diagnostic, ...]]:
    """An engine of the spec's own path: asked, and compared with the lock."""
    path = locate(engine.path, base)
    address = f"{want.address}.path"
    found, problems = probe_engine(path, address=address, cache=folders.cache)
    if locked is None or locked.provider != engine.provider:
        return found, problems
    facts = locked_engine_facts(locked, str(path), present=found is not None)
    facts = facts.replace(devices=found.devices if found else None)
    if found is None or _identity(found) == _identity(locked):
        return facts, problems
    summary = f"`{engine.path}` is another program than the locked one"
    notes = (f"locked: {_words(locked)}", f"found: {_words(found)}")
    return facts, (*problems, rules.ENGINE_CHANGED.at(address, summary, notes=notes))


def _identity(engine: EngineFacts | LockedEngine) -> tuple[str | None, str, str | None]:
    """The binary alone is not enough: it may be a stub that loads the rest from libraries."""
    return engine.binary_sha256, engine.version, engine.commit


def _words(engine: EngineFacts | LockedEngine) -> str:
    return f"version {engine.version}, SHA-256 {engine.binary_sha256}"


def _weights(
    want: WantedSource, locked: LockedWeights | None, folders: Folders, base: Path
) -> tuple[WeightsFacts | None, tuple[Diagnostic, ...]]:
    try:
        reference = parse_reference(want.source)
    except ValueError:
        return None, ()  # said where the spec is judged
    if isinstance(reference, FileReference):
        try:
            path = named(reference, base, want.address)
        except Failure as failure:
            if locked is not None and failure.diagnostics[0].code == FILE_MISSING.code:
                return locked_weights_facts(
                    want.key, locked, Presence.MISSING
                ), ()  # what checks say of a pin that is not there
            return None, failure.diagnostics
        if locked is None:
            facts, problems = _unlocked_file(want, path, folders)
        else:
            paths = [path.with_name(name) for name in split_names(path.name)]
            facts, problems = _locked_files(want, locked, paths, folders.cache)
        if facts.gguf is not None:
            others = others_beside(path, want.source, facts.gguf, cache=folders.cache)
            facts = facts.replace(others=others)
        return facts, problems
    if locked is None:
        missing = WeightsFacts(
            source=want.key,
            presence=Presence.MISSING,
            digest=None,
            found_sha256=None,
            size_bytes=None,
            parts=1,
            gguf=None,
        )
        return missing, ()
    names = weights_files(locked.digest, len(locked.files))
    # what the store holds was verified when it came in; its size tells whether it is whole
    facts, problems = _locked_files(want, locked, [folders.store / name for name in names], None)
    return facts.replace(others=known_others(locked, folders.cache)), problems


def _unlocked_file(
    want: WantedSource, path: Path, folders: Folders
) -> tuple[WeightsFacts, tuple[Diagnostic, ...]]:
    """A local file that nobody pinned yet: its header is read, its digest is not worked out."""
    gguf, problems = read_gguf(path, address=want.address, cache=folders.cache)
    if gguf is not None:
        presence = Presence.PRESENT
    else:
        presence = Presence.UNREADABLE if path.exists() else Presence.MISSING
    facts = WeightsFacts(
        source=want.key,
        presence=presence,
        digest=None,
        found_sha256=None,
        size_bytes=gguf.file_bytes if gguf else None,
        parts=len(split_names(path.name)),
        gguf=None if has_errors(problems) else gguf,
    )
    return facts, problems


def _locked_files(
    want: WantedSource, locked: LockedWeights, paths: list[Path], cache: Path | None
) -> tuple[WeightsFacts, tuple[Diagnostic, ...]]:
    """Pinned files as they lie here; digests are compared when there is a cache for them."""
    problems: tuple[Diagnostic, ...] = ()
    sha256 = None
    try:
        presence, where = _sizes(paths, locked.files)
        if presence is Presence.PRESENT and cache is not None:
            sha256 = weights_digest(_digested(paths, cache))
            if sha256 != locked.digest:
                presence = Presence.DIFFERENT
    except OSError as error:
        presence, where = Presence.UNREADABLE, str(error.filename)
        summary = f"`{want.source}` can't be read: {error.strerror or error}"
        problems = (rules.GGUF_UNREADABLE.at(want.address, summary, notes=(where,)),)
    facts = locked_weights_facts(want.key, locked, presence)
    return facts.replace(found_sha256=sha256, where=where), problems


def _sizes(paths: list[Path], files: tuple[LockedFile, ...]) -> tuple[Presence, str | None]:
    """Whether all are there and as large as pinned, else which is not; raises OSError."""
    if len(paths) != len(files):
        return Presence.DIFFERENT, f"{len(paths)} parts"
    for path, file in zip(paths, files, strict=True):
        try:
            size = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return Presence.MISSING, str(path)
        if size != file.size_bytes:
            what = f"`{path.name}` has {size:,} bytes, {file.size_bytes:,} are pinned"
            return Presence.DIFFERENT, what
    return Presence.PRESENT, None


def _digested(paths: list[Path], cache: Path) -> Iterator[LockedFile]:
    for path in paths:
        yield LockedFile(name=path.name, sha256=file_sha256(path, cache), size_bytes=0)
