"""`--split-mode tensor`: every matrix cut over all devices (src/llama-model.cpp:377).

A device gets its share of a matrix in whole heads or whole blocks of weights, and what rounding
leaves goes round from layer to layer; all that is not cut is on every device. Recurrences and
work buffers are not followed: every device counts them whole, so that those are bounds.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, lcm

from llmdecl.memory.graphs.caches import KvCache
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.ledger import plain_bytes
from llmdecl.memory.graphs.simulate import LoadedModel
from llmdecl.memory.graphs.site import Site, split_name
from llmdecl.memory.model import Placement

HEADS = frozenset(
    {"attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "attn_gate", "attn_sinks"}
)
"""Cut between heads that share keys and values."""

WIDTH = frozenset(
    f"ffn_{name}{experts}"
    for name in ("up", "gate", "gate_up", "down")
    for experts in ("", "_exps")
)
"""Cut between blocks of weights, 128 at least."""

LEAST_BLOCK = 128

UNSUPPORTED = frozenset(
    {"grok", "mpt", "plamo2", "minicpm3", "gemma3n", "mamba", "mamba2", "jamba", "falcon-h1",
     "olmo2", "olmoe", "deepseek2", "deepseek32", "hy_v4", "dots3note", "glm-dsa", "bitnet", "t5",
     "nemotron_h", "nemotron_h_moe", "granitehybrid", "minimax-01", "minimax-m2", "minimax-m3",
     "mistral4", "kimi-linear", "bailingmoe3", "kimi-k3", "glm5-next", "qwen3tts", "qwen4exp"}
)  # fmt: skip
"""Architectures that llama.cpp refuses to cut (src/llama-arch.cpp:1142)."""

WHOLE = frozenset({"deepseek4", "dflash", "hrm_text"})
"""Architectures of which every device may have all."""


SPLITS_ROWS = ("sycl",)
"""Backends for `--split-mode row` (`ggml_backend_split_buffer_type`) at 0c1e570."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What one device gets, in bytes, of what one device alone would have."""

    weights: int
    kv_cache: int


def refusals(
    h: HParams, mode: str, devices: Iterable[tuple[str, str]], *, flash_attn: bool
) -> Iterator[str]:
    """Why llama.cpp does not start with a split mode (src/llama-model.cpp:360 and 1163,
    src/llama-context.cpp:3821). `devices` are ids with backends, one at least."""
    if mode == "row":
        for name, backend in devices:
            if backend not in SPLITS_ROWS:
                yield f"`{name}` is a `{backend}` device"
    if mode == "tensor":
        why = refusal(h)
        if why is not None:
            yield why
        if not flash_attn:
            yield "flash attention is off"


def refusal(h: HParams) -> str | None:
    """Why llama.cpp does not cut a model; `None`: it does.

    A single key head leaves the cut inside it, and the engine asserts
    (ggml/src/ggml-backend-meta.cpp:541; seen with Gemma 3 270M).
    """
    if h.arch in UNSUPPORTED:
        return f"llama.cpp doesn't cut models of `{h.arch}`"
    if h.arch not in WHOLE and 1 in h.n_head_kv_arr:
        return "the model has a single key head, which llama.cpp can't cut"
    return None


def is_tensor_parallel(placement: Placement) -> bool:
    """Whether several devices compute as one."""
    return placement.split_mode == "tensor" and len(placement.devices) > 1


def as_one_device(placement: Placement) -> Placement:
    """llama.cpp makes one device of all, which has the layers of all (src/llama.cpp:156)."""
    return placement.replace(devices=placement.devices[:1], split_mode="none", tensor_split=())


def cuts(
    model: LoadedModel, site: Site, placement: Placement, caches: Iterable[KvCache], weights: int
) -> list[Cut]:
    """By device, for `site` with all of them as one, on which are `weights` bytes of weights."""
    shares = placement.tensor_split or (1.0,) * len(placement.devices)
    if model.h.arch in WHOLE:
        held = sum(size for cache in caches for place, size in cache.tensors() if place != site.cpu)
        return [Cut(weights, held)] * len(shares)
    rows = [
        (plain_bytes(kind, ne), parts)
        for name, kind, ne in model.used
        if site.buffer(name, kind, ne).place != site.cpu
        and (parts := _parts(model, name, ne, shares)) is not None
    ]
    whole = weights - sum(size for size, _ in rows)
    kept = [
        (size, _heads(model, il, shares))
        for cache in caches
        for il, size in cache.layer_bytes()
        if site.layers[il] != site.cpu and site.placement.kv_offload
    ]
    return [Cut(whole + _of(rows, device), _of(kept, device)) for device in range(len(shares))]


def _of(rows: Iterable[tuple[int, list[float]]], device: int) -> int:
    return sum(ceil(size * parts[device]) for size, parts in rows)


def _parts(
    model: LoadedModel, name: str, ne: tuple[int, ...], shares: Sequence[float]
) -> list[float] | None:
    """Which part of a tensor each device gets; `None`: all of it."""
    il, base, _ = split_name(name)
    if il < 0:
        return _slices(ne[-1], 1, shares, model.h.n_layer) if base == "output" else None
    if base in HEADS:
        return None if model.h.is_recr[il] else _heads(model, il, shares)
    if base not in WIDTH or len(ne) < 2:
        return None
    width = ne[0] if base.startswith("ffn_down") else ne[1]
    granule = lcm(_block(model, il, "ffn_down", "ffn_down_exps"), LEAST_BLOCK)
    if "gate_up" in base:
        width //= 2
    return _slices(width, granule, shares, _turn(model.h, il))


def _heads(model: LoadedModel, il: int, shares: Sequence[float]) -> list[float]:
    """Whole groups of query heads that share keys (src/llama-model.cpp:724)."""
    h = model.h
    heads, heads_kv, size = h.n_head(il), h.n_head_kv(il), h.head_k(il)
    if not (heads and heads_kv and size):
        return [1.0] * len(shares)
    group, block = heads // heads_kv * size, _block(model, il, "attn_output")
    while block < LEAST_BLOCK and block * len(shares) < group:
        block *= 2
    return _slices(heads * size, lcm(group, block), shares, _turn(h, il))


def _block(model: LoadedModel, il: int, *names: str) -> int:
    """Elements of a block of the first of these weights that is there."""
    found = (model.tensors.get(f"blk.{il}.{name}.weight") for name in names)
    return next((tensor[0].block_size for tensor in found if tensor is not None), 1)


def _turn(h: HParams, il: int) -> int:
    """How many blocks of its kind are before a block (src/llama-model.cpp:441)."""
    swa = h.is_swa or [False] * h.n_layer_all
    return sum(
        h.is_recr[before] == h.is_recr[il] and swa[before] == swa[il] for before in range(il)
    )


def _slices(length: int, granule: int, shares: Sequence[float], turn: int) -> list[float]:
    """Parts of a whole by device; the first after `turn` begins (src/llama-model.cpp:845)."""
    count = len(shares)
    order = [(each + turn) % count for each in range(count)]
    total, reached, low = sum(shares) or 1.0, 0.0, 0
    parts = [0.0] * count
    for device in order[:-1]:
        reached += shares[device]
        high = int(length * reached / total)
        high -= high % granule
        parts[device] = (high - low) / length
        low = high
    parts[order[-1]] = (length - low) / length
    return parts
