"""What was read from a machine, as values: the recordings that parsers and tests work on."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from llmdecl.values import Value


class Said(Value, frozen=True, kw_only=True):
    """A tool's answer on both outputs. `status` is None when it did not come to an end."""

    text: str = ""
    status: int | None = 0
    problem: Literal["absent", "hangs", "refused"] | None = None
    """Not installed; no answer in time; not startable by this user."""

    @property
    def ok(self) -> bool:
        """Whether it ran to its end and found no fault."""
        return self.problem is None and self.status == 0


ABSENT = Said(status=None, problem="absent")


class Reading(Value, frozen=True, kw_only=True):
    """Texts of files by path, None for one that this user may not open, and tools' answers.

    A device node that may be opened has an empty text.
    """

    files: Mapping[str, str | None] = {}
    tools: Mapping[str, Said] = {}

    def text(self, path: str) -> str | None:
        """The file's text without blanks around it."""
        text = self.files.get(path)
        return None if text is None else text.strip()

    def number(self, path: str) -> int | None:
        """The file's number, decimal or with `0x`."""
        return number(self.text(path))

    def said(self, tool: str) -> Said:
        """A tool's answer; one that was not asked is absent."""
        return self.tools.get(tool, ABSENT)


def number(text: str | None) -> int | None:
    """`24576`, `0x1002`; None for anything else, and for what is no count of anything real."""
    try:
        value = int(text or "", 0)
    except ValueError:
        return None
    return value if 0 <= value < 1 << 64 else None


def pci_address(text: str | None) -> str | None:
    """`00000000:0A:00.0` and `0000:0a:00.0` as `0000:0a:00.0`; None when it is none."""
    domain, colon, rest = (text or "").strip().lower().partition(":")
    if not colon or not all(c in "0123456789abcdef:." for c in domain + rest):
        return None
    bus, _, slot = rest.partition(":")
    return f"{domain[-4:].rjust(4, '0')}:{bus}:{slot}" if bus and "." in slot else None


def sections(text: str, starts: Sequence[re.Match[str]]) -> list[tuple[re.Match[str], str]]:
    """Each match with the text up to the next one."""
    ends = [match.start() for match in starts[1:]] + [len(text)]
    return [(match, text[match.end() : end]) for match, end in zip(starts, ends, strict=False)]


class Sighting(Value, frozen=True, kw_only=True):
    """One device as one probe has it. `backend` is what it proves the device is reached through.

    Sightings of one device are merged by `key`: its PCI address, for MIG instances with the UUID.
    """

    source: str
    backend: str | None = None
    index: int | None = None
    name: str | None = None
    memory_bytes: int | None = None
    free_bytes: int | None = None
    dedicated_bytes: int | None = None
    carve_out_bytes: int | None = None
    """What firmware took from the system's memory for an integrated device."""
    architecture: str | None = None
    driver: str | None = None
    pci: str | None = None
    uuid: str | None = None
    instance: bool = False
    """A MIG instance."""
    integrated: bool | None = None
    shares_host_memory: bool = False
    used_by: tuple[tuple[int | None, str | None, int | None], ...] = ()
    """Process number, name, bytes."""


class Trouble(Value, frozen=True, kw_only=True):
    """What keeps a probe from answering or a device from being used; `subject` is the thing."""

    kind: Literal["probe", "device", "unlisted"]
    subject: str
    summary: str
    notes: tuple[str, ...] = ()


Seen = tuple[tuple[Sighting, ...], tuple[Trouble, ...]]
