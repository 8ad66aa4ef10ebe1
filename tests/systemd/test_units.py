"""The golden units, judged by systemd's own tools."""

import pytest

from tests.systemd.exposure import CASES, FIGURES, documented, exposure, install, without_filter

LIMITS = {"activated": 0.5, "cpu": 0.5, "gpu": 0.8, "router": 1.2, "fetch": 1.5}
"""Most that `systemd-analyze security` may find open."""


@pytest.fixture(params=CASES)
def units(request, rig):
    """A case's units inside, with stand-ins where the machine's programs are named."""
    return install(rig, request.param)


def test_verify_finds_nothing(rig, units):
    """`systemd-analyze verify` says not a word."""
    folder, texts = units
    done = rig.run("systemd-analyze", "verify", *(f"{folder}/{name}" for name in texts))
    assert "" == done.stdout + done.stderr


def kind_of(name, text):
    """Which limit is a service's."""
    if "--activated" in text:
        return "activated"
    for kind in ("router", "fetch"):
        if name == f"llmdecl-{kind}.service":
            return kind
    return "gpu" if "DeviceAllow=" in text else "cpu"


def test_exposure(rig, units):
    """A model on the CPU, one on a GPU, the router and fetch are as closed as they can be."""
    folder, texts = units
    found = {
        name: (exposure(rig, f"{folder}/{name}"), LIMITS[kind_of(name, text)])
        for name, text in texts.items()
        if name.endswith(".service")
    }
    assert len(found) >= 4
    assert {} == {name: pair for name, pair in found.items() if pair[0] > pair[1]}


def test_the_page_has_the_figures(rig):
    """What `docs/systemd.md` says of each kind of unit is what systemd 252 finds, and within the
    limit; a router that others reach, too."""
    found = {}
    for title, (case, name, kind) in FIGURES.items():
        folder, texts = install(rig, case)
        if "open to others" in title:
            rig.write(f"{folder}/{name}", without_filter(texts[name]))
        found[title] = exposure(rig, f"{folder}/{name}")
        assert found[title] <= LIMITS[kind]
    if "systemd 252 " in rig.run("systemctl", "--version").stdout:
        assert documented() == found
