"""qwen35 and qwen35moe (src/models/qwen35.cpp, qwen35moe.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention, Layer
from llmdecl.memory.graphs.models import qwen3next
from llmdecl.memory.graphs.models.common import silu_scaled
from llmdecl.memory.graphs.models.delta_net_base import Copies, build_recurrent_attn


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    qwen3next.hparams(h)
    h.n_pos_per_embd = 4


def graph(g: Context) -> None:
    """`llama_model_qwen35::graph`, `llama_model_qwen35moe::graph`."""
    cur = g.build_inp_embd()
    inp_rs = g.build_rs_inp()
    inp_attn = g.build_attn_inp_kv()
    inp_pos = g.build_inp_pos()
    out_ids = g.build_inp_out_ids()
    experts = g.arch == "qwen35moe"
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        g.expand(cur)
        if g.h.is_recr[il]:
            cur = _linear(g, w, inp_rs, cur, il)
        else:
            cur = _attention(g, w, inp_attn, cur, inp_pos, il)
        ffn_residual = g.add(cur, residual)
        cur = g.build_norm(ffn_residual, w.post_attention_norm, None, "LLM_NORM_RMS", il)
        cur = qwen3next.build_ffn(g, w, cur, il) if experts else silu_scaled(g, w, cur, il)
        cur = g.add(cur, ffn_residual)
    qwen3next.finish(g, cur, out_ids)


def _attention(
    g: Context, w: Layer, inp: Attention, cur: Tensor, inp_pos: Tensor, il: int
) -> Tensor:
    """`build_layer_attn`."""
    h, n = g.h, g.n_tokens
    head, heads, heads_kv = h.head_v(), h.n_head(), h.n_head_kv()
    full, k, v = g.build_qkv(
        w, cur, head * 2, heads, heads_kv, il, head_k=head, head_v=head, reshape=False
    )
    size = full.type.type_size
    strides = size * head * 2, size * head * 2 * heads
    q = g.view_3d(full, head, heads, n, *strides)
    q = g.build_norm(q, w.attn_q_norm, None, "LLM_NORM_RMS", il)
    k = g.build_norm(g.reshape(k, head, heads_kv, n), w.attn_k_norm, None, "LLM_NORM_RMS", il)
    gate = g.cont(g.view_3d(full, head, heads, n, *strides), head * heads, n)
    v = g.reshape(v, head, heads_kv, n)
    q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
    cur = g.build_attn(inp, None, None, q, k, v, il)
    return g.build_lora_mm(w.attn_output, g.mul(cur, g.sigmoid(gate)), w.attn_output_s)


def _linear(g: Context, w: Layer, inp: Copies, cur: Tensor, il: int) -> Tensor:
    """`build_layer_attn_linear`."""
    tokens, seqs, v_heads = g.n_seq_tokens, g.n_seqs, g.h.ssm_dt_rank
    qkv = g.build_lora_mm(w("attn_qkv.weight"), cur, w("attn_qkv.scale"))
    qkv = g.reshape(qkv, qkv.ne[0], tokens, seqs)
    z = g.build_lora_mm(w.attn_gate, cur, w.attn_gate_s)
    beta = g.build_lora_mm(w.ssm_beta, cur, w.ssm_beta_s)
    beta = g.sigmoid(g.reshape(beta, 1, v_heads, tokens, seqs))
    alpha = g.build_lora_mm(w.ssm_alpha, cur, w.ssm_alpha_s)
    alpha = g.reshape(alpha, v_heads, tokens, seqs)
    gate = g.mul(g.softplus(g.add(alpha, w("ssm_dt.bias"))), w("ssm_a"))
    gate = g.reshape(gate, 1, v_heads, tokens, seqs)
    q, k, v, state, ssm_all = qwen3next.convolved(g, w, inp, qkv, il)
    out = build_recurrent_attn(g, ssm_all, q, k, v, gate, beta, state, il)
    cur = qwen3next.gated_norm(g, w, out, z, il)
    cur = g.build_lora_mm(w.ssm_out, cur, w.ssm_out_s)
    return g.reshape(cur, g.n_embd, tokens * seqs)
