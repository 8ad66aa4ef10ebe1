"""Which file of a repository of GGUF files is meant. Pure.

Publishers put a model's quantizations into one repository, beside projectors, drafts and importance
matrices. Names are all there is to tell them apart, as `llama-server -hf` does it
(common/download.cpp), but never by a guess: where several files answer, they are listed.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from llmdecl.diagnostics import Failure, Rule
from llmdecl.sources.quantization import normalise, quantization_of
from llmdecl.sources.reference import Role
from llmdecl.sources.rules import HUB_FILE_UNKNOWN, QUANTIZATION_ABSENT, QUANTIZATION_AMBIGUOUS
from llmdecl.store.layout import split_names
from llmdecl.units import format_bytes

Use = Literal["model", "draft", "mmproj", "lora", "imatrix"]
"""What a file is for, by its name."""

MOST = 40
"""Files that a diagnostic lists."""

_DRAFT = re.compile(
    # llama.cpp looks for these with their hyphen and in small letters
    r"(?<![A-Za-z0-9])(?:mtp|eagle3|dflash|dspark)-"
    r"|(?i:^(?:mtp|eagle3|dflash|dspark)[._]|(?<![a-z0-9])draft(?:er)?(?![a-z0-9]))"
)
_PIECE = re.compile(r"\.gguf[.-](?:part|split)", re.IGNORECASE)
_LORA = re.compile(r"(?<![a-z0-9])q?lora(?![a-z0-9])|(?<![a-z0-9])adapter(?![a-z0-9])")


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """A file by its path there. `sha256` is `None` where the publisher's server has none."""

    path: str
    size_bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A file, or all parts of a split one in order; `parts` is how many there should be."""

    files: tuple[RepositoryFile, ...]
    parts: int
    use: Use
    quantization: str | None

    @property
    def path(self) -> str:
        """Of the first part."""
        return self.files[0].path

    @property
    def size_bytes(self) -> int:
        """All parts."""
        return sum(file.size_bytes for file in self.files)

    @property
    def is_whole(self) -> bool:
        """Whether no part is missing."""
        return len(self.files) == self.parts

    def __str__(self) -> str:
        parts = f" in {self.parts} parts" if self.parts > 1 else ""
        lost = "" if self.is_whole else f", {self.parts - len(self.files)} of them missing"
        kind = "" if self.use == "model" else f" ({self.use})"
        word = self.quantization or "no quantization in its name"
        return f"{word}{kind}: {format_bytes(self.size_bytes)}{parts}{lost}, `{self.path}`"


def offers(files: Iterable[RepositoryFile]) -> tuple[Offer, ...]:
    """Every GGUF there, split ones whole, by path."""
    by_path = {file.path: file for file in files if file.path.lower().endswith(".gguf")}
    found = []
    taken: set[str] = set()
    for path in sorted(by_path):
        if path in taken:
            continue
        folder, slash, name = path.rpartition("/")
        paths = [f"{folder}{slash}{part}" for part in split_names(name)]
        taken.update(paths)
        parts = tuple(by_path[each] for each in paths if each in by_path)
        found.append(Offer(parts, len(paths), use_of(path), quantization_of(path)))
    return tuple(found)


def use_of(path: str) -> Use:
    """What a file is for, by its name and its folder's."""
    *folders, name = path.split("/")
    low = name.lower()
    if "mmproj" in low:
        return "mmproj"
    if "imatrix" in low:
        return "imatrix"
    if _DRAFT.search(name) or (folders and folders[-1].lower() in ("mtp", "draft")):
        return "draft"
    return "lora" if _LORA.search(low) else "model"


def choose(
    repository: str,
    files: Sequence[RepositoryFile],
    *,
    path: str | None,
    role: Role,
    quantization: str | None,
    address: str,
) -> Offer:
    """The one that is meant: by `path`, else by role and quantization; a Failure that lists what
    is there. `repository` is the source as written, without a path."""
    every = offers(files)
    if path is not None:
        return _at(repository, every, path, address)
    among = _of_role(every, role)
    found = among if quantization is None else _quantized(among, quantization)
    if len(found) == 1 and found[0].is_whole:
        return found[0]
    shown = found if len(found) > 1 else among or every
    rule: Rule = QUANTIZATION_AMBIGUOUS if len(found) > 1 else QUANTIZATION_ABSENT
    summary = _unclear(repository, found, role, quantization)
    help_ = _help(repository, among, found)
    notes = [*_listed(shown), *(_pieces(files) if rule is QUANTIZATION_ABSENT else ())]
    raise Failure(rule.at(address, summary, notes=notes, help=help_))


def _pieces(files: Iterable[RepositoryFile]) -> Iterator[str]:
    """A word about files that were cut without regard to their format, and are not offered."""
    if paths := sorted(file.path for file in files if _PIECE.search(file.path)):
        yield f"{len(paths)} pieces of files that have to be joined first, such as `{paths[0]}`"


def _at(repository: str, every: Sequence[Offer], path: str, address: str) -> Offer:
    for offer in every:
        if any(file.path == path for file in offer.files):
            if offer.is_whole:
                return offer
            lost = offer.parts - len(offer.files)
            summary = f"`{path}` is split, and {lost} of its {offer.parts} parts are not there"
            raise Failure(HUB_FILE_UNKNOWN.at(address, summary))
    paths = [offer.path for offer in every]
    near = get_close_matches(path, paths, n=1)
    help_ = [f"did you mean `{repository}/{near[0]}`?"] if near else []
    summary = f"`{repository}` holds no GGUF file `{path}`"
    raise Failure(HUB_FILE_UNKNOWN.at(address, summary, notes=_listed(every), help=help_))


def _of_role(every: Sequence[Offer], role: Role) -> list[Offer]:
    """Those for the role; where a repository has none for it, its models may be (a repository of
    drafts or adapters), and a model may be what only looks like a companion."""
    own = [offer for offer in every if offer.use == role]
    if own or role == "mmproj":
        return own
    others = ("draft", "lora") if role == "model" else ("model",)
    return [offer for offer in every if offer.use in others]


def _quantized(among: Sequence[Offer], quantization: str) -> list[Offer]:
    """Those whose word it is; `Q4_K_XL` also is `UD-Q4_K_XL` where it is nothing else."""
    wanted = normalise(quantization)
    exact = [offer for offer in among if offer.quantization == wanted]
    if exact or wanted.startswith("UD-"):
        return exact
    if dynamic := [offer for offer in among if offer.quantization == f"UD-{wanted}"]:
        return dynamic
    # a word that only this publisher has
    word = re.compile(rf"(?<![A-Z0-9_]){re.escape(wanted)}(?![A-Z0-9_])")
    return [offer for offer in among if word.search(offer.path.upper())]


def _unclear(repository: str, found: Sequence[Offer], role: Role, quantization: str | None) -> str:
    kind = {"model": "GGUF model", "draft": "draft", "mmproj": "projector", "lora": "adapter"}[role]
    if len(found) == 1:
        return f"`{found[0].path}` in `{repository}` is split, and parts of it are not there"
    if quantization is None and found:
        return f"`{repository}` holds {len(found)} {kind}s, and no `quantization` picks one"
    if quantization is None:
        return f"`{repository}` holds no {kind}"
    if found:
        return f"`{quantization}` is {len(found)} files of `{repository}`"
    return f"`{repository}` holds no {kind} in `{quantization}`"


def _help(repository: str, among: Sequence[Offer], found: Sequence[Offer]) -> Iterator[str]:
    """What picks one: a word that only one has, else a path."""
    words = [offer.quantization for offer in among]
    sole = [word for word in words if word and words.count(word) == 1]
    if len(found) > 1 and (named := [o for o in found if o.quantization in sole and o.is_whole]):
        yield f'`quantization = "{named[0].quantization}"` picks `{named[0].path}`'
    elif len(found) > 1 and (whole := [offer for offer in found if offer.is_whole]):
        yield f'`source = "{repository}/{whole[0].path}"` names one'


def _listed(those: Sequence[Offer]) -> list[str]:
    notes = [str(offer) for offer in sorted(those, key=lambda o: (-o.size_bytes, o.path))[:MOST]]
    if len(those) > MOST:
        notes.append(f"and {len(those) - MOST} more")
    return notes
