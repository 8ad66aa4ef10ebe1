"""An engine's own word on itself: version, flags, devices, what processor it was built for."""

import contextlib
import errno
import os
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from llmdecl.diagnostics import Diagnostic, Rule
from llmdecl.engines.llama_cpp.help import parse_help
from llmdecl.facts import rules
from llmdecl.facts.cache import Cache, identity
from llmdecl.facts.digest import file_sha256
from llmdecl.facts.engine_backends import engine_backends
from llmdecl.facts.engine_text import (
    Version,
    parse_cpu_features,
    parse_devices,
    parse_version,
)
from llmdecl.facts.hardware.drivers import Drivers, drivers
from llmdecl.facts.model import EngineDevice, EngineFacts, Flag
from llmdecl.values import Value

TIMEOUT_S = 20.0
CACHE_SCHEMA = 3
_KEPT_BYTES = 1 << 20
_LLAMA_SERVER = ("--model", "--host", "--ctx-size")

Probed = tuple[EngineFacts | None, tuple[Diagnostic, ...]]


class _Said(NamedTuple):
    text: str
    status: int


class _ProbeError(Exception):
    def __init__(self, rule: Rule, summary: str, *notes: str) -> None:
        super().__init__(summary)
        self.rule = rule
        self.summary = summary
        self.notes = notes


class _Key(Value, kw_only=True, frozen=True):
    """The binary, the libraries beside it, and what the devices that it lists depend on."""

    sha256: str
    libraries: tuple[Value, ...]
    drivers: Drivers


def probe_engine(
    executable: Path,
    *,
    address: str | None = None,
    provider: str = "path",
    cache: Path | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Probed:
    """Ask a llama-server what it is; four short runs with a clean environment.

    `address` is what diagnostics point at (default: the path); `cache` a folder in which the
    answer is kept by the binary's SHA-256 and the libraries beside it.
    """
    address = address or str(executable)
    try:
        sha256 = _digest(executable, cache)
        key = (_key(executable, sha256),)
        kept = Cache(cache, "engine", CACHE_SCHEMA)
        facts = kept.get(key, EngineFacts)
        if facts is None:
            facts = _ask(executable, sha256, timeout_s)
            kept.put(key, facts)
    except _ProbeError as error:
        summary = f"`{executable.name or executable}` {error.summary}"
        return None, (error.rule.at(address, summary, notes=(str(executable), *error.notes)),)
    return facts.replace(executable=str(executable), provider=provider), ()


def list_devices(
    executable: Path, *, address: str, cache: Path | None = None, timeout_s: float = TIMEOUT_S
) -> tuple[tuple[EngineDevice, ...] | None, tuple[Diagnostic, ...]]:
    """What an engine that is known otherwise lists here; None and a warning when it can't."""
    try:
        key = (_key(executable, _digest(executable, cache)),)
        kept = Cache(cache, "devices", CACHE_SCHEMA)
        devices = kept.get(key, tuple[EngineDevice, ...])
        if devices is None:
            said = _run((str(executable), "--list-devices"), timeout_s)
            devices = parse_devices(said.text)
            kept.put(key, devices)
    except _ProbeError as error:
        summary = f"`{executable.name}` {error.summary}, so its devices are unknown"
        return None, (rules.PROBE_FAILED.at(address, summary, notes=error.notes),)
    return devices, ()


def _digest(executable: Path, cache: Path | None) -> str:
    try:
        mode = executable.stat().st_mode
        if not stat.S_ISREG(mode):
            raise _ProbeError(rules.ENGINE_NOT_RUNNABLE, "is not a regular file")
        if not os.access(executable, os.X_OK):
            raise _ProbeError(rules.ENGINE_NOT_RUNNABLE, "may not be executed by this user")
        return file_sha256(executable, cache)
    except FileNotFoundError:
        raise _ProbeError(rules.ENGINE_MISSING, "is not there") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise _ProbeError(rules.ENGINE_NOT_RUNNABLE, "can't be read", reason) from None


def _key(executable: Path, sha256: str) -> _Key:
    return _Key(
        sha256=sha256,
        libraries=tuple(identity(path) for path in _libraries(executable)),
        drivers=drivers(),
    )


def _libraries(executable: Path) -> list[Path]:
    """Shared libraries beside the program: recent builds are a stub that loads the rest."""
    folder = executable.resolve().parent
    return sorted(path for path in folder.glob("*.so*") if path.is_file())


def _ask(executable: Path, sha256: str, timeout_s: float) -> EngineFacts:
    def said(*words: str) -> str:
        return _run((str(executable), *words), timeout_s).text

    version = parse_version(said("--version"))
    flags = parse_help(said("--help"))
    _require_llama_server(version, flags)
    assert version is not None
    devices = parse_devices(said("--list-devices"))
    return EngineFacts(
        kind="llama.cpp",
        provider="path",
        executable=str(executable),
        binary_sha256=sha256,
        version=version.text,
        build=version.build,
        commit=version.commit,
        flags=flags,
        devices=devices,
        cpu_features=_cpu_features(executable, timeout_s),
        backends=engine_backends(executable, flags),
    )


def _require_llama_server(version: Version | None, flags: tuple[Flag, ...]) -> None:
    names = {name for flag in flags for name in flag.names}
    missing = [name for name in _LLAMA_SERVER if name not in names]
    if missing:
        note = f"its help names no {', '.join(f'`{name}`' for name in missing)}"
        raise _ProbeError(rules.ENGINE_OTHER_PROGRAM, "is not llama-server", note)
    if version is None:
        note = "it gives no version; llama-server prints `version: ...`"
        raise _ProbeError(rules.ENGINE_OTHER_PROGRAM, "is not llama-server", note)


def _cpu_features(executable: Path, timeout_s: float) -> tuple[str, ...]:
    """What the CPU backend was compiled for: a start without a model prints it and ends.

    Nothing for builds that choose among several CPU backends when they run.
    """
    if any("libggml-cpu-" in path.name for path in _libraries(executable)):
        return ()
    with tempfile.TemporaryDirectory(prefix="llmdecl-") as folder:
        place = ("--host", f"{folder}/p.sock", "--model", f"{folder}/none.gguf")
        words = (str(executable), *place, "--offline", "--log-verbosity", "4")
        try:
            said = _run(words, timeout_s, may_fail=True)
        except _ProbeError:
            return ()
    return parse_cpu_features(said.text)


def _run(words: tuple[str, ...], timeout_s: float, *, may_fail: bool = False) -> _Said:
    """What the program says on both outputs, at most a mebibyte of it.

    Its environment is as empty as a model's; it gets no input and its own session, which ends
    with it or at the time limit.
    """
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise _ProbeError(rules.ENGINE_NOT_RUNNABLE, _not_started(error)) from None
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            status = None
        _end_session(process)
        output.seek(0)
        text = output.read(_KEPT_BYTES).decode(errors="replace")
    asked = words[1]
    if status is None:
        summary = f"did not answer `{asked}` in {timeout_s:g} s"
        raise _ProbeError(rules.ENGINE_HANGS, summary, *_last_lines(text))
    if status == 127 and "shared librar" in text:
        raise _ProbeError(rules.ENGINE_NOT_RUNNABLE, "lacks a shared library", *_last_lines(text))
    if status and not may_fail:
        summary = f"answered `{asked}` with {_status(status)}"
        raise _ProbeError(rules.ENGINE_FAILED, summary, *_last_lines(text))
    return _Said(text, status)


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and whatever it left behind in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _not_started(error: OSError) -> str:
    if error.errno == errno.ENOEXEC:
        return "is no program for this kind of machine, nor a script that begins with `#!`"
    if error.errno == errno.ENOENT:
        return "can't be started: its interpreter or loader is not there"
    return f"can't be started: {error.strerror or error}"


def _status(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    hint = ": this processor lacks an instruction it was built for" if name == "SIGILL" else ""
    return f"signal {name}{hint}"


def _last_lines(text: str) -> tuple[str, ...]:
    """Its last words, at most five lines."""
    lines = [line.strip()[:300] for line in text.splitlines() if line.strip()]
    return tuple(f"it said: {line}" for line in lines[-5:])
