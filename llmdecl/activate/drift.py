"""The world against what was applied: what is not as it should be makes changes too. Pure."""

from collections.abc import Iterator

from llmdecl.activate.changes import Change, Symbol
from llmdecl.activate.effects import Effect
from llmdecl.activate.live import (
    MODEL_PROGRAM,
    ROUTER_FILES,
    ROUTER_PROGRAM,
    Live,
    LiveManager,
    LiveProgram,
    Version,
)
from llmdecl.activate.phrases import RESTARTS_ALL
from llmdecl.spec.address import address as address_of

ABSENT = {
    "supervisord": "supervisord is not running",
    "systemd": "systemd has none of its units",
    "systemd-user": "systemd has none of its units",
}
STARTS = {
    "supervisord": "starts supervisord and the router",
    "systemd": "installs units and starts the router",
    "systemd-user": "installs units and starts the router",
}
"""By manager: it is missing, and what that leads to."""


def drift(current: Version | None, planned: Version, live: Live) -> Iterator[Change]:
    """Differences between the world and the applied stack (the planned one when there is none)."""
    applied = current or planned
    keeper = applied.plan.manager
    starts = STARTS[planned.plan.manager]
    yield from _state(live)
    yield from _store(current, planned, live)
    if live.manager is None:
        reason = ABSENT[keeper]
        if current is None and not live.orphans:
            reason = "nothing was applied yet"
        yield _drift(
            keeper,
            Effect.STACK,
            reason,
            starts,
            symbol=Symbol.ADD if current is None else Symbol.DRIFT,
        )
    elif live.manager.differs:
        names = ", ".join(live.manager.differs)
        yield _drift(
            keeper,
            Effect.STACK,
            f"runs with another {names}",
            RESTARTS_ALL,
        )
    else:
        for path in live.manager.differing_files if live.interrupted is None else ():
            yield _drift(path, Effect.ROUTER, "is not as it was installed", "installs it anew")
        yield from _programs(applied, live.manager)
        yield from _router(applied, live)
    if live.orphans:
        pids = ", ".join(map(str, live.orphans))
        yield _drift("processes", Effect.MODEL, f"nobody owns PID {pids}", "ends them")


def _drift(
    address: str, effect: Effect, reason: str, consequence: str, *, symbol: Symbol = Symbol.DRIFT
) -> Change:
    return Change(
        symbol=symbol, address=address, effect=effect, reason=reason, consequence=consequence
    )


def _state(live: Live) -> Iterator[Change]:
    """Links, journal and stored files."""
    if live.interrupted is not None:
        yield _drift(
            "state",
            Effect.ROUTER,
            f"a change was interrupted after `{live.interrupted}`",
            "finishes it",
        )
    elif live.wanted != live.current:
        shown = [number or "nothing" for number in (live.wanted, live.current)]
        yield _drift(
            "state",
            Effect.ROUTER,
            f"`wanted` is {shown[0]}, `current` is {shown[1]}",
            "points both at one generation",
        )
    if live.damaged:
        yield _drift(
            "state",
            Effect.ROUTER,
            f"`{live.damaged[0]}` of generation {live.current} is not what was written",
            "writes a new generation",
        )


def _store(current: Version | None, planned: Version, live: Live) -> Iterator[Change]:
    """What was there when it was applied and is gone from the store."""
    if current is None:
        return
    weights = [w for model in planned.plan.models for w in model.weights]
    linked = {f"weights/{w.digest}" for w in weights if w.source.startswith("file:")}
    known = {f"weights/{w.digest}" for m in current.plan.models for w in m.weights}
    known |= {e.executable.text.removeprefix("/") for e in current.plan.engines}
    built = {e.executable.text.removeprefix("/") for e in planned.plan.engines if e.recipe}
    still = {f"weights/{w.digest}" for w in weights}
    still |= {e.executable.text.removeprefix("/") for e in planned.plan.engines}
    for path in sorted(known & still & set(live.absent)):
        consequence = "builds it" if path in built else "downloads it"
        if path in linked:
            consequence = "links its file"
        yield _drift(path, Effect.FETCH, "not in the store", consequence)


def _programs(applied: Version, manager: LiveManager) -> Iterator[Change]:
    """Programs that are missing, too many, or of another plan."""
    keeper = applied.plan.manager
    ours = applied.plan.router.kind != "llama-swap"
    models = applied.plan.models if ours else ()
    expected = {f"{MODEL_PROGRAM}{model.name}": model.digest for model in models}
    found = {program.name: program for program in manager.programs}
    for name in sorted({*expected, ROUTER_PROGRAM} - found.keys()):
        yield _drift(_address(name), Effect.ROUTER, f"{keeper} does not know it", "adds it")
    for name in sorted(found.keys() - expected.keys() - {ROUTER_PROGRAM}):
        yield _drift(
            _address(name), Effect.MODEL, f"{keeper} runs it, the plan does not", "removes it"
        )
    for name in sorted(expected.keys() & found.keys()):
        yield from _digests(found[name], expected[name], keeper)


def _digests(program: LiveProgram, digest: str, keeper: str) -> Iterator[Change]:
    name = program.name.removeprefix(MODEL_PROGRAM)
    if program.configured != digest:
        shown = (program.configured or "none")[:12]
        reason = f"{keeper} has digest {shown}, applied is {digest[:12]}"
    elif program.running is not None and program.running != digest:
        shown = program.running[:12]
        reason = f"PID {program.pid} has digest {shown}, applied is {digest[:12]}"
    else:
        return
    consequence = (
        f"restarts model {name} after draining"
        if program.running is not None
        else f"{keeper} reads it anew; model {name} is not running"
    )
    yield _drift(_address(program.name), Effect.MODEL, reason, consequence)


def _router(applied: Version, live: Live) -> Iterator[Change]:
    wanted = applied.files.get(ROUTER_FILES[applied.plan.router.kind])
    if live.router is None:
        yield _drift("router", Effect.ROUTER, "does not answer", "starts it")
        return
    if live.router.draining:
        yield _drift("router", Effect.ROUTER, "admits no requests", "restarts it")
    elif live.router.config_sha256 != wanted:
        yield _drift("router", Effect.ROUTER, "runs another configuration", "router reloads")
    if live.interrupted is None:
        for model in live.router.models:
            if model.state == "held":
                yield _drift(
                    address_of("models", model.name),
                    Effect.ROUTER,
                    "is held back",
                    "lets it start again",
                )


def _address(program: str) -> str:
    if program.startswith(MODEL_PROGRAM):
        return address_of("models", program.removeprefix(MODEL_PROGRAM))
    return program
