"""`llmdecl check --nix`: a configuration's settings, judged before they are built."""

import json
import shutil

import pytest

from llmdecl.cli import run
from tests.nix.stacks import PREFIX, edited, lock, settings

FLAKE = """{
  outputs = _: {
    nixosConfigurations.atlas.config.services.llmdecl = {
      spec = builtins.fromJSON (builtins.readFile ./spec.json);
      lockFile = ./llmdecl.lock;
    };
  };
}
"""


@pytest.fixture
def check(nix, tmp_path, monkeypatch, capsys):
    """Checks a spec as the module of a flake has it; exit status and what was said."""
    for name, value in nix.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def check(spec, pins):
        shutil.rmtree(tmp_path / "flake", ignore_errors=True)
        (tmp_path / "flake").mkdir()
        (tmp_path / "flake/flake.nix").write_text(FLAKE)
        (tmp_path / "flake/spec.json").write_text(json.dumps(spec))
        (tmp_path / "flake/llmdecl.lock").write_text(json.dumps(pins))
        status = run(["check", "--nix", "path:./flake#nixosConfigurations.atlas"])
        said = capsys.readouterr()
        return status, said.out + said.err

    return check


def test_what_is_wrong_is_said_by_option(check):
    """Errors of the language and of the stack, with options for addresses; nothing when clean."""
    assert check(settings(), lock()) == (0, "path:./flake#nixosConfigurations.atlas: no problems\n")
    status, said = check(edited(settings(), model="small", ctx_sise=1), lock())
    assert status == 1
    assert f"{PREFIX}.models.small.ctx-sise" in said
    status, said = check(edited(settings(), model="big", devices=["gpu9"]), lock())
    assert status == 1
    assert f"{PREFIX}.models.big.devices" in said
    assert "llmdecl.json" not in said


def test_an_engine_that_is_not_built(check):
    """A warning says what was not checked; a lock that knows the engine checks all of it."""
    spec, pins = settings(), lock()
    path = "/nix/store/00000000000000000000000000000000-llama-cpp-1/bin/llama-server"
    spec["engines"]["llama"] = {"kind": "llama.cpp", "provider": "path", "path": path}
    status, said = check(spec, lock(engine=False))
    assert (status, "LD909" in said) == (0, True)
    pins["engines"]["llama"] |= {"provider": "path", "executable": "/elsewhere", "package": None}
    status, said = check(spec, pins)
    assert (status, "LD909" in said) == (0, False), said
    status, said = check(edited(spec, model="small", extra_args=["--no-such-flag"]), pins)
    assert (status, f"{PREFIX}.models.small.extra-args" in said) == (1, True)


def test_a_configuration_that_is_not_there(check, tmp_path, capsys):
    """Nix's own words, and no traceback."""
    check(settings(), lock())
    assert run(["check", "--nix", "path:./flake#nixosConfigurations.other"]) == 1
    assert "LD64" in "".join(capsys.readouterr())
