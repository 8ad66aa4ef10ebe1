"""The problems that `spec` finds."""

from llmdecl.diagnostics import Rule

RULES: tuple[Rule, ...] = ()
