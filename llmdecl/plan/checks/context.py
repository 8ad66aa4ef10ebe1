"""Contexts against what the model was trained for."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.plan import rules
from llmdecl.plan.subject import Subject


def check_context(subject: Subject) -> Iterator[Diagnostic]:
    """`ctx-size` beyond training only with rope scaling; a text to embed fits one batch."""
    server = subject.server
    request, trained = server.context.ctx_request, server.shape.n_ctx_train
    if 0 < trained < request.value and not server.positions.stretched:
        yield rules.CTX_BEYOND_TRAINING.at(
            request.address,
            f"`{subject.name}` is trained for {trained} tokens, `ctx-size` is {request.value}",
            help=(f"`ctx-size = {trained}` is what it was trained for",),
        )
    ubatch = server.computing.ubatch_size
    pooling = server.dialogue.pooling
    splits = pooling is not None and pooling.value == "last" and not server.shape.encoder
    promised = min(request.value, server.context.n_ctx_slot)
    if server.dialogue.embeds and not splits and ubatch.value < promised:
        yield rules.SMALL_BATCH.at(
            ubatch.address,
            f"`{subject.name}` embeds texts of at most {ubatch.value} tokens in one batch, "
            f"`ctx-size` promises {promised}",
        )
