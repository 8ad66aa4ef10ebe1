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
        yield from _template(subject)
    elif dialogue.embeds and pooling is None:
        summary = f"`{subject.name}` is to embed, but neither header nor spec has a pooling type"
        yield rules.POOLING_UNKNOWN.at(task.address, summary)
    elif pooling is not None and (task.value == "rerank") != (pooling.value == "rank"):
        summary = f"`{subject.name}` is to {task.value}, but its pooling type is `{pooling.value}`"
        notes = (f"pooling: {pooling.reason}", f"task: {task.reason}")
        yield rules.POOLING_MISMATCH.at(pooling.address, summary, notes=notes)


def _template(subject: Subject) -> Iterator[Diagnostic]:
    """By name only `chatml` is known when templates are Jinja (common/chat.cpp); any other
    plain text would be what the model is asked."""
    template, jinja = subject.server.dialogue.chat_template, subject.server.dialogue.jinja
    if template is None or not jinja.value or template.value == "chatml" or "{" in template.value:
        return
    summary = f"`chat-template` of `{subject.name}` is no Jinja template, and `jinja` is on"
    yield rules.TEMPLATE_IS_NO_TEMPLATE.at(template.address, summary)
