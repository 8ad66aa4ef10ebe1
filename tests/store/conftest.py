"""Fixtures of supplying."""

import pytest
from supply_kit import Index, environment, folders


@pytest.fixture
def index(monkeypatch):
    """A package index that pip asks instead of the user's."""
    index = Index()
    for name, value in environment(index).items():
        monkeypatch.setenv(name, value)
    yield index
    index.close()


@pytest.fixture
def where(tmp_path):
    """Folders of a stack, none of which exists."""
    return folders(tmp_path / "machine")
