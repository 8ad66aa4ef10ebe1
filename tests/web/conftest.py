"""Fixtures of the transport's tests."""

import pytest

from tests.web.site_kit import Site


@pytest.fixture
def site(monkeypatch):
    """A web server; no proxy of the environment stands between."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    site = Site()
    yield site
    site.close()
