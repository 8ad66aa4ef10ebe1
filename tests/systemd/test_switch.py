"""`nixos-rebuild switch` in a real systemd: the package of units is installed as NixOS does it, and
its comparison of units is simulated. Real engine, real model."""

import copy
import json
import os
import shutil
import socket
import sysconfig
import threading
from pathlib import Path

import pytest

from llmdecl.facts.hardware.cpu import detect_cpu
from tests.systemd.rig import Rig, lacking
from tests.systemd.switching import Actions, decide

HERE = Path(__file__).resolve().parents[2]
UNITS = "lib/systemd/system/"
PROGRAM = "/srv/bin/llmdecl"
COMPILE = ("--target", "nixos", "--program", PROGRAM, "--state", "/var/lib/llmdecl")
COMPILE = (*COMPILE, "--store", "/var/lib/llmdecl/store", "--output", "/srv/rig/out", "--fetch")

PLACES = {
    UNITS: "/etc/systemd/system/",
    "etc/": "/etc/",
    "share/polkit-1/": "/etc/polkit-1/",
    "lib/tmpfiles.d/": "/etc/tmpfiles.d/",
}
"""Where NixOS has what lies in these folders of a package."""

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


def settings(port):
    """Three models on demand, for this machine's own processor."""
    source = "file:/srv/rig/smollm2.gguf"
    return {
        "version": 1,
        "host": {"ram": "4GiB", "devices": [], "cpu": {"cores": 2}},
        "engines": {
            "llama": {
                "kind": "llama.cpp",
                "provider": "path",
                "path": "/srv/rig/engine/bin/llama-server",
            }
        },
        "defaults": {"threads": 2, "ttl": "10m", "ctx-size": 1024, "parallel": 1},
        "models": {name: {"source": source} for name in ("one", "two", "three")},
        "endpoints": {"main": {"listen": f"127.0.0.1:{port}"}},
        "manager": {"kind": "systemd"},
    }


class Nixos:
    """A machine whose units come of `llmdecl compile --target nixos`, by `switch`."""

    def __init__(self, rig, llama_server, smollm2, port):
        self.rig, self.port = rig, port
        self.units = {}
        self.spec = settings(port)
        self.spec["host"]["cpu"]["features"] = list(detect_cpu().features)
        packages = sysconfig.get_paths()["purelib"]
        rig.write("/usr/lib/python3/dist-packages/zz-llmdecl.pth", f"{packages}\n{HERE}\n")
        rig.write(PROGRAM, '#!/bin/sh\nexec /usr/bin/python3 -m llmdecl "$@"\n')
        shutil.copytree(llama_server.parents[1], rig.share / "engine")
        shutil.copy(smollm2, rig.share / "smollm2.gguf")
        rig.run("chmod", "-R", "a+rX,u+x", "/srv/rig", PROGRAM)
        rig.run("chmod", "a+x", PROGRAM)
        for unit in ("systemd-journald", "dbus", "polkit"):
            rig.run("systemctl", "start", unit)
        rig.run("systemd-sysusers", "-", stdin='u llmdecl - "llmdecl" /var/lib/llmdecl -\n')
        self.write(self.spec)
        self.llmdecl("lock", "/srv/spec")

    def write(self, spec):
        self.rig.write("/srv/spec/llmdecl.json", json.dumps(spec))

    def llmdecl(self, *words):
        folders = (
            "LLMDECL_STATE_DIR=/srv/s",
            "LLMDECL_CACHE_DIR=/srv/c",
            "LLMDECL_STORE_DIR=/srv/t",
        )
        return self.rig.run("env", *folders, PROGRAM, *words)

    def build(self, spec):
        """The package's files by path."""
        self.write(spec)
        self.llmdecl("compile", "/srv/spec", *COMPILE)
        paths = [path for path in (self.rig.share / "out").rglob("*") if path.is_file()]
        return {str(path.relative_to(self.rig.share / "out")): path.read_text() for path in paths}

    def switch(self, spec) -> Actions:
        """Build and activate."""
        return self.activate(spec, self.build(spec))

    def activate(self, spec, files) -> Actions:
        """What activation does: stop, install, daemon-reload, reload, restart, start."""
        new = {path.removeprefix(UNITS): text for path, text in files.items() if UNITS in path}
        shown = "list-units", "--no-legend", "--plain", "llmdecl*"
        listed = self.rig.run("systemctl", *shown).stdout.splitlines()
        active = {line.split()[0] for line in listed if line.split()[2:3] == ["active"]}
        actions = decide(self.units, new, active & {*self.units})
        self._systemctl("stop", actions.stop)
        for name in self.units.keys() - new.keys():
            self.rig.run("rm", f"/etc/systemd/system/{name}")
        for path, text in files.items():
            for folder, place in PLACES.items():
                if path.startswith(folder):
                    self.rig.write(place + path.removeprefix(folder), text)
        self.rig.run("systemctl", "daemon-reload")
        self.rig.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/llmdecl.conf")
        for verb in ("reload", "restart", "start"):
            self._systemctl(verb, getattr(actions, verb))
        if not self.units:
            self.rig.run("systemctl", "start", "llmdecl.target")
        self.units, self.spec = new, spec
        return actions

    def _systemctl(self, verb, units):
        if units:
            self.rig.run("systemctl", verb, "--", *sorted(units))

    def edited(self, model, **keys):
        spec = copy.deepcopy(self.spec)
        spec["models"][model] |= {key.replace("_", "-"): value for key, value in keys.items()}
        return spec

    def ask(self, model, tokens=4):
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        body |= {"max_tokens": tokens, "ignore_eos": True}
        url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
        words = ["curl", "-sS", "--max-time", "60", url, "-d", json.dumps(body)]
        return json.loads(self.rig.run(*words).stdout)

    def pids(self):
        names = ("router", "model-one", "model-two", "model-three")
        shown = [f"llmdecl-{name}.service" for name in names]
        text = self.rig.run("systemctl", "show", "-p", "MainPID", "--value", *shown).stdout
        return dict(zip(names, text.split(), strict=True))


@pytest.fixture(scope="module")
def nixos(llama_server, smollm2):
    """Switched to for the first time, with two of three models loaded."""
    if problem := lacking():
        if os.environ.get("CI") == "true":
            pytest.fail(problem)
        pytest.skip(problem)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rig = Rig()
    try:
        nixos = Nixos(rig, llama_server, smollm2, port)
        nixos.switch(nixos.spec)
        rig.until(lambda: b"" == _connects(port))
        for model in ("one", "two"):
            assert nixos.ask(model)["choices"]
        yield nixos
    finally:
        rig.close()


def _connects(port):
    with socket.socket() as probe:
        return b"" if probe.connect_ex(("127.0.0.1", port)) == 0 else None


def test_an_alias_reloads_the_router(nixos):
    """No process is another; the name is served."""
    before = nixos.pids()
    actions = nixos.switch(nixos.edited("one", aliases=["again"]))
    assert actions == Actions(reload={"llmdecl-router.service"}, start={"llmdecl.target"})
    assert nixos.ask("again")["choices"]
    assert nixos.pids() == before


def test_an_edit_restarts_that_model_alone_and_drained(nixos):
    """Activation leaves it running; the router finishes its request, then starts it anew. What is
    on demand and not loaded stays so, although the target is started again."""
    before = nixos.pids()
    spec = nixos.edited("two", ctx_size=768)
    files = nixos.build(spec)
    answers = []
    talk = threading.Thread(target=lambda: answers.append(nixos.ask("two", tokens=30)))
    talk.start()
    nixos.rig.until(lambda: _busy(nixos, "two"))
    actions = nixos.activate(spec, files)
    assert actions.skip == {"llmdecl-model-two.service"}
    assert actions.reload == {"llmdecl-router.service"}
    assert actions.start == {"llmdecl.target"}
    assert not actions.stop | actions.restart
    talk.join()
    assert answers[0]["usage"]["completion_tokens"] == 30
    nixos.rig.until(lambda: nixos.pids()["model-two"] not in ("0", before["model-two"]))
    after = nixos.pids()
    assert {name for name in before if before[name] != after[name]} == {"model-two"}
    assert after["model-three"] == "0"
    assert nixos.ask("two")["choices"]


def _busy(nixos, model):
    """Whether a request is in flight there."""
    path = f"/run/llmdecl/{model}/model.sock"
    words = ("curl", "-sS", "--max-time", "5", "--unix-socket", path, "http://model/slots")
    said = nixos.rig.run(*words, check=False).stdout
    return '"is_processing":true' in said.replace(" ", "")


def test_what_fetches_runs_beside(nixos):
    """The unit that brings weights ends well on a machine where nothing was ever applied; nobody
    waited for it, and no later switch started it again."""
    words = ("show", "-p", "SubState", "-p", "Result", "-p", "NRestarts", "llmdecl-fetch.service")
    nixos.rig.until(lambda: "exited" in nixos.rig.run("systemctl", *words).stdout)
    said = nixos.rig.run("systemctl", *words).stdout.split()
    assert sorted(said) == ["NRestarts=0", "Result=success", "SubState=exited"]
    links = nixos.rig.run("find", "/var/lib/llmdecl/store/weights", "-name", "model.gguf").stdout
    assert len(links.split()) == 1


def test_a_model_that_goes_is_stopped(nixos):
    """Its unit is gone and its process too; the others live on."""
    before = nixos.pids()
    spec = copy.deepcopy(nixos.spec)
    del spec["models"]["one"]
    actions = nixos.switch(spec)
    assert actions.stop == {"llmdecl-model-one.service"}
    after = nixos.pids()
    assert (after["model-one"], after["model-two"]) == ("0", before["model-two"])
    assert after["router"] == before["router"]
    assert nixos.ask("two")["choices"]


def test_another_llmdecl_restarts_the_router_alone(nixos):
    """A unit whose program has moved: the router is restarted, and adopts what runs."""
    before = nixos.pids()
    moved = PROGRAM.replace("/srv/bin", "/srv/moved")
    nixos.rig.run("cp", "-r", "/srv/bin", "/srv/moved")
    units = {name: text.replace(PROGRAM, moved) for name, text in nixos.units.items()}
    actions = decide(nixos.units, units, {"llmdecl-router.service", "llmdecl-model-two.service"})
    assert actions.restart == {"llmdecl-router.service"}
    assert actions.skip == {"llmdecl-model-two.service"}
    for name, text in units.items():
        nixos.rig.write(f"/etc/systemd/system/{name}", text)
    nixos.rig.run("systemctl", "daemon-reload")
    nixos.rig.run("systemctl", "restart", "llmdecl-router.service")
    nixos.rig.until(lambda: b"" == _connects(nixos.port))
    assert nixos.ask("two")["choices"]
    after = nixos.pids()
    assert after["model-two"] == before["model-two"]
    assert after["router"] not in ("0", before["router"])
