"""Whether the account of the system's stack can read what a spec names on this machine."""

import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import llmdecl
from llmdecl.activate.rules import ACCOUNT_UNUSABLE, UNREADABLE_FOR_ACCOUNT
from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.emit.systemd import names
from llmdecl.sources.reference import FileReference, parse_reference
from llmdecl.spec.address import address
from llmdecl.spec.schema import PathEngine, Spec
from llmdecl.store.wanted import wanted

HOMES = ("/home", "/root", "/run/user")
"""What `ProtectHome=yes` hides."""


def require_reachable(spec: Spec, base: Path) -> None:
    """A Failure that names which weights, engines and keys of this machine can't be used."""
    if problems := (*unreachable(spec, base), *absent_keys(spec)):
        raise Failure(*problems)


def absent_keys(spec: Spec) -> Iterator[Diagnostic]:
    """Systemd hands files of keys to the router, and starts no router without them."""
    for name, endpoint in sorted(spec.endpoints.items()):
        if endpoint.api_keys_file is not None and not Path(endpoint.api_keys_file).is_file():
            summary = f"`{endpoint.api_keys_file}` is not there, and the router can't start without"
            yield UNREADABLE_FOR_ACCOUNT.at(address("endpoints", name, "api-keys-file"), summary)


def unreachable(spec: Spec, base: Path) -> Iterator[Diagnostic]:
    """One problem a file. What is not there, or can't be looked at, is for others to say."""
    for where, path in _files(spec, base):
        try:
            real = path.resolve(strict=True)
            closed = closed_to(real, *account())
        except OSError:
            continue
        if (home := home_of(real)) is not None:
            summary = f"models see nothing of `{home}`, and `{real}` is there"
            yield UNREADABLE_FOR_ACCOUNT.at(where, summary)
        elif closed is not None:
            what = "enter" if closed.is_dir() else "read"
            summary = f"the account `{names.ACCOUNT}` can't {what} `{closed}`"
            notes = [f"its mode is {stat.filemode(closed.stat().st_mode)}"]
            yield UNREADABLE_FOR_ACCOUNT.at(where, summary, notes=notes)


def _files(spec: Spec, base: Path) -> Iterator[tuple[str, Path]]:
    """Of a pattern the folder alone."""
    for source in wanted(spec).sources:
        reference = parse_reference(source.source)
        if isinstance(reference, FileReference):
            path = base / reference.path
            yield source.address, path.parent if "*" in path.name else path
    for name, engine in sorted(spec.engines.items()):
        if isinstance(engine, PathEngine):
            yield address("engines", name, "path"), base / engine.path


def account() -> tuple[int | None, frozenset[int]]:
    """Its user and groups; nobody, before it is made."""
    try:
        user = pwd.getpwnam(names.ACCOUNT)
    except KeyError:
        return None, frozenset()
    return user.pw_uid, frozenset(os.getgrouplist(names.ACCOUNT, user.pw_gid))


def require_runnable(program: Path) -> None:
    """A Failure when units could not start `program`, an interpreter that has llmdecl."""
    for each in (program.parent, program, Path(llmdecl.__file__).parent):
        if (note := closed_way(each)) is not None:
            summary = f"the account `{names.ACCOUNT}` can't run llmdecl by `{program}`"
            helps = ["install llmdecl outside of homes, for example in `/opt/llmdecl`"]
            raise Failure(ACCOUNT_UNUSABLE.at("manager.kind", summary, notes=[note], help=helps))


def closed_way(path: Path) -> str | None:
    """What keeps the account from a file or folder, or from where that will be made."""
    real = path.resolve()
    if (home := home_of(real)) is not None:
        return f"`{real}` is there, and units see nothing of `{home}`"
    there = next(each for each in (real, *real.parents) if each.exists())
    closed = closed_to(there, *account())
    return None if closed is None else f"`{closed}` lets nobody else in"


def home_of(path: Path) -> str | None:
    """Which of the folders that units don't see holds it."""
    return next((home for home in HOMES if path.is_relative_to(home)), None)


def closed_to(path: Path, uid: int | None, gids: Iterable[int]) -> Path | None:
    """The first folder on the way to `path`, links followed, that this user may not enter, or the
    file that it may not read. Raises OSError."""
    real = path.resolve(strict=True)
    for each in (*reversed(real.parents), real):
        status = each.stat()
        wanted_bits = 0o1 if each != real or each.is_dir() else 0o4
        shift = 6 if status.st_uid == uid else 3 if status.st_gid in gids else 0
        if not status.st_mode >> shift & wanted_bits:
            return each
    return None
