"""Every architecture whose graph is known: what it reads, keeps and computes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from llmdecl.memory.graphs.caches import Memory, attention, hybrid, recurrent
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models import (
    afmoe,
    apertus,
    arcee,
    arctic,
    baichuan,
    bailingmoe,
    bailingmoe2,
    bailingmoe3,
    bert,
    bitnet,
    bloom,
    chameleon,
    chatglm,
    codeshell,
    cogvlm,
    cohere2,
    cohere2moe,
    dbrx,
    deci,
    deepseek,
    deepseek2,
    deepseek4,
    deepseek32,
    dots1,
    dots3note,
    dream,
    ernie4_5,
    ernie4_5_moe,
    exaone,
    exaone4,
    exaone_moe,
    falcon,
    falcon_h1,
    gemma,
    gemma2,
    gemma3,
    gemma3n,
    gemma4,
    gemma_embedding,
    glm4,
    glm4_moe,
    glm5_next,
    glm_dsa,
    gpt2,
    gptneox,
    granite,
    granite_hybrid,
    granite_switch,
    grok,
    grovemoe,
    hrm_text,
    hunyuan_moe,
    hunyuan_vl,
    hy_v3,
    hy_v4,
    hyper,
    internlm2,
    jais,
    jais2,
    jamba,
    kimi_k3,
    kimi_linear,
    laguna,
    lfm2,
    llada,
    llada_moe,
    llama,
    llama4,
    maincoder,
    mamba,
    mamba_base,
    maple,
    mellum,
    mimo2,
    minicpm,
    minicpm3,
    minimax_01,
    minimax_m2,
    minimax_m3,
    mistral3,
    modern_bert,
    mpt,
    muse_glimmer,
    nanbeige,
    nemotron,
    nemotron_h,
    olmo,
    olmo2,
    olmoe,
    openai_moe,
    openelm,
    orion,
    paddleocr,
    pangu_embed,
    phi2,
    phi3,
    plamo,
    plamo2,
    plamo3,
    pockettts,
    qwen,
    qwen2,
    qwen2moe,
    qwen2vl,
    qwen3,
    qwen3moe,
    qwen3next,
    qwen3vl,
    qwen35,
    refact,
    rnd1,
    routed,
    rwkv6,
    rwkv7,
    rwkv_base,
    seed_oss,
    smallthinker,
    smollm3,
    spark2_5,
    stablelm,
    starcoder,
    starcoder2,
    step35,
    t5,
    talkie,
    wavtokenizer_dec,
    xverse,
)
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters


def _nothing(h: HParams) -> None:
    """The architecture reads no more than all do."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """`hparams` adds what only this one reads (`load_arch_hparams`), `memory` makes its caches
    (`create_memory`; `None`: it keeps nothing), `graph` builds its graph (`build_arch_graph`).

    `unused` says which tensors of the file are not loaded, beside those of nextn blocks.
    """

    graph: Callable[[Context], None]
    hparams: Callable[[HParams], None] = _nothing
    memory: Callable[[HParams, RunParameters, Site], Memory] = attention
    unused: Callable[[HParams, str], bool] = lambda _h, _name: False
    looped: bool = False
    """The graph depends on the number of blocks beyond their kinds: none may be left out."""
    probes: tuple[str, ...] = ()
    """Fused operations that are used if every block's device computes them, in order."""


def no_memory(_h: HParams, _run: RunParameters, _site: Site) -> Memory:
    """Encoders keep nothing."""
    return Memory()


def general_hparams(h: HParams) -> None:
    """An architecture that is not in the table: states wherever the header speaks of some."""
    if h.ssm_d_inner:
        h.mamba_state()
        h.is_recr = [True] * h.n_layer_all


def general_memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """Caches in every block: a bound."""
    return hybrid(h, run, site, lambda _il: True) if any(h.is_recr) else attention(h, run, site)


def _no_graph(_g: Context) -> None:
    """Nothing is known of it."""


UNKNOWN = Architecture(_no_graph, general_hparams, general_memory)
"""Any other architecture: general rules, nothing exact but its weights."""

ARCHITECTURES: Mapping[str, Architecture] = {
    "afmoe": Architecture(afmoe.graph, afmoe.hparams),
    "apertus": Architecture(apertus.graph),
    "arcee": Architecture(arcee.graph),
    "arctic": Architecture(arctic.graph),
    "arwkv7": Architecture(rwkv7.graph_qwen2, rwkv_base.hparams, recurrent),
    "baichuan": Architecture(baichuan.graph),
    "bailingmoe": Architecture(bailingmoe.graph),
    "bailingmoe2": Architecture(bailingmoe2.graph),
    "bailingmoe3": Architecture(bailingmoe3.graph, bailingmoe3.hparams, hybrid),
    "bert": Architecture(bert.graph, memory=no_memory),
    "bitnet": Architecture(bitnet.graph, unused=bitnet.unused),
    "bloom": Architecture(bloom.graph),
    "chameleon": Architecture(chameleon.graph),
    "chatglm": Architecture(chatglm.graph),
    "codeshell": Architecture(codeshell.graph),
    "cogvlm": Architecture(cogvlm.graph),
    "cohere2": Architecture(cohere2.graph, cohere2.hparams),
    "cohere2moe": Architecture(cohere2moe.graph, cohere2moe.hparams),
    "command-r": Architecture(cohere2.graph),
    "dbrx": Architecture(dbrx.graph),
    "deci": Architecture(deci.graph),
    "deepseek": Architecture(deepseek.graph),
    "deepseek2": Architecture(deepseek2.graph),
    "deepseek2-ocr": Architecture(deepseek2.graph),
    "deepseek32": Architecture(deepseek32.graph, memory=deepseek32.memory, looped=True),
    "deepseek4": Architecture(
        deepseek4.graph, deepseek4.hparams, deepseek4.memory, looped=True, probes=hyper.PROBES
    ),
    "dots1": Architecture(dots1.graph),
    "dots3note": Architecture(dots3note.graph, dots3note.hparams, dots3note.memory, looped=True),
    "dream": Architecture(dream.graph, llada.hparams, no_memory),
    "ernie4_5": Architecture(ernie4_5.graph),
    "ernie4_5-moe": Architecture(ernie4_5_moe.graph, ernie4_5_moe.hparams),
    "eurobert": Architecture(modern_bert.graph, memory=no_memory),
    "exaone": Architecture(exaone.graph),
    "exaone-moe": Architecture(exaone_moe.graph, exaone_moe.hparams),
    "exaone4": Architecture(exaone4.graph, exaone4.hparams),
    "falcon": Architecture(falcon.graph),
    "falcon-h1": Architecture(falcon_h1.graph, falcon_h1.hparams, falcon_h1.memory),
    "gemma": Architecture(gemma.graph),
    "gemma-embedding": Architecture(gemma_embedding.graph, gemma_embedding.hparams, no_memory),
    "gemma2": Architecture(gemma2.graph, gemma2.hparams),
    "gemma3": Architecture(gemma3.graph, gemma3.hparams),
    "gemma3n": Architecture(gemma3n.graph, gemma3n.hparams, looped=True),
    "gemma4": Architecture(gemma4.graph, gemma4.hparams, looped=True),
    "glm-dsa": Architecture(glm_dsa.graph, glm_dsa.hparams, glm_dsa.memory, looped=True),
    "glm4": Architecture(glm4.graph, routed.mrope),
    "glm4moe": Architecture(glm4_moe.graph, routed.mrope),
    "glm5-next": Architecture(
        glm5_next.graph, glm5_next.hparams, glm5_next.memory, looped=True, probes=hyper.PROBES
    ),
    "gpt-oss": Architecture(openai_moe.graph, openai_moe.hparams),
    "gpt2": Architecture(gpt2.graph),
    "gptneox": Architecture(gptneox.graph),
    "granite": Architecture(granite.graph, granite.hparams),
    "granite_swa": Architecture(granite.graph, granite.hparams),
    "granitehybrid": Architecture(granite_hybrid.graph, mamba_base.recurrent_without_heads, hybrid),
    "granitemoe": Architecture(granite.graph, granite.hparams),
    "graniteswitch": Architecture(
        granite_switch.graph, granite_switch.hparams, granite_switch.memory
    ),
    "grok": Architecture(grok.graph, grok.hparams),
    "grovemoe": Architecture(grovemoe.graph),
    "hrm_text": Architecture(hrm_text.graph, looped=True),
    "hunyuan-dense": Architecture(hunyuan_vl.graph),
    "hunyuan-moe": Architecture(hunyuan_moe.graph),
    "hunyuan_vl": Architecture(hunyuan_vl.graph, routed.mrope),
    "hy_v3": Architecture(hy_v3.graph),
    "hy_v4": Architecture(hy_v4.graph, hy_v4.hparams, hy_v4.memory, looped=True),
    "internlm2": Architecture(internlm2.graph),
    "jais": Architecture(jais.graph),
    "jais2": Architecture(jais2.graph),
    "jamba": Architecture(jamba.graph, mamba_base.recurrent_without_heads, hybrid),
    "jina-bert-v2": Architecture(bert.graph, memory=no_memory),
    "jina-bert-v3": Architecture(bert.graph, memory=no_memory),
    "kimi-k3": Architecture(kimi_k3.graph, kimi_k3.hparams, hybrid, looped=True),
    "kimi-linear": Architecture(kimi_linear.graph, kimi_linear.hparams, hybrid),
    "laguna": Architecture(laguna.graph, laguna.hparams),
    "lfm2": Architecture(lfm2.graph, lfm2.hparams, hybrid),
    "lfm2moe": Architecture(lfm2.graph, lfm2.hparams, hybrid),
    "llada": Architecture(llada.graph, llada.hparams, no_memory),
    "llada-moe": Architecture(llada_moe.graph, llada.hparams, no_memory),
    "llama": Architecture(llama.graph),
    "llama-embed": Architecture(partial(llama.graph, embed=True)),
    "llama4": Architecture(llama4.graph, llama4.hparams),
    "maincoder": Architecture(maincoder.graph),
    "mamba": Architecture(mamba.graph, mamba_base.hparams, recurrent),
    "mamba2": Architecture(mamba.graph, mamba_base.hparams, recurrent),
    "maple": Architecture(maple.graph, maple.hparams),
    "mellum": Architecture(mellum.graph, mellum.hparams),
    "mimo2": Architecture(mimo2.graph, mimo2.hparams),
    "minicpm": Architecture(minicpm.graph, minicpm.hparams),
    "minicpm3": Architecture(minicpm3.graph),
    "minimax-01": Architecture(minimax_01.graph, minimax_01.hparams, hybrid),
    "minimax-m2": Architecture(minimax_m2.graph),
    "minimax-m3": Architecture(minimax_m3.graph, memory=minimax_m3.memory, looped=True),
    "mistral3": Architecture(mistral3.graph),
    "mistral4": Architecture(deepseek2.graph),
    "modern-bert": Architecture(modern_bert.graph, modern_bert.hparams, no_memory),
    "mpt": Architecture(mpt.graph),
    "muse-glimmer": Architecture(muse_glimmer.graph, muse_glimmer.hparams),
    "nanbeige": Architecture(nanbeige.graph, nanbeige.hparams, looped=True),
    "nemotron": Architecture(nemotron.graph),
    "nemotron_h": Architecture(nemotron_h.graph, nemotron_h.hparams, nemotron_h.memory),
    "nemotron_h_moe": Architecture(nemotron_h.graph, nemotron_h.hparams, nemotron_h.memory),
    "neo-bert": Architecture(modern_bert.graph, memory=no_memory),
    "nomic-bert": Architecture(bert.graph, memory=no_memory),
    "nomic-bert-moe": Architecture(bert.graph, memory=no_memory),
    "olmo": Architecture(olmo.graph),
    "olmo2": Architecture(olmo2.graph, olmo2.hparams),
    "olmoe": Architecture(olmoe.graph),
    "openelm": Architecture(openelm.graph),
    "orion": Architecture(orion.graph),
    "paddleocr": Architecture(paddleocr.graph, paddleocr.hparams),
    "pangu-embedded": Architecture(pangu_embed.graph),
    "phi2": Architecture(phi2.graph),
    "phi3": Architecture(phi3.graph),
    "phimoe": Architecture(phi3.graph),
    "plamo": Architecture(plamo.graph),
    "plamo2": Architecture(plamo2.graph, mamba_base.recurrent_without_heads, hybrid),
    "plamo3": Architecture(plamo3.graph, plamo3.hparams),
    "pockettts": Architecture(pockettts.graph),
    "qwen": Architecture(qwen.graph),
    "qwen2": Architecture(qwen2.graph),
    "qwen2moe": Architecture(qwen2moe.graph),
    "qwen2vl": Architecture(qwen2.graph, qwen2vl.hparams),
    "qwen3": Architecture(qwen3.graph),
    "qwen35": Architecture(qwen35.graph, qwen35.hparams, hybrid),
    "qwen35moe": Architecture(qwen35.graph, qwen35.hparams, hybrid),
    "qwen3moe": Architecture(qwen3moe.graph),
    "qwen3next": Architecture(qwen3next.graph, qwen3next.hparams, hybrid),
    "qwen3tts": Architecture(qwen3vl.graph, qwen3vl.hparams),
    "qwen3vl": Architecture(qwen3vl.graph, qwen3vl.hparams),
    "qwen3vlmoe": Architecture(qwen3vl.graph, qwen3vl.hparams),
    "refact": Architecture(refact.graph),
    "rnd1": Architecture(rnd1.graph, llada.hparams, no_memory),
    "rwkv6": Architecture(rwkv6.graph, rwkv_base.hparams, recurrent),
    "rwkv6qwen2": Architecture(rwkv6.graph_qwen2, rwkv_base.hparams, recurrent),
    "rwkv7": Architecture(rwkv7.graph, rwkv_base.hparams, recurrent),
    "seed_oss": Architecture(seed_oss.graph),
    "smallthinker": Architecture(smallthinker.graph, smallthinker.hparams),
    "smollm3": Architecture(smollm3.graph, smollm3.hparams),
    "spark2_5": Architecture(spark2_5.graph, spark2_5.hparams),
    "stablelm": Architecture(stablelm.graph),
    "starcoder": Architecture(starcoder.graph),
    "starcoder2": Architecture(starcoder2.graph),
    "step35": Architecture(step35.graph, step35.hparams),
    "t5": Architecture(t5.graph, looped=True),
    "t5encoder": Architecture(t5.graph_encoder),
    "talkie": Architecture(talkie.graph),
    "wavtokenizer-dec": Architecture(wavtokenizer_dec.graph, memory=no_memory, looped=True),
    "xverse": Architecture(xverse.graph),
}
"""By `general.architecture`."""
