"""What a lock's entries say as facts. Pure."""

from llmdecl.facts.model import EngineFacts, Presence, WeightsFacts
from llmdecl.store.model import LockedEngine, LockedWeights


def locked_engine_facts(locked: LockedEngine, executable: str, *, present: bool) -> EngineFacts:
    """A pinned program; `executable` begins with `{store}` or is absolute."""
    return EngineFacts(
        kind=locked.kind,
        provider=locked.provider,
        executable=executable,
        binary_sha256=locked.binary_sha256,
        version=locked.version,
        build=locked.build,
        commit=locked.commit,
        flags=locked.flags,
        cpu_features=locked.cpu_features,
        backends=locked.backends,
        present=present,
    )


def locked_weights_facts(key: str, locked: LockedWeights, presence: Presence) -> WeightsFacts:
    """Pinned weights, as far as the lock knows them."""
    return WeightsFacts(
        source=key,
        presence=presence,
        digest=locked.digest,
        found_sha256=None,
        size_bytes=sum(file.size_bytes for file in locked.files),
        parts=len(locked.files),
        gguf=locked.gguf,
    )
