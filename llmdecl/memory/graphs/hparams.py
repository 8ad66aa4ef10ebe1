"""A model's hyper-parameters as llama.cpp reads them from the header (src/llama-model.cpp:1285).

What one architecture reads in addition, or otherwise, is beside its graph.
"""

import math
from collections.abc import Sequence
from typing import TypeGuard

from llmdecl.facts.model import GgufFacts, Scalar

CLAMPED = frozenset({"dbrx", "mpt", "olmo"})
"""Architectures that read `attention.clamp_kqv`."""

EMBEDDING_SCALED = frozenset(
    {"dflash", "granite", "granite_swa", "granitehybrid", "granitemoe", "graniteswitch", "grok",
     "hrm_text", "minicpm"}
)  # fmt: skip
"""Architectures that read `embedding_scale`."""


class HParams:
    """`llama_hparams`. Per-layer values are lists with one entry a block, nextn blocks included.

    `swa_type` says whether some layers keep a window only; `is_swa`, `is_recr` say which.
    """

    def __init__(self, gguf: GgufFacts) -> None:
        self.gguf = gguf
        self.arch = gguf.architecture
        self.n_layer_all = self.number("block_count")
        self.n_layer_nextn = self.number("nextn_predict_layers")
        self.n_ctx_train = self.number("context_length")
        self.n_embd = self.number("embedding_length")
        self.n_embd_out = self.number("embedding_length_out") or self.n_embd
        self.n_embd_inp = self.n_embd
        self.n_vocab = _n_vocab(gguf)
        self.causal = self.flag("attention.causal", default=True)
        self.pooling_type = self.number("pooling_type", -1)
        self.n_expert = self.number("expert_count")
        self.n_expert_used_arr = self.each("expert_used_count", 0)
        self.n_expert_groups = self.number("expert_group_count")
        self.n_group_used = self.number("expert_group_used_count")
        self.n_head_arr = self.each("attention.head_count", 0)
        heads_kv = gguf.parameter("attention.head_count_kv")
        self.n_head_kv_arr = (
            list(self.n_head_arr)
            if heads_kv is None
            else self.each("attention.head_count_kv", self.n_head_arr)
        )
        self.n_ff_arr = self.each("feed_forward_length", 0)
        self.n_ff_exp = self.number("expert_feed_forward_length")
        self.n_ff_shexp = self.number("expert_shared_feed_forward_length")
        self.n_expert_shared = self.number("expert_shared_count")
        self.n_layer_dense_lead = self.number("leading_dense_block_count")
        self.n_ctx_orig_yarn = self.number("rope.scaling.original_context_length", self.n_ctx_train)
        heads = self.n_head_arr[0] if self.n_head_arr else 0
        size = self.n_embd // heads if heads else 0
        self.head_k_full = self.number("attention.key_length", size) if heads else 0
        self.head_v_full = self.number("attention.value_length", size) if heads else 0
        self.head_k_swa = self.number("attention.key_length_swa", self.head_k_full)
        self.head_v_swa = self.number("attention.value_length_swa", self.head_v_full)
        self.n_rot_full = self.number("rope.dimension_count", self.head_k_full) if heads else 0
        self.n_rot_swa = self.number("rope.dimension_count_swa", self.n_rot_full)
        self.head_k_mla = self.number("attention.key_length_mla")
        self.head_v_mla = self.number("attention.value_length_mla")
        self.n_pos_per_embd = 1
        self.swa_type = False
        self.n_swa = 0
        self.is_swa = [False] * self.n_layer_all
        self.is_recr = [False] * self.n_layer_all
        self.marks: list[object] = [None] * self.n_layer_all
        """What else tells what a block computes (no rope, deepstack): blocks alike look alike."""
        self.n_layer_kv_from_start = -1
        self.n_deepstack_layers = 0
        self.output_first = False
        """A tied output is created before the embedding, and so is a tensor of its own."""
        self.full_only_freqs = False
        """Only blocks that do not slide their window have rotary frequencies of their own."""
        self.ssm_d_conv = self.number("ssm.conv_kernel")
        self.ssm_d_inner = self.number("ssm.inner_size")
        self.ssm_d_state = self.number("ssm.state_size")
        self.ssm_dt_rank = self.number("ssm.time_step_rank")
        self.ssm_n_group = self.number("ssm.group_count")
        self.n_embd_r = 0
        self.n_embd_s = 0
        self.attn_soft_cap = False
        self.f_clamp_kqv = self.arch in CLAMPED and self.real("attention.clamp_kqv") > 0
        self.f_embedding_scale = 0.0
        if self.arch in EMBEDDING_SCALED:
            self.f_embedding_scale = self.real("embedding_scale")
        self.f_max_alibi_bias = self.real("attention.max_alibi_bias")

    # what the header holds

    def get(self, key: str) -> Scalar | tuple[Scalar, ...] | None:
        """`<architecture>.<key>`."""
        return self.gguf.parameter(key)

    def number(self, key: str, default: int = 0) -> int:
        """A whole number; of an array the first."""
        value = self.get(key)
        if isinstance(value, tuple):
            value = value[0] if value else None
        return int(value) if _is_number(value) else default

    def real(self, key: str, default: float = 0.0) -> float:
        """A number."""
        value = self.get(key)
        return float(value) if isinstance(value, int | float) else default

    def flag(self, key: str, *, default: bool = False) -> bool:
        """A yes or no."""
        value = self.get(key)
        return bool(value) if isinstance(value, int) else default

    def each(self, key: str, default: int | Sequence[int]) -> list[int]:
        """One number a block: a scalar stands for all, a short array is filled up."""
        value = self.get(key)
        count = self.n_layer_all
        filled = [default] * count if isinstance(default, int) else list(default)
        if isinstance(value, tuple):
            given = [int(v) for v in value if _is_number(v)][:count]
            return [*given, *filled[len(given) :]]
        return [int(value)] * count if _is_number(value) else filled

    # what follows from it

    @property
    def n_layer(self) -> int:
        """Blocks that a prompt goes through."""
        return self.n_layer_all - self.n_layer_nextn

    @property
    def is_mla(self) -> bool:
        """Keys and values are compressed into one."""
        return self.head_k_mla > 0 and self.head_v_mla > 0

    def n_expert_used(self, il: int = 0) -> int:
        """Experts of a token in block `il`."""
        return self.n_expert_used_arr[il]

    def n_head(self, il: int = 0) -> int:
        """Query heads."""
        return self.n_head_arr[il] if il < len(self.n_head_arr) else 0

    def n_head_kv(self, il: int = 0) -> int:
        """Key and value heads."""
        return self.n_head_kv_arr[il] if il < len(self.n_head_kv_arr) else 0

    def n_ff(self, il: int = 0) -> int:
        """Width of the feed-forward network."""
        return self.n_ff_arr[il] if il < len(self.n_ff_arr) else 0

    def head_k(self, il: int = 0) -> int:
        """Elements of a key head (`n_embd_head_k`)."""
        return self.head_k_swa if self.is_swa and self.is_swa[il] else self.head_k_full

    def head_v(self, il: int = 0) -> int:
        """Elements of a value head."""
        return self.head_v_swa if self.is_swa and self.is_swa[il] else self.head_v_full

    def n_rot(self, il: int = 0) -> int:
        """Elements of a head that positions rotate."""
        return self.n_rot_swa if self.is_swa and self.is_swa[il] else self.n_rot_full

    def k_gqa(self, il: int = 0) -> int:
        """Elements of a row of keys (`n_embd_k_gqa`)."""
        return self.head_k(il) * self.n_head_kv(il)

    def v_gqa(self, il: int = 0) -> int:
        """Elements of a row of values."""
        return self.head_v(il) * self.n_head_kv(il)

    def v_gqa_max(self) -> int:
        """Elements of the widest row of values of all blocks."""
        return max((self.v_gqa(il) for il in range(self.n_layer_all)), default=0)

    def has_kv(self, il: int) -> bool:
        """Whether block `il` has a cache of its own."""
        return self.n_layer_kv_from_start < 0 or il < self.n_layer_kv_from_start

    # what architectures say of their layers

    def window(self, period: int, *, dense_first: bool = False, size: int | None = None) -> None:
        """Layers slide their window by a period, or as the header says.

        `load_swa_pattern` (src/llama-model.cpp:3434).
        """
        self.n_swa = self.number("attention.sliding_window") if size is None else size
        self.swa_type = True
        self.load_swa_pattern(period, dense_first=dense_first)

    def load_swa_pattern(self, period: int, *, dense_first: bool = False) -> None:
        """The header's `attention.sliding_window_pattern`, an array or a period, else `period`."""
        given = self.get("attention.sliding_window_pattern")
        if isinstance(given, tuple):
            flags = [bool(value) for value in given][: self.n_layer_all]
            self.is_swa = flags + [False] * (self.n_layer_all - len(flags))
        else:
            period = self.number("attention.sliding_window_pattern", period)
            self.swa_pattern(period, dense_first=dense_first)

    def swa_pattern(self, period: int, *, dense_first: bool = False) -> None:
        """`set_swa_pattern`: of every `period` layers all but one slide their window."""
        self.is_swa = pattern(self.n_layer, self.n_layer_all, period, dense_first=dense_first)

    def deepstack(self) -> None:
        """Blocks at the start add rows of the image's embedding (src/llama-hparams.cpp:118)."""
        count = self.n_deepstack_layers = self.number("n_deepstack_layers")
        self.n_embd_inp = self.n_embd * (1 + count)
        self.marks = [il < count for il in range(self.n_layer_all)]

    def no_rope(self, step: int) -> None:
        """Every `step`-th block does not rotate positions (`n_no_rope_layer_step`)."""
        self.marks = [(il + 1) % step != 0 for il in range(self.n_layer_all)]

    def mamba_state(self) -> None:
        """Convolution and recurrent state of Mamba-like blocks (src/llama-hparams.cpp:208-258)."""
        width = self.ssm_d_inner + 2 * self.ssm_n_group * self.ssm_d_state
        self.n_embd_r = max(0, self.ssm_d_conv - 1) * width
        self.n_embd_s = self.ssm_d_state * self.ssm_d_inner


def _is_number(value: object) -> TypeGuard[int | float]:
    """A number that an integer can be made of."""
    return isinstance(value, int | float) and math.isfinite(value)


def pattern(n_layer: int, n_layer_all: int, period: int, *, dense_first: bool) -> list[bool]:
    """True but for one layer of each `period`; 0: for all. Nextn blocks are false."""
    if dense_first:
        found = [period == 0 or il % period != 0 for il in range(n_layer)]
    else:
        found = [period == 0 or il % period < period - 1 for il in range(n_layer)]
    return found + [False] * (n_layer_all - n_layer)


def _n_vocab(gguf: GgufFacts) -> int:
    if gguf.vocabulary is not None:
        return gguf.vocabulary.size
    value = gguf.parameter("vocab_size")
    return int(value) if isinstance(value, int) else 0
