"""From a file or a spec to what of it fits: reads the world, asks the plan."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import click

from llmdecl.cli.context import find_spec, load_lock, load_valid_spec
from llmdecl.cli.estimating import no_model
from llmdecl.cli.fitting_remote import OneModel, remote_model
from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.engines.llama_cpp.quantize import FILE_TYPES
from llmdecl.facts.gguf import read_gguf
from llmdecl.facts.hardware import look
from llmdecl.facts.model import Facts, HostFacts
from llmdecl.facts.siblings import others_beside
from llmdecl.paths import Folders
from llmdecl.plan import rules as plan_rules
from llmdecl.plan.fit import (
    FILE_MODEL,
    ModelFit,
    file_stack,
    fit_model,
    other_host,
    with_settings,
)
from llmdecl.plan.model import Budget, DevicePlan
from llmdecl.plan.stack import resolve_all
from llmdecl.plan.subject import Resolved
from llmdecl.sources.peek import is_remote
from llmdecl.spec.address import address
from llmdecl.spec.schema import Spec
from llmdecl.store.model import Lock

Devices = Sequence[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class Fit:
    """All that is shown."""

    devices: tuple[DevicePlan, ...]
    budgets: tuple[Budget, ...]
    models: tuple[ModelFit, ...]
    diagnostics: tuple[Diagnostic, ...]


def fitted(
    target: str | None,
    where: Folders,
    *,
    name: str | None,
    devices: Devices,
    ram: int | None,
    settings: Mapping[str, object],
    facts_file: Path | None,
) -> Fit:
    """Everything about a file or a spec. A Failure when there is nothing to work on."""
    path = None if target is None else Path(target)
    shown: dict[str, str] = {}
    usual: Iterable[str] = FILE_TYPES
    if target is not None and (is_remote(target) or is_gguf(Path(target))):
        if name is not None:
            raise click.UsageError("`--model` picks a model of a spec, and this is a GGUF file")
        machine, of_host = _host(where, devices, ram, facts_file)
        one = remote_model(target, where) if is_remote(target) else _file(Path(target), where)
        spec, facts = file_stack(machine, one.source, one.gguf, one.others, one.quantization)
        found = [*one.found, *of_host]
        lock, usual = Lock(), one.usual
        shown = {FILE_MODEL: one.shown}
    else:
        spec, facts, lock, found = _spec(path, where, devices, ram, facts_file)
        _known(name, spec)
    spec = with_settings(_on(spec, devices, ram), settings)
    host, _, resolved, problems = resolve_all(spec, facts, lock)
    found += _wanted(problems, spec, resolved)
    wanted = [model for model in resolved if name in (None, model.name)]
    models: list[ModelFit] = []
    for model in wanted:
        impossible = no_model(model.gguf, model.weights.source, model.address("source"))
        if impossible is not None:
            found.append(impossible)
            continue
        fit = fit_model(model.name, resolved, usual)
        models.append(fit.replace(name=shown.get(model.name, model.name)))
    return Fit(host.devices, host.budgets, tuple(models), tuple(found))


def is_gguf(path: Path) -> bool:
    """By its first bytes, or by its name when it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"GGUF" or path.suffix == ".gguf"
    except OSError:
        return path.suffix == ".gguf" and not path.is_dir()


def _file(path: Path, where: Folders) -> OneModel:
    gguf, found = read_gguf(path, cache=where.cache)
    if gguf is None or has_errors(found):
        raise Failure(*found)
    source = f"file:{path.name}"
    others = others_beside(path, source, gguf, cache=where.cache)
    return OneModel(source, path.name, gguf, others, found)


def _host(
    where: Folders, devices: Devices, ram: int | None, facts_file: Path | None
) -> tuple[HostFacts, tuple[Diagnostic, ...]]:
    if facts_file is not None:
        facts, found = _recorded(facts_file)
        return facts.host, found
    looked = look(other_host(None, devices, ram), {}, cache=where.cache)
    return looked.host, looked.problems


def _recorded(path: Path) -> tuple[Facts, tuple[Diagnostic, ...]]:
    from llmdecl.facts.record import read_facts

    facts, found = read_facts(path)
    if facts is None:
        raise Failure(*found)
    return facts, found


def _spec(
    target: Path | None, where: Folders, devices: Devices, ram: int | None, facts_file: Path | None
) -> tuple[Spec, Facts, Lock, list[Diagnostic]]:
    from llmdecl.facts.gather import gather
    from llmdecl.spec.load import place

    path = find_spec(target)
    read, spec = load_valid_spec(path)
    lock = load_lock(path)
    if facts_file is not None:
        facts, found = _recorded(facts_file)
    else:
        facts, found = gather(_on(spec, devices, ram), lock, where, path.parent)
    return spec, facts, lock, [*read.diagnostics, *place(found, read.source)]


def _on(spec: Spec, devices: Devices, ram: int | None) -> Spec:
    return spec.model_copy(update={"host": other_host(spec.host, devices, ram)})


def _known(name: str | None, spec: Spec) -> None:
    if name is None or name in spec.models:
        return
    near = get_close_matches(name, spec.models, n=1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    raise click.UsageError(f"`{name}` is no model of this spec.{hint}")


def _wanted(
    problems: Sequence[Diagnostic], spec: Spec, resolved: Sequence[Resolved]
) -> list[Diagnostic]:
    """Without what only a plan minds: that a thing whose header is known is not locked."""
    lost = tuple(
        address("models", name) + "." for name in {*spec.models} - {m.name for m in resolved}
    )
    return [
        problem
        for problem in problems
        if problem.code != plan_rules.NOT_LOCKED.code or problem.address.startswith(lost)
    ]
