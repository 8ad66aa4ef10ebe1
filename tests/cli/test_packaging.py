"""`llmdecl compile --target nixos`: a package of units from settings and lock alone."""

import json
import re

import pytest

from llmdecl.cli import run
from llmdecl.compiler import compile_spec
from llmdecl.facts.pinned import pinned
from llmdecl.spec.schema import Spec
from llmdecl.store.model import Lock
from llmdecl.values import from_json
from tests.nix.stacks import PREFIX, edited, lock, settings
from tests.systemd.switching import decide

MACHINE = ("--program", "/nix/store/x/bin/llmdecl", "--state", "/var/lib/llmdecl")
MACHINE = (*MACHINE, "--store", "/var/lib/llmdecl/store")
UNITS = "lib/systemd/system"
STAND_INS = {
    "@LLMDECL@": "/nix/store/x/bin/llmdecl",
    "@STATE@": "/var/lib/llmdecl",
    "@STORE@": "/var/lib/llmdecl/store",
    "@SPEC@": "/etc/llmdecl/stack",
}


@pytest.fixture
def compiled(tmp_path, monkeypatch, capsys):
    """Compiles settings; a folder's files by path, or what was said instead of them."""
    monkeypatch.setenv("PATH", "/nowhere")
    number = iter(range(99))

    def compiled(spec, *words, target="nixos", pins=None):
        folder = tmp_path / f"{next(number)}"
        folder.mkdir()
        (folder / "llmdecl.json").write_text(json.dumps(spec))
        (folder / "llmdecl.lock").write_text(json.dumps(pins or lock()))
        command = ["compile", str(folder), "-o", str(folder / "out"), "--target", target]
        status = run([*command, *MACHINE, "--address-prefix", PREFIX, *words])
        if status:
            return status, capsys.readouterr().err
        paths = [path for path in (folder / "out").rglob("*") if path.is_file()]
        return {str(path.relative_to(folder / "out")): path.read_text() for path in paths}

    return compiled


def test_units_are_the_emitters(compiled):
    """Every unit is the plain emitter's with this machine's folders in it."""
    files = compiled(settings(), "--fetch")
    spec = Spec.model_validate_json(json.dumps(settings()))
    facts, pins, found = pinned(spec, from_json(json.dumps(lock()), Lock))
    assert not found
    plain = {each.path: each.text for each in compile_spec(spec, facts, pins).artefacts}
    for stand_in, value in STAND_INS.items():
        plain = {path: text.replace(stand_in, value) for path, text in plain.items()}
    expected = {
        path.replace("systemd/", f"{UNITS}/"): text
        for path, text in plain.items()
        if path.startswith("systemd/")
    }
    assert len(expected) == 7
    assert expected == {path: files[path] for path in expected}
    assert plain["router.json"] == files["etc/llmdecl/router.json"]
    assert plain["polkit/llmdecl.rules"] == files["share/polkit-1/rules.d/49-llmdecl.rules"]
    assert not any(re.search("@[A-Z]+@", text) for text in files.values())


@pytest.mark.parametrize("gpus", [0, 1, 2])
def test_an_edit_changes_one_unit(compiled, gpus):
    """One model's context: its unit, the router's file, and the trigger that reloads the router."""
    before = compiled(settings(gpus=gpus))
    after = compiled(edited(settings(gpus=gpus), model="small", ctx_size=8192))
    changed = {path for path in before if before[path] != after[path]} - {"manifest.json"}
    router = f"{UNITS}/llmdecl-router.service"
    small = f"{UNITS}/llmdecl-model-small.service"
    assert before.keys() == after.keys()
    assert changed == {small, router, "etc/llmdecl/router.json"}
    lines = zip(before[router].splitlines(), after[router].splitlines(), strict=True)
    differing = [old for old, new in lines if old != new]
    assert [line.partition("=")[0] for line in differing] == ["X-Reload-Triggers"]


def test_what_does_not_check_fails_with_option_paths(compiled):
    """Exit 1; the diagnostic's address is the option's path."""
    status, said = compiled(edited(settings(), model="small", ctx_sise=1))
    assert status == 1
    assert f"{PREFIX}.models.small.ctx-sise" in said
    assert "llmdecl.json:" not in said
    status, said = compiled(edited(settings(), model="small", extra_args=["--no-such-flag"]))
    assert status == 1
    assert f"{PREFIX}.models.small.extra-args" in said


def test_an_undeclared_host_is_said(compiled):
    """No machine is looked at: what a plan needs of it has to be declared."""
    spec = settings()
    del spec["host"]
    status, said = compiled(spec)
    assert status == 1
    for key in ("host.ram", "host.cpu.cores", "host.cpu.features"):
        assert f"{PREFIX}.{key}" in said


def test_errors_that_fail_no_build(compiled):
    """The router's unit fails instead; `syntax-only` still refuses what is no spec."""
    unlocked = {"schema": 2, "weights": {}, "engines": {}}
    files = compiled(settings(), "--check", "syntax-only", pins=unlocked)
    assert "LD301" in files["etc/llmdecl/problems.txt"]
    assert "problems.txt" in files[f"{UNITS}/llmdecl-router.service"]
    status, _ = compiled(edited(settings(), model="small", nonsense=1), "--check", "syntax-only")
    assert status == 1
    assert compiled(edited(settings(), model="small", nonsense=1), "--check", "none")


def test_a_router_behind_sockets_is_stopped(compiled):
    """switch-to-configuration moves sockets only with a service that it stops."""
    spec = settings()
    plain = switched(compiled(spec), compiled(spec, "--state", "/var/lib/elsewhere"))
    assert (plain.restart, plain.stop) == ({"llmdecl-router.service"}, set())
    spec["manager"]["socket-activation"] = True
    moved = json.loads(json.dumps(spec))
    moved["endpoints"]["main"]["listen"] = "127.0.0.1:11435"
    done = switched(compiled(spec), compiled(moved))
    assert done.stop == {"llmdecl-endpoint-main.socket", "llmdecl-router.service"}
    assert "llmdecl-endpoint-main.socket" in done.start


def test_files_of_the_machine_are_linked(compiled):
    """tmpfiles.d leads from the store to where `file:` sources lie; a relative one is an error."""
    text = compiled(settings())["lib/tmpfiles.d/llmdecl.conf"]
    digest = lock()["weights"]["file:/models/llama.gguf"]["digest"]
    place = f"/var/lib/llmdecl/store/weights/{digest}/model.gguf"
    assert f"L+ {place} - - - - /models/llama.gguf" in text
    spec, pins = settings(), lock()
    spec["models"] = {"m": {"source": "file:m.gguf"}}
    pins["weights"] = {"file:m.gguf": pins["weights"]["file:/models/llama.gguf"]}
    pins["weights"]["file:m.gguf"]["source"] = "file:m.gguf"
    status, said = compiled(spec, pins=pins)
    assert (status, "LD908" in said) == (1, True)


def test_fetch_and_account(compiled):
    """A unit brings weights, wanted by the target and waited for by nobody; the account is ours."""
    words = ("--fetch", "--user", "me", "--group", "us", "--environment-file", "/run/keys/hf")
    files = compiled(settings(), *words)
    drop_in = files[f"{UNITS}/llmdecl-fetch.service.d/lock.conf"]
    assert "EnvironmentFile=/run/keys/hf\n" in drop_in
    assert "llmdecl-fetch.service" in files[f"{UNITS}/llmdecl.target"]
    units = {path: text for path, text in files.items() if path.endswith(".service")}
    others = [text for path, text in units.items() if "fetch" not in path]
    assert all("\nUser=me\nGroup=us\n" in text for text in others)
    assert not any("llmdecl-fetch" in text for text in others)
    assert 'subject.user === "me"' in files["share/polkit-1/rules.d/49-llmdecl.rules"]
    assert json.loads(files["etc/llmdecl/stack/llmdecl.json"]) == settings()
    without = compiled(settings())
    assert not any("fetch" in path or "llmdecl-fetch" in text for path, text in without.items())


def test_another_lock_fetches_again(compiled):
    """What restarts the unit that fetches is what is pinned, not what a model is asked to be."""
    before = compiled(settings(), "--fetch")
    after = compiled(edited(settings(), model="big", ctx_size=512), "--fetch")
    assert "llmdecl-fetch.service" not in switched(before, after).start
    pins = lock()
    pins["weights"]["file:/models/llama.gguf"]["files"][0]["sha256"] = "7" * 64
    pins["weights"]["file:/models/llama.gguf"]["digest"] = "7" * 64
    after = compiled(settings(), "--fetch", pins=pins)
    assert switched(before, after).start == {"llmdecl-fetch.service", "llmdecl.target"}
    # which a switch waits for only until it is started
    assert "Type=exec" in after[f"{UNITS}/llmdecl-fetch.service.d/lock.conf"]


def switched(before, after):
    """What a switch of NixOS does between two packages with everything running."""
    old, new = (
        {path.removeprefix(f"{UNITS}/"): text for path, text in files.items() if UNITS in path}
        for files in (before, after)
    )
    return decide(old, new, {name for name in old if "/" not in name})


def test_for_a_user(compiled):
    """`home-manager` gives the same as units of a user's own manager; another manager is said."""
    spec = settings()
    status, said = compiled(spec, target="home-manager")
    assert (status, "LD907" in said) == (1, True)
    spec["manager"]["kind"] = "systemd-user"
    files = compiled(spec, target="home-manager")
    assert "lib/systemd/user/llmdecl-model-big.service" in files
    assert not any("polkit" in path for path in files)
