"""Requests: redirects, tokens, tries, limits."""

import pytest

from llmdecl.diagnostics import Failure
from llmdecl.sources.http.reader import RangeReader
from llmdecl.sources.http.secret import Secret
from llmdecl.sources.http.values import Source
from tests.web.hugging_face import HuggingFace
from tests.web.ollama_registry import OllamaRegistry
from tests.web.site_kit import sha256
from tests.web.web_kit import impatient, random_bytes

TOKEN = Secret.bearer("hf_verysecret\n")


def test_get(site):
    """A page is read whole, through redirects, relative ones too."""
    site.put("/a/page", b"[1]")
    site.fault("/start", redirect="/a/b")
    site.fault("/a/b", redirect="page")
    answer = impatient().get(f"{site.url}/start", address="m")
    assert (200, [1], f"{site.url}/a/page") == (answer.status, answer.json("m"), answer.url)


def test_hugging_face(site):
    """A gated file is found with its digest and commit, and the token stays with its host."""
    hub = HuggingFace(site)
    data = random_bytes(300_000)
    repository = hub.add(
        "o/r", {"m.gguf": data, "README.md": b"hi"}, gated="auto", granted=("hf_verysecret",)
    )
    web = impatient()
    source = Source(f"{site.url}/o/r/resolve/main/m.gguf", token=TOKEN)
    remote = web.look(source, address="m")
    assert (len(data), sha256(data), repository.commit) == (
        remote.size_bytes,
        remote.sha256,
        remote.commit,
    )
    assert remote.accepts_ranges
    reader = RangeReader(web, remote, address="m")
    assert reader.read_at(1000, 5000) == data[1000:6000]
    assert reader.read_at(len(data) - 10, 50) == data[-10:]
    assert reader.bytes_read == 5010
    assert site.requests(host="cdn")
    assert all("authorization" not in each.headers for each in site.requests(host="cdn"))
    assert all("authorization" in each.headers for each in site.requests(host="front"))
    small = web.get(f"{site.url}/o/r/resolve/main/README.md", token=TOKEN, address="m")
    assert small.body == b"hi"


def test_gated(site):
    """Without a token a gated repository is refused, and the token is in no word of it."""
    HuggingFace(site).add("o/r", {"m.gguf": b"x"}, gated="auto", granted=("other",))
    url = f"{site.url}/o/r/resolve/main/m.gguf"
    for token in (None, TOKEN):
        with pytest.raises(Failure) as caught:
            impatient().look(Source(url, token=token), address="m")
        assert "LD422" == caught.value.diagnostics[0].code
        assert "verysecret" not in repr(caught.value.diagnostics)


def test_ollama(site):
    """A manifest and a blob of Ollama's registry."""
    registry = OllamaRegistry(site)
    data = random_bytes(100_000)
    body = registry.add("library/x", [("model", data)])
    web = impatient()
    assert web.get(f"{site.url}/v2/library/x/manifests/latest", address="m").body == body
    blob = f"{site.url}/v2/library/x/blobs/sha256:{sha256(data)}"
    remote = web.look(Source(blob), address="m")
    assert (len(data), True) == (remote.size_bytes, remote.accepts_ranges)
    assert RangeReader(web, remote, address="m").read_at(5, 7) == data[5:12]


def test_tries(site):
    """A server that recovers is asked again, after as long as it says."""
    site.put("/a", b"fine")
    site.fault("/a", status=500, times=2)
    site.fault("/a", status=429, retry_after="7", times=1)
    web = impatient()
    assert web.get(f"{site.url}/a", address="m").body == b"fine"
    waits = web.patience.sleep.asked
    assert 3 == len(waits)
    assert waits[0] >= 7


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"status": 404}, "LD421"),
        ({"status": 401}, "LD422"),
        ({"status": 403}, "LD422"),
        ({"status": 429, "retry_after": "1"}, "LD423"),
        ({"status": 429, "retry_after": "100000"}, "LD423"),
        ({"status": 500}, "LD424"),
        ({"status": 503}, "LD424"),
        ({"reset": True}, "LD420"),
        ({"redirect": "/a"}, "LD428"),
        ({"redirect": "file:///etc/passwd"}, "LD428"),
        ({"raw": b"SSH-2.0-OpenSSH_9.2\r\n"}, "LD420"),
        ({"cut_at": 2}, "LD420"),
        ({"length_off": 5}, "LD420"),
    ],
)
def test_faults(site, fault, code):
    """Every fault that stays has its own code."""
    site.put("/a", b"fine")
    site.fault("/a", **fault)
    with pytest.raises(Failure) as caught:
        impatient(read_s=0.5).get(f"{site.url}/a", address="m")
    assert code == caught.value.diagnostics[0].code
