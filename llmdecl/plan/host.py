"""The host that a stack is planned for."""

from llmdecl.facts.model import HostFacts
from llmdecl.plan.devices import host_devices, reached
from llmdecl.plan.model import Budget
from llmdecl.plan.subject import HostPlan
from llmdecl.spec.schema import Host

RAM_MARGIN_DEFAULT = 1 << 30
"""Bytes of memory never given to models: the system's, the manager's, the router's."""

VRAM_MARGIN_DEFAULT = 512 << 20
"""Bytes of each device never given to models: the desktop's, and what no rule foresees."""


def host_plan(spec: Host | None, facts: HostFacts) -> HostPlan:
    """What the spec declares wins over what was detected."""
    declared = spec.cpu if spec else None
    ram = spec.ram if spec else None
    margin = spec.ram_margin if spec else None
    cores = (declared.cores if declared else None) or facts.cpu.cores_physical
    features = declared.features if declared else None
    budget = Budget(
        pool="host",
        total_bytes=facts.ram_bytes if ram is None else ram,
        margin_bytes=RAM_MARGIN_DEFAULT if margin is None else margin,
    )
    found = host_devices(spec, facts)
    devices = reached(found, None)
    vram_margin = spec.vram_margin if spec else None
    return HostPlan(
        name=(spec.name if spec else None) or facts.name,
        cores=max(1, cores),
        features=tuple(sorted(facts.cpu.features if features is None else features)),
        budget=budget,
        ram_address="host.ram" if ram is not None else None,
        found=found,
        devices=devices,
        budgets=(
            budget,
            *(
                Budget(
                    pool=device.id,
                    total_bytes=device.memory_bytes,
                    margin_bytes=VRAM_MARGIN_DEFAULT if vram_margin is None else vram_margin,
                )
                for device in devices
            ),
        ),
    )
