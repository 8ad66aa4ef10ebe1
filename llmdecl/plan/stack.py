"""The whole stack: every model resolved and checked, then a plan if nothing is wrong."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from llmdecl.diagnostics import Diagnostic, has_errors
from llmdecl.engines.flags import Use
from llmdecl.facts.model import Facts
from llmdecl.measured import Measured
from llmdecl.memory.versions import KNOWN, rules_are_of
from llmdecl.plan import rules
from llmdecl.plan.checks.alone import check_company
from llmdecl.plan.checks.memory import check_alone, check_residents
from llmdecl.plan.checks.table import CHECKS
from llmdecl.plan.endpoints import direct_addresses, directly, plan_endpoints, plan_router
from llmdecl.plan.host import host_plan
from llmdecl.plan.model import ModelPlan, Plan, Setting, WeightsPlan, Word
from llmdecl.plan.neighbours import place_all
from llmdecl.plan.patience import patient
from llmdecl.plan.residency import residency, tenants
from llmdecl.plan.resolve import choose_engine, refit, resolve_model
from llmdecl.plan.subject import HostPlan, Resolved, Subject
from llmdecl.plan.supply import PinnedEngine, pinned_engine, pinned_weights
from llmdecl.sources.trees.rules import not_built
from llmdecl.spec.address import address
from llmdecl.spec.ports import model_ports
from llmdecl.spec.schema import Spec
from llmdecl.store.model import Lock
from llmdecl.store.wanted import named
from llmdecl.values import to_json


def plan_stack(spec: Spec, facts: Facts, lock: Lock) -> tuple[Plan | None, tuple[Diagnostic, ...]]:
    """The plan, or `None` and at least one error. Models go by name, whatever their order."""
    host, engines, resolved, found = resolve_all(spec, facts, lock)
    subjects = place_all(resolved)
    for subject in subjects:
        for check in CHECKS.values():
            found.extend(check(subject))
        found.extend(check_alone(subject, refit))
    found.extend(check_residents(subjects, host, refit))
    found.extend(check_company(subjects))
    if has_errors(found):
        return None, tuple(found)
    plan = _plan(spec, host, engines, subjects, facts.measured)
    return _direct(plan, spec, lock) if directly(spec) else plan, tuple(found)


def resolve_all(
    spec: Spec, facts: Facts, lock: Lock
) -> tuple[HostPlan, Mapping[str, PinnedEngine], list[Resolved], list[Diagnostic]]:
    """The host, the engines, and every model but its place; what is not pinned or not known."""
    host = host_plan(spec.host, facts.host)
    engines = {
        name: pinned_engine(name, engine, facts, lock)
        for name, engine in sorted(spec.engines.items())
    }
    found = [*_unlocked(spec, facts, lock, engines), *_unbuilt(engines), *_demands(engines, host)]
    resolved: list[Resolved] = []
    for name in sorted(spec.models):
        engine = choose_engine(name, spec.models[name], spec)
        if isinstance(engine, Diagnostic):
            found.append(engine)
            continue
        model = resolve_model(
            name, spec, facts=facts, lock=lock, host=host, engine=engines[engine.value]
        )
        if model is not None:
            resolved.append(model)
    found.extend(_unreached(resolved))
    found.extend(_beyond(resolved))
    return host, engines, resolved, found


def _unlocked(
    spec: Spec, facts: Facts, lock: Lock, engines: Mapping[str, PinnedEngine]
) -> Iterator[Diagnostic]:
    """What no lock pins, each thing once; and locked or not, what has no header."""
    for name, engine in engines.items():
        if not engine.locked:
            what = "locked as another one" if name in lock.engines else "not locked"
            yield rules.NOT_LOCKED.at(address("engines", name), f"engine `{name}` is {what}")
    seen: set[str] = set()
    for name in sorted(spec.models):
        for each in named(name, spec.models[name]):
            if each.key in seen:
                continue
            seen.add(each.key)
            pinned = pinned_weights(each, facts, lock)
            if not pinned.locked:
                yield rules.NOT_LOCKED.at(each.address, f"`{each.key}` is not locked")
            elif pinned.gguf is None:
                summary = f"nobody knows the header of `{each.key}`"
                yield rules.WEIGHTS_UNKNOWN.at(each.address, summary)


def _unbuilt(engines: Mapping[str, PinnedEngine]) -> Iterator[Diagnostic]:
    """Engines whose recipe is locked, and whose program is not here yet."""
    for name, engine in engines.items():
        if engine.plan.recipe is not None and engine.present is False:
            yield not_built(name)


def _demands(engines: Mapping[str, PinnedEngine], host: HostPlan) -> Iterator[Diagnostic]:
    """What engines need of the processor and the host lacks."""
    for name, engine in engines.items():
        lacks = sorted(set(engine.demands) - set(host.features))
        if lacks:
            summary = f"engine `{name}` was built for processors with {', '.join(lacks)}"
            notes = ("the host's processor has none of them, or does not say so",)
            yield rules.ENGINE_DEMANDS.at(address("engines", name), summary, notes=notes)


def _unreached(models: Iterable[Resolved]) -> Iterator[Diagnostic]:
    """Devices that an engine leaves unused because it has no backend for them, once an engine."""
    engines: set[str] = set()
    for model in models:
        reach = {device.id for device in model.reach}
        lost = [device for device in model.host.devices if device.id not in reach]
        if lost and not model.wishes.on_cpu and model.engine.name not in engines:
            engines.add(model.engine.name)
            names = ", ".join(f"`{device.id}` ({device.backend})" for device in lost)
            built = ", ".join(f"`{backend}`" for backend in model.engine.backends or ()) or "none"
            yield rules.DEVICES_UNREACHED.at(
                address("engines", model.engine.name),
                f"engine `{model.engine.name}` can't reach {names}",
                notes=(f"backends of the engine: {built}",),
            )


def _beyond(models: Iterable[Resolved]) -> Iterator[Diagnostic]:
    """Engines that the memory rules are not of, once each."""
    for engine in {model.engine.name: model.engine for model in models}.values():
        said, commit = engine.release or engine.plan.version, (engine.commit or "")[:8]
        known = rules_are_of(version=said, commit=engine.commit, build=engine.build)
        if engine.locked and not known:
            commit = f", commit {commit}" if commit and commit[:7] not in said else ""
            summary = (
                f"engine `{engine.name}` is llama.cpp {said}{commit}, and the memory rules are of "
                f"{KNOWN}: sizes may be others"
            )
            yield rules.ENGINE_BEYOND_RULES.at(address("engines", engine.name), summary)


def _plan(
    spec: Spec,
    host: HostPlan,
    engines: Mapping[str, PinnedEngine],
    subjects: Sequence[Subject],
    measured: Mapping[str, Measured],
) -> Plan:
    used = sorted({subject.engine.name for subject in subjects})
    manager = spec.manager.kind if spec.manager else None
    models = tuple(_model(subject, measured) for subject in subjects)
    return Plan(
        host=host.name,
        manager=manager or "supervisord",
        engines=tuple(engines[name].plan for name in used),
        models=models,
        endpoints=plan_endpoints(spec),
        router=plan_router(spec.router),
        devices=host.devices,
        budgets=host.budgets,
        socket_activation=bool(spec.manager and spec.manager.socket_activation),
        residency=residency(tenants(models), {b.pool: b.bytes for b in host.budgets}),
    )


def _direct(plan: Plan, spec: Spec, lock: Lock) -> Plan:
    """With the addresses of the models, where no router has one for all."""
    ports = model_ports(spec, lock.ports)
    models = (
        model.replace(listens=direct_addresses(model.name, ports[model.name], plan.endpoints))
        for model in plan.models
    )
    return plan.replace(models=tuple(models))


def _model(subject: Subject, measured: Mapping[str, Measured]) -> ModelPlan:
    context, life, dialogue = subject.server.context, subject.life, subject.server.dialogue
    settings = (*subject.settings, *_extra_settings(subject.extra, subject.extra_address))
    draft = ModelPlan(
        name=subject.name,
        aliases=tuple(sorted(subject.model.aliases or ())),
        task=dialogue.task.value,  # type: ignore[arg-type]  # the schema's words
        engine=subject.engine.name,
        executable=subject.engine.plan.executable,
        settings=settings,
        environment=subject.environment,
        weights=_weights(subject),
        socket=subject.server.socket,
        port=subject.server.port,
        n_ctx=subject.run.n_ctx,
        n_ctx_slot=context.n_ctx_slot,
        parallel=context.parallel.value,
        ttl_s=life.ttl_s,
        load=life.load.value,  # type: ignore[arg-type]  # the schema's words
        start_timeout_s=float(life.start_timeout.value),
        sampling=life.sampling,
        system_prompt=life.system_prompt.value if life.system_prompt else None,
        placement=subject.placement,
        alone=subject.wishes.alone.value,
        memory=subject.memory,
        digest="",
        reasons=_reasons(subject),
    )
    model = draft.replace(digest=process_digest(draft, subject.engine.identity))
    return model if life.start_timeout.given else patient(model, measured)


def _weights(subject: Subject) -> tuple[WeightsPlan, ...]:
    files = [("model", subject.weights)]
    files += [("draft", subject.draft)] if subject.draft else []
    files += [("mmproj", subject.mmproj)] if subject.mmproj else []
    files += [("lora", lora) for lora in subject.loras]
    return tuple(
        WeightsPlan(
            role=role,  # type: ignore[arg-type]  # the words above
            source=pinned.source,
            digest=pinned.digest,
            size_bytes=pinned.size_bytes,
        )
        for role, pinned in files
    )


def _extra_settings(uses: Iterable[Use], at: str) -> Iterator[Setting]:
    for use in uses:
        values = tuple(Word(text=value) for value in use.values)
        reason = "the spec passes it as it is"
        yield Setting(flag=use.spelling, values=values, address=at, reason=reason)


def _reasons(subject: Subject) -> dict[str, str]:
    """Why what no flag carries is as it is."""
    life, dialogue = subject.life, subject.server.dialogue
    engine = choose_engine(subject.name, subject.model, subject.spec)
    return {
        "alone": subject.wishes.alone.reason,
        "engine": engine.summary if isinstance(engine, Diagnostic) else engine.reason,
        "load": life.load.reason,
        "start-timeout": life.start_timeout.reason,
        "task": dialogue.task.reason,
        "ttl": life.ttl.reason,
    }


def process_digest(model: ModelPlan, engine_identity: str) -> str:
    """SHA-256 over all that the process reads: program, arguments, environment, weights.

    Aliases, idle times and request defaults are the router's: they change no digest.
    """
    read = {
        "engine": engine_identity,
        "argv": [(word.root, word.text) for word in model.argv()],
        "environment": model.environment,
        "weights": [(file.role, file.digest) for file in model.weights],
    }
    return hashlib.sha256(to_json(read)).hexdigest()
