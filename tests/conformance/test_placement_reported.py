"""The real engine's log next to the plan: on the CPU, on a device of another process, and lost."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from .conftest import free_port, wait_until

DEVICES = """
[[host.devices]]
id = "far"
backend = "rpc"
endpoint = "127.0.0.1:{port}"
memory = "4GiB"
"""


class RpcServer:
    """ggml-rpc-server on a port: a device on another machine."""

    def __init__(self, program):
        self.port = free_port()
        self.process = subprocess.Popen(
            [str(program), "--host", "127.0.0.1", "--port", str(self.port), "--threads", "1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@pytest.fixture
def rpc(llama_server):
    server = RpcServer(Path(llama_server).resolve().with_name("ggml-rpc-server"))
    time.sleep(0.3)
    yield server
    server.end()


def metrics(stack):
    with urllib.request.urlopen(f"{stack.url}/metrics", timeout=10) as answer:
        return answer.read().decode()


def test_cpu_models_are_as_planned(stack, spec_text):
    """Both models start where they were planned, and every buffer is as large as planned; plan and
    status show what was measured, and the next plan has no changes."""
    stack.write(spec_text().replace('ttl = "10m"', 'ttl = "10m"\nload = "startup"'))
    stack.apply()
    for name in ("smollm2", "gemma3"):
        placement = stack.model(name)["placement"]
        assert placement["differences"] == []
        assert placement["where"] == "CPU"
        assert placement["memory"]["host"] > 90 << 20
    text = metrics(stack)
    assert 'llmdecl_model_placement_mismatch{model="gemma3"} 0.0' in text
    assert 'llmdecl_model_memory_bytes{model="gemma3",pool="host"}' in text
    assert "CPU" in stack.cli("status")
    kept = stack.folder / "state" / "measured"
    wait_until(lambda: len(list(kept.glob("*.json"))) == 2, "both measurements are kept")
    said = stack.cli("plan", "--detailed-exitcode")
    assert "no changes" in said
    assert "measured here" in said
    rows = json.loads(stack.cli("plan", "--format", "json"))["measured"]
    assert [row["model"] for row in rows] == ["gemma3", "smollm2"]
    for row in rows:
        assert abs(row["measured_bytes"] - row["planned_bytes"]) < 0.01 * row["planned_bytes"]


def test_a_device_is_as_planned_and_its_loss_is_said(stack, spec_text, rpc):
    """A model on a device of another process is there with every layer and byte, beside one on the
    CPU (a server computes for one process at a time). Once that process is gone, apply fails with
    the cause instead of computing somewhere else."""
    text = spec_text() + DEVICES.format(port=rpc.port)
    text = text.replace('task = "completion"', 'task = "completion"\nn-gpu-layers = 0')
    stack.write(text.replace('ttl = "10m"', 'ttl = "10m"\nload = "startup"'))
    stack.apply()
    for name, where in (("smollm2", "far 31/31 layers"), ("gemma3", "CPU")):
        placement = stack.model(name)["placement"]
        assert placement["differences"] == []
        assert placement["where"] == where
    assert stack.model("smollm2")["placement"]["memory"]["far"] > 90 << 20
    rpc.end()
    stack.edit("ctx-size = 2048", "ctx-size = 4096")
    done = stack.run("apply", "--yes")
    assert done.returncode == 3
    assert "RPC server does not answer" in done.stderr + done.stdout


def test_plan_verify(stack, spec_text, rpc):
    """`plan --verify` loads both models with their planned flags, on the CPU and on a device, and
    every part is as planned; a spec whose device has gone is an error with the cause."""
    text = spec_text() + DEVICES.format(port=rpc.port)
    stack.write(text.replace('task = "completion"', 'task = "completion"\nn-gpu-layers = 0'))
    stack.cli("lock")
    assert "LD906" in stack.run("plan", "--verify").stderr
    stack.cli("fetch")
    report = json.loads(stack.cli("plan", "--verify", "--format", "json"))
    where = {model["model"]: model["where"] for model in report["verified"]}
    assert {"smollm2": "far 31/31 layers", "gemma3": "CPU"} == where
    for model in report["verified"]:
        for part in model["parts"]:
            planned, measured = part["planned_bytes"], part["measured_bytes"]
            assert planned is None or abs(measured - planned) < max(1 << 20, planned / 100)
    assert [] == stack.processes()
    rpc.end()
    failed = stack.run("plan", "--verify")
    assert 1 == failed.returncode
    assert "RPC server does not answer" in failed.stderr


def ask(stack, model, text):
    """One chat through the endpoint."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 8}
    request = urllib.request.Request(
        f"{stack.url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["choices"][0]["message"]["content"]


def test_logs_hold_no_prompts_and_a_new_router_reads_them_again(stack, spec_text):
    """The verbosity that prints buffer sizes prints nothing of what is asked. A router that adopts
    a running model finds where it is in the log of its start."""
    stack.write(spec_text())
    stack.apply()
    assert ask(stack, "smollm2", "xylophonist wombat 314159")
    wait_until(lambda: stack.model("smollm2")["placement"], "its log was read")
    log = (stack.folder / "state" / "logs" / "model-smollm2.log").read_text()
    assert "KV buffer size" in log
    assert "prompt" in log.lower()
    for word in ("xylophonist", "wombat", "314159"):
        assert word not in log
    router, model = stack.pid("router"), stack.pid("smollm2")
    os.kill(router, signal.SIGKILL)
    wait_until(lambda: stack.pid("router") not in {None, router}, "supervisord starts another")
    found = wait_until(
        lambda: stack.status()["router_pid"] and stack.model("smollm2")["placement"],
        "the new router has read the log",
    )
    assert (found["where"], found["differences"]) == ("CPU", [])
    assert stack.pid("smollm2") == model
