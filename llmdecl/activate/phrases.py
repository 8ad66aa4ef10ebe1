"""Values of a plan as people read them in a reason."""

from llmdecl.plan.model import Address, MemoryPart, Setting, WeightsPlan, Word
from llmdecl.units import format_bytes, format_duration

RELOADS = "router reloads; no connection is dropped"
SHRINKS = f"{RELOADS}; models that no longer fit are unloaded, least recently used first"
RESTARTS_ALL = "everything restarts after draining"
RENEWS = "its proxy restarts, which cuts its connections"
RESTARTS_ROUTER = "router restarts after draining"


def word(value: Word) -> str:
    """A path below a root as `{store}/...`."""
    return f"{value.root.value if value.root else ''}{value.text}"


def setting(value: Setting | None) -> str:
    """The arguments of a flag; `on` for a bare switch, `unset` without it."""
    if value is None:
        return "unset"
    return " ".join(short(word(argument)) for argument in value.values) or "on"


def short(text: str, limit: int = 60) -> str:
    """Long texts with their middle left out; line breaks shown."""
    text = text.replace("\n", "\\n")
    return text if len(text) <= limit else f"{text[: limit - 20]}…{text[-19:]}"


def duration(seconds: float | None) -> str:
    """A time; `never` without one."""
    return "never" if seconds is None else format_duration(seconds)


def names(values: tuple[str, ...]) -> str:
    """A list of names; `none` for an empty one."""
    return ", ".join(values) or "none"


def listen(address: Address) -> str:
    """As the spec writes an address."""
    if address.path is not None:
        return f"unix:{address.path}"
    host = address.host or ""
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"


def weights(values: tuple[WeightsPlan, ...]) -> str:
    """Weights by source and the beginning of their digest."""
    return names(tuple(f"{short(value.source)} ({value.digest[:12]})" for value in values))


def claims(parts: tuple[MemoryPart, ...]) -> str:
    """The sum of all parts, pool by pool where there are several."""
    sums: dict[str, int] = {}
    for part in parts:
        sums[part.pool] = sums.get(part.pool, 0) + part.bytes
    if len(sums) < 2:
        return format_bytes(sum(sums.values()))
    return ", ".join(f"{format_bytes(size)} of {pool}" for pool, size in sums.items())
