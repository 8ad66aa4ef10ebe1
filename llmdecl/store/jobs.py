"""Several things at once, bounded; one failure does not stop the others, an interrupt stops all."""

import errno
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from filelock import Timeout

from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.sources.pip import Stopped
from llmdecl.store.rules import STORE_FULL, STORE_UNUSABLE

AT_ONCE = 4
"""Downloads at a time; more of them only share the same line."""

T = TypeVar("T")


class Stoppable(Protocol):
    """A transport: pip, the web, or several of them."""

    def stop(self) -> None:
        """Every call that is under way, and every later one, raises Stopped."""


@dataclass(frozen=True, slots=True)
class Together:
    """Several transports that end together."""

    transports: tuple[Stoppable, ...]

    def stop(self) -> None:
        """End all."""
        for each in self.transports:
            each.stop()


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """Something to do for `address` of the spec."""

    address: str
    work: Callable[[], T]


def run(
    transport: Stoppable, jobs: Sequence[Job[T]]
) -> tuple[list[T | None], tuple[Diagnostic, ...]]:
    """Results in the order of `jobs` (`None` where one failed) and what went wrong."""
    if not jobs:
        return [], ()
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(jobs))) as pool:
        futures = [pool.submit(job.work) for job in jobs]
        try:
            wait(futures)
        except BaseException:
            transport.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    results: list[T | None] = []
    problems: list[Diagnostic] = []
    for job, future in zip(jobs, futures, strict=True):
        found = _problems(job.address, future)
        results.append(None if found else future.result())
        problems += [problem for problem in found if problem not in problems]
    return results, tuple(problems)


def _problems(address: str, future: Future[T]) -> tuple[Diagnostic, ...]:
    match future.exception():
        case None:
            return ()
        case Failure() as failure:
            return failure.diagnostics
        case Stopped() | Timeout():
            raise KeyboardInterrupt
        case OSError() as error:
            return (of_system(address, error),)
        case other:
            raise other


def of_system(address: str, error: OSError) -> Diagnostic:
    """What the system refused the store."""
    where = f"`{error.filename}`: " if error.filename else "the store's file system says: "
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return STORE_FULL.at(address, f"{where}{error.strerror}")
    return STORE_UNUSABLE.at(address, f"{where}{error.strerror or error}")
