"""wavtokenizer-dec: convolutions that turn codes into sound (src/models/wavtokenizer-dec.cpp)."""

from llmdecl.memory.ggml.tensor import F16, F32, Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Layer

ATTENDS, NORMS = 2, 5
"""Blocks of the position network that are no residual convolution."""


def _convolved(g: Context, w: Layer, name: str, cur: Tensor) -> Tensor:
    """`ggml_conv_1d_ph` and its bias."""
    kernel = w(f"{name}.weight")
    kind = F32 if kernel.type.name == "BF16" else F16
    patches = g.im2col(kernel, cur, kernel.ne[0] // 2, kind)
    product = g.mul_mat(
        g.reshape(patches, patches.ne[0], patches.ne[2] * patches.ne[1]),
        g.reshape(kernel, kernel.ne[0] * kernel.ne[1], kernel.ne[2]),
    )
    product = g.reshape(product, patches.ne[1], kernel.ne[2], patches.ne[2])
    return g.add(product, w(f"{name}.bias"))


def _depthwise(g: Context, w: Layer, cur: Tensor) -> Tensor:
    """`ggml_conv_1d_dw_ph` and its bias."""
    kernel = w("dw.weight")
    kind = F32 if kernel.type.name == "BF16" else F16
    flat = g.reshape(cur, cur.ne[0], 1, cur.ne[1], cur.ne[2])
    product = g.mul_mat(g.im2col(kernel, flat, kernel.ne[0] // 2, kind), kernel)
    product = g.reshape(product, product.ne[0], product.ne[2], 1)
    return g.add(product, w("dw.bias"))


def _norm(g: Context, w: Layer, name: str, cur: Tensor) -> Tensor:
    return g.build_norm(cur, w(f"{name}.weight"), w(f"{name}.bias"), "LLM_NORM_GROUP", 0)


def _turned(g: Context, cur: Tensor) -> Tensor:
    return g.cont(g.transpose(cur))


def graph(g: Context) -> None:
    """`llama_model_wavtokenizer_dec::graph`."""
    h = g.h
    cur = _turned(g, g.build_inp_embd())
    cur = _convolved(g, Layer(g, "", 0), "conv1d", cur)
    for il in range(h.number("posnet.block_count")):
        w = g.layer(il, "posnet")
        before = cur
        if il == NORMS:
            cur = _norm(g, w, "attn_norm", cur)
        elif il == ATTENDS:
            cur = g.add(_attention(g, w, _norm(g, w, "attn_norm", cur)), before)
        else:
            for part in "12":
                cur = _norm(g, w, f"norm{part}", cur)
                cur = g.mul(g.sigmoid(cur), cur)
                cur = _convolved(g, w, f"conv{part}", cur)
            cur = g.add(cur, before)
    cur = _turned(g, cur)
    norm, bias = g.weight("token_embd_norm.weight"), g.weight("token_embd_norm.bias")
    before = _turned(g, g.build_norm(cur, norm, bias, "LLM_NORM", 0))
    for il in range(h.number("convnext.block_count")):
        w = g.layer(il, "convnext")
        cur = _turned(g, _depthwise(g, w, before))
        cur = g.build_norm(cur, w.norm, w("norm.bias"), "LLM_NORM", -1)
        cur = g.build_ffn(
            cur, w.pw1, w("pw1.bias"), None, None, w.pw2, w("pw2.bias"), "GELU", il, parallel=False
        )
        before = g.add(_turned(g, g.mul(cur, w.gamma)), before)
    norm, bias = g.weight("output_norm.weight"), g.weight("output_norm.bias")
    cur = g.build_norm(_turned(g, before), norm, bias, "LLM_NORM", -1)
    cur = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    cur = g.add(cur, g.weight("output.bias"))
    g.t_embd = cur
    g.expand(cur)


def _attention(g: Context, w: Layer, cur: Tensor) -> Tensor:
    q, k, v = (_convolved(g, w, name, cur) for name in ("attn_q", "attn_k", "attn_v"))
    kq = g.soft_max(g.mul_mat(_turned(g, k), _turned(g, q)))
    return _convolved(g, w, "attn_output", g.mul_mat(kq, v))
