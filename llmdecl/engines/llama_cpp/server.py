"""llama-server for one model: every decision, then every flag."""

from dataclasses import dataclass

from llmdecl.engines.choice import Choice, Chooser
from llmdecl.engines.flags import FlagTable
from llmdecl.engines.llama_cpp.closed import write_closed
from llmdecl.engines.llama_cpp.companions import (
    DraftChoice,
    LoraChoice,
    MmprojChoice,
    write_draft,
    write_lora,
    write_mmproj,
)
from llmdecl.engines.llama_cpp.computing import Computing, decide_computing, write_computing
from llmdecl.engines.llama_cpp.context import Context, decide_context, write_context
from llmdecl.engines.llama_cpp.dialogue import Dialogue, decide_dialogue, write_dialogue
from llmdecl.engines.llama_cpp.placement import Placing, write_placing
from llmdecl.engines.llama_cpp.positions import Positions, decide_positions, write_positions
from llmdecl.engines.llama_cpp.writer import Lacking, Writer
from llmdecl.facts.model import GgufFacts
from llmdecl.memory.hparams import Shape, shape_of
from llmdecl.memory.model import Pooling, RunParameters
from llmdecl.memory.parameters import run_parameters
from llmdecl.plan.model import LOOPBACK, Root, Setting, Word
from llmdecl.spec.address import address


@dataclass(frozen=True, slots=True)
class Server:
    """Everything that one llama-server is told, each with its reason."""

    name: str
    shape: Shape
    model: Choice[Word]
    socket: str
    port: int | None
    context: Context
    computing: Computing
    positions: Positions
    dialogue: Dialogue
    draft: DraftChoice | None
    mmproj: MmprojChoice | None
    lora: tuple[LoraChoice, ...]


def decide_server(
    pick: Chooser,
    gguf: GgufFacts,
    *,
    model: Choice[Word],
    socket: str,
    port: int | None = None,
    cores: int,
    draft: DraftChoice | None,
    mmproj: MmprojChoice | None,
    lora: tuple[LoraChoice, ...],
) -> Server:
    """All settings of one model. `socket` is a file name in the run folder; `port` is on loopback,
    and takes its place."""
    shape = shape_of(gguf)
    dialogue = decide_dialogue(pick, gguf)
    positions = decide_positions(pick)
    context = decide_context(pick, shape, extended=positions.stretched, embeds=dialogue.embeds)
    computing = decide_computing(
        pick,
        shape,
        cores=cores,
        parallel=context.parallel.value,
        n_ctx=context.ctx_size.value,
        whole_text=_whole_text(dialogue, context, shape),
    )
    return Server(
        name=pick.name,
        shape=shape,
        model=model,
        socket=socket,
        port=port,
        context=context,
        computing=computing,
        positions=positions,
        dialogue=dialogue,
        draft=draft,
        mmproj=mmproj,
        lora=lora,
    )


def _whole_text(dialogue: Dialogue, context: Context, shape: Shape) -> int:
    """llama-server refuses a text longer than one batch, unless it pools the last token of a
    decoder (tools/server/server-context.cpp, `can_split`)."""
    if not dialogue.embeds:
        return 0
    last = dialogue.pooling is not None and dialogue.pooling.value == "last"
    return 512 if last and not shape.encoder else context.n_ctx_slot


def server_parameters(server: Server) -> RunParameters:
    """What llama.cpp will make of the flags, for the memory rules."""
    context, computing = server.context, server.computing
    return run_parameters(
        server.shape,
        ctx_size=context.ctx_size.value,
        parallel=context.parallel.value,
        kv_unified=context.kv_unified.value,
        batch_size=computing.batch_size.value,
        ubatch_size=computing.ubatch_size.value,
        type_k=context.cache_type_k.value,
        type_v=context.cache_type_v.value,
        flash_attn=context.flash_attn.value,
        swa_full=context.swa_full.value,
        embedding=server.dialogue.embeds,
        mapped=computing.mapped,
        repack=computing.repack.value,
        cache_ram_bytes=context.cache_ram.value,
        ctx_checkpoints=context.ctx_checkpoints.value,
        n_draft=server.draft.n_max.value if server.draft else 0,
        pooling=_pooling(server.dialogue),
    )


def _pooling(dialogue: Dialogue) -> Pooling | None:
    if not dialogue.embeds:
        return None
    if dialogue.task.value == "rerank":
        return "rank"
    return dialogue.pooling.value if dialogue.pooling else None  # type: ignore[return-value]


def server_settings(
    server: Server, placing: Placing, table: FlagTable
) -> tuple[tuple[Setting, ...], tuple[Lacking, ...]]:
    """Every flag in the order it is passed, and what this engine has no flag for."""
    to = Writer(table)
    at = address("models", server.name)
    to.path(server.model, "--model")
    _write_listen(server, at, to)
    to.value(Choice(server.name, at, "answers name the model, not its file"), "--alias")
    write_context(server.context, to)
    write_placing(placing, to)
    write_computing(server.computing, to)
    write_positions(server.positions, server.shape, server.context.ctx_request, to)
    write_dialogue(server.dialogue, to)
    for adapter in server.lora:
        write_lora(adapter, table, to)
    if server.draft is not None:
        types = server.context.cache_type_k.value, server.context.cache_type_v.value
        write_draft(server.draft, placing, *types, to)
    write_mmproj(server.mmproj, placing, at, to)
    write_closed(at, to, private=server.port is None)
    return tuple(to.settings), tuple(to.lacking)


def _write_listen(server: Server, at: str, to: Writer) -> None:
    """Where it answers: nobody but the user's own processes, or at least nobody on other hosts."""
    if server.port is None:
        socket = Word(text=f"/{server.socket}", root=Root.RUN)
        to.path(Choice(socket, at, "a private socket, named after the model"), "--host")
        return
    to.value(Choice(LOOPBACK, at, "the router dials no unix sockets"), "--host")
    to.value(Choice(server.port, at, "a port of its own, which stays"), "--port")
