"""What goes in and out: task, templates, reasoning, pooling."""

from dataclasses import dataclass

from llmdecl.engines.choice import Choice, Chooser
from llmdecl.engines.llama_cpp.writer import Writer
from llmdecl.facts.model import GgufFacts
from llmdecl.memory.hparams import ENCODERS

POOLING = ("none", "mean", "cls", "last", "rank")
"""`enum llama_pooling_type` by number, as `<architecture>.pooling_type` has it."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """`pooling` is `None` for tasks that don't pool, and where nobody knows it."""

    task: Choice[str]
    jinja: Choice[bool]
    chat_template: Choice[str] | None
    reasoning_format: Choice[str]
    reasoning_budget: Choice[int]
    pooling: Choice[str] | None

    @property
    def embeds(self) -> bool:
        """Answers with numbers: embedding or rerank."""
        return self.task.value in ("embedding", "rerank")


def header_pooling(gguf: GgufFacts) -> str | None:
    """The pooling type that the header asks for."""
    value = gguf.parameter("pooling_type")
    return POOLING[value] if isinstance(value, int) and 0 <= value < len(POOLING) else None


def decide_dialogue(pick: Chooser, gguf: GgufFacts) -> Dialogue:
    """The task comes first: it decides which of the others act."""
    template = pick.given("chat-template", str)
    task = _task(pick, gguf, template)
    return Dialogue(
        task=task,
        jinja=pick.pick("jinja", default=True, why="templates are Jinja"),
        chat_template=template,
        reasoning_format=pick.pick("reasoning-format", default="auto", why="by the template"),
        reasoning_budget=pick.pick("reasoning-budget", default=-1, why="as long as it takes"),
        pooling=_pooling(pick, gguf, task),
    )


def _task(pick: Chooser, gguf: GgufFacts, template: Choice[str] | None) -> Choice[str]:
    given = pick.given("task", str)
    if given is not None:
        return given
    address, pooling = pick.address("task"), header_pooling(gguf)
    if pooling == "rank":
        return Choice("rerank", address, "the header's pooling type is `rank`")
    if pooling not in (None, "none"):
        return Choice("embedding", address, f"the header's pooling type is `{pooling}`")
    if gguf.architecture in ENCODERS:
        return Choice("embedding", address, f"`{gguf.architecture}` is an encoder")
    if template is not None:
        return Choice("chat", address, "the spec has a chat template")
    if gguf.chat_template_sha256 is not None:
        return Choice("chat", address, "the header has a chat template")
    return Choice("completion", address, "the header has no chat template")


def _pooling(pick: Chooser, gguf: GgufFacts, task: Choice[str]) -> Choice[str] | None:
    given = pick.given("pooling", str)
    if task.value not in ("embedding", "rerank"):
        return None
    if given is not None:
        return given
    known, address = header_pooling(gguf), pick.address("pooling")
    if task.value == "rerank":
        return Choice("rank", address, "reranking ranks")
    return Choice(known, address, "the header says so") if known else None


def write_dialogue(dialogue: Dialogue, to: Writer) -> None:
    """The task's own flags; `--jinja` stands before the template that needs it."""
    task = dialogue.task
    if dialogue.embeds:
        switch = "--reranking" if task.value == "rerank" else "--embedding"
        other = "--rerank" if task.value == "rerank" else "--embeddings"
        to.words(task.address, f"task {task.value}: {task.reason}", (), switch, other, needed=True)
        if dialogue.pooling is not None:
            to.value(dialogue.pooling, "--pooling", needed=True)
    to.both(dialogue.jinja, "jinja")
    if dialogue.chat_template is not None:
        to.value(dialogue.chat_template, "--chat-template", needed=True)
    if not dialogue.embeds:
        to.value(dialogue.reasoning_format, "--reasoning-format")
        _write_budget(dialogue.reasoning_budget, to)


def _write_budget(budget: Choice[int], to: Writer) -> None:
    """Numbers of tokens came with `--reasoning-budget-message`; before, all or nothing."""
    if budget.value not in (-1, 0) and not to.has("--reasoning-budget-message"):
        words = f"takes -1 or 0 as `--reasoning-budget`, not {budget.value}"
        to.refuse(budget.address, "--reasoning-budget", words)
        return
    to.value(budget, "--reasoning-budget", without=-1)
