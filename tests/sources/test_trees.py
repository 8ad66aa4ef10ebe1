"""Source trees: where they come from, how they are found, and what is never unpacked."""

import io
import os
import shutil
import subprocess
import tarfile

import pytest

from llmdecl.diagnostics import Failure
from llmdecl.sources.pip import SdistLink, Stopped, sdist_links
from llmdecl.sources.trees import archive as archives
from llmdecl.sources.trees.origin import Revision, Sdist, parse_origin
from llmdecl.sources.trees.sdist import source
from llmdecl.sources.trees.unpack import copy_folder, look, unpack
from llmdecl.spec.schema import SourceEngine
from llmdecl.store.nar import nar_hash
from tests.sources.tree_kit import COMMIT, info, tar, tree, zipped

AT = "engines.x.source"


def engine(**given):
    return SourceEngine.model_validate({"kind": "llama.cpp", "provider": "source", **given})


def written(folder, data, name="archive"):
    path = folder / name
    path.write_bytes(data)
    return path


def unpacked(folder, data):
    path = written(folder, data)
    found = look(path, AT)
    unpack(path, found.root, folder / "tree", AT)
    return found, folder / "tree"


def refused(folder, data):
    with pytest.raises(Failure) as failed:
        unpacked(folder, data)
    assert not (folder.parent / "evil").exists()
    return [each.code for each in failed.value.diagnostics], str(failed.value)


def test_origins():
    """A release, a commit, an archive and a source distribution, each as a value."""
    assert parse_origin(engine(version="b10434")) == Revision("b10434", None)
    assert parse_origin(engine(version="b10434")).ref == "refs/tags/b10434"
    assert parse_origin(engine(version="b10434")).build == 10434
    assert parse_origin(engine(version="v0.1.0")).ref == "refs/tags/v0.1.0"
    assert parse_origin(engine(version="v0.1.0")).build is None
    assert parse_origin(engine(commit="a" * 40)).ref == "a" * 40
    assert parse_origin(engine(source="pypi:Llama_cpp.Python==0.3.36")) == Sdist(
        "llama-cpp-python", "0.3.36"
    )
    assert parse_origin(engine(source="file:../llama.cpp/")).path == "../llama.cpp"
    assert parse_origin(engine(source=f"https://e.org/a.tgz#sha256={'a' * 64}")).sha256 == "a" * 64
    for bad in ("llama.cpp", "pypi:llama-cpp-python", "hf:a/b", "pypi:x==1/y", "http://e.org/a",
                "https://u:p@e.org/a", "file:", "git+https://e.org/a"):  # fmt: skip
        with pytest.raises(ValueError, match=r"."):
            parse_origin(engine(source=bad))


PACKED = {
    "gzip": tar(tree(), commit=COMMIT),
    "plain": tar(tree(), commit=COMMIT, compress=False),
    "zip": zipped(tree(), commit=COMMIT),
}


@pytest.mark.parametrize("form", PACKED)
def test_same_tree(form, tmp_path):
    """Whatever carries it, the tree is the same to the last bit, read-only, with its commit."""
    found, folder = unpacked(tmp_path, PACKED[form])
    assert found.root == "llama.cpp-x"
    assert found.commit == COMMIT
    reference = tmp_path / "other"
    reference.mkdir()
    _, same = unpacked(reference, tar(tree(), top="other/name/", mtime=1_700_000_000))
    assert nar_hash(folder) == nar_hash(same)
    assert (folder / "common/arg.cpp").stat().st_mode & 0o777 == 0o444
    assert (folder / "scripts/run.sh").stat().st_mode & 0o777 == 0o555


def test_vendored(tmp_path):
    """In a source distribution the tree is found where it is; the commit is its submodule's."""
    files = {
        "pkg-1/CMakeLists.txt": "project(llama_cpp)\n",
        "pkg-1/.git/HEAD": "ref: refs/heads/main\n",
        "pkg-1/.git/modules/vendor/llama.cpp/HEAD": COMMIT + "\n",
        **{f"pkg-1/vendor/llama.cpp/{name}": text for name, text in tree().items()},
        "pkg-1/vendor/llama.cpp/.git": "gitdir: ../../.git/modules/vendor/llama.cpp\n",
        "pkg-1/vendor/llama.cpp/examples/CMakeLists.txt": 'project("llama.cpp" C)\n',
    }
    found, folder = unpacked(tmp_path, tar(files, top="", commit="f" * 40))
    assert (found.root, found.commit) == ("pkg-1/vendor/llama.cpp", COMMIT)
    assert not (folder / ".git").exists()
    assert (folder / "examples/CMakeLists.txt").is_file()


def test_no_tree(tmp_path):
    """Nothing that is llama.cpp, or two beside each other, is no tree."""
    codes, _ = refused(tmp_path, tar({"CMakeLists.txt": "project(other)\n"}))
    assert codes == ["LD482"]
    two = {f"{n}/{name}": text for n in "ab" for name, text in tree().items()}
    assert refused(tmp_path, tar(two))[0] == ["LD482"]


def test_the_commit_of_a_folder(tmp_path):
    """Whatever git did with its branches (own file, packed, another work tree, no
    branch at all), the commit that is checked out is found; of a bare folder nothing is."""

    def git(*words):
        subprocess.run(("git", "-C", tmp_path / "main", *words), check=True, capture_output=True)

    def commit(name="main"):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        return copy_folder(tmp_path / name, tmp_path / "copy", AT).commit

    (tmp_path / "main").mkdir()
    (tmp_path / "main" / "CMakeLists.txt").write_text(tree()["CMakeLists.txt"])
    assert commit() is None
    git("init", "-q", "-b", "master")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "x")
    head = subprocess.check_output(("git", "-C", tmp_path / "main", "rev-parse", "HEAD"), text=True)
    assert head.strip() == commit()
    git("worktree", "add", "-q", "-b", "topic/two", str(tmp_path / "other"))
    assert head.strip() == commit("other")
    git("pack-refs", "--all")
    assert head.strip() == commit() == commit("other")
    git("checkout", "-q", "--detach")
    assert head.strip() == commit()


def test_folder(tmp_path):
    """A folder is copied without its repository, whose commit is known."""
    folder = tmp_path / "here"
    for name, text in tree().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if "run" in name else 0o644)
    (folder / "link").symlink_to("common/arg.cpp")
    git = folder / ".git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "refs/heads/main").write_text(COMMIT + "\n")
    found = copy_folder(folder, tmp_path / "copy", AT)
    assert found.commit == COMMIT
    assert not (tmp_path / "copy/.git").exists()
    (folder / ".git").rename(tmp_path / "git")
    assert nar_hash(folder) == nar_hash(tmp_path / "copy")
    (folder / "out").symlink_to("/etc/passwd")
    with pytest.raises(Failure) as failed:
        copy_folder(folder, tmp_path / "again", AT)
    assert failed.value.diagnostics[0].code == "LD481"


T = "llama.cpp-x"
EVIL = {
    "above": [(info(f"{T}/../evil", size=1), b"x")],
    "absolute": [(info("/tmp/evil", size=1), b"x")],
    "device": [(info(f"{T}/d", kind=tarfile.CHRTYPE), b"")],
    "pipe": [(info(f"{T}/d", kind=tarfile.FIFOTYPE), b"")],
    "hard link": [(info(f"{T}/d", kind=tarfile.LNKTYPE, target="/etc/passwd"), b"")],
    "link out": [(info(f"{T}/d", kind=tarfile.SYMTYPE, target="../../evil"), b"")],
    "absolute link": [(info(f"{T}/d", kind=tarfile.SYMTYPE, target="/etc"), b"")],
    "through a link": [
        (info(f"{T}/d", kind=tarfile.SYMTYPE, target="common"), b""),
        (info(f"{T}/d/evil", size=1), b"x"),
    ],
    "links together": [
        (info(f"{T}/x/up", kind=tarfile.SYMTYPE, target=".."), b""),
        (info(f"{T}/x/y/a", kind=tarfile.SYMTYPE, target="../up/../evil"), b""),
    ],
    "twice": [(info(f"{T}/common/arg.cpp", size=1), b"x")],
    "file as a folder": [(info(f"{T}/common/arg.cpp/evil", size=1), b"x")],
    "link in a folder's place": [
        (info(f"{T}/common", kind=tarfile.SYMTYPE, target="scripts"), b"")
    ],
    "control character": [(info(f"{T}/a\nb", size=1), b"x")],
}


@pytest.mark.parametrize("what", EVIL)
def test_hostile_tar(what, tmp_path):
    """A member that wants to be elsewhere ends in a diagnostic, and nothing lies outside."""
    work = tmp_path / "work"
    work.mkdir()
    codes, _ = refused(work, tar(tree(), extra=EVIL[what]))
    assert codes == ["LD481"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["work"]


def test_hostile_zip(tmp_path):
    """The same in a zip: links out, and names that lead out."""
    data = zipped({**tree(), "d": "../../evil"}, links=("d",))
    assert refused(tmp_path, data)[0] == ["LD481"]
    assert refused(tmp_path, zipped({**tree(), "../../evil": "x"}))[0] == ["LD481"]


def test_damaged(tmp_path):
    """Cut off anywhere, or with a bit turned, an archive ends in a diagnostic or is whole."""
    data = tar(tree(big=os.urandom(4096)))
    for end in (0, 3, 10, 100, len(data) // 2, len(data) - 9):
        assert refused(tmp_path, data[:end])[0][0] in ("LD481", "LD482")
    for place in range(20, len(data), 211):
        wrong = bytearray(data)
        wrong[place] ^= 0x10
        folder = tmp_path / str(place)
        folder.mkdir()
        assert refused(folder, bytes(wrong))[0][0] in ("LD481", "LD482")


def test_bombs(tmp_path, monkeypatch):
    """Sizes are judged before anything is written, and no header takes memory."""
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 16)
    large = tar(tree(big=b"\0" * (1 << 17)))
    assert refused(tmp_path, large)[0] == ["LD481"]
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    assert refused(tmp_path, tar(tree()))[0] == ["LD481"]
    header = info("x", kind=tarfile.XHDTYPE, size=1 << 40)
    out = io.BytesIO(header.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024)
    codes, words = refused(tmp_path, out.getvalue())
    assert codes == ["LD481"]
    assert "header" in words


def test_called_off(tmp_path):
    """Whoever wants to end does not wait for a whole archive."""
    path = written(tmp_path, tar(tree()))
    asked = []

    def called_off():
        asked.append(1)
        return len(asked) > 1

    with pytest.raises(Stopped):
        unpack(path, "llama.cpp-x", tmp_path / "tree", AT, called_off)
    with pytest.raises(Stopped):
        look(path, AT, lambda: True)
    assert len(list((tmp_path / "tree").rglob("*"))) < len(tree())


LOG = """
2026-11-24T19:50:53,445   Found link https://f.example/p/a_b-1.0.tar.gz (from https://i.example/simple/a-b/), version: 1.0
2026-11-24T19:50:53,445   Found link https://u:****@g.example/a_b-1.1.tar.gz#sha256=%s (from https://u:****@g.example/simple/a-b/) (requires-python:>=3.8), version: 1.1
2026-11-24T19:50:53,445   Found link file:///w/a_b-1.1.zip (from -f), version: 1.1
2026-11-24T19:50:53,445   Found link https://f.example/p/a_b-1.1-py3-none-any.whl (from https://i.example/simple/a-b/), version: 1.1
""" % ("c" * 64)  # noqa: E501  # pip's own lines


def test_links_of_pip():
    """From pip's log come the distributions of one version, with the digest that a page has."""
    assert sdist_links(LOG, "1.0") == (
        SdistLink("https://f.example/p/a_b-1.0.tar.gz", "https://i.example/simple/a-b/", None),
    )
    found = sdist_links(LOG, "1.1")
    assert [(link.file_name, link.sha256) for link in found] == [
        ("a_b-1.1.tar.gz", "c" * 64),
        ("a_b-1.1.zip", None),
    ]
    assert sdist_links(LOG, "2.0") == ()


def test_user_of_an_index(monkeypatch, tmp_path):
    """An index's own user, or netrc's, is sent to that host, and to no other; no URL holds it."""
    users = ("https://me:p%40ss@g.example/simple",)
    found = source("https://me:****@g.example/a_b-1.1.tar.gz", users, AT)
    assert found.url == "https://g.example/a_b-1.1.tar.gz"
    assert found.token.reveal() == "Basic bWU6cEBzcw=="
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    assert source("https://f.example/a.tar.gz", users, AT).token is None
    netrc = tmp_path / "netrc"
    netrc.write_text("machine f.example login you password there\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert source("https://f.example/a.tar.gz", users, AT).token.reveal() == "Basic eW91OnRoZXJl"
