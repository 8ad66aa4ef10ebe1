"""Settings that contradict each other or can't act, with `[defaults]` taken in."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.address import address
from llmdecl.spec.rules import (
    NO_EFFECT,
    UBATCH_ABOVE_BATCH,
    V_CACHE_NEEDS_FLASH_ATTN,
)
from llmdecl.spec.schema import Model, ModelSettings, Spec

PLAIN_CACHE_TYPES = ("f32", "f16", "bf16")
"""The V cache may have these without flash attention."""

_OF_TEXT = ("sampling", "system-prompt", "chat-template", "reasoning-format", "reasoning-budget")
_OF_VECTORS = ("pooling",)


def check(spec: Spec) -> Iterator[Diagnostic]:
    """Each contradiction once, where the reader can mend it."""
    for name, model in spec.models.items():
        yield from _batches(name, model, spec.defaults)
        yield from _v_cache(name, model, spec.defaults)
        yield from _without_effect(name, model, spec.defaults)


def _batches(name: str, model: Model, defaults: ModelSettings | None) -> Iterator[Diagnostic]:
    batch, _ = _effective(name, model, defaults, "batch-size")
    ubatch, where = _effective(name, model, defaults, "ubatch-size")
    if isinstance(batch, int) and isinstance(ubatch, int) and ubatch > batch:
        yield UBATCH_ABOVE_BATCH.at(
            where, f"`ubatch-size` {ubatch} is above `batch-size` {batch}, of which it is a part"
        )


def _v_cache(name: str, model: Model, defaults: ModelSettings | None) -> Iterator[Diagnostic]:
    kind, where = _effective(name, model, defaults, "cache-type-v")
    flash, _ = _effective(name, model, defaults, "flash-attn")
    if flash == "off" and kind is not None and kind not in PLAIN_CACHE_TYPES:
        yield V_CACHE_NEEDS_FLASH_ATTN.at(
            where,
            f'`cache-type-v` {kind} of `{name}` needs flash attention, and `flash-attn` is "off"',
        )


def _without_effect(
    name: str, model: Model, defaults: ModelSettings | None
) -> Iterator[Diagnostic]:
    mode, _ = _effective(name, model, defaults, "split-mode")
    if model.main_gpu is not None and mode not in ("none", "row"):
        yield NO_EFFECT.at(
            address("models", name, "main-gpu"),
            f'`main-gpu` has no effect while `split-mode` is "{mode or "layer"}"',
        )
    if model.tensor_split is not None and mode == "none":
        yield NO_EFFECT.at(
            address("models", name, "tensor-split"),
            '`tensor-split` has no effect while `split-mode` is "none"',
        )
    task, _ = _effective(name, model, defaults, "task")
    vectors = task in ("embedding", "rerank")
    for key in _OF_TEXT if vectors else _OF_VECTORS:
        if getattr(model, key.replace("-", "_")) is not None:
            yield NO_EFFECT.at(
                address("models", name, key),
                f"`{key}` has no effect on a model for {task or 'chat'}",
            )


def _effective(
    name: str, model: Model, defaults: ModelSettings | None, key: str
) -> tuple[object, str]:
    """A key's value, and the address that decides it."""
    field = key.replace("-", "_")
    own = getattr(model, field)
    if own is None and defaults is not None and getattr(defaults, field) is not None:
        return getattr(defaults, field), f"defaults.{key}"
    return own, address("models", name, key)
