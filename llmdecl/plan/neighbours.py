"""Models one after another: the permanent residents first, every other beside them alone. Pure."""

from collections.abc import Sequence

from llmdecl.plan.placed import place
from llmdecl.plan.subject import Beside, Resolved, Subject


def place_all(models: Sequence[Resolved]) -> tuple[Subject, ...]:
    """Every model in its place, in the order given.

    Residents (`load = "startup"`, `ttl = "never"`) go largest first, each beside those before. A
    model on demand goes beside all of them; where it can't, beside those that are never unloaded;
    where it can't, alone, which is reported. It never depends on another model on demand.
    """
    placed: dict[str, Subject] = {}
    residents = sorted(
        (model for model in models if model.resident),
        key=lambda model: (-model.weights.size_bytes, model.name),
    )
    for model in residents:
        placed[model.name] = place(model, _beside(tuple(placed.values())))
    everyone = _beside(tuple(placed.values()))
    pinned = _beside(tuple(s for s in placed.values() if s.life.ttl_s is None))
    for model in models:
        if model.name not in placed:
            placed[model.name] = place(model, everyone, pinned)
    return tuple(placed[model.name] for model in models)


def _beside(neighbours: Sequence[Subject]) -> Beside:
    return Beside(
        parts=tuple(part for subject in neighbours for part in subject.memory),
        closed=frozenset(device for subject in neighbours for device in _closes(subject)),
    )


def _closes(subject: Subject) -> tuple[str, ...]:
    place = subject.placement
    return (*place.served, *(place.devices if subject.wishes.alone.value else ()))
