"""The enclosure: who may have one, what is seen and can be written in it, and what ends it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmdecl.builder import enclosure, site

NOBODY = 65534


@pytest.fixture(autouse=True)
def enclosed():
    """A machine that lets a user have a mount namespace."""
    if why := site.refusal():
        message = f"no mount namespace here: {why}"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)


def run(folder, script, *, python=sys.executable, **more):
    """A shell's script in an enclosure with `folder/src` at `/llmdecl/src`."""
    for name in ("root", "src"):
        (folder / name).mkdir(exist_ok=True)
    words = [python, "-I", str(more.pop("program", enclosure.__file__))]
    words += ["--parent", str(os.getpid()), "--root", str(folder / "root")]
    words += ["--bind", str(folder / "src"), "/llmdecl/src", "--", "sh", "-c", script]
    return subprocess.run(words, capture_output=True, text=True, check=False, **more)


def test_only_the_bound_folders_can_be_written(tmp_path):
    """The machine is there to read; its root is replaced, so nobody made a folder in `/`."""
    outside = tmp_path / "outside"
    done = run(
        tmp_path,
        f"pwd; ls /llmdecl; echo 1 > /llmdecl/src/inside; for f in /x /tmp/x /llmdecl/x {outside}; "
        'do (echo 1 > "$f") 2>/dev/null && echo "wrote $f"; done; test -x /bin/sh && echo sees',
    )
    assert (0, "/llmdecl\nsrc\nsees\n") == (done.returncode, done.stdout), done.stderr
    assert (tmp_path / "src" / "inside").exists()
    assert not Path("/llmdecl").exists()
    assert [] == list((tmp_path / "root").iterdir())


def test_no_privilege_is_needed(short_tmp):
    """A user that owns nothing but the folders gets the same, keeps its number, and no rights."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    if os.getuid() != 0:
        python = sys.executable
    elif python is None:
        pytest.skip("no python that another user than root can start")
    program = shutil.copy(enclosure.__file__, short_tmp)
    short_tmp.chmod(0o755)
    own = short_tmp / "own"
    own.mkdir()
    for name in ("root", "src"):
        (own / name).mkdir()
    more = {}
    if os.getuid() == 0:
        for path in (own, own / "root", own / "src"):
            os.chown(path, NOBODY, NOBODY)
        more = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    done = run(
        own,
        "id -u; echo 1 > /llmdecl/src/inside; grep CapEff /proc/self/status",
        python=python,
        program=program,
        **more,
    )
    user = NOBODY if os.getuid() == 0 else os.getuid()
    assert 0 == done.returncode, done.stderr
    assert [str(user), "CapEff:", "0" * 16] == done.stdout.split()
    assert user == (own / "src" / "inside").stat().st_uid


def test_where_it_is_refused_it_says_why(tmp_path):
    """The program is not run; the status is the enclosure's own."""
    done = run(tmp_path, "echo ran", program=enclosure.__file__)
    assert "ran\n" == done.stdout
    words = [sys.executable, "-I", enclosure.__file__, "--parent", str(os.getpid())]
    words += ["--root", str(tmp_path / "none"), "--", "echo", "ran"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (enclosure.REFUSED, "") == (done.returncode, done.stdout)
    assert "No such file or directory" in done.stderr


def test_it_dies_with_its_parent(tmp_path):
    """SIGKILL of whoever started it ends the program, too."""
    script = (
        "import os, subprocess, sys; "
        f"w = [sys.executable, '-I', {enclosure.__file__!r}, '--parent', str(os.getpid())]; "
        "p = subprocess.Popen([*w, '--', 'sleep', '60']); print(p.pid, flush=True); p.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        deadline = time.monotonic() + 20
        command = Path(f"/proc/{child}/cmdline")
        while command.read_bytes().split(b"\0")[0] != b"sleep":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        parent.send_signal(signal.SIGKILL)

    def is_alive():
        try:
            return command.read_bytes() != b""
        except OSError:
            return False

    while is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_refusal_is_what_the_first_line_says(monkeypatch, tmp_path):
    """A machine that forbids namespaces is asked once, and its reason is kept for the warning."""
    program = tmp_path / "enclosure.py"
    program.write_text("import sys; sys.exit('unshare: Operation not permitted')")
    site.refusal.cache_clear()
    monkeypatch.setattr(enclosure, "__file__", str(program))
    try:
        assert "unshare: Operation not permitted" == site.refusal()
    finally:
        site.refusal.cache_clear()
