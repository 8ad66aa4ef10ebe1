"""NAR hashes: Nix's own, with and without Nix at hand."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmdecl.store.nar import nar, nar_hash
from tests.store.nar_trees import write_tree

VECTORS = json.loads((Path(__file__).parent / "data" / "nar.json").read_text())

NAMES = (
    st.binary(min_size=1, max_size=12)
    .map(lambda name: name.replace(b"\0", b"n").replace(b"/", b"s"))
    .filter(lambda name: name not in (b".", b".."))
    .map(os.fsdecode)
)
LEAVES = st.one_of(
    st.builds(
        lambda text, mode: {"file": os.fsdecode(text), "mode": mode},
        st.binary(max_size=40),
        st.sampled_from([0o644, 0o755, 0o744, 0o655, 0o400]),
    ),
    st.builds(
        lambda target: {"link": os.fsdecode(target.replace(b"\0", b"z"))},
        st.binary(min_size=1, max_size=20),
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda entries: {"folder": entries}, st.dictionaries(NAMES, inner, max_size=5)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_known_hashes(vector, tmp_path):
    """What Nix 2.8 said of these trees, so that machines without Nix test it, too."""
    write_tree(vector["tree"], tmp_path / "tree")
    assert nar_hash(tmp_path / "tree") == vector["hash"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees=st.lists(TREES, min_size=4, max_size=8))
def test_random_trees_hash_as_nix_says(nix_tools, trees):
    """Any bytes in names, links to nowhere, any mode: `nix-hash` agrees."""
    folder = Path(tempfile.mkdtemp(prefix="nar-"))
    try:
        paths = [folder / str(number) for number in range(len(trees))]
        for tree, path in zip(trees, paths, strict=True):
            write_tree(tree, path)
        words = [nix_tools / "nix-hash", "--type", "sha256", *paths]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
        found = [bytes.fromhex(word) for word in said]
        assert [nar_hash(path) for path in paths] == [_sri(digest) for digest in found]
    finally:
        shutil.rmtree(folder)


def _sri(digest: bytes) -> str:
    return f"sha256-{base64.b64encode(digest).decode()}"


def test_large_file_and_deep_folder(nix_tools, tmp_path):
    """More than one piece of a file, and more folders in each other than Python has stack."""
    top = tmp_path / "tree"
    top.mkdir()
    (top / "large").write_bytes(os.urandom(1 << 20) * 3 + b"odd")
    deep = top
    for _ in range(1200):
        deep /= "a"
        deep.mkdir()
    try:
        words = [nix_tools / "nix-hash", "--type", "sha256", top]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        assert nar_hash(top) == _sri(bytes.fromhex(said))
    finally:  # pytest's own clearing up recurses
        subprocess.run(["rm", "-rf", top], check=True)


def test_times_and_owners_do_not_count(tmp_path):
    """Two copies of a tree have one hash; the owner's executable bit alone tells them apart."""
    (tmp_path / "file").write_text("text")
    before = nar_hash(tmp_path)
    os.utime(tmp_path / "file", (1, 1))
    (tmp_path / "file").chmod(0o677)
    assert nar_hash(tmp_path) == before
    (tmp_path / "file").chmod(0o744)
    assert nar_hash(tmp_path) != before


def test_what_no_archive_holds(tmp_path):
    """A pipe is an error, not something to wait for."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="neither file nor folder"):
        nar_hash(tmp_path)
    with pytest.raises(FileNotFoundError):
        nar_hash(tmp_path / "nowhere")


def test_file_that_changes_meanwhile(tmp_path):
    """A file that grows or shrinks while it is read gives no hash."""
    path = tmp_path / "file"
    for size in (100, 4 << 20):
        path.write_bytes(bytes(2 << 20))
        pieces = nar(path)
        for _ in range(4):  # header, type, length, first mebibyte
            next(pieces)
        os.truncate(path, size)
        with pytest.raises(OSError, match="changed"):
            list(pieces)
