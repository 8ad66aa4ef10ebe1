"""Building the stand-in: what is in the store, what is compared, what a failure leaves."""

import errno
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from llmdecl.builder import price as prices
from llmdecl.builder import rules, running, site, steps, toolchain
from llmdecl.builder.price import Timing
from llmdecl.diagnostics import Failure
from llmdecl.facts.hardware import machine
from llmdecl.store.built import built_problem, read_manifest
from llmdecl.store.rules import STORE_FULL
from tests.builder.recipes import STANDIN, builder, entries, order, recipe

NEEDED = ("cmake", "c++")


@pytest.fixture(autouse=True)
def compilers():
    """A build needs CMake and a compiler."""
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        message = f"no {missing} here"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)


@pytest.fixture
def enclosed():
    """A machine that lets a user have a mount namespace."""
    if why := site.refusal():
        message = f"no mount namespace here: {why}"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)


def codes(problems):
    return sorted({problem.code for problem in problems})


def test_a_built_engine_is_an_entry_that_can_be_moved(tmp_path):
    """Tools, libraries and manifest lie in one read-only entry; a copy elsewhere runs; a second
    build finds it and builds nothing."""
    built = builder(tmp_path).build(order(recipe()))
    assert built.seconds is not None
    assert [built.folder.name] == entries(tmp_path)
    assert built_problem(built.folder) is None
    manifest = built.manifest
    assert {"llama-server", "llama-bench", "llama-cli", "rpc-server"} <= set(manifest.tools)
    assert "bin/ggml-rpc-server" == manifest.tools["rpc-server"]
    assert "libggml-base.so.0" == str((built.folder / "bin" / "libggml-base.so").readlink())
    for file in manifest.files:
        if file.sha256:
            assert file.mode == (0o444 if file.path == "LICENSE" else 0o555), file.path
    assert [rules.TOOL_ABSENT.code] == codes(p for p in built.problems if "no `" in p.summary)
    assert "llama-perplexity" in "".join(problem.summary for problem in built.problems)

    moved = shutil.copytree(built.folder, tmp_path / "moved", symlinks=True)
    said = subprocess.check_output([moved / "bin" / "llama-server", "--hello"], text=True)
    assert "version: 10434 (0c1e570) 1980-01-01T00:00:00 Jan  1 1980 00:00:00" in said
    assert "/llmdecl/src/src/ggml.c" in said

    again = builder(tmp_path).build(order(recipe()))
    assert again.seconds is None
    assert again.manifest == manifest


def test_nothing_of_the_machine_is_inside(tmp_path):
    """No path, user or host of this machine is in any file, manifest included."""
    built = builder(tmp_path).build(order(recipe()))
    told = [str(tmp_path), str(Path.home()), os.uname().nodename, sys.prefix]
    for path in built.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert [] == [word for word in told if word.encode() in data], path


def test_check_finds_two_builds_identical(tmp_path):
    """Two source folders, every file and the manifest the same; the engine is kept."""
    checked = builder(tmp_path).check(order(recipe()))
    assert () == checked.differences
    assert len(checked.manifest.files) + 1 == checked.compared
    assert [checked.folder.name] == entries(tmp_path)


def test_check_finds_what_is_compiled_in_by_chance(tmp_path):
    """The differing file is named with the text that differs, and nothing is kept."""
    checked = builder(tmp_path).check(order(recipe(STANDIN_CHANCE="ON")))
    (difference,) = checked.differences
    assert "bin/libggml-base.so.0.1.2" == difference.path
    assert 2 == difference.how.count("by chance: ")
    assert [] == entries(tmp_path)


def test_a_source_folder_in_the_files_is_found_only_without_a_namespace(tmp_path, enclosed):
    """In the namespace both folders have one path; without, the difference is found and said."""
    order_of = recipe(STANDIN_FOLDER="ON")
    assert () == builder(tmp_path / "with").check(order(order_of)).differences
    without = builder(tmp_path / "without").check(order(order_of, enclosed=False))
    (difference,) = without.differences
    assert "built in " in difference.how
    assert rules.NO_NAMESPACE.code in codes(without.problems)


def test_with_and_without_a_namespace_the_files_are_the_same(tmp_path, enclosed):
    """Mapped paths are the paths of the namespace, so a CPU build does not need one."""
    inside = builder(tmp_path / "inside").build(order(recipe(), enclosed=True))
    outside = builder(tmp_path / "outside").build(order(recipe(), enclosed=False))
    assert inside.manifest.files == outside.manifest.files
    assert (True, False) == (inside.manifest.fixed_path, outside.manifest.fixed_path)


def test_make_and_ninja_build_the_same_and_ccache_changes_nothing(tmp_path, monkeypatch):
    """Who calls the compilers, and whether they are called at all, changes no file; ninja and make
    count the same objects, also of a tree that is to be configured again when a file is new."""
    one = builder(tmp_path / "one")
    expected = one.offer(order(recipe()), configured=True).objects
    assert {"C": 1, "CXX": 7} == expected
    by_ninja = one.build(order(recipe()))
    by_make = toolchain.Toolchain("Unix Makefiles", None)
    monkeypatch.setattr(toolchain, "find", lambda *_: (by_make, ()))
    other = builder(tmp_path / "other")
    assert expected == other.offer(order(recipe()), configured=True).objects
    assert by_ninja.manifest.files == other.build(order(recipe())).manifest.files


def test_cuda_without_a_namespace_is_said_not_to_be_reproducible(tmp_path, monkeypatch):
    """The fallback warns of the namespace and of what nvcc compiles in."""
    monkeypatch.setattr(toolchain, "toolkit_problems", lambda *_: ())
    built = builder(tmp_path).build(order(recipe(backends=("cuda",)), enclosed=False))
    assert {rules.NO_NAMESPACE.code, rules.NOT_REPRODUCIBLE.code} <= set(codes(built.problems))


@pytest.mark.parametrize(
    ("option", "rule", "told"),
    [
        ("STANDIN_BROKEN", rules.COMPILE_FAILED, "this is broken on purpose"),
        ("STANDIN_NO_SERVER", rules.NO_SERVER, ""),
        ("LLAMA_BUILD_NUMBER", rules.CONFIGURE_FAILED, "would be guessed"),
        ("STANDIN_CUBLAS", rules.CONFIGURE_FAILED, "CUDA::cublas"),
    ],
)
def test_a_failed_build_leaves_its_log_and_nothing_else(tmp_path, option, rule, told):
    """Status 3, the last lines and the log's path; no entry, no work place."""
    built = recipe(**{option: "ON"})
    if option == "LLAMA_BUILD_NUMBER":
        built = built.replace(options={})
    with pytest.raises(Failure) as failed:
        builder(tmp_path).build(order(built))
    (problem,) = failed.value.diagnostics
    assert (3, rule.code) == (failed.value.status, problem.code)
    assert told in "\n".join(problem.notes)
    if told:
        meant = problem.notes[0].startswith("cuBLAS is not in")
        assert meant == (option == "STANDIN_CUBLAS")
        log = Path(problem.notes[-1].removeprefix("log: "))
        assert told in log.read_text()
    assert [] == entries(tmp_path)


def test_a_full_disk_is_said_before(tmp_path, monkeypatch):
    """Both numbers, and nothing was begun."""
    free = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(Failure) as failed:
        builder(tmp_path).build(order(recipe()))
    (problem,) = failed.value.diagnostics
    assert (3, STORE_FULL.code) == (failed.value.status, problem.code)
    assert "1.0 MiB are free" in problem.summary
    assert [] == entries(tmp_path)


def test_a_disk_that_becomes_full(tmp_path, monkeypatch):
    """While the tree is copied or programs are stripped: status 3, said as that, nothing left."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(steps, "copy_tree", full)
        with pytest.raises(Failure) as failed:
            builder(tmp_path).build(order(recipe()))
    (problem,) = failed.value.diagnostics
    assert (3, STORE_FULL.code) == (failed.value.status, problem.code)

    run = running.run

    def strips(site, *words, **more):
        if words[0] != "strip":
            return run(site, *words, **more)
        raise running.ProgramFailed(1, [f"strip: {words[-1]}: No space left on device"])

    monkeypatch.setattr(running, "run", strips)
    with pytest.raises(Failure) as failed:
        builder(tmp_path).build(order(recipe()))
    (problem,) = failed.value.diagnostics
    assert (3, rules.COMPILE_FAILED.code) == (failed.value.status, problem.code)
    assert "the disk became full" == problem.notes[0]
    assert [] == entries(tmp_path)


def test_an_enclosing_repository_is_no_part_of_a_build(tmp_path):
    """`.git` at the top stays away, links stay links, and what the store keeps read-only can be
    written in the copy."""
    tree = Path(shutil.copytree(STANDIN, tmp_path / "tree"))
    (tree / ".git").write_text("gitdir: ../nowhere")
    (tree / "src" / ".git").mkdir()
    (tree / "link").symlink_to("src")
    (tree / "run.sh").write_text("")
    (tree / "run.sh").chmod(0o555)
    (tree / "src").chmod(0o555)
    place = site.Site(work=tmp_path, enclosed=False)
    steps.copy_tree(tree, place)
    copied = place.source
    assert not (copied / ".git").exists()
    assert (copied / "src" / ".git").is_dir()
    assert Path("src") == (copied / "link").readlink()
    assert 0o755 == stat.S_IMODE((copied / "run.sh").stat().st_mode)
    assert 0o644 == stat.S_IMODE((copied / "LICENSE").stat().st_mode)
    assert (copied / "src").stat().st_mode & stat.S_IWUSR


def test_a_build_writes_nowhere_else(tmp_path, enclosed):
    """A tree that writes beside its folders is refused by the file system."""
    target = tmp_path / "outside"
    with pytest.raises(Failure) as failed:
        builder(tmp_path).build(order(recipe(STANDIN_OUTSIDE=str(target))))
    assert rules.CONFIGURE_FAILED.code == failed.value.diagnostics[0].code
    assert not target.exists()


def test_a_damaged_entry_is_built_again(tmp_path):
    """A changed file is noticed by its digest, and replaced."""
    first = builder(tmp_path).build(order(recipe()))
    server = first.folder / "bin" / "llama-server"
    server.chmod(0o755)
    server.write_bytes(b"no program")
    again = builder(tmp_path).build(order(recipe()))
    assert again.seconds is not None
    assert rules.BUILD_DAMAGED.code in codes(again.problems)
    assert built_problem(again.folder) is None
    assert first.manifest == again.manifest


def test_missing_tools_are_all_named_with_their_packages(monkeypatch, tmp_path):
    """On a machine with nothing: one diagnostic a tool, with Debian's package, and status 3."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for room in (machine, toolchain):
        monkeypatch.setattr(room, "places", lambda: str(tmp_path))
    with pytest.raises(Failure) as failed:
        toolchain.find("llama", recipe(backends=("vulkan",)))
    notes = " ".join(note for each in failed.value.diagnostics for note in each.notes)
    assert 3 == failed.value.status
    for package in ("cmake", "ninja-build", "g++", "gcc", "binutils", "glslc"):
        assert re.search(rf"Debian: (apt install )?`?{re.escape(package)}", notes), package


KILLED = """
import sys
from pathlib import Path
from tests.builder.recipes import builder, order, recipe
builder(Path(sys.argv[1])).build(order(recipe(**dict(w.split("=") for w in sys.argv[2:]))))
"""


def _start(folder, *options):
    words = [sys.executable, "-c", KILLED, str(folder), *options]
    return subprocess.Popen(words, stderr=subprocess.DEVNULL)


def test_killed_at_any_moment_the_next_build_starts_clean(tmp_path):
    """After SIGKILL at five moments of a build, `engines/` has a whole entry or none, no compiler
    of the dead build lives on, and the next build succeeds."""
    took = time.monotonic()
    assert 0 == _start(tmp_path / "whole").wait()
    took = time.monotonic() - took
    for number in range(5):
        child = _start(tmp_path)
        time.sleep(took * (number + 0.5) / 5)
        child.send_signal(signal.SIGKILL)
        child.wait()
        for entry in (tmp_path / "store" / "engines").glob("*"):
            assert built_problem(entry) is None
    one = builder(tmp_path)
    one._store.sweep()
    one.build(order(recipe()))
    for _ in range(50):
        one._store.sweep()
        if [one.folder(recipe()).name] == entries(tmp_path):
            break
        time.sleep(0.1)  # what a killed ninja had begun ends by itself
    assert [one.folder(recipe()).name] == entries(tmp_path)


def test_killing_llmdecl_ends_ninja(tmp_path):
    """The build does not go on without the one who ordered it."""
    child = _start(tmp_path, "STANDIN_SLOW=ON")
    log = tmp_path / "cache" / "builds"
    deadline = time.monotonic() + 30
    while not any("--parallel" in path.read_text() for path in log.glob("*.log")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    mark = str(tmp_path).encode()

    def alive():
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes() or mark in (
                    (process / "cmdline").read_bytes()
                ):
                    return (process / "cmdline").read_bytes()
            except OSError:
                continue
        return None

    while alive():
        assert time.monotonic() < deadline, alive()
        time.sleep(0.05)


def test_what_a_killed_build_left_is_gone_after_the_next(tmp_path):
    """Its work place may hold gigabytes; one that somebody still works in stays."""
    one = builder(tmp_path)
    left = tmp_path / "store" / "partial" / "tmpdead"
    (left / "src").mkdir(parents=True)
    left.with_name("tmpdead.owner").write_text("")
    with one._store.workplace() as used:
        one.offer(order(recipe()), configured=True)
        assert not left.exists()
        assert used.folder.exists()


def test_who_waits_says_so(tmp_path):
    """While another one builds the same, that is told before anything else."""
    told = []
    tell = SimpleNamespace(step=lambda _, what: told.append(what), objects=None, finished=bool)
    other = builder(tmp_path)
    with other._store.guard(recipe().input_hash):
        thread = Thread(target=builder(tmp_path, tell).build, args=(order(recipe()),), daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not told:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        folder = other.folder(recipe())
        shutil.copytree(_finished(tmp_path / "one"), folder, symlinks=True)
    thread.join(30)
    assert ["wait for another process that builds it"] == told


def _finished(folder):
    return builder(folder).build(order(recipe())).folder


def test_two_processes_build_an_entry_once(tmp_path):
    """The second one waits and finds it done."""
    children = [_start(tmp_path) for _ in range(2)]
    assert [0, 0] == [child.wait() for child in children]
    (entry,) = entries(tmp_path)
    logs = list((tmp_path / "cache" / "builds").glob("*.log"))
    assert 1 == len(logs)
    assert 1 == logs[0].read_text().count("--parallel")
    assert read_manifest(tmp_path / "store" / "engines" / entry) is not None


def test_the_price_says_what_it_rests_on():
    """This recipe's own time, else that of another by its objects, else the rule of thumb; more
    jobs and more architectures count."""
    cpu = recipe()
    objects = {"CXX": 200, "C": 8}

    def ask(built=cpu, timings=(), **more):
        words = {"objects": objects, "source_bytes": 1 << 20, "jobs": 2, **more}
        return prices.price(built, timings=timings, **words)

    rule = ask()
    assert ("rule", True) == (rule.basis, rule.counted)
    assert 400 < rule.seconds < 600
    assert rule.seconds / 4 == pytest.approx(ask(jobs=8).seconds)
    other = Timing(
        input_hash="f" * 64,
        objects={"CXX": 100},
        architectures=1,
        jobs=1,
        seconds=1000.0,
        cached=False,
        disk_bytes=1,
    )
    assert "others" == ask(timings=[other]).basis
    assert 2 * rule.seconds == pytest.approx(ask(timings=[other]).seconds)
    assert "rule" == ask(timings=[other.replace(cached=True)]).basis
    same = other.replace(input_hash=cpu.input_hash, objects=objects, seconds=77.0, jobs=2)
    assert ("same", 77.0) == (ask(timings=[other, same]).basis, ask(timings=[other, same]).seconds)
    two = recipe(backends=("cuda",), architectures=("sm_86", "sm_89"))
    one = recipe(backends=("cuda",), architectures=("sm_86",))
    assert not ask(two, objects=None).counted
    assert ask(two, objects=None).seconds > 1.5 * ask(one, objects=None).seconds


def test_a_build_says_how_far_it_is(tmp_path):
    """Steps in order, and every object once."""
    seen = []

    class Tell:
        def step(self, item, what):
            seen.append(what)

        def objects(self, done, total, path):
            seen.append((done, total))

        def finished(self):
            seen.append("finished")

    builder(tmp_path, Tell()).build(order(recipe(), jobs=1))
    total = sum(builder(tmp_path).offer(order(recipe()), configured=True).objects.values())
    steps = ["unpack", "configure", "compile"]
    assert [*steps, *((n, total) for n in range(1, total + 1)), "install", "finished"] == seen
    assert (
        json.loads(next((tmp_path / "cache" / "builds").glob("*.json")).read_text())["seconds"] > 0
    )
