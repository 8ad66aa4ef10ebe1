"""llama-swap's `matrix`: sets of models that may be loaded together, in its set language.

`a & b` together, `a | b` alternatives, `&` before `|`, parentheses; `vars` are its names for models
(internal/config/matrix.go, internal/matrix/dsl.go). A set allows all its parts; llama-swap never
multiplies an expression out, so groups are written as they are. A model in no set would evict
everything, so every model is in one, and permanent models are in all.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

from llmdecl.emit.dialects.llama_swap import Line, Yaml
from llmdecl.plan.model import Plan, ResidencyGroup

_VAR = re.compile(r"[a-zA-Z0-9.-]{1,32}")


def variables(names: Iterable[str]) -> dict[str, str]:
    """A variable for each model: its own name where that may be one, else a digest of it, so that
    none depends on what other models there are."""
    known = set(names)
    found = dict[str, str]()
    for name in sorted(known):
        digest = hashlib.sha256(name.encode()).hexdigest()
        candidates = (name, *(f"{name[:15].replace('_', '-')}-{digest[:n]}" for n in (8, 16)))
        found[name] = next(
            var
            for var in candidates
            if _VAR.fullmatch(var) and (var == name or var not in known | set(found.values()))
        )
    return found


def matrix(plan: Plan, evict_costs: Mapping[str, int]) -> Mapping[str, Yaml]:
    """`vars`, `evict_costs` and `sets`."""
    names = variables(model.name for model in plan.models)
    return {
        "vars": {names[name]: name for name in sorted(names)},
        "evict_costs": {names[name]: evict_costs[name] for name in sorted(names)},
        "sets": dict(_sets(plan, names)),
    }


def _sets(plan: Plan, names: Mapping[str, str]) -> Iterator[tuple[str, Yaml]]:
    found = plan.residency
    by_name = {model.name: model for model in plan.models}
    always = [names[name] for name in found.permanent]
    free = [names[n] for group in found.groups if len(group.sets) == 1 for n in group.sets[0]]
    choices = [group for group in found.groups if len(group.sets) > 1]
    common = [*always, *sorted(free)]
    if len(choices) == 1:
        yield from _numbered("set", common, choices[0], names)
    else:
        factors = [*common, *(_either(group, names) for group in choices)]
        yield "together", _folded(factors, "&")
    if found.without_startup is not None:
        never = [names[name] for name in found.permanent if by_name[name].ttl_s is None]
        yield from _numbered("without-startup", never, found.without_startup, names)


def _numbered(
    word: str, common: list[str], group: ResidencyGroup, names: Mapping[str, str]
) -> Iterator[tuple[str, Yaml]]:
    """A named set for each set of the group."""
    width = len(str(len(group.sets)))
    for number, members in enumerate(group.sets, 1):
        yield f"{word}-{number:0{width}}", _folded([*common, *(names[m] for m in members)], "&")


def _either(group: ResidencyGroup, names: Mapping[str, str]) -> str:
    """`(a & b | c)`."""
    return f"({' | '.join(' & '.join(names[m] for m in members) for members in group.sets)})"


def _folded(factors: list[str], operator: str) -> tuple[Line, ...]:
    """Lines of about 90 characters, broken at blanks."""
    words = f" {operator} ".join(factors).split(" ")
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < 90:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return tuple(Line(line) for line in lines)
