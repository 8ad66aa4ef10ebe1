"""Positions beyond the trained context: rope scaling."""

from dataclasses import dataclass

from llmdecl.engines.choice import Choice, Chooser
from llmdecl.engines.llama_cpp.writer import Writer
from llmdecl.memory.hparams import Shape


@dataclass(frozen=True, slots=True)
class Positions:
    """What the spec says about rope; nothing is passed for what it leaves to the header."""

    rope_scaling: Choice[str] | None
    rope_scale: Choice[float] | None
    rope_freq_base: Choice[float] | None
    rope_freq_scale: Choice[float] | None
    yarn_orig_ctx: Choice[int] | None

    @property
    def stretched(self) -> bool:
        """The spec stretches the positions, so a request may go beyond the trained context."""
        scaled = self.rope_scaling is not None and self.rope_scaling.value != "none"
        return scaled or bool(self.rope_scale or self.rope_freq_scale or self.rope_freq_base)


def decide_positions(pick: Chooser) -> Positions:
    """Only what is given."""
    return Positions(
        rope_scaling=pick.given("rope-scaling", str),
        rope_scale=pick.given("rope-scale", float),
        rope_freq_base=pick.given("rope-freq-base", float),
        rope_freq_scale=pick.given("rope-freq-scale", float),
        yarn_orig_ctx=pick.given("yarn-orig-ctx", int),
    )


def write_positions(positions: Positions, shape: Shape, request: Choice[int], to: Writer) -> None:
    """Rope flags, and the header's context length lifted where a request goes beyond it.

    llama-server caps a slot at the header's context length whatever the rope scaling (measured,
    b10068 and b10434), so a stretched context needs that key overridden; then the original
    length must be said, because scaling took it from the same key.
    """
    if positions.rope_scaling is not None:
        to.value(positions.rope_scaling, "--rope-scaling")
    for choice, flag in (
        (positions.rope_scale, "--rope-scale"),
        (positions.rope_freq_base, "--rope-freq-base"),
        (positions.rope_freq_scale, "--rope-freq-scale"),
    ):
        if choice is not None:
            to.value(choice, flag)
    original = positions.yarn_orig_ctx
    beyond = positions.stretched and 0 < shape.n_ctx_train < request.value
    if original is None and beyond:
        original = Choice(shape.n_ctx_train, request.address, "what the header says")
    if original is not None:
        to.value(original, "--yarn-orig-ctx", needed=True)
    if beyond:
        key = f"{shape.architecture}.context_length=int:{request.value}"
        why = f"stretched beyond the {shape.n_ctx_train} tokens at which slots are capped"
        to.value(Choice(key, request.address, why), "--override-kv", needed=True)
