"""Files from web servers into the store's file system: verified, read-only, and kept until used.

    with download(web, wanted, folder=work.folder / "entry", store=store, ...) as files:
        store.add_weights(work.folder / "entry", weights_digest(files), work)

What has arrived lies in `downloads/` of the store (`remains.py`) and survives a kill at any moment;
the next download of the same thing goes on from there.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import TypeVar

from llmdecl.sources.http.web import Web
from llmdecl.sources.pip import Stopped
from llmdecl.sources.wheel import Tell, need_room
from llmdecl.store.file_download import FileDownload, Wanted
from llmdecl.store.meter import Meter
from llmdecl.store.model import LockedFile
from llmdecl.store.remains import guard_name
from llmdecl.store.store import Store

FILES_AT_ONCE = 4
"""Of one download; connections of a whole run are bounded by the `Web`."""

T = TypeVar("T")

__all__ = ["Wanted", "download"]


@contextmanager
def download(
    web: Web, wanted: Sequence[Wanted], *, folder: Path, store: Store, address: str, tell: Tell
) -> Iterator[tuple[LockedFile, ...]]:
    """All of `wanted` in `folder` (made here, in the store's file system), several at once.

    Files are whole, verified, durable and read-only. Call it under the guard of what they become
    part of, and move them into the store inside the `with`: at its end the remains are dropped,
    after an exception they are kept for the next time. `tell` hears of the bytes of all together.
    A Failure (LD407, LD410, LD420 to LD428) keeps nothing wrong; Stopped when called off.
    """
    assert folder.is_relative_to(store.folder)
    files = [FileDownload(web, each, store.folder, address=address) for each in wanted]
    _all(web, files, lambda each, _: each.look())
    # the same content twice is brought once
    by_key = {each.key: each for each in files}
    with ExitStack() as stack:
        for key in sorted(by_key):
            stack.enter_context(store.guard(guard_name(key), web.stopped.is_set))
        for each in by_key.values():
            stack.callback(each.close)
        brought = _bring(web, by_key, store, address, tell)
        folder.mkdir()
        for each in files:
            _link(by_key[each.key].folder / "data", folder / each.wanted.target)
        yield tuple(
            brought[each.key].replace(name=each.wanted.name, path=each.wanted.path)
            for each in files
        )
        for each in by_key.values():
            shutil.rmtree(each.folder, ignore_errors=True)


def _bring(
    web: Web, by_key: dict[str, FileDownload], store: Store, address: str, tell: Tell
) -> dict[str, LockedFile]:
    if not by_key:  # everything was here already
        return {}
    meter = Meter(tell)
    sizes = [each.open() for each in by_key.values()]
    known = [size for size, _ in sizes if size is not None]
    here = sum(so_far for _, so_far in sizes)
    names = [each.wanted.name for each in by_key.values()]
    what = f"`{names[0]}`" + (f" and {len(names) - 1} more" if names[1:] else "")
    need_room(store.folder, sum(known) - here, what, address)
    meter.begin(sum(known) if len(known) == len(sizes) else None, here)
    found = _all(web, list(by_key.values()), lambda each, called_off: each.run(meter, called_off))
    return dict(zip(by_key, found, strict=True))


def _all(
    web: Web,
    files: Sequence[FileDownload],
    work: Callable[[FileDownload, Callable[[], bool]], T],
) -> list[T]:
    """`work` of each, several at once; the first failure ends the others."""
    ended = Event()

    def called_off() -> bool:
        return ended.is_set() or web.stopped.is_set()

    with ThreadPoolExecutor(max_workers=max(1, min(FILES_AT_ONCE, len(files)))) as pool:
        futures = [pool.submit(work, each, called_off) for each in files]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            ended.set()
            wait(futures)
        except BaseException:
            web.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    problems = [problem for each in futures if (problem := each.exception()) is not None]
    for problem in sorted(problems, key=lambda each: isinstance(each, Stopped)):
        raise problem
    return [each.result() for each in futures]


def _link(data: Path, target: Path) -> None:
    """The finished file under its name, and still among the remains: a kill now loses nothing."""
    try:
        os.link(data, target)
    except OSError:  # a file system without hard links
        data.rename(target)
