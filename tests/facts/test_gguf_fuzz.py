"""Whatever the bytes: facts or diagnostics, in bounded time and memory, never an exception."""

import random
import struct
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdecl.diagnostics import has_errors
from llmdecl.facts.gguf import read_gguf
from llmdecl.facts.gguf_header import MAX_HEADER_BYTES, parse_header
from llmdecl.facts.gguf_values import HeaderError
from llmdecl.facts.gguf_window import Window
from tests.facts import gguf_writer as w

INTERESTING = (0, 1, 7, 31, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


def judge(data: bytes):
    """The header, or the error's code; anything else raised is a bug."""
    window = Window(lambda at, count: data[at : at + count], len(data), MAX_HEADER_BYTES)
    try:
        return parse_header(window)[0]
    except HeaderError as error:
        return error.rule.code


def test_every_truncation_point(tmp_path):
    """A file that is cut anywhere is an error, and never one of another kind."""
    path = tmp_path / "tiny.gguf"
    for size in range(len(w.MODEL)):
        if size > w.HEADER_BYTES + 64 and size % 97:
            continue
        path.write_bytes(w.MODEL[:size])
        _, found = read_gguf(path)
        assert [one.code for one in found] == ["LD202" if size < 4 else "LD205"], size


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_after_the_magic(tail):
    judge(b"GGUF" + struct.pack("<I", 3) + tail)
    judge(tail)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, w.HEADER_BYTES - 8),
            st.sampled_from(("<B", "<I", "<Q")),
            st.sampled_from(INTERESTING),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_numbers_in_a_good_header_replaced(changes):
    data = bytearray(w.MODEL)
    for at, layout, value in changes:
        size = struct.calcsize(layout)
        data[at : at + size] = struct.pack(layout, value % 2 ** (8 * size))
    judge(bytes(data))


def mutate(random_: random.Random, data: bytearray) -> None:
    for _ in range(random_.randint(1, 6)):
        at = random_.randrange(len(data) - 8)
        match random_.randrange(4):
            case 0:
                data[at] ^= 1 << random_.randrange(8)
            case 1:
                struct.pack_into("<Q", data, at, random_.choice(INTERESTING))
            case 2:
                struct.pack_into("<I", data, at, random_.choice(INTERESTING) % 2**32)
            case _:
                del data[at : at + random_.randrange(1, 64)]


@pytest.mark.real
def test_mutations_of_real_heads(smollm2, gemma3, tmp_path):
    """The heads of real files with some bytes changed, most of them near the start."""
    random_ = random.Random(20260101)
    path = tmp_path / "mutant.gguf"
    for source, count in ((smollm2, 120), (gemma3, 30)):
        with source.open("rb") as file:
            head = file.read(7 << 20)
        for index in range(count):
            data = bytearray(head[: 2048 if index % 2 else random_.randrange(2048, len(head))])
            mutate(random_, data)
            path.write_bytes(data)
            _, found = read_gguf(path)
            assert has_errors(found)


HOSTILE = {
    "strings": w.text("k") + struct.pack("<IIQ", 9, 8, 10**7),
    "tokens": w.text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 10**6),
    "numbers": w.text("k") + struct.pack("<IIQ", 9, 0, 10**8),
    "text": w.text("tokenizer.chat_template") + struct.pack("<IQ", 8, 10**8),
    "keys": b"",
    "tensors": None,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_headers_take_little(case, tmp_path):
    """A sparse file of 4 GiB that claims as much as it can: under 64 MiB, and no long wait."""
    path = tmp_path / "hostile.gguf"
    raw = HOSTILE[case]
    if raw is None:
        head = b"GGUF" + struct.pack("<IQQ", 3, 60000, 0)
        head += b"".join(w.tensor(f"t{n}", (1,)) for n in range(60000))
    elif raw:
        head = w.gguf([raw], n_kv=3, alignment=1)
    else:
        keys = [w.key(f"llama.{n}", "[u8]", [n % 256] * 200) for n in range(30000)]
        head = w.gguf(keys, alignment=1)
    path.write_bytes(head)
    with path.open("r+b") as file:
        file.truncate(4 << 30)
    tracemalloc.start()
    begun = time.process_time()
    try:
        read_gguf(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20
    assert time.process_time() - begun < 30
