"""The router's service: it starts and stops models through the manager, and nothing else."""

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from llmdecl.emit import router as router_json
from llmdecl.emit.dialects.systemd import path_setting, section, whole_value
from llmdecl.emit.systemd import names, sandbox, sockets
from llmdecl.emit.systemd.mode import OUR_PROGRAM, Mode
from llmdecl.emit.systemd.sandbox import Directive
from llmdecl.plan.model import Plan, Root

LOOPBACK = ("127.0.0.1", "::1", "localhost")

STOP_S = 3605
"""Bounds a router that hangs: it ends by itself after its `drain-timeout`, at most an hour."""


def service(plan: Plan, mode: Mode) -> str:
    """The whole unit; its digest leaves a mark at each start, as a model's does."""
    mark = "=".join(sandbox.mark(digest(plan, mode)))
    return "\n".join((section("Unit", _unit(plan)), f"{_own(plan, mode)}{mark}\n"))


def digest(plan: Plan, mode: Mode) -> str:
    """Of all that a router which runs can't take by reading its configuration anew."""
    return hashlib.sha256(_own(plan, mode).encode()).hexdigest()


def _own(plan: Plan, mode: Mode) -> str:
    return section("Service", _service(plan, mode))


def _unit(plan: Plan) -> Iterator[Directive]:
    yield "Description", "llmdecl: router"
    yield "PartOf", names.TARGET
    yield "After", "network.target dbus.service"
    yield "StartLimitIntervalSec", "60"
    yield "StartLimitBurst", "10"
    text = router_json.emit(plan)[0].text
    yield "X-Reload-Triggers", hashlib.sha256(text.encode()).hexdigest()


def _service(plan: Plan, mode: Mode) -> Iterator[Directive]:
    manager = "systemd-user" if mode.user else "systemd"
    yield "Type", "exec"
    yield "Slice", names.SLICE
    if not mode.user:
        yield "User", names.ACCOUNT
        yield "Group", names.ACCOUNT
        yield "SupplementaryGroups", "systemd-journal"
    folders = f"--run {mode.roots[Root.RUN]} --measured {mode.roots[Root.STATE]}/measured"
    command = f"{OUR_PROGRAM} router {mode.settings}/router.json --manager {manager} {folders}"
    if plan.socket_activation:
        command += " --activated"
        yield "Sockets", " ".join(names.of_endpoint(each.name) for each in plan.endpoints)
        for each in plan.endpoints:
            # in the digest: another address takes another socket, and so a restart
            yield "X-Listens", f"{each.name}={sockets.shown(each.listen)}"
    yield "ExecStart", command
    yield "ExecReload", "/bin/sh -c 'kill -HUP $$MAINPID'"
    yield "Restart", "on-failure"
    yield "RestartSec", "1"
    yield "TimeoutStopSec", str(STOP_S)
    yield "KillMode", "mixed"
    yield "RuntimeDirectory", f"{names.OWN}/.router"
    yield "RuntimeDirectoryMode", "0750"
    if not mode.user:
        yield "StateDirectory", f"{names.OWN}/measured"
    yield "UMask", "0007"
    for endpoint in () if mode.user else plan.endpoints:
        if endpoint.api_keys_file is not None:
            path = whole_value(endpoint.api_keys_file)
            yield "LoadCredential", f"{endpoint.name}.keys:{path}"
    yield from _doors(plan)
    yield from sandbox.closed(mode)
    yield from sandbox.users(mode, private=True)
    yield from sandbox.network(reaches=not plan.socket_activation)
    if not plan.socket_activation and all(
        each.listen.host in LOOPBACK for each in plan.endpoints if each.listen.path is None
    ):
        yield "IPAddressDeny", "any"
        yield "IPAddressAllow", "localhost"
    yield from sandbox.devices(frozenset())
    yield from sandbox.calls(resources=False)
    yield "MemoryDenyWriteExecute", "yes"
    yield "ProcSubset", "pid"


def _doors(plan: Plan) -> Iterator[Directive]:
    """Folders of unix sockets, which the router makes itself where systemd does not."""
    if plan.socket_activation:
        return
    paths = (each.listen.path for each in plan.endpoints if each.listen.path is not None)
    for folder in sorted({str(PurePosixPath(path).parent) for path in paths}):
        yield "ReadWritePaths", path_setting(f"-{folder}")
