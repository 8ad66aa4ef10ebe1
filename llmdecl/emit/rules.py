"""The problems that `emit` finds."""

from llmdecl.diagnostics import Rule

RULES: tuple[Rule, ...] = ()
