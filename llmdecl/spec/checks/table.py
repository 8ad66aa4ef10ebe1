"""All checks. Each takes a spec whose keys and values are right and yields problems, unplaced."""

from collections.abc import Callable, Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.checks import (
    endpoints,
    engines,
    host,
    manager,
    models,
    names,
    router,
    settings,
    sources,
    strings,
)
from llmdecl.spec.schema import Spec

CHECKS: tuple[Callable[[Spec], Iterator[Diagnostic]], ...] = (
    names.check,
    host.check,
    sources.check,
    engines.check,
    models.check,
    settings.check,
    endpoints.check,
    router.check,
    manager.check,
    strings.check,
)
