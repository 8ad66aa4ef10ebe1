"""Where the output of a verb leads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("schema",), ("--help",), ("explain", "LD101")])
def test_full_output(words, unbuffered):
    """A disk that is full is said, with no traceback and status 1."""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "llmdecl", *words]
        done = subprocess.run(
            command,
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            timeout=60,
        )
    assert 1 == done.returncode
    assert done.stderr.startswith("error[LD910]")
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
