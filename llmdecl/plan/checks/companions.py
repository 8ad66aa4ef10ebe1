"""Files are of the kind that their role asks for, and fit the model they accompany."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts.model import GgufFacts
from llmdecl.plan import rules
from llmdecl.plan.subject import Subject


def check_companions(subject: Subject) -> Iterator[Diagnostic]:
    """Model, draft, projector and adapters."""
    for pinned in (subject.weights, subject.draft):
        if pinned is not None and pinned.gguf is not None and pinned.gguf.type != "model":
            summary = f"`{pinned.source}` is of type `{pinned.gguf.type}`, not a language model"
            yield rules.NOT_A_MODEL.at(pinned.address, summary)
    if subject.draft is not None and subject.draft.gguf is not None:
        yield from _draft(subject, subject.draft.gguf, subject.draft.address)
    mmproj = subject.mmproj
    if mmproj is not None and mmproj.gguf is not None and not _projects(mmproj.gguf):
        summary = f"`{mmproj.source}` is of type `{mmproj.gguf.type}`, not a projector"
        yield rules.NOT_A_PROJECTOR.at(mmproj.address, summary)
    for lora in subject.loras:
        if lora.gguf is not None:
            yield from _adapter(subject, lora.gguf, lora.address, lora.source)


def _projects(gguf: GgufFacts) -> bool:
    """Old projectors say so by their architecture only."""
    return gguf.type == "mmproj" or gguf.architecture == "clip"


def _draft(subject: Subject, draft: GgufFacts, at: str) -> Iterator[Diagnostic]:
    ours, theirs = subject.gguf.vocabulary, draft.vocabulary
    if draft.type != "model" or (ours and theirs and ours.digest == theirs.digest):
        return
    notes = [
        f"{name}: {v.size} tokens, {v.model}, {v.pre or 'no pre-tokenizer'}"
        if v
        else f"{name}: none"
        for name, v in (("model", ours), ("draft", theirs))
    ]
    summary = f"the draft of `{subject.name}` has another vocabulary than the model"
    yield rules.DRAFT_MISMATCH.at(at, summary, notes=notes)


def _adapter(subject: Subject, adapter: GgufFacts, at: str, source: str) -> Iterator[Diagnostic]:
    if adapter.type != "adapter":
        summary = f"`{source}` is of type `{adapter.type}`, not an adapter"
        yield rules.ADAPTER_MISMATCH.at(at, summary)
    elif adapter.architecture != subject.gguf.architecture:
        ours = subject.gguf.architecture
        summary = f"`{source}` adapts `{adapter.architecture}`, the model is `{ours}`"
        yield rules.ADAPTER_MISMATCH.at(at, summary)
