"""Programs of a build: logged, watched line by line, ended with whoever called them."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from llmdecl.builder.site import Site

KEPT_LINES = 20
"""What a diagnostic shows of a log."""


class ProgramFailed(Exception):  # noqa: N818  # becomes a diagnostic of the step that it was in
    """A program ended with a status that is not 0, after these lines."""

    def __init__(self, status: int, lines: list[str]) -> None:
        super().__init__(f"status {status}")
        self.status, self.lines = status, lines

    @property
    def last(self) -> list[str]:
        """What a diagnostic shows of them."""
        return [line for line in self.lines if line.strip()][-KEPT_LINES:]


def run(
    site: Site, *words: str, log: Path, watch: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Run it to its end; its lines, which go to `log` too. Raises ProgramFailed."""
    lines: list[str] = []
    passed = () if site.owner is None else (site.owner,)
    with log.open("a", encoding="utf-8", errors="replace") as file:
        file.write(f"$ {' '.join(words)}\n")
        file.flush()
        child = subprocess.Popen(
            site.argv(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=dict(site.environment()),
            cwd=site.work,
            umask=0o022,
            pass_fds=passed,
            start_new_session=True,
        )
        try:
            assert child.stdout is not None
            for line in child.stdout:
                text = line.rstrip()
                file.write(f"{text}\n")
                file.flush()
                lines.append(text)
                watch(text)
            status = child.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
    if status:
        raise ProgramFailed(status, lines)
    return lines
