"""What a unit may not do: systemd.exec(5), systemd.resource-control(5), version 252.

Exposures by `systemd-analyze security` are in `docs/systemd.md`; `make exposure` prints them.
"""

from collections.abc import Iterator

from llmdecl.emit.systemd.mode import Mode
from llmdecl.plan.model import Root

Directive = tuple[str, str]

CLOSED: tuple[Directive, ...] = (
    ("CapabilityBoundingSet", ""),
    ("KeyringMode", "private"),
    ("LockPersonality", "yes"),
    ("NoNewPrivileges", "yes"),
    ("PrivateIPC", "yes"),
    ("PrivateMounts", "yes"),
    ("PrivateTmp", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHome", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectProc", "invisible"),
    ("ProtectSystem", "strict"),
    ("ReadOnlyPaths", "/run"),
    ("RemoveIPC", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallErrorNumber", "EPERM"),
    ("TemporaryFileSystem", "/dev/shm:mode=1777"),  # noqa: S108  # a private one
)
"""What no unit of ours needs. `ProtectSystem=strict` leaves all of `/dev` writable, and of `/run`
what the account owns, as soon as something else mounts `/proc` or `/sys` anew."""

SYSTEMS = ("PrivateIPC", "RemoveIPC")
"""A user's manager can't: with a user namespace for each process, the second of a unit may not join
the IPC namespace of the first (226/NAMESPACE)."""

NVIDIA = ("char-nvidiactl", "char-nvidia-uvm", "char-nvidia-caps", "char-nvidia-frontend")
"""`char-nvidia-frontend` is what older drivers call the cards; unknown groups are passed over."""

DEVICES = {
    "cuda": NVIDIA,
    "hip": ("char-drm", "char-kfd"),
    "vulkan": ("char-drm", *NVIDIA),
    "sycl": ("char-drm",),
}
"""Devices that a backend opens, as `DeviceAllow=` names them."""

GROUPS = {"hip": ("render", "video"), "vulkan": ("render", "video"), "sycl": ("render", "video")}
"""Groups that may open them; a group that does not exist would fail the unit."""


def mark(digest: str) -> Directive:
    """Leaves in the runtime directory what the unit was at its start: who observes a running
    process sees nothing of it below `/proc`."""
    return "ExecStartPre", f"/bin/sh -c 'printf {digest} > \"$$RUNTIME_DIRECTORY/digest\"'"


def closed(mode: Mode, *, homes: str = "yes") -> Iterator[Directive]:
    """For every unit; a user's home holds the store, so it is read-only there."""
    for name, value in CLOSED:
        if name == "ProtectHome":
            yield name, "read-only" if mode.user else homes
        elif not (mode.user and name in SYSTEMS):
            yield name, value


def alone(mode: Mode, name: str) -> Iterator[Directive]:
    """Of all runtime folders just its own is there: no socket of others, and not the router's."""
    run = mode.roots[Root.RUN]
    yield "TemporaryFileSystem", f"{run}:ro"
    yield "BindPaths", f"{run}/{name}"


def users(mode: Mode, *, private: bool) -> Iterator[Directive]:
    """A user's manager can confine at all only with user namespaces."""
    if private or mode.user:
        yield "PrivateUsers", "yes"


def network(*, reaches: bool) -> Iterator[Directive]:
    """None but unix sockets, unless something on the network has to be reached."""
    if reaches:
        yield "RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"
        return
    yield "PrivateNetwork", "yes"
    yield "IPAddressDeny", "any"
    yield "RestrictAddressFamilies", "AF_UNIX"


def devices(backends: frozenset[str]) -> Iterator[Directive]:
    """Only the device nodes of these backends."""
    if not backends & DEVICES.keys():
        yield "PrivateDevices", "yes"
        yield "DevicePolicy", "closed"
        return
    yield "DevicePolicy", "closed"
    allowed = dict.fromkeys(
        each for backend in sorted(backends) for each in DEVICES.get(backend, ())
    )
    for each in allowed:
        yield "DeviceAllow", f"{each} rw"
    groups = sorted({each for backend in backends for each in GROUPS.get(backend, ())})
    if groups:
        yield "SupplementaryGroups", " ".join(groups)


def calls(*, resources: bool) -> Iterator[Directive]:
    """System calls of a service; `resources` for what binds threads and memory to nodes."""
    yield "SystemCallFilter", "@system-service"
    yield "SystemCallFilter", "~@privileged" if resources else "~@privileged @resources"
