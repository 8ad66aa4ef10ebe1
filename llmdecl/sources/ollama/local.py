"""Ollama's store on this machine: read, never written."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from llmdecl.sources.ollama.manifest import MAX_BYTES, Layer
from llmdecl.sources.reference import LIBRARY, OllamaReference

SYSTEM = (Path("/usr/share/ollama/.ollama/models"), Path("/var/lib/ollama/models"))
"""Of the user that Ollama's installer makes, and of NixOS."""

_PRINTABLE = re.compile(r"[A-Za-z0-9_./:-]{1,300}")
_MOST, _ALIKE = 1000, 4
"""Names of a store that are looked at, and names that are shown."""


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


def alike(reference: OllamaReference, folders: tuple[Path, ...]) -> tuple[str, ...]:
    """Sources of models in these stores that may have been meant, the likeliest first."""
    names = {name.lower(): name for folder in folders for name in islice(_names(folder), _MOST)}
    models = {_model(name) for name in names}
    near = get_close_matches(reference.model.lower(), sorted(models), n=_ALIKE)
    found = [name for _, name in sorted(names.items()) if _model(name) in near]
    found.sort(key=lambda name: near.index(_model(name)))
    return tuple(f"ollama:{name}" for name in found[:_ALIKE])


def _names(folder: Path) -> Iterator[str]:
    """As `ollama list` shows them."""
    try:
        for path in (folder / "manifests").glob("*/*/*/*"):
            host, namespace, model, tag = path.parts[-4:]
            words = [model] if (host, namespace) == (LIBRARY, "library") else [namespace, model]
            name = "/".join(words if host == LIBRARY else [host, *words]) + f":{tag}"
            if _PRINTABLE.fullmatch(name):
                yield name
    except OSError:
        return


def _model(name: str) -> str:
    return name.lower().rpartition("/")[2].partition(":")[0]


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
