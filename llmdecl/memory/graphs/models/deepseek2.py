"""deepseek2: DeepSeek V2 and V3, Kimi K2, GLM 4.7 Flash and others (src/models/deepseek2.cpp)."""

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.ggml.tensor import F32, Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention, Layer
from llmdecl.memory.graphs.models.common import wanted
from llmdecl.memory.graphs.models.routed import experts_or_dense, gating

GLM_LAYERS = (47, 48)
GLM_VOCABULARY = 154880


def _gating(h: HParams) -> str:
    """Old files do not say how (src/models/deepseek2.cpp:26)."""
    glm = h.n_layer in GLM_LAYERS and h.n_vocab == GLM_VOCABULARY
    return gating(h, "SIGMOID" if glm else "SOFTMAX")


def graph(g: Context) -> None:
    """`llama_model_deepseek2::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    scale = g.build_inp_attn_scale() if h.real("attention.temperature_scale") else None
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_k() if h.is_mla else g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        if h.arch == "deepseek2-ocr":
            heads = h.n_head()
            q, k, v = g.build_qkv(w, cur, h.n_embd // heads, heads, heads, il)
            q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
            cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        else:
            cur = _attention(g, w, inp_attn, cur, inp_pos, scale, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = experts_or_dense(g, w, cur, il, how=_gating(h), fused=True)
        cur = g.add(cur, ffn_inp)
    finish(g, cur)


def finish(g: Context, cur: Tensor) -> None:
    """The last norm, which a draft reads as well, and the logits."""
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_h_nextn = g.t_embd = cur
    g.t_logits = g.mul_mat(g.output(), cur)
    g.expand(g.t_logits)


def low_rank_q(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    """Queries through a narrow matrix, where the file has one."""
    if w.attn_q is not None:
        return g.mul_mat(w.attn_q, cur)
    q = g.build_norm(g.mul_mat(w.attn_q_a, cur), w.attn_q_a_norm, None, "LLM_NORM_RMS", il)
    return g.mul_mat(w.attn_q_b, q)


def compressed_kv(g: Context, w: Layer, cur: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values in one, and the part of the keys that positions rotate."""
    rank, rotated = g.h.number("attention.kv_lora_rank"), g.h.n_rot()
    both = g.mul_mat(w.attn_kv_a_mqa, cur)
    row = row_size(F32, rank + rotated)
    kv = g.view_2d(both, rank, g.n_tokens, row)
    return kv, g.view_3d(both, rotated, 1, g.n_tokens, row, row)


def absorbed(g: Context, w: Layer, q_nope: Tensor) -> Tensor:
    """Queries as wide as the compressed keys."""
    return g.permute(g.mul_mat(w.attn_k_b, g.permute(q_nope, 0, 2, 1, 3)), 0, 2, 1, 3)


def _attention(
    g: Context,
    w: Layer,
    inp: Attention,
    cur: Tensor,
    inp_pos: Tensor,
    scale: Tensor | None,
    il: int,
) -> Tensor:
    h, n, heads = g.h, g.n_tokens, g.h.n_head()
    head_k = h.head_k_mla if h.is_mla else h.head_k()
    head_v = h.head_v_mla if h.is_mla else h.head_v()
    rotated = h.n_rot()
    plain = head_k - rotated
    q = g.reshape(low_rank_q(g, w, cur, il), head_k, heads, n)
    kv, k_pe = compressed_kv(g, w, cur)
    k_pe = g.rope(k_pe, inp_pos)
    kv = g.build_norm(kv, w.attn_kv_a_norm, None, "LLM_NORM_RMS", il)
    if h.is_mla:
        q_nope = g.view_3d(q, plain, heads, n, q.nb[1], q.nb[2])
        q_pe = g.rope(g.view_3d(q, rotated, heads, n, q.nb[1], q.nb[2]), inp_pos)
        q = g.concat(absorbed(g, w, q_nope), q_pe, 0)
        v = g.reshape(kv, kv.ne[0], 1, n)
        k = g.concat(v, k_pe, 0)
        if scale is not None:
            q = g.mul(q, scale)
        return g.build_attn(
            inp, w.attn_output, None, q, k, v, il, v_mla=w.attn_v_b, wo_s=w.attn_output_s
        )
    both = g.mul_mat(w.attn_kv_b, kv)
    row = row_size(F32, plain + head_v)
    k_nope = g.view_3d(both, plain, heads, n, row, row * heads)
    v = g.cont(g.view_3d(both, head_v, heads, n, row, row * heads))
    q = g.rope(q, inp_pos)
    k = g.concat(k_nope, g.repeat_4d(k_pe, rotated, heads, n, 1), 0)
    if scale is not None:
        q = g.mul(q, scale)
    return g.build_attn(inp, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
