"""The problems that `plan` finds."""

from llmdecl.diagnostics import Rule

RULES: tuple[Rule, ...] = ()
