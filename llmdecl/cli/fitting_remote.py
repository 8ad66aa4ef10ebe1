"""A model on the network for `llmdecl fit`: its quantizations by their headers."""

from collections.abc import Iterable
from dataclasses import dataclass

from llmdecl.cli.remote import remote_reference
from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.engines.llama_cpp.quantize import FILE_TYPES
from llmdecl.facts.gguf import Read
from llmdecl.facts.model import GgufFacts, OtherWeights
from llmdecl.paths import Folders
from llmdecl.sources.reference import HfReference, HttpsReference, OllamaReference
from llmdecl.sources.rules import NOT_READ
from llmdecl.store.suppliers.ollama import peek


@dataclass(frozen=True, slots=True)
class OneModel:
    """A model without a spec; `usual` file types are worked out where none was found."""

    source: str
    shown: str
    gguf: GgufFacts
    others: tuple[OtherWeights, ...]
    found: tuple[Diagnostic, ...]
    quantization: str | None = None
    usual: Iterable[str] = tuple(FILE_TYPES)


def remote_model(text: str, where: Folders) -> OneModel:
    """The model that a source is, and of a repository its other quantizations; a Failure without
    a header."""
    reference = remote_reference(text)
    if isinstance(reference, OllamaReference):
        read = peek(text, reference)
        return OneModel(text, text, _sound(read), (), read[1])
    if isinstance(reference, HttpsReference):
        return _file(text, reference, where)
    return _repository(reference, where)


def _file(text: str, reference: HttpsReference, where: Folders) -> OneModel:
    from llmdecl.sources.http.web import Web
    from llmdecl.sources.peek import peek_https

    name, read = peek_https(Web(), reference, where.cache)
    return OneModel(text, name, _sound(read), (), read[1])


def _repository(reference: HfReference, where: Folders) -> OneModel:
    from llmdecl.sources.http.web import Web
    from llmdecl.sources.peek import open_repository, peek_all

    repository = open_repository(Web(), reference, None, None, any_model=True)
    looked = peek_all(repository, where.cache)
    gguf, found, unread = _sound(looked.read), looked.read[1], looked.unread
    if unread:
        more = "s" if len(unread) > 1 else ""
        summary = f"the header{more} of {len(unread)} file{more} of `{reference.source}` "
        summary += "were not read" if more else "was not read"
        warning = NOT_READ.at(reference.source, summary, notes=[str(offer) for offer in unread])
        found = (*found, warning)
    return OneModel(
        source=repository.source(repository.chosen),
        shown=reference.repository,
        gguf=gguf,
        others=looked.others,
        found=found,
        quantization=repository.chosen.quantization,
        usual=[kind for kind in FILE_TYPES if kind in {each.quantization for each in unread}],
    )


def _sound(read: Read) -> GgufFacts:
    facts, found = read
    if facts is None or has_errors(found):
        raise Failure(*found)
    return facts
