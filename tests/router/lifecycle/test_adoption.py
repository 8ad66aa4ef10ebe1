"""The router's own deaths and restarts: models live on."""

import os
import signal
import subprocess
import sys
import time

import pytest

from .conftest import alive, call, wait_until


def kill_router(stack):
    stack.router.kill()
    stack.router.wait()


def test_sigkill_of_the_router(stack):
    """The next router adopts what runs, with the same PIDs, and it answers."""
    stack.model("a", mib=30)
    stack.model("b", mib=30)
    stack.up()
    stack.ask("a")
    stack.ask("b")
    pids = {m["name"]: m["pid"] for m in stack.status()["models"]}
    kill_router(stack)
    stack.start_router()
    for name, pid in pids.items():
        shown = stack.wait_state(name, "ready")
        assert shown["pid"] == pid
        assert shown["adopted"]
        assert stack.ask(name)[0] == 200
    os.kill(pids["a"], signal.SIGKILL)
    stack.wait_state("a", "stopped")
    assert stack.ask("a")[0] == 200


def test_a_changed_model_is_not_adopted(stack):
    """A process of another digest is stopped; only a model for startup is started again."""
    stack.model("a", mib=30)
    stack.model("s", mib=30, load="startup")
    stack.up()
    stack.ask("a")
    stack.wait_state("s", "ready")
    pids = {m["name"]: m["pid"] for m in stack.status()["models"]}
    kill_router(stack)
    stack.model("a", mib=30, digest="d2")
    stack.model("s", mib=30, load="startup", digest="d2")
    stack.write()
    stack.start_router()
    stack.wait_state("a", "stopped")
    shown = wait_until(
        lambda: (m := stack.state_of("s"))["state"] == "ready" and m["pid"] != pids["s"] and m,
        "s is started again",
    )
    assert not shown["adopted"]
    assert not any(alive(pid) for pid in pids.values())


def test_an_adopted_model_counts_as_busy_until_its_slots_are_idle(stack):
    """What a dead router left in flight is waited for before the model makes room for another."""
    stack.options["min_residency_s"] = 0.0
    slow = ("--fake-think-s", "2", "--fake-cancel-s", "2")
    stack.model("a", *slow)
    stack.model("b")
    stack.up()
    asked = stack.ask_later("a")
    wait_until(lambda: stack.state_of("a")["in_flight"] == 1, "a is busy")
    pid = stack.state_of("a")["pid"]
    kill_router(stack)
    asked.join(10)
    stack.start_router()
    stack.wait_state("a", "ready")
    waiting = stack.ask_later("b")
    wait_until(lambda: stack.state_of("b")["queued"] == 1, "b waits")
    assert alive(pid)
    waiting.join(20)
    assert waiting.answer[0] == 200
    assert not alive(pid)


def test_a_program_the_configuration_does_not_know_is_left_alone(stack):
    """It is `apply`'s to end."""
    stack.model("a", mib=30)
    stack.model("b", mib=30)
    stack.up()
    stack.ask("b")
    pid = stack.state_of("b")["pid"]
    kill_router(stack)
    del stack.models["b"]
    stack.write()
    stack.start_router()
    stack.ask("a")
    assert alive(pid)


def test_sigterm_drains_and_leaves_models_alive(stack):
    """What is in flight is answered, new requests are not admitted, the models stay."""
    stack.model("a", "--fake-think-s", "1")
    stack.up()
    stack.ask("a", think_s=0)
    asked = stack.ask_later("a")
    wait_until(lambda: stack.state_of("a")["in_flight"] == 1, "a is busy")
    pid = stack.state_of("a")["pid"]
    stack.router.terminate()
    assert stack.router.wait(10) == 0
    asked.join(5)
    assert asked.answer[0] == 200
    assert alive(pid)
    assert not (stack.run / "router.sock").exists()
    stack.start_router()
    assert stack.wait_state("a", "ready")["pid"] == pid


def test_drain_admits_nothing_and_answers_when_all_is_over(stack):
    """`POST /drain` answers after the last byte, as SIGTERM does: who is connected and asks more
    gets 503, nobody else gets in."""
    stack.model("a", "--fake-think-s", "1")
    stack.up()
    stack.ask("a", think_s=0)
    asked = stack.ask_later("a")
    wait_until(lambda: stack.state_of("a")["in_flight"] == 1, "a is busy")
    assert stack.control("POST", "/drain")[0] == 200
    asked.join(5)
    assert asked.answer[0] == 200
    with pytest.raises(OSError, match=r"No such file|refused"):
        stack.ask("a")
    assert stack.status()["draining"]
    stack.router.terminate()
    assert stack.router.wait(10) == 0


def test_term_after_a_drain_takes_no_second_time_out(stack):
    """What outlasted `POST /drain` is cut when the router is stopped."""
    stack.options["drain_timeout_s"] = 2.0
    stack.model("a", "--fake-think-s", "60")
    stack.up()
    asked = stack.ask_later("a")
    wait_until(lambda: stack.state_of("a")["in_flight"] == 1, "a is busy")
    assert stack.control("POST", "/drain")[0] == 200
    begin = time.monotonic()
    stack.router.terminate()
    assert stack.router.wait(10) == 0
    assert time.monotonic() - begin < 1.5
    asked.join(5)
    assert not asked.is_alive()


def test_one_router_a_run_folder(stack):
    """A second router refuses to start while the first one answers, and does not disturb it."""
    stack.model("a")
    stack.up()
    argv = [sys.executable, "-m", "llmdecl.router", "--config", str(stack.folder / "router.json")]
    argv += ["--run", str(stack.run), "--logs", str(stack.logs)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert "another router answers" in done.stderr
    assert "Traceback" not in done.stderr
    assert stack.ask("a")[0] == 200
    assert call(stack.run / "router.sock", "GET", "/status")[0] == 200
