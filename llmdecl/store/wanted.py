"""What a spec wants supplied, by the names that people use for it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from llmdecl.diagnostics import Diagnostic
from llmdecl.sources.reference import Role, source_key
from llmdecl.spec.address import address
from llmdecl.spec.schema import Engine, Model, Spec
from llmdecl.store.rules import UPDATE_UNKNOWN


@dataclass(frozen=True, slots=True)
class WantedSource:
    """A source: its text, and what picks among the files there.

    `key` is how lock and facts know it; `address` is its first place, `owners` are models.
    """

    source: str
    role: Role
    quantization: str | None
    address: str
    owners: tuple[str, ...]

    @property
    def key(self) -> str:
        """By what lock and facts know it."""
        return source_key(self.source, self.role, self.quantization)


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
    """All of them, sources by key and engines by name, sorted."""

    sources: tuple[WantedSource, ...]
    engines: tuple[WantedEngine, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A source where a model names it."""

    source: str
    role: Role
    quantization: str | None
    address: str

    @property
    def key(self) -> str:
        """By what lock and facts know it."""
        return source_key(self.source, self.role, self.quantization)


def named(name: str, model: Model) -> Iterator[Named]:
    """Every source of a model: weights, draft, projector, adapters, in this order."""
    yield Named(model.source, "model", model.quantization, address("models", name, "source"))
    if (draft := model.draft) is not None:
        at = address("models", name, "draft", "source")
        yield Named(draft.source, "draft", draft.quantization, at)
    if (mmproj := model.mmproj) is not None:
        at = address("models", name, "mmproj", "source")
        yield Named(mmproj.source, "mmproj", mmproj.quantization, at)
    for number, lora in enumerate(model.lora or ()):
        yield Named(lora.source, "lora", None, address("models", name, "lora", number, "source"))


def wanted(spec: Spec) -> Wanted:
    """Every source and every engine, each once."""
    first: dict[str, Named] = {}
    owners: dict[str, list[str]] = {}
    for name, model in sorted(spec.models.items()):
        for each in named(name, model):
            first.setdefault(each.key, each)
            owners.setdefault(each.key, []).append(name)
    sources = tuple(
        WantedSource(
            each.source,
            each.role,
            each.quantization,
            each.address,
            tuple(dict.fromkeys(owners[key])),
        )
        for key, each in sorted(first.items())
    )
    engines = tuple(WantedEngine(name, engine) for name, engine in sorted(spec.engines.items()))
    return Wanted(sources, engines)


def users(spec: Spec) -> Mapping[str, tuple[str, ...]]:
    """Models by what they use: keys of sources, and `engines.NAME`."""
    found = {each.key: each.owners for each in wanted(spec).sources}
    only = next(iter(spec.engines)) if len(spec.engines) == 1 else None
    for engine in spec.engines:
        found[f"engines.{engine}"] = tuple(
            name
            for name, model in sorted(spec.models.items())
            if (model.engine or (spec.defaults and spec.defaults.engine) or only) == engine
        )
    return found


EVERYTHING = "*"
"""As a name: every source and every engine."""


def chosen(
    wants: Wanted, names: Iterable[str]
) -> tuple[frozenset[str], frozenset[str], tuple[Diagnostic, ...]]:
    """Keys of sources, and engines, that `names` mean: models with all files, engines, sources."""
    sources: set[str] = set()
    engines: set[str] = set()
    problems = []
    by_engine: Mapping[str, WantedEngine] = {each.name: each for each in wants.engines}
    for name in names:
        if name == EVERYTHING:
            sources |= {each.key for each in wants.sources}
            engines |= {*by_engine}
            continue
        of_name = {
            each.key
            for each in wants.sources
            if name in (each.source, each.key) or name in each.owners
        }
        sources |= of_name
        if name in by_engine:
            engines.add(name)
        elif not of_name:
            is_path = name.endswith((".toml", ".json")) or "/" in name
            notes = ("a SPEC stands before `--update`",) if is_path else ()
            summary = f"`{name}` is no model, engine or source here"
            problems.append(UPDATE_UNKNOWN.at(name, summary, notes=notes))
    return frozenset(sources), frozenset(engines), tuple(problems)
