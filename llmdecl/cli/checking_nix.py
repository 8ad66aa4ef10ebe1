"""`llmdecl check --nix`: a configuration's stack, judged as its build would, before it is built."""

import tempfile
from pathlib import Path

from llmdecl.cli.context import load_lock, load_valid_spec
from llmdecl.cli.packaging import prefixed
from llmdecl.cli.rules import ENGINE_NOT_BUILT
from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.spec.schema import PathEngine, Spec
from llmdecl.store.model import Lock
from llmdecl.store.wanted import wanted
from llmdecl.values import Value

OPTION = "services.llmdecl"
ASKED = """it: {
  spec = builtins.toJSON it.spec;
  lock = if it.lockFile == null then null else builtins.readFile it.lockFile;
}"""


class _Configured(Value, kw_only=True, frozen=True):
    """What the module makes of its options, as the compiler gets it."""

    spec: str
    lock: str | None


def problems(configuration: str) -> tuple[tuple[Diagnostic, ...], bool]:
    """What is wrong with `FLAKE#nixosConfigurations.HOST`, and whether all was looked at.

    Addresses are options. Nothing is built, and nothing is written but a folder for the moment.
    """
    try:
        found = _configured(configuration)
        with tempfile.TemporaryDirectory(prefix="llmdecl-") as name:
            folder = Path(name)
            (folder / "llmdecl.json").write_text(found.spec, "utf-8")
            if found.lock is not None:
                (folder / "llmdecl.lock").write_text(found.lock, "utf-8")
            said, complete = _judged(folder / "llmdecl.json", configuration)
    except Failure as failure:
        said, complete = failure.diagnostics, False
    return tuple(prefixed(said, f"{OPTION}.settings")), complete


def _configured(configuration: str) -> _Configured:
    from llmdecl.sources.nix.client import Nix

    nix = Nix(configuration, Path.cwd(), lambda: False)
    return nix.evaluate(f"{configuration}.config.{OPTION}", ASKED, _Configured)


def _judged(path: Path, configuration: str) -> tuple[tuple[Diagnostic, ...], bool]:
    from llmdecl.compiler import compile_spec
    from llmdecl.facts.pinned import pinned

    loaded, spec = load_valid_spec(path)
    lock, unknown = _known(spec, load_lock(path))
    if unknown:
        missing = (
            ENGINE_NOT_BUILT.at(
                f"engines.{name}",
                f"engine `{name}` is not built yet, so its flags are not checked",
                notes=[f"`nix build {configuration}.config.{OPTION}.engines.{name}.package`"],
            )
            for name in unknown
        )
        return (*loaded.diagnostics, *missing), False
    facts, lock, found = pinned(spec, lock)
    return (*loaded.diagnostics, *found, *compile_spec(spec, facts, lock).diagnostics), True


def _known(spec: Spec, lock: Lock) -> tuple[Lock, tuple[str, ...]]:
    """The lock, with its word on engines that are not here, and engines that nobody knows."""
    engines, unknown = dict(lock.engines), []
    for want in wanted(spec).engines:
        if not isinstance(want.engine, PathEngine) or Path(want.engine.path).exists():
            continue
        pin = engines.get(want.name)
        if pin is None or pin.provider != "path":
            unknown.append(want.name)
        else:
            engines[want.name] = pin.replace(executable=want.engine.path)
    return lock.replace(engines=engines), tuple(unknown)
