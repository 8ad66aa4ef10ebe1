"""The problems that `cli` finds."""

from llmdecl.diagnostics import Rule

RULES: tuple[Rule, ...] = ()
