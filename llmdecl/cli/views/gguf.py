"""A GGUF header on a terminal or as JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts.gguf_values import printable
from llmdecl.facts.model import GgufFacts, TensorGroup
from llmdecl.units import format_bytes
from llmdecl.values import Value, to_json

if TYPE_CHECKING:
    from rich.table import Table


class Report(Value, kw_only=True, frozen=True):
    """`inspect --json`, schema 1. `facts` is null when the header can't be read."""

    schema: int = 1
    file: str
    facts: GgufFacts | None
    diagnostics: tuple[Diagnostic, ...]


def show_gguf_json(name: str, facts: GgufFacts | None, found: Sequence[Diagnostic]) -> None:
    """One object."""
    report = Report(file=name, facts=facts, diagnostics=tuple(found))
    click.echo(to_json(report), nl=False)


def show_gguf(name: str, facts: GgufFacts, *, tensors: bool) -> None:
    """A summary, the tensor types, and every group of tensors if asked for."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(printable(name), style="bold"))
    for table in (_summary(facts), _types(facts), *([_groups(facts)] if tensors else [])):
        console.print(table)


def _summary(facts: GgufFacts) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for name, value in _rows(facts):
        table.add_row(Text(name, style="dim"), Text(printable(value)))
    return table


def _rows(facts: GgufFacts) -> Iterator[tuple[str, str]]:
    if facts.name:
        yield "name", facts.name
    yield "architecture", facts.architecture
    yield "type", facts.type
    declared = facts.file_type_declared or "nothing"
    yield "file type", f"{facts.file_type} by its tensors, declared {declared}"
    yield "parameters", f"{_count(facts.n_params)} ({facts.n_params:,})"
    size = f"{format_bytes(facts.file_bytes)}, tensors {format_bytes(facts.tensor_bytes)}"
    yield "size", size
    for label, key in (
        ("context", "context_length"),
        ("layers", "block_count"),
        ("embedding", "embedding_length"),
        ("heads", "attention.head_count"),
        ("KV heads", "attention.head_count_kv"),
        ("experts", "expert_count"),
        ("experts used", "expert_used_count"),
        ("sliding window", "attention.sliding_window"),
        ("pooling", "pooling_type"),
    ):
        value = facts.parameter(key)
        if value is not None:
            yield label, _value(value)
    yield from _language_rows(facts)


def _language_rows(facts: GgufFacts) -> Iterator[tuple[str, str]]:
    vocabulary = facts.vocabulary
    if vocabulary is None:
        yield "vocabulary", "none"
    else:
        kind = "/".join(part for part in (vocabulary.model, vocabulary.pre) if part)
        yield "vocabulary", f"{vocabulary.size:,} tokens, {kind}, {vocabulary.digest[:12]}"
    template = facts.chat_template_sha256
    yield "chat template", f"yes, {template[:12]}" if template else "none"


def _types(facts: GgufFacts) -> "Table":
    from rich import box
    from rich.table import Table

    count: Counter[str] = Counter()
    params: Counter[str] = Counter()
    for group in facts.tensors:
        count[group.type] += group.count
        params[group.type] += group.count * _elements(group)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("tensor type")
    table.add_column("tensors", justify="right")
    table.add_column("parameters", justify="right")
    for name, total in params.most_common():
        table.add_row(name, str(count[name]), _count(total))
    return table


def _groups(facts: GgufFacts) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("tensor", "type", "shape", "blocks"):
        table.add_column(heading, overflow="fold")
    for group in facts.tensors:
        shape = " × ".join(str(dimension) for dimension in group.shape)
        name = Text(printable(group.name))
        table.add_row(name, group.type, shape, _ranges(group.blocks))
    return table


def _ranges(blocks: Sequence[int]) -> str:
    """`0-3 6 8-9`."""
    words: list[str] = []
    for index, block in enumerate(blocks):
        if index and block == blocks[index - 1] + 1:
            words[-1] = f"{words[-1].split('-')[0]}-{block}"
        else:
            words.append(str(block))
    return " ".join(words)


def _elements(group: TensorGroup) -> int:
    product = 1
    for dimension in group.shape:
        product *= dimension
    return product


def _value(value: object) -> str:
    if isinstance(value, tuple):
        distinct = sorted(set(value))
        return f"{', '.join(map(str, distinct))} (by layer)"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _count(number: int) -> str:
    """`268098176` as `268.1 M`."""
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)
