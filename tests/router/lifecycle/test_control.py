"""The control socket: what operators and `apply` do."""

import json
import os
import signal
import stat
import threading
import time

import pytest

from llmdecl.router.config import Expect, ExpectedPart

from .conftest import alive, call, wait_until


def later(work):
    thread = threading.Thread(target=lambda: setattr(thread, "answer", work()))
    thread.answer = None
    thread.start()
    return thread


def test_hold_and_release(stack):
    """A held model's process is gone and requests queue until it is released."""
    stack.model("a")
    stack.up()
    stack.ask("a")
    pid = stack.state_of("a")["pid"]
    assert stack.control("POST", "/models/a/hold")[0] == 200
    assert not alive(pid)
    assert stack.state_of("a")["state"] == "held"
    waiting = stack.ask_later("a")
    wait_until(lambda: stack.state_of("a")["queued"] == 1, "the request queues")
    assert stack.control("POST", "/models/a/start")[0] == 409
    assert stack.control("POST", "/models/a/release")[0] == 200
    waiting.join(20)
    assert waiting.answer[0] == 200


def test_hold_drains_first(stack):
    """A stream that is running when the hold comes is finished, not cut."""
    stack.model("a", "--fake-chunks", "15", "--fake-chunk-s", "0.1")
    stack.up()
    stack.ask("a", chunk_s=0)
    asked = stack.ask_later("a", stream=True)
    wait_until(lambda: stack.state_of("a")["in_flight"] == 1, "it streams")
    assert stack.control("POST", "/models/a/hold")[0] == 200
    asked.join(5)
    assert asked.answer[0] == 200
    assert "[DONE]" in asked.answer[2]


def test_drain_timeout_bounds_a_hold(stack):
    """What is still in flight after `drain-timeout` is cut, even if the engine, as llama-server
    does, ignores TERM while it has clients."""
    stack.options["drain_timeout_s"] = 0.5
    stack.model("a", "--fake-think-s", "60", "--fake-ignore-sigterm")
    stack.up()
    asked = stack.ask_later("a")
    wait_until(lambda: stack.state_of("a")["in_flight"] == 1, "it computes")
    begin = time.monotonic()
    assert stack.control("POST", "/models/a/hold")[0] == 200
    assert 0.4 < time.monotonic() - begin < 4
    asked.join(10)
    assert not asked.is_alive()


def test_start_stop_restart(stack):
    """Each answers when it is done."""
    stack.model("a")
    stack.up()
    assert stack.control("POST", "/models/a/start")[0] == 200
    first = stack.state_of("a")
    assert first["state"] == "ready"
    assert stack.control("POST", "/models/a/restart")[0] == 200
    second = stack.state_of("a")
    assert second["state"] == "ready"
    assert second["pid"] != first["pid"]
    assert stack.control("POST", "/models/a/stop")[0] == 200
    assert stack.state_of("a")["state"] == "stopped"
    assert not alive(second["pid"])
    assert stack.control("POST", "/models/a/stop")[0] == 200


def test_start_of_a_model_that_fails(stack):
    """The answer carries the evidence."""
    stack.model("a", "--fake-exit", "1", "--fake-say", "bad magic")
    stack.up()
    status, body = stack.control("POST", "/models/a/start")
    assert status == 502
    assert "could not be started" in body["error"]
    assert "bad magic" in body["log_tail"]


def test_a_start_does_not_wait_for_the_back_off(stack):
    """Who asks for a start has mended what was wrong."""
    stack.model("a")
    in_the_way = stack.run / stack.models["a"].socket
    in_the_way.touch()
    stack.up()
    for _ in range(4):
        assert stack.control("POST", "/models/a/start")[0] == 502
    in_the_way.unlink()
    assert stack.control("POST", "/models/a/start")[0] == 200
    assert stack.state_of("a")["state"] == "ready"


def test_a_hold_in_progress_is_seen(stack):
    """`held` is said from its beginning, so that the next `apply` ends what another left."""
    stack.model("a", "--fake-think-s", "1")
    stack.up()
    asked = stack.ask_later("a")
    wait_until(lambda: stack.state_of("a")["in_flight"] == 1, "it computes")
    holding = later(lambda: stack.control("POST", "/models/a/hold"))
    shown = stack.wait_state("a", "draining")
    assert shown["held"]
    assert stack.control("POST", "/models/a/release")[0] == 200
    assert not stack.state_of("a")["held"]
    holding.join(10)
    asked.join(10)
    assert holding.answer[0] == 409
    assert asked.answer[0] == 200
    assert stack.ask("a", think_s=0)[0] == 200


def test_what_it_does_not_know(stack):
    """Strange paths, methods and bytes end in a plain answer or a closed connection."""
    stack.model("a")
    stack.up()
    sock = stack.run / "router.sock"
    assert stat.S_IMODE(sock.stat().st_mode) == 0o600
    assert call(sock, "GET", "/")[0] == 404
    assert call(sock, "POST", "/status")[0] == 405
    assert call(sock, "GET", "/models/a/start")[0] == 405
    assert call(sock, "POST", "/models/zz/start")[0] == 404
    assert call(sock, "POST", "/models/a/explode")[0] == 404
    import socket

    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(sock))
        raw.sendall(b"\x00\x01nonsense\r\n\r\n")
        assert raw.recv(100) == b""
    assert call(sock, "GET", "/status")[2]["schema"] == 1


def reload(stack):
    status, body = stack.control("POST", "/reload")
    assert status == 200, body
    return body["config_sha256"]


def test_reload_of_router_settings_disturbs_nobody(stack):
    """Another `ttl` and alias: same process, an open stream goes on, the alias acts."""
    stack.model("a", "--fake-chunks", "15", "--fake-chunk-s", "0.1")
    stack.up()
    stack.ask("a", chunk_s=0)
    pid = stack.state_of("a")["pid"]
    asked = stack.ask_later("a", stream=True)
    wait_until(lambda: stack.state_of("a")["in_flight"] == 1, "it streams")
    stack.model("a", *stack.flags["a"], ttl_s=7200.0, aliases=("other",))
    stack.write()
    digest = reload(stack)
    assert stack.status()["config_sha256"] == digest
    assert stack.ask("other", chunk_s=0)[0] == 200
    asked.join(10)
    assert "[DONE]" in asked.answer[2]
    assert stack.state_of("a")["pid"] == pid
    assert stack.state_of("a")["ttl_left_s"] > 3600


def test_reload_with_a_changed_digest_restarts_that_model_only(stack):
    """The stream that runs is finished, then the process is replaced; others keep theirs."""
    stack.model("a", "--fake-chunks", "10", "--fake-chunk-s", "0.1", mib=30)
    stack.model("b", mib=30)
    stack.up()
    stack.ask("a", chunk_s=0)
    stack.ask("b")
    pids = {m["name"]: m["pid"] for m in stack.status()["models"]}
    asked = stack.ask_later("a", stream=True)
    wait_until(lambda: stack.state_of("a")["in_flight"] == 1, "it streams")
    assert stack.control("POST", "/models/a/hold")[0] == 200
    stack.model("a", *stack.flags["a"], mib=30, digest="d2")
    stack.write()
    stack.reread()
    reload(stack)
    shown = stack.wait_state("a", "ready")
    assert shown["pid"] != pids["a"]
    assert shown["digest"] == "d2"
    asked.join(10)
    assert "[DONE]" in asked.answer[2]
    assert stack.state_of("b")["pid"] == pids["b"]


def test_reload_drains_a_changed_model_by_itself(stack):
    """Without a hold before, the router stops what changed, and starts it again if it ran."""
    stack.model("a", mib=30)
    stack.model("idle", mib=30)
    stack.up()
    stack.ask("a")
    pid = stack.state_of("a")["pid"]
    stack.model("a", mib=30, digest="d2")
    stack.model("idle", mib=30, digest="d2")
    stack.write()
    reload(stack)
    wait_until(lambda: stack.state_of("a")["pid"] not in (pid, None), "a new process")
    stack.wait_state("a", "ready")
    assert stack.state_of("idle")["state"] == "stopped"


def test_reload_adds_and_removes_models(stack):
    """A removed model's process is gone, a new one can be asked."""
    stack.model("a", mib=30)
    stack.up()
    stack.ask("a")
    pid = stack.state_of("a")["pid"]
    del stack.models["a"]
    stack.model("c", mib=30)
    stack.write()
    reload(stack)
    wait_until(lambda: not alive(pid), "the removed one is gone")
    stack.reread()
    assert stack.ask("c")[0] == 200
    assert [m["name"] for m in stack.status()["models"]] == ["c"]
    assert stack.ask("a")[0] == 404


@pytest.mark.parametrize("text", ["{", '{"schema": 1}', "[]", ""])
def test_a_bad_file_changes_nothing(stack, text):
    """400 says what is wrong with it, and the old configuration stays."""
    stack.model("a")
    stack.up()
    before = stack.status()["config_sha256"]
    (stack.folder / "router.json").write_text(text)
    status, body = stack.control("POST", "/reload")
    assert status == 400
    assert "router.json" in body["error"]
    assert stack.status()["config_sha256"] == before
    assert stack.ask("a")[0] == 200


def test_an_address_that_is_taken_changes_nothing(stack):
    """A configuration whose listener can't be bound is refused as a whole."""
    stack.model("a")
    stack.up()
    config = json.loads((stack.folder / "router.json").read_text())
    config["endpoints"].append(
        {**config["endpoints"][0], "name": "no", "path": str(stack.folder / "none" / "x.sock")}
    )
    config["models"][0]["aliases"] = ["alias"]
    (stack.folder / "router.json").write_text(json.dumps(config))
    assert stack.control("POST", "/reload")[0] == 400
    assert stack.ask("alias")[0] == 404
    assert stack.ask("a")[0] == 200


def test_hup_reloads(stack):
    """The signal does what `POST /reload` does."""
    stack.model("a")
    stack.up()
    before = stack.status()["config_sha256"]
    stack.model("a", aliases=("b",))
    stack.write()
    os.kill(stack.router.pid, signal.SIGHUP)
    wait_until(lambda: stack.status()["config_sha256"] != before, "the new one is in force")
    assert stack.ask("b")[0] == 200


def test_a_new_expectation_is_judged_anew(stack, short_tmp):
    """A plan that expects another size of a process that stays is compared with what that process
    said when it was loaded."""
    log = short_tmp / "log"
    log.write_text("load_tensors:          CPU model buffer size =   100.00 MiB\n")

    def expecting(mib):
        parts = (ExpectedPart(pool="host", part="weights", bytes=mib << 20, exact=True),)
        return Expect(engine="e", parts=parts)

    def differences():
        placement = stack.state_of("a")["placement"]
        return None if placement is None else len(placement["differences"])

    stack.model("a", "--fake-load-log", str(log), expect=expecting(100))
    stack.up()
    stack.ask("a")
    pid = stack.state_of("a")["pid"]
    wait_until(lambda: differences() == 0, "it is as planned")
    stack.models["a"] = stack.models["a"].replace(expect=expecting(300))
    stack.write()
    assert stack.control("POST", "/reload")[0] == 200
    wait_until(lambda: differences() == 1, "it is not as planned now")
    assert pid == stack.state_of("a")["pid"]
