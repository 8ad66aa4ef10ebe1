"""`hf:` sources against a Hugging Face on loopback."""

import json
import os

import pytest

from llmdecl.sources.http.web import Web
from llmdecl.store.store import Store
from llmdecl.values import to_json
from tests.web.hub_kit import fetch, folders, large_model, lock, model, spec, split_model
from tests.web.hugging_face import HuggingFace
from tests.web.site_kit import sha256

Q4, Q8 = model(seed=4), model(seed=8)
KEY = "hf:acme/tiny#Q4_0"


@pytest.fixture
def hub(site, tmp_path, monkeypatch):
    """The hub with one repository; no token and no endpoint of this machine's user."""
    for name in list(os.environ):
        if name.startswith(("HF_", "HUGGING")) or name in ("XDG_CACHE_HOME", "NETRC"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    hub = HuggingFace(site)
    hub.add(
        "acme/tiny",
        {
            "tiny-Q4_0.gguf": Q4,
            "tiny-Q8_0.gguf": Q8,
            "mmproj-F16.gguf": model("mm"),
            "README.md": b"#",
        },
        card={"license": "apache-2.0", "base_model": ["acme/tiny-base"]},
    )
    return hub


def tiny(site, quantization="Q4_0", **options):
    return spec(site, {"m": {"source": "hf:acme/tiny", "quantization": quantization}}, **options)


def good(result):
    assert () == result[1]
    return result[0]


def codes(result):
    return [each.code for each in result[1]]


def test_lock_and_fetch(hub, site, tmp_path):
    """A lock names commit, file, digest, licence and base model; a fetch brings just that file."""
    found = good(lock(tiny(site), tmp_path))
    weights = found.weights[KEY]
    repository = hub.repositories["acme/tiny"]
    assert sha256(Q4) == weights.digest
    assert "tiny-Q4_0.gguf" == weights.files[0].path
    origin = weights.origin
    assert (repository.commit, None) == (origin.revision, origin.requested)
    assert ("apache-2.0", ("acme/tiny-base",), False) == (
        origin.license,
        origin.base_model,
        origin.gated,
    )
    assert "llama" == weights.gguf.architecture
    assert str(site.url).encode() not in to_json(found)
    assert () == fetch(tiny(site), found, tmp_path)
    store = Store(folders(tmp_path).store)
    assert Q4 == store.weights_paths(weights)[0].read_bytes()
    assert [] == site.requests("main/tiny"), "a fetch asks for the commit, never for the branch"


def test_second_lock_asks_nothing(hub, site, tmp_path):
    """A pin stays whatever the branch does; equal inputs give equal bytes; `--update` moves it."""
    first = good(lock(tiny(site), tmp_path))
    old = hub.repositories["acme/tiny"].commit
    hub.add("acme/tiny", {"tiny-Q4_0.gguf": model(seed=5)})
    before = len(site.log)
    assert to_json(first) == to_json(good(lock(tiny(site), tmp_path, first)))
    assert before == len(site.log)
    assert () == fetch(tiny(site), first, tmp_path), "the old commit is still what is fetched"
    moved = good(lock(tiny(site), tmp_path, first, update=["m"]))
    assert old != moved.weights[KEY].origin.revision
    assert sha256(model(seed=5)) == moved.weights[KEY].digest


def test_header_is_kept_by_digest(hub, site, tmp_path):
    """A second look at a file whose digest is known reads nothing of it."""
    good(lock(tiny(site), tmp_path))
    assert site.requests("/resolve/")
    site.log.clear()
    good(lock(tiny(site), tmp_path))
    assert [] == site.requests("/resolve/")
    assert 2 == len(site.log), "the revision and its files"


@pytest.mark.parametrize("revision", ["v1.0", "a%2Fb", "COMMIT"])
def test_revisions(hub, site, tmp_path, revision):
    """A tag, a branch with a slash and a commit are asked for as they are."""
    repository = hub.repositories["acme/tiny"]
    repository.branches |= {"v1.0": repository.commit, "a/b": repository.commit}
    at = repository.commit if revision == "COMMIT" else revision
    source = f"hf:acme/tiny@{at}"
    found = good(lock(spec(site, {"m": {"source": source, "quantization": "Q8_0"}}), tmp_path))
    assert repository.commit == found.weights[f"{source}#Q8_0"].origin.revision


def test_pull_request(hub, site, tmp_path):
    """A pull request is named as Hugging Face shows it; both spellings are one revision."""
    commit = hub.repositories["acme/tiny"].commit
    hub.repositories["acme/tiny"].branches["refs/pr/3"] = commit
    for source in ("hf:acme/tiny@refs/pr/3", "hf:acme/tiny@refs%2Fpr%2F3"):
        path = f"{source}/tiny-Q8_0.gguf"
        assert commit == good(lock(spec(site, {"m": path}), tmp_path)).weights[path].origin.revision
    (problem,) = lock(spec(site, {"m": f"hf:acme/tiny@{commit[:8]}"}), tmp_path)[1]
    assert ("LD441", 1) == (problem.code, len(problem.help))


def test_renamed(hub, site, tmp_path):
    """A renamed repository is found, said to be renamed once, and brought; nothing is asked twice.

    Its digest is told by the second of two redirects, also to an `https:` source.
    """
    hub.renamed["old/tiny"] = "acme/tiny"
    one = spec(site, {"m": {"source": "hf:old/tiny", "quantization": "Q4_0"}})
    found, problems = lock(one, tmp_path)
    assert ["LD453"] == [each.code for each in problems]
    assert "`acme/tiny`" in problems[0].summary
    assert "old/tiny" == found.weights["hf:old/tiny#Q4_0"].origin.repository
    assert (found, ()) == lock(one, tmp_path, found)
    assert () == fetch(one, found, tmp_path)
    web = f"{site.url}/old/tiny/resolve/main/tiny-Q8_0.gguf"
    site.log.clear()
    assert sha256(Q8) == good(lock(spec(site, {"m": web}), tmp_path / "web")).weights[web].digest
    assert ["bytes=0-0"] == [each.headers["range"] for each in site.requests("/old/")]


def test_mirror_that_calls_it_otherwise(hub, site, tmp_path):
    """Where nobody leads to another name, the name that was asked for is the repository's."""
    repository = hub.repositories["acme/tiny"]
    info = hub._info(repository, blobs=False) | {"id": "upstream/tiny"}
    headers = {"Content-Type": "application/json"}
    site.fault("/revision/", status=200, headers=headers, body=json.dumps(info).encode())
    good(lock(tiny(site), tmp_path))


def test_capitals_are_no_other_name(hub, site, tmp_path):
    """A repository whose name is written with other capitals is not said to be renamed."""
    hub.renamed["Acme/Tiny"] = "acme/tiny"
    good(lock(spec(site, {"m": {"source": "hf:Acme/Tiny", "quantization": "Q4_0"}}), tmp_path))


def test_disabled(hub, site, tmp_path, monkeypatch):
    """A repository that Hugging Face disabled is not taken for a bad token."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    words = {"X-Error-Message": "Access to this resource is disabled."}
    site.fault("/api/models/", status=403, headers=words)
    (problem,) = lock(tiny(site), tmp_path)[1]
    assert "LD448" == problem.code
    assert "disabled" in problem.summary


def test_rate_limit(hub, site, tmp_path, monkeypatch):
    """The wait that Hugging Face asks for with `RateLimit` is kept, and no number of left ones."""
    waited = []
    monkeypatch.setattr(Web, "wait_after", lambda _self, trouble, *_: waited.append(trouble))
    site.fault("/revision/", status=429, headers={"RateLimit": '"api";r=0;t=55'}, times=1)
    site.fault("/tree/", status=503, headers={"RateLimit": '"api";r=0;t=55'}, times=1)
    good(lock(tiny(site), tmp_path))
    assert [56.0, None] == [each.retry_after_s for each in waited]


def test_offline(hub, site, tmp_path, monkeypatch):
    """With `HF_HUB_OFFLINE` nobody is asked: not to lock, and not to fetch."""
    found = good(lock(tiny(site), tmp_path))
    site.log.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "true")
    assert (found, ()) == lock(tiny(site), tmp_path, found)
    assert ["LD454"] == [each.code for each in fetch(tiny(site), found, tmp_path)]
    assert ["LD454"] == codes(lock(tiny(site), tmp_path))
    assert [] == site.log


def test_unknown(hub, site, tmp_path):
    """Repository, revision and file that are not there are three different diagnostics."""
    assert ["LD440"] == codes(lock(spec(site, {"m": "hf:acme/none"}), tmp_path))
    assert ["LD441"] == codes(lock(spec(site, {"m": "hf:acme/tiny@v9"}), tmp_path))
    assert ["LD442"] == codes(lock(spec(site, {"m": "hf:acme/tiny/no.gguf"}), tmp_path))
    assert ["LD443"] == codes(lock(tiny(site, "Q5_K_M"), tmp_path))
    found = lock(spec(site, {"m": "hf:acme/tiny"}), tmp_path)
    assert ["LD444"] == codes(found)
    assert f"Q4_0: {len(Q4) / 1024:.1f} KiB, `tiny-Q4_0.gguf`" in found[1][0].notes


def test_pages(hub, site, tmp_path):
    """All pages of the list are read, and a page's link to another host is not followed."""
    files = {f"f{number:03}-Q4_0.txt": b"" for number in range(25)} | {"z-Q4_0.gguf": Q4}
    repository = hub.add("acme/many", files, page=10)
    hub.url = "http://elsewhere.invalid"
    one = spec(site, {"m": {"source": "hf:acme/many", "quantization": "Q4_0"}})
    assert "z-Q4_0.gguf" == good(lock(one, tmp_path)).weights["hf:acme/many#Q4_0"].files[0].path
    assert 3 == len(site.requests(f"/tree/{repository.commit}"))


def test_projector_and_path(hub, site, tmp_path):
    """Model, projector and a file by path in one spec are three pins."""
    one = spec(
        site,
        {
            "m": {
                "source": "hf:acme/tiny",
                "quantization": "Q4_0",
                "mmproj": {"source": "hf:acme/tiny"},
            },
            "n": "hf:acme/tiny/tiny-Q8_0.gguf",
        },
    )
    found = good(lock(one, tmp_path)).weights
    assert {"hf:acme/tiny#Q4_0", "hf:acme/tiny#mmproj", "hf:acme/tiny/tiny-Q8_0.gguf"} == {*found}
    assert "mmproj-F16.gguf" == found["hf:acme/tiny#mmproj"].files[0].path


def test_split(hub, site, tmp_path):
    """A split model in a folder is pinned and brought whole, part by part."""
    parts = split_model()
    hub.add(
        "acme/split",
        {f"Q4_0/s-{n:05}-of-00003.gguf": part for n, part in enumerate(parts, 1)},
    )
    one = spec(site, {"m": {"source": "hf:acme/split", "quantization": "Q4_0"}})
    found = good(lock(one, tmp_path))
    weights = found.weights["hf:acme/split#Q4_0"]
    assert [sha256(part) for part in parts] == [file.sha256 for file in weights.files]
    assert () == fetch(one, found, tmp_path)
    paths = Store(folders(tmp_path).store).weights_paths(weights)
    assert parts == [path.read_bytes() for path in paths]
    assert "model-00003-of-00003.gguf" == paths[2].name


# tokens


SECRET = "hf_" + "s3cr3t" * 6


def test_gated_without_token(hub, site, tmp_path):
    """No token: said so, at the model's source; nothing is pinned."""
    hub.repositories["acme/tiny"].gated = "manual"
    found, problems = lock(tiny(site), tmp_path)
    assert {} == found.weights
    assert ["LD445"] == [each.code for each in problems]
    assert "models.m.source" == problems[0].address


def test_gated_terms(hub, site, tmp_path, monkeypatch):
    """A token whose account was not admitted: the page to go to is named."""
    hub.repositories["acme/tiny"].gated = "auto"
    monkeypatch.setenv("HF_TOKEN", SECRET)
    (problem,) = lock(tiny(site), tmp_path)[1]
    assert "LD447" == problem.code
    assert f"{site.url}/acme/tiny" in problem.help[0]
    assert SECRET not in str(problem)


def test_token_refused(hub, site, tmp_path, monkeypatch):
    """A bad token is refused even for what is public; where it came from is said."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    hub.revoked.add(SECRET)
    (problem,) = lock(tiny(site), tmp_path)[1]
    assert "LD446" == problem.code
    assert "the token is from `HF_TOKEN`" in problem.notes
    assert SECRET not in str(problem)


@pytest.mark.parametrize("place", ["file", "environment", "older", "login", "home"])
def test_token_goes_to_the_hub_only(hub, site, tmp_path, monkeypatch, place):
    """A gated repository is pinned and brought; no other host ever sees the token, nor the lock."""
    repository = hub.repositories["acme/tiny"]
    repository.gated, repository.granted = "auto", (SECRET,)
    options = {}
    path = tmp_path / "token"
    if place == "environment":
        monkeypatch.setenv("HF_TOKEN", SECRET)
    elif place == "older":
        monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", SECRET)
    elif place == "home":
        path = tmp_path / "home/.cache/huggingface/token"
        path.parent.mkdir(parents=True)
    elif place == "login":
        monkeypatch.setenv("HF_TOKEN_PATH", str(path))
    else:
        options = {"hf": {"token-file": str(path)}}
    path.write_text(f"{SECRET}\n")
    one = tiny(site, **options)
    found = good(lock(one, tmp_path))
    assert found.weights[KEY].origin.gated
    assert () == fetch(one, found, tmp_path)
    cdn = site.requests(host="cdn")
    assert cdn
    assert not any("authorization" in each.headers for each in cdn)
    assert all(
        f"Bearer {SECRET}" == each.headers["authorization"] for each in site.requests(host="front")
    )
    assert SECRET not in to_json(found).decode()


def test_gate_closes_before_fetch(hub, site, tmp_path, monkeypatch):
    """Terms withdrawn after the lock are the same diagnostic at the fetch, and nothing is kept."""
    found = good(lock(tiny(site), tmp_path))
    hub.repositories["acme/tiny"].gated = "auto"
    assert ["LD445"] == [each.code for each in fetch(tiny(site), found, tmp_path)]
    monkeypatch.setenv("HF_TOKEN", SECRET)
    assert ["LD447"] == [each.code for each in fetch(tiny(site), found, tmp_path)]
    assert not (folders(tmp_path).store / "weights").exists()


@pytest.mark.parametrize("content", [None, b"", b"two words\n", b"\xff\xfe", b"a\nb\n"])
def test_unreadable_token(hub, site, tmp_path, content):
    """A token file that is not there, empty or something else is said at its key."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    (problem,) = lock(tiny(site, hf={"token-file": str(path)}), tmp_path)[1]
    assert ("LD449", "sources.hf.token-file") == (problem.code, problem.address)
    assert [] == site.log


# what a server gets wrong


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/revision/", b"{}"),
        ("/revision/", b'{"sha": "../../../etc"}'),
        ("/revision/", b"[]"),
        ("/tree/", b"{}"),
    ],
)
def test_odd_answers(hub, site, tmp_path, path, body):
    """JSON of another shape is a diagnostic."""
    site.fault(path, status=200, body=body)
    assert ["LD448"] == codes(lock(tiny(site), tmp_path))


def test_unsafe_paths_are_not_there(hub, site, tmp_path):
    """A path that would leave its folder is no file."""
    body = (
        b'[{"type":"file","path":"../x-Q4_0.gguf","size":5,"lfs":{"oid":"%s","size":5}},'
        b'{"type":"file","path":"y-Q4_0.gguf","size":-5}]' % (b"0" * 64)
    )
    site.fault("/tree/", status=200, body=body)
    assert ["LD443"] == codes(lock(tiny(site), tmp_path))


def test_other_header_than_locked(hub, site, tmp_path):
    """A header that was not the file's when it was locked is found out when the file is here."""
    found = good(lock(tiny(site), tmp_path))
    weights = found.weights[KEY]
    lying = weights.replace(gguf=weights.gguf.replace(n_params=1))
    found = found.replace(weights={KEY: lying})
    (problem,) = fetch(tiny(site), found, tmp_path)
    assert "LD450" == problem.code
    assert any(note.startswith("parameters:") for note in problem.notes)
    assert not Store(folders(tmp_path).store).has_weights(weights.digest)
    mended = good(lock(tiny(site), tmp_path, found, update=["m"]))
    assert weights.gguf == mended.weights[KEY].gguf
    assert () == fetch(tiny(site), mended, tmp_path)


def test_header_of_a_liar_is_forgotten(hub, site, tmp_path):
    """A header that was a lie when it was read is not believed again once the file was here."""
    lie = model("Liar", seed=4).replace(b"llama.context_length", b"llama.context_lengtj")
    assert len(lie) == len(Q4)
    fault = site.fault("/signed/", body=lie.replace(b"{{ messages }}", b"{{ mes_ages }}"))
    found = good(lock(tiny(site), tmp_path))
    fault.times = 0
    assert ["LD450"] == [each.code for each in fetch(tiny(site), found, tmp_path)]
    mended = good(lock(tiny(site), tmp_path, found, update=["m"]))
    assert () == fetch(tiny(site), mended, tmp_path)


def test_without_lfs(hub, site, tmp_path):
    """A file whose SHA-256 nobody says is brought at once and hashed."""
    repository = hub.repositories["acme/tiny"]
    repository.is_lfs = lambda path: False
    found = good(lock(tiny(site), tmp_path))
    assert sha256(Q4) == found.weights[KEY].digest
    assert Store(folders(tmp_path).store).has_weights(sha256(Q4))
    before = len(site.log)
    assert () == fetch(tiny(site), found, tmp_path)
    assert before == len(site.log)


def test_mirror_of_the_environment(hub, site, tmp_path, monkeypatch):
    """`HF_ENDPOINT` is asked where the spec says nothing."""
    monkeypatch.setenv("HF_ENDPOINT", f"{site.url}/")
    one = tiny(site).model_copy(update={"sources": None})
    assert KEY in good(lock(one, tmp_path)).weights


# much data, little moved


def test_lock_of_70b_moves_little(hub, site, tmp_path):
    """Locking a split model of 70B parameters with Llama 3's vocabulary reads under 30 MB."""
    paths = large_model(tmp_path)
    digests = {f"Q4_K_S/{path.name}": f"{number:064x}" for number, path in enumerate(paths)}
    repository = hub.add("acme/large", {})
    repository.files = {f"Q4_K_S/{path.name}": path for path in paths}
    repository.digests = digests
    size = sum(path.stat().st_size for path in paths)
    assert size > 35e9
    one = spec(site, {"m": {"source": "hf:acme/large", "quantization": "Q4_K_S"}})
    facts = good(lock(one, tmp_path)).weights["hf:acme/large#Q4_K_S"].gguf
    assert 70_553_706_496 == facts.n_params
    assert size == facts.file_bytes
    assert 128_256 == facts.vocabulary.size
    assert site.sent_bytes() < 16e6
    assert len(site.log) < 60


def test_ranges_refused(hub, site, tmp_path):
    """A server that sends the whole file each time is read from its start, once."""
    site.fault("/signed/", refuse_ranges=True)
    assert KEY in good(lock(tiny(site), tmp_path)).weights


def test_nothing_to_bring_needs_no_token(hub, site, tmp_path):
    """What the store holds is not asked for, whatever became of the token's file."""
    path = tmp_path / "token"
    path.write_text(SECRET)
    one = tiny(site, hf={"token-file": str(path)})
    found = good(lock(one, tmp_path))
    assert () == fetch(one, found, tmp_path)
    path.unlink()
    before = len(site.log)
    assert () == fetch(one, found, tmp_path)
    assert before == len(site.log)


def test_commit_that_is_gone(hub, site, tmp_path):
    """A locked commit that the publisher removed is said to be gone, by its name."""
    found = good(lock(tiny(site), tmp_path))
    commit = hub.repositories["acme/tiny"].commit
    words = {"X-Error-Code": "RevisionNotFound"}
    site.fault("/resolve/", status=404, headers=words)
    (problem,) = fetch(tiny(site), found, tmp_path)
    assert "LD441" == problem.code
    assert f"`{commit}`" in problem.summary


@pytest.mark.parametrize("value", ["huggingface.co", "https://[", "https://u:p@h", "https://h/?x"])
def test_endpoint_that_is_none(hub, site, tmp_path, monkeypatch, value):
    """What the environment names instead of an address is a diagnostic, as in a spec."""
    monkeypatch.setenv("HF_ENDPOINT", value)
    (problem,) = lock(tiny(site).model_copy(update={"sources": None}), tmp_path)[1]
    assert "LD448" == problem.code
    assert problem.summary.startswith("`HF_ENDPOINT`: ")


def test_endpoint_in_the_clear(hub, site, tmp_path, monkeypatch):
    """A token would travel in the clear: an endpoint without TLS is not asked."""
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    one = tiny(site).model_copy(update={"sources": None})
    assert ["LD448"] == codes(lock(one, tmp_path))


def test_adopted_without_a_byte(hub, site, tmp_path):
    """A file that Hugging Face's cache has here is shared, and the fetch asks nothing."""
    one = tiny(site)
    sources = one.sources.model_copy(update={"adopt": True})
    one = one.model_copy(update={"sources": sources})
    found = good(lock(one, tmp_path))
    blobs = tmp_path / "home/.cache/huggingface/hub/models--acme--tiny/blobs"
    blobs.mkdir(parents=True)
    (blobs / sha256(Q4)).write_bytes(Q4)
    before = len(site.log)
    assert () == fetch(one, found, tmp_path)
    assert before == len(site.log)
    assert Q4 == Store(folders(tmp_path).store).weights_paths(found.weights[KEY])[0].read_bytes()
