"""The hash that Nix gives a file or folder: SHA-256 over its Nix archive (NAR), without Nix.

Format: "The Purely Functional Software Deployment Model" (Dolstra 2006), figure 5.2; the judge is
`nix-hash`. Of a file only its bytes and whether its owner may execute it count; times, owners and
other permissions don't.
"""

import base64
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def nar_hash(path: Path) -> str:
    """`sha256-...` (SRI) as `nix hash path` says it; a symbolic link is hashed as a link.

    Raises OSError, also for what no archive can hold (socket, device, pipe) and for a file that
    changes its size meanwhile.
    """
    digest = hashlib.sha256()
    for piece in nar(path):
        digest.update(piece)
    return f"sha256-{base64.b64encode(digest.digest()).decode()}"


def nar(path: Path) -> Iterator[bytes]:
    """The archive in pieces; names in order of their bytes, whatever the locale."""
    yield _text(b"nix-archive-1")
    # no recursion: a tree may be deeper than Python's stack
    todo: list[bytes | Path] = [path]
    while todo:
        match todo.pop():
            case bytes() as done:
                yield done
            case place:
                mode = place.lstat().st_mode
                if stat.S_ISREG(mode):
                    yield from _file(place)
                elif stat.S_ISLNK(mode):
                    # not `Path.readlink`, which tidies `a//b`
                    target = os.fsencode(os.readlink(place))  # noqa: PTH115
                    yield _texts(b"(", b"type", b"symlink", b"target", target, b")")
                elif stat.S_ISDIR(mode):
                    yield _texts(b"(", b"type", b"directory")
                    todo.append(_text(b")"))
                    for child in sorted(place.iterdir(), key=_name, reverse=True):
                        head = _texts(b"entry", b"(", b"name", _name(child), b"node")
                        todo += (_text(b")"), child, head)
                else:
                    reason = "neither file nor folder nor symbolic link"
                    raise OSError(errno.EINVAL, reason, str(place))


def _name(path: Path) -> bytes:
    return os.fsencode(path.name)


def _file(place: Path) -> Iterator[bytes]:
    with place.open("rb") as file:
        status = os.fstat(file.fileno())
        yield _texts(b"(", b"type", b"regular")
        if status.st_mode & stat.S_IXUSR:
            yield _texts(b"executable", b"")
        size = left = status.st_size
        yield _text(b"contents") + size.to_bytes(8, "little")
        while left:
            piece = file.read(min(left, _CHUNK_BYTES))
            if not piece:
                break
            left -= len(piece)
            yield piece
        if left or file.read(1):
            raise OSError(errno.EBUSY, "changed while it was read", str(place))
    yield bytes(-size % 8) + _text(b")")


def _texts(*words: bytes) -> bytes:
    return b"".join(map(_text, words))


def _text(word: bytes) -> bytes:
    """A string: its length in 8 bytes, little end first, then filled up to a multiple of 8."""
    return len(word).to_bytes(8, "little") + word + bytes(-len(word) % 8)
