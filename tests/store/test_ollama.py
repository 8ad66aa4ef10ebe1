"""`ollama:` sources: the store on this machine, by reference, and the registry."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ollama_kit import OllamaStore, library, weights
from supply_kit import sha256, spec

from llmdecl.facts.gguf_values import Passed
from llmdecl.sources.ollama.formats import FORMATS
from llmdecl.spec.schema import ModelSettings, Spec
from llmdecl.store.layout import weights_file
from llmdecl.store.missing import missing
from llmdecl.store.store import read_digest
from llmdecl.store.supply import fetch_stack, lock_stack, stale
from llmdecl.values import to_json
from tests.sources.test_ollama_formats import REFUSED
from tests.web.ollama_registry import OllamaRegistry
from tests.web.site_kit import Site

TINY = weights("llama", [("llama.block_count", "u32", 1)])
OTHER = weights("llama", [("llama.block_count", "u32", 2)])
PROJECTOR = weights(
    "clip", [("clip.has_vision_encoder", "bool", 1), ("clip.projector_type", "str", "mlp")]
)
ADAPTER = weights("gemma3", [("general.type", "str", "adapter")])


@pytest.fixture
def site(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    site = Site()
    yield site
    site.close()


@pytest.fixture
def local(tmp_path, monkeypatch):
    """The store that `OLLAMA_MODELS` names; no other is on this machine."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("llmdecl.sources.ollama.local.SYSTEM", ())
    return OllamaStore(tmp_path / "models")


class Stack:
    """A spec with one model and its verbs."""

    def __init__(self, where, base, model, endpoint="http://127.0.0.1:9", **sources):
        model = {"source": model} if isinstance(model, str) else model
        text = spec({"m": model}).model_dump(mode="json", by_alias=True, exclude_none=True)
        text["sources"] = {"ollama": {"endpoint": endpoint}, **sources}
        self.spec = Spec.model_validate_json(json.dumps(text))
        self.where, self.base = where, base

    def lock(self, previous=None, **options):
        return lock_stack(self.spec, self.base, self.where, previous, **options)

    def fetch(self, lock):
        return fetch_stack(self.spec, lock, self.base, self.where)


@pytest.fixture
def stack(tmp_path, where):
    def make(model="ollama:tiny", **options):
        return Stack(where, tmp_path, model, **options)

    return make


def codes(problems):
    return [each.code for each in problems]


def entry(where, data):
    return where.store / weights_file(sha256(data), 1)


def test_local_blob_is_linked(local, stack, where):
    """The blob lies where it lay: the store has a link, and nobody was asked over the network."""
    local.add(library("tiny"), [("model", TINY)])
    lock, problems = stack().lock()
    assert problems == ()
    pinned = lock.weights["ollama:tiny"]
    assert pinned.digest == sha256(TINY)
    assert (pinned.origin.repository, pinned.origin.requested) == ("library/tiny", "latest")
    assert pinned.origin.revision == sha256(local.manifests[library("tiny")])
    assert stack().fetch(lock) == ()
    link = entry(where, TINY)
    assert link.is_symlink()
    assert link.samefile(local.blobs[sha256(TINY)])
    assert stack().fetch(lock) == ()
    assert missing(stack().spec, lock, where) == ()
    assert stack().lock(lock) == (lock, ())
    assert stale(stack().spec, lock, stack().base, where) == ()


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("ollama:tiny:1b", "registry.ollama.ai/library/tiny/1b"),
        ("ollama:me/tiny", "registry.ollama.ai/me/tiny/latest"),
        ("ollama:hf.co/me/tiny-GGUF:Q4_K_M", "hf.co/me/tiny-GGUF/Q4_K_M"),
    ],
)
def test_names(local, stack, source, path):
    """Names with namespace, host and tag are where Ollama puts them."""
    local.add(path, [("model", TINY)])
    lock, problems = stack(source).lock()
    assert problems == ()
    assert lock.weights[source].digest == sha256(TINY)


@pytest.mark.parametrize("written", ["ollama:Tiny:1B-Instruct", "ollama:tiny", "ollama:tinny:1b"])
def test_near_names(local, stack, site, written):
    """Another tag, other capitals, a slip: what is in the store here is shown as it is written."""
    OllamaRegistry(site)
    local.add(library("tiny", "1b-instruct"), [("model", TINY)])
    local.add("hf.co/o/Other-GGUF/Q4_K_M", [("model", TINY)])
    local.add(library("bad\x1bname"), [("model", TINY)])
    _, (problem,) = stack(written, endpoint=site.url).lock()
    assert (problem.code, problem.help) == ("LD455", ("here is `ollama:tiny:1b-instruct`",))


def test_models_dir(local, stack, tmp_path):
    """The store that the spec names is the only one that is looked at."""
    local.add(library("tiny"), [("model", OTHER)])
    named = OllamaStore(tmp_path / "named")
    named.add(library("tiny"), [("model", TINY)])
    ollama = {"models-dir": str(named.folder)}
    lock, problems = stack(ollama=ollama).lock()
    assert problems == ()
    assert lock.weights["ollama:tiny"].digest == sha256(TINY)


JSON = {"Content-Type": "application/json"}
OLD_CLIENT = b'{"errors":[{"code":"X","message":"requires a newer version of Ollama"}]}'

EVERYTHING = [
    ("model", TINY),
    ("projector", PROJECTOR),
    ("adapter", ADAPTER),
    ("draft", OTHER),
    ("template", "{{ .Prompt }}<|im_start|>"),
    ("system", 'You "are"\n\\kind\x7f.'),
    ("params", {"stop": ["<|im_end|>"], "temperature": 0.6, "num_ctx": 8192, "top_p": 0.9}),
    ("messages", [{"role": "user", "content": "hi"}]),
    ("license", "\n  Apache License  \nVersion 2.0"),
    ("license", "Acceptable Use Policy"),
    ("embed", b"old"),
]


def test_every_layer_kind(local, stack, where):
    """Weights of all four roles are linked; the rest is said in lines that a spec takes."""
    local.add(library("all"), EVERYTHING)
    source = "ollama:all"
    model = {
        "source": source,
        "mmproj": {"source": source},
        "draft": {"source": source},
        "lora": [{"source": source}],
    }
    lock, problems = stack(model).lock()
    assert codes(problems) == ["LD463"]
    by_key = {key: pinned.digest for key, pinned in lock.weights.items()}
    assert by_key == {
        source: sha256(TINY),
        f"{source}#mmproj": sha256(PROJECTOR),
        f"{source}#lora": sha256(ADAPTER),
        f"{source}#draft": sha256(OTHER),
    }
    assert lock.weights[source].origin.license == "Apache License, Acceptable Use Policy"
    lines = [line.strip("`") for line in problems[0].help]
    table = tomllib.loads("\n".join(lines))
    assert table == {
        "ctx-size": 8192,
        "sampling": {"temperature": 0.6, "top-p": 0.9},
        "system-prompt": 'You "are"\n\\kind\x7f.',
        "chat-template": "chatml",
        "mmproj": {"source": source},
        "draft": {"source": source},
        "lora": [{"source": source}],
    }
    settings = {key: table[key] for key in ("ctx-size", "sampling", "system-prompt")}
    ModelSettings.model_validate(settings)
    assert any("<|im_end|>" in note for note in problems[0].notes)
    assert any("1 messages" in note for note in problems[0].notes)
    assert stack(model).fetch(lock) == ()
    for data in (TINY, PROJECTOR, ADAPTER, OTHER):
        assert entry(where, data).samefile(local.blobs[sha256(data)])


def test_several_adapters(local, stack, where):
    """Ollama uses all adapters of a model: the offered line pins every one, by its number."""
    other = weights("gemma3", [("general.type", "str", "adapter"), ("general.name", "str", "2")])
    local.add(library("two"), [("model", TINY), ("adapter", ADAPTER), ("adapter", other)])
    (problem,) = stack("ollama:two").lock()[1]
    table = tomllib.loads("\n".join(line.strip("`") for line in problem.help))
    assert table == {"lora": [{"source": "ollama:two"}, {"source": "ollama:two#2"}]}
    model = {"source": "ollama:two", **table}
    lock, _ = stack(model).lock()
    assert lock.weights["ollama:two#lora"].digest == sha256(ADAPTER)
    assert lock.weights["ollama:two#2#lora"].digest == sha256(other)
    assert stack(model).fetch(lock) == ()
    assert entry(where, other).samefile(local.blobs[sha256(other)])
    _, problems = stack({"source": "ollama:two", "lora": [{"source": "ollama:two#3"}]}).lock()
    assert codes(problems) == ["LD459", "LD463"]
    assert problems[0].notes == ("its layers: 1 model, 2 adapter",)


def test_of_several_drafts_the_last(local, stack):
    """As Ollama does it, which overwrites the first when it reads the second."""
    local.add(library("two"), [("model", TINY), ("draft", TINY), ("draft", OTHER)])
    lock, _ = stack({"source": "ollama:two", "draft": {"source": "ollama:two"}}).lock()
    assert lock.weights["ollama:two#draft"].digest == sha256(OTHER)


def test_no_byte_is_copied(local, stack, where, tmp_path):
    """A blob of many megabytes imports into a store that takes none of them."""
    data = tmp_path / "big.gguf"
    data.write_bytes(TINY)
    with data.open("r+b") as file:
        file.truncate(64 << 20)
    digest = read_digest(data)
    blob = local.folder / "blobs" / f"sha256-{digest}"
    data.rename(blob)
    layer = {
        "mediaType": "application/vnd.ollama.image.model",
        "digest": f"sha256:{digest}",
        "size": 64 << 20,
    }
    local.write(library("big"), json.dumps({"layers": [layer]}).encode())
    before = blob.stat()
    lock, _ = stack("ollama:big").lock()
    assert stack("ollama:big").fetch(lock) == ()
    files = [path for path in where.store.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_blocks * 512 for path in files) < 1 << 16
    assert (where.store / weights_file(digest, 1)).stat().st_ino == before.st_ino
    after = blob.stat()
    assert (after.st_mode, after.st_nlink, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_mode,
        before.st_nlink,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_a_moved_tag_is_kept_until_update(local, stack):
    """`ollama pull` may move a tag; the pin stays, and `--update` takes the new weights."""
    local.add(library("tiny"), [("model", TINY)])
    lock, _ = stack().lock()
    local.add(library("tiny"), [("model", OTHER)])
    assert stack().lock(lock) == (lock, ())
    after, problems = stack().lock(lock, update=["m"])
    assert problems == ()
    assert after.weights["ollama:tiny"].digest == sha256(OTHER)


# what is wrong with a store


def test_cloud_stub(local, stack):
    """A model that runs elsewhere is refused, with the host that runs it."""
    local.add(library("tiny"), [], {"remote_host": "https://ollama.com:443"})
    _, problems = stack().lock()
    assert codes(problems) == ["LD460"]
    assert "ollama.com" in problems[0].summary


def test_safetensors(local, stack):
    """Pieces of safetensors are named as such."""
    local.add(library("tiny"), [("tensor", b"x"), ("tensor", b"y"), ("json", {"a": 1})])
    _, problems = stack().lock()
    assert codes(problems) == ["LD461"]
    assert "3 pieces" in problems[0].summary


def test_missing_layer(local, stack):
    """A role without a layer lists the layers that there are."""
    local.add(library("tiny"), [("model", TINY), ("license", "x")])
    _, problems = stack({"source": "ollama:tiny", "mmproj": {"source": "ollama:tiny"}}).lock()
    assert codes(problems) == ["LD459"]
    assert "1 license" in problems[0].notes[0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"layers": 3}',
        b'{"manifests": []}',
        b'{"layers": [{"mediaType": "a", "digest": "sha256:../../../etc/passwd", "size": 1}]}',
        b'{"layers": [{"mediaType": "a", "size": 1}]}',
        b'{"layers": [{"digest": "sha256:00"}]}',
        b'{"layers": [7]}',
        b'{"layers": [{"mediaType": "a", "digest": "sha256:' + b"0" * 64 + b'", "size": -1}]}',
        b" " * (5 << 20),
    ],
)
def test_damaged_manifests(local, stack, data):
    """Nothing that a manifest can hold is a traceback, or a path out of the store."""
    local.write(library("tiny"), data)
    _, problems = stack().lock()
    assert codes(problems) == ["LD456"]


def test_damaged_config(local, stack):
    """A configuration that is no JSON is said, not passed over: it might be a cloud stub's."""
    local.add(library("tiny"), [("model", TINY)])
    manifest = json.loads(local.manifests[library("tiny")])
    manifest["config"] |= local.blob(b"{")
    local.write(library("tiny"), json.dumps(manifest).encode())
    _, problems = stack().lock()
    assert codes(problems) == ["LD456"]


def remove(path):
    path.unlink()


def shorten(path):
    path.write_bytes(path.read_bytes()[:-1])


def spoil(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("harm", [remove, shorten, spoil])
def test_damaged_blobs(local, stack, harm):
    """A blob that is gone, cut or spoilt is named with its manifest."""
    local.add(library("tiny"), [("model", TINY)])
    harm(local.blobs[sha256(TINY)])
    lock, problems = stack().lock()
    assert codes(problems) == ["LD457"]
    assert sha256(TINY) in problems[0].summary
    assert "ollama:tiny" not in lock.weights


def test_odd_extras_are_said(local, stack):
    """Parameters that a spec does not take, or that can't be read, are notes and no lines."""
    odd = {"temperature": 5000, "num_ctx": True, "mirostat": 1, "seed": -1, "top_k": "many"}
    local.add(library("tiny"), [("model", TINY), ("params", odd), ("messages", "{")])
    lock, problems = stack().lock()
    assert codes(problems) == ["LD463"]
    assert problems[0].help == ()
    notes = "\n".join(problems[0].notes)
    assert all(name in notes for name in ("temperature", "num_ctx", "mirostat", "top_k"))
    assert "seed" not in notes
    assert lock.weights["ollama:tiny"].digest == sha256(TINY)


def test_unreadable_store_is_said(local, stack, site, monkeypatch):
    """A store that this user can't read is a warning when the registry has the model."""
    registry = OllamaRegistry(site)
    registry.add("library/tiny", [("model", TINY)])
    local.add(library("tiny"), [("model", OTHER)])
    real = Path.open

    def refuse(self, *arguments, **options):
        if "manifests" in self.parts:
            raise PermissionError(13, "Permission denied")
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    lock, problems = stack(endpoint=site.url).lock()
    assert codes(problems) == ["LD464"]
    assert "Permission denied" in problems[0].notes[0]
    assert lock.weights["ollama:tiny"].digest == sha256(TINY)


# layouts that upstream can't load

GPT_OSS = weights("gptoss", [], {"blk.0.attn_sinks": (8,)})
GEMMA3 = weights(
    "gemma3",
    [("gemma3.attention.layer_norm_rms_epsilon", "f32", 1e-6)],
    {"v.patch_embedding.weight": (8, 2)},
)


def test_ollamas_own_layout_is_refused(local, stack, where):
    """What upstream can't load is refused before it is hashed, with the same model elsewhere."""
    local.add(library("gpt-oss", "20b"), [("model", GPT_OSS)], {"model_type": "20.9B"})
    lock, problems = stack("ollama:gpt-oss:20b").lock()
    assert codes(problems) == ["LD462"]
    assert "`gpt-oss` in llama.cpp" in problems[0].summary
    assert '`source = "hf:ggml-org/gpt-oss-20b-GGUF"`' in problems[0].help[0]
    assert "120b" not in problems[0].help[0]
    assert not (where.store / "weights").exists()
    assert lock.weights == {}


def kind_of(value):
    if isinstance(value, tuple):
        return "[i32]"
    return {bool: "bool", int: "u32", float: "f32", str: "str"}[type(value)]


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_every_layout_is_refused(local, stack, where, case):
    """A blob of each layout in a real file: an error with what to take instead, nothing kept."""
    architecture, keys, tensors = REFUSED[case]
    plain = [(k, kind_of(v), v) for k, v in keys.items() if not isinstance(v, Passed)]
    arrays = [(k, "[str]", ["a"] * v.count) for k, v in keys.items() if isinstance(v, Passed)]
    tensors = {name: shape for name, shape in tensors.items() if name != "output_norm.weight"}
    data = weights(architecture, plain + arrays, tensors)
    role = "projector" if architecture == "clip" else "model"
    local.add(library("odd"), [("model", TINY), (role, data)])
    model = {"source": "ollama:odd"}
    if role == "projector":
        model["mmproj"] = {"source": "ollama:odd"}
    lock, problems = stack(model).lock()
    found = [each for each in problems if each.code == "LD462"]
    assert len(found) == 1
    row = next(row for row in FORMATS if row.architecture == architecture) if known(case) else None
    if row is not None and row.repositories:
        assert '`source = "hf:' in found[0].help[0]
    assert found[0].help
    assert sha256(data) not in {pinned.digest for pinned in lock.weights.values()}
    assert not (where.store / "weights").exists()


def known(case):
    return case != "anything with pictures"


def test_an_encoder_inside_is_why_there_is_no_projector(local, stack):
    """Asking a one-file model for its projector says where it is, and what to take instead."""
    local.add(library("gemma3", "4b"), [("model", GEMMA3)])
    source = "ollama:gemma3:4b"
    _, problems = stack({"source": source, "mmproj": {"source": source}}).lock()
    assert codes(problems) == ["LD462", "LD462"]
    assert {each.address for each in problems} == {"models.m.source", "models.m.mmproj.source"}
    assert all("hf:ggml-org/gemma-3-4b-it-GGUF" in each.help[0] for each in problems)


def test_a_blob_by_its_path(local, stack):
    """A `file:` source that leads into an Ollama store is judged alike."""
    local.blob(GPT_OSS)
    _, problems = stack(f"file:{local.blobs[sha256(GPT_OSS)]}").lock()
    assert codes(problems) == ["LD462"]
    local.blob(TINY)
    _, problems = stack(f"file:{local.blobs[sha256(TINY)]}").lock()
    assert problems == ()


def test_a_template_alone_is_no_loss(local, stack):
    """Weights with a chat template of their own lose nothing with Ollama's."""
    data = weights("llama", [("tokenizer.chat_template", "str", "{{ messages }}")])
    local.add(library("tiny"), [("model", data), ("template", "{{ .Prompt }}")])
    _, problems = stack().lock()
    assert problems == ()


# the registry


def test_registry(local, stack, site, where):
    """What is not here comes from the registry: a header by ranges, then the blob, verified."""
    registry = OllamaRegistry(site)
    big = TINY + bytes(3 << 20)
    body = registry.add("library/tiny", [("model", big), ("params", b'{"num_ctx": 4096}')])
    here = stack(endpoint=site.url)
    lock, problems = here.lock()
    assert codes(problems) == ["LD463"]
    assert problems[0].help == ("`ctx-size = 4096`",)
    pinned = lock.weights["ollama:tiny"]
    assert (pinned.digest, pinned.origin.revision) == (sha256(big), sha256(body))
    assert site.url.encode() not in to_json(lock)
    assert site.sent_bytes() < 3 << 19
    assert here.fetch(lock) == ()
    assert entry(where, big).read_bytes() == big
    assert not entry(where, big).is_symlink()


def test_local_and_registry_agree(local, stack, site, where):
    """One model pins alike wherever it was found."""
    registry = OllamaRegistry(site)
    body = registry.add("library/tiny", EVERYTHING_AS_BYTES)
    remote, _ = stack(endpoint=site.url).lock()
    for _, data in EVERYTHING_AS_BYTES:
        local.blob(data)
    local.blob(registry.blobs[json.loads(body)["config"]["digest"]])
    local.write(library("tiny"), body)
    here, _ = stack().lock()
    assert here == remote


EVERYTHING_AS_BYTES = [
    (
        kind,
        data
        if isinstance(data, bytes)
        else (data if isinstance(data, str) else json.dumps(data)).encode(),
    )
    for kind, data in EVERYTHING
]


def test_unknown(local, stack, site):
    """A name that nobody knows lists where was looked."""
    OllamaRegistry(site)
    _, problems = stack(endpoint=site.url).lock()
    assert codes(problems) == ["LD455"]
    notes = "\n".join(problems[0].notes)
    assert str(local.folder) in notes
    assert site.url in notes


def test_registry_of_hugging_face(local, stack, site, monkeypatch):
    """What is gated there is not for Ollama's interface: the source that takes a token is named."""
    host = site.url.removeprefix("http://")
    monkeypatch.setattr("llmdecl.sources.ollama.registry.HUB_HOSTS", (host,))
    site.fault("manifests", status=401, headers=JSON, body=b'{"error":"Invalid username"}')
    (problem,) = stack(f"ollama:{host}/o/r:Q4_K_M").lock()[1]
    assert (problem.code, len(problem.help)) == ("LD455", 1)
    assert "hf:o/r" in problem.help[0]


def test_registry_lies(local, stack, site):
    """A small layer with another digest is not believed."""
    registry = OllamaRegistry(site, redirects=False)
    registry.add("library/tiny", [("model", TINY), ("params", b'{"num_ctx": 4096}')])
    for name, data in list(registry.blobs.items()):
        if data == b'{"num_ctx": 4096}':
            registry.blobs[name] = b'{"num_ctx": 8192}'
    _, problems = stack(endpoint=site.url).lock()
    assert codes(problems) == ["LD457"]


def test_registry_serves_other_weights(local, stack, site, where):
    """Weights with another digest are thrown away, and both digests named."""
    registry = OllamaRegistry(site)
    registry.add("library/tiny", [("model", TINY)])
    here = stack(endpoint=site.url)
    lock, _ = here.lock()
    name = f"sha256:{sha256(TINY)}"
    registry.blobs[name] = TINY[:-1] + b"?"
    problems = here.fetch(lock)
    assert codes(problems) == ["LD407"]
    assert not entry(where, TINY).exists()


def test_a_damaged_local_blob_is_passed_over(local, stack, site, where):
    """Once pinned, a spoilt blob is left alone, said, and the registry's is taken."""
    registry = OllamaRegistry(site)
    registry.add("library/tiny", [("model", TINY)])
    here = stack(endpoint=site.url)
    lock, _ = here.lock()
    local.blob(TINY)
    spoil(local.blobs[sha256(TINY)])
    assert codes(here.fetch(lock)) == ["LD458"]
    assert entry(where, TINY).read_bytes() == TINY
    assert local.blobs[sha256(TINY)].read_bytes() != TINY


def test_removed_blob(local, stack, site, where):
    """After `ollama rm` the link leads nowhere, and the next fetch brings the same bytes."""
    registry = OllamaRegistry(site)
    registry.add("library/tiny", [("model", TINY)])
    local.add(library("tiny"), [("model", TINY)])
    here = stack(endpoint=site.url)
    lock, _ = here.lock()
    assert here.fetch(lock) == ()
    local.blobs[sha256(TINY)].unlink()
    assert here.fetch(lock) == ()
    assert entry(where, TINY).read_bytes() == TINY


def test_adopted(local, stack, site, where, tmp_path):
    """Another program's file of the same digest is shared, unless adoption is off."""
    registry = OllamaRegistry(site)
    registry.add("library/tiny", [("model", TINY)])
    cached = tmp_path / "home/.cache/huggingface/hub/models--a--b/blobs" / sha256(TINY)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(TINY)
    lock, _ = stack(endpoint=site.url).lock()
    site.heal()
    before = len(site.requests("blobs"))
    assert stack(endpoint=site.url).fetch(lock) == ()
    assert len(site.requests("blobs")) == before
    assert entry(where, TINY).read_bytes() == TINY
    entry(where, TINY).unlink()
    assert stack(endpoint=site.url, adopt=False).fetch(lock) == ()
    assert len(site.requests("blobs")) > before
    assert not entry(where, TINY).samefile(cached)


def test_processes(local, stack, site, where, tmp_path):
    """Two fetches at once link one blob and share one file; neither fails or downloads."""
    registry = OllamaRegistry(site)
    registry.add("library/tiny", [("model", TINY)])
    local.add(library("other"), [("draft", OTHER)])
    cached = tmp_path / "home/.lmstudio/models/a/b" / f"sha256-{sha256(TINY)}"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(TINY)
    draft = {"source": "ollama:tiny", "draft": {"source": "ollama:other"}}
    here = stack(draft, endpoint=site.url)
    lock, problems = here.lock()
    assert problems == ()
    root = where.store.parent
    (tmp_path / "spec.json").write_text(here.spec.model_dump_json(by_alias=True, exclude_none=True))
    (tmp_path / "lock.json").write_bytes(to_json(lock))
    argv = [sys.executable, Path(__file__).with_name("fetch_process.py"), root]
    argv += [tmp_path / "spec.json", tmp_path / "lock.json", "real"]
    before = len(site.requests("blobs"))
    processes = [subprocess.Popen(argv) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(site.requests("blobs")) == before
    assert entry(where, OTHER).samefile(local.blobs[sha256(OTHER)])
    assert entry(where, TINY).read_bytes() == TINY


def test_another_host(local, stack, site):
    """A name that begins with a host is asked there, and not at Ollama's endpoint."""
    registry = OllamaRegistry(site)
    registry.add("me/tiny", [("model", TINY)], tag="Q4_K_M")
    host = site.url.removeprefix("http://")
    source = f"ollama:{host}/me/tiny:Q4_K_M"
    lock, problems = stack(source).lock()
    assert problems == ()
    assert lock.weights[source].origin.repository == f"{host}/me/tiny"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"status": 401}, "LD455"),
        ({"status": 412, "headers": JSON, "body": OLD_CLIENT}, "LD424"),
        ({"redirect": "file:///etc/passwd"}, "LD428"),
        ({}, "LD456"),
        ({"status": 404}, "LD455"),
    ],
)
def test_registry_faults(local, stack, site, fault, code):
    """What a registry answers instead of a manifest has a code, and pins nothing."""
    registry = OllamaRegistry(site)
    registry.add("library/tiny", [("model", TINY)])
    if fault:
        site.fault("manifests", **fault)
    else:
        registry.manifests["library/tiny", "latest"] = b"<html>"
    lock, problems = stack(endpoint=site.url).lock()
    assert codes(problems) == [code]
    assert lock.weights == {}
    if fault.get("body"):
        assert problems[0].notes == ("the server says: requires a newer version of Ollama",)


def test_a_cut_header_is_read_again(local, stack, site, where):
    """Broken and refused answers on the way to header and blob cost time, and nothing else."""
    OllamaRegistry(site).add("library/tiny", [("model", TINY + bytes(100_000))])
    site.fault("ollama-blobs", cut_at=10, times=1)
    site.fault("manifests", status=503, retry_after="0", times=1)
    here = stack(endpoint=site.url)
    lock, problems = here.lock()
    assert problems == ()
    site.fault("ollama-blobs", cut_at="random", times=2)
    assert here.fetch(lock) == ()
    assert entry(where, TINY + bytes(100_000)).is_file()
