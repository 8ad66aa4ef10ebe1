"""gemma3n (src/models/gemma3n.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.common import softcap
from llmdecl.memory.graphs.models.gemma4 import per_layer_inputs, slice_2d

ALTUP = 4
ALTUP_WIDTH = 256
SPARSE_LAYERS = 10


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(5)
    h.output_first = True
    h.n_layer_kv_from_start = 20
    h.marks = [il < SPARSE_LAYERS for il in range(h.n_layer_all)]


def graph(g: Context) -> None:
    """`llama_model_gemma3n::graph`: four residual streams."""
    h, n = g.h, g.n_tokens
    cur = g.scale(g.build_inp_embd())
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    per_layer = per_layer_inputs(g, cur, ALTUP_WIDTH)
    target = _magnitude(g, cur)
    repeated = g.repeat_4d(cur, g.n_embd, n, ALTUP - 1, 1)
    added = g.mul_mat(g.weight("altup_proj.weight"), repeated)
    magnitude = _magnitude(g, added)
    cur = g.concat(cur, g.div(g.mul(added, target), magnitude), 2)
    for il in g.keep:
        w = g.layer(il)
        predictions = _predict(g, w, cur, il)
        active = slice_2d(g, predictions)
        cur = g.build_norm(active, w.attn_norm, None, "LLM_NORM_RMS", il)
        laurel = g.build_lora_mm(w.laurel_r, g.build_lora_mm(w.laurel_l, cur))
        laurel = g.build_norm(laurel, w.laurel_post_norm, None, "LLM_NORM_RMS", il)
        laurel = g.add(laurel, cur)
        head, heads, heads_kv = h.head_k_full, h.n_head(), h.n_head_kv()
        k = v = None
        if h.has_kv(il):
            q, k, v = g.build_qkv(w, cur, head, heads, heads_kv, il)
            q = g.build_norm(q, w.attn_q_norm, None, "LLM_NORM_RMS", il)
            k = g.build_norm(k, w.attn_k_norm, None, "LLM_NORM_RMS", il)
            v = g.rms_norm(v)
            q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        else:
            if (qkv_w := w("attn_qkv.weight")) is not None:
                qkv = g.build_lora_mm(qkv_w, cur)
                q = g.cont(g.view_2d(qkv, head * heads, n, qkv.nb[1]))
            else:
                q = g.build_lora_mm(w.attn_q, cur)
            q = g.reshape(q, head, heads, n)
            q = g.rope(g.build_norm(q, w.attn_q_norm, None, "LLM_NORM_RMS", il), inp_pos)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur = g.build_norm(cur, w.post_attention_norm, None, "LLM_NORM_RMS", il)
        attn_laurel = g.scale(g.add(g.add(cur, active), laurel))
        cur = g.build_norm(attn_laurel, w.ffn_norm, None, "LLM_NORM_RMS", il)
        up, gate = g.build_lora_mm(w.ffn_up, cur), g.build_lora_mm(w.ffn_gate, cur)
        if il < SPARSE_LAYERS:
            gate = _gaussian_topk(g, gate)
        cur = g.build_lora_mm(w.ffn_down, g.mul(up, g.gelu(gate)))
        cur = g.build_norm(cur, w.post_ffw_norm, None, "LLM_NORM_RMS", -1)
        corrected = _correct(g, w, predictions, g.add(cur, attn_laurel), il)
        first = g.mul(slice_2d(g, corrected), w.altup_correct_scale)
        first = g.gelu(g.build_lora_mm(w.inp_gate, first))
        first = g.build_lora_mm(w.proj, g.mul(first, slice_2d(g, per_layer)))
        first = g.build_norm(first, w.post_norm, None, "LLM_NORM_RMS", il)
        cur = g.concat(slice_2d(g, corrected), g.add(_rest(g, corrected), first), 2)
    target = _magnitude(g, slice_2d(g, cur))
    unembd = g.mul_mat(g.weight("altup_unembd_proj.weight"), _rest(g, cur))
    magnitude = _magnitude(g, unembd)
    unembd = g.div(g.mul(unembd, target), magnitude)
    cur = slice_2d(g, cur)
    for _ in range(ALTUP - 1):
        cur = g.add(cur, slice_2d(g, unembd))
    cur = g.get_rows(g.scale(cur), g.build_inp_out_ids())
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    cur = softcap(g, g.build_lora_mm(g.output(), cur, g.weight("output.scale")))
    g.t_logits = cur
    g.expand(cur)


def _magnitude(g: Context, x: Tensor) -> Tensor:
    return g.sqrt(g.sum_rows(g.sqr(x)))


def _rest(g: Context, x: Tensor) -> Tensor:
    return g.view_3d(x, *x.ne[:2], ALTUP - 1, 4 * x.ne[0], 4 * x.ne[0] * x.ne[1])


def _gaussian_topk(g: Context, x: Tensor) -> Tensor:
    mean = g.mean(x)
    std = g.sqrt(g.scale(g.sum_rows(g.sqr(g.sub(x, mean)))))
    return g.relu(g.sub(x, g.add(mean, g.scale(std))))


def _modalities(g: Context, w: Layer, x: Tensor, il: int) -> Tensor:
    router = g.scale(g.build_norm(x, w.altup_router_norm, None, "LLM_NORM_RMS", il))
    return g.tanh(g.mul_mat(w.altup_router, router))


def _predict(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    modalities = _modalities(g, w, slice_2d(g, cur), il)
    coefs = g.reshape(g.build_lora_mm(w.altup_predict_coef, modalities), ALTUP, ALTUP, g.n_tokens)
    permuted = g.cont(g.permute(cur, 1, 2, 0, 3))
    predictions = g.cont(g.permute(g.mul_mat(permuted, coefs), 0, 2, 1, 3))
    return g.add(predictions, cur)


def _correct(g: Context, w: Layer, predictions: Tensor, activated: Tensor, il: int) -> Tensor:
    n = g.n_tokens
    modalities = _modalities(g, w, activated, il)
    innovation = g.sub(activated, slice_2d(g, predictions))
    coefs = g.scale_bias(g.build_lora_mm(w.altup_correct_coef, modalities))
    coefs = g.cont(g.transpose(coefs), 1, n, ALTUP)
    innovation = g.repeat_4d(innovation, g.n_embd, n, ALTUP, 1)
    return g.add(g.mul(innovation, coefs), predictions)
