"""Plan and apply against the real engine: what restarts, what does not."""

import json
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from .conftest import alive, wait_until

pytestmark = pytest.mark.real


def ask(stack, model, prompt="Say hello.", max_tokens=4, path="/v1/completions", **more):
    body = {"model": model, "prompt": prompt, "max_tokens": max_tokens, **more}
    request = urllib.request.Request(
        stack.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def get(stack, path):
    with urllib.request.urlopen(stack.url + path, timeout=30) as answer:
        return answer.read()


def refused(stack, model):
    """Status, headers and error of a request that is not served."""
    with pytest.raises(urllib.error.HTTPError) as answer:
        ask(stack, model)
    with answer.value as error:
        return error.code, error.headers, error.read().decode()


def test_plan_after_apply_has_nothing_to_do(stack, spec_text):
    """After an apply a plan is empty; comments, table order and whitespace do not fill it again."""
    stack.write(spec_text())
    stack.cli("lock")
    assert "smollm2" in stack.cli("plan", "--detailed-exitcode", expect=2)
    stack.cli("apply", "--yes")
    ask(stack, "smollm2")
    pids = {part: stack.pid(part) for part in ("supervisord", "router", "smollm2")}
    assert None not in pids.values()
    assert "no changes" in stack.cli("plan", "--detailed-exitcode").lower()

    text = stack.spec.read_text()
    head, gemma = text.split("[models.gemma3]")
    gemma, rest = gemma.split("[endpoints.main]")
    smollm2 = head.split("[models.smollm2]")[1]
    head = head.split("[models.smollm2]")[0]
    stack.spec.write_text(
        "# a comment\n" + head + "[models.gemma3]" + gemma + "[models.smollm2]" + smollm2
        + "[endpoints.main]\n\n\n  " + rest.strip() + "\n"
    )  # fmt: skip
    stack.cli("plan", "--detailed-exitcode")
    stack.cli("apply", "--yes")
    assert pids == {part: stack.pid(part) for part in pids}


def test_ttl_alias_and_sampling_edits_reload_the_router_only(stack, spec_text):
    """Router edits leave PIDs and an open stream alone; the new alias and defaults act at once."""
    stack.write(spec_text())
    stack.apply()
    ask(stack, "smollm2")
    pids = {part: stack.pid(part) for part in ("router", "smollm2")}
    body = {"model": "smollm2", "prompt": "1 2 3", "max_tokens": 700, "stream": True,
            "ignore_eos": True}  # fmt: skip
    request = urllib.request.Request(stack.url + "/v1/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=120) as stream:
        assert stream.readline().startswith(b"data: ")
        stack.edit(
            'aliases = ["gpt-4o-mini"]',
            'aliases = ["tiny"]\nttl = "1h"\nsampling = { temperature = 0.0 }',
        )
        shown = stack.cli("plan", "--detailed-exitcode", expect=2)
        assert "router" in shown
        stack.cli("apply", "--yes")
        chunks = stream.read()
    assert chunks.rstrip().endswith(b"data: [DONE]"), chunks[-300:]
    assert pids == {part: stack.pid(part) for part in pids}
    assert ask(stack, "tiny:latest")["choices"][0]["text"]
    assert 404 == refused(stack, "gpt-4o-mini")[0]
    stack.cli("plan", "--detailed-exitcode")


def test_ctx_size_edit_restarts_that_model_alone(stack, spec_text):
    """A new context changes that model's process alone, and is what its engine reports."""
    stack.write(spec_text())
    stack.apply()
    ask(stack, "smollm2")
    ask(stack, "gemma3")
    before = {part: stack.pid(part) for part in ("supervisord", "router", "smollm2", "gemma3")}
    stack.edit("[models.gemma3]", "[models.gemma3]\nctx-size = 1024")
    shown = stack.cli("plan", "--detailed-exitcode", expect=2)
    assert "2048" in shown
    assert "1024" in shown
    stack.cli("apply", "--yes")
    ask(stack, "gemma3")
    after = {part: stack.pid(part) for part in before}
    assert after.pop("gemma3") != before.pop("gemma3")
    assert before == after
    props = json.loads(get(stack, "/props?model=gemma3"))
    assert 1024 == props["default_generation_settings"]["n_ctx"]


def test_an_edit_lets_a_stream_of_the_edited_model_finish(stack, spec_text):
    """Apply drains: a running stream of the very model that restarts is not cut."""
    stack.write(spec_text())
    stack.apply()
    body = {"model": "smollm2", "prompt": "1 2 3", "max_tokens": 250, "stream": True,
            "ignore_eos": True}  # fmt: skip
    request = urllib.request.Request(stack.url + "/v1/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=120) as stream:
        stream.readline()
        old = stack.pid("smollm2")
        stack.edit("[models.smollm2]", "[models.smollm2]\nctx-size = 1024")
        applying = threading.Thread(target=stack.cli, args=("apply", "--yes"))
        applying.start()
        rest = stream.read()
        applying.join()
    assert rest.rstrip().endswith(b"data: [DONE]")
    assert not alive(old)
    ask(stack, "smollm2")
    assert stack.pid("smollm2") not in (None, old)


def test_startup_models_answer_before_apply_is_done(stack, spec_text):
    """`load = "startup"` runs when apply returns, and a start that fails is rolled back."""
    stack.write(spec_text())
    stack.edit("[models.smollm2]", '[models.smollm2]\nload = "startup"')
    stack.apply()
    pid = stack.pid("smollm2")
    assert pid is not None
    assert "ready" == stack.model("smollm2")["state"]

    # the engine accepts the flag and then can't read the file: a failed gate
    stack.edit(
        "[models.smollm2]", '[models.smollm2]\nextra-args = ["--grammar-file", "/nonexistent"]'
    )
    failed = stack.run("apply", "--yes")
    assert 3 == failed.returncode, failed.stdout + failed.stderr
    assert "nonexistent" in failed.stdout + failed.stderr
    ask(stack, "smollm2")
    assert stack.pid("smollm2") is not None
    generations = json.loads(stack.cli("generations", "--json"))
    assert generations


def test_rollback_returns_to_the_generation_before(stack, spec_text):
    """`rollback` brings the old context back; `plan` of the newer spec then has changes again."""
    stack.write(spec_text())
    stack.apply()
    stack.edit("[models.smollm2]", "[models.smollm2]\nctx-size = 1024")
    stack.cli("apply", "--yes")
    stack.cli("rollback", "--yes")
    ask(stack, "smollm2")
    props = json.loads(get(stack, "/props?model=smollm2"))
    assert 2048 == props["default_generation_settings"]["n_ctx"]
    stack.cli("plan", "--detailed-exitcode", expect=2)


def test_down_leaves_nothing(stack, spec_text):
    """After `down` no process, socket or run folder is left, and `apply` brings all back."""
    stack.write(spec_text())
    stack.apply()
    ask(stack, "smollm2")
    runs = {Path(a).parent for a in _sockets(stack)}
    assert runs
    stack.cli("down", "--yes")
    assert [] == stack.processes()
    assert not any(run.exists() for run in runs)
    stack.cli("plan", "--detailed-exitcode", expect=2)
    stack.cli("apply", "--yes")
    ask(stack, "smollm2")


def _sockets(stack):
    found = set()
    for process in stack.processes():
        for word in process.cmdline():
            if word.endswith(".sock"):
                found.add(word)
    return found


def test_verbs_on_a_running_stack(stack, spec_text):
    """`start`, `stop`, `restart`, `logs` and `chat` do what their names say."""
    stack.write(spec_text())
    stack.apply()
    stack.cli("start", "smollm2")
    first = stack.pid("smollm2")
    assert first is not None
    stack.cli("restart", "smollm2")
    second = stack.pid("smollm2")
    assert second not in (None, first)
    assert "llama" in stack.cli("logs", "smollm2").lower()
    assert stack.cli("chat", "smollm2", "Say hello.").strip()
    stack.cli("stop", "smollm2")
    wait_until(lambda: not alive(second), "smollm2 is gone", 10)
    assert "stopped" == stack.model("smollm2")["state"]
    assert 1 == stack.run("start", "nobody").returncode
