"""Task against template and pooling."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.plan import rules
from llmdecl.plan.subject import Subject


def check_task(subject: Subject) -> Iterator[Diagnostic]:
    """Chat needs a template, embedding and reranking a pooling type that suits."""
    dialogue = subject.server.dialogue
    task, pooling = dialogue.task, dialogue.pooling
    if task.value == "chat":
        if dialogue.chat_template is None and subject.gguf.chat_template_sha256 is None:
            summary = f"`{subject.name}` is to chat, but neither header nor spec has a template"
            yield rules.CHAT_TEMPLATE_MISSING.at(task.address, summary)
    elif dialogue.embeds and pooling is None:
        summary = f"`{subject.name}` is to embed, but neither header nor spec has a pooling type"
        yield rules.POOLING_UNKNOWN.at(task.address, summary)
    elif pooling is not None and (task.value == "rerank") != (pooling.value == "rank"):
        summary = f"`{subject.name}` is to {task.value}, but its pooling type is `{pooling.value}`"
        notes = (f"pooling: {pooling.reason}", f"task: {task.reason}")
        yield rules.POOLING_MISMATCH.at(pooling.address, summary, notes=notes)
