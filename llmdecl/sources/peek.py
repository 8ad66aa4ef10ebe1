"""What a source on the network is, by its headers: nothing is brought or kept but facts."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from llmdecl.diagnostics import Failure
from llmdecl.facts.gguf import Read
from llmdecl.facts.gguf_remote import (
    First,
    RemotePart,
    known_alike,
    read_alike,
    read_gguf_remote,
)
from llmdecl.facts.model import GgufFacts, OtherWeights
from llmdecl.sources.http.rules import WEB_BAD_ANSWER
from llmdecl.sources.http.values import shown
from llmdecl.sources.http.web import Web
from llmdecl.sources.https import named_part, part_urls, source
from llmdecl.sources.huggingface import Hub, Revision, explained, hub
from llmdecl.sources.reference import HfReference, HttpsReference
from llmdecl.sources.remote import remote_part
from llmdecl.sources.repository import Offer, choose, offers
from llmdecl.spec.schema import HfSource

MOST_BYTES = 12 << 20
"""Of headers beside the first one; beyond it a repository's other files are only listed."""
AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at a commit; `offers` are its models that are whole."""

    hub: Hub
    reference: HfReference
    revision: Revision
    offers: tuple[Offer, ...]
    chosen: Offer

    def source(self, offer: Offer) -> str:
        """How a spec names this one file."""
        return f"{self.reference.source}/{offer.path}"

    def parts(self, offer: Offer, address: str) -> list[RemotePart]:
        """To read its header."""
        return [
            remote_part(
                self.hub.web,
                self.hub.source(self.reference, self.revision.commit, file.path),
                name=file.path.rpartition("/")[2],
                sha256=file.sha256,
                size_bytes=file.size_bytes,
                address=address,
            )
            for file in offer.files
        ]


def is_remote(text: str) -> bool:
    """Whether it is a source that can be looked at over the network, or in Ollama's store."""
    return text.startswith(("hf:", "https:", "http:", "ollama:"))


def open_repository(
    web: Web,
    reference: HfReference,
    quantization: str | None,
    settings: HfSource | None,
    *,
    any_model: bool,
) -> Repository:
    """Its commit and files; a Failure when none is meant. With `any_model` the smallest model of
    several is, unless something names one."""
    address = reference.source
    at = hub(web, settings, address)
    revision = at.revision(reference, address)
    files = at.files(reference, revision, address)
    models = tuple(each for each in offers(files) if each.use == "model" and each.is_whole)
    if any_model and models and quantization is None and reference.path is None:
        chosen = min(models, key=lambda each: (each.parts, each.size_bytes))
    else:
        chosen = choose(
            address,
            files,
            path=reference.path,
            role="model",
            quantization=quantization,
            address=address,
        )
    return Repository(at, reference, revision, models, chosen)


def peek_hub(repository: Repository, cache: Path | None, first: First | None = None) -> Read:
    """The chosen file's header."""
    reference, commit = repository.reference, repository.revision.commit
    address = reference.source
    path = repository.chosen.path
    with explained(lambda: repository.hub, reference, commit, path, address):
        parts = repository.parts(repository.chosen, address)
        return read_gguf_remote(parts, address=address, cache=cache, first=first)


@dataclass(frozen=True, slots=True)
class Quantizations:
    """The chosen file's header, the other files of the same model, and those not read."""

    read: Read
    others: tuple[OtherWeights, ...]
    unread: tuple[Offer, ...]


def peek_all(repository: Repository, cache: Path | None) -> Quantizations:
    """A repository's quantizations by their own headers, as far as `MOST_BYTES` go.

    A vocabulary is read once; each further file then costs some hundred KB. Files that are another
    model are among neither.
    """
    address = repository.reference.source
    wanted = [offer for offer in repository.offers if offer is not repository.chosen]
    known = [known_alike(repository.parts(offer, address), cache) for offer in wanted]
    first = First(needed=None in known)
    read = peek_hub(repository, cache, first)
    if read[0] is None:
        return Quantizations(read, (), ())
    found = read_others(repository, wanted, first, cache)
    others = same_models(repository, read[0], found)
    return Quantizations(read, others, tuple(o for o, facts in found if facts is None))


def read_others(
    repository: Repository, wanted: Sequence[Offer], first: First, cache: Path | None
) -> list[tuple[Offer, GgufFacts | None]]:
    """Headers of further files with the vocabulary of the first; `None` where there is none."""
    address, web = repository.reference.source, repository.hub.web
    limit = web.bytes_received + MOST_BYTES

    def look(offer: Offer) -> GgufFacts | None:
        parts = repository.parts(offer, address)
        if (facts := known_alike(parts, cache)) or web.bytes_received >= limit:
            return facts
        try:
            return read_alike(parts, first, address=address, cache=cache)[0]
        except Failure:
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(zip(wanted, pool.map(look, wanted), strict=True))


def same_models(
    repository: Repository, gguf: GgufFacts, found: Iterable[tuple[Offer, GgufFacts | None]]
) -> tuple[OtherWeights, ...]:
    """Those that are the model with header `gguf` in another quantization."""
    return tuple(
        OtherWeights(
            source=repository.source(offer),
            size_bytes=offer.size_bytes,
            gguf=facts,
            quantization=offer.quantization,
        )
        for offer, facts in found
        if facts is not None and _same_model(gguf, facts)
    )


def _same_model(one: GgufFacts, other: GgufFacts) -> bool:
    return one.architecture == other.architecture and one.n_params == other.n_params


def peek_https(web: Web, reference: HttpsReference, cache: Path | None) -> tuple[str, Read]:
    """Name and header of a file on a web server, all its parts."""
    address = shown(reference.url)
    parts = []
    named = named_part(reference)
    for name, url in part_urls(reference):
        remote = web.look(source(url, os.environ, address), address=address)
        if remote.size_bytes is None:
            summary = f"`{shown(url)}` does not say how large it is"
            raise Failure(WEB_BAD_ANSWER.at(address, summary))
        parts.append(
            remote_part(
                web,
                remote.source,
                name=name,
                sha256=(reference.sha256 if name == named else None) or remote.sha256,
                size_bytes=remote.size_bytes,
                address=address,
                remote=remote,
            )
        )
    return named, read_gguf_remote(parts, address=address, cache=cache)
