"""Whether a pin of the lock is for what the spec says, by provider. Pure."""

from llmdecl.engines.llama_cpp.recipe import BuildRecipe
from llmdecl.sources.reference import normalise_package
from llmdecl.sources.trees.origin import origin_text
from llmdecl.spec.schema import NixEngine, PathEngine, PypiEngine, SourceEngine
from llmdecl.store.model import LockedEngine
from llmdecl.store.wanted import WantedEngine


def pins(want: WantedEngine, locked: LockedEngine) -> bool:
    """Whether the lock's entry is for what the spec names."""
    engine = want.engine
    if locked.kind != engine.kind or locked.provider != engine.provider:
        return False
    match engine:
        case PathEngine():
            return locked.executable == engine.path
        case PypiEngine():
            return _pins_wheel(engine, locked)
        case NixEngine():
            return locked.nix is not None and locked.nix.package == engine.package
        case SourceEngine():
            return locked.recipe is not None and _pins_recipe(engine, locked.recipe)


def _pins_wheel(engine: PypiEngine, locked: LockedEngine) -> bool:
    package = locked.package
    if package is None or locked.digest != package.file.sha256:
        return False
    wanted = normalise_package(engine.package), engine.version
    return (package.name, package.version) == wanted


def _pins_recipe(engine: SourceEngine, recipe: BuildRecipe) -> bool:
    """What the spec says of a build; what it leaves to the host stays as it was locked."""
    if recipe.archive.origin != origin_text(engine) or recipe.cpu != (engine.cpu or "dispatch"):
        return False
    if engine.backends is not None and {*recipe.backends} != {*engine.backends} - {"cpu"}:
        return False
    words = engine.architectures
    if words is not None and {*recipe.architectures} != {*words}:
        return False
    return recipe.asked == dict(engine.options or {})


def describe_engine(engine: LockedEngine) -> str:
    """Package and version, recipe, Nix's reference, or the path."""
    if engine.package is not None:
        return f"{engine.package.name} {engine.package.version}"
    if engine.recipe is not None:
        recipe = engine.recipe
        words = (recipe.version, *(recipe.backends or ("cpu",)), *recipe.architectures)
        return f"llama.cpp {' '.join(words)}"
    if engine.nix is not None:
        return f"{engine.nix.package} ({engine.version})"
    return f"{engine.executable} ({engine.version})"
