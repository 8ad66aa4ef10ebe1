"""Ollama's store on this machine: read, never written."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmdecl.sources.ollama.manifest import MAX_BYTES, Layer
from llmdecl.sources.reference import OllamaReference

SYSTEM = (Path("/usr/share/ollama/.ollama/models"), Path("/var/lib/ollama/models"))
"""Of the user that Ollama's installer makes, and of NixOS."""


def folders(models_dir: str | None, environment: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """Where stores may be, the first one first: only `models_dir` if the spec names one."""
    if models_dir is not None:
        return (Path(models_dir),)
    named = environment.get("OLLAMA_MODELS")
    first = (Path(named),) if named else ()
    return tuple(dict.fromkeys((*first, home / ".ollama" / "models", *SYSTEM)))


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest's bytes, and the store that it lies in."""

    folder: Path
    path: Path
    data: bytes

    def blob(self, layer: Layer) -> Path:
        """Where the layer is."""
        return self.folder / "blobs" / layer.blob


def find(
    reference: OllamaReference, folders: tuple[Path, ...]
) -> tuple[Found | None, tuple[str, ...]]:
    """The model's manifest, and what could not be looked at (folders that may not be read)."""
    name = Path(reference.host, reference.namespace, reference.model, reference.tag)
    unreadable: list[str] = []
    for folder in folders:
        path = folder / "manifests" / name
        try:
            if not path.is_file():  # also what to read would wait for somebody
                continue
            with path.open("rb") as file:
                return Found(folder, path, file.read(MAX_BYTES + 1)), tuple(unreadable)
        except OSError as error:
            unreadable.append(f"`{path}` can't be read: {error.strerror}")
    return None, tuple(unreadable)
