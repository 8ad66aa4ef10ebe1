"""Fixtures of tests in a real systemd."""

import os

import pytest

from tests.systemd.rig import Rig, lacking


@pytest.fixture(scope="session")
def rig():
    """A systemd of its own for all tests here; units and files are theirs to make and to remove."""
    if problem := lacking():
        if os.environ.get("CI") == "true":
            pytest.fail(problem)
        pytest.skip(problem)
    rig = Rig()
    yield rig
    rig.close()
