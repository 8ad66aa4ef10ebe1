"""What the lock and this machine know of a source or an engine, as one value."""

from dataclasses import dataclass

from llmdecl.engines.flags import FlagTable
from llmdecl.facts.model import EngineDevice, Facts, GgufFacts, OtherWeights, Presence
from llmdecl.plan.model import EnginePlan, Root, Word
from llmdecl.spec.schema import Engine
from llmdecl.store.layout import engine_executable, weights_file
from llmdecl.store.model import Lock
from llmdecl.store.pins import pins
from llmdecl.store.wanted import Named, WantedEngine


@dataclass(frozen=True, slots=True)
class Pinned:
    """One source: `digest` and `parts` are the lock's, or found here when it is not locked yet.

    `presence` is `None` when the facts don't speak of it: a compile for another machine.
    """

    source: str
    address: str
    locked: bool
    digest: str
    parts: int
    size_bytes: int
    gguf: GgufFacts | None
    presence: Presence | None
    found: str | None
    others: tuple[OtherWeights, ...] = ()
    """The same model in other quantizations, beside the file."""

    @property
    def word(self) -> Word:
        """The first file's path in the store."""
        return Word(root=Root.STORE, text=f"/{weights_file(self.digest, self.parts)}")


def pinned_weights(named: Named, facts: Facts, lock: Lock) -> Pinned:
    """The source where a model names it."""
    source, address = named.key, named.address
    found, locked = facts.weights.get(source), lock.weights.get(source)
    presence = found.presence if found else None
    where = (found.where or found.found_sha256) if found else None
    if locked is not None:
        return Pinned(
            source=source,
            address=address,
            locked=True,
            digest=locked.digest,
            parts=len(locked.files),
            size_bytes=sum(file.size_bytes for file in locked.files),
            gguf=locked.gguf,
            presence=presence,
            found=where,
            others=found.others if found else (),
        )
    return Pinned(
        source=source,
        address=address,
        locked=False,
        digest=(found.digest if found else None) or "unlocked",
        parts=found.parts if found else 1,
        size_bytes=(found.size_bytes if found else None) or 0,
        gguf=found.gguf if found else None,
        presence=presence,
        found=where,
        others=found.others if found else (),
    )


@dataclass(frozen=True, slots=True)
class PinnedEngine:
    """One engine of the spec; `table` is `None` when nobody has asked it yet."""

    name: str
    locked: bool
    identity: str
    """Package digest and binary digest: what makes it this program."""
    table: FlagTable | None
    demands: tuple[str, ...]
    """Features of the processor that it can't do without, by the kernel's names."""
    backends: tuple[str, ...] | None
    """ggml backends that it was built with; `None`: nobody knows, and any is believed."""
    listed: tuple[EngineDevice, ...] | None
    """What it listed on this machine; `None`: it was not asked."""
    plan: EnginePlan
    commit: str | None = None
    """llama.cpp's commit, as far as anybody said."""
    build: int | None = None
    """The number that it says of itself."""
    release: str | None = None
    """What its version is in numbers of llama.cpp, where a package carries it."""
    present: bool | None = None
    """Whether the program is on this machine; `None`: the facts don't speak of it."""


def pinned_engine(name: str, engine: Engine, facts: Facts, lock: Lock) -> PinnedEngine:
    """The engine `name`: the lock's word when it is for what the spec has, else what was found."""
    found, locked = facts.engines.get(name), lock.engines.get(name)
    if locked is not None and pins(WantedEngine(name, engine), locked):
        place = engine_executable(locked)
        text = found.executable if place.root is None and found is not None else place.text
        return PinnedEngine(
            name=name,
            locked=True,
            identity=f"{locked.digest}:{locked.binary_sha256 or locked.digest}",
            table=FlagTable(locked.flags),
            demands=locked.cpu_features,
            backends=locked.backends,
            listed=found.devices if found else None,
            plan=EnginePlan(
                name=name,
                digest=locked.digest,
                executable=Word(text=text, root=Root(place.root) if place.root else None),
                version=locked.version,
                recipe=locked.recipe,
            ),
            commit=locked.commit,
            build=locked.build,
            release=locked.package.version if locked.package else None,
            present=found.present if found else None,
        )
    digest = (found.binary_sha256 if found else None) or "unlocked"
    return PinnedEngine(
        name=name,
        locked=False,
        identity=digest,
        table=FlagTable(found.flags) if found and found.flags else None,
        demands=found.cpu_features if found else (),
        backends=found.backends if found else None,
        listed=found.devices if found else None,
        commit=found.commit if found else None,
        build=found.build if found else None,
        plan=EnginePlan(
            name=name,
            digest=digest,
            executable=Word(text=found.executable if found else name),
            version=found.version if found else "unknown",
        ),
    )
