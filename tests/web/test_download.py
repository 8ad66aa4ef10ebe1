"""Downloads into a store."""

import pytest

from llmdecl.diagnostics import Failure
from llmdecl.sources.http.values import Source
from llmdecl.store.download import Wanted, download
from llmdecl.store.store import Store
from tests.web.site_kit import sha256
from tests.web.web_kit import Tell, impatient, random_bytes


def fetch(web, wanted, store, tell=None):
    """Bring the files and read them again before they are dropped."""
    with (
        store.workplace() as work,
        download(
            web,
            wanted,
            folder=work.folder / "entry",
            store=store,
            address="m",
            tell=tell or Tell(),
        ) as files,
    ):
        return files, [(work.folder / "entry" / each.target).read_bytes() for each in wanted]


def test_download(site, tmp_path):
    """Several files arrive whole, with digests that nobody knew before."""
    data = [random_bytes(300_000), random_bytes(10), b""]
    urls = [site.put(f"/{number}", body) for number, body in enumerate(data)]
    wanted = [Wanted(f"f{n}", Source(url), f"{n}.gguf") for n, url in enumerate(urls)]
    tell = Tell()
    files, bodies = fetch(impatient(), wanted, Store(tmp_path), tell)
    assert bodies == data
    assert [each.sha256 for each in files] == [sha256(each) for each in data]
    assert [each.size_bytes for each in files] == [len(each) for each in data]
    assert tell.amount == 300_010


def test_wrong_hash(site, tmp_path):
    """A wrong hash keeps nothing and names both digests."""
    url = site.put("/a", b"other")
    store = Store(tmp_path)
    wanted = Wanted("a", Source(url), "a", sha256=sha256(b"mine"))
    with pytest.raises(Failure) as caught:
        fetch(impatient(), [wanted], store)
    (problem,) = caught.value.diagnostics
    assert "LD407" == problem.code
    assert sha256(b"mine") in problem.summary
    assert sha256(b"other") in problem.summary
    assert [] == list((tmp_path / "partial").iterdir())


def test_nothing(tmp_path):
    """Nothing wanted makes an empty folder: all parts may have been adopted."""
    assert ((), []) == fetch(impatient(), [], Store(tmp_path))
