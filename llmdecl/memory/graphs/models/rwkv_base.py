"""What RWKV models share (`build_rwkv_token_shift_load`, src/llama-graph.cpp:3585)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import silu, wanted
from llmdecl.memory.graphs.models.mamba_base import RecurrentInput


def hparams(h: HParams) -> None:
    """States: the last tokens, and one matrix a head (src/llama-hparams.cpp:208)."""
    h.n_embd_r = h.number("token_shift_count", 2) * h.n_embd
    h.n_embd_s = h.n_embd * h.number("wkv.head_size")
    every = h.number("rescale_every_n_layers")
    h.marks = [every > 0 and (il + 1) % every == 0 for il in range(h.n_layer_all)]


def shift_load(g: Context, inp: RecurrentInput, il: int) -> Tensor:
    """`build_rwkv_token_shift_load`."""
    shift = g.build_rs(inp, g.states().get(0, il), g.h.n_embd_r, g.n_seqs)
    return g.reshape(shift, g.n_embd, g.h.n_embd_r // g.n_embd, g.n_seqs)


def shift_store(g: Context, shift: Tensor, il: int) -> Tensor:
    """`build_rwkv_token_shift_store`."""
    count = g.h.n_embd_r * g.n_seqs
    return g.cpy(g.view_1d(shift, count), g.view_1d(g.states().get(0, il), count))


def previous(g: Context, shift: Tensor, normed: Tensor) -> Tensor:
    """The token before each token."""
    part = g.view_3d(normed, g.n_embd, g.n_seq_tokens - 1, g.n_seqs, normed.nb[1], normed.nb[2])
    return g.concat(shift, part, 1)


def last(g: Context, normed: Tensor) -> Tensor:
    """The last token of each sequence."""
    return g.view_3d(normed, g.n_embd, 1, g.n_seqs, normed.nb[1], normed.nb[2])


def store_wkv(g: Context, out: Tensor, il: int) -> Tensor:
    """The outputs of an operation whose states are stored behind them."""
    h = g.h
    cur = g.view_1d(out, h.n_embd * g.n_tokens)
    count = h.n_embd_s * g.n_seqs
    g.expand(g.cpy(g.view_1d(out, count), g.view_1d(g.states().get(1, il), count)))
    return cur


def dense_ffn(g: Context, cur: Tensor, before: Tensor, out_ids: Tensor, il: int) -> Tensor:
    """The second half of a block that is a transformer's."""
    w = g.layer(il)
    ffn_inp = g.add(cur, before)
    cur = g.reshape(cur, g.n_embd, g.n_tokens)
    ffn_inp = g.reshape(ffn_inp, g.n_embd, g.n_tokens)
    cur, ffn_inp = wanted(g, il, out_ids, cur, ffn_inp)
    cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
    return g.add(silu(g, w, cur, il), ffn_inp)


def finish(g: Context, cur: Tensor, kind: str) -> None:
    """The last norm, whose bias any kind of it may have, and the logits."""
    bias = g.weight("output_norm.bias")
    cur = g.build_norm(cur, g.weight("output_norm.weight"), bias, kind, -1)
    g.t_embd = cur
    cur = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    g.t_logits = cur
    g.expand(cur)
