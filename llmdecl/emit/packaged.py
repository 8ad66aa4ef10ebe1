"""systemd's artefacts as a package: what a machine is filled in, files where NixOS looks for them.

`systemd.packages` links `lib/systemd`; nothing here holds the package's own path, so that
a unit whose model is unchanged is unchanged bytes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from llmdecl.emit.artefact import Artefact, ArtefactSet
from llmdecl.emit.dialects.systemd import environment_file, escape_path, section
from llmdecl.emit.systemd import names
from llmdecl.emit.systemd.mode import (
    OUR_PROGRAM,
    PROXY,
    SPEC,
    STATE,
    SYSTEM,
    USER,
    with_store,
)

STACK = "llmdecl/stack"
"""Below `/etc`: spec and lock, for `llmdecl fetch`."""
PROBLEMS = "etc/llmdecl/problems.txt"
NIXOS_PROXY = "/run/current-system/systemd/lib/systemd/systemd-socket-proxyd"
PATH = "/run/current-system/sw/bin:/usr/bin:/bin"
"""Where the router finds `journalctl`: packaged units get no PATH of NixOS'."""


@dataclass(frozen=True, slots=True)
class Machine:
    """`program` is llmdecl's own, `proxy` systemd-socket-proxyd; folders are absolute;
    `environment_file` is read by the fetch."""

    program: str
    state: str
    store: str
    user: str = names.ACCOUNT
    group: str = names.ACCOUNT
    proxy: str = NIXOS_PROXY
    environment_file: str | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """What was compiled, as JSON; `weights` is the part of the lock that the fetch follows."""

    spec: str
    lock: str
    weights: str


@dataclass(frozen=True, slots=True)
class Link:
    """A pinned file of the machine: `path` below the store leads to the absolute `target`."""

    path: str
    target: str


def packaged(
    artefacts: ArtefactSet,
    machine: Machine,
    stack: Stack,
    *,
    user: bool,
    fetch: bool = False,
    links: tuple[Link, ...] = (),
) -> ArtefactSet:
    """Units, rights and the router's configuration of a stack whose manager is systemd."""
    files = [*_files(artefacts, machine, user=user)]
    if fetch:
        files.append(_fetch(stack.weights, machine, user=user))
    else:
        files = [_unfetched(file) for file in files if not file.path.endswith(f"/{names.FETCH}")]
    if fetch or not any(file.path.startswith("etc/") for file in files):
        # the folder is linked to, so it is there without a router and its file, too
        files.append(Artefact(path=f"etc/{STACK}/llmdecl.json", text=stack.spec))
        files.append(Artefact(path=f"etc/{STACK}/llmdecl.lock", text=stack.lock))
    files.append(_tmpfiles(machine, links, user=user))
    return tuple(sorted(files, key=lambda each: each.path))


def failing(problems: str, machine: Machine, *, user: bool) -> ArtefactSet:
    """A router that says at its start what is wrong, for builds that go on all the same.

    By words of the shell alone: NixOS has no programs where systemd looks for them.
    """
    mode = USER if user else SYSTEM
    text = "[Unit]\nDescription=llmdecl: router\nPartOf=llmdecl.target\n\n[Service]\nType=exec\n"
    said = f'while read -r line; do echo "$$line"; done < {mode.settings}/problems.txt >&2'
    text += f"ExecStart=/bin/sh -c 'IFS=; {said}; exit 1'\n"
    target = f"[Unit]\nDescription=llmdecl: local models\nWants={names.ROUTER}\n"
    units = _units(user=user)
    return (
        Artefact(path=PROBLEMS, text=problems),
        Artefact(path="etc/llmdecl/router.json", text="{}\n"),
        Artefact(path=f"{units}/{names.ROUTER}", text=text),
        Artefact(path=f"{units}/{names.TARGET}", text=target),
        _tmpfiles(machine, (), user=user),
    )


def _units(*, user: bool) -> str:
    return f"lib/systemd/{'user' if user else 'system'}"


def _files(artefacts: ArtefactSet, machine: Machine, *, user: bool) -> Iterator[Artefact]:
    for artefact in artefacts:
        folder, _, name = artefact.path.rpartition("/")
        match folder:
            case "systemd":
                path = f"{_units(user=user)}/{name}"
                text = _filled(artefact.text, machine, user=user)
                yield Artefact(path=path, text=_switched(name, text) if user else text)
            case "polkit":
                text = artefact.text.replace(f'"{names.ACCOUNT}"', f'"{machine.user}"')
                yield Artefact(path=f"share/polkit-1/rules.d/49-{name}", text=text)
            case "" if name == "router.json":
                yield Artefact(path=f"etc/llmdecl/{name}", text=artefact.text)
    router = next((each for each in artefacts if each.path == f"systemd/{names.ROUTER}"), None)
    if router is not None and not user:
        text = section("Service", _switching(router.text))
        yield Artefact(path=f"{_units(user=user)}/{names.ROUTER}.d/nixos.conf", text=text)


def _switching(router: str) -> Iterator[tuple[str, str]]:
    """Another unit of the router restarts it at once, instead of stopping it before the activation
    and starting it after. A router behind sockets has to be stopped: switch-to-configuration gives
    sockets their new addresses only with a service that it stops."""
    yield "Environment", f"PATH={PATH}"
    if "\nSockets=" not in router:
        yield "X-StopIfChanged", "false"


def _unfetched(file: Artefact) -> Artefact:
    """Without the unit that brings weights."""
    if not file.path.endswith(f"/{names.TARGET}"):
        return file
    return Artefact(path=file.path, text=file.text.replace(f" {names.FETCH}", ""))


def _switched(name: str, text: str) -> str:
    """What home-manager's sd-switch does with a changed unit: models are left to the router."""
    if name != names.ROUTER and not names.is_model(name):
        return text
    method = "reload" if name == names.ROUTER else "keep-old"
    return text.replace("[Unit]\n", f"[Unit]\nX-SwitchMethod={method}\n", 1)


def _filled(text: str, machine: Machine, *, user: bool) -> str:
    """The unit for this machine."""
    spec = f"{(USER if user else SYSTEM).settings}/stack"
    state = PurePosixPath(machine.state)
    own = f"StateDirectory={names.OWN}/measured"
    relative = state.relative_to("/var/lib") if state.is_relative_to("/var/lib") else names.OWN
    for old, new in (
        (OUR_PROGRAM, escape_path(machine.program)),
        (STATE, escape_path(machine.state)),
        (SPEC, spec),
        (PROXY, escape_path(machine.proxy)),
        (f"\nUser={names.ACCOUNT}\n", f"\nUser={machine.user}\n"),
        (f"\nGroup={names.ACCOUNT}\n", f"\nGroup={machine.group}\n"),
        (f"\n{own}\n", f"\nStateDirectory={relative}/measured\n"),
    ):
        text = text.replace(old, new)
    return with_store(text, machine.store)


def _fetch(weights: str, machine: Machine, *, user: bool) -> Artefact:
    """What is the machine's of the unit that brings weights.

    Another lock restarts it, and a switch waits for whatever it starts: `exec` is started at once.
    """
    digest = hashlib.sha256(weights.encode()).hexdigest()
    service = [("Type", "exec")]
    if machine.environment_file is not None:
        service.append(("EnvironmentFile", environment_file(machine.environment_file)))
    text = section("Unit", [("X-Restart-Triggers", digest)]) + "\n" + section("Service", service)
    return Artefact(path=f"{_units(user=user)}/{names.FETCH}.d/lock.conf", text=text)


def _tmpfiles(machine: Machine, links: tuple[Link, ...], *, user: bool) -> Artefact:
    """tmpfiles.d(5): the folders, and pinned files that lie elsewhere on this machine."""
    owner = "- -" if user else "root root"
    folders = [machine.state, machine.store, f"{machine.store}/weights"]
    lines = [f"d {_word(folder)} 0755 {owner} -" for folder in folders]
    entries = dict.fromkeys(str(PurePosixPath(link.path).parent) for link in links)
    lines += [f"d {_word(f'{machine.store}/{each}')} 0755 {owner} -" for each in entries]
    lines += [
        f"L+ {_word(f'{machine.store}/{link.path}')} - - - - {link.target.replace('%', '%%')}"
        for link in links
    ]
    folder = "share/user-tmpfiles.d" if user else "lib/tmpfiles.d"
    return Artefact(path=f"{folder}/llmdecl.conf", text="\n".join((*lines, "")))


def _word(path: str) -> str:
    """A path as a field: specifiers and C escapes as in units."""
    return escape_path(path)
