"""The verbs of a stack's life, on a stack of fake models under a real supervisord."""

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import ClassVar

import pytest

from llmdecl.activate.ask import Door
from llmdecl.activate.exclusive import exclusive
from llmdecl.activate.talk import Conversation
from llmdecl.cli import apply as apply_verb
from llmdecl.cli import lifecycle, run
from llmdecl.cli import plan as plan_verb
from llmdecl.diagnostics import Failure
from tests.activate.conftest import Machine, artefacts, content, model, stack_plan, wait_until


@pytest.fixture
def machine():
    one = Machine()
    yield one
    one.end()


class Cli:
    """Verbs in this process, on the folders of `machine`, with a spec that compiles to `plan`."""

    def __init__(self, machine, monkeypatch, capsys):
        self.machine, self.capsys, self.options = machine, capsys, {}
        self.plan = stack_plan(model("smol", aliases=("tiny",)), model("gemma"))
        self.fetched = []
        monkeypatch.setenv("LLMDECL_STATE_DIR", str(machine.folders.state))
        monkeypatch.setenv("LLMDECL_STORE_DIR", str(machine.folders.store))
        monkeypatch.setenv("LLMDECL_CACHE_DIR", str(machine.folders.cache))
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        for verb in (plan_verb, apply_verb):
            monkeypatch.setattr(verb, "compile_stack", self.compile)
            monkeypatch.setattr(verb, "require_plan", lambda stack: None)
        monkeypatch.setattr(apply_verb, "load_valid_spec", lambda path: (None, None))
        monkeypatch.setattr(lifecycle, "spec_from", lambda path: None)
        monkeypatch.setattr(lifecycle, "content_of", lambda stack: stack.content)
        monkeypatch.setattr(lifecycle, "fetch", lambda *words: self.fetched.append(words))

    def compile(self, spec, where, facts_file=None):
        return SimpleNamespace(content=content(self.plan, **self.options), spec=None)

    def __call__(self, *words, expect=0):
        self.capsys.readouterr()
        status = run(list(words))
        said = self.capsys.readouterr()
        self.out, self.err = said.out, said.err
        assert expect == status, f"{words} -> {status}\n{said.out}\n{said.err}"
        return said.out

    def fails(self, code, *words, status=1):
        self(*words, expect=status)
        assert code in self.err, self.err


@pytest.fixture
def cli(machine, monkeypatch, capsys):
    return Cli(machine, monkeypatch, capsys)


def test_plan_apply_plan(cli, machine):
    """Plan shows and changes nothing; apply does it; the next plan and apply have no changes."""
    shown = cli("plan", "--detailed-exitcode", expect=2)
    assert "+ models.smol" in shown
    assert "memory of host" in shown
    assert not machine.folders.state.exists()
    cli("plan")
    cli("apply", "--yes")
    assert "generation 1 is in force" in cli.out
    assert 1 == len(cli.fetched)
    assert "no changes" in cli("plan", "--detailed-exitcode")
    assert "no changes" in cli("apply")
    assert 1 == len(cli.fetched)


def test_plan_as_json(cli):
    """Changes, restarts and the memory ledger, in bytes."""
    report = json.loads(cli("plan", "--format", "json"))
    assert 1 == report["schema"]
    assert {"symbol", "address", "effect", "reason", "consequence"} == set(report["changes"][0])
    (pool,) = report["memory"]
    assert ("host", 3 << 30) == (pool["pool"], pool["budget_bytes"])
    assert [100 << 20] * 2 == [m["total_bytes"] for m in pool["models"]]


def test_apply_asks(cli, machine, monkeypatch):
    """Without a terminal, apply wants --yes (status 64) and does nothing; on one, `n` aborts."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    cli.fails("LD617", "apply", status=64)
    assert {} == machine.pids()
    asked = []

    def no(question, **options):
        import click

        asked.append(question)
        raise click.Abort

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(lifecycle.click, "confirm", no)
    cli("apply", expect=130)
    assert asked
    assert {} == machine.pids()


def test_a_saved_plan_is_applied_or_refused(cli, machine, tmp_path):
    """A saved plan is applied as saved, whatever the spec says now; not once the stack moved on."""
    file = tmp_path / "saved"
    cli("plan", "--out", str(file))
    planned = cli.plan
    cli.plan = stack_plan(model("other"))
    cli("apply", str(file), "--yes")
    assert not machine.diff(planned)
    cli.fails("LD616", "apply", str(file), "--yes")
    file.write_text('{"kind": "llmdecl plan", "schema": 99}')
    cli.fails("LD618", "apply", str(file), "--yes")


def test_status(cli, machine):
    """Nothing, down, up: people get a table, programs JSON; --drift has an exit status."""
    assert "nothing was applied yet" in cli("status")
    assert [] == json.loads(cli("status", "--json"))["models"]
    cli("apply", "--yes")
    cli("start", "smol")
    report = json.loads(cli("status", "--json"))
    assert (1, 1, []) == (report["schema"], report["generation"], report["drift"])
    smol = next(m for m in report["models"] if m["name"] == "smol")
    assert ("ready", machine.pid("smol")) == (smol["state"], smol["pid"])
    assert re.search(r"smol +ready +\d+ +100.0 MiB", cli("status", "--drift"))
    cli("down", "--yes")
    report = json.loads(cli("status", "--json", "--drift", expect=2))
    assert {"stopped"} == {m["state"] for m in report["models"]}
    assert ["supervisord"] == [change["address"] for change in report["drift"]]
    assert "generation 1 is down" in cli("status")


def test_start_stop_restart(cli, machine):
    """By name or alias, through the router; unknown names and a stack that is down are said."""
    cli.fails("LD614", "start", "smol")
    cli("apply", "--yes")
    cli("start", "tiny", "gemma")
    first = machine.pid("smol")
    assert first
    assert machine.pid("gemma")
    cli("restart", "smol")
    assert machine.pid("smol") not in (None, first)
    cli("stop", "smol")
    assert machine.pid("smol") is None
    cli.fails("LD613", "start", "smoll")
    assert "did you mean `smol`?" in cli.err
    cli("down", "--yes")
    cli.fails("LD612", "stop", "smol")


def test_a_model_that_does_not_start(cli):
    """The end of its log is in the diagnostic, and the status is 3."""
    cli.plan = stack_plan(model("smol", args=[("--fake-exit", 1)]))
    cli("apply", "--yes")
    cli.fails("LD608", "start", "smol", status=3)
    assert "scripted failure" in cli.err


def test_generations_and_rollback(cli, machine):
    """Rollback goes to the one before, or to the named one; the list says what is in force."""
    assert [] == json.loads(cli("generations", "--json"))["generations"]
    cli.fails("LD614", "rollback", "--yes")
    first = cli.plan
    cli("apply", "--yes")
    cli.plan = stack_plan(model("smol", ctx=8192), model("gemma"))
    cli("apply", "--yes")
    assert "ctx-size 4096 -> 8192" in cli("generations")
    cli("rollback", "--yes")
    assert not machine.diff(first)
    listed = json.loads(cli("generations", "--json"))["generations"]
    assert [(1, True, True), (2, False, False)] == [
        (entry["number"], entry["current"], entry["wanted"]) for entry in listed
    ]
    cli("rollback", "2", "--yes")
    assert not machine.diff(cli.plan)
    cli.fails("LD614", "rollback", "9", "--yes")
    router = machine.folders.state / "generations" / "1" / "router.json"
    router.chmod(0o644)
    router.write_text("{}")
    cli.fails("LD615", "rollback", "1", "--yes")
    assert "damaged" in cli("generations")


def test_logs(cli, machine):
    """Logs by name; none yet is said; unknown models are."""
    cli.fails("LD620", "logs", "router")
    cli("apply", "--yes")
    cli("start", "smol")
    assert "listening" in cli("logs", "smol")
    assert "listening" in cli("logs", "tiny")
    assert 1 == len(cli("logs", "smol", "-n", "1").splitlines())
    assert cli("logs")
    assert "spawned" in cli("logs", "supervisord")
    cli.fails("LD620", "logs", "gemma")
    cli.fails("LD613", "logs", "nobody")


def test_logs_follow_through_rotation(cli, machine):
    """`logs -f` goes on with the new file when the old one is rotated away; ^C is status 130."""
    logs = machine.folders.state / "logs"
    logs.mkdir(parents=True)
    log = logs / "router.log"
    log.write_text("one\n")
    environment = {k: v for k, v in os.environ.items() if k != "XDG_RUNTIME_DIR"}
    with subprocess.Popen(
        [sys.executable, "-m", "llmdecl", "logs", "router", "-f"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**environment, "PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        try:
            assert "one\n" == process.stdout.readline()
            with log.open("a") as file:
                file.write("two\n")
            assert "two\n" == process.stdout.readline()
            with log.open("a") as file:
                file.write("three\n")
                log.rename(logs / "router.log.1")
            assert "three\n" == process.stdout.readline()
            log.write_text("four\n")
            assert "four\n" == process.stdout.readline()
        finally:
            process.send_signal(signal.SIGINT)
        assert "" == process.stdout.read()
        assert "Traceback" not in process.stderr.read()
    assert 130 == process.returncode


def test_a_second_apply_is_told_who_holds_the_lock(cli, machine):
    """One change at a time; the diagnostic names verb and PID."""
    with exclusive(machine.folders.state, "apply"):
        for verb in ("apply", "rollback", "down"):
            cli.fails("LD602", verb, "--yes")
            assert f"PID {os.getpid()}" in cli.err
    cli("apply", "--yes")


def test_a_state_folder_that_cannot_be_written(cli, machine):
    """Said as a diagnostic; nothing was changed, so the status is 1."""
    machine.folders.state.parent.mkdir(parents=True, exist_ok=True)
    blocker = machine.folders.state.with_name("file")
    blocker.write_text("")
    for verb in ("apply", "rollback"):
        cli.fails("LD626", verb, "--yes", "--state-dir", str(blocker / "state"))


def test_help_keeps_its_lines(cli):
    """The first steps are a list, not a paragraph."""
    assert "\n    llmdecl check    say what is wrong" in cli("--help")
    assert "\b" not in cli.out


def test_down(cli, machine):
    """Down of nothing is fine; down stops everything; twice is fine too."""
    assert "nothing runs" in cli("down")
    cli("apply", "--yes")
    cli("start", "smol")
    assert "everything is stopped" in cli("down", "--yes")
    assert {} == machine.pids()
    assert not machine.folders.run.exists()
    assert "nothing runs" in cli("down")


@pytest.mark.parametrize("character", ['"', "\\", "%", "\n"])
def test_a_folder_that_cannot_be_quoted(cli, character, monkeypatch, tmp_path):
    """Supervisord's quotes can't carry it: a diagnostic, before anything is changed."""
    state = tmp_path / f"a{character}b"
    monkeypatch.setenv("LLMDECL_STATE_DIR", str(state))
    for verb in (["plan"], ["apply", "--yes"], ["down"]):
        cli.fails("LD601", *verb)
    assert not state.exists()


class Endpoint(http.server.BaseHTTPRequestHandler):
    """An endpoint that streams what it was asked, or fails."""

    seen: ClassVar[list] = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append((self.path, body, self.headers.get("Authorization")))
        words = body.get("prompt") or body["messages"][-1]["content"]
        if words == "fail":
            data = b'{"error": {"message": "no memory"}}'
            self.send_response(503)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_response(200)
        self.end_headers()
        for piece in ("you said ", words):
            choice = {"text": piece} if "prompt" in body else {"delta": {"content": piece}}
            self.wfile.write(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
        if words != "break":
            self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *words):
        """Quiet."""


@pytest.fixture
def endpoint():
    Endpoint.seen = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_chat(cli, tmp_path, monkeypatch):
    """One question through the endpoint, with its key, or a conversation."""
    keys = tmp_path / "keys"
    keys.write_text("# mine\nsecret\n")
    keys.chmod(0o600)
    plan = stack_plan(model("smol"), model("text", task="completion"), model("e", task="embedding"))
    main = plan.endpoints[0].replace(apis=("openai",), api_keys_file=str(keys))
    cli.plan = plan.replace(endpoints=(main,))
    cli("apply", "--yes")
    answer = "token0 token1 token2 token3 token4 \n"
    assert answer == cli("chat", "smol", "hello", "--max-tokens", "3")
    assert answer == cli("chat", "text", "hello")
    cli.fails("LD621", "chat", "e", "hello")
    lines = iter(["first", "second", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    assert 2 * answer == cli("chat", "smol")
    keys.unlink()
    cli.fails("LD621", "chat", "smol", "hello")


def test_a_conversation_remembers(endpoint):
    """What was said is part of the next question; errors and broken streams are said."""
    door = Door("127.0.0.1", endpoint, None, "key")
    talk = Conversation(door, "smol", task="chat", max_tokens=3)
    assert "you said one" == "".join(talk.say("one"))
    assert "you said two" == "".join(talk.say("two"))
    path, body, key = Endpoint.seen[-1]
    assert ("/v1/chat/completions", 3, "Bearer key") == (path, body["max_tokens"], key)
    assert ["user", "assistant", "user"] == [m["role"] for m in body["messages"]]
    for words, reason in (("fail", "no memory"), ("break", "broke off")):
        with pytest.raises(Failure, match=reason):
            list(talk.say(words))


def test_an_interrupted_apply_is_finished_by_the_next(cli, machine, monkeypatch):
    """^C in the middle is status 130; status says that a change was interrupted; apply finishes."""
    from llmdecl.activate import steps

    with monkeypatch.context() as patch:

        def interrupted(task, goal):
            raise KeyboardInterrupt

        patch.setattr(steps, "router_up", interrupted)
        cli("apply", "--yes", expect=130)
    assert "interrupted" in cli("plan", "--detailed-exitcode", expect=2)
    cli("apply", "--yes")
    assert "no changes" in cli("plan", "--detailed-exitcode")


def test_a_failed_apply_says_what_it_saw(cli, machine):
    """Status 3, the end of the model's log, and the earlier generation in force."""
    cli("apply", "--yes")
    good = cli.plan
    cli.plan = stack_plan(model("smol", load="startup", args=[("--fake-exit", 1)]))
    cli.fails("LD608", "apply", "--yes", status=3)
    assert "scripted failure" in cli.err
    cli.plan = good
    assert "no changes" in cli("plan", "--detailed-exitcode")
    assert wait_until(lambda: machine.pid("router"), "the router runs")


def test_artefacts_of_the_harness_are_the_plans():
    """The hand-made artefacts depend on nothing but the plan."""
    plan = stack_plan(model("smol"))
    assert artefacts(plan) == artefacts(plan)
