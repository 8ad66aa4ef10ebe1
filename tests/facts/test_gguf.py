"""The GGUF reader: what it says of good files, and that bad ones end in a diagnostic."""

import hashlib
import os
import struct
import subprocess

import pytest

from llmdecl.facts.gguf import read_gguf, read_header
from llmdecl.facts.gguf_window import hop
from llmdecl.facts.model import GgufFacts
from llmdecl.values import from_json, to_json
from tests.facts import gguf_writer as w


def codes(found):
    return [one.code for one in found]


def test_facts_of_a_tiny_model(tmp_path):
    """Everything that a compile looks at, and that it survives JSON."""
    facts, found = read_gguf(w.write(tmp_path, w.MODEL))
    assert found == ()
    assert (facts.architecture, facts.type, facts.name) == ("llama", "model", "Tiny")
    assert (facts.file_type, facts.file_type_declared) == ("Q8_0", "Q4_K_M")
    assert facts.n_params == 64 * 5 + 2 * 64 * 64 + 64
    assert facts.tensor_bytes == 340 + 2 * 4352 + 256
    assert facts.file_bytes == len(w.MODEL)
    groups = [(group.name, group.type, group.blocks) for group in facts.tensors]
    assert groups == [
        ("blk.*.attn_q.weight", "Q8_0", (0, 1)),
        ("output_norm.weight", "F32", ()),
        ("token_embd.weight", "Q8_0", ()),
    ]
    assert facts.chat_template_sha256 == hashlib.sha256(b"{{ messages }}").hexdigest()
    assert facts.parameter("context_length") == 4096
    assert facts.parameter("attention.head_count_kv") == (2, 4)
    assert "tokenizer.ggml.tokens" not in facts.parameters
    assert "tokenizer.chat_template" not in facts.parameters
    assert from_json(to_json(facts), GgufFacts) == facts


def test_vocabulary(tmp_path):
    """The digest changes with tokens, types, model and pre-tokenizer, and with nothing else."""
    facts, _ = read_gguf(w.write(tmp_path, w.MODEL))
    vocabulary = facts.vocabulary
    assert (vocabulary.model, vocabulary.pre, vocabulary.size) == ("gpt2", "llama-bpe", 5)
    assert (vocabulary.bos_token_id, vocabulary.eos_token_id) == (0, 1)
    assert vocabulary.add_bos_token is True

    def digest_with(old: str, new: bytes) -> str:
        position = next(i for i, one in enumerate(w.MODEL_KEYS) if w.text(old) in one)
        keys = [*w.MODEL_KEYS[:position], new, *w.MODEL_KEYS[position + 1 :]]
        changed = w.gguf(keys, w.MODEL_TENSORS, w.MODEL_DATA)
        return read_gguf(w.write(tmp_path, changed))[0].vocabulary.digest

    tokens = ["<s>", "</s>", "", "b" * 300, "ä"]
    assert digest_with("general.name", w.key("general.name", "str", "X")) == vocabulary.digest
    for name, kind, value in (
        ("tokenizer.ggml.tokens", "[str]", tokens),
        ("tokenizer.ggml.token_type", "[i32]", [3, 3, 1, 1, 4]),
        ("tokenizer.ggml.model", "str", "llama"),
        ("tokenizer.ggml.pre", "str", "qwen2"),
    ):
        assert digest_with(name, w.key(name, kind, value)) != vocabulary.digest


def test_strings_of_any_length_are_hopped_over():
    """The fast way (runs of short strings) and the slow way end at the same place."""
    lengths = [i % 64 for i in range(300)] + [64, 0, 255, 256, 70000] + [5] * 400 + [100] * 3
    data = b"".join(w.text(b"\0" * length) for length in lengths)
    assert hop(data, 0, len(lengths)) == (len(data), len(lengths))
    for cut in (0, 7, 8, 9, 1000, 20000, len(data) - 1):
        position, passed = hop(data[:cut], 0, len(lengths))
        assert position == sum(8 + length for length in lengths[:passed]) <= cut
        assert position + 8 + lengths[passed] > cut


def test_version_2_reads_as_3(tmp_path):
    old = w.gguf(w.MODEL_KEYS, w.MODEL_TENSORS, w.MODEL_DATA, version=2)
    assert read_gguf(w.write(tmp_path, old))[0] == read_gguf(w.write(tmp_path, w.MODEL))[0]


SWAPPED = b"GGUF" + struct.pack(">IQQ", 3, 4, 14) + w.MODEL[24:]
NAME = w.key("general.architecture", "str", "llama")
ROW = b"\0" * 32
F32 = w.tensor("a.weight", (8,))


def with_key(raw: bytes) -> bytes:
    return w.gguf([NAME, raw], [F32], ROW)


def with_tensors(*tensors: bytes, data: bytes = b"\0" * 4096) -> bytes:
    return w.gguf([NAME], tensors, data)


BAD = {
    "empty": (b"", "LD202"),
    "other-magic": (b"PK\3\4" + w.MODEL[4:], "LD202"),
    "lfs-pointer": (b"version https://git-lfs.github.com/spec/v1\n", "LD202"),
    "three-bytes": (b"GGU", "LD202"),
    "only-magic": (b"GGUF", "LD205"),
    "big-endian": (SWAPPED, "LD203"),
    "version-0": (w.gguf(version=0), "LD204"),
    "version-1": (w.gguf(version=1), "LD204"),
    "version-4": (w.gguf(version=4), "LD204"),
    "many-keys": (w.gguf(n_kv=2**64 - 1), "LD207"),
    "many-tensors": (w.gguf(n_tensors=2**63), "LD207"),
    "more-keys-than-file": (w.gguf([NAME], n_kv=60000, alignment=1), "LD205"),
    "key-of-2^64-1-bytes": (with_key(struct.pack("<Q", 2**64 - 1) + b"a" * 40), "LD205"),
    "key-of-100000-bytes": (with_key(w.key("k" * 100000, "u8", 1)), "LD206"),
    "empty-key": (with_key(w.key("", "u8", 1)), "LD206"),
    "key-twice": (with_key(NAME), "LD206"),
    "unknown-type": (with_key(w.text("k") + struct.pack("<I", 13)), "LD206"),
    "string-of-2^64-1": (with_key(w.text("k") + struct.pack("<IQ", 8, 2**64 - 1)), "LD205"),
    "array-of-2^64-1-u64": (with_key(w.text("k") + struct.pack("<IIQ", 9, 10, 2**64 - 1)), "LD205"),
    "array-of-2^61-strings": (with_key(w.text("k") + struct.pack("<IIQ", 9, 8, 2**61)), "LD205"),
    "strings-with-a-long-one": (
        with_key(w.text("k") + struct.pack("<IIQQ", 9, 8, 100, 2**64 - 8) + b"\0" * 2000),
        "LD205",
    ),
    "array-of-arrays": (with_key(w.text("k") + struct.pack("<IIQ", 9, 9, 1) + b"\0" * 99), "LD206"),
    "array-of-unknown": (with_key(w.text("k") + struct.pack("<IIQ", 9, 77, 1)), "LD206"),
    "alignment-0": (with_key(w.key("general.alignment", "u32", 0)), "LD206"),
    "alignment-24": (with_key(w.key("general.alignment", "u32", 24)), "LD206"),
    "alignment-text": (with_key(w.key("general.alignment", "str", "32")), "LD206"),
    "alignment-2^63": (with_key(w.key("general.alignment", "u64", 2**63)), "LD206"),
    "tensor-twice": (with_tensors(F32, F32), "LD206"),
    "tensor-name-of-64": (with_tensors(w.tensor("t" * 64, (8,))), "LD206"),
    "five-dimensions": (with_tensors(w.tensor("t", (1, 1, 1, 1, 1))), "LD206"),
    "2^32-dimensions": (with_tensors(w.text("t") + struct.pack("<I", 2**32 - 1)), "LD206"),
    "2^64-elements": (with_tensors(w.tensor("t", (2**32, 2**32))), "LD206"),
    "dimension-2^64-1": (with_tensors(w.tensor("t", (0, 2**64 - 1))), "LD206"),
    "tensor-type-4": (with_tensors(w.tensor("t", (32,), 4)), "LD206"),
    "tensor-type-2^32-1": (with_tensors(w.tensor("t", (32,), 2**32 - 1)), "LD206"),
    "half-a-block": (with_tensors(w.tensor("t", (33,), 8)), "LD206"),
    "overlap": (with_tensors(F32, w.tensor("b.weight", (8,), 0, 0)), "LD208"),
    "misaligned": (with_tensors(F32, w.tensor("b.weight", (8,), 0, 40)), "LD208"),
    "gap": (with_tensors(F32, w.tensor("b.weight", (8,), 0, 64)), "LD208"),
    "out-of-file": (with_tensors(F32, data=b"\0" * 31), "LD205"),
    "huge": (with_tensors(w.tensor("t", (2**40,))), "LD205"),
    "no-tensors": (w.gguf([NAME]), "LD209"),
    "no-architecture": (w.gguf([], [F32], ROW), "LD209"),
    "architecture-a-number": (
        w.gguf([w.key("general.architecture", "u32", 1)], [F32], ROW),
        "LD209",
    ),
    "key-not-utf-8": (with_key(w.key(b"k\xff", "u8", 1)), "LD210"),
    "text-not-utf-8": (with_key(w.key("general.name", "str", b"\xc3\x28")), "LD210"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_end_in_one_diagnostic(case, tmp_path):
    data, code = BAD[case]
    _, found = read_gguf(w.write(tmp_path, data))
    assert codes(found) == [code]
    assert found[0].summary.startswith("`tiny.gguf` ")
    assert "\n" not in found[0].summary


def test_offset_of_2_to_the_64(tmp_path):
    """Both truths: it is not where it should be, and not in the file."""
    data = with_tensors(F32, w.tensor("b.weight", (8,), 0, 2**64 - 32))
    assert codes(read_gguf(w.write(tmp_path, data))[1]) == ["LD208", "LD205"]


@pytest.mark.parametrize("dims", [(), (0,), (4, 0), (8, 1, 1, 1)])
def test_odd_shapes_that_the_engine_takes(dims, tmp_path):
    assert codes(read_gguf(w.write(tmp_path, with_tensors(w.tensor("t", dims))))[1]) == []


def test_numbers_that_json_lacks(tmp_path):
    """Not-a-number, infinities and 64-bit numbers survive the lock."""
    keys = [
        NAME,
        w.key("llama.a", "f32", float("nan")),
        w.key("llama.b", "[f64]", [float("-inf"), 1.5]),
        w.key("llama.c", "u64", 2**64 - 1),
        w.key("llama.d", "i64", -(2**63)),
        w.key("llama.e", "bool", 7),
    ]
    facts, found = read_gguf(w.write(tmp_path, w.gguf(keys, [F32], ROW)))
    assert found == ()
    values = [facts.parameter(name) for name in "abcde"]
    assert values == ["nan", ("-inf", 1.5), 2**64 - 1, -(2**63), True]
    assert from_json(to_json(facts), GgufFacts) == facts


def test_large_values_are_passed_over(tmp_path):
    """A text beyond 4 KiB and an array beyond 1024 numbers are in the header, not in the facts."""
    keys = [
        NAME,
        w.key("general.description", "str", "x" * 5000),
        w.key("general.license", "str", "x" * 300000),
        w.key("llama.list", "[u8]", [1] * 1025),
        w.key("llama.words", "[str]", ["a"] * 65),
        w.key("tokenizer.chat_template", "str", "y" * 300000),
    ]
    path = w.write(tmp_path, w.gguf(keys, [F32], ROW))
    facts, found = read_gguf(path)
    assert found == ()
    assert sorted(facts.parameters) == ["general.architecture"]
    assert facts.chat_template_sha256 == hashlib.sha256(b"y" * 300000).hexdigest()
    header, _ = read_header(path)
    kept = {name: getattr(value, "count", None) for name, value in header.kv.items()}
    assert (kept["general.license"], kept["llama.list"], kept["llama.words"]) == (1, 1025, 65)


def test_what_is_no_file(tmp_path):
    """A missing file, a folder, a FIFO without a writer, a file that may not be read."""
    os.mkfifo(tmp_path / "fifo")
    for name in ("missing", ".", "fifo"):
        facts, found = read_gguf(tmp_path / name)
        assert facts is None
        assert codes(found) == ["LD201"]
    if os.getuid():
        path = w.write(tmp_path, w.MODEL)
        path.chmod(0)
        assert codes(read_gguf(path)[1]) == ["LD201"]


def test_split_model_is_one(tmp_path):
    """Any part leads to the same facts; tensors and sizes are those of all parts."""
    paths = w.parts(tmp_path)
    facts, found = read_gguf(paths[0])
    assert found == ()
    assert [group.blocks for group in facts.tensors] == [(1, 2), (1, 2)]
    assert facts.file_bytes == sum(path.stat().st_size for path in paths)
    assert read_gguf(paths[2]) == (facts, ())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"no": {1: 2}}, "LD212"),
        ({"counts": {2: 4}}, "LD212"),
        ({"total": 5}, "LD212"),
    ],
)
def test_parts_that_do_not_belong_together(changes, code, tmp_path):
    assert codes(read_gguf(w.parts(tmp_path, **changes)[0])[1]) == [code]


def test_missing_and_truncated_parts_are_named(tmp_path):
    paths = w.parts(tmp_path, 4)
    paths[1].unlink()
    paths[3].write_bytes(paths[3].read_bytes()[:-1])
    facts, found = read_gguf(paths[0])
    assert facts is not None
    assert codes(found) == ["LD205", "LD211"]
    assert paths[3].name in found[0].summary
    assert paths[1].name in found[1].notes[0]
    paths[0].unlink()
    assert read_gguf(paths[2])[0] is None


def test_part_under_another_name(tmp_path):
    path = w.parts(tmp_path)[0].rename(tmp_path / "model.gguf")
    assert codes(read_gguf(path)[1]) == ["LD212"]


def test_second_look_comes_from_the_cache(tmp_path, monkeypatch):
    """An unchanged file is not opened again; a changed, a broken or a foreign entry is ignored."""
    cache = tmp_path / "cache"
    path = w.write(tmp_path, w.MODEL)
    os.utime(path, ns=(1, 1))
    monkeypatch.setattr("llmdecl.facts.cache._SETTLED_NS", -1)
    first = read_gguf(path, cache=cache)
    entries = list((cache / "facts" / "gguf").iterdir())
    assert len(entries) == 1
    with monkeypatch.context() as patch:
        patch.setattr("llmdecl.facts.gguf.parse_header", None)
        assert read_gguf(path, cache=cache) == first
    for broken in (
        b"",
        b"{",
        b"[]",
        b"\xff",
        entries[0].read_bytes().replace(b'"schema":1', b'"schema":0'),
    ):
        entries[0].write_bytes(broken)
        assert read_gguf(path, cache=cache) == first
    path.write_bytes(w.MODEL.replace(b"Tiny", b"Tidy"))
    assert read_gguf(path, cache=cache)[0].name == "Tidy"


def test_a_file_that_just_changed_is_not_cached(tmp_path):
    """Its times could not tell a second write within the same tick."""
    cache = tmp_path / "cache"
    read_gguf(w.write(tmp_path, w.MODEL), cache=cache)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr("llmdecl.facts.cache._SETTLED_NS", -1)
    (tmp_path / "cache").write_text("a file")
    facts, found = read_gguf(w.write(tmp_path, w.MODEL), cache=tmp_path / "cache")
    assert facts is not None
    assert found == ()


def test_types_are_those_of_the_gguf_package():
    """Numbers, names, block and type sizes, and file types."""
    from gguf.constants import GGML_QUANT_SIZES, LlamaFileType

    from llmdecl.facts.ggml_types import FILE_TYPES, TENSOR_TYPES

    theirs = {int(number): (number.name, *sizes) for number, sizes in GGML_QUANT_SIZES.items()}
    assert {number: tuple(kind) for number, kind in TENSOR_TYPES.items()} == theirs
    names = {
        int(number): number.name.removeprefix("MOSTLY_").removeprefix("ALL_")
        for number in LlamaFileType
        if number.name != "GUESSED"
    }
    assert names == FILE_TYPES


def test_reads_what_the_gguf_package_writes(tmp_path):
    import numpy as np
    from gguf import GGUFWriter

    path = tmp_path / "written.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{i}" for i in range(1000)])
    writer.add_custom_alignment(64)
    writer.add_tensor("blk.0.ffn_up.weight", np.zeros((4, 10), dtype=np.float32))
    writer.add_tensor("blk.1.ffn_up.weight", np.zeros((4, 10), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    facts, found = read_gguf(path)
    assert found == ()
    assert facts.parameter("context_length") == 2048
    assert facts.vocabulary.size == 1000
    assert facts.tensors[0].shape == (10, 4)


@pytest.mark.real
def test_real_files(smollm2, gemma3):
    """Names, types and parameter counts as their makers give them."""
    facts, found = read_gguf(smollm2)
    assert found == ()
    assert (facts.architecture, facts.file_type, facts.n_params) == ("llama", "Q4_1", 134515008)
    assert (facts.vocabulary.model, facts.vocabulary.pre) == ("gpt2", "smollm")
    assert facts.chat_template_sha256 is not None
    facts, found = read_gguf(gemma3)
    assert found == ()
    assert (facts.architecture, facts.file_type, facts.n_params) == ("gemma3", "Q8_0", 268098176)
    assert facts.vocabulary.size == 262144
    assert facts.parameter("attention.sliding_window") == 512


ENGINE_GOES_ON = (
    "key-of-100000-bytes",
    "out-of-file",
    "huge",
    "no-tensors",
    "no-architecture",
    "architecture-a-number",
    "key-not-utf-8",
    "text-not-utf-8",
)
"""What the engine's header reader lets pass; its model loader refuses all but the last two."""


def asked(llama_server, path):
    """What the engine says of a file. It may end before the thread that writes its log has
    written: then it is asked again, at most ten times."""
    said = None
    for _ in range(10):
        said = subprocess.run(
            [llama_server, "--model", path, "--port", "0"],
            capture_output=True,
            timeout=60,
            check=False,
        )
        if b"gguf_init_from" in said.stderr + said.stdout or b"llama_model_load" in said.stderr:
            break
    return said


@pytest.mark.real
def test_judges_as_the_engine_does(llama_server, tmp_path):
    """The engine refuses each file, in its header reader unless it is listed above."""
    for case, (data, _) in BAD.items():
        said = asked(llama_server, w.write(tmp_path, data))
        assert said.returncode != 0, case
        in_reader = b"E gguf_init_from" in said.stderr + said.stdout or said.returncode == -6
        assert in_reader is (case not in ENGINE_GOES_ON), (case, said.stderr)
