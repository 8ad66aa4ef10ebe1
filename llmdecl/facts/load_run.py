"""An engine's own answer to what a model takes: it loads it, says so in its log, and is stopped."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmdecl.diagnostics import Diagnostic
from llmdecl.engines.llama_cpp.load_log import Reported, causes, read_load_log
from llmdecl.facts import rules

POLL_S = 0.05
STOP_S = 10.0
LISTENING = "listening on"
_KEPT_BYTES = 4 << 20


def load_run(
    executable: Path,
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 600.0,
) -> tuple[tuple[Reported, ...], tuple[Diagnostic, ...]]:
    """Starts `executable` with llama-server's flags `argv` on a private socket until it listens.

    Returns what it reported for each model; with a diagnostic when it did not get that far. It
    gets an environment of its own (PATH and the visible-device variables, or `environment`), no
    network port, and is gone when this returns.
    """
    with tempfile.TemporaryDirectory(prefix="llmdecl-load-") as folder:
        log = Path(folder) / "log"
        words = [
            str(executable), *argv, "--host", str(Path(folder) / "s.sock"),
            "--log-verbosity", "4",
        ]  # fmt: skip
        try:
            with log.open("wb") as output:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=_environment() if environment is None else dict(environment),
                    start_new_session=True,
                )
        except OSError as error:
            summary = f"`{executable}` can't be started: {error.strerror or error}"
            return (), (rules.LOAD_FAILED.at(str(executable), summary),)
        try:
            loaded = _wait(process, log, timeout_s)
        finally:
            _stop(process)
        text = _text(log)
    reported = read_load_log(text)
    if loaded:
        return reported, ()
    why = "ended" if process.returncode is not None and not loaded else "is not ready"
    found = tuple(cause for one in reported for cause in causes(one))
    notes = (*dict.fromkeys(found), *text.splitlines()[-6:])
    summary = f"`{executable.name}` {why} before it had loaded the model"
    return reported, (rules.LOAD_FAILED.at(str(executable), summary, notes=notes),)


def _environment() -> dict[str, str]:
    kept = ("PATH", "LANG", "LD_LIBRARY_PATH", "HOME")
    visible = ("_VISIBLE_DEVICES", "ONEAPI_DEVICE_SELECTOR")
    return {
        name: value for name, value in os.environ.items() if name in kept or name.endswith(visible)
    }


def _wait(process: "subprocess.Popen[bytes]", log: Path, timeout_s: float) -> bool:
    """Until it listens; false when it ended or took too long."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if LISTENING in _text(log):
            return True
        if process.poll() is not None:
            return LISTENING in _text(log)
        time.sleep(POLL_S)
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
            return


def _text(log: Path) -> str:
    with log.open("rb") as file:
        return file.read(_KEPT_BYTES).decode(errors="replace")
