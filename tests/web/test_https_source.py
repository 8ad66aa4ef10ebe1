"""`https:` sources (on loopback, `http:`) pinned and brought."""

import pytest

from llmdecl.store.store import Store
from llmdecl.values import to_json
from tests.web.hub_kit import fetch, folders, lock, model, spec, split_model
from tests.web.site_kit import sha256

BODY = model()


@pytest.fixture(autouse=True)
def nobody(tmp_path, monkeypatch):
    """A home without a netrc."""
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()


def good(result):
    assert () == result[1]
    return result[0]


def held(root, weights):
    return [path.read_bytes() for path in Store(folders(root).store).weights_paths(weights)]


def test_digest_of_the_spec(site, tmp_path):
    """With `#sha256=` only the header is read; the fetch compares what comes."""
    source = f"{site.put('/m.gguf', BODY + bytes(9 << 20))}#sha256="
    body = site.files["/m.gguf"].body
    source += sha256(body)
    one = spec(site, {"m": source})
    found = good(lock(one, tmp_path))
    assert site.sent_bytes() < 2 << 20
    weights = found.weights[source]
    assert sha256(body) == weights.digest
    assert site.files["/m.gguf"].etag == weights.origin.etag
    assert () == fetch(one, found, tmp_path)
    assert [body] == held(tmp_path, weights)
    before = len(site.log)
    assert to_json(found) == to_json(good(lock(one, tmp_path, found)))
    assert before == len(site.log)


def test_digest_of_nobody(site, tmp_path):
    """Where nobody says a digest the file is brought once, at the lock, and hashed."""
    source = site.put("/m.gguf", BODY)
    one = spec(site, {"m": source})
    found = good(lock(one, tmp_path))
    assert sha256(BODY) == found.weights[source].digest
    assert [BODY] == held(tmp_path, found.weights[source])
    before = len(site.log)
    assert () == fetch(one, found, tmp_path)
    assert before == len(site.log)


def test_digest_of_the_server(site, tmp_path):
    """An `X-Linked-Etag` of 64 hexadecimal digits is a digest; another one is not."""
    source = site.put("/m.gguf", BODY, headers={"X-Linked-Etag": f'"{sha256(BODY)}"'})
    other = site.put("/n.gguf", BODY, headers={"X-Linked-Etag": '"12345678"'})
    found = good(lock(spec(site, {"m": source, "n": other}), tmp_path)).weights
    assert sha256(BODY) == found[source].digest == found[other].digest
    assert 1 == len([each for each in site.requests("/m.gguf") if each.status == 206][1:2])
    assert all(each.sent <= len(BODY) for each in site.log)


def test_digests_that_disagree(site, tmp_path):
    """A server that says another digest than the spec is found out before anything is brought."""
    url = site.put("/m.gguf", BODY, headers={"X-Linked-Etag": f'"{sha256(b"x")}"'})
    source = f"{url}#sha256={sha256(BODY)}"
    found, (problem,) = lock(spec(site, {"m": source}), tmp_path)
    assert ("LD407", {}) == (problem.code, found.weights)
    assert sha256(b"x") in problem.summary
    assert sha256(BODY) in problem.summary


def test_wrong_digest(site, tmp_path):
    """A file that is not what the spec says is locked by its header and refused at the fetch."""
    source = f"{site.put('/m.gguf', BODY)}#sha256={sha256(b'x')}"
    one = spec(site, {"m": source})
    found = good(lock(one, tmp_path))
    assert ["LD407"] == [each.code for each in fetch(one, found, tmp_path)]
    assert not (folders(tmp_path).store / "weights").exists()


def test_replaced_file(site, tmp_path):
    """A file that was replaced under its URL is not what the lock pins."""
    source = site.put("/m.gguf", BODY)
    one = spec(site, {"m": source})
    found = good(lock(one, tmp_path))
    site.put("/m.gguf", model(seed=7))
    elsewhere = tmp_path / "elsewhere"
    (problem,) = fetch(one, found, elsewhere)
    assert problem.code in ("LD407", "LD425", "LD426")
    moved = good(lock(one, tmp_path, found, update=["m"]))
    assert sha256(model(seed=7)) == moved.weights[source].digest


def test_split_parts(site, tmp_path):
    """The parts of a split model lie beside the one that is named, redirected or not."""
    for number, part in enumerate(split_model(), 1):
        site.put(f"/new/a b-{number:05}-of-00003.gguf", part)
    site.fault("/old/", redirect=f"{site.cdn_url}/new/a%20b-00001-of-00003.gguf", times=2)
    source = f"{site.url}/new/a%20b-00001-of-00003.gguf"
    one = spec(site, {"m": source})
    found = good(lock(one, tmp_path))
    assert split_model() == held(tmp_path, found.weights[source])
    assert "a b-00002-of-00003.gguf" == found.weights[source].files[1].name


def test_redirect(site, tmp_path):
    """A redirect to another host is followed for header and file."""
    site.put("/new/m.gguf", BODY)
    site.fault("/old/", redirect=f"{site.cdn_url}/new/m.gguf")
    source = f"{site.url}/old/m.gguf#sha256={sha256(BODY)}"
    one = spec(site, {"m": source})
    found = good(lock(one, tmp_path))
    assert () == fetch(one, found, tmp_path)
    assert [BODY] == held(tmp_path, found.weights[source])


def test_no_model(site, tmp_path):
    """A page instead of a model is said to be one; a file that is not there as well."""
    page = site.put("/m.gguf", b"<!DOCTYPE html>" + bytes(100))
    one = spec(site, {"m": f"{page}#sha256={'0' * 64}"})
    (problem,) = lock(one, tmp_path)[1]
    assert "is not a GGUF file" in problem.summary
    assert "models.m.source" == problem.address
    (problem,) = lock(spec(site, {"m": f"{site.url}/none.gguf"}), tmp_path)[1]
    assert "LD421" == problem.code


def test_netrc(site, tmp_path, monkeypatch):
    """The user's netrc opens a host, and its password goes nowhere else."""
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login ann password s3cr3t\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    site.put("/new/m.gguf", BODY)
    site.fault("/old/", redirect=f"{site.cdn_url}/new/m.gguf")
    source = f"{site.url}/old/m.gguf#sha256={sha256(BODY)}"
    good(lock(spec(site, {"m": source}), tmp_path))
    front = site.requests(host="front")
    assert front
    assert all(each.headers["authorization"].startswith("Basic ") for each in front)
    assert not any("authorization" in each.headers for each in site.requests(host="cdn"))
    path.write_text("machine\n")
    (problem,) = lock(spec(site, {"m": source}), tmp_path)[1]
    assert "LD451" == problem.code
    assert "s3cr3t" not in str(problem)


def test_unchanged_file_is_not_brought_again(site, tmp_path):
    """A renewed pin of a file with the same ETag costs its header at most; a new ETag the file."""
    source = site.put("/m.gguf", BODY + bytes(3 << 20), etag='"one"')
    body = site.files["/m.gguf"].body
    one = spec(site, {"m": source})
    found = good(lock(one, tmp_path))
    site.log.clear()
    assert found == good(lock(one, tmp_path, found, update=["m"]))
    assert site.sent_bytes() <= 1 + (1 << 20)
    site.put("/m.gguf", body, etag='"two"')
    site.log.clear()
    assert (
        found.weights[source].digest
        == good(lock(one, tmp_path, found, update=["m"])).weights[source].digest
    )
    assert site.sent_bytes() >= len(body)


def test_weak_etag_tells_nothing(site, tmp_path):
    """A weak ETag is no version: the file is brought to know it each time."""
    source = site.put("/m.gguf", BODY, etag='W/"one"')
    one = spec(site, {"m": source})
    found = good(lock(one, tmp_path))
    site.put("/m.gguf", model(seed=9), etag='W/"one"')
    moved = good(lock(one, tmp_path, found, update=["m"]))
    assert sha256(model(seed=9)) == moved.weights[source].digest
