"""Sources of weights, drafts and adapters."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.sources.reference import parse_reference
from llmdecl.spec.address import address
from llmdecl.spec.rules import BAD_SOURCE, DRAFT_RANGE
from llmdecl.spec.schema import Draft, Spec
from llmdecl.spec.words import shown


def check(spec: Spec) -> Iterator[Diagnostic]:
    """Sources that name nothing, drafts that draft nothing."""
    for name, model in spec.models.items():
        yield from _source(address("models", name, "source"), model.source)
        if model.draft is not None:
            yield from _source(address("models", name, "draft", "source"), model.draft.source)
            yield from _range(name, model.draft)
        if model.mmproj is not None:
            yield from _source(address("models", name, "mmproj", "source"), model.mmproj.source)
        for index, lora in enumerate(model.lora or ()):
            yield from _source(address("models", name, "lora", index, "source"), lora.source)


def _source(where: str, text: str) -> Iterator[Diagnostic]:
    try:
        parse_reference(text)
    except ValueError as error:
        yield BAD_SOURCE.at(where, f"`{shown(text)}` names no weights", notes=(str(error),))


def _range(name: str, draft: Draft) -> Iterator[Diagnostic]:
    if draft.n_min is not None and draft.n_max is not None and draft.n_min > draft.n_max:
        yield DRAFT_RANGE.at(
            address("models", name, "draft", "n-min"),
            f"`n-min` {draft.n_min} is above `n-max` {draft.n_max}",
        )
