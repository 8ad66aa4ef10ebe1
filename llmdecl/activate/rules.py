"""The problems that `activate` finds."""

from llmdecl.diagnostics import Rule

RULES: tuple[Rule, ...] = ()
