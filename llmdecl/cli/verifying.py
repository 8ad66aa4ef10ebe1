"""Asks the engine's binary for the same command line, and compares."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from llmdecl.cli import rules
from llmdecl.cli.estimating import Estimate, Measured
from llmdecl.diagnostics import Diagnostic
from llmdecl.engines.llama_cpp.load_log import HOST, Reported
from llmdecl.facts.engine import probe_engine
from llmdecl.facts.load_run import load_run
from llmdecl.memory.allocations import one_device

FIELDS = {
    "weights": "weights",
    "repacked": "weights",
    "kv-cache": "kv_cache",
    "recurrent": "recurrent",
    "output": "output",
    "compute": "compute",
}


def verified(
    estimate: Estimate, file: Path, flags: Sequence[str], engine: Path | None
) -> tuple[Measured | None, tuple[Diagnostic, ...]]:
    """Loads the model for real with these flags, without mapping, and reads the engine's log.

    Devices are the engine's own: the estimate's go by their order. Bytes by our names of places.
    """
    path = engine or (Path(found) if (found := shutil.which("llama-server")) else None)
    path = None if path is None else path.absolute()
    if path is None:
        summary = "no `llama-server` on PATH; name one with `--engine PATH`"
        return None, (rules.VERIFY_FAILED.at("--engine", summary),)
    facts, problems = probe_engine(path)
    if facts is None:
        return None, problems
    names = {name for flag in facts.flags for name in (*flag.names, *flag.negatives)}
    unmapped = ("--load-mode", "none") if "--load-mode" in names else ("--no-mmap",)
    quiet = ("--no-warmup",) if "--no-warmup" in names else ()
    off = ("--fit", "off") if "--fit" in names else ()
    argv = ("--model", str(file.absolute()), *flags, *unmapped, *quiet, *off)
    reported, problems = load_run(path, argv)
    if problems or not reported:
        return None, problems
    used = one_device(estimate.placement).devices if estimate.placement else ()
    return _by_place(reported[0], [device.id for device in used]), ()


def _by_place(reported: Reported, names: Sequence[str]) -> Measured:
    """The engine's devices in its order are ours in ours."""
    known = dict(zip(reported.devices, names, strict=False))
    found: Measured = {}
    for (place, part), size in reported.sums().items():
        name = HOST if place == HOST else known.get(place, place)
        fields = found.setdefault(name, dict.fromkeys((*FIELDS.values(), "total"), 0))
        if part in FIELDS:
            fields[FIELDS[part]] += size
            fields["total"] += size
    return found
