"""Forks processes that download and put weights into a store, for tests that kill them.

Started once; each line on standard input is JSON: `url`, `store`, `sha256`, `size_bytes` and
`kill_at`: before its call into the system of that number the process sends itself SIGKILL.
Prints the process's id, and when it has ended its id again and its status.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from llmdecl.sources.http.values import Source
from llmdecl.store import file_download
from llmdecl.store.download import Wanted, download
from llmdecl.store.layout import weights_digest
from llmdecl.store.store import Store
from tests.web.web_kit import PART_BYTES, Tell, impatient

file_download.PART_BYTES = PART_BYTES
CALLS = (
    "pwrite",
    "write",
    "fsync",
    "fchmod",
    "chmod",
    "link",
    "rename",
    "replace",
    "mkdir",
    "rmdir",
)
CALLS += ("unlink", "preadv", "fdatasync", "open", "close", "ftruncate")


def bring(url, store, sha256, size_bytes, kill_at=None):
    """One download into the store; how many calls into the system it made."""
    count = 0

    def counted(call):
        def wrapper(*args, **kwargs):
            nonlocal count
            count += 1
            if kill_at is not None and count >= kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return wrapper

    plain = {name: getattr(os, name) for name in CALLS}
    for name, call in plain.items():
        setattr(os, name, counted(call))
    try:
        _bring(url, Store(Path(store)), sha256, size_bytes)
    finally:
        for name, call in plain.items():
            setattr(os, name, call)
    return count


def _bring(url, store, sha256, size_bytes):
    store.sweep()
    wanted = Wanted("m.gguf", Source(url), "model.gguf", sha256, size_bytes)
    with store.guard("weights"), store.workplace() as work:
        if sha256 and store.has_weights(sha256):
            return
        folder = work.folder / "entry"
        with download(
            impatient(), [wanted], folder=folder, store=store, address="m", tell=Tell()
        ) as files:
            digest = weights_digest(files)
            if not store.has_weights(digest):
                store.add_weights(folder, digest, work)


def main():
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                bring(**json.loads(line))
                os._exit(0)
            except BaseException:  # noqa: BLE001  # a child must not go on as its parent
                traceback.print_exc()
                os._exit(1)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(child, os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
