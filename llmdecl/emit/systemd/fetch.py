"""What brings weights and engines at boot, beside the router: no model waits for it."""

from collections.abc import Iterator

from llmdecl.emit.dialects.systemd import section
from llmdecl.emit.systemd import names, sandbox
from llmdecl.emit.systemd.mode import OUR_PROGRAM, SPEC, STORE, Mode
from llmdecl.emit.systemd.sandbox import Directive

CACHE = f"{names.OWN}/.fetch"
RESTART_S = 60
"""Between attempts: what was downloaded stays, and the next one goes on there."""


def service(mode: Mode) -> str:
    """The whole unit; the same text for every stack."""
    return "\n".join((section("Unit", _unit(mode)), section("Service", _service(mode))))


def _unit(mode: Mode) -> Iterator[Directive]:
    """`After=` the target that wants it: else the target, and the boot, would wait for it."""
    yield "Description", "llmdecl: weights and engines"
    yield "PartOf", names.TARGET
    yield "After", names.TARGET if mode.user else f"{names.TARGET} network-online.target"
    if not mode.user:
        yield "Wants", "network-online.target"
    yield "StartLimitIntervalSec", "0"  # a network may come back after hours


def _service(mode: Mode) -> Iterator[Directive]:
    """The store is root's (a user's own), so is this; without capabilities, and no device."""
    yield "Type", "oneshot"
    yield "RemainAfterExit", "yes"
    yield "Slice", names.SLICE
    yield "ExecStart", f"{OUR_PROGRAM} fetch {SPEC} --store-dir {STORE} --cache-dir %C/{CACHE}"
    yield "TimeoutStartSec", "infinity"
    yield "Restart", "on-failure"
    yield "RestartSec", str(RESTART_S)
    yield "Nice", "10"
    yield "IOSchedulingClass", "idle"
    yield "CacheDirectory", CACHE
    yield "CacheDirectoryMode", "0700"
    yield "ReadWritePaths", f"-{STORE}"
    yield "UMask", "0022"
    yield from sandbox.closed(mode, homes="read-only")
    yield from sandbox.users(mode, private=True)
    yield from sandbox.network(reaches=True)
    yield from sandbox.devices(frozenset())
    yield from sandbox.calls(resources=False)
    yield "MemoryDenyWriteExecute", "yes"
    yield "ProcSubset", "pid"
