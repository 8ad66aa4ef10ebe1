"""hrm_text (src/models/hrm-text.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Attention
from llmdecl.memory.graphs.models.common import silu


def graph(g: Context) -> None:
    """`llama_model_hrm_text::graph`: two stacks take turns, with a cache for each turn."""
    h = g.h
    each = h.number("hrm.layers_per_stack")
    fast_cycles = h.number("hrm.l_cycles")
    high = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    low = g.weight("hrm.z_l_init")
    for cycle in range(h.number("hrm.h_cycles")):
        first = cycle * (fast_cycles + 1)
        for turn in range(fast_cycles):
            low = _stack(g, inp_attn, inp_pos, g.add(high, low), (first + turn) * each, 0)
        slot = (first + fast_cycles) * each
        high = _stack(g, inp_attn, inp_pos, g.add(high, low), slot, each)
    cur = g.get_rows(high, out_ids)
    g.t_embd = cur
    g.t_logits = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    g.expand(g.t_logits)


def _stack(
    g: Context, inp: Attention, inp_pos: Tensor, cur: Tensor, slot: int, block: int
) -> Tensor:
    """`build_stack`: caches from `slot` on, weights from `block` on."""
    h = g.h
    for step in range(h.number("hrm.layers_per_stack")):
        il = slot + step
        w = g.layer(block + step)
        residual = cur
        cur = g.build_norm(cur, None, None, "LLM_NORM_RMS", il)
        gate = g.build_lora_mm(w.attn_gate, cur)
        q, k, v = g.build_qkv(w, cur, h.head_k(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp, None, None, q, k, v, il)
        cur = g.mul(cur, g.sigmoid(gate))
        cur = g.add(g.build_lora_mm(w.attn_output, cur, w.attn_output_s), residual)
        residual = cur
        cur = g.build_norm(cur, None, None, "LLM_NORM_RMS", il)
        cur = g.add(silu(g, w, cur, il), residual)
    return g.build_norm(cur, None, None, "LLM_NORM_RMS", slot)
