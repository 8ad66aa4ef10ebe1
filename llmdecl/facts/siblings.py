"""The same model in other quantizations, in the same folder."""

import re
from pathlib import Path

from llmdecl.facts.gguf import read_gguf
from llmdecl.facts.model import GgufFacts, OtherWeights

MOST = 12
"""Files that are looked at: a folder may hold a whole zoo."""

_QUANTIZATION = re.compile(
    r"(?i)(?<![a-z0-9])(?:UD-)?(?:I?Q\d[A-Z0-9_]*|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|BF16|F16|F32)(?![a-z0-9])"
)


def same_but_quantization(name: str, other: str) -> bool:
    """Two file names that differ in the word for the quantization only."""
    return name != other and _stem(name) == _stem(other) and _stem(name) != name


def _stem(name: str) -> str:
    return _QUANTIZATION.sub("*", name)


def others_beside(
    path: Path, source: str, gguf: GgufFacts, *, cache: Path | None
) -> tuple[OtherWeights, ...]:
    """Files beside `path` that hold the same model in another quantization, by name.

    `source` is how the spec names `path` (`file:...`): the others are named alike. Headers are
    read, nothing else; a file whose header does not agree is left out.
    """
    folder = source.removeprefix("file:").rpartition("/")[0]
    if "*" in folder:
        return ()
    beside = f"file:{folder}/" if "/" in source else "file:"
    try:
        names = sorted(
            entry.name
            for entry in path.parent.iterdir()
            if entry.suffix == ".gguf" and same_but_quantization(path.name, entry.name)
        )
    except OSError:
        return ()
    found = []
    for name in names[:MOST]:
        facts, _ = read_gguf(path.with_name(name), cache=cache)
        if facts is not None and _same_model(gguf, facts):
            found.append(
                OtherWeights(
                    source=f"{beside}{name}",
                    size_bytes=facts.file_bytes,
                    gguf=facts,
                )
            )
    return tuple(found)


def _same_model(one: GgufFacts, other: GgufFacts) -> bool:
    return (
        one.architecture == other.architecture
        and one.n_params == other.n_params
        and one.vocabulary == other.vocabulary
    )
