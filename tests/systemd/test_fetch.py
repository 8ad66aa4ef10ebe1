"""The unit that brings weights: a boot without network, a server that comes late, a power cut."""

import sysconfig
from pathlib import Path

import pytest

from llmdecl.emit.systemd.mode import with_store
from tests.systemd.exposure import GOLDEN
from tests.web.hub_kit import model
from tests.web.site_kit import Site, sha256
from tests.web.stack_kit import ENGINE

HERE = Path(__file__).resolve().parents[2]
UNITS = GOLDEN / "systemd/expected/systemd"
FETCH = "llmdecl-fetch.service"
SIZE = 12 << 20
STORE = "/srv/fetch/its store"
STAND_INS = {
    "@LLMDECL@": "/usr/bin/python3 -m llmdecl",
    "@STATE@": "/srv/fetch/state",
    "@SPEC@": "/srv/fetch/stack",
}
SPEC = """\
version = 1
[engines.here]
kind = "llama.cpp"
provider = "path"
path = "/srv/fetch/llama-server"
[sources]
adopt = false
[models.late]
source = "{url}"
[endpoints.main]
listen = "127.0.0.1:18080"
[manager]
kind = "systemd"
"""


@pytest.fixture
def site():
    """A web server that serves one model of some size."""
    site = Site()
    head = model()
    body = head + bytes(SIZE - len(head))
    site.source = site.put("/late.gguf", body) + f"#sha256={sha256(body)}"
    yield site
    site.close()


@pytest.fixture
def units(rig, site):
    """What the target holds together, without a router, for a stack that is locked and not here;
    attempts follow each other at once."""
    packages = sysconfig.get_paths()["purelib"]
    rig.write("/usr/lib/python3/dist-packages/zz-llmdecl.pth", f"{packages}\n{HERE}\n")
    rig.write("/srv/fetch/llama-server", ENGINE)
    rig.run("chmod", "755", "/srv/fetch/llama-server")
    rig.write("/srv/fetch/stack/llmdecl.toml", SPEC.format(url=site.source))
    folders = ("--state-dir", "/srv/fetch/state", "--store-dir", STORE)
    words = ("python3", "-m", "llmdecl", "lock", "/srv/fetch/stack", "--cache-dir", "/srv/fetch/c")
    rig.run(*words, *folders)
    names = [path.name for path in UNITS.iterdir() if path.name != "llmdecl-router.service"]
    for name in names:
        text = (UNITS / name).read_text()
        for stand_in, value in STAND_INS.items():
            text = text.replace(stand_in, value)
        rig.write(f"/run/systemd/system/{name}", with_store(text, STORE))
    rig.write(f"/run/systemd/system/{FETCH}.d/now.conf", "[Service]\nRestartSec=100ms\n")
    rig.run("systemctl", "daemon-reload")
    yield names
    rig.run("systemctl", "stop", *names, check=False)
    rig.run("sh", "-c", "rm -r /run/systemd/system/llmdecl* /srv/fetch")
    rig.run("systemctl", "daemon-reload")
    rig.run("systemctl", "reset-failed")


def shown(rig, *properties):
    """Values of the unit's properties, in the order asked."""
    said = rig.run("systemctl", "show", *(f"-p{each}" for each in properties), FETCH).stdout
    values = dict(line.partition("=")[::2] for line in said.splitlines())
    return [values[each] for each in properties]


def test_it_gets_there(rig, site, units):
    """The boot does not wait for a server that refuses; attempts follow until it serves; an
    attempt that was killed on the way goes on where it was; then the unit is done."""
    refusal = site.fault("late.gguf", status=403)
    before = len(site.log)
    rig.run("systemctl", "start", "llmdecl.target", timeout_s=10)
    assert "active" == rig.run("systemctl", "is-active", "llmdecl.target").stdout.strip()
    rig.until(lambda: int(shown(rig, "NRestarts")[0]) >= 2)
    assert "activating" == shown(rig, "ActiveState")[0]
    assert {403} == {each.status for each in site.log[before:]}

    slow, sent = site.fault("late.gguf", pace_s=0.015), site.sent_bytes()
    rig.until(lambda: site.sent_bytes() - sent > SIZE // 2)
    rig.run("systemctl", "kill", "--signal=KILL", FETCH)
    refusal.times = slow.times = 0
    rig.until(lambda: shown(rig, "ActiveState", "Result") == ["active", "success"])
    assert site.sent_bytes() - sent < SIZE * 5 // 4, "it began anew"
    found = rig.run("sh", "-c", "cd /srv/fetch/its*/weights/*/ && stat -Lc %s *").stdout
    assert [str(SIZE)] == found.split()


def test_no_model_waits_for_it(rig, units):
    """By systemd's own word: neither order nor need leads from a model, or the boot, to it."""
    models = [name for name in units if name.startswith("llmdecl-model-")]
    assert models
    for kind in ("After", "Requires", "Wants", "BindsTo"):
        for name in models:
            said = rig.run("systemctl", "show", f"-p{kind}", "--value", name).stdout
            assert FETCH not in said.split()
    (after,) = shown(rig, "After")
    assert "llmdecl.target" in after.split(), "else the target, and the boot, would wait for it"
