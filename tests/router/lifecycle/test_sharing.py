"""Models that can't be loaded together, and queues with bounds."""

import re

from .conftest import alive, call, wait_until


def starts(stack, name):
    return (stack.logs / f"model-{name}.log").read_text().count("listening")


def test_a_swap(stack):
    """The idle one makes room for the one that is asked."""
    stack.model("a")
    stack.model("b")
    stack.up()
    stack.ask("a")
    pid = stack.state_of("a")["pid"]
    assert stack.ask("b")[0] == 200
    assert not alive(pid)
    assert stack.status()["pools"][0]["claimed_bytes"] <= stack.budget


def test_a_busy_model_is_not_evicted(stack):
    """Its stream is finished before another takes its place."""
    stack.model("a", "--fake-chunks", "20", "--fake-chunk-s", "0.1")
    stack.model("b")
    stack.up()
    stack.ask("a", chunk_s=0)
    streaming = stack.ask_later("a", stream=True)
    wait_until(lambda: stack.state_of("a")["in_flight"] == 1, "it streams")
    assert stack.ask("b")[0] == 200
    streaming.join(5)
    assert "[DONE]" in streaming.answer[2]


def test_fifty_clients_and_two_models_that_can_not_coexist(stack):
    """All are answered and the swaps are few: callers are served in batches."""
    stack.options["queue_timeout_s"] = 60.0
    for name in "ab":
        stack.model(name, "--fake-think-s", "0.05", "--parallel", "4")
    stack.up()
    clients = [stack.ask_later("ab"[n % 2], timeout=90) for n in range(50)]
    for client in clients:
        client.join(90)
        assert client.answer is not None
        assert client.answer[0] == 200
    assert starts(stack, "a") + starts(stack, "b") <= 4
    log = (stack.logs / "router.log").read_text()
    assert not re.search(r"crash|died|no arrow", log)


def test_a_model_that_never_fits(stack):
    """It is refused at once, and the answer says why."""
    stack.model("a", mib=500)
    stack.up()
    status, _, body = stack.ask("a")
    assert status == 503
    assert "more memory than the budget" in str(body)
    assert stack.control("POST", "/models/a/start")[0] == 503


def test_beside_a_permanent_one(stack):
    """A model for startup is never evicted; who does not fit beside it is told so."""
    stack.model("s", load="startup")
    stack.model("a")
    stack.up()
    stack.wait_state("s", "ready")
    status, _, body = stack.ask("a")
    assert status == 503
    assert "`s`" in str(body)


def test_a_full_queue(stack):
    """Beyond `queue-size` a request gets 429 with `Retry-After`."""
    stack.options["queue_size"] = 3
    stack.model("a", "--fake-load-s", "1.5")
    stack.up()
    waiting = [stack.ask_later("a") for _ in range(3)]
    wait_until(lambda: stack.state_of("a")["queued"] == 3, "three wait")
    status, headers, _ = stack.ask("a")
    assert status == 429
    assert int(headers["Retry-After"]) >= 1
    for thread in waiting:
        thread.join(20)
        assert thread.answer[0] == 200


def test_waiting_too_long(stack):
    """Behind a busy model a request waits `queue-timeout` and gets 503; the busy one goes on."""
    stack.options["queue_timeout_s"] = 0.7
    stack.model("a", "--fake-chunks", "25", "--fake-chunk-s", "0.1")
    stack.model("b")
    stack.up()
    stack.ask("a", chunk_s=0)
    streaming = stack.ask_later("a", stream=True)
    wait_until(lambda: stack.state_of("a")["in_flight"] == 1, "it streams")
    status, headers, body = stack.ask("b")
    assert status == 503, body
    assert int(headers["Retry-After"]) >= 1
    streaming.join(10)
    assert "[DONE]" in streaming.answer[2]
    assert stack.ask("a", chunk_s=0)[0] == 200


def test_shared_weights_count_once(stack):
    """Two models on one mapped file fit together."""
    from llmdecl.router.config import Claim

    shared = Claim(pool="host", bytes=80 << 20, shared="weights")
    stack.model("a", claims=(shared, Claim(pool="host", bytes=5 << 20)))
    stack.model("b", claims=(shared, Claim(pool="host", bytes=5 << 20)))
    stack.up()
    stack.ask("a")
    stack.ask("b")
    assert {m["state"] for m in stack.status()["models"]} == {"ready"}
    assert stack.status()["pools"][0]["claimed_bytes"] == 90 << 20


def test_metrics_count_what_happened(stack):
    """Starts, failed starts, evictions and unloads by model, without waking anybody."""
    stack.model("a")
    stack.model("b", ttl_s=0.3)
    stack.model("c", "--fake-exit", "1")
    stack.up()
    for name in "abc":
        stack.ask(name)
    stack.wait_state("b", "stopped")
    text = call(stack.run / "main.sock", "GET", "/metrics")[2]
    for line in (
        'starts_total{model="a"} 1.0',
        'starts_total{model="b"} 1.0',
        'failed_starts_total{model="c"} 1.0',
        'evictions_total{model="a"} 1.0',
    ):
        assert line in text
    gone = ('evictions_total{model="b"} 1.0', 'unloads_total{model="b"} 1.0')
    assert any(line in text for line in gone)
