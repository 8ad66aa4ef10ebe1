"""Limits that some flags of a model need."""

import pytest

from llmdecl.emit.systemd.mode import SYSTEM
from llmdecl.emit.systemd.model import service
from llmdecl.plan.model import Plan, Setting, Word
from llmdecl.values import from_json
from tests.test_golden import GOLDEN

PLAN = from_json((GOLDEN / "systemd/expected/plan.json").read_bytes(), Plan)


def unit(flag, *values):
    """A model's unit when it is passed this flag, too."""
    words = tuple(Word(text=value) for value in values)
    setting = Setting(flag=flag, values=words, address="models.x", reason="a test")
    model = PLAN.models[0]
    return service(model.replace(settings=(*model.settings, setting)), PLAN, SYSTEM)


@pytest.mark.parametrize(
    "flag", [("--mlock",), ("--load-mode", "mlock"), ("--load-mode", "mmap+mlock")]
)
def test_locked_memory_has_no_limit(flag):
    """However the engine spells it."""
    assert "\nLimitMEMLOCK=infinity\n" in unit(*flag)


@pytest.mark.parametrize(
    "flag", [("--load-mode", "mmap"), ("--alias", "mlock"), ("--chat-template", "mlock")]
)
def test_a_word_is_no_flag(flag):
    """That looks like one in another flag's value."""
    assert "LimitMEMLOCK" not in unit(*flag)


def test_priority_and_affinity_are_let_through():
    """`--prio` needs a limit and a call, `--cpu-mask` just the call; others neither."""
    assert "\nLimitNICE=-20\n" in unit("--prio", "2")
    assert "\nSystemCallFilter=~@privileged\n" in unit("--prio", "2")
    assert "LimitNICE" not in unit("--cpu-mask", "3")
    assert "\nSystemCallFilter=~@privileged\n" in unit("--cpu-mask", "3")
    assert "\nSystemCallFilter=~@privileged @resources\n" in unit("--alias", "x")
