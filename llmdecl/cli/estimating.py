"""From a command line to an estimate: reads headers, asks the memory room, judges."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llmdecl.cli import rules
from llmdecl.diagnostics import Diagnostic, has_errors
from llmdecl.engines.llama_cpp.command_line import (
    ServerArguments,
    draft_of,
    parameters_of,
    placement_of,
    read_arguments,
    refusals,
)
from llmdecl.facts.gguf import read_gguf
from llmdecl.facts.hardware.cpu import detect_cpu
from llmdecl.facts.model import GgufFacts
from llmdecl.memory.allocations import Allocations, allocations, loaded
from llmdecl.memory.companions import lora_bytes, projector_bytes
from llmdecl.memory.hparams import shape_of
from llmdecl.memory.model import HOST, Device, Placement, RunParameters
from llmdecl.memory.versions import KNOWN, rules_are_of
from llmdecl.plan import rules as plan_rules

Measured = dict[str, dict[str, int]]
"""What an engine reported: bytes by place and field."""


@dataclass(frozen=True, slots=True)
class Companion:
    """A draft, a projector or an adapter beside the model: bytes by place."""

    role: str
    file: str
    places: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """All that is shown. `sizes` is `None` when the header or the flags are no good."""

    file: str
    gguf: GgufFacts | None
    devices: tuple[tuple[str, str, int], ...]
    run: RunParameters | None
    placement: Placement | None
    sizes: Allocations | None
    companions: tuple[Companion, ...]
    exact: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]

    def with_diagnostics(self, more: Sequence[Diagnostic]) -> "Estimate":
        """The same with further problems."""
        return replace(self, diagnostics=(*self.diagnostics, *more))

    @property
    def fits(self) -> bool:
        """Every device holds what is put on it, companions included."""
        if self.sizes is None:
            return False
        extra = dict[str, int]()
        for companion in self.companions:
            for place, size in companion.places:
                extra[place] = extra.get(place, 0) + size
        memory = {name: size for name, _, size in self.devices}
        return all(
            place.total + place.fusions + extra.get(place.place, 0) <= memory[place.place]
            for place in self.sizes.places
            if place.place != HOST
        )


def estimated(
    file: Path,
    flags: Sequence[str],
    *,
    devices: tuple[tuple[str, str, int], ...],
    engine_version: str | None,
    features: Sequence[str] | None,
) -> Estimate:
    """Everything about one command line; problems are in `diagnostics`, never raised."""
    gguf, found = read_gguf(file)
    given = read_arguments(flags)
    problems = [*found, *_refused(given.problems)]
    names = [name for name, _, _ in devices]
    if len(set(names)) < len(names):
        problems.append(rules.FLAGS_REFUSED.at("command line", "two devices have the same id"))
    nothing = Estimate(file.name, gguf, devices, None, None, None, (), (), tuple(problems))
    if gguf is None or has_errors(problems):
        return nothing
    placed = placement_of(
        given, [Device(id=name, backend=kind, free_bytes=size) for name, kind, size in devices]
    )
    run = parameters_of(given, shape_of(gguf))
    problems += _refused(refusals(loaded(gguf).h, run, placed))
    if has_errors(problems):
        return nothing.with_diagnostics(problems[len(nothing.diagnostics) :])
    cpu = tuple(features) if features is not None else _features()
    sizes = allocations(gguf, run, placed, cpu)
    impossible = no_model(gguf, file.name, str(file))
    if impossible is not None:
        return nothing.with_diagnostics([*problems[len(nothing.diagnostics) :], impossible])
    beside, more = _companions(given, run, placed, cpu)
    problems += more
    exact = _exact(sizes)
    if engine_version is not None and not rules_are_of(version=engine_version):
        exact = ()
        summary = f"the rules are those of {KNOWN}; `{engine_version}` may allocate otherwise"
        problems.append(rules.VERSION_UNKNOWN.at("--engine-version", summary))
    if not sizes.known:
        summary = f"the graph of `{gguf.architecture}` is not known: sizes are bounds"
        problems.append(rules.GRAPH_UNKNOWN.at(str(file), summary))
    return Estimate(file.name, gguf, devices, run, placed, sizes, beside, exact, tuple(problems))


def no_model(gguf: GgufFacts, name: str, place: str) -> Diagnostic | None:
    """Why a header is no language model's, as far as was worked out with it; `None`: it is one."""
    model = loaded(gguf)
    why = model.flaw
    if why is None and not (model.h.n_layer_all and model.h.n_embd):
        why = "it has no layers"
    if why is None:
        return None
    summary = f"`{name}` is no model that can be served: {why}"
    return plan_rules.MODEL_IMPOSSIBLE.at(place, summary)


def _features() -> tuple[str, ...]:
    cpu = detect_cpu()
    return cpu.features if cpu else ()


def _exact(sizes: Allocations) -> tuple[str, ...]:
    fields = [] if sizes.spread else ["weights"]
    if sizes.known and not sizes.spread:
        fields += ["kv_cache", "recurrent", "output"]
    if sizes.compute_exact:
        fields += ["compute", "total"]
    return tuple(fields)


def _refused(problems: Iterable[str]) -> list[Diagnostic]:
    return [rules.FLAGS_REFUSED.at("command line", problem) for problem in problems]


def _companions(
    given: ServerArguments, run: RunParameters, placed: Placement, features: Sequence[str]
) -> tuple[tuple[Companion, ...], list[Diagnostic]]:
    found: list[Companion] = []
    problems: list[Diagnostic] = []
    wanted = [("draft", given.draft), ("mmproj", given.mmproj)]
    wanted += [("lora", path) for path in given.lora]
    for role, path in wanted:
        if path is None:
            continue
        gguf, bad = read_gguf(Path(path))
        problems += bad
        if gguf is None:
            continue
        places = _companion(role, gguf, run, placed, features)
        found.append(Companion(role, Path(path).name, places))
    return tuple(found), problems


def _companion(
    role: str, gguf: GgufFacts, run: RunParameters, placed: Placement, features: Sequence[str]
) -> tuple[tuple[str, int], ...]:
    if role == "draft":
        alone, whole = draft_of(run, placed)
        return tuple((p.place, p.total) for p in allocations(gguf, alone, whole, features).places)
    if role == "mmproj":
        pool = placed.devices[0].id if placed.devices else HOST
        return ((pool, projector_bytes(gguf).total),)
    return tuple(lora_bytes(gguf, placed).items())
