"""Lock, fetch and gc write nowhere but into their own folders: all else is read-only."""

import os
import sys

import pytest

from tests import confined
from tests.web.stack_kit import Stack


@pytest.fixture(autouse=True)
def can_confine():
    """Where no namespace can be had, nothing is proved."""
    why = confined.refusal()
    if why is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI has to confine: {why}")
        pytest.skip(why)


def test_confinement(tmp_path):
    """Root in the harness writes into the folders given, and nowhere else."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    script = f"touch {tmp_path}/a/x; touch {tmp_path}/b/x || touch /x || touch /tmp/x || echo held"
    assert confined.run(["sh", "-c", script], [tmp_path / "a"]).stdout == "held\n"
    assert (tmp_path / "a" / "x").exists()
    assert not (tmp_path / "b" / "x").exists()


def test_lock_and_fetch(site, tmp_path):
    """With only spec folder, state, store, cache and temporary files writable, all verbs work."""
    stack = Stack(site, tmp_path)
    environment = stack.environment | {"PYTHONDONTWRITEBYTECODE": "1"}

    def verb(*words):
        command = [sys.executable, "-m", "llmdecl.cli", *words]
        done = confined.run(command, stack.folders, env=environment, cwd=stack.base)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        assert "6 changes" in verb("lock")
        assert "all verified" in verb("fetch")
    finally:
        stack.close()
    (stack.base / "llmdecl.lock").unlink()
    assert "entries removed" in verb("gc")
    assert [*(tmp_path / "store" / "weights").iterdir()] == []
    assert [*(tmp_path / "tmp").iterdir()] == []
    assert [*(tmp_path / "home").iterdir()] == []
