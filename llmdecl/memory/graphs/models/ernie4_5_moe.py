"""ernie4_5-moe (src/models/ernie4-5-moe.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.common import shared_expert, silu
from llmdecl.memory.graphs.models.decoder import decoder
from llmdecl.memory.graphs.models.routed import experts


def hparams(h: HParams) -> None:
    """Which blocks have experts."""
    step = h.number("interleave_moe_layer_step", 1)
    h.marks = [il >= h.n_layer_dense_lead and (il + 1) % step == 0 for il in range(h.n_layer_all)]


def graph(g: Context) -> None:
    """`llama_model_ernie4_5_moe::graph`."""
    decoder(g, _ffn)


def _ffn(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    if not g.h.marks[il]:
        return silu(g, w, cur, il)
    moe_out = experts(g, w, cur, il, norm_w=True, biased=True)
    if not g.h.n_ff_shexp:
        return moe_out
    return g.add(moe_out, shared_expert(g, w, cur, il, scaled=False))
