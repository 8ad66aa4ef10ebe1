"""Everything that a server may do wrong, once and for ever: nothing lost, nothing wrong kept."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmdecl.diagnostics import Failure
from llmdecl.sources.http.secret import Secret
from llmdecl.sources.http.values import Source
from llmdecl.sources.pip import Stopped
from llmdecl.store import file_download, jobs
from llmdecl.store.download import Wanted, download
from llmdecl.store.jobs import Job
from llmdecl.store.remains import forget, unfinished
from llmdecl.store.store import Store
from tests.web.hugging_face import HuggingFace
from tests.web.ollama_registry import OllamaRegistry
from tests.web.site_kit import sha256
from tests.web.web_kit import PART_BYTES, Tell, impatient, random_bytes

DATA = random_bytes(7 * PART_BYTES // 2 + 321)
OTHER = random_bytes(len(DATA))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(file_download, "PART_BYTES", PART_BYTES)


def fetch(store, wanted, web=None, tell=None):
    """Bring a file; its locked form and its bytes."""
    with (
        store.workplace() as work,
        download(
            web or impatient(read_s=0.6),
            [wanted],
            folder=work.folder / "entry",
            store=store,
            address="m",
            tell=tell or Tell(),
        ) as (file,),
    ):
        return file, (work.folder / "entry" / wanted.target).read_bytes()


def wanted(url, known=True, **changes):
    fields = {"name": "m.gguf", "source": Source(url), "target": "model.gguf"}
    if known:
        fields |= {"sha256": sha256(DATA), "size_bytes": len(DATA)}
    return Wanted(**{**fields, **changes})


def is_empty(store):
    return not list((store.folder / "downloads").glob("*"))


def spoil_after(site, count):
    """The server answers so many requests, and then only with errors."""

    def after(number):
        if number == count + 1:
            site.fault("", status=500)

    site.on_request = after


PASSING = {
    "cut at a random byte": {"cut_at": "random", "times": 9},
    "cut at once": {"cut_at": 0, "times": 2},
    "stalled": {"stall_at": 70_000, "times": 2},
    "stalled before the answer": {"stall_before": True, "times": 1},
    "reset": {"reset": True, "times": 3},
    "500": {"status": 500, "times": 3},
    "503 with Retry-After": {"status": 503, "retry_after": "3", "times": 3},
    "429 with Retry-After": {"status": 429, "retry_after": "2", "times": 3},
    "429 with a date": {"status": 429, "retry_after": "Wed, 21 Oct 2015 07:28:00 GMT", "times": 3},
    "ranges refused": {"refuse_ranges": True},
    "ranges refused later": {"refuse_ranges": True, "times": 1},
    "slow": {"pace_s": 0.002, "piece": 30_000},
    "no length": {"no_length": True},
    "too short a length": {"length_off": -1000, "times": 2},
    "too long a length": {"length_off": 1000, "times": 2},
    "another ETag, same bytes": {"etag": '"moved"', "times": 1},
    "garbage": {"raw": b"220 ftp ready\r\n", "times": 2},
}


def cases():
    """Every fault, from the look on or after it, with and without a known digest.

    Left out is what nobody could survive: wrong lengths where nothing else is known.
    """
    for name, fault in PASSING.items():
        for after_look in (True, False):
            for known in (True, False):
                wrong_length = "no_length" in fault or ("length_off" in fault and not after_look)
                if known or not wrong_length:
                    words = ("after the look" if after_look else "from the look on", name)
                    id_ = ", ".join([*words, "known" if known else "unknown"])
                    yield pytest.param(fault, known, after_look, id=id_)


@pytest.mark.parametrize(("fault", "known", "after_look"), list(cases()))
def test_passing_faults(site, tmp_path, fault, known, after_look):
    """What passes is survived, whether a digest is known or not, and leaves the right content."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    spoil = site.fault("/m.gguf", **fault)
    if after_look:
        times, spoil.times = spoil.times, 0
        site.on_request = lambda count: setattr(spoil, "times", times) if count == 2 else None
    tell = Tell()
    file, body = fetch(store, wanted(url, known), tell=tell)
    assert body == DATA
    assert (file.sha256, file.size_bytes) == (sha256(DATA), len(DATA))
    assert tell.amount == len(DATA)
    assert is_empty(store)


LASTING = {
    "401": ({"status": 401}, "LD422"),
    "403": ({"status": 403}, "LD422"),
    "404": ({"status": 404}, "LD421"),
    "429": ({"status": 429}, "LD423"),
    "500": ({"status": 500}, "LD424"),
    "503": ({"status": 503}, "LD424"),
    "reset": ({"reset": True}, "LD420"),
    "cut at once": ({"cut_at": 0}, "LD420"),
    "stalled": ({"stall_at": 10}, "LD420"),
    "redirects without end": ({"redirect": "/m.gguf"}, "LD428"),
    "gzip": ({"headers": {"Content-Encoding": "gzip"}}, "LD428"),
}


@pytest.mark.parametrize(("fault", "code"), LASTING.values(), ids=LASTING.keys())
def test_lasting_faults(site, tmp_path, fault, code):
    """What stays is a diagnostic; what had come is kept, and the next run goes on from there."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    slow = site.fault("/m.gguf", cut_at=200_000, times=0)
    site.fault("/m.gguf", **fault).times = 0
    spoil = site._faults[0][1]

    def after(count):
        if count == 2:
            slow.times = 1
        elif count == 3:
            spoil.times = None

    site.on_request = after
    with pytest.raises(Failure) as caught:
        fetch(store, wanted(url), impatient(read_s=0.2, tries=3))
    assert code == caught.value.diagnostics[0].code
    assert "m" == caught.value.diagnostics[0].address
    (remains,) = unfinished(store.folder)
    assert (remains.key, remains.name) == (sha256(DATA), "m.gguf")
    site.heal()
    site.on_request = None
    site.log.clear()
    tell = Tell()
    _, body = fetch(store, wanted(url), tell=tell)
    assert body == DATA
    assert site.asked_bytes() <= len(DATA) - 190_000
    assert tell.amount == tell.total == len(DATA)


def test_wrong_content(site, tmp_path):
    """Another content of the right size: both digests are named, nothing is kept, one try."""
    url, store = site.put("/m.gguf", OTHER), Store(tmp_path)
    with pytest.raises(Failure) as caught:
        fetch(store, wanted(url))
    (problem,) = caught.value.diagnostics
    assert "LD407" == problem.code
    assert sha256(DATA) in problem.summary
    assert sha256(OTHER) in problem.summary
    assert is_empty(store)
    assert site.asked_bytes() == len(DATA)


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1, 0])
def test_wrong_size(site, tmp_path, size):
    """A file of another size than the locked one is refused before anything is downloaded."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    with pytest.raises(Failure) as caught:
        fetch(store, wanted(url, size_bytes=size))
    assert "LD425" == caught.value.diagnostics[0].code
    assert site.asked_bytes() == 0
    assert is_empty(store)


def test_damaged_remains(site, tmp_path):
    """Remains that a power failure spoiled are found out by the digest, and brought once more."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    spoil_after(site, 3)
    with pytest.raises(Failure):
        fetch(store, wanted(url))
    site.heal()
    site.on_request = None
    data = store.folder / "downloads" / sha256(DATA) / "data"
    with data.open("r+b") as file:
        file.write(b"\0" * 1000)
    _, body = fetch(store, wanted(url))
    assert body == DATA


@pytest.mark.parametrize("same_size", [True, False])
def test_changed_on_the_way(site, tmp_path, same_size):
    """A file that becomes another one is begun anew: the result is one of them, never a mixture."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    new = OTHER if same_size else OTHER[:-5]
    site.on_request = lambda count: site.put("/m.gguf", new) if count == 3 else None
    file, body = fetch(store, wanted(url, known=False))
    assert body == new
    assert file.sha256 == sha256(new)


def test_changes_all_the_time(site, tmp_path):
    """A file that is another one at each request is given up, and nothing of it is kept."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    site.on_request = lambda count: site.put("/m.gguf", random_bytes(len(DATA)))
    with pytest.raises(Failure) as caught:
        fetch(store, wanted(url, known=False))
    assert "LD426" == caught.value.diagnostics[0].code
    assert is_empty(store)


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_no_validator(site, tmp_path, etag):
    """Versions that can't be told apart are not put together: a broken stream begins anew."""
    url, store = site.put("/m.gguf", DATA, etag=etag), Store(tmp_path)
    site.fault("/m.gguf", cut_at=300_000, times=2)
    _, body = fetch(store, wanted(url, known=False))
    assert body == DATA
    assert not [each for each in site.requests() if each.headers.get("if-range")]


def test_no_way_to_tell(site, tmp_path):
    """A body without length, size and digest could have been cut off anywhere: it is refused."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    site.fault("/m.gguf", no_length=True, refuse_ranges=True)
    with pytest.raises(Failure) as caught:
        fetch(store, wanted(url, known=False))
    assert "LD425" == caught.value.diagnostics[0].code
    assert fetch(store, wanted(url))[1] == DATA


def test_chunked(site, tmp_path):
    """A body in chunks has an end of its own; one that is cut off is noticed."""
    url, store = site.put("/m.gguf", DATA, ranges=False, chunked=True), Store(tmp_path)
    site.fault("/m.gguf", times=1)
    site.fault("/m.gguf", cut_at=100_000, times=3)
    assert fetch(store, wanted(url, known=False))[1] == DATA


def test_signed_url_expires(site, tmp_path):
    """A signed URL that is no good any more is asked for again, with the token, on its own host."""
    hub, store = HuggingFace(site), Store(tmp_path)
    hub.add("o/r", {"m.gguf": DATA}, gated="auto", granted=("hf_secret",))
    token = Secret.bearer("hf_secret")
    source = Source(f"{site.url}/o/r/resolve/main/m.gguf", token=token)
    site.on_request = lambda count: hub.revoke() if count in (4, 7) else None
    _, body = fetch(store, wanted(source.url, source=source))
    assert body == DATA
    assert not [each for each in site.requests(host="cdn") if "authorization" in each.headers]
    assert 403 in {each.status for each in site.log}


def test_hub_has_another_digest(site, tmp_path):
    """A digest that Hugging Face announces is compared before anything is downloaded."""
    HuggingFace(site).add("o/r", {"m.gguf": OTHER})
    with pytest.raises(Failure) as caught:
        fetch(Store(tmp_path), wanted(f"{site.url}/o/r/resolve/main/m.gguf"))
    (problem,) = caught.value.diagnostics
    assert "LD407" == problem.code
    assert sha256(OTHER) in problem.summary
    assert site.asked_bytes() == 0


def test_ollama_blob(site, tmp_path):
    """A blob of Ollama's registry comes through its redirect."""
    OllamaRegistry(site).add("library/x", [("model", DATA)])
    url = f"{site.url}/v2/library/x/blobs/sha256:{sha256(DATA)}"
    assert fetch(Store(tmp_path), wanted(url))[1] == DATA


def test_no_room(site, tmp_path, monkeypatch):
    """What does not fit is refused with both numbers before it is downloaded."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    usage = SimpleNamespace(free=(32 << 20) + 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(Failure) as caught:
        fetch(store, wanted(url))
    (problem,) = caught.value.diagnostics
    assert "LD410" == problem.code
    assert "and leaves 32.0 MiB free, the store has 32.0 MiB" in problem.summary
    assert site.asked_bytes() == 0


def test_disk_full(site, tmp_path, monkeypatch):
    """A disk that fills up on the way keeps what fitted, and the next run goes on from there."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    plain, left = os.pwrite, [300_000]

    def pwrite(descriptor, data, offset):
        left[0] -= len(data)
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    _, (problem,) = jobs.run(impatient(), [Job("m", lambda: fetch(store, wanted(url)))])
    assert "LD410" == problem.code
    assert problem.summary.startswith(f"`{tmp_path}")
    monkeypatch.setattr(os, "pwrite", plain)
    site.log.clear()
    assert fetch(store, wanted(url))[1] == DATA
    assert 0 < site.asked_bytes() < len(DATA)


INTERRUPTED = """
import sys
from pathlib import Path
from llmdecl.sources.http.values import Source
from llmdecl.sources.http.web import Web
from llmdecl.store import jobs
from llmdecl.store.download import Wanted, download
from llmdecl.store.jobs import Job
from llmdecl.store.store import Store
from tests.web.web_kit import Tell

web, store = Web(), Store(Path(sys.argv[2]))

def bring():
    wanted = Wanted("m.gguf", Source(sys.argv[1]), "model.gguf", sys.argv[3])
    with store.workplace() as work, download(
        web, [wanted], folder=work.folder / "e", store=store, address="m", tell=Tell()
    ):
        pass

try:
    jobs.run(web, [jobs.Job("m", bring)])
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_interrupted(site, tmp_path):
    """Ctrl-C in a stalled download ends at once, cleans up, and keeps what came."""
    url = site.put("/m.gguf", DATA)
    site.fault("/m.gguf", stall_at=100_000)
    argv = [sys.executable, "-c", INTERRUPTED, url, tmp_path, sha256(DATA)]
    process = subprocess.Popen(argv, cwd=Path(__file__).resolve().parents[2])
    try:
        end = time.monotonic() + 30
        while site.sent_bytes() < 100_001:
            assert time.monotonic() < end
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert 130 == process.wait(20)
    finally:
        process.kill()
        process.wait()
    assert [] == list((tmp_path / "partial").iterdir())
    site.heal()
    assert fetch(Store(tmp_path), wanted(url))[1] == DATA


def test_stop(site, tmp_path):
    """Called off in the middle of a stall it ends at once, keeps what came, and goes on later."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    site.fault("/m.gguf", stall_at=100_000)
    web = impatient(read_s=60.0)
    ended = []

    def run():
        with pytest.raises(Stopped):
            fetch(store, wanted(url), web)
        ended.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    while site.sent_bytes() < 100_001:
        time.sleep(0.001)
    begun = time.monotonic()
    web.stop()
    thread.join(20)
    assert ended
    assert ended[0] - begun < 10
    with pytest.raises(Stopped):
        web.get(url, address="m")
    site.heal()
    site.log.clear()
    assert fetch(store, wanted(url))[1] == DATA
    assert site.asked_bytes() <= len(DATA)


def test_several_files(site, tmp_path):
    """Parts of a split model come side by side; after a failure of one the others go on later."""
    bodies = [random_bytes(400_000 + number) for number in range(6)]
    files = [
        Wanted(f"{n}.gguf", Source(site.put(f"/{n}.gguf", body)), f"{n}.gguf", sha256(body))
        for n, body in enumerate(bodies)
    ]
    store = Store(tmp_path)

    def bring(tell):
        with (
            store.workplace() as work,
            download(
                impatient(),
                files,
                folder=work.folder / "entry",
                store=store,
                address="m",
                tell=tell,
            ) as found,
        ):
            got = [(work.folder / "entry" / each.target).read_bytes() for each in files]
            return got, [each.name for each in found]

    site.fault("/5.gguf", status=404)
    with pytest.raises(Failure) as caught:
        bring(Tell())
    assert "LD421" == caught.value.diagnostics[0].code
    site.heal()
    tell = Tell()
    assert bring(tell) == (bodies, [each.name for each in files])
    assert tell.amount == sum(map(len, bodies))
    assert is_empty(store)


def test_same_content_twice(site, tmp_path):
    """The same content under two names is downloaded once."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    both = [wanted(url, target="a"), wanted(url, target="b", name="other")]
    with (
        store.workplace() as work,
        download(
            impatient(), both, folder=work.folder / "e", store=store, address="m", tell=Tell()
        ) as files,
    ):
        assert (work.folder / "e" / "a").read_bytes() == (work.folder / "e" / "b").read_bytes()
        assert [each.name for each in files] == ["m.gguf", "other"]
        assert 0o444 == (work.folder / "e" / "a").stat().st_mode & 0o777
    assert site.asked_bytes() == len(DATA)


def test_two_at_once(site, tmp_path):
    """Whoever comes second waits under the guard and finds the work done."""
    url = site.put("/m.gguf", DATA)
    site.fault("/m.gguf", pace_s=0.001)
    results = []

    def bring():
        mine = Store(tmp_path)
        with mine.guard("m"):
            if mine.has_weights(sha256(DATA)):
                results.append("there")
                return
            with (
                mine.workplace() as work,
                download(
                    impatient(),
                    [wanted(url)],
                    folder=work.folder / "e",
                    store=mine,
                    address="m",
                    tell=Tell(),
                ),
            ):
                mine.add_weights(work.folder / "e", sha256(DATA), work)
                results.append("brought")

    threads = [threading.Thread(target=bring) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sorted(results) == ["brought", "there", "there"]
    assert site.asked_bytes() == len(DATA)
    assert (tmp_path / "weights" / sha256(DATA) / "model.gguf").exists()


def test_forget(site, tmp_path):
    """Remains are listed with what they take, and dropped on demand, but not under a worker."""
    url, store = site.put("/m.gguf", DATA), Store(tmp_path)
    spoil_after(site, 3)
    with pytest.raises(Failure):
        fetch(store, wanted(url))
    site.on_request = None
    (remains,) = unfinished(store.folder)
    assert remains.bytes > 0
    assert 0 == store.sweep()
    with store.guard(f"download-{remains.key}"):
        assert not forget(store.folder, remains.key)
    assert unfinished(store.folder)
    assert forget(store.folder, remains.key)
    assert () == unfinished(store.folder)
