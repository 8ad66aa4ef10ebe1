"""What a machine can run: every quantization of a model with every context, placed. Pure.

A cell is planned as `plan` plans it: the model with that file and that `ctx-size` is resolved and
placed beside the permanent residents, and what `plan` would refuse does not fit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from llmdecl.diagnostics import Severity
from llmdecl.engines.llama_cpp.quantize import FILE_TYPES, requantized
from llmdecl.facts.model import (
    Facts,
    GgufFacts,
    HostFacts,
    OtherWeights,
    Presence,
    WeightsFacts,
)
from llmdecl.memory.estimate import total_bytes
from llmdecl.plan.checks.alone import check_company
from llmdecl.plan.checks.memory import shortage
from llmdecl.plan.checks.table import OF_SIZE
from llmdecl.plan.model import PlacementPlan
from llmdecl.plan.neighbours import place_all
from llmdecl.plan.placement import Kind
from llmdecl.plan.resolve import changed
from llmdecl.plan.subject import Resolved, Subject
from llmdecl.spec.schema import Device, Host, Model, PathEngine, Spec
from llmdecl.values import Value

CONTEXTS = (4096, 8192, 16384, 32768, 65536, 131072)
"""Tokens of one request that are tried, up to what a model was trained for."""


class Candidate(Value, frozen=True, kw_only=True):
    """A file that the model may be: `source` is `None` for one that was worked out and is not here.

    `size_bytes` is the file's.
    """

    file_type: str
    source: str | None
    size_bytes: int
    gguf: GgufFacts


class PoolUse(Value, frozen=True, kw_only=True):
    """A pool with the model and the permanent residents in it: of `bytes` for models, `left`."""

    pool: str
    bytes: int
    left_bytes: int

    @property
    def full(self) -> float:
        """The share in use; more than 1 when it lacks some."""
        return 1 - self.left_bytes / self.bytes if self.bytes > 0 else 2.0


class Cell(Value, frozen=True, kw_only=True):
    """One file with one context. Without `fits` the placement is the one that lacks least.

    `pools` are those that the model touches, the host's first. `problem`: why `plan` would refuse
    it though there is room.
    """

    ctx_size: int
    fits: bool
    kind: Kind
    placement: PlacementPlan
    pools: tuple[PoolUse, ...]
    problem: str | None = None

    @property
    def left_bytes(self) -> int:
        """The least that a pool has left; below 0 what it lacks."""
        return min(use.left_bytes for use in self.pools)

    @property
    def scarcest(self) -> PoolUse:
        """The fullest pool."""
        return max(self.pools, key=lambda use: use.full)


class Row(Value, frozen=True, kw_only=True):
    """One file with every context. `computed`: it is not here."""

    file_type: str
    source: str | None
    size_bytes: int
    cells: tuple[Cell, ...]

    @property
    def computed(self) -> bool:
        """The tensors' types were worked out as llama-quantize gives them."""
        return self.source is None


class ModelFit(Value, frozen=True, kw_only=True):
    """All of one model. `n_ctx_train` 0: the header does not say."""

    name: str
    title: str | None
    architecture: str
    n_ctx_train: int
    parallel: int
    cache_type_k: str
    cache_type_v: str
    contexts: tuple[int, ...]
    rows: tuple[Row, ...]


def fit_model(
    name: str, resolved: Sequence[Resolved], usual: Iterable[str] = FILE_TYPES
) -> ModelFit:
    """The model `name` of a stack, beside those of the others that are permanent residents.

    `usual` file types are worked out where there is no file.
    """
    model = next(each for each in resolved if each.name == name)
    others = [each for each in resolved if each.resident and each.name != name]
    contexts = contexts_of(model)
    rows = [
        Row(
            file_type=candidate.file_type,
            source=candidate.source,
            size_bytes=candidate.size_bytes,
            cells=tuple(_cell(model, others, candidate, size) for size in contexts),
        )
        for candidate in candidates(model, usual)
    ]
    context = model.server.context
    return ModelFit(
        name=name,
        title=model.gguf.name,
        architecture=model.gguf.architecture,
        n_ctx_train=model.server.shape.n_ctx_train,
        parallel=context.parallel.value,
        cache_type_k=context.cache_type_k.value,
        cache_type_v=context.cache_type_v.value,
        contexts=contexts,
        rows=tuple(rows),
    )


def contexts_of(model: Resolved) -> tuple[int, ...]:
    """Those up to the trained one, that one, and the one that the spec asks for."""
    trained = model.server.shape.n_ctx_train
    found = {size for size in CONTEXTS if size <= trained or not trained}
    asked = model.server.context.ctx_request
    found |= {trained} if trained > 0 else set()
    found |= {asked.value} if asked.given else set()
    return tuple(sorted(found))


def candidates(model: Resolved, usual: Iterable[str] = FILE_TYPES) -> tuple[Candidate, ...]:
    """The file, those beside it, and the usual file types that are not here; largest first."""
    weights, gguf = model.weights, model.gguf
    own = OtherWeights(
        source=weights.source,
        size_bytes=gguf.file_bytes,
        gguf=gguf,
        quantization=model.model.quantization if weights.source.startswith("hf:") else None,
    )
    here = [
        Candidate(
            file_type=other.quantization or other.gguf.file_type_declared or other.gguf.file_type,
            source=other.source,
            size_bytes=other.size_bytes,
            gguf=other.gguf,
        )
        for other in (own, *weights.others)
    ]
    known = {candidate.file_type for candidate in here}
    computed = [requantized(gguf, kind) for kind in usual if kind not in known]
    there = [
        Candidate(
            file_type=facts.file_type_declared or facts.file_type,
            source=None,
            size_bytes=facts.file_bytes,
            gguf=facts,
        )
        for facts in computed
    ]
    return tuple(sorted((*here, *there), key=lambda each: (-each.size_bytes, each.file_type)))


def _cell(
    model: Resolved, residents: Sequence[Resolved], candidate: Candidate, ctx_size: int
) -> Cell:
    spec = model.model.model_copy(update={"ctx_size": ctx_size, "quantization": None})
    asked = changed(model, spec, candidate.gguf)
    weights = replace(
        asked.weights,
        source=candidate.source or f"{asked.weights.source} as {candidate.file_type}",
        size_bytes=candidate.size_bytes,
        gguf=candidate.gguf,
    )
    everyone = [*residents, replace(asked, weights=weights)]
    placed = place_all(sorted(everyone, key=lambda each: each.name))
    subject = next(each for each in placed if each.name == model.name)
    problem = next(_problems(subject, placed), None)
    uses = _uses(subject, placed)
    holds = min(use.left_bytes for use in uses) >= 0 and _others_hold(subject, placed)
    return Cell(
        ctx_size=ctx_size,
        fits=problem is None and holds,
        kind=subject.kind,
        placement=subject.placement,
        pools=uses,
        problem=problem,
    )


def _problems(subject: Subject, placed: Sequence[Subject]) -> Iterator[str]:
    found = [problem for check in OF_SIZE for problem in check(subject)]
    for problem in (*found, *check_company(placed)):
        if problem.severity is Severity.ERROR:
            yield problem.summary


def _staying(subject: Subject, placed: Sequence[Subject]) -> list[Subject]:
    """Who is loaded beside it for certain: for a resident all residents, else those that it was
    placed beside, and always those that are never unloaded."""
    return [
        each
        for each in placed
        if each is not subject
        and (
            subject.resident
            or each.life.ttl_s is None
            or set(each.memory) <= set(subject.beside.parts)
        )
    ]


def _uses(subject: Subject, placed: Sequence[Subject]) -> tuple[PoolUse, ...]:
    staying = _staying(subject, placed)
    parts = [part for each in (subject, *staying) for part in each.memory]
    host = subject.host
    pools = dict.fromkeys(("host", *(part.pool for part in subject.memory)))
    return tuple(
        PoolUse(
            pool=pool,
            bytes=host.pool_bytes(pool),
            left_bytes=host.pool_bytes(pool) - total_bytes(parts, pool),
        )
        for pool in pools
    )


def _others_hold(subject: Subject, placed: Sequence[Subject]) -> bool:
    """A resident that grows must not push out another one, of those that had room at all."""
    if not subject.resident:
        return True
    return shortage(subject, [part for each in placed for part in each.memory]) is None


def file_stack(
    host: HostFacts,
    source: str,
    gguf: GgufFacts,
    others: Sequence[OtherWeights],
    quantization: str | None = None,
) -> tuple[Spec, Facts]:
    """A stack of one file, called `model`, on a machine."""
    weights = WeightsFacts(
        source=source,
        presence=Presence.PRESENT,
        digest=None,
        found_sha256=None,
        size_bytes=gguf.file_bytes,
        parts=1,
        gguf=gguf,
        others=tuple(others),
    )
    spec = Spec(
        version=1,
        host=None,
        engines={"llama": PathEngine(kind="llama.cpp", provider="path", path="llama-server")},
        models={FILE_MODEL: Model.model_construct(source=source, quantization=quantization)},
        endpoints={},
    )
    return spec, Facts(host=host, engines={}, weights={source: weights})


FILE_MODEL = "model"
"""The name of a file's model in its stack of one."""


def other_host(host: Host | None, devices: Iterable[tuple[str, str, int]], ram: int | None) -> Host:
    """The host with other devices (id, backend, bytes) and other memory; none: as it is.

    A device behind `rpc` is a server of its own, named like the device.
    """
    declared = tuple(
        Device.model_construct(
            id=name,
            backend=backend,  # type: ignore[arg-type]  # a key of `BACKENDS`
            memory=size,
            endpoint=name if backend == "rpc" else None,
        )
        for name, backend, size in devices
    )
    changes: dict[str, object] = {"devices": declared} if declared else {}
    changes |= {} if ram is None else {"ram": ram}
    return (host or Host()).model_copy(update=changes)


def with_settings(spec: Spec, settings: Mapping[str, object]) -> Spec:
    """The stack with these keys in every model."""
    models = {name: model.model_copy(update=dict(settings)) for name, model in spec.models.items()}
    return spec.model_copy(update={"models": models})
