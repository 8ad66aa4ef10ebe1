"""`systemd-analyze security` of the golden units: `python -m tests.systemd.exposure` prints it."""

import re
from pathlib import Path

from tests.systemd.rig import Rig, lacking

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
PAGE = Path(__file__).resolve().parents[2] / "docs/systemd.md"
CASES = ("systemd", "systemd-devices", "systemd-sockets", "systemd-none")
STAND_INS = {
    "@LLMDECL@": "/usr/bin/true",
    "@STATE@": "/var/lib/llmdecl",
    "@STORE@": "/var/lib/llmdecl/store",
    "@SPEC@": "/var/lib/llmdecl/wanted",
    "@PROXY@": "/usr/lib/systemd/systemd-socket-proxyd",
}

FIGURES = {
    "a model on the CPU": ("systemd", "llmdecl-model-smollm2.service", "cpu"),
    "a model on CUDA devices": ("systemd-devices", "llmdecl-model-first.service", "gpu"),
    "the router, endpoints on loopback": ("systemd", "llmdecl-router.service", "router"),
    "the router, endpoints open to others": ("systemd", "llmdecl-router.service", "router"),
    "the router with socket activation": (
        "systemd-sockets",
        "llmdecl-router.service",
        "activated",
    ),
    "fetch, which is root without its capabilities": ("systemd", "llmdecl-fetch.service", "fetch"),
}
"""Rows of the page's table: case, unit, and which limit is its own."""


def documented() -> dict[str, float]:
    """The table of `docs/systemd.md`."""
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \|$", PAGE.read_text(), re.MULTILINE)
    return {title: float(figure) for title, figure in rows}


def without_filter(text: str) -> str:
    """A router's unit as it is when an endpoint is open to others."""
    return re.sub(r"^IPAddress(Deny|Allow)=.*\n", "", text, flags=re.MULTILINE)


def install(rig: Rig, case: str) -> tuple[str, dict[str, str]]:
    """A case's units in a folder inside, programs and folders of a machine filled in."""
    folder = f"/run/units-{case}"
    rig.run("systemd-sysusers", "-", stdin='u llmdecl - "llmdecl"\n')
    texts = {}
    for path in sorted((GOLDEN / case / "expected/systemd").iterdir()):
        text = path.read_text()
        for name, value in STAND_INS.items():
            text = text.replace(name, value)
        text = re.sub(r'^ExecStart="[^"]*"', 'ExecStart="/usr/bin/true"', text, flags=re.MULTILINE)
        texts[path.name] = text
        rig.write(f"{folder}/{path.name}", text)
    return folder, texts


def exposure(rig: Rig, path: str) -> float:
    """How much a service may do, by systemd's own count: 0 to 10."""
    done = rig.run("systemd-analyze", "security", "--offline=yes", path)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


def main() -> None:
    """A line a service."""
    if problem := lacking():
        raise SystemExit(problem)
    rig = Rig()
    try:
        print(rig.run("systemctl", "--version").stdout.splitlines()[0])
        for case in CASES:
            folder, texts = install(rig, case)
            for name in texts:
                if name.endswith(".service"):
                    print(f"{exposure(rig, f'{folder}/{name}'):4.1f}  {case}/{name}")
        for title, (case, name, _) in FIGURES.items():
            if "open to others" in title:
                folder, texts = install(rig, case)
                rig.write(f"{folder}/{name}", without_filter(texts[name]))
                print(f"{exposure(rig, f'{folder}/{name}'):4.1f}  {title}")
    finally:
        rig.close()


if __name__ == "__main__":
    main()
