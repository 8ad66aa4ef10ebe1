"""What one request may use, and what is kept for it: contexts and caches."""

from dataclasses import dataclass

from llmdecl.engines.choice import Choice, Chooser
from llmdecl.engines.llama_cpp.writer import Writer
from llmdecl.memory.ggml import pad
from llmdecl.memory.hparams import Shape
from llmdecl.memory.parameters import CONTEXT_STEP
from llmdecl.units import format_bytes

CTX_SIZE_DEFAULT = 8192
"""Tokens of one request when the spec doesn't say: enough for a chat, small enough for memory."""

CTX_SIZE_DEFAULT_EMBEDDING = 2048
"""The same for embedding and reranking: a text is one batch, whose memory grows with it."""

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Context:
    """`ctx_request` is what the spec asks for one request; `ctx_size` what the engine is given."""

    ctx_request: Choice[int]
    ctx_size: Choice[int]
    n_ctx_slot: int
    parallel: Choice[int]
    kv_unified: Choice[bool]
    cache_type_k: Choice[str]
    cache_type_v: Choice[str]
    flash_attn: Choice[bool]
    swa_full: Choice[bool]
    cache_ram: Choice[int]
    ctx_checkpoints: Choice[int]
    cache_prompt: Choice[bool]
    cache_reuse: Choice[int]
    cache_idle_slots: Choice[bool]
    context_shift: Choice[bool]


def decide_context(pick: Chooser, shape: Shape, *, extended: bool, embeds: bool) -> Context:
    """`extended`: rope scaling lets a request go beyond the trained context."""
    parallel = pick.pick(
        "parallel", default=1, why="one request at a time unless the spec says more"
    )
    unified = pick.pick("kv-unified", default=False, why="each slot keeps its own context")
    default = CTX_SIZE_DEFAULT_EMBEDDING if embeds else CTX_SIZE_DEFAULT
    request = _request(pick, shape, default)
    each = pad(request.value, CONTEXT_STEP)
    whole = each * parallel.value
    limit = shape.n_ctx_train if shape.n_ctx_train and not extended else whole
    cache_ram = _cache_ram(pick)
    type_v = pick.pick("cache-type-v", default="f16", why="default")
    return Context(
        ctx_request=request,
        ctx_size=request.but(whole, _whole(request, each, parallel.value, unified=unified.value)),
        n_ctx_slot=min(whole if unified.value else each, limit),
        parallel=parallel,
        kv_unified=unified,
        cache_type_k=pick.pick("cache-type-k", default="f16", why="default"),
        cache_type_v=type_v,
        flash_attn=_flash_attn(pick, type_v.value),
        swa_full=pick.pick("swa-full", default=False, why="sliding windows keep their size"),
        cache_ram=cache_ram,
        ctx_checkpoints=pick.pick(
            "ctx-checkpoints", default=0, why="memory that nobody asked for is not spent"
        ),
        cache_prompt=pick.pick("cache-prompt", default=True, why="a slot keeps its last prompt"),
        cache_reuse=pick.pick("cache-reuse", default=0, why="default"),
        cache_idle_slots=pick.pick(
            "cache-idle-slots",
            default=cache_ram.value > 0,
            why="idle slots are kept in `cache-ram` if any",
        ),
        context_shift=pick.pick(
            "context-shift", default=False, why="no request loses its beginning silently"
        ),
    )


def _request(pick: Chooser, shape: Shape, default: int) -> Choice[int]:
    trained = shape.n_ctx_train
    given = pick.given("ctx-size", object)
    if given is not None and isinstance(given.value, int):
        return given.but(given.value, given.reason)
    if given is not None:
        return given.but(trained or default, f"native: trained for {trained} tokens")
    address = pick.address("ctx-size")
    if 0 < trained <= default:
        return Choice(trained, address, f"default: all {trained} tokens that it was trained for")
    return Choice(default, address, f"default, of {trained} trained")


def _whole(request: Choice[int], each: int, parallel: int, *, unified: bool) -> str:
    """How the engine's context came about, for people: rounding, slots, pool."""
    text = f"{request.value} per request ({request.reason})"
    if each != request.value:
        text += f", rounded up to {each}"
    if parallel > 1:
        text += f", x {parallel} slots"
        text += " as one pool" if unified else ""
    return text


def _flash_attn(pick: Chooser, type_v: str) -> Choice[bool]:
    given = pick.given("flash-attn", str)
    if given is not None and given.value != "auto":
        return given.but(given.value == "on", given.reason)
    reason = "a quantised V cache needs it" if type_v not in ("f32", "f16", "bf16") else ""
    reason = reason or "it takes less memory, and every layer has it"
    if given is not None:
        return given.but(value=True, reason=f"auto: {reason}")
    return Choice(value=True, address=pick.address("flash-attn"), reason=reason)


def _cache_ram(pick: Chooser) -> Choice[int]:
    """Bytes in whole MiB, which is the flag's unit; rounded down."""
    chosen = pick.pick("cache-ram", default=0, why="memory that nobody asked for is not spent")
    whole = chosen.value // MEBIBYTE * MEBIBYTE
    if whole == chosen.value:
        return chosen
    return chosen.but(whole, f"{format_bytes(chosen.value)} in whole MiB")


def write_context(context: Context, to: Writer) -> None:
    """Contexts and caches as flags."""
    to.value(context.ctx_size, "--ctx-size", needed=True)
    to.value(context.parallel, "--parallel", needed=True)
    unified = context.kv_unified
    # before there was a choice slots shared one cache, which of one slot is the same
    to.both(unified, "kv-unified", without=context.parallel.value > 1 or unified.value)
    to.value(context.cache_type_k, "--cache-type-k", needed=True)
    to.value(context.cache_type_v, "--cache-type-v", needed=True)
    to.on_off(context.flash_attn, "--flash-attn")
    to.switch(context.swa_full, ("--swa-full",), ())
    ram = context.cache_ram
    to.value(ram.but(ram.value // MEBIBYTE, ram.reason), "--cache-ram", without=0)
    to.value(context.ctx_checkpoints, "--ctx-checkpoints", "--swa-checkpoints", without=0)
    to.both(context.cache_prompt, "cache-prompt", without=True)
    to.value(context.cache_reuse, "--cache-reuse", without=0)
    idle = context.cache_idle_slots
    # one that only follows `cache-ram` is not reported beside it
    to.both(idle, "cache-idle-slots", without=not idle.given and idle.value)
    to.both(context.context_shift, "context-shift")
