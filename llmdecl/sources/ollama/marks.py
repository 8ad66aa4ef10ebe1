"""What tells a GGUF in Ollama's layout from one in llama.cpp's: signs, each a pure function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from llmdecl.facts.gguf_values import TOKENS, GgufHeader, KeyValue, Passed

EMBEDDED = ("v.", "mm.", "a.", "s.", "model.vision_tower.")
"""Prefixes of a picture or sound encoder's tensors, which upstream keeps in a file of their own."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Keys and tensors (shape by name, in GGUF order) of one file's header."""

    architecture: str
    keys: Mapping[str, KeyValue]
    tensors: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, header: GgufHeader) -> Self:
        """Those of a header."""
        return cls(
            architecture=header.text("general.architecture") or "",
            keys=header.kv,
            tensors={tensor.name: tensor.shape for tensor in header.tensors},
        )


Sign = Callable[[Marks], str | None]
"""What was seen, in words, or `None`."""


def always(_: Marks) -> str | None:
    """The name alone tells."""
    return ""


def embedded(marks: Marks, prefixes: tuple[str, ...] = EMBEDDED) -> str | None:
    """An encoder beside the text model, in one file."""
    names = [name for name in marks.tensors if name.startswith(prefixes)]
    if not names:
        return None
    return f"{len(names)} tensors of an encoder are inside, such as `{names[0]}`"


def embedded_picture(marks: Marks) -> str | None:
    """The same by the two prefixes that no text model of upstream has."""
    return embedded(marks, ("v.", "mm."))


def key(name: str, *, instead_of: str | None = None) -> Sign:
    """A key that upstream's converter does not write; or writes under another name."""

    def sign(marks: Marks) -> str | None:
        if name not in marks.keys or (instead_of is not None and instead_of in marks.keys):
            return None
        return f"it has `{name}`" + (f" instead of `{instead_of}`" if instead_of else "")

    return sign


def no_key(name: str) -> Sign:
    """A key that upstream demands."""
    return lambda marks: None if name in marks.keys else f"it has no `{name}`"


def value(name: str, *values: object) -> Sign:
    """A value that is another one upstream; `None` among them stands for no value."""

    def sign(marks: Marks) -> str | None:
        found = marks.keys.get(name)
        if found not in values:
            return None
        return f"`{name}` is `{found}`" if found is not None else f"it has no `{name}`"

    return sign


def true(name: str) -> Sign:
    """A switch that is on."""
    return lambda marks: f"`{name}` is true" if marks.keys.get(name) is True else None


def tensor(part: str, *, without: str | None = None) -> Sign:
    """A tensor whose name holds `part`, where none is called `without`."""

    def sign(marks: Marks) -> str | None:
        names = [name for name in marks.tensors if part in f"^{name}$"]
        if not names or (without is not None and without in marks.tensors):
            return None
        return f"it has `{names[0]}`" + (f" instead of `{without}`" if without else "")

    return sign


def length(name: str, count: int) -> Sign:
    """An array of `count` numbers, where upstream wants another number of them."""

    def sign(marks: Marks) -> str | None:
        found = marks.keys.get(name)
        if not isinstance(found, tuple) or len(found) != count:
            return None
        return f"`{name}` has {count} numbers"

    return sign


def both(*signs: Sign) -> Sign:
    """All of them."""

    def sign(marks: Marks) -> str | None:
        seen = [each(marks) for each in signs]
        words = [each for each in seen if each is not None]
        return ", ".join(words) if len(words) == len(seen) else None

    return sign


def texts(name: str) -> Sign:
    """An array of texts, where upstream wants bytes."""

    def sign(marks: Marks) -> str | None:
        found = marks.keys.get(name)
        is_texts = isinstance(found, Passed) and found.kind == "string" and found.count > 1
        is_texts |= isinstance(found, tuple) and all(isinstance(each, str) for each in found)
        return f"`{name}` is an array of texts" if is_texts else None

    return sign


def vocabularies_differ(marks: Marks) -> str | None:
    """Two embeddings of tokens with different numbers of rows (Gemma 3n)."""
    sizes = [
        marks.tensors.get(name, ())[1:2]
        for name in ("token_embd.weight", "per_layer_token_embd.weight")
    ]
    if not all(sizes) or sizes[0] == sizes[1]:
        return None
    return f"it has {sizes[0][0]:,} tokens, and {sizes[1][0]:,} of them by layer"


def more_tokens_than_rows(marks: Marks) -> str | None:
    """Tokens for which there is no row, which llama.cpp takes for a wrong shape."""
    tokens = marks.keys.get(TOKENS)
    rows = marks.tensors.get("token_embd.weight", ())[1:2]
    if not isinstance(tokens, Passed) or not rows or tokens.count <= rows[0]:
        return None
    return f"it has {tokens.count:,} tokens, and rows for {rows[0]:,}"


def llama_3(marks: Marks) -> str | None:
    """The vocabulary of Llama 3, by size and first token."""
    tokens = marks.keys.get(TOKENS)
    is_llama_3 = (
        isinstance(tokens, Passed)
        and tokens.count >= 128256
        and marks.keys.get("tokenizer.ggml.model") == "gpt2"
        and marks.keys.get("tokenizer.ggml.bos_token_id") == 128000
    )
    return "its tokens are Llama 3's" if is_llama_3 else None
