"""`python -m llmdecl.router` as a program."""

import subprocess
import sys

from click.testing import CliRunner


def router(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "llmdecl.router", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_wrong_usage():
    """Status 64, and no traceback."""
    done = router("--config", "x")
    assert done.returncode == 64
    assert "Traceback" not in done.stderr


def test_a_configuration_that_can_not_be_read(short_tmp):
    """Status 1 and one line that says which file and why."""
    places = ("--run", str(short_tmp), "--logs", str(short_tmp))
    for text in (None, "{", '{"schema": 1, "models": []}'):
        path = short_tmp / "router.json"
        if text is not None:
            path.write_text(text)
        done = router("--config", str(path), *places)
        assert done.returncode == 1
        assert "router.json" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (short_tmp / "router.sock").exists()


def test_the_verb():
    """`llmdecl router` is the same program."""
    from llmdecl.cli.router import command

    shown = CliRunner().invoke(command, ["--help"])
    assert shown.exit_code == 0
    assert "--run" in shown.output
