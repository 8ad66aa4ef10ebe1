"""llama-server's arguments to llama.cpp's context parameters."""

from llmdecl.memory.ggml import pad
from llmdecl.memory.hparams import Shape
from llmdecl.memory.model import Pooling, RunParameters

CONTEXT_STEP = 256
"""llama.cpp rounds contexts up to this many tokens (src/llama-context.cpp:133)."""

HAS_ENCODER = frozenset({"t5", "t5encoder", "eagle3", "dflash"})
"""Architectures that results of whole batches are kept for (`llama_model_has_encoder`)."""

NO_FLASH_ATTENTION = "grok"
"""The architecture that llama.cpp turns flash attention off for (src/llama-context.cpp:3816)."""


def run_parameters(
    shape: Shape,
    *,
    ctx_size: int,
    parallel: int,
    kv_unified: bool,
    batch_size: int,
    ubatch_size: int,
    type_k: str,
    type_v: str,
    flash_attn: bool,
    swa_full: bool,
    embedding: bool,
    mapped: bool,
    repack: bool,
    cache_ram_bytes: int,
    ctx_checkpoints: int,
    n_draft: int = 0,
    pooling: Pooling | None = None,
    flash_attn_auto: bool = False,
) -> RunParameters:
    """What llama.cpp makes of them; `ctx_size` is the whole, as `--ctx-size` takes it, 0: trained.

    Rules: src/llama-context.cpp:246-306 (contexts and batches), tools/server/server.cpp:149
    (`--batch-size` lowered to `--ubatch-size` when embedding), tools/server/server-context.cpp:41
    (rows of logits). `n_draft` is the length of a draft; a quantised V cache makes flash attention
    `on` of `auto` (src/llama-context.cpp:3840).
    """
    asked = ctx_size or shape.n_ctx_train
    n_ctx = pad(asked, CONTEXT_STEP)
    n_ctx_seq = n_ctx if kv_unified else max(CONTEXT_STEP, pad(n_ctx // parallel, CONTEXT_STEP))
    if not kv_unified:
        n_ctx = n_ctx_seq * parallel
    n_batch = min(batch_size, ubatch_size) if embedding else batch_size
    if shape.causal:
        n_batch = min(asked, n_batch)
    whole = embedding or shape.architecture in HAS_ENCODER or pooling not in (None, "none")
    plain = shape.architecture == NO_FLASH_ATTENTION
    outputs = n_batch if whole else parallel * (1 + n_draft)
    return RunParameters(
        n_ctx=n_ctx,
        n_ctx_seq=n_ctx_seq,
        n_seq_max=parallel,
        kv_unified=kv_unified,
        n_batch=n_batch,
        n_ubatch=min(n_batch, ubatch_size or n_batch),
        n_outputs_max=min(n_batch, outputs),
        type_k=type_k,
        type_v=type_v,
        flash_attn=flash_attn and not plain,
        swa_full=swa_full,
        embedding=embedding,
        mapped=mapped,
        repack=repack,
        cache_ram_bytes=cache_ram_bytes,
        ctx_checkpoints=ctx_checkpoints,
        pooling=pooling,
        flash_attn_auto=flash_attn_auto and not plain and type_v in ("f32", "f16", "bf16"),
    )
