"""The golden units, judged by systemd's own tools."""

import re

import pytest

from tests.test_golden import GOLDEN

CASES = ("systemd", "systemd-devices")
LIMITS = {"cpu": 0.5, "gpu": 0.8, "router": 1.2}
"""Most that `systemd-analyze security` may find open."""


@pytest.fixture(params=CASES)
def units(request, rig):
    """A case's units inside, with stand-ins where the machine's programs are named."""
    folder = f"/run/units-{request.param}"
    rig.run("systemd-sysusers", "-", stdin='u llmdecl - "llmdecl"\n')
    texts = {}
    for path in (GOLDEN / request.param / "expected/systemd").iterdir():
        text = path.read_text().replace("@LLMDECL@", "/usr/bin/true")
        text = re.sub(r'^ExecStart="[^"]*"', 'ExecStart="/usr/bin/true"', text, flags=re.MULTILINE)
        texts[path.name] = text
        rig.write(f"{folder}/{path.name}", text)
    return folder, texts


def test_verify_finds_nothing(rig, units):
    """`systemd-analyze verify` says not a word."""
    folder, texts = units
    done = rig.run("systemd-analyze", "verify", *(f"{folder}/{name}" for name in texts))
    assert "" == done.stdout + done.stderr


def test_exposure(rig, units):
    """A model on the CPU, one on a GPU and the router are as closed as they can be."""
    folder, texts = units
    for name, text in texts.items():
        if not name.endswith(".service"):
            continue
        kind = "router" if "router" in name else "gpu" if "DeviceAllow=" in text else "cpu"
        done = rig.run("systemd-analyze", "security", "--offline=yes", f"{folder}/{name}")
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
        assert found is not None
        assert float(found[1]) <= LIMITS[kind], done.stdout
