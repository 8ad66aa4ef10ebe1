"""hunyuan_vl and hunyuan-dense (src/models/hunyuan-vl.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import decoder


def graph(g: Context) -> None:
    """`llama_model_hunyuan_vl::graph`."""
    decoder(g, factors=True, qk_norm="after", wo_b=True)
