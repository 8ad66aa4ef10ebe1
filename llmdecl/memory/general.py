"""The work buffer of an architecture whose graph is not known: a bound, not a size.

Inputs and the widest phase that is common (src/llama-graph.cpp), and as much again.
"""

from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.model import RunParameters


def general_compute_bytes(h: HParams, run: RunParameters) -> int:
    """Embeddings, masks and write indices, then four bytes a token of the widest phase."""
    tokens = run.n_tokens
    mask = (2 if run.flash_attn else 4) * tokens * run.n_ctx_seq
    writes = 0 if run.flash_attn else 8 * tokens * h.v_gqa_max()
    inputs = 2 * 4 * h.n_embd * tokens + 2 * (mask + writes)
    logits = 4 * min(tokens, run.n_outputs_max) * (h.n_vocab + h.n_embd)
    work = max(4 * tokens * _phase_floats(h, run), logits)
    return 2 * (inputs + work)


def _phase_floats(h: HParams, run: RunParameters) -> int:
    """Floats per token: a feed-forward network, experts, scores, a recurrence, the LM head."""
    e, q = h.n_embd, max(h.n_head_arr, default=0) * h.head_k_full
    phases = [3 * max(h.n_ff_arr, default=0) + e + q]
    used = max(h.n_expert_used_arr, default=0)
    if used:
        shared = 3 * (h.n_ff_shexp or h.n_ff_exp * h.n_expert_shared)
        inner = h.n_ff_exp or max(h.n_ff_arr, default=0)
        phases.append(max(3 * inner * used + e + q, 2 * e * used + 2 * e + q) + shared + e * used)
    if h.ssm_d_inner:
        width = h.ssm_d_inner + 2 * h.ssm_n_group * h.ssm_d_state
        states = h.n_embd_s * run.n_seq_max // max(1, run.n_tokens)
        phases.append(4 * h.ssm_d_inner + 3 * width + 2 * e + states)
    if not run.flash_attn:
        phases.append(run.n_ctx_seq * max(h.n_head_arr, default=0) + 2 * q + e)
    if run.embedding and h.causal:
        phases.append(h.n_vocab + e)
    return max(phases)
