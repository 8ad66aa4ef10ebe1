"""Start time-outs from measured loads."""

import math

import pytest

from llmdecl.measured import Measured
from llmdecl.plan.patience import patient
from tests.activate.conftest import model


def measured(one, load_s):
    return {
        one.digest: Measured(
            model=one.name, digest=one.digest, engine="e", where="CPU", parts=(), load_s=load_s
        )
    }


@pytest.mark.parametrize(
    ("load_s", "timeout_s"),
    [(0.3, 60), (14.9, 60), (15.0, 60), (15.1, 90), (40, 180), (1e9, 86400), (math.inf, 60)],
)
def test_four_loads_in_half_minutes(load_s, timeout_s):
    """A time-out is never below the default, and rises in steps of 30 s, so that it stays as it is
    while loads vary a little."""
    one = model(start_timeout_s=60.0)
    found = patient(one, measured(one, load_s))
    assert found.start_timeout_s == timeout_s
    raised = timeout_s > 60
    assert ("start-timeout" in found.reasons) is raised
    assert found.digest == one.digest


def test_a_measurement_of_another_process_says_nothing():
    """Measurements are by digest: another argv, engine or file is another process."""
    one = model(start_timeout_s=60.0)
    assert patient(one, measured(one.replace(digest="0" * 64), 100)) == one
    assert patient(one, {}) == one
