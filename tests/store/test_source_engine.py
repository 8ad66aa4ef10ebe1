"""Engines from source, pinned and fetched: trees on web servers, indexes and this machine."""

import json
from dataclasses import replace

import pytest
from supply_kit import TOOLS, sha256, spec

from llmdecl.facts.gather import gather
from llmdecl.facts.model import CpuFacts, DeviceFacts, Flag, HostFacts
from llmdecl.plan.stack import plan_stack
from llmdecl.sources.trees.origin import ARCHIVES_VARIABLE
from llmdecl.store.gc import look, named
from llmdecl.store.missing import missing
from llmdecl.store.pins import pins
from llmdecl.store.store import Store
from llmdecl.store.supply import fetch_stack, lock_stack
from llmdecl.store.wanted import WantedEngine
from llmdecl.values import from_json, to_json
from tests.sources.tree_kit import COMMIT, tar, tree
from tests.web.site_kit import Site

HOST = HostFacts(
    name="here",
    cpu=CpuFacts(model=None, cores_physical=2, cores_logical=2, features=("avx2", "fma")),
    ram_bytes=64 << 30,
    ram_declared=True,
    devices=(),
)
CARD = DeviceFacts(
    id="gpu0", backend="cuda", name=None, memory_bytes=8 << 30, architecture="sm_86",
    declared=True, backends=("cuda",),
)  # fmt: skip
HERE = replace(TOOLS, host=lambda declared: HOST)
DIRECT = {name.upper(): "" for name in ("http_proxy", "https_proxy", "all_proxy")}


@pytest.fixture
def site(monkeypatch):
    """A web server, which also stands in for llama.cpp's repository."""
    for name in DIRECT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    site = Site()
    monkeypatch.setenv(ARCHIVES_VARIABLE, f"{site.url}/archive/{{ref}}.tar.gz")
    yield site
    site.close()


def engine(**given):
    return {"kind": "llama.cpp", "provider": "source", **given}


def lock(given, base, where, previous=None, tools=HERE, **options):
    return lock_stack(
        spec(engines={"e": engine(**given)}), base, where, previous, tools=tools, **options
    )


def fetch(given, a_lock, base, where):
    return fetch_stack(spec(engines={"e": engine(**given)}), a_lock, base, where, tools=HERE)


def good(result):
    assert result[1] == ()
    return result[0]


def codes(diagnostics):
    return [each.code for each in diagnostics]


def pinned(result):
    return good(result).engines["e"]


def folder_of(where, locked):
    return Store(where.store).tree_folder(locked.recipe.archive.nar_hash)


def test_release(site, tmp_path, where):
    """A release is an archive of the repository: commit and build number are in the pin, the tree
    is in the store, read-only, and nothing of an address is in the lock."""
    data = tar(tree(), top="llama.cpp-b10434/", commit=COMMIT)
    site.put("/archive/refs/tags/b10434.tar.gz", data)
    found = good(lock({"version": "b10434"}, tmp_path, where))
    locked = found.engines["e"]
    archive = locked.recipe.archive
    assert (locked.version, locked.build, locked.commit) == ("b10434", 10434, COMMIT)
    assert (archive.sha256, archive.size_bytes) == (sha256(data), len(data))
    assert (archive.file_name, archive.root) == ("llama.cpp-b10434.tar.gz", "llama.cpp-b10434")
    assert locked.digest == locked.recipe.input_hash
    assert (locked.executable, locked.binary_sha256, locked.backends) == (
        "bin/llama-server", None, (),
    )  # fmt: skip
    assert [flag.names for flag in locked.flags] == [
        ("-m", "--model"), ("--host",), ("-c", "--ctx-size"),
    ]  # fmt: skip
    folder = folder_of(where, locked)
    assert (folder / "common/arg.cpp").is_file()
    assert not folder.stat().st_mode & 0o222
    assert site.url not in to_json(found).decode()
    assert from_json(to_json(found), type(found)) == found


def test_commit(site, tmp_path, where):
    """A commit is asked for by all its digits; an archive that says another one is refused."""
    site.put(f"/archive/{COMMIT}.tar.gz", tar(tree(), commit=COMMIT))
    assert pinned(lock({"commit": COMMIT}, tmp_path, where)).commit == COMMIT
    site.put(f"/archive/{COMMIT}.tar.gz", tar(tree(), commit="f" * 40))
    _, problems = lock({"commit": COMMIT}, tmp_path, where, update=["e"], previous=None)
    assert codes(problems) == ["LD483"]


def test_https_with_a_digest(site, tmp_path, where):
    """An archive's digest in the spec is compared before it is unpacked."""
    data = tar(tree())
    site.put("/t.tar.gz", data)
    right = {"source": f"{site.url}/t.tar.gz#sha256={sha256(data)}"}
    assert pinned(lock(right, tmp_path, where)).commit is None
    wrong = {"source": f"{site.url}/t.tar.gz#sha256={'0' * 64}"}
    found, problems = lock(wrong, tmp_path, where)
    assert codes(problems) == ["LD407"]
    assert "e" not in found.engines


def test_absent_release(site, tmp_path, where):
    """A release that is not there is said at its key, and nothing is kept."""
    found, problems = lock({"version": "b1"}, tmp_path, where)
    assert [each.address for each in problems] == ["engines.e.version"]
    assert not found.engines
    assert not (where.store / "trees").exists()


@pytest.mark.parametrize(
    "pattern",
    ["https://e.org/none", "http://e.org/{ref}", "file:///{ref}", "https://u:secret@e.org/{ref}"],
)
def test_address_of_archives(pattern, monkeypatch, tmp_path, where):
    """A mirror is an encrypted address with a place for the revision, and never shown."""
    monkeypatch.setenv(ARCHIVES_VARIABLE, pattern)
    _, problems = lock({"version": "b7"}, tmp_path, where)
    assert codes(problems) == ["LD489"]
    assert "secret" not in str(problems)


def test_password_of_a_server(site, monkeypatch, tmp_path, where):
    """A server's password comes from netrc."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password there\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    site.put("/archive/refs/tags/b7.tar.gz", tar(tree()))
    locked = pinned(lock({"version": "b7"}, tmp_path, where))
    headers = [each.headers for each in site.requests("b7")]
    assert {value.get("authorization") for value in headers} == {"Basic bWU6dGhlcmU="}
    assert "there" not in to_json(locked).decode()


def test_pin_stays(site, tmp_path, where):
    """A pin stays whatever the server has; another device list or option needs no download."""
    site.put("/archive/refs/tags/b7.tar.gz", tar(tree()))
    first = good(lock({"version": "b7"}, tmp_path, where))
    asked = len(site.requests("b7"))
    assert good(lock({"version": "b7"}, tmp_path, where, first)) == first
    cuda = {"version": "b7", "backends": ["cuda"], "architectures": ["sm_86"]}
    second = good(lock(cuda, tmp_path, where, first)).engines["e"]
    assert (second.recipe.backends, second.recipe.architectures) == (("cuda",), ("sm_86",))
    assert second.recipe.archive == first.engines["e"].recipe.archive
    assert second.digest != first.engines["e"].digest
    options = {"version": "b7", "options": {"GGML_LTO": "ON"}}
    third = lock(options, tmp_path, where, first)
    assert third[0].engines["e"].recipe.asked == {"GGML_LTO": "ON"}
    assert third[0].engines["e"].recipe.options["GGML_LTO"] == "ON"
    assert len(site.requests("b7")) == asked
    lock({"version": "b7"}, tmp_path, where, first, update=["e"])
    assert len(site.requests("b7")) > asked


def test_what_a_pin_is_for(site, tmp_path, where):
    """Whatever the spec says of a build has to be in its pin; what it leaves open stays."""
    site.put("/archive/refs/tags/b7.tar.gz", tar(tree()))
    here = replace(HERE, host=lambda declared: HOST.replace(devices=(CARD,)))
    locked = pinned(lock({"version": "b7"}, tmp_path, where, tools=here))
    assert (locked.recipe.backends, locked.recipe.architectures) == (("cuda",), ("sm_86",))
    for given, holds in (
        ({"version": "b7"}, True),
        ({"version": "b7", "backends": ["cuda", "cpu"]}, True),
        ({"version": "b7", "architectures": ["sm_86"]}, True),
        ({"version": "b8"}, False),
        ({"version": "b7", "backends": ["cpu"]}, False),
        ({"version": "b7", "architectures": ["sm_90"]}, False),
        ({"version": "b7", "cpu": "native"}, False),
        ({"version": "b7", "options": {"GGML_LTO": "ON"}}, False),
    ):
        want = WantedEngine("e", spec(engines={"e": engine(**given)}).engines["e"])
        assert pins(want, locked) is holds, given


def test_fetch_brings_the_tree(site, tmp_path, where):
    """A store without the tree gets it, and a damaged one again; `missing` says its bytes."""
    data = tar(tree())
    site.put("/archive/refs/tags/b7.tar.gz", data)
    given = {"version": "b7"}
    a_lock = good(lock(given, tmp_path, where))
    folder = folder_of(where, a_lock.engines["e"])
    assert fetch(given, a_lock, tmp_path, where) == ()
    path = folder / "common/arg.cpp"
    path.chmod(0o644)
    path.write_text("changed")
    assert codes(fetch(given, a_lock, tmp_path, where)) == ["LD415"]
    assert path.read_text() != "changed"
    elsewhere = replace_store(where, tmp_path / "other")
    whole = spec(engines={"e": engine(**given)})
    assert [each.bytes for each in missing(whole, a_lock, elsewhere)] == [len(data)]
    assert fetch(given, a_lock, tmp_path, elsewhere) == ()
    assert [each.bytes for each in missing(whole, a_lock, elsewhere)] == [0]  # to be built


def replace_store(where, store):
    return type(where)(where.state, store, where.cache, where.run, where.stack)


def test_packed_anew(site, tmp_path, where):
    """The same tree in another archive is taken and said; another tree is refused, both hashes
    named, and not kept."""
    given = {"version": "b7"}
    site.put("/archive/refs/tags/b7.tar.gz", tar(tree()))
    a_lock = good(lock(given, tmp_path, where))
    other = replace_store(where, tmp_path / "other")
    site.put("/archive/refs/tags/b7.tar.gz", tar(tree(), mtime=1_700_000_000))
    assert codes(fetch(given, a_lock, tmp_path, other)) == ["LD484"]
    third = replace_store(where, tmp_path / "third")
    site.put("/archive/refs/tags/b7.tar.gz", tar(tree(more="x")))
    (problem,) = fetch(given, a_lock, tmp_path, third)
    assert problem.code == "LD483"
    assert a_lock.engines["e"].recipe.archive.nar_hash in problem.notes[0]
    assert not (third.store / "trees").exists()


def test_archive_and_folder_here(tmp_path, where):
    """An archive or a folder of this machine: one tree, one hash."""
    (tmp_path / "t.tar.gz").write_bytes(tar(tree()))
    archive = pinned(lock({"source": "file:t.tar.gz"}, tmp_path, where)).recipe.archive
    for name, text in tree().items():
        path = tmp_path / "llama.cpp" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if "run" in name else 0o644)
    folder = pinned(lock({"source": "file:llama.cpp"}, tmp_path, where)).recipe.archive
    assert folder.nar_hash == archive.nar_hash
    assert folder.root == ""
    _, problems = lock({"source": "file:none.tar.gz"}, tmp_path, where)
    assert codes(problems) == ["LD402"]


def sdist(index, *, hashes=True):
    files = {
        "tree_pkg-1.0/setup.py": "raise SystemExit('somebody ran me')\n",
        "tree_pkg-1.0/pyproject.toml": "[build-system]\nrequires = ['no-such-backend']\n",
        "tree_pkg-1.0/.git/modules/vendor/llama.cpp/HEAD": COMMIT + "\n",
        **{f"tree_pkg-1.0/vendor/llama.cpp/{name}": text for name, text in tree().items()},
    }
    data = tar(files, top="")
    index.projects["tree-pkg"] = {"tree_pkg-1.0.tar.gz": data}
    return data


def test_source_distribution(index, tmp_path, where):
    """A distribution of the user's own index, by the digest that it promises; nothing is run."""
    data = sdist(index)
    given = {"source": "pypi:Tree_Pkg==1.0"}
    locked = pinned(lock(given, tmp_path, where))
    assert (locked.version, locked.commit, locked.build) == ("1.0", COMMIT, None)
    assert locked.recipe.archive.sha256 == sha256(data)
    assert locked.recipe.archive.root == "tree_pkg-1.0/vendor/llama.cpp"
    _, problems = lock({"source": "pypi:tree-pkg==2.0"}, tmp_path, where)
    assert codes(problems) == ["LD486"]
    index.broken = True
    _, problems = lock({"source": "pypi:tree-pkg==1.0"}, tmp_path, where)
    assert codes(problems) == ["LD406"]


def test_distribution_that_is_another(index, tmp_path, where):
    """A file that has not the digest its index promises is refused."""
    sdist(index)
    index.served["tree_pkg-1.0.tar.gz"] = index.projects["tree-pkg"]["tree_pkg-1.0.tar.gz"][::-1]
    _, problems = lock({"source": "pypi:tree-pkg==1.0"}, tmp_path, where)
    assert codes(problems) == ["LD407"]


def test_digests_in_json(site, monkeypatch, tmp_path, where):
    """An index that answers in JSON has the digest beside the link (PEP 691)."""
    data = tar({**{f"a/{k}": v for k, v in tree().items()}}, top="")
    file = {"filename": "tree_pkg-1.0.tar.gz", "url": f"{site.url}/f/tree_pkg-1.0.tar.gz"}

    def serve(hashes):
        page = {"meta": {"api-version": "1.0"}, "name": "tree-pkg", "versions": ["1.0"],
                "files": [{**file, "hashes": hashes}]}  # fmt: skip
        kind = "application/vnd.pypi.simple.v1+json"
        site.put("/simple/tree-pkg/", json.dumps(page).encode(), headers={"Content-Type": kind})

    site.put("/f/tree_pkg-1.0.tar.gz", data)
    for name, value in {
        "PIP_INDEX_URL": f"{site.url}/simple", "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": "/dev/null", "PIP_RETRIES": "0",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    serve({"sha256": "0" * 64})
    _, problems = lock({"source": "pypi:tree-pkg==1.0"}, tmp_path, where)
    assert codes(problems) == ["LD407"]
    serve({})
    found, problems = lock({"source": "pypi:tree-pkg==1.0"}, tmp_path, where)
    assert codes(problems) == ["LD487"]
    assert found.engines["e"].recipe.archive.sha256 == sha256(data)


def test_flags_that_nobody_can_read(tmp_path, where):
    """A tree whose options are written in another way has no table, and is not pinned."""
    odd = tree(**{"common/arg.cpp": "int main() {}\n"})
    (tmp_path / "t.tar.gz").write_bytes(tar(odd))
    found, problems = lock({"source": "file:t.tar.gz"}, tmp_path, where)
    assert codes(problems) == ["LD485"]
    assert not found.engines


def test_flags_of_what_was_built(tmp_path, where):
    """Once it is built, a lock has the flags that the program itself says."""
    (tmp_path / "t.tar.gz").write_bytes(tar(tree()))
    given = {"source": "file:t.tar.gz"}
    a_lock = good(lock(given, tmp_path, where))
    program = where.store / "engines" / a_lock.engines["e"].recipe.folder_name / "bin/llama-server"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"built")
    again = good(lock(given, tmp_path, where, a_lock)).engines["e"]
    assert again.flags == (Flag(names=("--model",), arity=1),)
    assert again.replace(flags=()) == a_lock.engines["e"].replace(flags=())
    silent = replace(HERE, probe=lambda path, address: (None, ()))
    assert good(lock(given, tmp_path, where, a_lock, tools=silent)) == a_lock


def test_before_the_build(tmp_path, where):
    """A stack is judged whole before its engine is built, which is said, and not after."""
    (tmp_path / "t.tar.gz").write_bytes(tar(tree()))
    stack = spec(engines={"e": engine(source="file:t.tar.gz")})
    a_lock, _ = lock_stack(stack, tmp_path, where, None, tools=HERE)
    program = where.store / "engines" / a_lock.engines["e"].recipe.folder_name / "bin/llama-server"
    for built in (False, True):
        facts, _ = gather(stack, a_lock, where, tmp_path)
        assert facts.engines["e"].present is built
        _, problems = plan_stack(stack, facts, a_lock)
        assert ("LD488" in codes(problems)) is not built
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)


def test_private_index(site, monkeypatch, tmp_path, where):
    """The user in an index's URL is sent for the page and the file, and stands in no lock."""
    data = tar({f"a/{name}": text for name, text in tree().items()}, top="")
    file = {
        "filename": "tree_pkg-1.0.tar.gz", "url": "../../f/tree_pkg-1.0.tar.gz",
        "hashes": {"sha256": sha256(data)},
    }  # fmt: skip
    page = {"meta": {"api-version": "1.0"}, "name": "tree-pkg", "files": [file]}
    kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
    site.put("/simple/tree-pkg/", json.dumps(page).encode(), headers=kind)
    site.put("/f/tree_pkg-1.0.tar.gz", data)

    def guarded(request):
        if request.headers.get("authorization") != "Basic bWU6c2VjcmV0":
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
        return None

    site.routes.append(guarded)
    for name, value in {
        "PIP_INDEX_URL": site.url.replace("//", "//me:secret@") + "/simple",
        "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null",
        "PIP_RETRIES": "0", "NETRC": "/dev/null",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    locked = pinned(lock({"source": "pypi:tree-pkg==1.0"}, tmp_path, where))
    assert locked.recipe.archive.sha256 == sha256(data)
    assert "secret" not in to_json(locked).decode()
    monkeypatch.setenv("PIP_INDEX_URL", site.url + "/simple")
    _, problems = lock({"source": "pypi:tree-pkg==1.0"}, tmp_path, where)
    assert codes(problems) == ["LD406"]
    assert "secret" not in str(problems)


def test_gc_knows_trees(tmp_path, where):
    """The tree of a locked engine stays, one that no lock names goes."""
    (tmp_path / "a.tar.gz").write_bytes(tar(tree()))
    (tmp_path / "b.tar.gz").write_bytes(tar(tree(more="x")))
    kept = good(lock({"source": "file:a.tar.gz"}, tmp_path, where))
    gone = pinned(lock({"source": "file:b.tar.gz"}, tmp_path, where))
    found = look(where.store, named([kept]), {})
    assert [item.path for item in found.garbage if item.path.startswith("trees/")] == [
        f"trees/{folder_of(where, gone).name}"
    ]
    assert not [item for item in found.left if item.path.startswith("trees")]
