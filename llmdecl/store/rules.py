"""The problems that `store` finds."""

from llmdecl.diagnostics import Rule

RULES: tuple[Rule, ...] = ()
