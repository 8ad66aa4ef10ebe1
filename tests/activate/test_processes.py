"""Orphans: ours and nobody else's are found, and they end."""

import os
import signal
import subprocess
import sys
import time

import pytest

from llmdecl.activate import processes
from llmdecl.activate.run_folder import make, remove
from llmdecl.diagnostics import Failure

from .conftest import wait_until

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def spawn():
    """Start Python code with a mark; ends it afterwards."""
    started = []

    def start(code, stack):
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", code], stdout=subprocess.PIPE,
            env={**os.environ, "LLMDECL_STACK": stack},
        )  # fmt: skip
        started.append(process)
        assert b"ready\n" == process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def stack_id():
    return f"test{os.getpid()}x{time.monotonic_ns()}"


def test_only_the_marked_are_found(spawn):
    """Another stack's process is not ours; descendants of the live manager are not orphans."""
    ours, others = stack_id(), stack_id()
    one = spawn("print('ready', flush=True); import time; time.sleep(600)", ours)
    spawn("print('ready', flush=True); import time; time.sleep(600)", others)
    assert [one.pid] == [p.pid for p in processes.marked(ours)]
    assert [one.pid] == [p.pid for p in processes.orphans(ours, None)]
    assert () == processes.orphans(ours, os.getpid())
    assert () == processes.orphans(ours, one.pid)


def test_this_process_is_never_an_orphan(monkeypatch):
    """Whoever runs the verb inside the stack's environment does not end himself."""
    code = (
        "from llmdecl.activate import processes; import os;"
        "print(len(processes.marked('self')), processes.orphans('self', None))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "LLMDECL_STACK": "self"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "1 ()\n" == said.stdout


def test_sigkill_after_sigterm(spawn):
    """A process that ignores SIGTERM ends all the same."""
    process = spawn(STUBBORN, stack_id())
    found = processes.look(process.pid)
    processes.end([found], grace_s=0.1)
    assert -signal.SIGKILL == process.wait(timeout=5)


def test_a_zombie_is_gone(spawn):
    """A process that ended and was not reaped holds nothing: it counts as gone."""
    mark = stack_id()
    process = spawn("print('ready')", mark)
    wait_until(lambda: processes.look(process.pid) is None, "it is a zombie")
    assert () == processes.marked(mark)


def test_a_later_process_of_that_pid_is_left_alone(spawn):
    """A PID that was used again is not signalled."""
    process = spawn(STUBBORN, stack_id())
    found = processes.look(process.pid)
    processes.end([processes.Process(found.pid, found.parent, found.started - 1)])
    assert process.poll() is None


def test_run_folder(short_tmp):
    """Made private, removed with what is in it; a foreign one is neither used nor removed."""
    run = short_tmp / "run"
    make(run)
    assert 0o700 == run.stat().st_mode & 0o777
    (run / "x.sock").touch()
    remove(run)
    assert not run.exists()
    remove(run)
    run.symlink_to(short_tmp)
    with pytest.raises(Failure):
        remove(run)
    assert run.is_symlink()
    run.unlink()
    run.touch()
    with pytest.raises(Failure):
        make(run)
