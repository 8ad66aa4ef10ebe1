"""granite, granitemoe and granite_swa (src/models/granite.cpp, granite-swa.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.granite_hybrid import has_rope, layer_ffn


def hparams(h: HParams) -> None:
    """`load_arch_hparams`: blocks that embeddings of images are added to, and windows."""
    if h.arch == "granitemoe":
        return
    depths = _depths(h)
    h.n_deepstack_layers = len({depth for depth in depths if depth >= 0})
    h.n_embd_inp = h.n_embd * (1 + h.n_deepstack_layers)
    h.marks = [il > 0 and depth >= 0 for il, depth in enumerate(depths)]
    if h.arch == "granite_swa":
        h.window(1)
        ropes = h.get("attention.rope_pattern")
        if isinstance(ropes, tuple):
            h.marks = [(mark, bool(rope)) for mark, rope in zip(h.marks, ropes, strict=False)]


def _depths(h: HParams) -> list[int]:
    given = h.get("deepstack_mapping")
    found = [v if isinstance(v, int) else -1 for v in given] if isinstance(given, tuple) else []
    return (found + [-1] * h.n_layer_all)[: h.n_layer_all]


def _rotates(g: Context, il: int) -> bool:
    ropes = g.h.get("attention.rope_pattern") if g.arch == "granite_swa" else None
    if isinstance(ropes, tuple):
        return il >= len(ropes) or bool(ropes[il])
    return g.arch in ("granitemoe", "granite_swa") or has_rope(g)


def graph(g: Context) -> None:
    """`llama_model_granite::graph` and `llama_model_granite_swa::graph`."""
    cur = g.build_inp_embd()
    inp_embd = g.t_inp_embd
    assert inp_embd is not None
    windowed = g.arch == "granite_swa"
    inp_pos = g.build_inp_pos() if windowed or _rotates(g, 0) else None
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    depths = _depths(g.h) if g.arch != "granitemoe" else [-1] * g.h.n_layer_all
    for il in g.keep:
        if il > 0 and depths[il] >= 0:
            cur = g.add(cur, g.view_2d(inp_embd, g.n_embd, g.n_tokens, inp_embd.nb[1]))
        residual = cur
        cur = g.build_norm(cur, g.layer(il).attn_norm, None, "LLM_NORM_RMS", il)
        cur = _attention(g, inp_attn, inp_pos, cur, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        cur = layer_ffn(g, cur, residual, il, fused=windowed)
    output(g, cur, scaled=True)


def _attention(g: Context, inp: Attention, inp_pos: Tensor | None, cur: Tensor, il: int) -> Tensor:
    h, w = g.h, g.layer(il)
    q, k, v = g.build_qkv(w, cur, h.head_v_full, h.n_head(il), h.n_head_kv(il), il)
    if inp_pos is not None and _rotates(g, il):
        factors = g.rope_factors(il)
        q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
    sinks = w.attn_sinks if g.arch == "granite_swa" else None
    return g.build_attn(
        inp, w.attn_output, w.attn_output_b, q, k, v, il, sinks=sinks, wo_s=w.attn_output_s
    )
