"""A small stack of fake models under a real supervisord, planned by hand."""

import hashlib
import os
import re
import shutil
import signal
import socket as sockets
import sys
import tempfile
import time
from pathlib import Path

import pytest

from llmdecl.activate import processes
from llmdecl.activate.generations import Content
from llmdecl.activate.hands import hands_for
from llmdecl.activate.live import version_of
from llmdecl.activate.observe import observe, version_in_force
from llmdecl.diagnostics import Failure, has_errors
from llmdecl.emit.table import emit_plan
from llmdecl.facts.model import CpuFacts, Facts, HostFacts
from llmdecl.paths import folders
from llmdecl.plan.model import (
    Address,
    Budget,
    EndpointPlan,
    EnginePlan,
    MemoryPart,
    ModelPlan,
    Plan,
    Root,
    RouterPlan,
    Setting,
    Word,
)
from llmdecl.store.model import Lock

TESTS = Path(__file__).resolve().parent
FAKE_MODEL = TESTS.parent / "fakes" / "fake_llama_server.py"


def free_port():
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


PORT = free_port()
"""Where the routers of these tests listen, one after the other."""


def setting(flag, *values, address, root=None):
    words = tuple(Word(text=str(v), root=root) for v in values)
    return Setting(flag=flag, values=words, address=address, reason="a test")


def model(name="smol", *, ctx=4096, args=(), environment=(), **changes):
    """A model whose process is the fake server."""
    socket = hashlib.sha256(name.encode()).hexdigest()[:12] + ".sock"
    at = f"models.{name}"
    settings = (
        setting("-S", address=at),
        setting("-E", FAKE_MODEL, address=at),
        setting("--host", "/" + socket, address=at, root=Root.RUN),
        setting("--alias", name, address=at),
        setting("--ctx-size", ctx, address=f"{at}.ctx-size"),
        *(setting(flag, *values, address=f"{at}.extra-args") for flag, *values in args),
    )
    text = repr((settings, environment))
    plan = ModelPlan(
        name=name,
        aliases=(),
        task="chat",
        engine="fake",
        executable=Word(text=sys.executable),
        settings=settings,
        environment=environment,
        weights=(),
        socket=socket,
        n_ctx=ctx,
        n_ctx_slot=ctx,
        parallel=1,
        ttl_s=600.0,
        load="demand",
        start_timeout_s=15.0,
        sampling=(),
        system_prompt=None,
        memory=(MemoryPart(pool="host", part="weights", bytes=100 << 20, exact=True),),
        digest=hashlib.sha256(text.encode()).hexdigest(),
        reasons={},
    )
    return plan.replace(**changes)


def stack_plan(*models, **changes):
    plan = Plan(
        host="test",
        manager="supervisord",
        engines=(
            EnginePlan(
                name="fake", digest="0" * 64, executable=Word(text=sys.executable), version="1"
            ),
        ),
        models=tuple(sorted(models, key=lambda m: m.name)),
        endpoints=(
            EndpointPlan(
                name="main",
                listen=Address(host="127.0.0.1", port=PORT),
                apis=("llama.cpp",),
                models=tuple(sorted(m.name for m in models)),
                api_keys_file=None,
            ),
        ),
        router=RouterPlan(
            drain_timeout_s=2.0, queue_timeout_s=5.0, queue_size=8, min_residency_s=0.0
        ),
        budgets=(Budget(pool="host", total_bytes=4 << 30, margin_bytes=1 << 30),),
    )
    return plan.replace(**changes)


def artefacts(plan, *, refuse=False, router_note=False):
    """What the emitters write; spoiled for the router, or with another program of the router."""
    return tuple(_emitted(plan, refuse=refuse, router_note=router_note))


def _emitted(plan, *, refuse, router_note):
    found, problems = emit_plan(plan)
    assert not has_errors(problems)
    for artefact in found:
        text = artefact.text
        if refuse and artefact.path == "router.json":
            text = "{"
        if router_note and artefact.path == "supervisord/router.conf":
            text = re.sub("(stopwaitsecs *= *)", r"\g<1>1", text)
        yield artefact.replace(text=text)


FACTS = Facts(
    host=HostFacts(
        name="test",
        cpu=CpuFacts(model=None, cores_physical=1, cores_logical=1, features=()),
        ram_bytes=4 << 30,
        ram_declared=True,
        devices=(),
    ),
    engines={},
    weights={},
)


def content(plan, *, spec=b"# a test\n", **options):
    return Content(
        origin="/nowhere/llmdecl.toml",
        spec_name="spec.toml",
        spec_text=spec,
        lock=Lock(),
        facts=FACTS,
        plan=plan,
        artefacts=artefacts(plan, **options),
    )


def wait_until(condition, what, seconds=15):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)


class Machine:
    """Folders of one stack; `end` leaves nothing behind."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ll-", dir="/tmp"))
        self.folders = folders(
            state=self.folder / "state", store=self.folder / "store",
            cache=self.folder / "cache", environment={},
        )  # fmt: skip
        self.said = []

    def hands(self, **options):
        return hands_for(self.folders, say=self.said.append, **options)

    def apply(self, plan, **options):
        from llmdecl.activate.apply import apply

        hands = self.hands()
        self.folders.state.mkdir(parents=True, exist_ok=True)
        try:
            return apply(hands, content(plan, **options))
        except Failure as failure:
            for diagnostic in failure.diagnostics:
                print(diagnostic)
            raise

    def diff(self, plan, **options):
        from llmdecl.activate.diff import diff

        hands = self.hands()
        current = hands.generations.load_pointed("current")
        plans = [plan, *([current.plan] if current else [])]
        live = observe(hands, plans)
        return diff(
            version_in_force(current),
            version_of(plan, artefacts(plan, **options)),
            live,
        )

    def start(self, name):
        answer = self.hands().router.start(name, timeout_s=20)
        assert answer.ok, answer

    def processes(self):
        return {p.pid: processes.environment(p.pid) for p in processes.marked(self.folders.stack)}

    def pid(self, part):
        """The one PID of `router`, `supervisord` or a model."""
        found = []
        for pid, environment in self.processes().items():
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            kind = environment.get("LLMDECL_MODEL")
            if kind is None:
                kind = "supervisord" if b"supervisor.supervisord" in words else "router"
            if kind == part:
                found.append(pid)
        assert len(found) <= 1, (part, found)
        return found[0] if found else None

    def pids(self):
        """PID by part, for all that runs."""
        models = {e["LLMDECL_MODEL"] for e in self.processes().values() if "LLMDECL_MODEL" in e}
        parts = ("supervisord", "router", *models)
        return {part: self.pid(part) for part in parts if self.pid(part)}

    def end(self):
        deadline = time.monotonic() + 10
        while self.processes() and time.monotonic() < deadline:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)
        shutil.rmtree(self.folders.run, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def machine():
    one = Machine()
    yield one
    logs = one.folders.state / "logs"
    if logs.is_dir():
        for log in sorted(logs.iterdir()):
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}")
    one.end()
