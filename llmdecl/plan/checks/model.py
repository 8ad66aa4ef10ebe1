"""The shape of a check."""

from collections.abc import Callable, Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.plan.subject import Subject

Check = Callable[[Subject], Iterator[Diagnostic]]
"""Looks at one model; yields what is wrong with it."""
