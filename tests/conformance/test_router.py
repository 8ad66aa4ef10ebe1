"""The router in front of real models: on demand, idle unload, swap, and clients as they are."""

import json
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import openai
import psutil
import pytest

from .conftest import alive, wait_until
from .test_apply import ask, get, refused

pytestmark = pytest.mark.real


def test_openai_client(stack, spec_text, smollm2):
    """The `openai` package: chat, stream, completions, embeddings, models, and a wrong model."""
    stack.write(
        spec_text()
        + f'\n[models.embed]\nsource = "file:{smollm2}"\ntask = "embedding"\npooling = "mean"\n'
    )
    stack.apply()
    client = openai.OpenAI(base_url=stack.url + "/v1", api_key="none", max_retries=0)
    messages = [{"role": "user", "content": "Say hello."}]
    chat = client.chat.completions.create(model="smollm2", messages=messages, max_tokens=8)
    assert chat.choices[0].message.content
    with client.chat.completions.create(
        model="gpt-4o-mini", messages=messages, max_tokens=8, stream=True
    ) as stream:
        assert "".join(part.choices[0].delta.content or "" for part in stream if part.choices)
    assert client.completions.create(model="gemma3", prompt="1 2 3", max_tokens=4).choices[0].text
    vectors = client.embeddings.create(model="embed", input=["one", "two"]).data
    assert [576, 576] == [len(vector.embedding) for vector in vectors]
    assert {"smollm2", "gemma3", "embed"} <= {model.id for model in client.models.list()}
    with pytest.raises(openai.NotFoundError) as wrong:
        client.chat.completions.create(model="gpt-9", messages=messages)
    assert "model_not_found" == wrong.value.code
    client.close()


def test_idle_models_go_and_their_memory_is_free(stack, spec_text):
    """Past `ttl` the process is gone, its memory with it; the next request starts it again."""
    stack.write(spec_text())
    stack.edit('ttl = "10m"', 'ttl = "1s"')
    stack.apply()
    assert stack.pid("smollm2") is None
    ask(stack, "smollm2")
    pid = stack.pid("smollm2")
    assert psutil.Process(pid).memory_info().rss > 90 << 20
    wait_until(lambda: not alive(pid), "the idle model is gone", 15)
    ask(stack, "smollm2")
    assert stack.pid("smollm2") not in (None, pid)


def test_a_stream_longer_than_ttl_is_not_cut(stack, spec_text):
    """Idle time counts from the end of the last request, not from its beginning."""
    stack.write(spec_text())
    stack.edit('ttl = "10m"', 'ttl = "500ms"')
    stack.apply()
    body = {"model": "smollm2", "prompt": "1 2 3", "max_tokens": 400, "stream": True,
            "ignore_eos": True}  # fmt: skip
    request = urllib.request.Request(stack.url + "/v1/completions", json.dumps(body).encode())
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=120) as stream:
        text = stream.read()
    assert time.monotonic() - began > 0.5
    assert text.rstrip().endswith(b"data: [DONE]")


def test_fifty_clients_and_two_models_that_cannot_coexist(stack, spec_text):
    """All are answered, nobody is evicted while it serves, and the number of swaps is bounded."""
    stack.write(spec_text("1000MiB"))
    stack.apply()
    began = time.monotonic()

    def one(number: int) -> str:
        return ask(stack, ("smollm2", "gemma3")[number % 2])["choices"][0]["finish_reason"]

    with ThreadPoolExecutor(50) as pool:
        reasons = list(pool.map(one, range(50)))
    took = time.monotonic() - began
    assert 50 == len(reasons)
    assert set(reasons) <= {"length", "stop"}
    metrics = get(stack, "/metrics").decode()
    starts = sum(
        float(line.split()[-1])
        for line in metrics.splitlines()
        if line.startswith("llmdecl_router_starts_total{")
    )
    assert 2 <= starts <= 2 + took / 1.0, metrics
    ready = [model for model in stack.status()["models"] if model["state"] == "ready"]
    assert 1 == len(ready)


def test_sigkill_of_the_router(stack, spec_text):
    """The next router adopts what runs: same PID, and it answers."""
    stack.write(spec_text())
    stack.apply()
    ask(stack, "smollm2")
    model, router = stack.pid("smollm2"), stack.pid("router")
    psutil.Process(router).kill()
    wait_until(lambda: stack.pid("router") not in (None, router), "a new router", 15)
    wait_until(lambda: _answers(stack), "the new router answers", 15)
    ask(stack, "smollm2")
    assert model == stack.pid("smollm2")


def _answers(stack) -> bool:
    try:
        return bool(get(stack, "/health"))
    except OSError:
        return False


def test_sigkill_of_a_model(stack, spec_text):
    """The next request starts it again."""
    stack.write(spec_text())
    stack.apply()
    ask(stack, "smollm2")
    pid = stack.pid("smollm2")
    psutil.Process(pid).kill()
    wait_until(lambda: not alive(pid), "the model is dead", 5)
    assert ask(stack, "smollm2")["choices"]
    assert stack.pid("smollm2") not in (None, pid)


def test_sigkill_of_supervisord(stack, spec_text):
    """What ran is served on; the next apply ends what was left and brings everything back."""
    stack.write(spec_text())
    stack.apply()
    ask(stack, "smollm2")
    old = {process.pid for process in stack.processes()}
    psutil.Process(stack.pid("supervisord")).kill()
    assert ask(stack, "smollm2")["choices"]
    stack.cli("plan", "--detailed-exitcode", expect=2)
    stack.cli("apply", "--yes")
    assert not any(alive(pid) for pid in old)
    ask(stack, "smollm2")
    stack.cli("plan", "--detailed-exitcode")


def test_a_model_that_fails_to_start_says_why(stack, spec_text):
    """502 or 503 with the tail of its log in OpenAI's shape; other models do not notice."""
    stack.write(spec_text())
    stack.edit(
        "[models.gemma3]", '[models.gemma3]\nextra-args = ["--grammar-file", "/nonexistent"]'
    )
    stack.apply()
    code, _, text = refused(stack, "gemma3")
    assert code in (502, 503)
    assert "nonexistent" in text
    code, headers, _ = refused(stack, "gemma3")
    assert 503 == code
    assert int(headers["Retry-After"]) >= 1
    assert ask(stack, "smollm2")["choices"]


def test_first_requests_together_start_it_once(stack, spec_text):
    """Twenty first requests, one process."""
    stack.write(spec_text())
    stack.apply()
    seen = set()
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(stack.pid("smollm2"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(stack, "smollm2", max_tokens=1), range(20)))
    stop.set()
    watcher.join()
    assert 20 == len(answers)
    assert 1 == len(seen - {None})
