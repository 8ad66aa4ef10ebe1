"""How sources are reached, and what engines are built of."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.sources.reference import endpoint_problem
from llmdecl.sources.trees.origin import parse_origin
from llmdecl.spec.address import address
from llmdecl.spec.rules import BAD_SOURCE_ENDPOINT, ENGINE_TREE, RELATIVE_SOURCE_PATH
from llmdecl.spec.schema import SourceEngine, Spec
from llmdecl.spec.words import listed, shown

TREE_KEYS = ("version", "commit", "source")
"""Of which an engine of source has one."""


def check(spec: Spec) -> Iterator[Diagnostic]:
    """Endpoints, paths of the machine, and the one tree of each engine that is built."""
    if spec.sources is not None and (hf := spec.sources.hf) is not None:
        yield from _endpoint("sources.hf.endpoint", hf.endpoint)
        yield from _path("sources.hf.token-file", hf.token_file)
    if spec.sources is not None and (ollama := spec.sources.ollama) is not None:
        yield from _endpoint("sources.ollama.endpoint", ollama.endpoint)
        yield from _path("sources.ollama.models-dir", ollama.models_dir)
    for name, engine in spec.engines.items():
        if isinstance(engine, SourceEngine):
            yield from _tree(name, engine)


def _tree(name: str, engine: SourceEngine) -> Iterator[Diagnostic]:
    given = [key for key in TREE_KEYS if getattr(engine, key) is not None]
    if len(given) != 1:
        what = f"names {listed(given)}, and can have one" if given else "names no tree"
        note = "`version`, `commit` or `source` says what it is built of"
        yield ENGINE_TREE.at(address("engines", name), f"engine `{name}` {what}", notes=(note,))
        return
    try:
        parse_origin(engine)
    except ValueError as error:
        at = address("engines", name, "source")
        # the source itself may hold a password
        yield ENGINE_TREE.at(at, f"engine `{name}` names no tree", notes=(str(error),))


def _path(where: str, path: str | None) -> Iterator[Diagnostic]:
    if path is not None and not path.startswith("/"):
        yield RELATIVE_SOURCE_PATH.at(where, f"`{shown(path)}` is no absolute path")


def _endpoint(where: str, url: str | None) -> Iterator[Diagnostic]:
    if url is not None and (problem := endpoint_problem(url, shown)):
        yield BAD_SOURCE_ENDPOINT.at(where, problem)
