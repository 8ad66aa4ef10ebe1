"""Hyper-connections: several residual streams, mixed by fused operations (DeepSeek V4, GLM 5 Next).

`build_hc_pre`, `build_hc_post` and `build_hc_sinkhorn` of src/models/deepseek4.cpp.
"""

from llmdecl.memory.ggml.tensor import F32, Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Layer

PRE, COMB, POST = "DSV4_HC_PRE", "DSV4_HC_COMB", "DSV4_HC_POST"

PROBES = (PRE, COMB, POST)
"""Used if every block's device computes them, in this order."""


def affine(g: Context, x: Tensor, scale: Tensor, base: Tensor) -> Tensor:
    """`dsv4_hc_affine`."""
    return g.add(g.mul(x, scale), base)


def weighted_sum(g: Context, x: Tensor, weights: Tensor, il: int) -> Tensor:
    """One row of all streams; `il` of -1 is never fused."""
    n_embd, hc, nt, _ = x.ne
    if il >= 0 and PRE not in g.unfused:
        fused = g.of_shape(PRE, (n_embd, nt), x, weights)
        g.fused.append((PRE, fused, il))
        return fused
    result: Tensor | None = None
    for _ in range(hc):
        row = g.view_2d(x, n_embd, nt, x.nb[2])
        cur = g.mul(row, g.view_2d(weights, 1, nt, weights.nb[1]))
        result = cur if result is None else g.add(result, cur)
    assert result is not None
    return result


def hc_pre(g: Context, x: Tensor, w: Layer, part: str, il: int) -> tuple[Tensor, Tensor, Tensor]:
    """One row of all streams, and how it returns to these: `post` and `comb`."""
    hc, nt = x.ne[1], x.ne[2]
    fn, scale, base = (w(f"hc_{part}_{name}.weight") for name in ("fn", "scale", "base"))
    mixes = g.mul_mat(fn, g.rms_norm(g.reshape(x, hc * x.ne[0], nt)))
    pre = g.view_2d(mixes, hc, nt, mixes.nb[1])
    pre = affine(g, pre, g.view_1d(scale, 1), g.view_1d(base, hc))
    pre = g.scale_bias(g.sigmoid(pre))
    post = g.view_2d(mixes, hc, nt, mixes.nb[1])
    post = affine(g, post, g.view_1d(scale, 1), g.view_1d(base, hc))
    post = g.scale(g.sigmoid(post))
    if COMB not in g.unfused:
        comb = g.of_shape(COMB, (hc, hc, nt), mixes, scale, base)
        g.fused.append((COMB, comb, il))
    else:
        comb = g.view_2d(mixes, hc * hc, nt, mixes.nb[1])
        comb = affine(g, comb, g.view_1d(scale, 1), g.view_1d(base, hc * hc))
        comb = _sinkhorn(g, g.reshape(comb, hc, hc, nt))
    return weighted_sum(g, x, pre, il), post, comb


def _sinkhorn(g: Context, comb: Tensor) -> Tensor:
    """Rows and columns are normalised in turn."""
    comb = g.soft_max(comb)
    eps = g.fill(g.new(F32, 1))
    comb = g.add(comb, eps)
    for turn in range(g.h.number("hyper_connection.sinkhorn_iterations")):
        if turn:
            comb = g.div(comb, g.add(g.sum_rows(comb), eps))
        columns = g.add(g.sum_rows(g.cont(g.permute(comb, 1, 0, 2, 3))), eps)
        comb = g.div(comb, g.permute(columns, 1, 0, 2, 3))
    return comb


def hc_post(g: Context, x: Tensor, residual: Tensor, post: Tensor, comb: Tensor, il: int) -> Tensor:
    """All streams with a block's result."""
    n_embd, hc, nt, _ = residual.ne
    if POST not in g.unfused:
        fused = g.of_shape(POST, (n_embd, hc, nt), x, residual, post, comb)
        g.fused.append((POST, fused, il))
        return fused
    out: Tensor | None = None
    for _ in range(hc):
        cur = g.mul(x, g.view_2d(post, 1, nt, post.nb[1]))
        for _ in range(hc):
            row = g.view_2d(residual, n_embd, nt, residual.nb[2])
            cur = g.add(cur, g.mul(row, g.view_2d(comb, 1, nt, comb.nb[2])))
        cur = g.reshape(cur, n_embd, 1, nt)
        out = cur if out is None else g.concat(out, cur, 1)
    assert out is not None
    return out
