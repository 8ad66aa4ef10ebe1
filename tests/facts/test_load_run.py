"""An engine that is started only to hear what it reports."""

import stat
import sys
from pathlib import Path

import psutil
import pytest

from llmdecl.facts.load_run import load_run

FAKE = Path(__file__).parents[1] / "fakes" / "fake_llama_server.py"
LOGS = Path(__file__).parents[1] / "engines" / "data" / "load_logs"


@pytest.fixture
def fake(tmp_path):
    """The fake server as a program."""
    program = tmp_path / "llama-server"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{FAKE}" "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def children():
    return [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]


def test_the_real_engine(llama_server, smollm2):
    """The engine loads the model, says so, and is gone."""
    argv = ("--model", str(smollm2), "--ctx-size", "2048", "--parallel", "1", "--device", "none")
    reported, problems = load_run(llama_server, (*argv, "--fit", "off", "--no-warmup"))
    assert not problems
    (one,) = reported
    assert (one.devices, one.n_ctx) == ((), 2048)
    assert abs(one.sums()["host", "kv-cache"] - (45 << 20)) < 1 << 14
    assert not children()


def test_what_it_reported(fake):
    """Model, draft and projector are told apart."""
    log = LOGS / "cuda-draft-mmproj.log"
    reported, problems = load_run(fake, ("--fake-load-log", str(log)))
    assert not problems
    assert [one.role for one in reported] == ["model", "draft", "mmproj"]


def test_an_engine_that_ends(fake):
    """One that fails is a diagnostic with the cause that its log names first."""
    log = LOGS / "cuda-out-of-memory.log"
    _, problems = load_run(fake, ("--fake-load-log", str(log), "--fake-exit", "1"))
    (found,) = problems
    assert "less memory free" in found.notes[0]
    assert not children()


def test_an_engine_that_hangs(fake):
    """One that does not come so far in time is ended, and is a diagnostic."""
    _, problems = load_run(fake, ("--fake-bind-s", "60"), timeout_s=0.5)
    assert len(problems) == 1
    assert not children()


def test_no_engine(tmp_path):
    """A program that is not there, or is none, is a diagnostic."""
    reported, problems = load_run(tmp_path / "nothing", ())
    assert (reported, len(problems)) == ((), 1)
    (tmp_path / "text").write_text("not a program")
    assert load_run(tmp_path / "text", ())[1]
