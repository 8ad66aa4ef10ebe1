"""Which folders a verb works in when nobody names any."""

from pathlib import Path

import pytest

from llmdecl import paths
from llmdecl.cli.context import _wants_systemd
from llmdecl.paths import SYSTEM, folders, is_systems


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Root, whose own folders and the system's are empty."""
    monkeypatch.setattr(paths.os, "geteuid", lambda: 0)
    monkeypatch.setattr(paths, "_users", lambda: tuple(str(tmp_path / n) for n in "abc"))
    monkeypatch.setattr(paths, "SYSTEM", tuple(str(tmp_path / f"system-{n}") for n in "abc"))
    return tmp_path


def test_roots_stack_is_the_systems(root, monkeypatch):
    """When the spec says so, or it is there; a stack in root's own folder stays, and others get
    their own."""
    assert is_systems(lambda: True)
    assert not is_systems(lambda: False)
    (root / "system-a/generations").mkdir(parents=True)
    assert is_systems(lambda: False)
    (root / "a/generations").mkdir(parents=True)
    assert not is_systems(lambda: True)
    monkeypatch.setattr(paths.os, "geteuid", lambda: 1000)
    assert not is_systems(lambda: True)


def test_options_and_variables_win(tmp_path):
    """Over the system's defaults, one by one."""
    where = folders(store=tmp_path, environment={"LLMDECL_CACHE_DIR": "/c"}, system=True)
    assert (Path(SYSTEM[0]), tmp_path.resolve(), Path("/c")) == (
        where.state,
        where.store,
        where.cache,
    )


@pytest.mark.parametrize(
    ("name", "text", "wants"),
    [
        ("llmdecl.toml", '[manager]\nkind = "systemd"\n', True),
        ("llmdecl.toml", '[manager]\nkind = "systemd-user"\n', False),
        ("llmdecl.toml", "[manager\n", False),
        ("llmdecl.json", '{"manager": {"kind": "systemd"}}', True),
        ("llmdecl.json", '{"plan": {"manager": "systemd"}}', True),
        ("llmdecl.json", "[]", False),
    ],
)
def test_a_spec_says_who_keeps_the_stack(tmp_path, name, text, wants):
    """Whatever else is wrong with it; a saved plan, too."""
    (tmp_path / name).write_text(text)
    assert wants == _wants_systemd(tmp_path)
    assert wants == _wants_systemd(tmp_path / name)
