"""The pinned files are where the spec says, and are what the lock pins."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts.model import Presence
from llmdecl.plan import rules
from llmdecl.plan.subject import Subject


def check_presence(subject: Subject) -> Iterator[Diagnostic]:
    """For `file:` sources: what is missing in the store is `fetch`'s to bring."""
    for pinned in (subject.weights, subject.draft, subject.mmproj, *subject.loras):
        if pinned is None or not pinned.locked or not pinned.source.startswith("file:"):
            continue
        at = f"`{pinned.source}`"
        if pinned.presence is Presence.MISSING:
            yield rules.WEIGHTS_MISSING.at(pinned.address, f"{at} is locked, but not there")
        elif pinned.presence is Presence.DIFFERENT:
            notes = (f"pinned: {pinned.digest}", f"found: {pinned.found or 'something else'}")
            summary = f"{at} is not the file that the lock pins"
            yield rules.WEIGHTS_CHANGED.at(pinned.address, summary, notes=notes)
