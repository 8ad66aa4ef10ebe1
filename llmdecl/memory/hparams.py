"""A model's hyper-parameters layer by layer, as llama.cpp reads them from the header."""

from dataclasses import dataclass

from llmdecl.facts.model import GgufFacts

SWA_PERIOD = {
    "cohere2": 4,
    "exaone4": 4,
    "gemma2": 2,
    "gemma3": 6,
    "gemma3n": 5,
    "gpt-oss": 2,
    "llama4": 4,
    "olmo2": 4,
    "smallthinker": 4,
}
"""Layer `il` slides its window if `il mod p < p - 1` (src/llama-hparams.cpp:8)."""

ENCODERS = frozenset(
    {
        "bert",
        "eurobert",
        "gemma-embedding",
        "jina-bert-v2",
        "jina-bert-v3",
        "modern-bert",
        "neo-bert",
        "nomic-bert",
        "nomic-bert-moe",
    }
)
"""Architectures that embed and keep no cache (src/llama-model.cpp:2375)."""

PLAIN = frozenset(
    {
        "arcee", "baichuan", "bailingmoe", "bailingmoe2", "command-r", "dbrx", "deepseek",
        "deepseek2", "dots1", "ernie4_5", "ernie4_5-moe", "exaone", "falcon", "gemma", "glm4",
        "glm4moe", "gpt2", "gptneox", "granite", "granitemoe", "grok", "hunyuan-dense",
        "hunyuan-moe", "internlm2", "llama", "minicpm", "minicpm3", "mistral3", "nemotron",
        "olmo", "olmoe", "orion", "phi2", "phi3", "phimoe", "plamo", "qwen", "qwen2", "qwen2moe",
        "qwen2vl", "qwen3", "qwen3moe", "qwen3vl", "qwen3vlmoe", "refact", "seed_oss", "smollm3",
        "stablelm", "starcoder", "starcoder2", "xverse",
    }
)  # fmt: skip
"""Decoders with attention in every layer and one cache."""

RECURRENT = frozenset(
    {"mamba", "mamba2", "falcon-h1", "qwen3next", "qwen35", "qwen35moe", "granitehybrid", "lfm2",
     "lfm2moe"}
)  # fmt: skip
"""Architectures with recurrent state whose layers are known here."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One block. `k_width`/`v_width` are elements of a cache row per token; 0: no such cache.

    `r_width`/`s_width` are elements of convolution and recurrent state per sequence.
    """

    k_width: int
    v_width: int
    swa: bool
    r_width: int = 0
    s_width: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What the memory rules read of a header.

    `n_embd`, `n_ff`, `n_ff_exp`, `n_head` and `head_k` size the work buffer; `known` is false for
    an architecture whose rules were not read: its sizes follow the general rule.
    """

    architecture: str
    known: bool
    layers: tuple[Layer, ...]
    n_ctx_train: int
    n_vocab: int
    n_embd: int
    n_ff: int
    n_head: int
    head_k: int
    head_v: int
    n_expert: int
    n_expert_used: int
    n_ff_exp: int
    n_ff_shexp: int
    n_leading_dense: int
    n_swa: int
    mla: bool
    encoder: bool
    conv_width: int
    inner: int
    state: int

    @property
    def recurrent(self) -> bool:
        """Some layer keeps a state that does not grow with the context."""
        return any(layer.r_width or layer.s_width for layer in self.layers)

    @property
    def windowed(self) -> bool:
        """Some layer keeps a sliding window only."""
        return any(layer.swa for layer in self.layers)

    @property
    def attends(self) -> bool:
        """Some layer has attention."""
        return any(layer.k_width for layer in self.layers)


def _integers(gguf: GgufFacts, key: str) -> tuple[int, ...]:
    value = gguf.parameter(key)
    values = value if isinstance(value, tuple) else (value,)
    return tuple(int(v) for v in values if isinstance(v, int | float))


def integer(gguf: GgufFacts, key: str, default: int = 0) -> int:
    """The largest number under `<architecture>.<key>`: arrays hold one per layer."""
    return max(_integers(gguf, key), default=default)


def per_layer(gguf: GgufFacts, key: str, count: int, default: int) -> tuple[int, ...]:
    """One number per layer: a scalar stands for all, a short array ends in `default`."""
    values = _integers(gguf, key)
    if len(values) == 1 and not isinstance(gguf.parameter(key), tuple):
        return values * count
    return (*values[:count], *(default,) * (count - len(values)))


def n_ctx_train(gguf: GgufFacts) -> int:
    """The trained context in tokens; 0 when the header has none."""
    return integer(gguf, "context_length")


def is_encoder(gguf: GgufFacts) -> bool:
    """Embeds whole texts and keeps no cache."""
    return gguf.architecture in ENCODERS


def swa_layers(gguf: GgufFacts, count: int) -> tuple[bool, ...]:
    """Which layers slide their window: the header's own array, else the architecture's pattern.

    `phi3` ignores its window (src/models/phi3.cpp), and so does every architecture not listed:
    a full cache is the upper bound.
    """
    if gguf.architecture not in SWA_PERIOD:
        return (False,) * count
    pattern = gguf.parameter("attention.sliding_window_pattern")
    if isinstance(pattern, tuple):
        flags = tuple(bool(value) for value in pattern[:count])
        return (*flags, *(False,) * (count - len(flags)))
    period = int(pattern) if isinstance(pattern, int) and pattern > 0 else None
    period = period or SWA_PERIOD[gguf.architecture]
    return tuple(il % period < period - 1 for il in range(count))


def window(gguf: GgufFacts) -> int:
    """The sliding window in tokens; llama4's is fixed (src/llama-hparams.cpp:8)."""
    if gguf.architecture == "llama4":
        return 8192
    return integer(gguf, "attention.sliding_window")


def shape_of(gguf: GgufFacts) -> Shape:
    """The shape of `gguf`; numbers that the header lacks count as 0."""
    count = max(0, integer(gguf, "block_count") - integer(gguf, "nextn_predict_layers"))
    n_embd = integer(gguf, "embedding_length")
    n_head = integer(gguf, "attention.head_count")
    head_k = integer(gguf, "attention.key_length", n_embd // n_head if n_head else 0)
    n_ff = integer(gguf, "feed_forward_length")
    n_expert = integer(gguf, "expert_count")
    n_ff_exp = integer(gguf, "expert_feed_forward_length", n_ff if n_expert else 0)
    architecture = gguf.architecture
    return Shape(
        architecture=architecture,
        known=architecture in PLAIN | ENCODERS | RECURRENT | SWA_PERIOD.keys(),
        layers=_layers(gguf, count, head_k),
        n_ctx_train=n_ctx_train(gguf),
        n_vocab=_n_vocab(gguf),
        n_embd=n_embd,
        n_ff=n_ff,
        n_head=n_head,
        head_k=head_k,
        head_v=integer(gguf, "attention.value_length", head_k),
        n_expert=n_expert,
        n_expert_used=integer(gguf, "expert_used_count"),
        n_ff_exp=n_ff_exp,
        n_ff_shexp=integer(
            gguf,
            "expert_shared_feed_forward_length",
            n_ff_exp * integer(gguf, "expert_shared_count"),
        ),
        n_leading_dense=integer(gguf, "leading_dense_block_count"),
        n_swa=window(gguf),
        mla=bool(integer(gguf, "attention.key_length_mla")),
        encoder=is_encoder(gguf),
        conv_width=_conv_width(gguf),
        inner=integer(gguf, "ssm.inner_size"),
        state=integer(gguf, "ssm.state_size"),
    )


def _n_vocab(gguf: GgufFacts) -> int:
    if gguf.vocabulary is not None:
        return gguf.vocabulary.size
    return integer(gguf, "vocab_size")


def _conv_width(gguf: GgufFacts) -> int:
    """Channels of the convolution: inner + 2 x groups x state (src/llama-hparams.cpp:208)."""
    groups, state = integer(gguf, "ssm.group_count"), integer(gguf, "ssm.state_size")
    return integer(gguf, "ssm.inner_size") + 2 * groups * state


def _layers(gguf: GgufFacts, count: int, head_k: int) -> tuple[Layer, ...]:
    heads = per_layer(gguf, "attention.head_count", count, 0)
    kv_default = max(heads, default=0)
    heads_kv = (
        per_layer(gguf, "attention.head_count_kv", count, kv_default)
        if gguf.parameter("attention.head_count_kv") is not None
        else heads
    )
    head_v = integer(gguf, "attention.value_length", head_k)
    swa = swa_layers(gguf, count)
    swa_k = integer(gguf, "attention.key_length_swa", head_k)
    swa_v = integer(gguf, "attention.value_length_swa", head_v)
    mla = bool(integer(gguf, "attention.key_length_mla"))
    layers = []
    for il in range(count):
        recurrent = _recurrent(gguf, il, heads_kv[il])
        attends = not is_encoder(gguf) and (not recurrent or gguf.architecture == "falcon-h1")
        k, v = (swa_k, swa_v) if swa[il] else (head_k, head_v)
        r, s = _state_widths(gguf) if recurrent else (0, 0)
        width = heads_kv[il] if attends else 0
        layers.append(Layer(k * width, 0 if mla else v * width, swa[il], r, s))
    return tuple(layers)


def _recurrent(gguf: GgufFacts, il: int, n_head_kv: int) -> bool:
    """Which layers are recurrent, by architecture (llama-memory.md, section 5)."""
    match gguf.architecture:
        case "mamba" | "mamba2" | "falcon-h1":
            return True
        case "qwen3next" | "qwen35" | "qwen35moe":
            return (il + 1) % 4 != 0
        case "granitehybrid" | "lfm2" | "lfm2moe":
            return n_head_kv == 0
        case _:
            return False


def _state_widths(gguf: GgufFacts) -> tuple[int, int]:
    """Elements of convolution and recurrent state (src/llama-hparams.cpp:208-258)."""
    if gguf.architecture in ("lfm2", "lfm2moe"):
        cache = integer(gguf, "shortconv.l_cache")
        return integer(gguf, "embedding_length") * max(0, cache - 1), 0
    kernel = integer(gguf, "ssm.conv_kernel")
    inner, state = integer(gguf, "ssm.inner_size"), integer(gguf, "ssm.state_size")
    return max(0, kernel - 1) * _conv_width(gguf), state * inner
