"""Planned command lines, run by the real llama-server on the real small models."""

import http.client
import json
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest

from llmdecl.compiler import compile_spec
from llmdecl.engines.llama_cpp.help import parse_help
from llmdecl.facts.gguf import read_gguf
from llmdecl.facts.model import CpuFacts, Facts, HostFacts
from llmdecl.memory.estimate import total_bytes
from llmdecl.plan.model import Root
from llmdecl.spec.schema import Spec
from llmdecl.store.model import Lock, LockedEngine, LockedFile, LockedWeights

pytestmark = pytest.mark.real


def cpu_features():
    text = Path("/proc/cpuinfo").read_text()
    return tuple(sorted(re.search(r"^flags\s*: (.*)$", text, re.MULTILINE)[1].split()))


class Stack:
    """One model, compiled with the real flag table and headers, and run."""

    def __init__(self, server: Path, weights: dict[str, Path], folder: Path):
        self.server, self.weights, self.folder = server, weights, folder
        self.store = folder / "store"
        for name, path in weights.items():
            (self.store / "weights" / name).mkdir(parents=True, exist_ok=True)
            link = self.store / "weights" / name / "model.gguf"
            link.exists() or link.symlink_to(path)

    def lock(self):
        text = subprocess.run([self.server, "--help"], capture_output=True, text=True, check=True)
        engine = LockedEngine(
            kind="llama.cpp", provider="path", digest="e", executable=str(self.server),
            binary_sha256="b", version="v", build=1, commit=None, package=None,
            flags=parse_help(text.stdout),
        )  # fmt: skip
        weights = {
            f"file:{name}": LockedWeights(
                source=f"file:{name}", digest=name, package=None, gguf=read_gguf(path)[0],
                files=(LockedFile(name="model.gguf", sha256=name, size_bytes=path.stat().st_size),),
            )
            for name, path in self.weights.items()
        }  # fmt: skip
        return Lock(weights=weights, engines={"llama": engine})

    def plan(self, **model):
        spec = Spec.model_validate_json(
            json.dumps(
                {
                    "version": 1,
                    "engines": {
                        "llama": {
                            "kind": "llama.cpp", "provider": "path", "path": str(self.server)
                        }
                    },
                    "models": {"it": {"threads": 2, **model}},
                    "endpoints": {"main": {"listen": "127.0.0.1:1"}},
                }
            )
        )  # fmt: skip
        cpu = CpuFacts(model=None, cores_physical=2, cores_logical=2, features=cpu_features())
        host = HostFacts(name="here", cpu=cpu, ram_bytes=64 << 30, ram_declared=True, devices=())
        compiled = compile_spec(spec, Facts(host=host, engines={}, weights={}), self.lock())
        assert compiled.plan is not None, compiled.diagnostics
        return compiled.plan.models[0]

    def run(self, model):
        roots = {Root.RUN: self.folder, Root.STORE: self.store, Root.STATE: self.folder}
        argv = [f"{roots[word.root] if word.root else ''}{word.text}" for word in model.argv()]
        with (self.folder / "log").open("w") as log:
            process = subprocess.Popen(argv, stdout=log, stderr=log, env={"PATH": "/usr/bin:/bin"})
        return Running(process, self.folder / model.socket, self.folder / "log")


class Running:
    def __init__(self, process, path, log):
        self.process, self.path, self.log_path = process, path, log

    def __enter__(self):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.ask("GET", "/health")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        self.process.kill()
        self.process.wait()
        raise AssertionError(self.log()[-3000:])

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        try:
            connection.sock.connect(str(self.path))
            connection.request(method, path, json.dumps(body) if body else None)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def buffers(self, kind):
        """Logged MiB of all buffers of a kind."""
        found = re.findall(rf"{kind} (?:buffer )?size = +([\d.]+) MiB", self.log())
        return [float(size) for size in found]

    def rss_anon(self):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", text)[1]) * 1024


CASES = {
    "plain": ("smollm2", {}),
    "slots": ("smollm2", {"parallel": 3, "ctx-size": 1000, "cache-type-k": "q8_0"}),
    "unified": (
        "smollm2",
        {"parallel": 2, "ctx-size": 2048, "kv-unified": True, "cache-type-v": "q8_0",
         "cache-ram": "64MiB", "ctx-checkpoints": 2, "load-mode": "none"},
    ),
    "stretched": (
        "smollm2", {"ctx-size": 12288, "rope-scaling": "yarn", "rope-scale": 1.5}
    ),
    "sliding": ("gemma3", {"parallel": 2, "ctx-size": 4096}),
    "swa-full": ("gemma3", {"ctx-size": 4096, "swa-full": True, "flash-attn": "off"}),
    "embedding": (
        "smollm2", {"task": "embedding", "pooling": "mean", "ctx-size": 1024}
    ),
    "draft": (
        "smollm2",
        {"ctx-size": 2048, "draft": {"source": "file:smollm2", "n-max": 4}},
    ),
    "extras": (
        "smollm2",
        {"ctx-size": 512, "chat-template": "chatml", "extra-args": ["--prio", "0", "--perf"],
         "repack": False, "warmup": False, "load-mode": "mmap+mlock", "batch-size": 64},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_planned_command_line_runs(case, llama_server, smollm2, gemma3, short_tmp):
    """It starts, its slots have the planned context, caches are as large as predicted, the work
    buffer and the process no larger."""
    source, settings = CASES[case]
    stack = Stack(llama_server, {"smollm2": smollm2, "gemma3": gemma3}, short_tmp)
    model = stack.plan(source=f"file:{source}", **settings)
    with stack.run(model) as running:
        status, slots = running.ask("GET", "/slots")
        assert status == 200
        assert [slot["n_ctx"] for slot in slots] == [model.n_ctx_slot] * model.parallel
        if model.task == "embedding":
            status, answer = running.ask("POST", "/v1/embeddings", {"input": "hello " * 800})
            assert (status, len(answer["data"][0]["embedding"])) == (200, 576)
        else:
            body = {"prompt": "Once upon a time", "n_predict": 4, "temperature": 0, "seed": 1}
            status, answer = running.ask("POST", "/completion", body)
            assert (status, answer["tokens_predicted"]) == (200, 4)
        parts = {part.part: part.bytes for part in model.memory}
        mib = 1 << 20
        kv = (parts["kv-cache"] + parts.get("draft-kv-cache", 0)) / mib
        compute = (parts["compute"] + parts.get("draft-compute", 0)) / mib
        repacked = parts.get("repacked", 0) / mib
        assert sum(running.buffers("KV buffer")) == pytest.approx(kv, abs=0.011)
        assert sum(running.buffers("compute buffer")) <= compute + 0.01
        assert sum(running.buffers("CPU_REPACK model buffer")) == pytest.approx(repacked, abs=0.01)
        private = total_bytes([part for part in model.memory if part.shared is None])
        assert running.rss_anon() <= private
