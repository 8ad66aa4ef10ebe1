"""Loads the models of a plan as planned, one after the other, and compares with what is said."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from llmdecl.activate.placing import differs, lost_causes
from llmdecl.cli import rules
from llmdecl.diagnostics import Diagnostic
from llmdecl.emit.router import expect
from llmdecl.facts.load_run import load_run
from llmdecl.paths import Folders
from llmdecl.plan.model import ModelPlan, Plan, Root, Word
from llmdecl.router.config import Expect
from llmdecl.router.placement import Verdict, compare
from llmdecl.values import Value

OWN_FLAGS = ("--host", "--port")
"""Where it listens: nobody else is to find it."""


class VerifiedPart(Value, frozen=True, kw_only=True):
    """Bytes of a part in a pool; `planned_bytes` is `None` where no plan is compared: weights that
    are mapped, of which an engine reports the span in the file."""

    pool: str
    part: str
    planned_bytes: int | None
    measured_bytes: int


class Verified(Value, frozen=True, kw_only=True):
    """One model that was loaded. `where` is the engine's word, `differences` are from the plan."""

    model: str
    where: str
    parts: tuple[VerifiedPart, ...]
    differences: tuple[str, ...]


def verified(plan: Plan, where: Folders) -> tuple[tuple[Verified, ...], tuple[Diagnostic, ...]]:
    """Every model whose files are here; what differs, does not load, or is not here."""
    roots = {Root.STORE: where.store, Root.STATE: where.state, Root.RUN: where.run}
    found: list[Verified] = []
    problems: list[Diagnostic] = []
    for model in plan.models:
        lacks = [word for word in _store_words(model) if not _path(word, roots).exists()]
        if lacks:
            summary = f"`{model.name}` is not verified: `{lacks[0].text.lstrip('/')}` is not here"
            notes = ("`llmdecl fetch` brings what is missing into the store",)
            problems.append(rules.NOT_VERIFIED.at(model.address, summary, notes=notes))
            continue
        said, wrong = _verify(plan, model, roots)
        problems.extend(wrong)
        if said is not None:
            found.append(said)
    return tuple(found), tuple(problems)


def _store_words(model: ModelPlan) -> Iterator[Word]:
    return (word for word in model.argv() if word.root is Root.STORE)


def _path(word: Word, roots: Mapping[Root, Path]) -> Path:
    return Path(_text(word, roots))


def _text(word: Word, roots: Mapping[Root, Path]) -> str:
    return f"{roots[word.root] if word.root else ''}{word.text}"


def _verify(
    plan: Plan, model: ModelPlan, roots: Mapping[Root, Path]
) -> tuple[Verified | None, tuple[Diagnostic, ...]]:
    argv = [
        text
        for setting in model.settings
        if setting.flag not in OWN_FLAGS
        for text in (setting.flag, *(_text(word, roots) for word in setting.values))
    ]
    reported, problems = load_run(
        _path(model.executable, roots),
        argv,
        environment={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **dict(model.environment)},
        timeout_s=model.start_timeout_s,
    )
    if problems:
        more = tuple(
            f"likely cause: {cause}" for cause in lost_causes(plan, model, model.placement.devices)
        )
        return None, tuple(replace(one, notes=(*more, *one.notes)) for one in problems)
    engine = next((e.digest for e in plan.engines if e.name == model.engine), "")
    expected = expect(model, engine)
    verdict = compare(expected, reported)
    if not verdict.known:
        summary = f"`{model.name}` is not verified: its engine's log does not say what it takes"
        return None, (rules.NOT_VERIFIED.at(model.address, summary),)
    wrong = verdict.differences
    found = (differs(plan, model, wrong, verdict.causes, verdict.memory()),) if wrong else ()
    return _verified(model, expected, verdict), found


def _verified(model: ModelPlan, expected: Expect, verdict: Verdict) -> Verified:
    planned = {(part.pool, part.part): part.bytes for part in expected.parts}
    real = {(part.pool, part.part): part.bytes for part in verdict.parts}
    keys = sorted(planned | real, key=lambda key: (key[0] == "host", key))
    return Verified(
        model=model.name,
        where=verdict.where,
        parts=tuple(
            VerifiedPart(
                pool=pool,
                part=part,
                planned_bytes=planned.get((pool, part)),
                measured_bytes=real.get((pool, part), 0),
            )
            for pool, part in keys
        ),
        differences=verdict.differences,
    )
