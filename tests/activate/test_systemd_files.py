"""Files that are installed for systemd: what is ours, what is somebody else's, what differs."""

import json
import os
from dataclasses import replace

import pytest

from llmdecl.activate import atomic
from llmdecl.activate.managers.systemd.files import MARK, STACK, Files
from llmdecl.activate.managers.systemd.place import Place
from llmdecl.paths import folders

UNIT = "[Service]\nExecStart=@LLMDECL@ router\n"
ARTEFACTS = ("systemd/llmdecl-router.service", "polkit/llmdecl.rules", "sysusers/llmdecl.conf")


@pytest.fixture
def files(tmp_path):
    """Of a stack with a router and rights; nothing is installed."""
    place = Place(
        units=tmp_path / "units",
        settings=tmp_path / "settings",
        words=(),
        sysusers=tmp_path / "sysusers",
        polkit=tmp_path / "polkit",
    )
    for folder in (place.units, place.settings):
        folder.mkdir()
    state = tmp_path / "state"
    texts = (UNIT, "rule\n", "u llmdecl\n")
    for path, text in zip(ARTEFACTS, texts, strict=True):
        (state / "wanted" / path).parent.mkdir(parents=True, exist_ok=True)
        (state / "wanted" / path).write_text(text)
    (state / "wanted/router.json").write_text("{}")
    (state / "generations").mkdir()
    return Files(folders(state=state, environment={}), place)


def other(files, state):
    """The same place for another stack."""
    return Files(replace(files._folders, state=state), files.place)


def test_what_is_installed_is_removed(files):
    """Units, rights and settings come and go; a second time nothing is written."""
    before, wanted = files.install()
    assert ({}, {"llmdecl-router.service"}) == (before, {*wanted})
    assert () == files.differing()
    stamps = [path.stat().st_mtime_ns for path in files.owned()]
    assert wanted == files.install()[0]
    assert stamps == [path.stat().st_mtime_ns for path in files.owned()]
    files.remove()
    assert [] == list(files.owned())
    assert not files.place.settings.exists()
    assert [] == list(files.place.polkit.iterdir())


@pytest.mark.parametrize("name", ["units/llmdecl-router.service", "polkit/49-llmdecl.rules"])
def test_a_file_that_others_changed_differs(files, name, tmp_path):
    """It is named, whether edited or removed, and the next install mends it."""
    files.install()
    path = tmp_path / name
    whole = path.read_text()
    path.write_text(whole + "# mine\n")
    assert (str(path),) == files.differing()
    files.install()
    assert whole == path.read_text()
    path.unlink()
    assert (str(path),) == files.differing()
    files.install()
    assert () == files.differing()


def test_a_file_of_others_is_foreign(files):
    """Without our first line, as a link, or masked; neither owned nor removed."""
    assert [] == list(files.foreign(ARTEFACTS))
    unit = files.place.units / "llmdecl-router.service"
    for make in (lambda: unit.write_text(UNIT), lambda: unit.symlink_to(os.devnull)):
        make()
        assert [unit] == list(files.foreign(ARTEFACTS))
        files.remove()
        assert os.path.lexists(unit)
        unit.unlink()
    files.install()
    assert [] == list(files.foreign(ARTEFACTS))


def test_another_stack_keeps_its_units(files, tmp_path):
    """As long as its state folder is there; afterwards whoever comes takes over."""
    files.install()
    second = other(files, tmp_path / "second")
    state = files._folders.state
    assert state == second.other_stack()
    assert files.other_stack() is None
    assert [] == list(second.owned())
    (state / "generations").rmdir()
    assert second.other_stack() is None
    assert 1 == len(list(second.owned()))


def test_units_without_a_second_line_are_ours(files):
    """As they were written before there was one; one that can't be read says nothing."""
    for line in ("[Unit]\n", f"{STACK}nonsense\n", f"{STACK}{json.dumps(7)}\n"):
        (files.place.units / "llmdecl.target").write_text(MARK + line)
        assert files.other_stack() is None
        assert 1 == len(list(files.owned()))


def test_a_full_disk_leaves_old_files_whole(files, monkeypatch):
    """What could not be written is named, its old text stays, and nothing lies beside it."""
    files.install()
    unit = files.place.units / "llmdecl-router.service"
    old = unit.read_text()
    (files._folders.state / "wanted" / ARTEFACTS[0]).write_text(UNIT + "Nice=1\n")

    def full(path, data, *, mode):
        path.write_bytes(data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "write_new", full)
    with pytest.raises(OSError) as caught:  # noqa: PT011  # which one is asserted below
        files.install()
    assert (28, str(unit)) == (caught.value.errno, caught.value.filename)
    assert old == unit.read_text()
    assert [unit] == list(files.place.units.iterdir())
