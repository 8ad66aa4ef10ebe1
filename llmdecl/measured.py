"""What a model really took, once it ran: kept in the state folder, read by later plans."""

from llmdecl.values import Value


class MeasuredPart(Value, frozen=True, kw_only=True):
    """Bytes of `part` in `pool`, as the engine's log says; within 0.01 MiB a buffer."""

    pool: str
    part: str
    bytes: int


class Measured(Value, frozen=True, kw_only=True):
    """One process's memory and load time. `digest` is the model's: over argv, environment, weights
    and engine, so that a measurement is never taken for that of another process.

    `load_s` is the longest of its loads, from the wish to readiness; when it was measured is the
    file's own time.
    """

    schema: int = 1
    model: str
    digest: str
    engine: str
    where: str
    """As `status` says it: `gpu0 33/33 layers`."""
    parts: tuple[MeasuredPart, ...]
    load_s: float

    def by_pool(self) -> dict[str, int]:
        """Bytes by pool."""
        found: dict[str, int] = {}
        for part in self.parts:
            found[part.pool] = found.get(part.pool, 0) + part.bytes
        return found
