"""Keeps what models really took: a small file each, in the state folder."""

import contextlib
import logging
import os
from pathlib import Path

import msgspec

from llmdecl.measured import Measured
from llmdecl.router.config import ModelConfig
from llmdecl.router.placement import Verdict
from llmdecl.values import from_json, to_json

log = logging.getLogger("llmdecl.router")

KEPT = 256
"""Files at most; the oldest go first."""


def keep(folder: Path, model: ModelConfig, verdict: Verdict, load_s: float) -> None:
    """Write what a start has shown; what can't be written is not kept, and said."""
    path = folder / f"{model.digest}.json"
    before = _read(path)
    measured = Measured(
        model=model.name,
        digest=model.digest,
        engine=model.expect.engine if model.expect else "",
        where=verdict.where,
        parts=verdict.parts,
        load_s=round(max(load_s, before.load_s if before else 0.0), 3),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = folder / f".{model.digest}.{os.getpid()}"
        new.write_bytes(to_json(measured))
        new.replace(path)
        _prune(folder)
    except OSError as error:
        log.warning("model %s: its measurement is not kept: %s", model.name, error)


def _read(path: Path) -> Measured | None:
    try:
        return from_json(path.read_bytes(), Measured)
    except (OSError, msgspec.DecodeError):
        return None


def _prune(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in files[:-KEPT]:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
