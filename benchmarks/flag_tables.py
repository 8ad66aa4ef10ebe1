"""Flag tables from source against the tables of releases, for source distributions of PyPI's name.

    .venv/bin/python benchmarks/flag_tables.py 0.3.16 0.3.24 0.3.34 0.3.36
    .venv/bin/python benchmarks/flag_tables.py --write NAME VERSION HELP.txt < common/arg.cpp

Each version's distribution is taken from the user's index and read; nothing of it is run. With
`--write` the real `--help` in HELP.txt becomes the table `NAME` of the release `VERSION`.
"""

import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

from llmdecl.engines.llama_cpp import releases
from llmdecl.engines.llama_cpp.flag_source import SOURCE, read_flags
from llmdecl.engines.llama_cpp.help import parse_help
from llmdecl.sources.pip import Pip
from llmdecl.sources.trees.origin import Sdist
from llmdecl.store.progress import Item, Silent
from llmdecl.store.store import Store, read_digest
from llmdecl.store.suppliers.supplier import Room
from llmdecl.store.tools import Tools
from llmdecl.store.trees import Task
from llmdecl.values import to_json

TABLES = Path(releases.__file__).parent


def tree(version: str, folder: Path) -> tuple[str | None, str]:
    """Commit and `common/arg.cpp` of llama-cpp-python's tree."""
    tools = Tools(digest=read_digest, read_gguf=None, probe=None)  # type: ignore[arg-type]
    room = Room(Store(folder), Pip(), tools, folder, Silent())
    origin, text = Sdist("llama-cpp-python", version), f"pypi:llama-cpp-python=={version}"
    archive = Task(room, origin, text, None, "here", Item("here", Silent())).bring().archive
    path = room.store.tree_folder(archive.nar_hash) / SOURCE
    return archive.commit, path.read_text("utf-8")


def compare(version: str) -> bool:
    """Print what differs; whether a table of this source is known and is the same."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        commit, text = tree(version, Path(folder))
        brought_s = time.monotonic() - started
    started = time.monotonic()
    flags = read_flags(text, has_rpc=True)
    read_ms = (time.monotonic() - started) * 1e3
    known = releases.by_source(hashlib.sha256(text.encode()).hexdigest())
    words = "no table" if known is None else "same" if known.flags == flags else "DIFFERENT"
    print(
        f"{version}  {commit}  {len(flags)} flags in {read_ms:.0f} ms, brought in {brought_s:.1f} s"
        f"  {words}"
    )
    for flag in () if known is None else sorted({*known.flags} ^ {*flags}, key=str):
        print(f"  {flag}")
    return known is None or known.flags == flags


def write(name: str, version: str, help_text: str, source: str) -> None:
    """A release's table, one flag a line."""
    given = releases.Release(
        version=version,
        commit=None,
        build=int(version[1:]) if version.startswith("b") else None,
        source_sha256=hashlib.sha256(source.encode()).hexdigest() if source else None,
        rpc_is_optional=not source
        or read_flags(source, has_rpc=True) != read_flags(source, has_rpc=False),
        flags=parse_help(help_text),
    )
    plain = json.loads(to_json(given))
    flags = [{k: v for k, v in flag.items() if v not in (None, [], 0)} for flag in plain["flags"]]
    head = json.dumps({k: v for k, v in plain.items() if k != "flags"}, indent=1)[:-2]
    lines = ",\n  ".join(json.dumps(flag) for flag in flags)
    (TABLES / f"{name}.json").write_text(f'{head},\n "flags": [\n  {lines}\n ]\n}}\n')


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        write(sys.argv[2], sys.argv[3], Path(sys.argv[4]).read_text(), sys.stdin.read())
    else:
        same = [compare(version) for version in sys.argv[1:]]
        sys.exit(0 if all(same) else 1)
