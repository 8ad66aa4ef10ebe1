"""The problems that `facts` finds."""

from llmdecl.diagnostics import Rule

RULES: tuple[Rule, ...] = ()
