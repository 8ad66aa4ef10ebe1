"""systemd and its helpers as commands."""

import os
import subprocess

from llmdecl.activate.rules import MANAGER_REFUSED
from llmdecl.diagnostics import Failure

TIMEOUT_S = 30.0


class Systemctl:
    """`systemctl`, with the words that make it ask one manager."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words

    def __call__(self, *words: str, check: bool = True) -> str:
        """What it says; a Failure when it fails, unless that is unchecked."""
        return run(["systemctl", *self._words, *words], check=check)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self("show", f"--property={name}", "--value", "--", unit).strip()


def run(words: list[str], *, check: bool = True) -> str:
    """What a command says; a Failure (status 3) when it fails or does not end."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _refused(words, str(error)) from error
    if check and done.returncode:
        raise _refused(words, done.stdout.strip())
    return done.stdout


def _refused(words: list[str], said: str) -> Failure:
    lines = said.splitlines()
    command = " ".join([word for word in words if word != "--"][:4])
    summary = f"`{command}` failed: {lines[0] if lines else 'it says nothing'}"
    return Failure(MANAGER_REFUSED.at("systemd", summary, notes=lines[1:6]), status=3)
