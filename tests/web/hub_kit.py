"""Locking and fetching from a site: specs, folders, and GGUF files of every shape."""

import os
import struct

from llmdecl.paths import Folders
from llmdecl.spec.schema import Spec
from llmdecl.store.supply import fetch_stack, lock_stack
from tests.facts.gguf_writer import MODEL_KEYS, gguf, key, tensor, text

DATA = b"\0" * (352 + 2 * 4352 + 256)


def model(name="Tiny", *, seed=0):
    """A small model; `seed` changes its tensors only."""
    keys = (*MODEL_KEYS[:1], key("general.name", "str", name), *MODEL_KEYS[2:])
    tensors = (
        tensor("token_embd.weight", (64, 5), 8, 0),
        tensor("blk.0.attn_q.weight", (64, 64), 8, 352),
        tensor("blk.1.attn_q.weight", (64, 64), 8, 352 + 4352),
        tensor("output_norm.weight", (64,), 0, 352 + 2 * 4352),
    )
    return gguf(keys, tensors, bytes([seed]) + DATA[1:])


def split_model(count=3):
    """The parts of one model, the first with the keys."""
    found = []
    for index in range(count):
        split = [
            key("split.no", "u16", index),
            key("split.count", "u16", count),
            key("split.tensors.count", "i32", 2 * (count - 1)),
        ]
        tensors = [
            tensor(f"blk.{index}.{n}.weight", (8,), 0, 32 * k) for k, n in enumerate(("a", "b"))
        ]
        keys = [*MODEL_KEYS, *split] if index == 0 else split
        body = gguf(keys, tensors if index else [], b"\0" * 64 if index else b"")
        found.append(body)
    return found


def folders(root):
    return Folders(root / "state", root / "store", root / "cache", root / "run", "0" * 8)


def spec(site, models, **sources):
    """Models by name: a source, or a table; `sources.hf` leads to the site."""
    hf = {"endpoint": site.url, **sources.pop("hf", {})}
    return Spec.model_validate(
        {
            "version": 1,
            "engines": {},
            "endpoints": {"main": {"listen": "127.0.0.1:18080"}},
            "models": {
                name: {"source": each} if isinstance(each, str) else each
                for name, each in models.items()
            },
            "sources": {"hf": hf, "adopt": False, **sources},
        }
    )


def lock(a_spec, root, previous=None, **options):
    return lock_stack(a_spec, root, folders(root), previous, **options)


def fetch(a_spec, a_lock, root):
    return fetch_stack(a_spec, a_lock, root, folders(root))


def sparse(path, head, size):
    """A file of `size` bytes that begins with `head` and takes no room beyond it."""
    with path.open("wb") as file:
        file.write(head)
        os.ftruncate(file.fileno(), size)
    return path


def strings(name, count, word):
    """A key with `count` strings, fast."""
    body = b"".join(text(word % number) for number in range(count))
    return text(name) + struct.pack("<IIQ", 9, 8, count) + body


def large_model(folder, *, parts=4, blocks=80):
    """Parts of a sparse model of 70B parameters with Llama 3's vocabulary and merges."""
    width, hidden, vocabulary = 8192, 28672, 128_256
    keys = [
        key("general.architecture", "str", "llama"),
        key("general.name", "str", "Large"),
        key("llama.block_count", "u32", blocks),
        key("llama.context_length", "u32", 131_072),
        key("llama.embedding_length", "u32", width),
        key("llama.feed_forward_length", "u32", hidden),
        key("llama.attention.head_count", "u32", 64),
        key("llama.attention.head_count_kv", "u32", 8),
        key("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5),
        key("llama.rope.freq_base", "f32", 500_000.0),
        key("llama.rope.dimension_count", "u32", 128),
        key("llama.vocab_size", "u32", vocabulary),
        key("tokenizer.ggml.model", "str", "gpt2"),
        key("tokenizer.ggml.pre", "str", "llama-bpe"),
        strings("tokenizer.ggml.tokens", vocabulary, b"token%06d"),
        text("tokenizer.ggml.token_type")
        + struct.pack("<IIQ", 9, 5, vocabulary)
        + struct.pack("<i", 1) * vocabulary,
        strings("tokenizer.ggml.merges", 280_147, b"tok en%06d"),
        key("tokenizer.ggml.bos_token_id", "u32", 128_000),
        key("tokenizer.ggml.eos_token_id", "u32", 128_009),
        key("tokenizer.chat_template", "str", "{{ messages }}" * 300),
    ]
    shapes = [("token_embd.weight", (width, vocabulary))]
    for block in range(blocks):
        shapes += [
            (f"blk.{block}.attn_norm.weight", (width,)),
            (f"blk.{block}.attn_q.weight", (width, width)),
            (f"blk.{block}.attn_k.weight", (width, 1024)),
            (f"blk.{block}.attn_v.weight", (width, 1024)),
            (f"blk.{block}.attn_output.weight", (width, width)),
            (f"blk.{block}.ffn_norm.weight", (width,)),
            (f"blk.{block}.ffn_gate.weight", (width, hidden)),
            (f"blk.{block}.ffn_up.weight", (width, hidden)),
            (f"blk.{block}.ffn_down.weight", (hidden, width)),
        ]
    shapes += [("output_norm.weight", (width,)), ("output.weight", (width, vocabulary))]
    each = -(-len(shapes) // parts)
    paths = []
    for index in range(parts):
        mine = shapes[index * each : (index + 1) * each]
        tensors, offset = [], 0
        for name, shape in mine:
            flat = len(shape) == 1
            tensors.append(tensor(name, shape, 0 if flat else 12, offset))  # F32, Q4_K
            count = shape[0] if flat else shape[0] * shape[1]
            offset += count * 4 if flat else count // 256 * 144
        split = [
            key("split.no", "u16", index),
            key("split.count", "u16", parts),
            key("split.tensors.count", "i32", len(shapes)),
        ]
        head = gguf([*(keys if index == 0 else []), *split], tensors)
        path = folder / f"Large-70B-Q4_K_S-{index + 1:05}-of-{parts:05}.gguf"
        paths.append(sparse(path, head, len(head) + offset))
    return paths
