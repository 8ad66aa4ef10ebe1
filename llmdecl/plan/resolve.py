"""One model of the spec, resolved: every value decided, with its reason."""

import hashlib

from llmdecl.diagnostics import Diagnostic
from llmdecl.engines.choice import Choice, Chooser
from llmdecl.engines.flags import Misuse, Use
from llmdecl.engines.llama_cpp.companions import (
    DRAFT_N_MAX_DEFAULT,
    DraftChoice,
    LoraChoice,
    MmprojChoice,
)
from llmdecl.engines.llama_cpp.placement import decide_wishes
from llmdecl.engines.llama_cpp.server import (
    decide_server,
    server_parameters,
)
from llmdecl.facts.model import Facts, GgufFacts
from llmdecl.plan import rules
from llmdecl.plan.devices import reached
from llmdecl.plan.endpoints import directly
from llmdecl.plan.lifecycle import decide_lifecycle
from llmdecl.plan.placed import place
from llmdecl.plan.subject import HostPlan, Resolved, Subject
from llmdecl.plan.supply import Pinned, PinnedEngine, pinned_weights
from llmdecl.spec.address import address
from llmdecl.spec.ports import model_ports
from llmdecl.spec.schema import Draft, Mmproj, Model, Spec
from llmdecl.store.model import Lock
from llmdecl.store.wanted import named


def choose_engine(name: str, model: Model, spec: Spec) -> Choice[str] | Diagnostic:
    """The engine of a model: what it names, else the spec's only one."""
    pick = Chooser(name, model, spec.defaults)
    given = pick.given("engine", str)
    known = ", ".join(f"`{engine}`" for engine in sorted(spec.engines)) or "none"
    if given is not None:
        if given.value in spec.engines:
            return given
        summary = f"`{name}` asks for engine `{given.value}`; the spec has {known}"
        return rules.ENGINE_UNCHOSEN.at(given.address, summary)
    if len(spec.engines) == 1:
        return Choice(next(iter(spec.engines)), pick.address("engine"), "the spec's only engine")
    summary = f"`{name}` names no engine, and the spec has {known}"
    return rules.ENGINE_UNCHOSEN.at(address("models", name), summary)


def resolve_model(
    name: str,
    spec: Spec,
    *,
    facts: Facts,
    lock: Lock,
    host: HostPlan,
    engine: PinnedEngine,
) -> Resolved | None:
    """All of a model but its place; `None` for an unknown header, which is reported elsewhere."""
    model = spec.models[name]
    pinned = [pinned_weights(each, facts, lock) for each in named(name, model)]
    weights, rest = pinned[0], pinned[1:]
    draft = rest.pop(0) if model.draft else None
    mmproj = rest.pop(0) if model.mmproj else None
    if weights.gguf is None or (draft is not None and draft.gguf is None):
        return None
    pick = Chooser(name, model, spec.defaults)
    server = decide_server(
        pick,
        weights.gguf,
        model=Choice(weights.word, weights.address, "the pinned weights"),
        socket=socket_name(name, spec.manager.kind if spec.manager else None),
        port=None if directly(spec) else model_ports(spec, lock.ports).get(name),
        cores=host.cores,
        draft=_draft(name, model.draft, draft),
        mmproj=_mmproj(name, model.mmproj, mmproj),
        lora=_loras(model, rest),
    )
    extra_address, extra, misuses = _extra(pick, engine)
    environment = pick.given("environment", object)
    return Resolved(
        name=name,
        spec=spec,
        model=model,
        pick=pick,
        host=host,
        engine=engine,
        weights=weights,
        gguf=weights.gguf,
        draft=draft,
        mmproj=mmproj,
        reach=reached(host.found, engine.backends, engine.listed),
        loras=tuple(rest),
        server=server,
        wishes=decide_wishes(pick),
        run=server_parameters(server),
        life=decide_lifecycle(pick, weights_bytes=sum(p.size_bytes for p in pinned)),
        extra_address=extra_address,
        extra=extra,
        misuses=misuses,
        given_environment=_environment(model, spec),
        environment_address=environment.address if environment else pick.address("environment"),
    )


def socket_name(model: str, manager: str | None) -> str:
    """Below the run folder: short, because paths of sockets must be, whatever the name.

    A unit of systemd has a folder of its own there, and the longest name leaves room.
    """
    if manager in ("systemd", "systemd-user"):
        return f"{model}/model.sock"
    return f"{hashlib.sha256(model.encode()).hexdigest()[:12]}.sock"


def _draft(name: str, draft: Draft | None, pinned: Pinned | None) -> DraftChoice | None:
    if draft is None or pinned is None:
        return None
    at = address("models", name, "draft")

    def of(key: str, value: float | None, default: float) -> Choice[float]:
        given = value is not None
        reason = "the spec says so" if given else "default"
        return Choice(default if value is None else value, f"{at}.{key}", reason, given)

    n_max = of("n-max", draft.n_max, DRAFT_N_MAX_DEFAULT)
    n_min = of("n-min", draft.n_min, 0)
    return DraftChoice(
        model=Choice(pinned.word, pinned.address, "the pinned draft"),
        n_max=n_max.but(int(n_max.value), n_max.reason),
        n_min=n_min.but(int(n_min.value), n_min.reason),
        p_min=of("p-min", draft.p_min, 0.0),
    )


def _mmproj(name: str, mmproj: Mmproj | None, pinned: Pinned | None) -> MmprojChoice | None:
    if mmproj is None or pinned is None:
        return None
    given = mmproj.offload is not None
    reason = "the spec says so" if given else "where the model is"
    at = address("models", name, "mmproj", "offload")
    return MmprojChoice(
        path=Choice(pinned.word, pinned.address, "the pinned projector"),
        offload=Choice(mmproj.offload is not False, at, reason, given),
    )


def _loras(model: Model, pinned: list[Pinned]) -> tuple[LoraChoice, ...]:
    return tuple(
        LoraChoice(
            Choice(file.word, file.address, "a pinned adapter"),
            1.0 if lora.scale is None else lora.scale,
        )
        for lora, file in zip(model.lora or (), pinned, strict=True)
    )


def _extra(pick: Chooser, engine: PinnedEngine) -> tuple[str, tuple[Use, ...], tuple[Misuse, ...]]:
    """`extra-args` read as the engine reads them; nothing when nobody knows its flags."""
    given = pick.given("extra-args", tuple)
    if given is None or engine.table is None:
        return pick.address("extra-args"), (), ()
    return given.address, *engine.table.read(given.value)


def _environment(model: Model, spec: Spec) -> tuple[tuple[str, str], ...]:
    """The defaults' variables, then the model's own over them; sorted."""
    defaults = (spec.defaults.environment if spec.defaults else None) or {}
    return tuple(sorted({**defaults, **(model.environment or {})}.items()))


def refit(subject: Subject, model: Model, gguf: GgufFacts | None = None) -> Subject:
    """The same model with another spec, or another file's header, placed anew beside the same
    neighbours."""
    return place(changed(subject, model, gguf), subject.beside)


def changed(resolved: Resolved, model: Model, gguf: GgufFacts | None = None) -> Resolved:
    """The same model with another spec, or another file's header, and no place yet."""
    header = gguf or resolved.gguf
    pick = Chooser(resolved.name, model, resolved.pick.defaults)
    server = decide_server(
        pick,
        header,
        model=resolved.server.model,
        socket=resolved.server.socket,
        port=resolved.server.port,
        cores=resolved.host.cores,
        draft=resolved.server.draft,
        mmproj=resolved.server.mmproj,
        lora=resolved.server.lora,
    )
    known = {field: getattr(resolved, field) for field in Resolved.__dataclass_fields__}
    return Resolved(
        **known
        | {
            "model": model,
            "gguf": header,
            "pick": pick,
            "server": server,
            "wishes": decide_wishes(pick),
            "run": server_parameters(server),
        }
    )
