"""Engines of provider `nix`, with Nix itself and a flake of ours."""

import json
import os
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from llmdecl.cli import run
from llmdecl.diagnostics import Failure
from llmdecl.facts.gather import gather
from llmdecl.paths import Folders
from llmdecl.sources.nix.client import parse_package
from llmdecl.sources.pip import Pip, Stopped
from llmdecl.spec.schema import Spec
from llmdecl.store.engines import Engines
from llmdecl.store.lock import read_lock
from llmdecl.store.model import Lock
from llmdecl.store.progress import Silent
from llmdecl.store.providers.nix import missing
from llmdecl.store.store import Store
from llmdecl.store.suppliers.supplier import Room
from llmdecl.store.tools import real_tools
from llmdecl.store.wanted import wanted
from tests.nix.nix import STAND_IN

HELP = Path(__file__).parents[1] / "engines" / "data" / "llama-server-b10434.txt"
SAID = {
    "--version": "version: 9925 (0c1e570)\nbuilt with GNU 12.2.0 for Linux x86_64\n",
    "--help": HELP.read_text(),
    "--list-devices": "Available devices:\n  Vulkan0: a card (8192 MiB, 8000 MiB free)\n",
}
SPEC = """\
version = 1

[engines.main]
kind = "llama.cpp"
provider = "nix"
package = "path:./flake#llama-cpp-vulkan"

[models.smollm2]
source = "file:w.gguf"

[endpoints.main]
listen = "127.0.0.1:18080"
"""


@pytest.fixture
def base(nix, tmp_path, monkeypatch):
    """A spec's folder with the stand-in as a flake beside it; Nix is ours."""
    for name, value in nix.environment.items():
        monkeypatch.setenv(name, value)
    # no `experimental-features`: a user need not have switched flakes on
    config = nix.environment["NIX_CONFIG"].splitlines()
    config = [line for line in config if not line.startswith("experimental")]
    monkeypatch.setenv("NIX_CONFIG", "\n".join(config))
    folder = tmp_path / "stack"
    shutil.copytree(STAND_IN, folder / "flake")
    (folder / "flake" / "said").mkdir()
    for name, text in SAID.items():
        (folder / "flake" / "said" / name).write_text(text)
    monkeypatch.setenv("NIX_PATH", f"nixpkgs={folder / 'flake'}")
    return folder


@pytest.fixture
def where(tmp_path):
    machine = tmp_path / "machine"
    return Folders(*(machine / name for name in ("state", "store", "cache", "run")), "00000000")


def room_of(base, where):
    tools = real_tools(where)
    return Room(Store(where.store, tools.digest), Pip(), tools, base, Silent())


def spec_of(package):
    engine = {"kind": "llama.cpp", "provider": "nix", "package": package}
    return Spec.model_validate(
        {"version": 1, "engines": {"main": engine}, "models": {}, "endpoints": {}}
    )


def want(package):
    return wanted(spec_of(package)).engines[0]


def pin(base, where, package, before=None):
    return Engines(room_of(base, where)).pin(want(package), before, update=before is None)


def roots(nix, where):
    said = nix.say("nix-store", "--gc", "--print-roots")
    return [line for line in said.splitlines() if str(where.store) in line]


def test_flake_is_built_asked_and_kept(nix, base, where):
    """The lock has a reference with its hash, the output, flags and version; a root holds it."""
    locked, warnings = pin(base, where, "path:./flake#llama-cpp-vulkan")
    assert not warnings
    assert locked.provider == "nix"
    assert locked.nix.package == "path:./flake#llama-cpp-vulkan"
    assert locked.nix.reference.startswith("path:./flake?narHash=sha256-")
    assert locked.nix.reference.endswith("#llama-cpp-vulkan")
    assert "lastModified" not in locked.nix.reference
    assert locked.executable == f"{locked.nix.output}/bin/llama-server"
    assert locked.nix.derivation.endswith("-llama-cpp-9925.drv")
    assert (locked.build, locked.commit) == (9925, "0c1e570")
    assert any("--ctx-size" in flag.names for flag in locked.flags)
    assert len(roots(nix, where)) == 1
    assert not (base / "flake" / "flake.lock").exists()


def test_same_flake_same_lock(base, where):
    """Times of its files do not count; a pin that holds is not looked at again."""
    first, _ = pin(base, where, "path:./flake#llama-cpp")
    for path in (base / "flake").iterdir():
        path.touch()
    assert pin(base, where, "path:./flake#llama-cpp")[0] == first
    shutil.rmtree(base / "flake")
    assert pin(base, where, "path:./flake#llama-cpp", first)[0] == first


def test_attribute_of_nixpkgs(base, where):
    """`<nixpkgs>` as NIX_PATH has it; the derivation is in the lock."""
    locked, _ = pin(base, where, "llama-cpp-vulkan")
    assert locked.nix.reference == "llama-cpp-vulkan"
    assert locked.nix.derivation.endswith(".drv")


def test_store_path(base, where):
    """It is taken as it is, also when it names the program."""
    built, _ = pin(base, where, "llama-cpp")
    for package in (built.nix.output, built.executable):
        locked, _ = pin(base, where, package)
        assert locked.nix.output == built.nix.output
        assert locked.executable == built.executable
        assert locked.digest == built.digest


def test_collected_engine_comes_back(nix, base, where):
    """What Nix's collector took away is built again from the locked reference, and kept again."""
    locked, _ = pin(base, where, "path:./flake#llama-cpp-vulkan")
    shutil.rmtree(where.store / "nix-roots")
    nix.say("nix-store", "--delete", "--ignore-liveness", locked.nix.output)
    assert not Path(locked.executable).exists()
    room = room_of(base, where)
    assert missing(room.store, locked) == 0
    assert Engines(room).bring(want("path:./flake#llama-cpp-vulkan"), locked) == ()
    assert Path(locked.executable).is_file()
    assert missing(room.store, locked) is None
    assert len(roots(nix, where)) == 1


def test_other_output_than_locked(nix, base, where):
    """An attribute that comes to something else now is refused, with both paths."""
    locked, _ = pin(base, where, "llama-cpp")
    shutil.rmtree(where.store / "nix-roots")
    nix.say("nix-store", "--delete", "--ignore-liveness", locked.nix.output)
    (base / "flake" / "said" / "--version").write_text("version: 9926 (abcdef0)\n")
    with pytest.raises(Failure) as failure:
        Engines(room_of(base, where)).bring(want("llama-cpp"), locked)
    (problem,) = failure.value.diagnostics
    assert problem.code == "LD648"
    assert locked.nix.output in problem.notes[0]


def test_changed_flake_is_not_the_locked_one(nix, base, where):
    """A folder that changed since is refused, once Nix itself has forgotten the locked state."""
    package = "path:./flake#llama-cpp"
    said = json.loads(nix.say("nix", "flake", "metadata", "--json", f"path:{base}/flake"))
    locked, _ = pin(base, where, package)
    (base / "flake" / "said" / "--version").write_text("version: 9926 (abcdef0)\n")
    nix.say("nix-store", "--delete", "--ignore-liveness", locked.nix.output, said["path"])
    with pytest.raises(Failure) as failure:
        Engines(room_of(base, where)).bring(want(package), locked)
    assert failure.value.diagnostics[0].code == "LD648"
    assert not Path(locked.executable).exists()


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("path:./flake#llama-cpp-metal", "LD643"),
        ("path:./nowhere#llama-cpp", "LD643"),
        ("llama-cpp-metal", "LD643"),
        ("/nix/store/0000wfw39nxiajp4wlq2m2qs2jk9idv2-llama-cpp", "LD643"),
        ("openssl", "LD645"),
        ("path:./flake#openssl", "LD645"),
        ("broken", "LD644"),
        ("path:./flake#broken", "LD644"),
        ("unfree", "LD647"),
        ("http://127.0.0.1:1/flake.tar.gz#llama-cpp", "LD646"),
        ("--option", "LD640"),
        ("two words", "LD640"),
    ],
)
def test_what_goes_wrong(base, where, package, code, monkeypatch):
    """Each cause has its code, with Nix's last lines; nothing is locked and no root is left."""
    monkeypatch.setenv(
        "NIX_CONFIG", f"{os.environ['NIX_CONFIG']}\ndownload-attempts = 1\nconnect-timeout = 1"
    )
    with pytest.raises(Failure) as failure:
        pin(base, where, package)
    (problem,) = failure.value.diagnostics
    assert problem.code == code
    assert problem.address == "engines.main.package"
    assert problem.notes or code == "LD640"
    assert not (where.store / "nix-roots").exists()


def test_flake_that_no_server_has(base, where, monkeypatch):
    """A server that answers 404 is not a missing network."""

    class Nothing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Nothing)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("NIX_CONFIG", f"{os.environ['NIX_CONFIG']}\ndownload-attempts = 1")
    url = f"http://127.0.0.1:{server.server_address[1]}/flake.tar.gz"
    with pytest.raises(Failure) as failure:
        pin(base, where, f"{url}#llama-cpp")
    server.shutdown()
    server.server_close()
    assert failure.value.diagnostics[0].code == "LD643"


def test_nix_is_not_here(base, where, monkeypatch, tmp_path):
    """A machine without Nix: said for a new engine; one that lies in its store goes on working."""
    locked, _ = pin(base, where, "llama-cpp")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("llmdecl.sources.nix.client.USUAL_PLACES", ())
    with pytest.raises(Failure) as failure:
        pin(base, where, "llama-cpp-vulkan")
    assert failure.value.diagnostics[0].code == "LD641"
    assert Engines(room_of(base, where)).bring(want("llama-cpp"), locked) == ()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("echo \"error: experimental Nix feature 'flakes' is disabled\" >&2; exit 1", "LD642"),
        ("echo '[1, 2]'", "LD647"),
        ("echo nothing of the kind", "LD647"),
    ],
    ids=["flakes-off", "other-json", "no-json"],
)
def test_another_nix(base, where, monkeypatch, tmp_path, script, code):
    """One that refuses flakes although it is asked to allow them, or that talks otherwise."""
    fake = tmp_path / "bin" / "nix"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    with pytest.raises(Failure) as failure:
        pin(base, where, "path:./flake#llama-cpp")
    assert failure.value.diagnostics[0].code == code


def test_tree_with_changes_is_a_warning(nix, base, where):
    """A git tree with uncommitted changes has no revision to lock."""
    git = ("git", "-C", base / "flake", "-c", "user.name=a", "-c", "user.email=a@b")
    nix.say("git", "init", "-q", base / "flake")
    nix.say(*git, "add", ".")
    nix.say(*git, "commit", "-qm", "all")
    clean, warnings = pin(base, where, f"git+file://{base}/flake#llama-cpp")
    assert not warnings
    assert "rev=" in clean.nix.reference
    (base / "flake" / "said" / "--version").write_text(SAID["--version"] + "\n")
    _, warnings = pin(base, where, f"git+file://{base}/flake#llama-cpp")
    assert [each.code for each in warnings] == ["LD649"]


def test_a_build_is_called_off(base, where):
    """Somebody interrupts: Nix ends soon, and nothing is locked."""
    room = room_of(base, where)
    ended = []

    def work():
        try:
            Engines(room).pin(want("slow"), None, update=True)
        except Stopped:
            ended.append(time.monotonic())

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.6)
    asked = time.monotonic()
    room.pip.stop()
    thread.join(10)
    assert ended
    assert ended[0] - asked < 3


def test_facts_say_whether_it_is_here(base, where, nix):
    """Present with the devices that it lists; gone when Nix's store lost it. No Nix is run."""
    locked, _ = pin(base, where, "llama-cpp")
    lock = Lock(engines={"main": locked})
    spec = spec_of("llama-cpp")
    facts, _ = gather(spec, lock, where, base)
    found = facts.engines["main"]
    assert found.present
    assert found.executable == locked.executable
    assert [device.name for device in found.devices] == ["Vulkan0"]
    gone = locked.replace(executable=locked.executable + "-gone")
    facts, _ = gather(spec, Lock(engines={"main": gone}), where, base)
    assert not facts.engines["main"].present


def test_the_verbs(base, tmp_path, smollm2, monkeypatch, capsys):
    """Locked, checked and compiled; the program's path in Nix's store is what would be started."""
    for kind in ("STATE", "STORE", "CACHE"):
        monkeypatch.setenv(f"LLMDECL_{kind}_DIR", str(tmp_path / kind.lower()))
    (base / "llmdecl.toml").write_text(SPEC)
    (base / "w.gguf").symlink_to(smollm2)
    monkeypatch.chdir(base)
    assert run(["lock"]) == 0
    assert "path:./flake#llama-cpp-vulkan" in capsys.readouterr().out
    locked = read_lock(base / "llmdecl.lock")[0].engines["main"]
    monkeypatch.setenv("PATH", "/usr/bin-without-nix")
    monkeypatch.setattr("llmdecl.sources.nix.client.USUAL_PLACES", ())
    assert run(["lock", "--check"]) == 0
    assert run(["fetch"]) == 0
    assert run(["check"]) == 0
    assert run(["compile", "-o", str(tmp_path / "out")]) == 0
    model = tmp_path / "out" / "supervisord" / "models" / "smollm2.conf"
    assert locked.executable in model.read_text()


@pytest.mark.parametrize(
    ("text", "kind", "rest"),
    [
        ("nixpkgs#llama-cpp", "flake", ("nixpkgs", "llama-cpp")),
        (".#main", "flake", (".", "main")),
        ("#main", "flake", (".", "main")),
        ("github:ggml-org/llama.cpp", "flake", ("github:ggml-org/llama.cpp", "")),
        ("llama-cpp", "attribute", ("llama-cpp", "")),
        ('a.b."c.d"', "attribute", ('a.b."c.d"', "")),
    ],
)
def test_forms(text, kind, rest):
    """What a package is follows from its text alone."""
    package = parse_package(text, "x")
    assert (package.kind, package.text, package.fragment) == (kind, *rest)
