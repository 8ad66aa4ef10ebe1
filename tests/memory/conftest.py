"""Backends of the recordings."""

import pytest

from llmdecl.memory import allocations
from llmdecl.memory.graphs import site
from tests.memory import recorded


@pytest.fixture(autouse=True)
def _pretend(monkeypatch):
    """Recordings are of pretend devices as well."""
    for module in (site, allocations):
        monkeypatch.setattr(module, "BACKENDS", recorded.WITH_PRETEND)
