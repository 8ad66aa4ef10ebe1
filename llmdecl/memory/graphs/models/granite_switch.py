"""graniteswitch: adapters chosen token by token (src/models/granite-switch.cpp)."""

from llmdecl.memory.ggml.tensor import F32, I32, Tensor
from llmdecl.memory.graphs.caches import KvCache, Memory
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention, Layer
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.granite_hybrid import has_rope
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters


def hparams(h: HParams) -> None:
    """`load_arch_hparams`: one more block, behind the others, that only routes."""
    h.n_layer_all += 1
    h.n_layer_nextn = 1
    h.n_head_arr.append(1)
    h.n_head_kv_arr.append(1)
    h.n_ff_arr.append(0)
    h.is_swa.append(False)
    h.is_recr.append(False)
    h.marks = [False] * h.n_layer_all


def memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """A cache for the router too."""
    return Memory(kv=KvCache(h, run, site, run.n_ctx_seq, tuple(range(h.n_layer_all))))


def graph(g: Context) -> None:
    """`llama_model_granite_switch::graph`."""
    h, n = g.h, g.n_tokens
    substitutes = g.input(I32, n, name="sub_tokens")
    signals = [g.input(F32, n, name=name) for name in ("router_q", "router_ksig", "router_vval")]
    cur = g.get_rows(g.tok_embd(), substitutes)
    if h.f_embedding_scale:
        cur = g.scale(cur)
    inp_pos = g.build_inp_pos() if has_rope(g) else None
    inp_attn = g.build_attn_inp_kv()
    q, k, v = (g.pad(g.reshape(signal, 1, 1, n), h.head_v() - 1) for signal in signals)
    routed = g.build_attn(inp_attn, None, None, q, k, v, g.n_layer)
    slots = g.reshape(g.cont(g.view_2d(routed, 1, n, routed.nb[1])), n)
    ids = g.cast(g.round(g.clamp(slots)), I32)
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        cur = _attention(g, w, inp_attn, inp_pos, cur, ids, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        if il == g.n_layer - 1:
            ids = g.get_rows(g.reshape(ids, 1, ids.ne[0]), out_ids)
            ids = g.reshape(ids, out_ids.ne[0])
        cur = _feed_forward(g, w, cur, residual, ids, il)
    output(g, cur, scaled=True)


def _delta(g: Context, w: Layer, name: str, cur: Tensor, ids: Tensor) -> Tensor:
    """`build_switched_lora_delta`."""
    tokens = cur.ne[1]
    x = g.reshape(cur, cur.ne[0], 1, tokens)
    rows = g.reshape(ids, 1, tokens)
    a = g.mul_mat_id(w(f"{name}.lora_a"), x, rows)
    d = g.mul_mat_id(w(f"{name}.lora_b"), a, rows)
    return g.reshape(d, d.ne[0], tokens)


def _switched(g: Context, w: Layer, name: str, cur: Tensor, ids: Tensor) -> Tensor:
    """`build_switched_lora_mm`."""
    base = g.mul_mat(w(f"{name}.weight"), cur)
    return g.add(base, _delta(g, w, name, cur, ids))


def _attention(
    g: Context, w: Layer, inp: Attention, inp_pos: Tensor | None, cur: Tensor, ids: Tensor, il: int
) -> Tensor:
    h = g.h
    qkv = g.mul_mat(w("attn_qkv.weight"), cur)
    head, parts = h.head_v(), []
    for name, heads in (
        ("attn_q", h.n_head(il)),
        ("attn_k", h.n_head_kv(il)),
        ("attn_v", h.n_head_kv(il)),
    ):
        part = g.cont(g.view_2d(qkv, head * heads, qkv.ne[1], qkv.nb[1]))
        part = g.add(part, _delta(g, w, name, cur, ids))
        parts.append(g.reshape(part, head, heads, g.n_tokens))
    q, k, v = parts
    if inp_pos is not None:
        factors = g.rope_factors(il)
        q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
    cur = g.build_attn(inp, None, None, q, k, v, il)
    return _switched(g, w, "attn_output", cur, ids)


def _feed_forward(
    g: Context, w: Layer, cur: Tensor, residual: Tensor, ids: Tensor, il: int
) -> Tensor:
    scaled = g.h.real("residual_scale") != 0
    if scaled:
        cur = g.scale(cur)
    ffn_inp = g.add(cur, residual)
    cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
    gate = _switched(g, w, "ffn_gate", cur, ids)
    up = _switched(g, w, "ffn_up", cur, ids)
    cur = _switched(g, w, "ffn_down", g.mul(g.silu(gate), up), ids)
    if scaled:
        cur = g.scale(cur)
    return g.add(cur, ffn_inp)
