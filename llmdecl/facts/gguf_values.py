"""A GGUF header as raw values, as the reader gives them and the facts are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from llmdecl.diagnostics import Diagnostic, Rule
from llmdecl.facts.ggml_types import TensorType
from llmdecl.facts.model import Scalar

TOKENS = "tokenizer.ggml.tokens"
TOKEN_TYPES = "tokenizer.ggml.token_type"  # noqa: S105  # a key of the format
CHAT_TEMPLATE = "tokenizer.chat_template"


@dataclass(frozen=True, slots=True)
class Passed:
    """A value that was passed over: `count` elements of type `kind` in bytes `start` to `end`.

    `sha256` covers those bytes when somebody compares them (tokens, token types, template).
    """

    kind: str
    count: int
    start: int
    end: int
    sha256: str | None = None


KeyValue = Scalar | tuple[Scalar, ...] | Passed


class TensorInfo(NamedTuple):
    """One tensor. `offset` counts from the header's `data_offset`; `shape` is in GGUF order.

    `bytes` is what it takes in the file, without padding.
    """

    name: str
    shape: tuple[int, ...]
    type: TensorType
    offset: int
    elements: int
    bytes: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What stands before the tensors' data. `digests` are SHA-256 of tokens, types and template."""

    version: int
    kv: Mapping[str, KeyValue]
    tensors: tuple[TensorInfo, ...]
    alignment: int
    data_offset: int
    file_bytes: int
    digests: Mapping[str, str]

    def text(self, key: str) -> str | None:
        """A text value, or None when the key is absent or holds something else."""
        value = self.kv.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        """A whole number that is not a truth value, or None."""
        value = self.kv.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


class HeaderError(Exception):
    """Ends the reading of one header with its diagnostic's rule, summary and notes."""

    def __init__(self, rule: Rule, summary: str, *notes: str) -> None:
        super().__init__(summary)
        self.rule = rule
        self.summary = summary
        self.notes = notes

    def at(self, address: str, name: str) -> Diagnostic:
        """The diagnostic for the file `name`."""
        return self.rule.at(address, printable(f"`{name}` {self.summary}"), notes=self.notes)


def printable(text: str) -> str:
    """Foreign text on one line, without what a terminal would obey."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )
