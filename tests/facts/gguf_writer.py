"""GGUF files made by hand, byte by byte, so that every rule of the format can be broken."""

import struct
from pathlib import Path

TYPES = {"u8": 0, "i8": 1, "u16": 2, "i16": 3, "u32": 4, "i32": 5, "f32": 6, "bool": 7}
TYPES |= {"str": 8, "array": 9, "u64": 10, "i64": 11, "f64": 12}
CODES = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f"}
CODES |= {"bool": "b", "u64": "Q", "i64": "q", "f64": "d"}


def text(value: str | bytes) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def scalar(kind: str, value) -> bytes:
    return text(value) if kind == "str" else struct.pack(f"<{CODES[kind]}", value)


def key(name: str | bytes, kind: str, value) -> bytes:
    """`kind` is `u32`, `str` ... or `[u32]` for an array."""
    if kind.startswith("["):
        inner = kind[1:-1]
        head = struct.pack("<IIQ", TYPES["array"], TYPES[inner], len(value))
        return text(name) + head + b"".join(scalar(inner, one) for one in value)
    return text(name) + struct.pack("<I", TYPES[kind]) + scalar(kind, value)


def tensor(name: str, shape, kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def gguf(keys=(), tensors=(), data=b"", *, version=3, n_kv=None, n_tensors=None, alignment=32):
    head = b"GGUF" + struct.pack(
        "<IQQ",
        version,
        len(tensors) if n_tensors is None else n_tensors,
        len(keys) if n_kv is None else n_kv,
    )
    head += b"".join(keys) + b"".join(tensors)
    return head + b"\0" * (-len(head) % alignment) + data


MODEL_KEYS = (
    key("general.architecture", "str", "llama"),
    key("general.name", "str", "Tiny"),
    key("general.file_type", "u32", 15),
    key("llama.context_length", "u32", 4096),
    key("llama.rope.freq_base", "f32", 10000.0),
    key("llama.attention.head_count_kv", "[i32]", [2, 4]),
    key("tokenizer.ggml.model", "str", "gpt2"),
    key("tokenizer.ggml.pre", "str", "llama-bpe"),
    key("tokenizer.ggml.tokens", "[str]", ["<s>", "</s>", "", "a" * 300, "ä"]),
    key("tokenizer.ggml.token_type", "[i32]", [3, 3, 1, 1, 1]),
    key("tokenizer.ggml.bos_token_id", "u32", 0),
    key("tokenizer.ggml.eos_token_id", "u32", 1),
    key("tokenizer.ggml.add_bos_token", "bool", 1),
    key("tokenizer.chat_template", "str", "{{ messages }}"),
)
MODEL_TENSORS = (
    tensor("token_embd.weight", (64, 5), 8, 0),
    tensor("blk.0.attn_q.weight", (64, 64), 8, 352),
    tensor("blk.1.attn_q.weight", (64, 64), 8, 352 + 4352),
    tensor("output_norm.weight", (64,), 0, 352 + 2 * 4352),
)
MODEL_DATA = b"\0" * (352 + 2 * 4352 + 256)
MODEL = gguf(MODEL_KEYS, MODEL_TENSORS, MODEL_DATA)
HEADER_BYTES = len(MODEL) - len(MODEL_DATA)


def write(folder: Path, data: bytes, name: str = "tiny.gguf") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def parts(folder: Path, count: int = 3, **changes) -> list[Path]:
    """A split model whose first part holds the keys and no tensor."""
    paths = []
    total = changes.get("total", 2 * (count - 1))
    for index in range(count):
        split = [
            key("split.no", "u16", changes.get("no", {}).get(index, index)),
            key("split.count", "u16", changes.get("counts", {}).get(index, count)),
            key("split.tensors.count", "i32", total),
        ]
        tensors = (
            []
            if index == 0
            else [
                tensor(f"blk.{index}.{n}.weight", (8,), 0, 32 * k) for k, n in enumerate(("a", "b"))
            ]
        )
        keys = [*MODEL_KEYS, *split] if index == 0 else split
        data = gguf(keys, tensors, b"\0" * 64 if tensors else b"")
        paths.append(write(folder, data, f"m-{index + 1:05}-of-{count:05}.gguf"))
    return paths
