"""Where it computes: devices, layers, splits, overrides. Wishes of the spec, and their flags."""

import re
from dataclasses import dataclass
from typing import Literal

from llmdecl.engines.choice import Choice, Chooser
from llmdecl.engines.llama_cpp.writer import Writer

SplitMode = Literal["none", "layer", "row", "tensor"]
HERE = "placed on the processor"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the spec says about placement; `None`: the plan solves it."""

    devices: Choice[tuple[str, ...]] | None
    n_gpu_layers: Choice[int] | Choice[str] | None
    split_mode: Choice[str] | None
    tensor_split: Choice[tuple[float, ...]] | None
    main_gpu: Choice[int] | None
    cpu_moe: Choice[bool] | None
    n_cpu_moe: Choice[int] | None
    override_tensor: Choice[tuple[str, ...]] | None
    kv_offload: Choice[bool]
    op_offload: Choice[bool]
    no_host: Choice[bool]
    alone: Choice[bool]

    @property
    def layers(self) -> int | None:
        """The number of layers when it is fixed; `None` for `auto` and `all`."""
        given = self.n_gpu_layers
        return given.value if given is not None and isinstance(given.value, int) else None

    @property
    def auto(self) -> bool:
        """The plan decides how many layers are on devices."""
        return self.n_gpu_layers is None or self.n_gpu_layers.value == "auto"

    @property
    def on_cpu(self) -> bool:
        """The spec itself keeps every layer, and all computing, on the CPU."""
        if self.devices is not None:
            return not self.devices.value
        return self.layers == 0

    @property
    def mode(self) -> SplitMode:
        """How several devices share it."""
        return self.split_mode.value if self.split_mode else "layer"  # type: ignore[return-value]

    def overrides(self) -> tuple[tuple[str, str], ...]:
        """`(regular expression, buffer)` of `override-tensor`; what is malformed is left out."""
        given = self.override_tensor.value if self.override_tensor else ()
        pairs = (text.partition("=") for text in given if malformed_override(text) is None)
        return tuple((pattern, buffer) for pattern, _, buffer in pairs)


def malformed_override(text: str) -> str | None:
    """What is wrong with an entry of `override-tensor` as a text (common/arg.cpp:252).

    The expression is one of C++'s ECMAScript kind: what only Python has is refused, too.
    """
    pattern, _, buffer = text.partition("=")
    if not pattern or not buffer:
        return "is no `REGEX=BUFFER`"
    if "," in text:
        return "holds a comma, which would end it"
    try:
        re.compile(pattern)
    except re.error as error:
        return f"is no regular expression: {error}"
    except (OverflowError, RecursionError):
        return "is no regular expression"
    foreign = next((form for form in ("(?P", "(?<", "(?#", "\\A", "\\Z") if form in pattern), None)
    return f"holds `{foreign}`, which llama.cpp's expressions don't have" if foreign else None


def decide_wishes(pick: Chooser) -> Wishes:
    """What the spec or its defaults say."""
    layers = pick.given("n-gpu-layers", object)
    typed: Choice[int] | Choice[str] | None = None
    if layers is not None:
        value = layers.value
        typed = (
            layers.but(value, layers.reason)
            if isinstance(value, int)
            else layers.but(str(value), layers.reason)
        )
    return Wishes(
        devices=pick.given("devices", tuple),
        n_gpu_layers=typed,
        split_mode=pick.given("split-mode", str),
        tensor_split=pick.given("tensor-split", tuple),
        main_gpu=pick.given("main-gpu", int),
        cpu_moe=pick.given("cpu-moe", bool),
        n_cpu_moe=pick.given("n-cpu-moe", int),
        override_tensor=pick.given("override-tensor", tuple),
        kv_offload=pick.pick("kv-offload", default=True, why="caches are where their layers are"),
        op_offload=pick.pick("op-offload", default=True, why="large batches are faster there"),
        no_host=pick.pick("no-host", default=False, why="default"),
        alone=pick.pick("alone", default=False, why="default: devices are shared"),
    )


@dataclass(frozen=True, slots=True)
class Placing:
    """Placement as flags: every name is the engine's own, every number is solved.

    `rpc`, `tensor_split`, `overrides` and `n_cpu_moe` are `None` when there is nothing to pass.
    The draft is on `draft_device` with `draft_layers`, the projector on `mmproj_device` if
    `mmproj_offload`.
    """

    rpc: Choice[str] | None
    device: Choice[str]
    n_gpu_layers: Choice[int]
    split_mode: Choice[str]
    tensor_split: Choice[str] | None
    main_gpu: Choice[int]
    overrides: Choice[str] | None
    n_cpu_moe: Choice[int] | None
    cpu_moe: Choice[bool] | None
    kv_offload: Choice[bool]
    op_offload: Choice[bool]
    no_host: Choice[bool]
    draft_device: Choice[str]
    draft_layers: Choice[int]
    mmproj_device: Choice[str]
    mmproj_offload: Choice[bool]


def write_placing(placing: Placing, to: Writer) -> None:
    """Placement as flags; `--rpc` comes first, because it makes the names that follow."""
    if placing.rpc is not None:
        to.value(placing.rpc, "--rpc", needed=True)
    to.value(placing.n_gpu_layers, "--n-gpu-layers", "--gpu-layers", needed=True)
    to.value(placing.device, "--device", needed=True)
    to.value(placing.split_mode, "--split-mode")
    if placing.tensor_split is not None:
        to.value(placing.tensor_split, "--tensor-split", needed=True)
    to.value(placing.main_gpu, "--main-gpu")
    if placing.overrides is not None:
        to.value(placing.overrides, "--override-tensor", needed=True)
    if placing.cpu_moe is not None:
        to.words(placing.cpu_moe.address, placing.cpu_moe.reason, (), "--cpu-moe", needed=True)
    elif placing.n_cpu_moe is not None:
        to.value(placing.n_cpu_moe, "--n-cpu-moe", needed=True)
    at = placing.n_gpu_layers.address
    to.value(Choice("off", at, "the plan has fitted it"), "--fit")
    to.both(placing.kv_offload, "kv-offload")
    to.both(placing.op_offload, "op-offload")
    to.switch(placing.no_host, ("--no-host",), (), without=False)
