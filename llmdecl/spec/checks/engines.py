"""Which model runs on which engine."""

from collections.abc import Iterator
from difflib import get_close_matches

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.address import address
from llmdecl.spec.rules import ENGINE_NOT_CHOSEN, UNKNOWN_ENGINE, UNUSED_ENGINE
from llmdecl.spec.schema import Spec
from llmdecl.spec.words import listed, shown


def check(spec: Spec) -> Iterator[Diagnostic]:
    """Engines that don't exist, are not chosen, or are never used."""
    if not spec.engines:
        return
    default = spec.defaults.engine if spec.defaults else None
    used = set() if default is None else {default}
    if default is not None and default not in spec.engines:
        yield _unknown("defaults.engine", default, spec)
    for name, model in spec.models.items():
        if model.engine is not None:
            used.add(model.engine)
            if model.engine not in spec.engines:
                yield _unknown(address("models", name, "engine"), model.engine, spec)
        elif default is None and len(spec.engines) > 1:
            yield ENGINE_NOT_CHOSEN.at(
                address("models", name, "engine"),
                f"`{name}` names none of {len(spec.engines)} engines",
                notes=(f"engines are {listed(sorted(spec.engines))}",),
            )
    if len(spec.engines) > 1 and used:
        for engine in sorted(spec.engines.keys() - used):
            yield UNUSED_ENGINE.at(address("engines", engine), f"no model uses engine `{engine}`")


def _unknown(where: str, engine: str, spec: Spec) -> Diagnostic:
    near = get_close_matches(engine, spec.engines, 1)
    return UNKNOWN_ENGINE.at(
        where,
        f"there is no engine `{shown(engine)}`",
        notes=(f"engines are {listed(sorted(spec.engines))}",),
        help=[f"did you mean `{each}`?" for each in near],
    )
