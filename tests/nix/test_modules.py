"""The modules: evaluated with a module system of our own, their derivation built by real Nix."""

import copy
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from llmdecl.compiler import compile_spec
from llmdecl.facts.hardware.cpu import detect_cpu
from llmdecl.facts.pinned import pinned
from llmdecl.spec.schema import Spec
from llmdecl.store.model import Lock
from llmdecl.values import from_json
from tests.nix.stacks import edited, lock, settings

TOP = Path(__file__).resolve().parents[2]
EVALUATE = TOP / "tests/nix/module-system/evaluate.nix"
UNITS = "lib/systemd/system"
KINDS = ("service", "socket")
FOLDERS = {
    "/var/lib/llmdecl/store": "@STORE@",
    "/var/lib/llmdecl": "@STATE@",
    "/etc/llmdecl/stack": "@SPEC@",
}


def evaluation(configuration, module="nixos", engine="/bin/false"):
    """Nix's words for a configuration of one of our modules."""
    return (
        f'(import {EVALUATE} {{ top = {TOP}; python = "{sys.executable}"; module = "{module}"; '
        f"configuration = {configuration}; engine = {engine}; }})"
    )


class Modules:
    """Evaluates `services.llmdecl` with the settings of a test."""

    def __init__(self, nix, folder):
        self.nix, self.folder = nix, folder
        self.count = 0

    def expression(self, spec, *, pins=None, module="nixos", more="", other=""):
        """`more` are further options of ours, `other` of the system, both in Nix."""
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        (folder / "llmdecl.lock").write_text(json.dumps(pins or lock()))
        (folder / "settings.json").write_text(json.dumps(spec))
        (folder / "configuration.nix").write_text(
            "{ pkgs, ... }: { services.llmdecl = pkgs.lib.mkMerge [ {\n"
            "  enable = true;\n"
            "  settings = builtins.fromJSON (builtins.readFile ./settings.json);\n"
            f"  lockFile = ./llmdecl.lock;\n}} {{ {more} }} ];\n{other}}}\n"
        )
        return evaluation(folder / "configuration.nix", module)

    def value(self, what, spec, **how):
        return self.nix.value(f"let it = {self.expression(spec, **how)}; in {what}")

    def build(self, spec, *, check=True, **how):
        """Files of the compile derivation by path; else what was said."""
        expression = f"{self.expression(spec, **how)}.services.llmdecl.compiled"
        done = self.nix.run("nix-build", "--no-out-link", "--expr", expression)
        if not check:
            return done
        assert done.returncode == 0, done.stderr
        output = Path(done.stdout.strip())
        found = (path for path in output.rglob("*") if path.is_file())
        files = {str(path.relative_to(output)): path.read_text() for path in found}
        if how.get("module") != "home-manager":
            # else NixOS' own builds fail, of tmpfiles.d and of /etc
            assert any(path.startswith("lib/tmpfiles.d/") for path in files)
            assert any(path.startswith("etc/llmdecl/") for path in files)
        return files


@pytest.fixture
def modules(nix, tmp_path):
    return Modules(nix, tmp_path)


def wishes():
    """As a user of the module writes them: the manager is its business."""
    spec = settings()
    del spec["manager"], spec["version"]
    return spec


def test_units_come_out(modules):
    """Evaluation imports nothing from a derivation; the derivation writes finished units."""
    files = modules.build(wishes())
    names = {Path(path).name for path in files if path.startswith(UNITS)}
    assert names >= {f"llmdecl-model-{name}.service" for name in ("big", "small", "embed")}
    assert "ExecStart=/" in files[f"{UNITS}/llmdecl-router.service"]
    assert "/bin/llmdecl router" in files[f"{UNITS}/llmdecl-router.service"]
    assert not any("llmdecl-stack" in text for text in files.values())


def test_units_are_the_emitters(modules):
    """But for paths of this machine, every unit is what `llmdecl apply` would install."""
    files = modules.build(wishes())
    spec = Spec.model_validate_json(json.dumps(settings()))
    facts, pins, _ = pinned(spec, from_json(json.dumps(lock()), Lock))
    plain = {each.path: each.text for each in compile_spec(spec, facts, pins).artefacts}
    units = {path.removeprefix("systemd/") for path in plain if path.startswith("systemd/")}
    assert len(units) == 7
    for name in units:
        text = re.sub(r"/\S+/bin/llmdecl\b", "@LLMDECL@", files[f"{UNITS}/{name}"])
        for folder, stand_in in FOLDERS.items():
            text = text.replace(folder, stand_in)
        assert text == plain[f"systemd/{name}"]


def test_what_the_system_gets(modules):
    """Units, rights and settings come from the derivation; target and account from options."""
    config = modules.value(
        """{
          packages = map toString it.systemd.packages;
          etc = it.environment.etc.llmdecl.source;
          compiled = toString it.services.llmdecl.compiled;
          inherit (it) failed warnings;
          inherit (it.systemd) targets;
          users = builtins.attrNames it.users.users;
          polkit = it.security.polkit.enable;
          ports = it.networking.firewall.allowedTCPPorts;
          paths = map toString it.environment.systemPackages;
        }""",
        wishes(),
    )
    compiled = config["compiled"]
    assert config["packages"] == [compiled]
    assert compiled in config["paths"]
    assert config["etc"] == f"{compiled}/etc/llmdecl"
    assert config["targets"] == {"llmdecl": {"wantedBy": ["multi-user.target"]}}
    assert (config["users"], config["polkit"], config["ports"]) == (["llmdecl"], True, [])
    assert config["failed"] == []
    assert ["settings.engines.llama.provider" in each for each in config["warnings"]] == [True]


def test_imported_twice(modules):
    """By two modules of a user, as the flake has it: once, and no option is declared twice."""
    flake = f"((import {TOP}/flake.nix).outputs {{ self = {{ }}; nixpkgs = {{ }}; }})"
    again = f"imports = [ {flake}.nixosModules.default ];\n"
    assert modules.value("it.failed", wishes(), other=again) == []


def test_a_disabled_module_does_nothing(modules):
    """Imported and not enabled, it sets nothing and builds nothing."""
    config = modules.value(
        "{ inherit (it) assertions warnings; packages = it.systemd.packages; }",
        {},
        more="enable = pkgs.lib.mkForce false;",
    )
    assert config == {"assertions": [], "warnings": [], "packages": []}


def test_a_bad_setting_fails_the_build(modules):
    """With the diagnostic's text and the option's path."""
    done = modules.build(edited(wishes(), model="small", ctx_sise=1), check=False)
    assert done.returncode != 0
    assert "error[LD" in done.stderr
    assert "services.llmdecl.settings.models.small.ctx-sise" in done.stderr


@pytest.mark.parametrize("gpus", [1, 2])
def test_an_edit_changes_one_unit(modules, gpus):
    """A model's unit, the router's file and its reload trigger; the spec that fetch reads."""
    spec = wishes()
    spec["host"]["devices"] = settings(gpus=gpus)["host"]["devices"]
    before, after = modules.build(spec), modules.build(edited(spec, model="small", ctx_size=8192))
    router = f"{UNITS}/llmdecl-router.service"
    changed = {path for path in before if before[path] != after[path]} - {"manifest.json"}
    assert changed == {
        f"{UNITS}/llmdecl-model-small.service",
        router,
        "etc/llmdecl/router.json",
        "etc/llmdecl/stack/llmdecl.json",
    }
    lines = zip(before[router].splitlines(), after[router].splitlines(), strict=True)
    assert [old.partition("=")[0] for old, new in lines if old != new] == ["X-Reload-Triggers"]


def test_an_engine_of_nix(modules, llama_server):
    """The build asks the package's program; its path is in the model's unit, and a dependency."""
    spec = wishes()
    del spec["engines"]
    spec["models"] = {"small": {"source": "file:/models/llama.gguf", "ctx-size": 512}}
    spec["host"]["devices"] = []
    spec["host"]["cpu"]["features"] = list(detect_cpu().features)
    engine = (
        'engines.llama.package = pkgs.runCommand "an-engine" { } '
        f'"mkdir -p $out/bin; ln -s {llama_server} $out/bin/llama-server";\n'
    )
    files = modules.build(spec, pins=lock(engine=False), more=engine)
    unit = files[f"{UNITS}/llmdecl-model-small.service"]
    assert "-an-engine/bin/llama-server" in unit


WRONG = [
    ("settings.endpoints = pkgs.lib.mkForce [ 1 ];", "`endpoints` is a list"),
    ('settings.endpoints.main = pkgs.lib.mkForce "127.0.0.1:1";', "`main` is a string"),
    ("settings.endpoints.main.listen = pkgs.lib.mkForce 1;", "`listen` is a whole number"),
    ("settings.models = pkgs.lib.mkForce [ 1 ];", "`models` is a list"),
    ('settings.router = "none";', "`router` is a string"),
    ('settings.manager = "systemd";', "`manager` is a string"),
    ("settings.engines = pkgs.lib.mkForce [ ];", "`engines` is a list"),
]


@pytest.mark.parametrize(("more", "said"), WRONG, ids=[more[9:30] for more, _ in WRONG])
def test_a_value_of_another_kind(modules, more, said):
    """No error of Nix: evaluation goes on, and the build says it by the option's path."""
    done = modules.build(wishes(), more=f"{more} openFirewall = true;", check=False)
    assert f"error[LD112]: {said}" in done.stderr
    assert " --> services.llmdecl.settings." in done.stderr
    assert isinstance(modules.value("it.failed", wishes(), more=more), list)


def test_errors_can_be_let_through(modules, tmp_path):
    """`checkConfig`: what is no error of the language makes the router's unit fail instead, and
    say it by the shell's own words."""
    unlocked = {"schema": 2, "weights": {}, "engines": {}}
    files = modules.build(wishes(), pins=unlocked, more='checkConfig = "syntax-only";')
    problems = files["etc/llmdecl/problems.txt"]
    assert "LD301" in problems
    assert "\x1b" not in problems
    (tmp_path / "problems.txt").write_text(problems)
    (line,) = re.findall("ExecStart=(.*)", files[f"{UNITS}/llmdecl-router.service"])
    words = shlex.split(line.replace("$$", "$").replace("/etc/llmdecl", str(tmp_path)))
    done = subprocess.run(words, env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, problems)
    bad = edited(wishes(), model="small", nonsense=1)
    assert modules.build(bad, more='checkConfig = "syntax-only";', check=False).returncode
    assert modules.build(bad, more="checkConfig = false;")


SAID = [
    ("settings = pkgs.lib.mkForce { };", "settings.models is empty"),
    ("lockFile = pkgs.lib.mkForce null;", "lockFile is not set"),
    ("devices = [ ];", "devices and services.llmdecl.settings.host.devices are both set"),
    (
        "settings.models.small.chat-template = ./llmdecl.lock;",
        "services.llmdecl.settings.models.small.chat-template is a path literal",
    ),
    (
        'settings.endpoints.main.api-keys-file = "${builtins.toFile "keys" "secret"}";',
        "services.llmdecl.settings.endpoints.main.api-keys-file is in Nix's store",
    ),
    ('modelsDir = "/home/me/models";', "services.llmdecl.modelsDir is /home/me/models"),
    ('modelsDir = "/srv/my models";', "services.llmdecl.modelsDir is /srv/my models; paths in"),
    ('stateDir = "/srv/llmdecl";', "services.llmdecl.stateDir is /srv/llmdecl"),
    ('settings.manager.kind = "supervisord";', 'manager.kind is "supervisord"'),
    (
        "engines.llama.package = pkgs.cmake;",
        "services.llmdecl.engines.llama and services.llmdecl.settings.engines.llama are both set",
    ),
]


@pytest.mark.parametrize(("more", "said"), SAID, ids=[said[:30] for _, said in SAID])
def test_assertions(modules, more, said):
    """Each says what is wrong by the option's whole path, before anything is built."""
    failed = modules.value("it.failed", wishes(), more=more)
    assert any(said in each for each in failed), failed


def test_ports_of_others(modules):
    """A port that Ollama's or llama-swap's service has is an assertion; another port is none."""
    for service in ("ollama", "llama-swap"):
        on = f"services.{service} = {{ enable = true; port = 11434; }};\n"
        failed = modules.value("it.failed", wishes(), other=on)
        (one,) = failed
        assert "services.llmdecl.settings.endpoints.main.listen has port 11434" in one
        assert f"services.{service}" in one
    beside = "services.ollama = { enable = true; port = 11435; };\n"
    assert modules.value("it.failed", wishes(), other=beside) == []


def test_a_renamed_option_is_not_read(modules):
    """`services.llama-cpp.port` became `settings.port`: nobody is warned who did nothing."""
    on = "services.llama-cpp = { enable = true; settings.port = 11434; };\n"
    (one,) = modules.value("it.failed", wishes(), other=on)
    assert one.endswith("listen has port 11434, and so has services.llama-cpp")


def test_secrets_stay_where_they_are(modules):
    """A file of agenix or sops-nix: systemd hands keys to the router, the fetch reads its own; no
    path is looked at, and keys for Hugging Face are nobody else's."""
    more = """
      settings.endpoints.main.api-keys-file = "/run/agenix/llm keys";
      settings.sources.hf.token-file = "/run/agenix/hf";
      environmentFile = "/run/secrets/hub.env";
    """
    assert modules.value("it.failed", wishes(), more=more) == []
    files = modules.build(wishes(), more=more)
    router = files[f"{UNITS}/llmdecl-router.service"]
    assert "\nLoadCredential=main.keys:/run/agenix/llm keys\n" in router
    assert "/run/agenix" not in files["etc/llmdecl/router.json"]
    fetch = files[f"{UNITS}/llmdecl-fetch.service.d/lock.conf"]
    assert "\nEnvironmentFile=/run/secrets/hub.env\n" in fetch
    units = {path: text for path, text in files.items() if path.startswith(UNITS)}
    assert [path for path, text in units.items() if "/run/secrets" in text] == [
        f"{UNITS}/llmdecl-fetch.service.d/lock.conf"
    ]
    assert not any("/run/agenix/hf" in text for text in units.values())
    assert '"/run/agenix/hf"' in files["etc/llmdecl/stack/llmdecl.json"]


def test_without_a_router(modules):
    """Sockets and proxies, nothing of a router's, and no right for anybody; ports to open are those
    that the lock has."""
    spec, pins = wishes(), {**lock(), "ports": {"big": 20001, "embed": 20002}}
    spec["router"] = {"kind": "none"}
    spec["endpoints"]["main"]["listen"] = "0.0.0.0:11434"
    how = {"pins": pins, "more": 'weights = "path"; openFirewall = true;'}
    files = modules.build(spec, **how)
    assert {Path(path).name for path in files if path.startswith(UNITS)} == {
        *("llmdecl.target", "llmdecl.slice"),
        *(f"llmdecl-model-{name}.{kind}" for name in spec["models"] for kind in KINDS),
        *(f"llmdecl-proxy-{name}.service" for name in spec["models"]),
    }
    target = files[f"{UNITS}/llmdecl.target"]
    assert all(f"llmdecl-model-{name}.socket" in target for name in spec["models"])
    proxy = files[f"{UNITS}/llmdecl-proxy-big.service"]
    assert "ExecStart=/run/current-system/systemd/lib/systemd/systemd-socket-proxyd " in proxy
    config = modules.value(
        """{
          inherit (it) failed warnings;
          ports = it.networking.firewall.allowedTCPPorts;
          polkit = it.security.polkit.enable;
          paths = map (each: each.name) it.environment.systemPackages;
        }""",
        spec,
        other="services.ollama = { enable = true; port = 20002; };\n",
        **how,
    )
    assert (config["ports"], config["polkit"], config["paths"]) == (
        [20001, 20002],
        False,
        ["llmdecl"],
    )
    (clash,) = config["failed"]
    assert "has port 20002, and so has services.ollama" in clash
    assert any("opens no port for small" in each for each in config["warnings"])


def test_a_router_behind_sockets(modules):
    """switch-to-configuration moves a socket only with a service that it stops."""
    router = f"{UNITS}/llmdecl-router.service.d/nixos.conf"
    assert "X-StopIfChanged=false" in modules.build(wishes())[router]
    spec = {**wishes(), "manager": {"socket-activation": True}}
    files = modules.build(spec)
    assert f"{UNITS}/llmdecl-endpoint-main.socket" in files
    assert "X-StopIfChanged" not in files[router]


def test_the_firewall(modules):
    """Ports of endpoints beyond loopback, and only when asked."""
    spec = wishes()
    spec["endpoints"]["lan"] = {"listen": "0.0.0.0:8080"}
    ports = "it.networking.firewall.allowedTCPPorts"
    assert modules.value(ports, spec) == []
    assert modules.value(ports, spec, more="openFirewall = true;") == [8080]
    said = modules.value("it.warnings", wishes(), more="openFirewall = true;")
    assert any("openFirewall opens nothing" in each for each in said)


def test_weights_in_the_store(modules):
    """`weights = "store"`: every pinned file by its digest, where the units look for it."""
    spec, pins = wishes(), copy.deepcopy(lock())
    name = "hf:o/r#Q4_K_M"
    pin = pins["weights"].pop("file:/models/llama.gguf")
    pin |= {"source": "hf:o/r", "origin": {"kind": "hf", "repository": "o/r"}}
    pin["origin"] |= {"requested": None, "revision": "c" * 40}
    pin["files"][0]["path"] = "sub/x.gguf"
    pins["weights"][name] = pin
    for model in ("big", "small"):
        spec["models"][model] |= {"source": "hf:o/r", "quantization": "Q4_K_M"}
    more = 'weights = "store";'
    (rule,) = modules.value("it.systemd.tmpfiles.rules", spec, pins=pins, more=more)
    place = f"/var/lib/llmdecl/store/weights/{pin['digest']}"
    assert rule.startswith(f"L+ {place} - - - - /")


@pytest.mark.parametrize(
    "keys",
    [{}, {"manager": {"socket-activation": True}}, {"router": {"kind": "none"}}],
    ids=["router", "sockets", "none"],
)
def test_home_manager(modules, keys):
    """The same stack for a user: every unit that is linked is there, and no other is."""
    spec = {**wishes(), **keys}
    linked = modules.value(
        "{ inherit (it) failed warnings;"
        " files = builtins.mapAttrs (_: each: each.source) it.xdg.configFile; }",
        spec,
        module="home-manager",
        other="targets.genericLinux.enable = true;\n",
    )
    assert (linked["failed"], linked["warnings"]) == ([], [])
    files = modules.build(spec, module="home-manager")
    assert any(path.startswith("etc/llmdecl/") for path in files)
    units = {name for name in linked["files"] if name.startswith("systemd/user/")}
    units.remove("systemd/user/default.target.wants/llmdecl.target")
    written = {path.removeprefix("lib/") for path in files if path.startswith("lib/systemd")}
    assert units == written
    if keys.get("router"):
        proxy = files["lib/systemd/user/llmdecl-proxy-big.service"]
        assert re.search("ExecStart=/\\S+-systemd/lib/systemd/systemd-socket-proxyd ", proxy)
        return
    model = files["lib/systemd/user/llmdecl-model-big.service"]
    assert "X-SwitchMethod=keep-old\n" in model
    router = files["lib/systemd/user/llmdecl-router.service"]
    assert "X-SwitchMethod=reload\n" in router
    assert "--measured /home/me/.local/state/llmdecl/measured" in router


def test_the_machine_of_the_vm(nix, tmp_path, llama_server, smollm2):
    """What `nix flake check` runs in a virtual machine compiles, with a lock made in its build."""
    (tmp_path / "smollm2.gguf").symlink_to(smollm2)
    (tmp_path / "node.nix").write_text(
        f'import {TOP}/tests/nix/vm/node.nix {{ model = "{tmp_path}"; }}'
    )
    engine = tmp_path / "llama-server"
    engine.write_text(f'#!/bin/sh\nexec {llama_server} "$@"\n')
    engine.chmod(0o755)
    built = f"{evaluation(tmp_path / 'node.nix', engine=engine)}.services.llmdecl.compiled"
    done = nix.run("nix-build", "--no-out-link", "--expr", built)
    assert done.returncode == 0, done.stderr
    units = {path.name for path in Path(done.stdout.strip()).rglob("*.service")}
    models = {f"llmdecl-model-{name}.service" for name in ("first", "second")}
    assert units == {*models, "llmdecl-router.service"}
