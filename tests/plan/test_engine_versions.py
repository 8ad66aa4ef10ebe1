"""Engines of other versions than the memory rules are of."""

import pytest

from llmdecl.compiler import compile_spec
from llmdecl.diagnostics import Severity
from llmdecl.memory.versions import rules_are_of
from llmdecl.plan import rules
from tests.plan.test_placed import FACTS, GEMMA, LLAMA, LOCK, stack


@pytest.mark.parametrize(
    ("version", "commit", "known"),
    [
        ("b10434", None, True),
        ("b10200", None, True),  # between two that were checked
        ("b10435", None, False),
        ("b6981", None, False),
        ("0.10068.0", "571d0d5", True),
        ("0.10500.0", "1234567", False),
        ("0.3.36", "0c1e57098bba43ac29e6e3b677cdceebdd22334f", True),
        ("0.3.16", "4227c9be4268ac844921b90f31595f81236bd317", False),
        ("0.1.0-dev (build 1, commit 7e4c0a9)", "7e4c0a9", True),
        ("1 (deadbee)", "deadbee", False),  # a shallow clone's build number
        ("0c1e570", None, True),
        ("1a2b3c4d", None, False),  # a folder: the first digits of its hash
    ],
)
def test_versions_that_the_rules_are_of(version: str, commit: str | None, known: bool) -> None:
    """By commit, or by a release's number between those that were checked."""
    assert rules_are_of(version=version, commit=commit) is known


def test_an_engine_says_its_own_build() -> None:
    """A program at a path is known by the number of its build, unless a clone was shallow."""
    assert rules_are_of(version="10200 (deadbee)", commit="deadbee", build=10200)
    assert not rules_are_of(version="10500 (deadbee)", commit="deadbee", build=10500)
    assert not rules_are_of(version="1 (deadbee)", commit="deadbee", build=1)


def _said(commit: str, number: str) -> list[str]:
    engine = LOCK.engines["llama"]
    assert engine.package is not None
    package = engine.package.replace(version=number)
    lock = LOCK.replace(engines={"llama": engine.replace(commit=commit, package=package)})
    models = {"a": {"source": GEMMA}, "b": {"source": LLAMA}}
    spec = stack(models, [24576])
    llama = spec.engines["llama"].model_copy(update={"version": number})
    spec = spec.model_copy(update={"engines": {"llama": llama}})
    compiled = compile_spec(spec, FACTS, lock)
    assert compiled.plan is not None
    assert all(d.severity is Severity.WARNING for d in compiled.diagnostics)
    return [d.address for d in compiled.diagnostics if d.code == rules.ENGINE_BEYOND_RULES.code]


def test_another_version_is_said_once_an_engine() -> None:
    """Two models on an engine of another version are one warning; a known version is silent."""
    assert ["engines.llama"] == _said("deadbee", "0.10500.0")
    assert [] == _said("deadbee", "0.10434.0")
    assert [] == _said("0c1e570", "0.10500.0")
