"""`llmdecl build` and `llmdecl engine` on the stand-in tree, through the command line."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmdecl.builder import rules
from llmdecl.builder.build import Builder
from llmdecl.builder.price import Price
from llmdecl.cli import building, lifecycle, run
from llmdecl.facts.model import EngineFacts
from llmdecl.store.layout import tree_folder
from llmdecl.store.lock import write_lock
from llmdecl.store.model import Lock, LockedEngine
from tests.builder.recipes import STANDIN, recipe

SPEC = """\
version = 1
[engines.own]
kind = "llama.cpp"
provider = "source"
source = "file:standin.tar.gz"
[engines.other]
kind = "llama.cpp"
provider = "path"
path = "/bin/true"
[models.m]
engine = "own"
source = "file:m.gguf"
[endpoints.main]
listen = "127.0.0.1:18434"
"""
NAR = "sha256-" + base64.b64encode(hashlib.sha256(b"standin").digest()).decode()


@pytest.fixture
def stack(tmp_path, monkeypatch, capsys):
    """A stack whose lock has the stand-in as engine `own`, and whose store has its tree."""
    if not all(map(shutil.which, ("cmake", "c++"))):
        message = "no cmake or compiler here"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    for name in ("state", "store", "cache"):
        monkeypatch.setenv(f"LLMDECL_{name.upper()}_DIR", str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "llmdecl.toml").write_text(SPEC)
    monkeypatch.setattr(building, "pins", lambda want, locked: True)

    class Stack:
        folder = tmp_path
        flags = ()

        def lock(self, **options):
            built = recipe(**options)
            built = built.replace(archive=built.archive.replace(nar_hash=NAR))
            self.recipe = built
            engine = LockedEngine(
                kind="llama.cpp",
                provider="source",
                digest=built.input_hash,
                executable="bin/llama-server",
                binary_sha256=None,
                version="b10434",
                build=10434,
                commit=None,
                package=None,
                flags=(),
                recipe=built,
            )
            write_lock(tmp_path / "llmdecl.lock", Lock(engines={"own": engine}))
            tree = tmp_path / "store" / tree_folder(NAR)
            if not tree.exists():
                shutil.copytree(STANDIN, tree)

        def __call__(self, *words, expect=0):
            capsys.readouterr()
            status = run(list(words))
            said = capsys.readouterr()
            self.out, self.err = said.out, said.err
            assert expect == status, f"{words} -> {status}\n{said.out}\n{said.err}"

        @property
        def entries(self):
            return sorted(path.name for path in (tmp_path / "store" / "engines").glob("*"))

    def probe(program, address):
        said = subprocess.check_output([program], text=True)
        found = re.search(r"version: (\d+) \((\w+)\)", said)
        facts = EngineFacts(
            kind="llama.cpp",
            provider="path",
            executable=str(program),
            binary_sha256="0" * 64,
            version=found[1],
            build=int(found[1]),
            commit=found[2],
            flags=Stack.flags,
            devices=(),
        )
        return facts, ()

    tools = building.real_tools
    monkeypatch.setattr(
        building, "real_tools", lambda where: type("T", (), {"probe": staticmethod(probe)})
    )
    assert tools
    one = Stack()
    one.lock()
    return one


def test_build_says_the_price_and_builds_once(stack):
    """A dry run has the price and builds nothing; a build does; the next says that it is there."""
    stack("build", "--dry-run", "--jobs", "3")
    assert "8 objects (1 C, 7 CXX)" in stack.out
    assert "with 3 jobs (by a rule of thumb" in stack.out
    assert [] == stack.entries
    stack("build", "own")
    assert [stack.recipe.folder_name] == stack.entries
    assert "own: built in" in stack.out
    assert "6 tools" in stack.out
    assert "own: compile" in stack.err
    stack("build", "llmdecl.toml", "own")
    assert "same inputs, already built; reused" in stack.out


def test_check(stack):
    """Identical builds are said with the number of files; different ones are exit status 1."""
    stack("build", "--check")
    assert "11 files compared, all identical" in stack.out
    stack.lock(STANDIN_CHANCE="ON")
    stack("build", "--check", expect=1)
    assert rules.BUILDS_DIFFER.code in stack.err
    assert "by chance" in stack.err
    assert 1 == len(stack.entries)


def test_failures(stack):
    """A compiler's error is status 3 with its words; names that can't be built are status 1; a long
    build asks."""
    stack.lock(STANDIN_BROKEN="ON")
    stack("build", expect=3)
    assert rules.COMPILE_FAILED.code in stack.err
    assert "this is broken on purpose" in stack.err
    stack("build", "nobody", "other", expect=1)
    assert {rules.UNKNOWN_ENGINE.code, rules.NOT_BUILT_HERE.code} <= set(
        re.findall(r"LD\d+", stack.err)
    )
    stack("build", "./none/spec", expect=64)


def test_a_long_build_asks(stack, monkeypatch):
    """Without a terminal that needs `--yes`, and nothing is built before."""
    price = Price(None, {"CXX": 9000}, True, 2, 9000.0, "others", 1 << 30)
    monkeypatch.setattr(Builder, "offer", lambda *_, **__: price)
    stack("build", expect=64)
    assert "about 150 minutes with 2 jobs (by what other builds took here)" in stack.out
    assert [] == stack.entries
    stack("build", "--yes")
    assert [stack.recipe.folder_name] == stack.entries


def test_other_flags_than_the_lock_has_are_said(stack):
    """The remedy is `lock --update`."""
    from llmdecl.facts.model import Flag

    type(stack).flags = (Flag(names=("--new-flag",), arity=0),)
    stack("build")
    assert rules.FLAGS_DIFFER.code in stack.err
    assert "--new-flag" in stack.err
    assert "llmdecl lock --update own" in stack.err


def test_an_engine_that_does_not_run_is_not_kept(stack, monkeypatch):
    """Status 3 with the program's words."""
    problem = rules.TOOL_ABSENT.at("x", "it crashed", notes=["it said: no such instruction"])
    monkeypatch.setattr(
        building,
        "real_tools",
        lambda where: type("T", (), {"probe": staticmethod(lambda *_: (None, (problem,)))}),
    )
    stack("build", expect=3)
    assert rules.PROBE_FAILED.code in stack.err
    assert "no such instruction" in stack.err
    assert [] == stack.entries


def test_engines_and_their_tools(stack, monkeypatch):
    """`engine list` says what is here; `engine run` becomes the tool under any of its names."""
    from llmdecl.cli import engine_tools

    monkeypatch.setattr(engine_tools, "pins", lambda want, locked: True)
    stack("engine", "list")
    assert re.search(r"own +source .* not here", stack.out)
    stack("engine", "run", "llama-bench", "--engine", "own", expect=1)
    assert rules.ENGINE_ABSENT.code in stack.err
    stack("build")
    stack("engine", "list")
    assert "llama-server, llama-bench, llama-quantize, llama-cli" in stack.out
    stack("engine", "run", "llama-bench", expect=1)
    assert rules.UNKNOWN_ENGINE.code in stack.err
    stack("engine", "run", "llama-tts", "--engine", "own", expect=1)
    assert rules.UNKNOWN_TOOL.code in stack.err
    assert "`llama-quantize`" in stack.err
    became = []
    monkeypatch.setattr(os, "execv", lambda *words: became.append(words))
    stack("engine", "run", "rpc-server", "--engine", "own", "--", "--host", "::1", "--help")
    program = stack.folder / "store" / "engines" / stack.entries[0] / "bin" / "ggml-rpc-server"
    assert [(program, [str(program), "--host", "::1", "--help"])] == became


def test_engine_run_replaces_the_process(stack):
    """Output and exit status are the tool's."""
    stack("build")
    program = stack.folder / "store" / "engines" / stack.entries[0] / "bin" / "llama-cli"
    (stack.folder / "llmdecl.toml").write_text(
        SPEC.replace("/bin/true", str(program.with_name("llama-server")))
    )
    words = [sys.executable, "-m", "llmdecl", "engine", "run", "llama-cli", "--engine", "other"]
    done = subprocess.run([*words, "--", "a b"], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("llama-cli: version: 10434")
    assert "\na b\n" in done.stdout


def test_what_plan_says_is_not_built_apply_builds(stack, monkeypatch):
    """The price is by what is known without configuring. After fetching, apply
    builds it, and then nothing is left to build."""
    from llmdecl.cli.views.build import Unbuilt, builds_of, price_line
    from llmdecl.paths import folders
    from llmdecl.store.lock import read_lock

    lock = read_lock(stack.folder / "llmdecl.lock")[0]
    ((work, price),) = building.unbuilt(lock, folders())
    line = price_line(work, price)
    assert line.startswith("own is not built yet: about 208 objects (8 C, 200 CXX), about ")
    assert [Unbuilt.of(work, price)] == list(builds_of(lock, folders()))
    fetched = []
    monkeypatch.setattr(lifecycle, "fetch", lambda *words: fetched.append(words))
    lifecycle.supply(None, lock, stack.folder, folders())
    assert 1 == len(fetched)
    assert () == building.unbuilt(lock, folders())
    manifest = Path(stack.folder / "store" / "engines" / stack.entries[0] / "manifest.json")
    assert stack.recipe.input_hash == json.loads(manifest.read_text())["inputs"]["input_hash"]


def test_progress_on_a_terminal_and_elsewhere(capsys, monkeypatch):
    """One bar that moves and goes away; elsewhere a line a step, and one now and then."""
    import io

    from rich.console import Console
    from rich.progress import Progress, TextColumn

    from llmdecl.cli.views import build as view

    screen = io.StringIO()
    columns = (TextColumn("{task.description} {task.completed}/{task.total} {task.fields[path]}"),)
    with Progress(*columns, console=Console(file=screen, force_terminal=True, width=80)) as bars:
        terminal = view.Terminal(bars)
        terminal.step("own", "compile")
        terminal.objects(3, 8, "a/b.cpp.o")
        bars.refresh()
        assert 1 == len(bars.tasks)
        terminal.step("own", "install")
        assert ["own: install"] == [task.description for task in bars.tasks]
        terminal.finished()
        assert [] == bars.tasks
    assert "own: compile 3/8 b.cpp.o" in screen.getvalue()

    monkeypatch.setattr(view, "EVERY_S", 0.0)
    lines = view.Lines()
    lines.step("own", "compile")
    lines.objects(4, 8, "a/c.cpp.o")
    lines.finished()
    assert re.fullmatch(
        r"own: compile\nown: 4 of 8 objects, \d+ s left; a/c\.cpp\.o\n", capsys.readouterr().err
    )
