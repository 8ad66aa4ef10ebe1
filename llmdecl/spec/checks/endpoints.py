"""Where clients come in, and to which models."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.address import address
from llmdecl.spec.listen import Listen, parse_listen
from llmdecl.spec.rules import (
    BAD_LISTEN,
    CONTROL_CHARACTER,
    DUPLICATE_ADDRESS,
    OPEN_LISTEN,
    RELATIVE_KEYS_FILE,
    UNKNOWN_MODEL,
    UNSERVED_MODEL,
)
from llmdecl.spec.schema import Spec
from llmdecl.spec.words import NO_LINE, shown


def check(spec: Spec) -> Iterator[Diagnostic]:
    """Addresses that can't be, or are open; models that don't exist, or can't be reached."""
    listens: dict[str, Listen] = {}
    for name, endpoint in sorted(spec.endpoints.items()):
        where = address("endpoints", name, "listen")
        yield from _keys_file(name, endpoint.api_keys_file)
        try:
            listens[name] = parse_listen(endpoint.listen)
        except ValueError as error:
            yield BAD_LISTEN.at(where, f"can't listen on `{shown(endpoint.listen)}`: {error}")
            continue
        if not listens[name].is_loopback and endpoint.api_keys_file is None:
            yield OPEN_LISTEN.at(
                where, f"`{endpoint.listen}` is open to other machines and asks for no key"
            )
    yield from _shared(spec, listens)
    if spec.models and spec.endpoints:
        yield from _served(spec)


def _shared(spec: Spec, listens: Mapping[str, Listen]) -> Iterator[Diagnostic]:
    """Each endpoint that comes too late, once."""
    earlier: dict[object, list[str]] = {}
    for name, listen in listens.items():
        rivals = earlier.setdefault(listen.path or listen.port, [])
        first = next((rival for rival in rivals if listens[rival].overlaps(listen)), None)
        if first is not None:
            owner = address("endpoints", first)
            yield DUPLICATE_ADDRESS.at(
                address("endpoints", name, "listen"),
                f"`{spec.endpoints[name].listen}` is taken by `{owner}` already",
                notes=(f"which listens on `{spec.endpoints[first].listen}`",),
            )
        rivals.append(name)


def _keys_file(name: str, path: str | None) -> Iterator[Diagnostic]:
    at = address("endpoints", name, "api-keys-file")
    if path is not None and not path.startswith("/"):
        summary = f"`api-keys-file` is `{shown(path)}`, which is no absolute path"
        yield RELATIVE_KEYS_FILE.at(at, summary)
    elif path is not None and NO_LINE.search(path):
        yield CONTROL_CHARACTER.at(at, f"no line of a unit carries `{shown(path)}`")


def _served(spec: Spec) -> Iterator[Diagnostic]:
    aliases = {alias: name for name, model in spec.models.items() for alias in model.aliases or ()}
    served: set[str] = set()
    for name, endpoint in spec.endpoints.items():
        for index, wanted in enumerate(endpoint.models or ("*",)):
            if wanted == "*":
                served |= spec.models.keys()
            elif wanted in spec.models:
                served.add(wanted)
            else:
                where = address("endpoints", name, "models", index)
                near = [aliases[wanted]] if wanted in aliases else []
                near = near or get_close_matches(wanted, spec.models, 1)
                yield UNKNOWN_MODEL.at(
                    where,
                    f"there is no model `{shown(wanted)}`",
                    notes=(f"`{wanted}` is an alias",) if wanted in aliases else (),
                    help=[f"did you mean `{each}`?" for each in near],
                )
    for name in spec.models.keys() - served:
        yield UNSERVED_MODEL.at(address("models", name), f"no endpoint serves `{name}`")
