"""`llmdecl inspect` and `llmdecl fit` of what is on the network."""

import json

import pytest

from llmdecl.cli import run
from llmdecl.facts.gather import gather
from tests.facts.gguf_writer import MODEL_KEYS, gguf, key, tensor
from tests.web.hub_kit import folders, large_model, lock, model, spec, strings
from tests.web.hugging_face import HuggingFace
from tests.web.site_kit import sha256

DEVICES = ("--device", "gpu0:cuda:24GiB", "--ram", "32GiB", "--json")


@pytest.fixture
def hub(site, tmp_path, monkeypatch):
    """A hub that `HF_ENDPOINT` names; no token."""
    for name in ("HF_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    for kind in ("STATE", "STORE", "CACHE"):
        monkeypatch.setenv(f"LLMDECL_{kind}_DIR", str(tmp_path / kind.lower()))
    return HuggingFace(site)


def report(capsys, *arguments, status=0):
    capsys.readouterr()
    assert status == run(list(arguments))
    return json.loads(capsys.readouterr().out)


def quantized(kind, number, size, *, tokens=20_000, word=b"token%06d"):
    """A model with a large vocabulary, its matrices of one type."""
    keys = [
        *MODEL_KEYS[:2],
        key("general.file_type", "u32", kind),
        key("llama.block_count", "u32", 1),
        key("llama.context_length", "u32", 4096),
        key("llama.embedding_length", "u32", 256),
        key("llama.feed_forward_length", "u32", 256),
        key("llama.attention.head_count", "u32", 4),
        key("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5),
        key("llama.vocab_size", "u32", tokens),
        key("tokenizer.ggml.model", "str", "gpt2"),
        key("tokenizer.ggml.pre", "str", "llama-bpe"),
        strings("tokenizer.ggml.tokens", tokens, word),
        key("tokenizer.ggml.token_type", "[i32]", [1] * tokens),
        strings("tokenizer.ggml.merges", 40_000, b"tok en%06d"),
        key("tokenizer.ggml.bos_token_id", "u32", 0),
    ]
    names = [("token_embd", tokens), ("output", tokens)]
    names += [(f"blk.0.attn_{each}", 256) for each in ("q", "k", "v", "output")]
    names += [(f"blk.0.ffn_{each}", 256) for each in ("gate", "up", "down")]
    tensors, offset = [], 0
    for name, rows in names:
        tensors.append(tensor(f"{name}.weight", (256, rows), number, offset))
        offset += rows * size
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        tensors.append(tensor(f"{name}.weight", (256,), 0, offset))
        offset += 1024
    return gguf(keys, tensors, bytes(offset))


Q4_0, Q8_0, F16 = (2, 2, 144), (7, 8, 272), (1, 1, 512)


def test_inspect(hub, site, capsys):
    """The header of a file that a word picks, or a path, or a URL; the same facts each time."""
    files = {"tiny-Q4_0.gguf": model(seed=1), "tiny-Q8_0.gguf": model(seed=2)}
    hub.add("acme/tiny", files)
    found = report(capsys, "inspect", "hf:acme/tiny", "--quantization", "q8_0", "--json")
    assert (1, "tiny-Q8_0.gguf") == (found["schema"], found["file"])
    assert "llama" == found["facts"]["architecture"]
    assert found == report(capsys, "inspect", "hf:acme/tiny/tiny-Q8_0.gguf", "--json")
    url = site.put("/dir/u.gguf", model(seed=1))
    there = report(capsys, "inspect", url, "--json")
    assert ("u.gguf", found["facts"]) == (there["file"], there["facts"])
    assert 0 == run(["inspect", "hf:acme/tiny/tiny-Q4_0.gguf"])
    assert "architecture" in capsys.readouterr().out


def test_inspect_lists(hub, capsys):
    """Several files and no word: what is there, with sizes, and status 1."""
    hub.add("acme/tiny", {"tiny-Q4_0.gguf": model(seed=1), "tiny-Q8_0.gguf": model(seed=2)})
    assert 1 == run(["inspect", "hf:acme/tiny"])
    shown = capsys.readouterr()
    assert "LD444" in shown.out + shown.err
    assert "`tiny-Q8_0.gguf`" in shown.out + shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "hf:nothing"),
        ("inspect", "m.gguf", "--quantization", "Q4_0"),
        ("fit", "hf:nothing"),
        ("fit", "hf:a/b", "--model", "m"),
    ],
)
def test_misuse(hub, arguments):
    """What can't be meant is said before anything is asked."""
    assert 64 == run(list(arguments))
    assert [] == hub.site.log


def test_fit_of_a_repository(hub, site, capsys):
    """Rows are the repository's own quantizations by their own headers; a second time is free."""
    files = {
        "m-Q4_0.gguf": quantized(*Q4_0),
        "m-UD-Q8_K_XL.gguf": quantized(*Q8_0),
        "m-F16.gguf": quantized(*F16),
        "mmproj-F16.gguf": model(),
    }
    hub.add("acme/m", files)
    found = report(capsys, "fit", "hf:acme/m", *DEVICES)
    assert 1 == found["schema"]
    (fit,) = found["models"]
    assert "acme/m" == fit["name"]
    rows = {row["file_type"]: row for row in fit["quantizations"]}
    assert ["F16", "UD-Q8_K_XL", "Q4_0"] == list(rows)
    assert not any(row["computed"] for row in rows.values())
    assert "hf:acme/m/m-UD-Q8_K_XL.gguf" == rows["UD-Q8_K_XL"]["source"]
    assert len(files["m-F16.gguf"]) == rows["F16"]["size_bytes"]
    assert all(row["cells"][0]["fits"] for row in rows.values())
    vocabulary = 20_000 * (8 + 11 + 4) + 40_000 * (8 + 12)
    assert site.sent_bytes() < 2 * vocabulary + 3 * (1 << 18), "the vocabulary is read once"
    site.log.clear()
    assert found == report(capsys, "fit", "hf:acme/m", *DEVICES)
    assert [] == site.requests("/resolve/")


def test_fit_says_the_same_of_files(hub, site, tmp_path, capsys):
    """A header that was read with another file's vocabulary gives what the whole file gives."""
    bodies = {"m-Q4_0.gguf": quantized(*Q4_0), "m-Q8_0.gguf": quantized(*Q8_0)}
    hub.add("acme/m", bodies)
    for name, body in bodies.items():
        (tmp_path / name).write_bytes(body)
    (there,) = report(capsys, "fit", "hf:acme/m", *DEVICES)["models"]
    (here,) = report(capsys, "fit", str(tmp_path / "m-Q4_0.gguf"), *DEVICES)["models"]
    local = {row["file_type"]: row["cells"] for row in here["quantizations"]}
    for row in there["quantizations"]:
        assert local[row["file_type"]] == row["cells"]


def test_other_vocabulary_is_not_believed(hub, capsys):
    """A file whose vocabulary has other lengths is not read as if it had not: it is worked out."""
    other = quantized(*Q8_0, word=b"longer%09d")
    hub.add("acme/m", {"m-Q4_0.gguf": quantized(*Q4_0), "m-Q8_0.gguf": other})
    found = report(capsys, "fit", "hf:acme/m", *DEVICES)
    rows = {row["file_type"]: row for row in found["models"][0]["quantizations"]}
    assert {"Q4_0": False, "Q8_0": True} == {kind: row["computed"] for kind, row in rows.items()}
    (problem,) = found["diagnostics"]
    assert "LD452" == problem["code"]
    assert "m-Q8_0.gguf" in problem["notes"][0]


def test_fit_of_a_large_repository(hub, site, tmp_path, capsys):
    """Twenty split files of one large model: the vocabulary once, a table of tensors of each."""
    paths = large_model(tmp_path, parts=2, blocks=8)
    repository = hub.add("acme/large", {})
    files = {}
    for number in range(20):
        for path in paths:
            files[f"V{number}/{path.name.replace('Q4_K_S', f'Q4_K_S_v{number}')}"] = path
    repository.files = files
    repository.digests = {path: sha256(path.encode()) for path in files}
    found = report(capsys, "fit", "hf:acme/large", *DEVICES)
    (fit,) = found["models"]
    assert 20 == len(fit["quantizations"])
    assert [] == found["diagnostics"]
    assert site.sent_bytes() < 16e6


def test_fit_of_a_url(hub, site, capsys):
    """A file on a web server: its row, and the usual quantizations worked out."""
    url = site.put("/m-Q4_0.gguf", quantized(*Q4_0))
    found = report(capsys, "fit", url, *DEVICES)
    rows = found["models"][0]["quantizations"]
    assert [url] == [row["source"] for row in rows if not row["computed"]]
    assert len(rows) > 5


def test_lock_looks_beside(hub, site, tmp_path):
    """A lock reads headers of smaller quantizations too, which plans on this machine may offer."""
    hub.add(
        "acme/m",
        {
            "m-F16.gguf": quantized(*F16),
            "m-Q8_0.gguf": quantized(*Q8_0),
            "m-Q4_0.gguf": quantized(*Q4_0),
        },
    )
    one = spec(site, {"m": {"source": "hf:acme/m", "quantization": "Q8_0"}})
    found, problems = lock(one, tmp_path)
    assert () == problems
    weights = gather(one, found, folders(tmp_path), tmp_path)[0].weights["hf:acme/m#Q8_0"]
    (other,) = weights.others
    assert ("Q4_0", len(quantized(*Q4_0))) == (other.quantization, other.size_bytes)
    assert other.gguf.tensor_bytes < weights.gguf.tensor_bytes
    elsewhere = gather(one, found, folders(tmp_path / "elsewhere"), tmp_path)[0]
    assert () == elsewhere.weights["hf:acme/m#Q8_0"].others
    site.log.clear()
    assert found == lock(one, tmp_path)[0]
    assert [] == site.requests("/resolve/")
