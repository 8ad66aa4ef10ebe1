"""A real systemd for tests, on machines whose own init is another program.

It is process 1 of namespaces of its own, on an overlay over this machine's files that is kept in
memory: what happens inside is gone afterwards. The overlay is a must, since systemd tidies `/tmp`
when it starts. `/run` and `/tmp` inside are new; the folder `share` is seen inside as `/srv/rig`.
The network is the machine's. Cgroup controllers and limits may be missing where the machine mounts
cgroups of version 1.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

INSIDE = Path("/srv/rig")
TOOLS = ("unshare", "nsenter", "pivot_root", "systemctl")
SYSTEMD = Path("/lib/systemd/systemd")
BOOT_S = 30.0

ENTER = """
set -eu
mkdir -p "$1/cgroup"
mount -t cgroup2 none "$1/cgroup"
mkdir -p "$1/cgroup/${1##*/}"
echo $$ > "$1/cgroup/${1##*/}/cgroup.procs"
umount "$1/cgroup"
exec unshare --pid --fork --mount --cgroup --uts --ipc --kill-child=SIGKILL \\
  sh -c "$2" boot "$1"
"""
"""A cgroup of its own first: two rigs at once would end each other's processes, and what one that
was killed had filtered would hold for the next."""

LEAVE = """
mount -t cgroup2 none "$1/cgroup" && find "$1/cgroup/${1##*/}" -depth -type d -exec rmdir {} +
"""

BOOT = """
set -eu
mount --make-rprivate /
mount -t tmpfs none "$1/layers"
cd "$1/layers"
mkdir upper work root
mount -t overlay none -o lowerdir=/,upperdir="$PWD/upper",workdir="$PWD/work" root
cd root
mount -t proc none proc
mount --rbind /sys sys
mount --rbind /dev dev
umount -R sys/fs/cgroup || true
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 none run
mount -t tmpfs none tmp
mkdir -p srv/rig mnt
mount --bind "$1/share" srv/rig
pivot_root . mnt
umount -l /mnt
mount --make-rshared /
exec env -i container=rig PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=basic.target --log-target=console --log-level=warning
"""


def lacking() -> str | None:
    """Why no systemd can be had here; `None`: it can."""
    if os.geteuid() != 0:
        return "only root can start systemd"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or not SYSTEMD.exists():
        return f"not installed (`make test-tools`): {', '.join([*missing, 'systemd'])}"
    return None


class Rig:
    """A booted systemd; `run` runs a command inside, `close` ends everything there."""

    def __init__(self) -> None:
        self._work = Path(tempfile.mkdtemp(prefix="rig-", dir="/var/tmp"))
        for name in ("layers", "share"):
            (self._work / name).mkdir()
        self.share = self._work / "share"
        self._log = (self._work / "log").open("w+")
        self._outer = subprocess.Popen(
            [
                *("unshare", "--mount", "--propagation=private"),
                *("sh", "-c", ENTER, "enter", str(self._work), BOOT),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._first = 0
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        end = time.monotonic() + BOOT_S
        while time.monotonic() < end and self._outer.poll() is None:
            self._first = self._find_first()
            if self._first:
                state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.05)
        self._log.seek(0)
        raise RuntimeError(f"systemd did not boot: {self._log.read()[-2000:]}")

    def _find_first(self) -> int:
        """The outer process number of systemd, once the shell that set it up has become it."""
        pid = self._outer.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd":
                return int(children[0])
        except OSError:
            pass
        return 0

    def run(self, *argv: str, check: bool = True, timeout_s: float = 60, stdin: str = ""):
        """Run a command inside, in a clean environment, and return what came of it."""
        inside = ["nsenter", "-t", str(self._first), "-a", "env", "-i", "-C", "/"]
        inside += ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root", *argv]
        done = subprocess.run(
            inside, check=False, text=True, capture_output=True, timeout=timeout_s, input=stdin
        )
        if check and done.returncode:
            raise AssertionError(f"{argv} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def write(self, path: str, text: str) -> None:
        """A file inside."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat > "$1"', "write", path, stdin=text)

    def until(self, good, timeout_s: float = 30) -> None:
        """Wait until `good()`; an AssertionError when it does not come in time."""
        end = time.monotonic() + timeout_s
        while not good():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.05)

    def close(self) -> None:
        """Ends all processes inside; nothing of them stays."""
        self._outer.send_signal(signal.SIGKILL)
        self._outer.wait()
        self._log.close()
        leave = ("unshare", "--mount", "sh", "-c", LEAVE, "leave", str(self._work))
        subprocess.run(leave, check=False, capture_output=True)
        shutil.rmtree(self._work, ignore_errors=True)
