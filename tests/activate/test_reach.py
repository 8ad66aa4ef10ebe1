"""What the account of the system's stack can read."""

import os
import tempfile
from pathlib import Path

import pytest

from llmdecl.activate import reach
from llmdecl.activate.managers.systemd.requirements import require_reachable_folders
from llmdecl.activate.reach import absent_keys, closed_to, require_runnable, unreachable
from llmdecl.diagnostics import Failure
from llmdecl.paths import folders
from llmdecl.spec.load import load_spec

SPEC = """\
version = 1
[engines.llama]
kind = "llama.cpp"
provider = "path"
path = "bin/llama-server"
[models.one]
source = "file:private/one.gguf"
[endpoints.main]
listen = "127.0.0.1:8080"
[manager]
kind = "systemd"
"""


@pytest.fixture
def stack(monkeypatch):
    """A spec, an engine and weights, all open; pytest's own folders are closed to others."""
    monkeypatch.setattr(reach, "account", lambda: (None, frozenset()))
    monkeypatch.setattr(reach, "HOMES", ())
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        for each in ("bin/llama-server", "private/one.gguf"):
            path = folder / each
            path.parent.mkdir()
            path.parent.chmod(0o755)
            path.touch()
            path.chmod(0o644)
        (folder / "llmdecl.toml").write_text(SPEC)
        yield folder, load_spec(folder / "llmdecl.toml").spec


def test_a_closed_folder_is_named(stack):
    """With the key that leads there; nothing is said of what is open, or is not there."""
    folder, spec = stack
    assert [] == list(unreachable(spec, folder))
    (folder / "private").chmod(0o700)
    (found,) = unreachable(spec, folder)
    assert ("LD632", "models.one.source") == (found.code, found.address)
    assert f"`{folder}/private`" in found.summary
    (folder / "private").chmod(0o755)
    (folder / "private/one.gguf").chmod(0o600)
    (found,) = unreachable(spec, folder)
    assert "can't read" in found.summary
    (folder / "private/one.gguf").unlink()
    assert [] == list(unreachable(spec, folder))


def test_homes_are_hidden(stack, monkeypatch):
    """Whatever their mode, units don't see them."""
    folder, spec = stack
    monkeypatch.setattr(reach, "HOMES", (str(folder),))
    assert {"engines.llama.path", "models.one.source"} == {
        each.address for each in unreachable(spec, folder)
    }


def test_owner_and_group_have_bits_of_their_own(stack):
    """As the kernel looks at them: the owner's bits for the owner, whatever the others may."""
    folder, _ = stack
    file = folder / "private/one.gguf"
    file.chmod(0o440)
    status = file.stat()
    assert file == closed_to(file, None, ())
    assert closed_to(file, status.st_uid, ()) is None
    assert closed_to(file, None, {status.st_gid}) is None
    file.chmod(0o004)
    assert file == closed_to(file, os.getuid(), ())


def test_a_program_in_a_home_is_refused(stack, monkeypatch):
    """Also where its file is a link to a place that all may read, as in a virtual environment."""
    folder, _ = stack
    python = folder / "venv/bin/python3"
    python.parent.mkdir(parents=True)
    python.symlink_to("/bin/sh")
    monkeypatch.setattr(reach, "llmdecl", type("Package", (), {"__file__": str(python)}))
    require_runnable(python)
    (folder / "venv").chmod(0o700)
    with pytest.raises(Failure) as closed:
        require_runnable(python)
    assert f"`{folder}/venv` lets nobody else in" in closed.value.diagnostics[0].notes
    (folder / "venv").chmod(0o755)
    monkeypatch.setattr(reach, "HOMES", (str(folder),))
    with pytest.raises(Failure) as hidden:
        require_runnable(python)
    assert ("LD630", True) == (
        hidden.value.diagnostics[0].code,
        "units see nothing" in hidden.value.diagnostics[0].notes[0],
    )


def test_keys_have_to_be_there(stack):
    """Else systemd would start no router."""
    folder, _ = stack
    keys = folder / "keys"
    text = f'{SPEC}[endpoints.other]\nlisten = "127.0.0.1:8081"\napi-keys-file = "{keys}"\n'
    (folder / "llmdecl.toml").write_text(text)
    spec = load_spec(folder / "llmdecl.toml").spec
    (found,) = absent_keys(spec)
    assert ("LD632", "endpoints.other.api-keys-file") == (found.code, found.address)
    keys.write_text("k\n")
    assert [] == list(absent_keys(spec))


def test_a_stack_in_a_home_is_refused(stack, monkeypatch):
    """Root's own state folder is no place for what units read; the state folder's own mode is no
    matter, since `apply` opens it, and what is not there yet is judged by its parent."""
    root, _ = stack
    (root / "state").mkdir(mode=0o700)
    own = folders(state=root / "state", store=root / "state/store", environment={})
    require_reachable_folders(own)
    (root / "closed").mkdir(mode=0o700)
    elsewhere = folders(state=root / "state", store=root / "closed/store", environment={})
    with pytest.raises(Failure) as closed:
        require_reachable_folders(elsewhere)
    assert "the store folder" in closed.value.diagnostics[0].summary
    monkeypatch.setattr(reach, "HOMES", (str(root),))
    with pytest.raises(Failure) as hidden:
        require_reachable_folders(own)
    assert "LD630" == hidden.value.diagnostics[0].code
