"""The problems that `emit` finds."""

from llmdecl.diagnostics import Rule, Severity

UNWRITABLE = Rule(
    "LD501",
    "unwritable-text",
    Severity.ERROR,
    """A value holds a character that the manager's configuration can't carry, however it is
quoted: for supervisord a carriage return, a NUL, or half of a surrogate pair. Remove it; a line
break is written as a newline.""",
)

RULES: tuple[Rule, ...] = (UNWRITABLE,)
