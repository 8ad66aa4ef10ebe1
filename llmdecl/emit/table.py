"""Every emitter by target, and the way from a plan to its artefacts."""

from collections.abc import Callable, Iterator, Mapping

from llmdecl.diagnostics import Diagnostic, has_errors
from llmdecl.emit import build_recipe, llama_swap, nix_overlay, router, supervisord, systemd
from llmdecl.emit.artefact import ArtefactSet
from llmdecl.emit.dialects import llama_swap as llama_swap_text
from llmdecl.emit.dialects import nix as nix_text
from llmdecl.emit.dialects import supervisord as supervisord_text
from llmdecl.emit.dialects import systemd as systemd_text
from llmdecl.emit.losses import losses
from llmdecl.emit.losses_without import losses as losses_without
from llmdecl.emit.rules import UNWRITABLE
from llmdecl.plan.model import ModelPlan, Plan

Emitter = Callable[[Plan], ArtefactSet]

EMITTERS: Mapping[str, Emitter] = {
    "build-recipe": build_recipe.emit,
    "llama-swap": llama_swap.emit,
    "llmdecl": router.emit,
    "nix-overlay": nix_overlay.emit,
    "supervisord": supervisord.emit,
    "systemd": systemd.emit_system,
    "systemd-user": systemd.emit_user,
}
"""By what the spec calls them: kinds of router and of manager; and what engines have."""

OF_ENGINES = ("build-recipe", "nix-overlay")
"""Written in every stack, for the engines that have them."""


REFUSED: Mapping[str, Callable[[str], str | None]] = {
    "supervisord": supervisord_text.refused,
    "systemd": systemd_text.refused_setting,
    "systemd-user": systemd_text.refused,
}
"""By manager, what of a text its configuration can't carry."""


def emit_plan(plan: Plan) -> tuple[ArtefactSet, tuple[Diagnostic, ...]]:
    """All artefacts of a plan, sorted by path; none when some text can't be written."""
    problems = tuple(_unwritable(plan))
    if plan.router.kind == "llama-swap":
        problems += tuple(losses(plan))
    if plan.router.kind == "none":
        problems += tuple(losses_without(plan))
    if has_errors(problems):
        return (), problems
    routers = () if plan.router.kind == "none" else (plan.router.kind,)
    targets = (*routers, plan.manager) if plan.router.runs else routers
    targets = (*targets, *OF_ENGINES)
    artefacts = [artefact for target in targets for artefact in EMITTERS[target](plan)]
    return tuple(sorted(artefacts, key=lambda artefact: artefact.path)), problems


def _unwritable(plan: Plan) -> Iterator[Diagnostic]:
    """Texts that the language of whoever starts models can't carry."""
    swaps = plan.router.kind == "llama-swap"
    whose = "llama-swap" if swaps else plan.manager
    refused = llama_swap_text.refused_word if swaps else REFUSED[plan.manager]
    for model in plan.models:
        for text, address in _words(model):
            problem = refused(text)
            if problem is not None:
                summary = f"`{model.name}` has {problem} in {text!r}, which {whose} can't carry"
                yield UNWRITABLE.at(address, summary)
        for alias in model.aliases if swaps else ():
            problem = llama_swap_text.refused_value(alias)
            if problem is not None:
                summary = f"`{model.name}` has {problem} in {alias!r}, which {whose} can't carry"
                yield UNWRITABLE.at(f"{model.address}.aliases", summary)
    yield from _unwritable_recipes(plan)
    problem = REFUSED[plan.manager](plan.router.path or "")
    if problem is not None:
        summary = f"the path has {problem}, which {plan.manager} can't carry"
        yield UNWRITABLE.at("router.path", summary)


def _unwritable_recipes(plan: Plan) -> Iterator[Diagnostic]:
    """Texts of recipes that CMake or Nix can't carry."""
    for engine in plan.engines:
        for text in nix_overlay.texts(engine.recipe) if engine.recipe else ():
            problem = nix_text.refused(text)
            if problem is not None:
                summary = f"`{engine.name}` has {problem} in {text!r}, which Nix can't carry"
                yield UNWRITABLE.at(f"engines.{engine.name}", summary)
        for name, problem in build_recipe.refused(engine.recipe) if engine.recipe else ():
            summary = f"option `{name}` of `{engine.name}` {problem}, so CMake can't be given it"
            yield UNWRITABLE.at(f"engines.{engine.name}.options", summary)


def _words(model: ModelPlan) -> Iterator[tuple[str, str]]:
    """Every text of a model's command line, and where it comes from."""
    for setting in model.settings:
        for word in setting.values:
            yield word.text, setting.address
    for pair in model.environment:
        for text in pair:
            yield text, f"{model.address}.environment"
    yield model.executable.text, f"engines.{model.engine}"
