"""Runs a command that may write nowhere but into some folders, whoever runs it.

In a mount namespace of its own the whole tree is read-only, root included; only the folders given
are writable. `python confined.py FOLDER... -- COMMAND...` does the inner half of it.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_RDONLY = 1
_MS_BIND = 0x1000


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


def refusal() -> str | None:
    """Why this machine can't confine a command, or `None`."""
    try:
        done = run(["true"], [])
    except FileNotFoundError:
        return "there is no `unshare`"
    return (
        None if done.returncode == 0 else f"no mount namespace here: {done.stderr.strip()[-200:]}"
    )


def run(command, writable, *, env=None, cwd=None, timeout_s=120):
    """The command's CompletedProcess, with its output as text."""
    argv = [*_UNSHARE, sys.executable, "-I", Path(__file__).resolve(), *writable, "--", *command]
    return subprocess.run(
        [str(each) for each in argv],
        env=env,
        cwd=cwd,
        timeout=timeout_s,
        capture_output=True,
        text=True,
        check=False,
    )


def _setattr(path: str, flags: int, *, set_: int = 0, clear: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = _Attributes(set_, clear, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    result = libc.syscall(
        _SYS_MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, ctypes.byref(attributes), size
    )
    _check(result, path)


def _bind(path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.mount(path.encode(), path.encode(), None, _MS_BIND, None), path)


def _check(result: int, path: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def _main(arguments: list[str]) -> None:
    at = arguments.index("--")
    writable, command = arguments[:at], arguments[at + 1 :]
    _setattr("/", _AT_RECURSIVE, set_=_RDONLY)
    _setattr("/proc", 0, clear=_RDONLY)  # whoever makes a namespace in here writes its maps
    for folder in writable:
        _bind(folder)
        _setattr(folder, 0, clear=_RDONLY)
    os.chdir(Path.cwd())  # the folder as it is mounted now
    os.execvp(command[0], command)  # that is what it is for


if __name__ == "__main__":
    _main(sys.argv[1:])
