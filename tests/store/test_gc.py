"""`llmdecl gc` keeps what any lock or generation names, and touches nothing that is not ours."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lock_kit import ORIGIN, PACKAGE, built, engine, file, full, weights
from supply_kit import TOOLS, sha256, spec

from llmdecl.cli import run
from llmdecl.cli.lifecycle import fetch
from llmdecl.facts.cache import Cache, identity
from llmdecl.store.gc import look, named, remove
from llmdecl.store.layout import locked_engine_folder, nix_root, tree_folder
from llmdecl.store.lock import write_lock
from llmdecl.store.model import Lock
from llmdecl.store.processes import entries_in_use
from llmdecl.store.roots import read_roots, register
from llmdecl.store.sharing import alone, in_use
from llmdecl.store.store import Store
from llmdecl.store.supply import lock_stack


def snapshot(folder):
    """Every path below it with kind, and text or target."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith("locks"):
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = path.read_bytes() if path.is_file() else "folder"
    return found


def put(store, path, data=b"x", mode=0o444):
    target = store / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    target.chmod(mode)
    return target


def put_weights(store, data):
    """An entry of one file; its lock's value."""
    digest = sha256(data)
    put(store, f"weights/{digest}/model.gguf", data)
    return weights(f"file:{digest[:8]}.gguf", [file(digest, size_bytes=len(data))])


@pytest.fixture
def store(where, monkeypatch):
    """An empty store that the verbs use."""
    for kind in ("state", "store", "cache"):
        monkeypatch.setenv(f"LLMDECL_{kind.upper()}_DIR", str(getattr(where, kind)))
    where.store.mkdir(parents=True)
    return where.store


def stack(store, base, *pins, engines=()):
    """A lock in a folder of its own, made known to the store."""
    path = base / "llmdecl.lock"
    base.mkdir(parents=True, exist_ok=True)
    lock = Lock(weights={each.source: each for each in pins}, engines=dict(engines))
    write_lock(path, lock)
    register(store, path)
    return path


def generation(state, number, *pins):
    folder = state / "generations" / str(number)
    folder.mkdir(parents=True)
    write_lock(folder / "lock.json", Lock(weights={each.source: each for each in pins}))
    return folder


def test_named(store, where, tmp_path, capsys):
    """Weights of any lock and of any generation of any stack stay; the others go, with bytes."""
    kept = [put_weights(store, data) for data in (b"one", b"two", b"three", b"four")]
    gone = put_weights(store, b"nobody's")
    stack(store, tmp_path / "a", kept[0])
    stack(store, tmp_path / "b", kept[1])
    generation(where.state, 1, kept[2])
    generation(tmp_path / "other-state", 7, kept[3])
    register(store, tmp_path / "other-state")
    before = snapshot(store)
    assert run(["gc", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert f"- weights/{gone.digest}  8 B, no lock names it" in said
    assert "1 entry to remove, 8 B to free; 4 kept" in said
    assert snapshot(store) == before
    assert run(["gc"]) == 0
    said = capsys.readouterr().out
    assert "1 entry removed, 8 B freed; 4 kept" in said
    assert f"counts: {tmp_path / 'a' / 'llmdecl.lock'}" in said
    after = {path for path in snapshot(store) if path.startswith("weights/")}
    assert after == {
        path
        for each in kept
        for path in (f"weights/{each.digest}", f"weights/{each.digest}/model.gguf")
    }
    assert run(["gc"]) == 0
    assert "nothing removed; 4 kept" in capsys.readouterr().out


def test_every_kind(store, tmp_path):
    """Engines, lists of wheels, unfinished downloads and work places go by the same rule."""
    recipe = built()
    keep = {
        locked_engine_folder(recipe),
        locked_engine_folder(engine("pypi", package=PACKAGE)),
        f"origins/{PACKAGE.file.sha256}.json",
        f"downloads/{'a' * 64}",
        f"downloads/{recipe.recipe.archive.sha256}",
        tree_folder(recipe.recipe.archive.nar_hash),
    }
    gone = {
        f"engines/{'e' * 64}-engine-2.0",
        f"engines/{'f' * 64}-llama.cpp-b1-cpu",
        f"trees/{'f' * 64}-llama.cpp",
        f"origins/{'e' * 64}.json",
        f"downloads/{'e' * 64}",
        f"downloads/web-{'e' * 64}",
        "partial/tmpdead",
    }
    for path in keep | gone:
        put(store, path if path.endswith(".json") else f"{path}/inside/x", b"12345")
    put(store, "partial/tmpdead.owner", b"")
    pins = [weights("hf:o/r", [file("a" * 64)], origin=ORIGIN)]
    engines = {"built": recipe, "pypi": engine("pypi", package=PACKAGE)}
    stack(store, tmp_path / "a", *pins, engines=engines)
    roots, _ = read_roots(store)
    found = look(store, named(roots.locks), {})
    assert {each.path: each.bytes for each in found.garbage} == dict.fromkeys(gone, 5)
    assert found.left == ()
    assert found.kept == len(keep)
    assert remove(store, found.garbage) == ()
    assert not [path for path in gone if (store / path).exists()]
    assert not [path for path in keep if not (store / path).exists()]
    assert list((store / "partial").iterdir()) == []


FOREIGN = [
    "README",
    "weights/notes.txt",
    "weights/" + "0" * 63,
    "weights/" + "1" * 64,
    "weights/" + "2" * 64 + "/thesis.doc",
    "weights/" + "3" * 64 + "/model.gguf/x",
    "engines/mine/bin/x",
    "engines/" + "4" * 64,
    "origins/x.json",
    "origins/" + "5" * 64 + ".json/x",
    "downloads/film.mkv",
    "mine/model.gguf",
    "weights/\x1b[2J\n",
    "weights/" + os.fsdecode(b"\xff\xfe"),
]


@pytest.mark.parametrize("path", FOREIGN)
def test_foreign(store, tmp_path, path, capsys):
    """What has another form than our entries is left alone and said."""
    stack(store, tmp_path / "a", put_weights(store, b"kept"))
    put(store, path)
    before = snapshot(store)
    assert run(["gc"]) == 0
    assert snapshot(store) == before
    said = capsys.readouterr().out
    assert "  left: " in said
    assert "\x1b[2J" not in said


def test_links(store, tmp_path, capsys):
    """Links out of the store are removed as links or left; nothing outside is touched."""
    outside = tmp_path / "outside"
    put(outside, "w.gguf", b"local weights")
    put(outside, "sub/deep.gguf", b"deep")
    entry = store / "weights" / ("6" * 64)
    entry.mkdir(parents=True)
    (entry / "model.gguf").symlink_to(outside / "w.gguf")
    (store / "weights" / ("7" * 64)).symlink_to(outside / "sub")
    inside = put(store, f"engines/{'8' * 64}-e-1/bin/x").parent
    (inside / "away").symlink_to(outside)
    (store / "downloads").symlink_to(outside)
    stack(store, tmp_path / "a")
    before = snapshot(outside)
    assert run(["gc"]) == 0
    said = capsys.readouterr().out
    assert f"- weights/{'6' * 64}  0 B" in said
    assert f"weights/{'7' * 64}  left: is a symbolic link" in said
    assert "downloads  left: is not a folder, and no link is followed" in said
    assert not entry.exists()
    assert not inside.exists()
    assert snapshot(outside) == before


def test_hard_links_free_nothing(store, tmp_path):
    """A file that another program has under a name of its own frees no bytes, and stays there."""
    put(tmp_path, "cache.gguf", b"shared")
    entry = store / "weights" / sha256(b"shared")
    entry.mkdir(parents=True)
    os.link(tmp_path / "cache.gguf", entry / "model.gguf")
    found = look(store, named([]), {})
    assert [each.bytes for each in found.garbage] == [0]
    remove(store, found.garbage)
    assert (tmp_path / "cache.gguf").read_bytes() == b"shared"


def test_read_only_entries(store, tmp_path):
    """Entries whose folders nobody may write go, too."""
    path = put(store, f"engines/{'9' * 64}-llama.cpp-b1-cpu/lib/x.so")
    for folder in (path.parent, path.parent.parent):
        folder.chmod(0o555)
    found = look(store, named([]), {})
    assert remove(store, found.garbage) == ()
    assert [*(store / "engines").iterdir()] == []
    assert [*(store / "partial").iterdir()] == []


@pytest.mark.parametrize("text", [b"<<<<<<< HEAD\n", b"{}", b'{"schema": 9}', None])
def test_unreadable_lock(store, where, tmp_path, text, capsys):
    """One lock that can't be read, be it a generation's, stops all: nothing is removed."""
    put_weights(store, b"nobody's")
    if text is None:
        generation(where.state, 3).joinpath("lock.json").unlink()
    else:
        stack(store, tmp_path / "a").write_bytes(text)
    stack(store, tmp_path / "b")
    (tmp_path / "c" / "llmdecl.lock").parent.mkdir()
    register(store, tmp_path / "c" / "llmdecl.lock")
    before = snapshot(store)
    assert run(["gc"]) == 1
    assert "LD471" in "".join(capsys.readouterr())
    assert snapshot(store) == before


def test_locks_that_are_gone(store, tmp_path, capsys):
    """A stack whose lock, folder or state is gone counts no longer; its root goes and is said."""
    pins = [put_weights(store, data) for data in (b"1", b"2", b"3")]
    paths = [stack(store, tmp_path / name, pin) for name, pin in zip("abc", pins, strict=True)]
    state = generation(tmp_path / "state2", 1, pins[0]).parent.parent
    register(store, state)
    paths[0].unlink()
    paths[1].unlink()
    paths[1].parent.rmdir()
    assert run(["gc"]) == 0
    said = capsys.readouterr().out
    assert f"no longer counts: {paths[0]}, which is gone" in said
    assert [(store / "weights" / pin.digest).exists() for pin in pins] == [True, False, True]
    (state / "generations" / "1" / "lock.json").unlink()
    (state / "generations" / "1").rmdir()
    (state / "generations").rmdir()
    assert run(["gc"]) == 0
    assert not (store / "weights" / pins[0].digest).exists()
    state.rmdir()
    assert run(["gc"]) == 0
    assert len([*(store / "roots").iterdir()]) == 1


def test_nothing_registered(store, tmp_path, capsys):
    """A store of an earlier version, whose stacks are unknown, is not emptied."""
    put_weights(store, b"somebody's")
    before = snapshot(store)
    assert run(["gc"]) == 1
    assert "LD473" in "".join(capsys.readouterr())
    assert snapshot(store) == before


def test_no_store(tmp_path, monkeypatch, capsys):
    """Where there is no store there is nothing to do, and none is made."""
    monkeypatch.setenv("LLMDECL_STORE_DIR", str(tmp_path / "none"))
    assert run(["gc"]) == 0
    assert "does not exist" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_busy(store, tmp_path, capsys):
    """While somebody brings something in or clears out, gc refuses."""
    stack(store, tmp_path / "a")
    put_weights(store, b"nobody's")
    for busy in (in_use, alone):
        with busy(store):
            assert run(["gc"]) == 1
        assert "LD472" in "".join(capsys.readouterr())
    with Store(store).workplace():
        assert run(["gc"]) == 1
    assert run(["gc"]) == 0


def test_waits_for_gc(store):
    """Who wants to bring something in waits until a gc is through."""
    script = (
        "import sys; from pathlib import Path; from llmdecl.store.sharing import in_use\n"
        "with in_use(Path(sys.argv[1])): print('in', flush=True)"
    )
    with alone(store):
        process = subprocess.Popen([sys.executable, "-c", script, store], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
    assert process.communicate(timeout=20)[0] == b"in\n"


def test_running(store, tmp_path):
    """What a process runs, has mapped, or was told of, stays; its wheel's list too."""
    program = put(
        store, f"engines/{'a' * 64}-engine-1/bin/sleep", Path("/bin/sleep").read_bytes(), 0o555
    )
    put(store, f"origins/{'a' * 64}.json")
    told = put(store, f"weights/{'b' * 64}/model.gguf")
    opened = put(store, f"weights/{'c' * 64}/model.gguf")
    put(store, f"weights/{'d' * 64}/model.gguf")
    with opened.open("rb") as handle:
        process = subprocess.Popen([program, "60"], env={"MODEL": f"x:{told}"}, stdin=handle)
    try:
        found = look(store, named([]), entries_in_use(store))
    finally:
        process.kill()
        process.wait()
    assert [each.path for each in found.garbage] == [f"weights/{'d' * 64}"]
    assert {each.path for each in found.left} == {
        f"engines/{'a' * 64}-engine-1",
        f"origins/{'a' * 64}.json",
        f"weights/{'b' * 64}",
        f"weights/{'c' * 64}",
    }
    assert f"process {process.pid} uses it" in {each.why for each in found.left}
    assert not look(store, named([]), entries_in_use(store)).left


def test_removal_that_fails(store, tmp_path, monkeypatch, capsys):
    """What can't be removed is said with status 3; the rest goes."""
    stack(store, tmp_path / "a")
    stuck, gone = put_weights(store, b"stuck"), put_weights(store, b"gone")
    rename = Path.rename

    def refuse(self, target):
        if self.name == stuck.digest:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    assert run(["gc"]) == 3
    assert f"`weights/{stuck.digest}` can't be removed: Permission denied" in "".join(
        capsys.readouterr()
    )
    assert not (store / "weights" / gone.digest).exists()


CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.chmod", "os.mkdir")
"""Audit events of what changes a file system."""


def gc_that_dies(store, steps):
    """A process that clears out and is killed before its step of this number; its status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    done = 0

    def count(event, _arguments):
        nonlocal done
        done += event in CHANGES
        if event in CHANGES and done > steps:
            os.kill(os.getpid(), signal.SIGKILL)

    with alone(store):
        roots, _ = read_roots(store)
        found = look(store, named(roots.locks), {})
        sys.addaudithook(count)
        remove(store, found.garbage)
        os._exit(0)


def test_killed_anywhere(store, tmp_path):
    """Killed at any step: what is kept is whole, nothing is half there, the next gc finishes."""
    kept = put_weights(store, b"kept")
    stack(store, tmp_path / "a", kept)
    doomed = [f"engines/{'e' * 64}-llama.cpp-b1-cpu", f"weights/{sha256(b'gone')}"]
    for steps in range(40):
        for name in ("bin/x", "lib/y", "manifest.json"):
            put(store, f"{doomed[0]}/{name}")
        put_weights(store, b"gone")
        status = gc_that_dies(store, steps)
        assert (store / "weights" / kept.digest / "model.gguf").read_bytes() == b"kept"
        for entry, count in zip(doomed, (3, 1), strict=True):
            files = [path for path in (store / entry).rglob("*") if path.is_file()]
            assert len(files) in (0, count)
        if status == 0:
            break
        assert run(["gc"]) == 0
        assert not any((store / entry).exists() for entry in doomed)
        assert [*(store / "partial").iterdir()] == []
    assert steps > 5
    assert status == 0


def test_verbs_register(index, store, tmp_path, monkeypatch):
    """`lock` and `fetch` make the lock known, so that gc keeps what they brought."""
    monkeypatch.chdir(tmp_path)
    index.add("tiny-model", "1.0", {"m.gguf": b"GGUF tiny"})
    monkeypatch.setattr("llmdecl.store.supply.real_tools", lambda folders: TOOLS)
    (tmp_path / "llmdecl.toml").write_text(
        'version = 1\n[engines.e]\nkind = "llama.cpp"\nprovider = "path"\npath = "llama-server"\n'
        '[models.m]\nsource = "pypi:tiny-model==1.0/m.gguf"\n'
        '[endpoints.main]\nlisten = "127.0.0.1:18080"\n'
    )
    (tmp_path / "llama-server").write_bytes(b"#!/bin/true\n")
    (tmp_path / "llama-server").chmod(0o755)
    assert run(["lock"]) == 0
    entry = store / "weights" / sha256(b"GGUF tiny")
    assert run(["gc"]) == 0
    assert entry.is_dir()
    (link,) = (store / "roots").iterdir()
    assert link.readlink() == tmp_path / "llmdecl.lock"
    link.unlink()
    assert run(["fetch"]) == 0
    assert link.is_symlink()
    (tmp_path / "llmdecl.lock").unlink()
    assert run(["gc"]) == 0
    assert not entry.exists()
    assert not link.is_symlink()


def test_read_only_store(tmp_path, monkeypatch, where, capsys):
    """A store that can't be written is used without its lock, and refuses gc."""

    def refuse(*_arguments):
        raise OSError(errno.EROFS, "Read-only file system")

    (tmp_path / "store").mkdir()
    monkeypatch.setattr("llmdecl.store.sharing._open", refuse)
    with in_use(tmp_path / "store"):
        pass
    assert run(["gc", "--store-dir", str(tmp_path / "store")]) == 1
    assert "LD419" in "".join(capsys.readouterr())


def test_roots_for_nix(store, tmp_path):
    """A link that keeps an engine in Nix's store goes when no lock names the engine; as a link."""
    held = full().engines["nix"]
    keep, gone = (store / nix_root(output) for output in (held.nix.output, f"/x/{'1' * 32}-y"))
    keep.parent.mkdir()
    (tmp_path / "output").write_text("an engine")
    for each in (keep, gone):
        each.symlink_to(tmp_path / "output")
    put(store, "nix-roots/notes.txt")
    stack(store, tmp_path / "a", engines={"nix": held})
    roots, _ = read_roots(store)
    found = look(store, named(roots.locks), {})
    assert [each.path for each in found.garbage] == [f"nix-roots/{gone.name}"]
    assert [each.path for each in found.left] == ["nix-roots/notes.txt"]
    assert remove(store, found.garbage) == ()
    assert sorted(each.name for each in keep.parent.iterdir()) == [keep.name, "notes.txt"]
    assert (tmp_path / "output").exists()


def test_caches(store, where, tmp_path, capsys):
    """Facts of files that are gone or changed go, and logs of builds that no lock names."""
    digests = Cache(where.cache, "sha256")
    paths = [put(tmp_path, name, b"1") for name in ("stays", "gone", "changed")]
    for path in paths:
        digests.put((identity(path),), "x")
    paths[1].unlink()
    paths[2].chmod(0o644)
    paths[2].write_bytes(b"22")
    facts = where.cache / "facts" / "sha256"
    (facts / "broken.json").write_text("{")
    recipe = built()
    logs = [f"{recipe.recipe.folder_name}.log", f"{'a' * 64}-llama.cpp-b1-cpu.log"]
    for name in (*logs, "timings.json"):
        put(where.cache, f"builds/{name}")
    stack(store, tmp_path / "a", engines={"built": recipe})
    assert run(["gc", "--dry-run"]) == 0
    assert ", 4 files of files that are gone or changed" in capsys.readouterr().out
    assert len([*facts.iterdir()]) == 4
    assert run(["gc"]) == 0
    assert digests.get((identity(paths[0]),), str) == "x"
    assert len([*facts.iterdir()]) == 1
    assert {path.name for path in (where.cache / "builds").iterdir()} == {logs[0], "timings.json"}


def test_apply_registers(store, where, tmp_path, monkeypatch):
    """`apply` and `rollback` make state folder and lock known, before they bring anything."""
    monkeypatch.setattr("llmdecl.store.supply.real_tools", lambda folders: TOOLS)
    (tmp_path / "w.gguf").write_bytes(b"GGUF")
    where.state.mkdir()
    a_spec = spec({"m": "file:w.gguf"})
    lock, _ = lock_stack(a_spec, tmp_path, where, None, tools=TOOLS)
    fetch(a_spec, lock, tmp_path, where)
    assert {link.readlink() for link in (store / "roots").iterdir()} == {where.state}
    write_lock(tmp_path / "llmdecl.lock", lock)
    fetch(a_spec, lock, tmp_path, where)
    roots, problems = read_roots(store)
    assert problems == ()
    assert roots.files == (tmp_path / "llmdecl.lock",)
    assert len([*(store / "roots").iterdir()]) == 2
