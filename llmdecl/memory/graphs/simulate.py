"""Reserves a model's graph as `llama_context` does, without a byte: work buffers by backend."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llmdecl.facts.ggml_types import TensorType
from llmdecl.facts.model import GgufFacts
from llmdecl.memory.ggml import TYPES
from llmdecl.memory.ggml.scheduler import MAX_COPIES, OFFLOAD_BATCH, Scheduler
from llmdecl.memory.ggml.tensor import NOWHERE
from llmdecl.memory.graphs.caches import Memory
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.cuda_operations import CACHE_TYPES
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.site import Site, split_name
from llmdecl.memory.graphs.table import ARCHITECTURES, UNKNOWN, Architecture
from llmdecl.memory.model import EXPERTS, RunParameters
from llmdecl.memory.usable import BROKEN, flaw_of, hollow

UNKNOWN_TYPE = TYPES["F32"]
"""A tensor type that is newer than this table counts as four bytes an element."""

LEAST_REPEATS = 3
"""How often a repeating pattern of blocks is built at least."""

CYCLES = (6, 2, 1)
"""After how many repetitions the allocator is as it was, by the pattern's length in blocks."""

LONGEST_PATTERN = 12


@dataclass(slots=True)
class LoadedModel:
    """A header, read once: tensors by name, hyper-parameters, the architecture's rules."""

    gguf: GgufFacts
    architecture: Architecture
    h: HParams
    tensors: dict[str, tuple[TensorType, tuple[int, ...]]] = field(default_factory=dict)
    kinds: dict[int, tuple[tuple[str, str, tuple[int, ...]], ...]] = field(default_factory=dict)
    """What the weights of each block look like: blocks that look the same compute the same."""
    numbers: dict[int, tuple[int, int]] = field(default_factory=dict)
    """The same as numbers: equal where all is equal, and where all but types is."""
    flaw: str | None = None
    """Why nothing can be worked out; then it is as empty as a model can be."""
    used: tuple[tuple[str, TensorType, tuple[int, ...]], ...] = ()
    """Tensors that llama.cpp loads: not those of nextn blocks, nor what the graph leaves out."""

    @property
    def known(self) -> bool:
        """The architecture's graph is in the table."""
        return self.architecture is not UNKNOWN

    @property
    def n_layer(self) -> int:
        """Blocks, without nextn blocks."""
        return self.h.n_layer


def load_model(gguf: GgufFacts, *, general: bool = False) -> LoadedModel:
    """Everything about a header that graphs need; an unknown architecture is not `known`.

    `general`: nor is any other, because this header is not as its graph wants it. A header that
    says impossible things has a `flaw`.
    """
    flaw = flaw_of(gguf)
    if flaw is None:
        for rules in (
            UNKNOWN if general else ARCHITECTURES.get(gguf.architecture, UNKNOWN),
            UNKNOWN,
        ):
            try:
                return _load(gguf, rules)
            except BROKEN:
                continue
    return empty_model(gguf, flaw or "its numbers do not go together")


def empty_model(gguf: GgufFacts, flaw: str) -> LoadedModel:
    """What stands for a header that nothing can be worked out from."""
    model = _load(hollow(gguf), UNKNOWN)
    model.flaw = flaw
    return model


def _load(gguf: GgufFacts, architecture: Architecture) -> LoadedModel:
    h = HParams(gguf)
    architecture.hparams(h)
    model = LoadedModel(gguf, architecture, h)
    looks: dict[int, list[tuple[str, str, tuple[int, ...]]]] = {}
    for group in gguf.tensors:
        kind = TYPES.get(group.type, UNKNOWN_TYPE)
        if not group.blocks:
            model.tensors[group.name] = kind, group.shape
        for block in group.blocks:
            model.tensors[group.name.replace("*", str(block), 1)] = kind, group.shape
            looks.setdefault(block, []).append((group.name, group.type, group.shape))
    model.kinds = {block: tuple(look) for block, look in looks.items()}
    typed: dict[object, int] = {}
    shaped: dict[object, int] = {}
    for block, look in model.kinds.items():
        shapes = tuple((name, shape) for name, _, shape in look)
        model.numbers[block] = (
            typed.setdefault(look, len(typed)),
            shaped.setdefault(shapes, len(shaped)),
        )
    model.used = tuple(_used(model))
    return model


def _used(model: LoadedModel) -> Iterator[tuple[str, TensorType, tuple[int, ...]]]:
    h, unused = model.h, model.architecture.unused
    for name, (kind, ne) in model.tensors.items():
        if split_name(name)[0] < h.n_layer and not unused(h, name):
            yield name, kind, ne


@dataclass(frozen=True, slots=True)
class Reserved:
    """Bytes of the work buffers by backend, the host's last; what was decided on the way.

    `fusions` is what a backend keeps beyond that for operations that it computes in one go
    (ggml/src/ggml-cuda/ggml-cuda.cu:4522).
    """

    compute: tuple[int, ...]
    fusions: tuple[int, ...]
    flash_attn: bool
    pipeline: bool
    graph_splits: int


def kept_blocks(
    model: LoadedModel, site: Site, *, streams: bool = True, probing: bool = False
) -> tuple[int, ...]:
    """Blocks that are enough to build: of blocks that repeat some, as many of all modulo a cycle.

    `streams`: host weights may be copied to a device, so that their types matter. `probing`: only
    places matter, not sizes. The allocator's free blocks come back to an earlier state after one,
    two or three equal blocks (after two of a pair), so that whole cycles may be left out: a
    property that the tests compare with whole graphs.
    """
    count = model.n_layer
    if model.architecture.looped and not probing:
        return tuple(range(count))
    numbers: dict[tuple[object, ...], int] = {}
    looks = [
        numbers.setdefault(_look(model, site, il, streams=streams), len(numbers))
        for il in range(count)
    ]
    kept: list[int] = []
    start = 0
    while start < count:
        period, repeats = _repetition(looks, start)
        cycle = CYCLES[min(period, len(CYCLES)) - 1]
        chosen = repeats
        if repeats > LEAST_REPEATS:
            chosen = LEAST_REPEATS + (repeats - LEAST_REPEATS) % cycle
        end = start + repeats * period
        kept.extend(range(start, start + (chosen - 1) * period))
        kept.extend(range(end - period, end))
        start = end
    return tuple(kept)


def _repetition(looks: Sequence[int], start: int) -> tuple[int, int]:
    """The pattern that repeats from `start` over most blocks: its length, and how often it does."""
    best = 1, 1
    for period in range(1, LONGEST_PATTERN + 1):
        pattern = looks[start : start + period]
        repeats = 1
        while looks[start + repeats * period : start + (repeats + 1) * period] == pattern:
            repeats += 1
        if repeats > LEAST_REPEATS and repeats * period > best[0] * best[1]:
            best = period, repeats
            if period == 1:
                break
    return best


def _look(model: LoadedModel, site: Site, il: int, *, streams: bool) -> tuple[object, ...]:
    """All that tells what block `il` computes and where."""
    h = model.h
    streamed = streams and site.layers[il] == site.cpu and site.cpu > 0
    kinds = model.kinds.get(il, ())
    overrides = site.placement.overrides
    typed, shaped = model.numbers.get(il, (-1, -1))
    weights = typed if streamed or (streams and overrides) else shaped
    moved: tuple[str, ...] = ()
    if overrides:
        here = site.layers[il]
        moved = tuple(
            name for name, _, _ in kinds if site.place(name.replace("*", str(il), 1)) != here
        )
    return (
        weights, moved, site.layers[il], h.is_swa[il], h.is_recr[il], h.has_kv(il),
        h.n_head(il), h.n_head_kv(il), h.n_ff(il), h.marks[il],
    )  # fmt: skip


def _build(
    model: LoadedModel,
    run: RunParameters,
    site: Site,
    memory: Memory,
    keep: Sequence[int],
    n_tokens: int,
    n_outputs: int,
    *,
    dry: bool = False,
    unfused: frozenset[str] = frozenset(),
) -> tuple[Context, Scheduler]:
    """`dry`: as in a dry run, which forgets what the graph says of places.

    `ggml_backend_sched_reserve_size` resets the scheduler first, so that norms at a border between
    devices stay on the device before it, and are copied. A real load needs that much or less.
    """
    context = Context(
        h=model.h,
        run=run,
        site=site,
        memory=memory,
        weights=model.tensors,
        n_tokens=n_tokens,
        n_seqs=run.n_seq_max,
        n_outputs=n_outputs,
        keep=tuple(keep),
        unfused=unfused,
    )
    model.architecture.graph(context)
    context.finish()
    if dry:
        for node in context.nodes:
            node.backend = NOWHERE
    scheduler = Scheduler(
        n_backends=site.cpu + 1,
        supports=site.supports,
        streams=[b.offloads_ops and site.placement.op_offload for b in site.backends],
        copies=MAX_COPIES if site.pipeline else 1,
        fuses=[b.keeps_for_fusions and model.h.n_expert > 0 for b in site.backends],
    )
    scheduler.split(context)
    return context, scheduler


USUAL_HEADS = frozenset({64, 80, 96, 112, 128, 256})
"""Head sizes for which every backend has flash attention, where K's and V's are equal."""


def _stays_at_home(model: LoadedModel, run: RunParameters, site: Site) -> bool:
    """Whether attention is certain to be on its block's device, so that no graph need tell: all
    around it is there, and heads and caches are of a usual kind."""
    placement, h = site.placement, model.h
    usual = all(backend.computes_all for backend in site.backends) or (
        not h.is_mla
        and {run.type_k.upper(), run.type_v.upper()} <= CACHE_TYPES
        and all(h.head_k(il) == h.head_v(il) in USUAL_HEADS for il in range(h.n_layer))
    )
    return (
        usual
        and site.full_offload
        and placement.kv_offload
        and all(expression.endswith(EXPERTS) for expression, _ in placement.overrides)
    )


def _at_home(context: Context, site: Site, operation: str) -> bool:
    """Whether every fused `operation` is on its block's device (src/llama-context.cpp:507-560)."""
    return all(
        tensor.backend == site.layers[il] for name, tensor, il in context.fused if name == operation
    )


def _resolved(
    model: LoadedModel, run: RunParameters, site: Site
) -> tuple[RunParameters, frozenset[str]]:
    """Flash attention, and which fused operations are off (src/llama-context.cpp:507-580)."""
    asked, unfused = run, frozenset[str]()

    def probe() -> Context:
        memory, count = model.architecture.memory(model.h, asked, site), run.n_seq_max
        keep = kept_blocks(model, site, streams=count >= OFFLOAD_BATCH, probing=True)
        return _build(model, run, site, memory, keep, count, count, unfused=unfused)[0]

    found: Context | None = None
    if run.flash_attn and run.flash_attn_auto and site.cpu and not _stays_at_home(model, run, site):
        found = probe()
        if not _at_home(found, site, "FLASH_ATTN"):
            run, found = run.replace(flash_attn=False), None
    for operation in model.architecture.probes if site.cpu else ():
        found = found or probe()
        if not _at_home(found, site, operation):
            unfused, found = unfused | {operation}, None
    return run, unfused


def reserve(
    model: LoadedModel,
    run: RunParameters,
    site: Site,
    *,
    whole: bool = False,
    dry: bool = True,
) -> Reserved:
    """The worst-case prompt batch (`sched_reserve`, src/llama-context.cpp:593-760).

    `run.flash_attn` says `on` or `auto`; `auto` turns off where attention is not with its layer,
    and by then the caches are there: their values stay as flash attention wants them.
    `whole` builds every block, to compare.
    """
    asked = run
    run, unfused = _resolved(model, run, site)
    mixed = any(model.h.is_recr) and not run.flash_attn and site.cpu > 1
    streams = site.placement.op_offload and any(b.offloads_ops for b in site.backends)
    keep = (
        tuple(range(model.n_layer)) if whole or mixed else kept_blocks(model, site, streams=streams)
    )
    memory = model.architecture.memory(model.h, asked, site)
    n_outputs = min(run.n_ctx, run.n_ubatch, run.n_outputs_max)
    context, scheduler = _build(
        model,
        run,
        site,
        memory,
        keep,
        run.n_tokens,
        n_outputs,
        dry=dry,
        unfused=unfused,
    )
    pools = site.pools()
    scheduler.reserve(context, pools)
    compute = tuple(pool.peak for pool in pools)
    fused = compute
    if any(scheduler.fuses):
        pools = site.pools()
        scheduler.reserve(context, pools, fused=True)
        fused = tuple(pool.peak for pool in pools)
    return Reserved(
        compute=compute,
        fusions=tuple(max(0, more - size) for more, size in zip(fused, compute, strict=True)),
        flash_attn=run.flash_attn,
        pipeline=site.pipeline,
        graph_splits=len(scheduler.splits),
    )
