"""What holds the units together."""

from llmdecl.emit.dialects.systemd import section
from llmdecl.emit.systemd import names
from llmdecl.emit.systemd.mode import Mode
from llmdecl.plan.model import Plan


def target(mode: Mode) -> str:
    """Router and fetch, never models: NixOS starts what an active target wants at each switch."""
    return "\n".join(
        (
            section(
                "Unit",
                (
                    ("Description", "llmdecl: local models"),
                    ("Wants", f"{names.ROUTER} {names.FETCH}"),
                ),
            ),
            section("Install", (("WantedBy", mode.wanted_by),)),
        )
    )


def slice_(plan: Plan) -> str:
    """What all models may take of the host together."""
    host = next(budget for budget in plan.budgets if budget.pool == "host")
    return "\n".join(
        (
            section("Unit", (("Description", "llmdecl: router and models"),)),
            section("Slice", (("MemoryMax", str(host.total_bytes)),)),
        )
    )
