"""A `Web` that does not wait, and what else tests of transport share."""

import os
from dataclasses import dataclass, field

from llmdecl.sources.http.patience import Patience
from llmdecl.sources.http.web import Web


@dataclass
class Waits:
    """The seconds that were to be waited, instead of waiting."""

    asked: list = field(default_factory=list)

    def __call__(self, seconds):
        self.asked.append(seconds)


def patience(**changes):
    """Short time limits, no waiting between tries."""
    settings = {"sleep": Waits(), "read_s": 2.0, "connect_s": 2.0, "dice": lambda: 0.5}
    return Patience(**{**settings, "progress_bytes": 1, **changes})


def impatient(**changes):
    """A `Web` of `patience`."""
    return Web(patience(**changes))


class Tell:
    """Counts what it is told."""

    def __init__(self):
        self.total, self.amount = None, 0

    def begin(self, total, so_far=0):
        self.total, self.amount = total, so_far

    def advance(self, amount):
        self.amount += amount


def random_bytes(count):
    return os.urandom(count)


PART_BYTES = 1 << 18
"""Of one range request in tests of small files."""
