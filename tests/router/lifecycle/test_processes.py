"""Starts, stops and deaths, against a real supervisord and scripted model servers."""

import os
import signal
import time
from pathlib import Path

from .conftest import alive, wait_until


def test_a_request_starts_its_model_and_only_that(stack):
    """A stopped model answers after it was started; nobody else is woken."""
    stack.model("a")
    stack.model("b")
    stack.up()
    assert {m["state"] for m in stack.status()["models"]} == {"stopped"}
    status, _, body = stack.ask("a")
    assert status == 200, body
    states = {m["name"]: m["state"] for m in stack.status()["models"]}
    assert states == {"a": "ready", "b": "stopped"}
    shown = stack.state_of("a")
    assert alive(shown["pid"])
    assert shown["in_flight"] == 0
    assert shown["load_s"] > 0


def test_concurrent_first_requests_start_it_once(stack):
    """Twenty first requests at once are one start."""
    stack.model("a", "--fake-load-s", "0.3")
    stack.up()
    threads = [stack.ask_later("a") for _ in range(20)]
    for thread in threads:
        thread.join(30)
        assert thread.answer[0] == 200
    assert (stack.logs / "model-a.log").read_text().count("listening") == 1


def test_a_starting_model_blocks_nobody(stack):
    """While one model takes long to load, another one answers."""
    stack.model("slow", "--fake-load-s", "3", mib=30)
    stack.model("quick", mib=30)
    stack.up()
    stack.ask("quick")
    waiting = stack.ask_later("slow")
    stack.wait_state("slow", "starting")
    begin = time.monotonic()
    assert stack.ask("quick")[0] == 200
    assert time.monotonic() - begin < 1
    assert stack.state_of("slow")["state"] == "starting"
    waiting.join(20)
    assert waiting.answer[0] == 200


def test_idle_unload_by_ttl_frees_the_process(stack):
    """Idle past its `ttl` a model's process is gone; the next request starts another."""
    stack.model("a", ttl_s=0.3)
    stack.up()
    stack.ask("a")
    pid = stack.state_of("a")["pid"]
    stack.wait_state("a", "stopped")
    assert not alive(pid)
    assert stack.ask("a")[0] == 200
    assert stack.state_of("a")["pid"] not in (pid, None)


def test_ttl_of_nothing_unloads_at_once(stack):
    """With `ttl = 0` a model goes as soon as its last request has ended."""
    stack.model("a", ttl_s=0.0)
    stack.up()
    assert stack.ask("a")[0] == 200
    stack.wait_state("a", "stopped")


def test_a_stream_longer_than_ttl_is_never_cut(stack):
    """A busy model is not unloaded, however long it streams."""
    stack.model("a", "--fake-chunks", "20", "--fake-chunk-s", "0.1", ttl_s=0.2)
    stack.up()
    status, _, text = stack.ask("a", stream=True)
    assert status == 200
    assert text.count("token") == 20
    assert "[DONE]" in text


def test_a_model_that_can_not_start(stack):
    """502 with the tail of its log, then 503 with `Retry-After` while it backs off."""
    stack.model("a", "--fake-exit", "3", "--fake-say", "no room for tensors")
    stack.up()
    status, _, body = stack.ask("a")
    assert status == 502, body
    assert "no room for tensors" in str(body)
    status, headers, body = stack.ask("a")
    assert status == 503
    assert int(headers["Retry-After"]) >= 1
    assert "no room for tensors" in str(body)
    shown = stack.state_of("a")
    assert shown["state"] == "backoff"
    assert "no room for tensors" in shown["log_tail"]
    stack.wait_state("a", "stopped")
    assert stack.ask("a")[0] == 502
    _, headers, _ = stack.ask("a")
    assert int(headers["Retry-After"]) == 2


def test_a_model_that_is_never_ready(stack):
    """After `start-timeout` it is stopped, and its callers get 502."""
    stack.model("a", "--fake-load-s", "600", start_timeout_s=0.5)
    stack.up()
    status, _, body = stack.ask("a")
    assert status == 502
    assert "not ready within 0.5 s" in str(body)
    stack.wait_state("a", "backoff")
    assert [p for p in stack.mine() if b"fake_llama" in cmdline(p)] == []


def test_sigkill_of_a_model(stack):
    """The next request starts it again."""
    stack.model("a")
    stack.up()
    stack.ask("a")
    pid = stack.state_of("a")["pid"]
    os.kill(pid, signal.SIGKILL)
    stack.wait_state("a", "stopped")
    assert stack.state_of("a")["crashes"] == 1
    assert stack.ask("a")[0] == 200
    assert stack.state_of("a")["pid"] != pid


def test_a_startup_model_is_there_before_it_is_asked_and_comes_back(stack):
    """`load = "startup"` starts with the router, and again after a crash."""
    stack.model("a", load="startup", ttl_s=None)
    stack.up()
    pid = stack.wait_state("a", "ready")["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: stack.state_of("a")["pid"] not in (pid, None), "a new process")
    stack.wait_state("a", "ready")


def test_a_model_that_ignores_term_is_killed(stack):
    """A stop ends within the stop time-out, whatever the process thinks of TERM."""
    stack.model("a", "--fake-ignore-sigterm")
    stack.up()
    stack.ask("a")
    pid = stack.state_of("a")["pid"]
    begin = time.monotonic()
    assert stack.control("POST", "/models/a/stop")[0] == 200
    assert not alive(pid)
    assert time.monotonic() - begin < 9


def test_supervisord_killed(stack):
    """What runs is served on, and can be unloaded; a start is refused with 503."""
    stack.model("a", mib=30)
    stack.model("b", mib=30)
    stack.up()
    stack.ask("a")
    stack.supervisord.kill()
    stack.supervisord.wait()
    assert stack.ask("a")[0] == 200
    status, headers, body = stack.ask("b")
    assert status == 503
    assert int(headers["Retry-After"]) >= 1
    assert "supervisord" in str(body)
    pid = stack.state_of("a")["pid"]
    assert stack.control("POST", "/models/a/stop")[0] == 200
    assert not alive(pid)
    stack.start_supervisord()
    wait_until(lambda: stack.ask("b")[0] == 200, "supervisord is found again")
    assert stack.ask("a")[0] == 200


def cmdline(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() if alive(pid) else b""
    except OSError:
        return b""
