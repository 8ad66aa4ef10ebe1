"""A plain tree to a `Spec`, with everything that is wrong with it. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from llmdecl.diagnostics import Diagnostic, has_errors
from llmdecl.spec.address import parse_address
from llmdecl.spec.checks.sources import TREE_KEYS
from llmdecl.spec.checks.table import CHECKS
from llmdecl.spec.dots import Moves, unquoted
from llmdecl.spec.errors import explain, faults, nulls, one_cause_once
from llmdecl.spec.mend import mended
from llmdecl.spec.rules import ENGINE_TREE
from llmdecl.spec.schema import Spec

MOST = 500
"""Refused places that are explained; who has more has another kind of file."""
_ROUNDS = 3
"""Mending can bring faults to light that another one hid."""


def validate(
    tree: Mapping[str, object],
) -> tuple[Spec | None, tuple[Diagnostic, ...], Moves]:
    """The spec when it has no error, the problems in no order, and tables that were moved.

    Whole-spec checks also run on what is left of a tree with wrong keys: all is said at once.
    """
    meant, moves, dots = unquoted(tree)
    found = [*dots, *nulls(meant)]
    told = {problem.address for problem in found}
    frozen = _frozen(meant)
    spec, wrong = _checked(frozen)
    causes = (explain(fault, frozen) for fault in one_cause_once(wrong[:MOST], frozen))
    found += [each for each in causes if each.address not in told]
    refused = {fault.path for fault in wrong}
    partial = spec
    for _ in range(_ROUNDS):
        if partial is not None or len(wrong) > MOST:
            break
        frozen = mended(frozen, wrong)
        partial, wrong = _checked(frozen)
        refused |= {fault.path for fault in wrong}
    if partial is not None:
        for check in CHECKS:
            found += [each for each in check(partial) if not _explained(each, refused)]
    return (None if has_errors(found) else spec), tuple(found), moves


def _checked(tree: object) -> tuple[Spec | None, tuple[Any, ...]]:
    try:
        return Spec.model_validate(tree), ()
    except ValidationError as error:
        return None, faults(error.errors(include_url=False, include_context=False))


def _frozen(tree: object) -> object:
    """Lists as tuples, and no nulls, which are reported already."""
    match tree:
        case dict():
            return {key: _frozen(value) for key, value in tree.items() if value is not None}
        case list() | tuple():
            return tuple(_frozen(value) for value in tree if value is not None)
        case _:
            return tree


def _explained(problem: Diagnostic, refused: set[tuple[str | int, ...]]) -> bool:
    """Whether its address is a refused place or below one, or it misses what was refused."""
    path = parse_address(problem.address) or ()
    if problem.code == ENGINE_TREE.code and any((*path, key) in refused for key in TREE_KEYS):
        return True
    return any(path[:length] in refused for length in range(1, len(path) + 1))
