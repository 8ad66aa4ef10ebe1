"""Spec, facts and lock to plan and artefacts. Pure: the same values in, the same bytes out."""

from llmdecl.diagnostics import Diagnostic, has_errors
from llmdecl.emit.artefact import ArtefactSet
from llmdecl.emit.table import emit_plan
from llmdecl.facts.model import Facts
from llmdecl.plan.model import Plan
from llmdecl.plan.stack import plan_stack
from llmdecl.spec.schema import Spec
from llmdecl.store.model import Lock
from llmdecl.values import Value


class Compiled(Value, frozen=True, kw_only=True):
    """`plan` is `None`, and there are no artefacts, when a diagnostic is an error."""

    plan: Plan | None
    artefacts: ArtefactSet
    diagnostics: tuple[Diagnostic, ...]


def compile_spec(spec: Spec, facts: Facts, lock: Lock) -> Compiled:
    """Everything that follows from the three, all problems together."""
    plan, found = plan_stack(spec, facts, lock)
    if plan is None:
        return Compiled(plan=None, artefacts=(), diagnostics=found)
    artefacts, problems = emit_plan(plan)
    return Compiled(
        plan=None if has_errors(problems) else plan,
        artefacts=artefacts,
        diagnostics=(*found, *problems),
    )
