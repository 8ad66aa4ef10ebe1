"""Files of other programs come into the store without a copy, or not at all."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import threading
from pathlib import Path

import pytest

from llmdecl.sources import adopt as adopting
from llmdecl.sources.adopt import adopt, places
from llmdecl.store.model import LockedFile
from llmdecl.store.store import read_digest

DATA = b"GGUF" + bytes(range(256)) * 512
SHA256 = hashlib.sha256(DATA).hexdigest()
FILE = LockedFile(name="m.gguf", sha256=SHA256, size_bytes=len(DATA), path="sub/m.gguf")


def put(path: Path, data: bytes = DATA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def in_hub(home: Path) -> Path:
    hub = home / ".cache/huggingface/hub/models--owner--repo"
    blob = put(hub / "blobs" / SHA256)
    link = hub / "snapshots" / ("0" * 40) / "sub" / "m.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(Path("../../../blobs") / SHA256)
    return blob


def in_hub_without_links(home: Path) -> Path:
    return put(
        home / ".cache/huggingface/hub/models--owner--repo/snapshots" / ("1" * 40) / "sub/m.gguf"
    )


def in_lm_studio(home: Path) -> Path:
    return put(home / ".lmstudio/models/owner/repo/m.gguf")


def in_old_lm_studio(home: Path) -> Path:
    return put(home / ".cache/lm-studio/models/owner/repo/m.gguf")


def in_llama_cache(home: Path) -> Path:
    return put(home / ".cache/llama.cpp/owner_repo_m.gguf")


def in_ollama(home: Path) -> Path:
    return put(home / ".ollama/models/blobs" / f"sha256-{SHA256}")


def in_moved_lm_studio(home: Path) -> Path:
    moved = home / "elsewhere"
    moved.mkdir(parents=True)
    (home / ".lmstudio-home-pointer").write_text(f"{moved}\n")
    settings = {"downloadsFolder": str(home / "big disk")}
    (moved / "settings.json").write_text(json.dumps(settings))
    return put(home / "big disk/owner/repo/m.gguf")


HOMES = (
    in_moved_lm_studio,
    in_hub,
    in_hub_without_links,
    in_lm_studio,
    in_old_lm_studio,
    in_llama_cache,
    in_ollama,
)


def take(home: Path, target: Path, environment: dict[str, str] | None = None) -> str | None:
    found = places(environment or {}, home, (home / ".ollama/models",))
    return adopt(FILE, target, found, read_digest, store=target.parent / "store")


@pytest.mark.parametrize("make", HOMES)
def test_each_programs_file_is_found_and_shared(make, tmp_path):
    """Whatever program has it, the store's file is the same inode or shares its blocks."""
    original = make(tmp_path / "home")
    original.chmod(0o640)
    before = original.stat()
    target = tmp_path / "model.gguf"
    note = take(tmp_path / "home", target)
    assert note is not None
    assert str(original) in note
    assert target.read_bytes() == DATA
    if note.startswith("hard link"):
        assert target.stat().st_ino == before.st_ino
    else:
        assert note.startswith("reflink")
    after = original.stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


def test_variables_move_the_caches(tmp_path):
    """HF_HOME, HF_HUB_CACHE and LLAMA_CACHE are where these programs look themselves."""
    blob = f"models--a--b/blobs/{SHA256}"
    put(tmp_path / "one/hub" / blob)
    put(tmp_path / "two" / blob)
    put(tmp_path / "three/m.gguf")
    for variable, folder in (
        ("HF_HOME", "one"),
        ("HF_HUB_CACHE", "two"),
        ("LLAMA_CACHE", "three"),
    ):
        target = tmp_path / variable
        note = take(tmp_path / "empty", target, {variable: str(tmp_path / folder)})
        assert note is not None
        assert f"{folder}/" in note


def test_another_digest_is_not_taken(tmp_path):
    """Equal name and size are no proof."""
    put(tmp_path / ".lmstudio/models/owner/repo/m.gguf", DATA[:-1] + b"?")
    put(tmp_path / ".ollama/models/blobs" / f"sha256-{SHA256}", DATA[:-1])
    target = tmp_path / "model.gguf"
    assert take(tmp_path, target) is None
    assert not target.exists()
    assert not target.is_symlink()


def test_a_size_that_differs_costs_no_reading(tmp_path):
    """A candidate of another size is never read."""
    put(tmp_path / ".lmstudio/models/owner/repo/m.gguf", DATA + b"more")
    found = places({}, tmp_path)

    def digest(path: Path) -> str:
        raise AssertionError(path)

    assert adopt(FILE, tmp_path / "t", found, digest, store=tmp_path / "store") is None


def test_other_file_systems_get_symbolic_links(tmp_path):
    """Where no hard link can be, the store refers to the file."""
    shm = Path("/dev/shm")  # a second file system
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        if os.environ.get("CI") == "true":
            pytest.fail("/dev/shm is no file system of its own")
        pytest.skip("/dev/shm is no file system of its own")
    home = Path(tempfile.mkdtemp(dir=shm))
    try:
        original = in_lm_studio(home)
        target = tmp_path / "model.gguf"
        note = take(home, target)
        assert note is not None
        assert note.startswith("symbolic link")
        assert target.readlink() == original
    finally:
        shutil.rmtree(home)


def test_a_reflink_is_the_stores_own_file(tmp_path, monkeypatch):
    """With shared blocks the store has a read-only file; the other's stays as it is."""
    original = in_lm_studio(tmp_path)

    def clone(handle: int, request: int, source: int) -> int:
        assert request == adopting.FICLONE
        os.write(handle, os.pread(source, len(DATA), 0))
        return 0

    monkeypatch.setattr(adopting.fcntl, "ioctl", clone)
    target = tmp_path / "model.gguf"
    note = take(tmp_path, target)
    assert note is not None
    assert note.startswith("reflink")
    assert target.stat().st_ino != original.stat().st_ino
    assert target.stat().st_mode & 0o777 == 0o444
    assert original.stat().st_mode & 0o200


def test_nothing_is_left_where_nothing_can_be_made(tmp_path, monkeypatch):
    """A file system that refuses every kind of link means a download, and no half a file."""
    in_lm_studio(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(adopting.fcntl, "ioctl", refuse)
    monkeypatch.setattr(adopting.os, "link", refuse)
    monkeypatch.setattr(Path, "symlink_to", refuse)
    target = tmp_path / "model.gguf"
    assert take(tmp_path, target) is None
    assert not target.exists()


def test_a_file_that_changes_meanwhile_is_not_kept(tmp_path, monkeypatch):
    """Written to between digest and link: not adopted."""
    original = in_lm_studio(tmp_path)
    real = os.link

    def link(source: Path, target: Path) -> None:
        real(source, target)
        with original.open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(adopting.os, "link", link)
    monkeypatch.setattr(adopting, "_reflink", lambda *_: False)
    target = tmp_path / "model.gguf"
    assert take(tmp_path, target) is None
    assert not target.exists()
    assert original.read_bytes() == DATA + b"more"


def test_the_stores_own_files_are_no_candidates(tmp_path):
    """A cache that leads into the store would make an entry lead to itself."""
    mine = put(tmp_path / "store/weights/x/model.gguf")
    link = tmp_path / ".lmstudio/models/owner/repo/m.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(mine)
    assert take(tmp_path, tmp_path / "model.gguf") is None


def test_circles_and_folders_are_passed_over(tmp_path):
    """Odd things under the right name are no files, and the next place is asked."""
    folder = tmp_path / ".lmstudio/models/owner"
    (folder / "a/m.gguf").mkdir(parents=True)
    (folder / "b").mkdir()
    (folder / "b/m.gguf").symlink_to("m.gguf")
    os.mkfifo(folder / "c")
    original = in_ollama(tmp_path)
    note = take(tmp_path, tmp_path / "model.gguf")
    assert note is not None
    assert str(original) in note


def test_unreadable_folders_are_passed_over(tmp_path, monkeypatch):
    """What may not be listed is as if it were not there."""
    in_lm_studio(tmp_path)
    real = Path.iterdir

    def iterdir(self: Path):
        if self.name == "owner":
            raise PermissionError(errno.EACCES, "no")
        return real(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert take(tmp_path, tmp_path / "model.gguf") is None


def test_many_at_once(tmp_path):
    """Threads that adopt one file under names of their own all have it."""
    in_lm_studio(tmp_path)
    notes: list[str | None] = []
    threads = [
        threading.Thread(target=lambda i=i: notes.append(take(tmp_path, tmp_path / f"{i}.gguf")))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(notes) == 8
    assert all(notes)
    assert all((tmp_path / f"{i}.gguf").read_bytes() == DATA for i in range(8))


ODD = '{"downloadsFolder": "/\\ud800"}'


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"downloadsFolder": 3}', "[" * 100_000, "/a\0b", ODD]
)
def test_odd_settings_of_others(text, tmp_path):
    """What other programs wrote, or something else did in their stead, breaks nothing."""
    original = in_lm_studio(tmp_path)
    (tmp_path / ".lmstudio/settings.json").write_text(text)
    (tmp_path / ".lmstudio-home-pointer").write_text(text)
    note = take(tmp_path, tmp_path / "model.gguf")
    assert note is not None
    assert str(original) in note
