"""What a spec wants supplied, by the names that people use for it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.address import address
from llmdecl.spec.schema import Engine, Model, Spec
from llmdecl.store.rules import UPDATE_UNKNOWN


@dataclass(frozen=True, slots=True)
class WantedSource:
    """A source as the spec writes it; `address` is its first place, `owners` are models."""

    source: str
    address: str
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WantedEngine:
    """An engine of the spec."""

    name: str
    engine: Engine

    @property
    def address(self) -> str:
        """Its table."""
        return address("engines", self.name)


@dataclass(frozen=True, slots=True)
class Wanted:
    """All of them, sources by text and engines by name, sorted."""

    sources: tuple[WantedSource, ...]
    engines: tuple[WantedEngine, ...]


def _places(name: str, model: Model) -> Iterator[tuple[str, str]]:
    yield model.source, address("models", name, "source")
    if model.draft is not None:
        yield model.draft.source, address("models", name, "draft", "source")
    if model.mmproj is not None:
        yield model.mmproj.source, address("models", name, "mmproj", "source")
    for number, lora in enumerate(model.lora or ()):
        yield lora.source, address("models", name, "lora", number, "source")


def wanted(spec: Spec) -> Wanted:
    """Every source and every engine, each once."""
    addresses: dict[str, str] = {}
    owners: dict[str, list[str]] = {}
    for name, model in sorted(spec.models.items()):
        for source, place in _places(name, model):
            addresses.setdefault(source, place)
            owners.setdefault(source, []).append(name)
    sources = tuple(
        WantedSource(source, addresses[source], tuple(dict.fromkeys(owners[source])))
        for source in sorted(addresses)
    )
    engines = tuple(WantedEngine(name, engine) for name, engine in sorted(spec.engines.items()))
    return Wanted(sources, engines)


def chosen(
    wants: Wanted, names: Iterable[str]
) -> tuple[frozenset[str], frozenset[str], tuple[Diagnostic, ...]]:
    """Sources and engines that `names` mean: models with all their files, engines, sources."""
    sources: set[str] = set()
    engines: set[str] = set()
    problems = []
    by_engine: Mapping[str, WantedEngine] = {each.name: each for each in wants.engines}
    for name in names:
        of_name = {
            each.source for each in wants.sources if name == each.source or name in each.owners
        }
        sources |= of_name
        if name in by_engine:
            engines.add(name)
        elif not of_name:
            problems.append(UPDATE_UNKNOWN.at(name, f"`{name}` is no model, engine or source here"))
    return frozenset(sources), frozenset(engines), tuple(problems)
