"""Every emitter by target, and the way from a plan to its artefacts."""

from collections.abc import Callable, Iterator, Mapping

from llmdecl.diagnostics import Diagnostic
from llmdecl.emit import router, supervisord
from llmdecl.emit.artefact import ArtefactSet
from llmdecl.emit.dialects.supervisord import refused
from llmdecl.emit.rules import UNWRITABLE
from llmdecl.plan.model import Plan

Emitter = Callable[[Plan], ArtefactSet]

EMITTERS: Mapping[str, Emitter] = {
    "router": router.emit,
    "supervisord": supervisord.emit,
}


def emit_plan(plan: Plan) -> tuple[ArtefactSet, tuple[Diagnostic, ...]]:
    """All artefacts of a plan, sorted by path; none when some text can't be written."""
    problems = tuple(_unwritable(plan))
    if problems:
        return (), problems
    targets = ("router", plan.manager)
    artefacts = [artefact for target in targets for artefact in EMITTERS[target](plan)]
    return tuple(sorted(artefacts, key=lambda artefact: artefact.path)), ()


def _unwritable(plan: Plan) -> Iterator[Diagnostic]:
    """Texts that the manager's language can't carry."""
    for model in plan.models:
        texts = [(word.text, s.address) for s in model.settings for word in s.values]
        at = next((s.address for s in model.settings if s.flag == "--alias"), model.name)
        texts += [(text, f"{at}.environment") for pair in model.environment for text in pair]
        texts.append((model.executable.text, f"engines.{model.engine}"))
        for text, address in texts:
            problem = refused(text)
            if problem is not None:
                summary = f"`{model.name}` has {problem} in {text!r}, which supervisord can't carry"
                yield UNWRITABLE.at(address, summary)
