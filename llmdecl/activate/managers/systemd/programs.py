"""Plans and the router speak of programs, systemd of units."""

from collections.abc import Iterable

from llmdecl.activate.live import ROUTER_PROGRAM
from llmdecl.emit.systemd import names


def unit_of(program: str) -> str:
    """The service of a program as plans and the router call it."""
    return f"llmdecl-{program}.service"


def program_of(unit: str) -> str:
    """The inverse; without a router the target stands for it."""
    if unit == names.TARGET:
        return ROUTER_PROGRAM
    return unit.removeprefix("llmdecl-").removesuffix(".service")


def is_program(unit: str) -> bool:
    """Whether plans and the router know the unit: the others are systemd's own business."""
    return unit == names.ROUTER or names.is_model(unit)


def programs_of(units: Iterable[str]) -> tuple[str, ...]:
    """Those among the units, in order."""
    return tuple(sorted(program_of(unit) for unit in units if is_program(unit)))
