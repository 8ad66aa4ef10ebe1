"""nemotron_h and nemotron_h_moe: a block mixes, attends or feeds (src/models/nemotron-h.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.caches import Memory, hybrid
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.mamba_base import hybrid_inputs, mamba2_layer
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.mamba_state()
    h.is_recr = [
        il < h.n_layer and h.n_head_kv(il) == 0 and h.n_ff(il) == 0 for il in range(h.n_layer_all)
    ]


def memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """Nothing for blocks that feed forward."""
    return hybrid(
        h, run, site,
        lambda il: not h.is_recr[il] and h.n_ff(il) == 0,
        lambda il: h.is_recr[il] and h.n_ff(il) == 0,
    )  # fmt: skip


def graph(g: Context) -> None:
    """`llama_model_nemotron_h::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_rs, inp_attn = hybrid_inputs(g)
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        if h.is_recr[il]:
            cur = mamba2_layer(g, inp_rs, cur, il)
        elif h.n_ff(il) == 0:
            q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(il), h.n_head_kv(il), il)
            cur = g.build_attn(
                inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
            )
        else:
            cur = _feed_forward(g, cur, il)
        cur = g.add(cur, residual)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_h_nextn = cur
    cur = g.get_rows(cur, out_ids)
    g.t_embd = cur
    cur = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    g.t_logits = cur
    g.expand(cur)


def _feed_forward(g: Context, cur: Tensor, il: int) -> Tensor:
    h, w = g.h, g.layer(il)
    if w.ffn_gate_inp is None:
        return g.build_ffn(
            cur, w.ffn_up, w.ffn_up_b, None, None, w.ffn_down, w.ffn_down_b, "RELU_SQR", il,
            up_s=w.ffn_up_s, down_s=w.ffn_down_s,
        )  # fmt: skip
    latent = cur if w.ffn_latent_down is None else g.mul_mat(w.ffn_latent_down, cur)
    logits = g.build_lora_mm(w.ffn_gate_inp, cur)
    out = g.build_moe_ffn(
        latent, w.ffn_gate_inp, w.ffn_up_exps, None, w.ffn_down_exps, w.exp_probs_b_b,
        h.n_expert, h.n_expert_used(il), "RELU_SQR", il, norm_w=h.flag("expert_weights_norm"),
        w_scale=h.real("expert_weights_scale"), gating="SIGMOID", probs_in=logits,
        up_exps_s=w.ffn_up_exps_s, down_exps_s=w.ffn_down_exps_s,
    )  # fmt: skip
    if w.ffn_latent_up is not None:
        out = g.mul_mat(w.ffn_latent_up, out)
    shared = g.build_ffn(
        cur, w.ffn_up_shexp, None, None, None, w.ffn_down_shexp, None, "RELU_SQR", il,
        up_s=w.ffn_up_shexp_s, down_s=w.ffn_down_shexp_s,
    )  # fmt: skip
    return g.add(out, shared)
