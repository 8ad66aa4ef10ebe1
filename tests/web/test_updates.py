"""What moved at the sources is seen when it is asked for, and nobody asks otherwise."""

import socket

import pytest

from llmdecl.cli import run
from tests.store.supply_kit import sha256
from tests.web.hub_kit import model
from tests.web.stack_kit import Stack


@pytest.fixture
def stack(site, tmp_path, monkeypatch):
    """A stack that is locked and fetched, and the working directory."""
    stack = Stack(site, tmp_path)
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(stack.base)
    assert run(["lock"]) == 0
    yield stack
    stack.close()


def no_connections(monkeypatch):
    """Any connection but to a socket file fails the test, and so does pip."""
    connect = socket.socket.connect

    def refuse(self, address):
        assert self.family == socket.AF_UNIX, f"a connection to {address}"
        return connect(self, address)

    def no_names(*words, **_options):
        raise AssertionError(f"a look-up of {words[0]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    for way in ("resolve", "download"):
        monkeypatch.setattr(f"llmdecl.sources.pip.Pip.{way}", no_names)


def test_moved_and_uploaded_anew(stack, site, capsys):
    """A branch that moved and a file that was uploaded anew: exit 2, both shown, nothing written;
    with `--update` they are pinned."""
    lock = stack.base / "llmdecl.lock"
    before = lock.read_bytes()
    assert run(["lock", "--check", "--update"]) == 0
    old = stack.hub.repositories["o/tiny-GGUF"].commit
    new = stack.upload(seed=5, license_="apache-2.0").commit
    site.put("/web.gguf", model("Web", seed=9))
    capsys.readouterr()
    assert run(["lock"]) == 0
    assert run(["lock", "--check"]) == 0
    assert lock.read_bytes() == before
    capsys.readouterr()
    assert run(["lock", "--check", "--update"]) == 2
    said = capsys.readouterr().out
    digests = [sha256(model("Hub", seed=seed))[:12] for seed in (4, 5)]
    assert (
        "~ hf:o/tiny-GGUF#Q4_0  (hub)\n"
        f"    revision {old[:12]} -> {new[:12]}\n"
        f"    sha256 {digests[0]} -> {digests[1]}\n"
        "    licence mit -> apache-2.0\n"
    ) in said
    assert f"~ {site.url}/web.gguf  (web)\n" in said
    assert "2 changes; nothing was written" in said
    assert lock.read_bytes() == before
    assert run(["lock", "--check", "--update", "local"]) == 0
    assert run(["lock", "--update", "web"]) == 0
    assert run(["lock", "--check", "--update", "web"]) == 0
    assert run(["lock", "--check", "--update", "hub"]) == 2
    assert run(["lock", "--update", "hub", "--update", "here"]) == 0
    assert run(["lock", "--check", "--update"]) == 0


def test_offline(stack, site, monkeypatch, capsys):
    """With everything locked, lock, check and plan open no connection, fetched or not. Neither
    endpoint nor index stands in the lock; of a web server only what the spec says."""
    text = (stack.base / "llmdecl.lock").read_text().replace(f"{site.url}/web.gguf", "THE-SOURCE")
    for word in ("127.0.0.1", "localhost", "://", str(stack.root), "signed", "Signature"):
        assert word not in text
    with monkeypatch.context() as patched:
        no_connections(patched)
        for verb in (["lock"], ["lock", "--check"], ["fetch", "--dry-run"], ["gc", "--dry-run"]):
            assert run(verb) == 0, capsys.readouterr()
        for verb in ("check", "plan"):
            run([verb])  # this engine can't do much, which may be said
            assert "connection" not in capsys.readouterr().err
    assert run(["fetch"]) == 0
    no_connections(monkeypatch)
    assert run(["fetch"]) == 0
