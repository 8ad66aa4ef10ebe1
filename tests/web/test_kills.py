"""200 times SIGKILL in the middle of a download, and nothing is lost or wrong afterwards."""

import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmdecl.store import file_download
from llmdecl.store.store import Store, read_digest
from tests.web.download_process import bring
from tests.web.site_kit import sha256
from tests.web.web_kit import PART_BYTES, random_bytes

KILLS_BY_BYTES = 100
KILLS_BY_CALLS = 100
DATA = random_bytes(5 * PART_BYTES // 2 + 12_345)
DIGEST = sha256(DATA)


class Forks:
    """Downloads in processes of their own, forked by one that has everything imported."""

    def __init__(self):
        argv = [sys.executable, Path(__file__).with_name("download_process.py")]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True)

    def start(self, **job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def wait(self, pid):
        found, status = map(int, self.process.stdout.readline().split())
        assert found == pid
        return status

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def forks():
    forks = Forks()
    yield forks
    forks.close()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(file_download, "PART_BYTES", PART_BYTES)


def here(store):
    """Bytes of the download that the store's state says are here; `None` when it is finished."""
    for folder in (store / "downloads").glob("*"):
        if (folder / "done.json").exists():
            return None
        if (folder / "plan.json").exists():
            raw = (folder / "written").read_bytes()
            return sum(struct.unpack(f"<{len(raw) // 8}Q", raw))
    return 0


def nothing_wrong(store):
    """An entry of the store is whole and right, or is not there."""
    for path in (store / "weights").glob("*/*"):
        assert (path.name, read_digest(path)) == ("model.gguf", DIGEST)


def recover(site, url, store, known):
    """A further run ends with the right content, asks for nothing twice, and leaves no litter."""
    had = here(store)
    arrived = (store / "weights" / DIGEST).exists()
    site.log.clear()
    bring(url, store, DIGEST if known else None, len(DATA) if known else None)
    if arrived and known:
        assert site.log == []
    elif arrived:
        pass  # the remains were being removed: who asks now gets it anew
    elif had is None:
        assert site.asked_bytes() == 0
    elif not arrived:
        assert site.asked_bytes() == len(DATA) - had
    nothing_wrong(store)
    assert [DIGEST] == [path.name for path in (store / "weights").iterdir()]
    assert 0 == Store(store).sweep()
    for name in ("partial", "downloads"):
        assert [] == list((store / name).iterdir())


@pytest.mark.parametrize("known", [True, False])
def test_killed_at_a_byte(site, tmp_path, forks, known):
    """Killed after a random number of bytes, over and over: what came before is not asked again."""
    dice = random.Random(4 + known)
    url = site.put("/m.gguf", DATA)
    kills, chain = 0, 0
    while kills < KILLS_BY_BYTES // 2:
        store = tmp_path / f"store{chain}"
        for _ in range(dice.randrange(1, 6)):
            site.heal()
            site.fault("/m.gguf", pace_s=0.001, piece=1 << 14)
            site.log.clear()
            job = {"sha256": DIGEST if known else None, "size_bytes": None}
            pid = forks.start(url=url, store=str(store), **job)
            target = dice.randrange(max(1, len(DATA) - (here(store) or 0)))
            end = time.monotonic() + 30
            while site.sent_bytes() <= target and not (store / "weights").exists():
                assert time.monotonic() < end
                time.sleep(0.0005)
            os.kill(pid, signal.SIGKILL)
            kills += forks.wait(pid) == -signal.SIGKILL
            nothing_wrong(store)
        site.heal()
        recover(site, url, store, known)
        chain += 1


@pytest.mark.parametrize("known", [True, False])
def test_killed_at_a_call(site, tmp_path, forks, known):
    """Killed before each call into the system, from the first folder to the last removal."""
    url = site.put("/m.gguf", DATA)
    job = {"sha256": DIGEST if known else None, "size_bytes": len(DATA) if known else None}
    calls = bring(url, tmp_path / "counted", **job)
    assert calls >= KILLS_BY_CALLS // 2
    kills = 0
    points = range(1, calls + 1)
    for point in points:
        store = tmp_path / f"store{point}"
        pid = forks.start(url=url, store=str(store), kill_at=point, **job)
        kills += forks.wait(pid) == -signal.SIGKILL
        nothing_wrong(store)
        recover(site, url, store, known)
    # the number of calls depends a little on how threads meet
    assert kills >= len(points) - 12
