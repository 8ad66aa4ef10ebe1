"""The row of a memory ledger, and what a model asks of memory, as values."""

from functools import cache
from typing import Literal

from llmdecl.values import Value

HOST = "host"
"""The pool of the machine's own memory."""


class MemoryPart(Value, frozen=True, kw_only=True):
    """One row of the ledger: bytes of `part` in `pool` (`host` or a device's id).

    Parts of one pool with the same non-null `shared` key (a mapped file) are counted once for
    all models that are loaded together. `exact` is false for a bound.
    """

    pool: str
    part: str
    bytes: int
    exact: bool
    shared: str | None = None


Pooling = Literal["none", "mean", "cls", "last", "rank"]
"""How token vectors become one."""


class Device(Value, frozen=True, kw_only=True):
    """An accelerator as llama.cpp sees it: `id` is ours, `backend` ggml's (`cuda`, `rpc`, ...).

    `free_bytes` is what it would report as free: the weights of a split that nobody gave
    (src/llama-model.cpp:1558).
    """

    id: str
    backend: str
    free_bytes: int
    architecture: str | None = None
    """`sm_86`, `gfx1100`: what the driver's own memory depends on."""


class Placement(Value, frozen=True, kw_only=True):
    """Where a model goes, in llama-server's words. Without devices everything is on the CPU.

    `devices` are in the order of `--device`. `n_gpu_layers` is the number passed; more than
    `block_count + 1` means all. `tensor_split` is empty, or has one share a device.
    `overrides` are `(regular expression, buffer)` of `--override-tensor`, those of `--cpu-moe`
    and `--n-cpu-moe` written out; `buffer` is `CPU` or a device's id.
    """

    devices: tuple[Device, ...] = ()
    n_gpu_layers: int = 0
    split_mode: Literal["none", "layer", "row", "tensor"] = "layer"
    tensor_split: tuple[float, ...] = ()
    main_gpu: int = 0
    overrides: tuple[tuple[str, str], ...] = ()
    kv_offload: bool = True
    op_offload: bool = True
    no_host: bool = False


EXPERTS = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""Tensors that `--cpu-moe` keeps in host memory (common/common.h:1198)."""


@cache
def expert_overrides(count: int) -> tuple[tuple[str, str], ...]:
    """`--n-cpu-moe` written out (common/common.h:1198-1216)."""
    return tuple((rf"blk\.{block}{EXPERTS}", "CPU") for block in range(count))


ON_CPU = Placement()
"""No device takes part."""


class RunParameters(Value, frozen=True, kw_only=True):
    """What llama.cpp makes of llama-server's arguments, by `memory.parameters.run_parameters`.

    `n_ctx` is the whole context, `n_ctx_seq` what one sequence may use, `n_seq_max` the slots,
    `n_outputs_max` the most logits rows of one batch. `type_k` and `type_v` are ggml type names
    in lower case (`f16`, `q8_0`).
    """

    n_ctx: int
    n_ctx_seq: int
    n_seq_max: int
    kv_unified: bool
    n_batch: int
    n_ubatch: int
    n_outputs_max: int
    type_k: str
    type_v: str
    flash_attn: bool
    """On, or auto, which llama.cpp turns off where attention is computed elsewhere."""
    swa_full: bool
    embedding: bool
    mapped: bool
    """Weights are mapped from their file (load mode `mmap` or `mmap+mlock`)."""
    repack: bool
    cache_ram_bytes: int
    ctx_checkpoints: int
    pooling: Pooling | None = None
    """What `--pooling` says; `None`: what the header says."""
    flash_attn_auto: bool = False
    """`--flash-attn auto`."""

    @property
    def streams(self) -> int:
        """Separate caches: one per slot, or one for all when unified."""
        return 1 if self.kv_unified else self.n_seq_max

    @property
    def n_tokens(self) -> int:
        """Tokens of the reserved batch (src/llama-context.cpp:629): a multiple of the slots."""
        tokens = min(self.n_ctx, self.n_ubatch)
        return -(-tokens // self.n_seq_max) * self.n_seq_max
