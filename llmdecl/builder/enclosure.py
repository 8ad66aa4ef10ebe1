"""A program that runs another one where a build always is: `/llmdecl/src`, `/llmdecl/build`.

It is run by its path, with nothing but the standard library: `enclosure.py --parent PID
[--root FOLDER] [--bind FROM TO]... -- ARGV`. A new user namespace (this user keeps its number)
gives the right to a new mount namespace. In that, an empty file system at FOLDER gets every entry
of `/`, read-only, and each FROM at its TO, writable, and becomes the root. Nobody else sees any of
it, no privilege is needed, and a build can write nowhere else. Kernels and containers may forbid
it; then it says why and ends with 97. Without `--root` there is no enclosure.
Either way the program dies with PID.
"""

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path

REFUSED = 97
"""Exit status: no namespace here; the program was not run."""

FIXED = "/llmdecl"
"""No machine has this folder at its root, so a path below it betrays no machine."""

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 32, 4096, 16384
MS_UNBINDABLE, MS_PRIVATE = 1 << 17, 1 << 18
PR_SET_PDEATHSIG = 1
SYS_MOUNT_SETATTR = 442
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY = 1

libc = ctypes.CDLL(None, use_errno=True)


class MountAttributes(ctypes.Structure):
    """`struct mount_attr` of mount_setattr(2)."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def checked(result: int, what: str) -> None:
    """An OSError that names what failed, by `errno`."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int) -> None:
    """One mount; see the manual's section 2."""
    words = (source.encode(), target.encode(), kind.encode() if kind else None)
    checked(libc.mount(*words, ctypes.c_ulong(flags), None), f"mount {target}")


def read_only(path: str) -> bool:
    """Nothing below `path` can be written from here; false where the kernel is older than 5.12."""
    wanted = MountAttributes(attr_set=MOUNT_ATTR_RDONLY)
    size = ctypes.c_size_t(ctypes.sizeof(wanted))
    words = (AT_FDCWD, path.encode(), AT_RECURSIVE, ctypes.byref(wanted), size)
    return bool(libc.syscall(SYS_MOUNT_SETATTR, *words) == 0)


def own_namespaces() -> None:
    """New namespaces for users and mounts; root does without the first where it is forbidden."""
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    else:
        reason = ctypes.get_errno()
        if user != 0 or libc.unshare(CLONE_NEWNS) != 0:
            ctypes.set_errno(reason)
            checked(-1, "unshare")
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def new_root(root: str, binds: list[list[str]]) -> None:
    """Make `root` the root: the machine read-only, and the folders of a build."""
    # unbindable: else the copy of the folder that `root` is in would hold `root` again
    mount("none", root, "tmpfs", MS_NOSUID | MS_NODEV)
    mount("none", root, None, MS_UNBINDABLE)
    for entry in sorted(os.scandir("/"), key=lambda each: each.name):
        place = f"{root}/{entry.name}"
        if f"/{entry.name}" == FIXED:
            continue
        if entry.is_symlink():
            Path(place).symlink_to(os.readlink(entry.path))  # noqa: PTH115  # as it is written
        elif entry.is_dir(follow_symlinks=False):
            Path(place).mkdir()
            mount(entry.path, place, None, MS_BIND | MS_REC)
            if entry.name not in ("dev", "proc"):
                read_only(place)
    for source, target in binds:
        Path(root + target).mkdir(parents=True, exist_ok=True)
        mount(source, root + target, None, MS_BIND)
    mount("none", root, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.chroot(root)
    os.chdir(FIXED)


def main() -> None:
    """Enclose and become the program; ends with `REFUSED` when that is not possible."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root")
    parser.add_argument("--bind", nargs=2, action="append", default=[])
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("argv", nargs="+")
    given = parser.parse_args()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != given.parent:
        sys.exit(REFUSED)
    try:
        if given.root:
            own_namespaces()
            new_root(given.root, given.bind)
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)  # noqa: T201  # a program of its own
        sys.exit(REFUSED)
    os.execvp(given.argv[0], given.argv)  # noqa: S606  # no shell is meant


if __name__ == "__main__":
    main()
