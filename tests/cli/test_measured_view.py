"""Estimate against measurement, as `plan` shows it."""

from llmdecl.cli.views.measured import comparisons, show_measured
from llmdecl.measured import Measured, MeasuredPart
from llmdecl.memory.model import MemoryPart
from tests.activate.conftest import model, stack_plan

MIB = 1 << 20


def rows():
    one = model(
        memory=(
            MemoryPart(pool="host", part="weights", bytes=90 * MIB, exact=True, shared="w"),
            MemoryPart(pool="host", part="kv-cache", bytes=40 * MIB, exact=True),
            MemoryPart(pool="host", part="process", bytes=80 * MIB, exact=False),
            MemoryPart(pool="gpu0", part="weights", bytes=200 * MIB, exact=True),
        )
    )
    parts = (("host", "weights", 92), ("host", "kv-cache", 41), ("gpu0", "weights", 200))
    measured = Measured(
        model=one.name,
        digest=one.digest,
        engine="e",
        where="gpu0 3/3 layers",
        parts=tuple(MeasuredPart(pool=p, part=n, bytes=b * MIB) for p, n, b in parts),
        load_s=2.0,
    )
    return comparisons(stack_plan(one, model("other")), {one.digest: measured})


def test_like_is_compared_with_like():
    """Parts that a log does not show, and mapped weights, are on neither side; a model that never
    ran has no row."""
    found = [(r.model, r.pool, r.planned_bytes // MIB, r.measured_bytes // MIB) for r in rows()]
    assert found == [("smol", "host", 40, 41), ("smol", "gpu0", 200, 200)]


def test_the_table(capsys):
    """Both numbers, the difference and the load time are shown; nothing without a measurement."""
    show_measured(rows())
    said = capsys.readouterr().out
    assert "+2.5 %" in said
    assert "2s" in said
    show_measured(())
    assert not capsys.readouterr().out
