"""Reserves a model's graph as `llama_context` does, without a byte: work buffers by backend."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llmdecl.facts.ggml_types import TensorType
from llmdecl.facts.model import GgufFacts
from llmdecl.memory.ggml import TYPES
from llmdecl.memory.ggml.scheduler import MAX_COPIES, OFFLOAD_BATCH, Scheduler
from llmdecl.memory.ggml.tensor import NOWHERE
from llmdecl.memory.graphs.caches import Memory
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.site import Site, split_name
from llmdecl.memory.graphs.table import ARCHITECTURES, UNKNOWN, Architecture
from llmdecl.memory.model import RunParameters

UNKNOWN_TYPE = TYPES["F32"]
"""A tensor type that is newer than this table counts as four bytes an element."""

REPEATS = 2
"""How often a block with the same neighbours is built; more of them change no buffer's size."""

STREAMED_REPEATS = 4
"""The same where weights are copied to a device, which leaves gaps of many sizes."""


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


def load_model(gguf: GgufFacts) -> LoadedModel:
    """Everything about a header that graphs need; an unknown architecture is not `known`."""
    architecture = ARCHITECTURES.get(gguf.architecture, UNKNOWN)
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
    """Bytes of the work buffers by backend, the host's last; what was decided on the way."""

    compute: tuple[int, ...]
    flash_attn: bool
    pipeline: bool
    graph_splits: int


def kept_blocks(model: LoadedModel, site: Site, *, streams: bool = True) -> tuple[int, ...]:
    """Blocks that are enough to build: one like its neighbours more than `REPEATS` times is not.

    `streams`: host weights may be copied to a device, so that their types matter. Allocation
    repeats itself from block to block, so a longer chain needs no larger buffer (a property that
    the tests compare with whole graphs).
    """
    h = model.h
    count = h.n_layer
    if model.architecture.looped or count <= 2 * REPEATS:
        return tuple(range(count))
    mixed = streams and site.cpu > 0 and not (site.full_offload and not site.placement.overrides)
    repeats = STREAMED_REPEATS if mixed else REPEATS
    looks = [_look(model, site, il, streams=streams) for il in range(count)]
    seen: Counter[tuple[object, ...]] = Counter()
    kept = []
    for il in range(count):
        around = (*looks[max(0, il - 1) : il + 2], il == 0, il == count - 1)
        seen[around] += 1
        if seen[around] <= repeats or il in (0, count - 1):
            kept.append(il)
    return tuple(kept)


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
    )
    scheduler.split(context)
    return context, scheduler


EXPERTS_ONLY = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""The end of an expression that finds weights of experts only (`--n-cpu-moe`, `--cpu-moe`)."""


def _stays_at_home(site: Site) -> bool:
    """Whether attention is certain to be on its block's device, so that no graph need tell: all
    around it is there."""
    placement = site.placement
    return (
        site.full_offload
        and placement.kv_offload
        and all(expression.endswith(EXPERTS_ONLY) for expression, _ in placement.overrides)
    )


def _attends_at_home(context: Context, site: Site) -> bool:
    """Whether every flash attention is on its block's device (src/llama-context.cpp:507-560)."""
    return all(
        tensor.backend == site.layers[il]
        for name, tensor, il in context.fused
        if name == "FLASH_ATTN"
    )


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
    if run.flash_attn and run.flash_attn_auto and site.cpu and not _stays_at_home(site):
        memory = model.architecture.memory(model.h, run, site)
        keep = kept_blocks(model, site, streams=run.n_seq_max >= OFFLOAD_BATCH)
        probe, _ = _build(model, run, site, memory, keep, run.n_seq_max, run.n_seq_max)
        if not _attends_at_home(probe, site):
            run = run.replace(flash_attn=False)
    streams = site.placement.op_offload and any(b.offloads_ops for b in site.backends)
    keep = tuple(range(model.n_layer)) if whole else kept_blocks(model, site, streams=streams)
    memory = model.architecture.memory(model.h, asked, site)
    n_outputs = min(run.n_ctx, run.n_ubatch, run.n_outputs_max)
    context, scheduler = _build(model, run, site, memory, keep, run.n_tokens, n_outputs, dry=dry)
    pools = site.pools()
    scheduler.reserve(context, pools)
    return Reserved(
        compute=tuple(pool.peak for pool in pools),
        flash_attn=run.flash_attn,
        pipeline=site.pipeline,
        graph_splits=len(scheduler.splits),
    )
