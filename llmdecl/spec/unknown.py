"""Keys that a table doesn't have: misspelt, of another table, of a later version."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.address import Path, address, quote_key
from llmdecl.spec.judge import judge
from llmdecl.spec.kinds import Items, Kind, Record, fields
from llmdecl.spec.later import LATER_KEYS
from llmdecl.spec.rules import LATER_KEY, MISPLACED_KEY, UNKNOWN_KEY
from llmdecl.spec.schema import Spec, Table

SHORT: Mapping[str, str] = {
    "c": "ctx-size",
    "np": "parallel",
    "kvu": "kv-unified",
    "ctk": "cache-type-k",
    "ctv": "cache-type-v",
    "fa": "flash-attn",
    "cram": "cache-ram",
    "ngl": "n-gpu-layers",
    "b": "batch-size",
    "ub": "ubatch-size",
    "t": "threads",
    "tb": "threads-batch",
    "context": "ctx-size",
    "context-size": "ctx-size",
    "temp": "temperature",
    "quant": "quantization",
    "alias": "aliases",
    "env": "environment",
    "args": "extra-args",
    "model": "source",
    "file": "source",
    "path": "source",
    "host": "listen",
    "address": "listen",
    "idle-timeout": "ttl",
    "keep-alive": "ttl",
}
"""Other names of keys: llama-server's short flags, and words of its neighbours."""

OWNED: Mapping[str, str] = {
    "host": "models listen on private sockets; clients talk to an endpoint's `listen`",
    "port": "models listen on private sockets; clients talk to an endpoint's `listen`",
    "api-key": "keys are in the `api-keys-file` of an endpoint, never in the spec",
    "alias": "clients' names are `aliases`",
    "device": "this version places every model on the CPU",
    "fit": "the plan decides what fits, not the engine",
}
"""Flags of llama-server that llmdecl sets itself."""


def unknown_key(path: Path, kind: Kind, beside: object) -> Diagnostic:
    """For the key at the end of `path`; `beside` is the table that it is in."""
    key = str(path[-1])
    where = address(*path)
    siblings: Mapping[str, object] = beside if isinstance(beside, dict) else {}
    if not isinstance(kind, Record):
        return UNKNOWN_KEY.at(where, f"`{quote_key(key)}` is not a key of this table")
    later = _later(kind.table, key)
    if later is not None:
        return LATER_KEY.at(where, f"`{key}` is not supported yet", notes=(later,))
    near = nearest(kind.table, key, siblings)
    home = None if near else _home(path, kind.table, key)
    if home is not None:
        return MISPLACED_KEY.at(where, f"`{key}` does not belong here", help=(home,))
    owned = OWNED.get(key) if "ctx-size" in fields(kind.table) else None
    return UNKNOWN_KEY.at(
        where,
        f"`{quote_key(key)}` is not a key of {_called(path[:-1])}",
        notes=(owned,) if owned else (),
        help=(f"did you mean `{near}`?",) if near else (),
    )


def _later(table: type[Table], key: str) -> str | None:
    return next(
        (
            LATER_KEYS[each.__name__][key]
            for each in table.__mro__
            if key in LATER_KEYS.get(each.__name__, {})
        ),
        None,
    )


def nearest(table: type[Table], key: str, siblings: Mapping[str, object]) -> str | None:
    """A real key that may have been meant: not given already, and the value is one for it."""
    known = fields(table)
    kebab = key.replace("_", "-").replace(" ", "-").lstrip("-").lower()
    guesses = [kebab, SHORT.get(kebab, ""), *get_close_matches(kebab, known, 3, 0.7)]
    for guess in guesses:
        fits = guess in known and judge(guess, known[guess], siblings.get(key)) is None
        if fits and guess not in siblings:
            return guess
    return None


def _home(path: Path, table: type[Table], key: str) -> str | None:
    """Where the key belongs: a table above, below or beside this one, or the top of the spec."""
    for name, kind in fields(table).items():
        inner = kind.item if isinstance(kind, Items) else kind
        if isinstance(inner, Record) and key in fields(inner.table):
            return f"it is a key of `{address(*path[:-1], name)}`"
    if key in fields(Spec):
        return "it is a key of the spec itself: write it above the first table"
    for names, candidate in _tables(path):
        if key in fields(candidate) and candidate is not table:
            return f"it is a key of `{names}`"
    return None


def _tables(path: Path) -> Iterator[tuple[str, type[Table]]]:
    """Tables that may be meant, from a model's parts upwards."""
    from llmdecl.spec.schema import Endpoint, Host, Model, Router

    if path[0] == "models" and len(path) > 2:
        yield address(*path[:2]), Model
    if path[0] == "defaults":
        yield "models.NAME", Model
        return
    if path[0] in ("models", "endpoints", "router", "engines"):
        yield "router", Router
        yield "endpoints.NAME", Endpoint
    yield "host", Host


def _called(path: Path) -> str:
    """A table in a message."""
    return f"`{address(*path)}`" if path else "a spec"
