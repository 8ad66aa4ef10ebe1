"""What holds the units together."""

from collections.abc import Iterator

from llmdecl.emit.dialects.systemd import section
from llmdecl.emit.systemd import names
from llmdecl.emit.systemd.mode import Mode
from llmdecl.plan.model import Plan


def target(plan: Plan, mode: Mode) -> str:
    """Router and fetch, never models: NixOS starts what an active target wants at each switch."""
    return "\n".join(
        (
            section(
                "Unit",
                (
                    ("Description", "llmdecl: local models"),
                    ("Wants", " ".join(_wants(plan))),
                ),
            ),
            section("Install", (("WantedBy", mode.wanted_by),)),
        )
    )


def _wants(plan: Plan) -> Iterator[str]:
    if plan.router.kind == "none":
        for model in plan.models:
            yield names.socket_of_model(model.name)
            if model.load == "startup":  # nobody else would start it
                yield names.of_model(model.name)
    else:
        yield names.ROUTER
    yield names.FETCH


def slice_(plan: Plan) -> str:
    """What all models may take of the host together."""
    host = next(budget for budget in plan.budgets if budget.pool == "host")
    return "\n".join(
        (
            section("Unit", (("Description", "llmdecl: router and models"),)),
            section("Slice", (("MemoryMax", str(host.total_bytes)),)),
        )
    )
