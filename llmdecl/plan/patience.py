"""How long a start may take, once one was measured here."""

import math
from collections.abc import Mapping

from llmdecl.measured import Measured
from llmdecl.plan.model import ModelPlan
from llmdecl.units import format_duration

TIMES = 4
STEP_S = 30.0
LONGEST_S = 86400.0


def patient(model: ModelPlan, measured: Mapping[str, Measured]) -> ModelPlan:
    """The model with a time-out of four measured loads, where that is longer than the default.

    Only ever longer, and in steps of half a minute: a plan does not change with each start. The
    time-out is the router's, so that it restarts nothing.
    """
    known = measured.get(model.digest)
    if known is None or not math.isfinite(known.load_s):
        return model
    wanted = min(LONGEST_S, math.ceil(TIMES * known.load_s / STEP_S) * STEP_S)
    if TIMES * known.load_s <= model.start_timeout_s or wanted <= model.start_timeout_s:
        return model
    why = f"{TIMES} times the {format_duration(known.load_s)} that it once took to load here"
    return model.replace(start_timeout_s=wanted, reasons={**model.reasons, "start-timeout": why})
