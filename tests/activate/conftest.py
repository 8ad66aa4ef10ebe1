"""A small stack of fake models under a real supervisord, planned by hand."""

import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from llmdecl.activate import processes
from llmdecl.activate.generations import Content
from llmdecl.activate.hands import hands_for
from llmdecl.activate.live import version_of
from llmdecl.activate.observe import observe, version_in_force
from llmdecl.diagnostics import Failure
from llmdecl.emit.artefact import Artefact
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
FAKE_ROUTER = TESTS / "fake_router.py"
FAKE_MODEL = TESTS.parent / "fakes" / "fake_llama_server.py"


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
        executable=Word(text="/usr/bin/env"),
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
                name="fake", digest="0" * 64, executable=Word(text="/usr/bin/env"), version="1"
            ),
        ),
        models=tuple(sorted(models, key=lambda m: m.name)),
        endpoints=(
            EndpointPlan(
                name="main",
                listen=Address(host="127.0.0.1", port=1),
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


def _word(word):
    roots = {Root.RUN: "%(ENV_LLMDECL_RUN)s", Root.STATE: "%(ENV_LLMDECL_STATE)s", None: ""}
    return f'"{roots[word.root]}{word.text}"'


CONF = """[unix_http_server]
file=%(ENV_LLMDECL_RUN)s/supervisord.sock
chmod=0700
[supervisord]
logfile=%(ENV_LLMDECL_STATE)s/logs/supervisord.log
pidfile=%(ENV_LLMDECL_RUN)s/supervisord.pid
nodaemon=false
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[include]
files=router.conf models/*.conf
"""


def artefacts(plan, *, refuse=False, router_note=""):
    """What the emitters would write, for the fake router."""
    config = {
        "schema": 1,
        "models": [
            {"name": m.name, "socket": m.socket, "digest": m.digest, "ttl_s": m.ttl_s,
             "aliases": m.aliases} for m in plan.models
        ],
        "queue_size": plan.router.queue_size,
    }  # fmt: skip
    if refuse:
        config["refuse"] = True
    state, run = "%(ENV_LLMDECL_STATE)s", "%(ENV_LLMDECL_RUN)s"
    python = '"%(ENV_LLMDECL_PYTHON)s"'
    routes = f'--config "{state}/wanted/router.json" --run "{run}" --logs "{state}/logs"'
    texts = {
        "router.json": json.dumps(config),
        "supervisord/supervisord.conf": CONF,
        "supervisord/router.conf": f"""; {router_note}
[program:router]
command={python} -S -E "{FAKE_ROUTER}" {routes}
autostart=true
autorestart=true
startsecs=0
stopwaitsecs={7 if router_note else 6}
redirect_stderr=true
stdout_logfile=%(ENV_LLMDECL_STATE)s/logs/router.log
""",
    }
    for m in plan.models:
        variables = "".join(f' "{k}={v}"' for k, v in m.environment)
        words = " ".join(f'"{s.flag}" ' + " ".join(_word(w) for w in s.values) for s in m.settings)
        command = (
            f'/usr/bin/env -i "LLMDECL_STACK=%(ENV_LLMDECL_STACK)s" LLMDECL_MODEL={m.name}'
            f" LLMDECL_DIGEST={m.digest} PATH=/usr/bin:/bin{variables} {python}"
        )
        texts[f"supervisord/models/{m.name}.conf"] = f"""[program:model-{m.name}]
command={command} {words}
autostart=false
autorestart=false
startsecs=0
stopwaitsecs=5
redirect_stderr=true
stdout_logfile=%(ENV_LLMDECL_STATE)s/logs/model-{m.name}.log
"""
    return tuple(Artefact(path=path, text=text) for path, text in sorted(texts.items()))


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
        return diff(version_in_force(current), version_of(plan, artefacts(plan, **options)), live)

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
