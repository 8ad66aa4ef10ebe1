"""A placement that is not as planned, as a diagnostic with the machine's share of its causes."""

from collections.abc import Collection, Container, Iterable, Iterator, Sequence

from llmdecl.activate.rules import PLACEMENT_DIFFERS
from llmdecl.diagnostics import Diagnostic
from llmdecl.facts.hardware.nodes import closed_nodes
from llmdecl.plan.model import ModelPlan, Plan
from llmdecl.spec.address import address as address_of


def differs(
    plan: Plan,
    model: ModelPlan,
    differences: Sequence[str],
    causes: Iterable[str],
    used: Container[str],
) -> Diagnostic:
    """Differences with both numbers, then likely causes; `used` are pools where it has memory."""
    lost = [device for device in model.placement.devices if device not in used]
    likely = (*causes, *lost_causes(plan, model, lost))
    return PLACEMENT_DIFFERS.at(
        address_of("models", model.name),
        f"`{model.name}` is not placed as planned: {differences[0]}",
        notes=(*differences[1:], *(f"likely cause: {cause}" for cause in likely)),
    )


def lost_causes(plan: Plan, model: ModelPlan, lost: Collection[str]) -> Iterator[str]:
    """Why this user's processes may not see the devices `lost`."""
    backends = {device.id: device.backend for device in plan.devices}
    closed = closed_nodes(backends.get(device, "") for device in lost)
    if closed:
        yield f"this user may not open {', '.join(closed)}"
    shown = [f"{key}={word}" for key, word in model.environment if key.endswith("_VISIBLE_DEVICES")]
    if lost and shown:
        yield f"it was started with {', '.join(shown)}, which may name no device of this machine"
