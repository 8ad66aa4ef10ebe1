"""The graph's work buffer for one worst-case batch: inputs plus the widest phase of the graph."""

from llmdecl.memory.hparams import Shape
from llmdecl.memory.kv_cache import swa_cells
from llmdecl.memory.model import RunParameters

FUSED = frozenset({"phi3", "lfm2"})
"""One tensor holds gate and up: the widest phase has no attention output beside it."""


def inputs_bytes(shape: Shape, run: RunParameters) -> int:
    """Embeddings twice, attention masks, V's write indices without flash attention, positions.

    Exact but for the last, about 24 bytes per token (src/llama-graph.cpp:29-46, 2384-2401).
    """
    tokens = run.n_tokens
    mask_width = 2 if run.flash_attn else 4
    total = 2 * 4 * shape.n_embd * tokens + 32 * tokens
    if shape.encoder:
        return total + mask_width * tokens * tokens
    kinds = {layer.swa for layer in shape.layers if layer.k_width}
    for swa in kinds:
        total += mask_width * tokens * (swa_cells(shape, run) if swa else run.n_ctx_seq)
        if not run.flash_attn:
            total += 8 * tokens * max(la.v_width for la in shape.layers if la.swa is swa)
    return total + _hadamard_bytes(run)


def _hadamard_bytes(run: RunParameters) -> int:
    """Small matrices that rotate quantised caches (src/llama-kv-cache.cpp:321): a bound."""
    quantised = [kind for kind in (run.type_k, run.type_v) if kind not in ("f32", "f16", "bf16")]
    return len(quantised) * 4 * (64**2 + 128**2 + 256**2)


def phase_floats(shape: Shape, run: RunParameters) -> int:
    """Floats per token of the widest phase (llama-memory.md, section 7, table of P)."""
    e, q = shape.n_embd, shape.n_head * shape.head_k
    phases = [_feed_forward(shape, run, q), _recurrence(shape, run)]
    if shape.attends and not run.flash_attn:
        width = shape.n_head * (2 * 576 + 512) if shape.mla else 2 * q
        phases.append(run.n_ctx_seq * shape.n_head + width + e)
    if shape.encoder and not run.flash_attn:
        phases.append(run.n_tokens * shape.n_head + 2 * q + e)
    if shape.mla:
        phases.append(shape.n_head * (576 + 512 + 192) + 3 * e)
    if run.embedding and not shape.encoder:
        phases.append(shape.n_vocab + e)
    return max(phases)


def _feed_forward(shape: Shape, run: RunParameters, q: int) -> int:
    e = shape.n_embd
    narrow = shape.architecture in FUSED or (shape.encoder and run.flash_attn)
    wide = 0 if narrow else q
    dense = 3 * shape.n_ff + e + wide
    if shape.mla:
        dense = 3 * shape.n_ff + 2 * e
    if not shape.n_expert:
        return dense
    used = shape.n_expert_used
    experts = max(3 * shape.n_ff_exp * used + e + wide, 2 * e * used + 2 * e + wide)
    experts += 3 * shape.n_ff_shexp + (e * used if shape.recurrent else 0)
    return max(experts, dense if shape.n_leading_dense else 0)


def _recurrence(shape: Shape, run: RunParameters) -> int:
    """Mamba-like blocks: the input projection, the convolution and its input, one inner state."""
    if not shape.inner:
        return 0
    in_proj = 2 * shape.inner + shape.conv_width
    floats = shape.inner + 2 * shape.conv_width + in_proj + 2 * shape.n_embd
    states = shape.state * shape.inner * run.n_seq_max // max(1, run.n_tokens)
    return floats + states


def compute_bytes(shape: Shape, run: RunParameters) -> int:
    """A bound on the CPU's work buffer, never below what 83 measured rows needed.

    The LM head adds a row of logits per output. An architecture whose graph was not read gets
    half as much again.
    """
    phases = 4 * run.n_tokens * phase_floats(shape, run)
    logits = 4 * min(run.n_tokens, run.n_outputs_max) * (shape.n_vocab + shape.n_embd)
    work = max(phases, 0 if shape.encoder else logits)
    if not shape.known:
        work += work // 2
    return inputs_bytes(shape, run) + work + work // 64
