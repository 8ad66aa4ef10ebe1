"""systemd's artefacts as a package: what a machine is filled in, files where NixOS looks for them.

`systemd.packages` links `lib/systemd`; nothing here holds the package's own path, so that
a unit whose model is unchanged is unchanged bytes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from llmdecl.emit.artefact import Artefact, ArtefactSet
from llmdecl.emit.dialects.systemd import escape_path, section
from llmdecl.emit.systemd import names
from llmdecl.emit.systemd.mode import OUR_PROGRAM, PROXY, SPEC, STATE, STORE, SYSTEM, USER

STACK = "llmdecl/stack"
"""Below `/etc`: spec and lock, for `llmdecl fetch`."""
PROBLEMS = "etc/llmdecl/problems.txt"
NIXOS_PROXY = "/run/current-system/systemd/lib/systemd/systemd-socket-proxyd"
PATH = "/run/current-system/sw/bin:/usr/bin:/bin"
"""Where the router finds `journalctl`: packaged units get no PATH of NixOS'. Another unit of the
router restarts it at once, instead of stopping it before the activation and starting it after."""


@dataclass(frozen=True, slots=True)
class Machine:
    """`program` is llmdecl's own; folders are absolute; `environment_file` is read by the fetch."""

    program: str
    state: str
    store: str
    user: str = names.ACCOUNT
    group: str = names.ACCOUNT
    environment_file: str | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """What `llmdecl fetch` works from, as JSON; `weights` is the lock's part that it follows."""

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
    *,
    user: bool,
    fetch: Fetch | None = None,
    links: tuple[Link, ...] = (),
) -> ArtefactSet:
    """Units, rights and the router's configuration of a stack whose manager is systemd."""
    files = [*_files(artefacts, machine, user=user)]
    if fetch is not None:
        files += _fetch(fetch, machine, user=user)
    else:
        files = [_unfetched(file) for file in files if not file.path.endswith(f"/{names.FETCH}")]
    files.append(_tmpfiles(machine, links, user=user))
    return tuple(sorted(files, key=lambda each: each.path))


def failing(problems: str, *, user: bool) -> ArtefactSet:
    """A router that says at its start what is wrong, for builds that go on all the same."""
    mode = USER if user else SYSTEM
    text = "[Unit]\nDescription=llmdecl: router\nPartOf=llmdecl.target\n\n[Service]\nType=exec\n"
    folder = mode.settings
    text += f"ExecStart=/bin/sh -c 'cat {folder}/problems.txt >&2; exit 1'\n"
    target = f"[Unit]\nDescription=llmdecl: local models\nWants={names.ROUTER}\n"
    units = _units(user=user)
    return (
        Artefact(path=PROBLEMS, text=problems),
        Artefact(path="etc/llmdecl/router.json", text="{}\n"),
        Artefact(path=f"{units}/{names.ROUTER}", text=text),
        Artefact(path=f"{units}/{names.TARGET}", text=target),
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
    if not user:
        text = section("Service", [("Environment", f"PATH={PATH}"), ("X-StopIfChanged", "false")])
        yield Artefact(path=f"{_units(user=user)}/{names.ROUTER}.d/nixos.conf", text=text)


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
        (STORE, escape_path(machine.store)),
        (SPEC, spec),
        (PROXY, NIXOS_PROXY),
        (f"\nUser={names.ACCOUNT}\n", f"\nUser={machine.user}\n"),
        (f"\nGroup={names.ACCOUNT}\n", f"\nGroup={machine.group}\n"),
        (f"\n{own}\n", f"\nStateDirectory={relative}/measured\n"),
    ):
        text = text.replace(old, new)
    return text


def _fetch(fetch: Fetch, machine: Machine, *, user: bool) -> Iterator[Artefact]:
    """Spec and lock, and what is the machine's of the unit that brings weights.

    Another lock restarts it, and a switch waits for whatever it starts: `exec` is started at once.
    """
    folder = f"etc/{STACK}"
    yield Artefact(path=f"{folder}/llmdecl.json", text=fetch.spec)
    yield Artefact(path=f"{folder}/llmdecl.lock", text=fetch.lock)
    digest = hashlib.sha256(fetch.weights.encode()).hexdigest()
    service = [("Type", "exec")]
    if machine.environment_file is not None:
        service.append(("EnvironmentFile", machine.environment_file.replace("%", "%%")))
    text = section("Unit", [("X-Restart-Triggers", digest)]) + "\n" + section("Service", service)
    yield Artefact(path=f"{_units(user=user)}/{names.FETCH}.d/lock.conf", text=text)


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
