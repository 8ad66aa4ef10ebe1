"""Ask llama.cpp itself what it would allocate, without weights and without a GPU.

    python oracle.py MODEL BACKEND [--graph] [--json] -- LLAMA-SERVER ARGUMENTS
    python oracle.py --check TRUTH.JSON MODELS-DIR

BACKEND is `cpu`, `pretend:N:MIB` (N devices that answer as CUDA does and support every
operation), `cuda:N:MIB` (the same, but refusing what CUDA refuses), `rpc:N:MIB` (RPC devices
whose server computes on a CPU), or several joined by `+`.
The program is `$LLMDECL_ORACLE`, else `oracle` beside this file or in `build/oracle`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

Row = dict[str, Any]

HERE = Path(__file__).resolve().parent
PARTS = ("weights", "kv", "recurrent", "output", "compute")
SAME = (
    *("n_ctx", "n_ctx_seq", "n_seq_max", "n_batch", "n_ubatch", "kv_unified", "n_outputs_max"),
    *("pipeline_parallel", "flash_attn_effective", "graph", "devices", "buffers", "per_device"),
)


def program() -> Path:
    """The compiled oracle."""
    named = os.environ.get("LLMDECL_ORACLE")
    places = (
        [Path(named)]
        if named
        else [HERE / "oracle", HERE.parents[1] / "build" / "oracle" / "oracle"]
    )
    for place in places:
        if place.is_file():
            return place
    sys.exit("no oracle here: run `make oracle`, or set LLMDECL_ORACLE")


class Oracle:
    """A resident `oracle` process; one request takes 10 to 200 ms."""

    def __init__(self, path: Path | None = None) -> None:
        self._process = subprocess.Popen(
            [path or program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(
        self, model: Path | str, backend: str, args: Sequence[str] = (), *, graph: bool = False
    ) -> Row:
        """The columns of truth.json in bytes, or `{"error": ...}`; with `graph` also `reserved`:
        splits, leafs and nodes of the prompt graph."""
        return self.request(
            {"model": str(model), "backend": backend, "args": list(args), "graph": graph}
        )

    def request(self, request: Row) -> Row:
        """One line to the process, one line back."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: Row = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def differences(measured: Row, answered: Row) -> list[str]:
    """The columns in which an answer is not the measured row."""
    if "error" in answered:
        return ["error"]
    return [name for name in SAME if name in measured and measured[name] != answered.get(name)]


def check(truth: Path, models: Path) -> int:
    """Ask every dry-run row of truth.json again and print what differs."""
    rows = json.loads(truth.read_text())
    same: Counter[str] = Counter()
    total: Counter[str] = Counter()
    with Oracle() as oracle:
        for row in rows["cases"]:
            if row["section"] == "server":
                continue
            backend = row["backend"] + (":24576" if row["section"] == "rpc" else "")
            args = ["--fit", "on", *row["args"]] if row["section"] == "fit" else row["args"]
            answer = oracle.ask(models / f"{row['model']}.gguf", backend, args)
            total[row["section"]] += 1
            if wrong := differences(row, answer):
                print(
                    row["id"],
                    row["model"],
                    row["backend"],
                    " ".join(row["args"]),
                    "differs:",
                    *wrong,
                )
                for name in wrong:
                    print(
                        "  measured",
                        json.dumps(row.get(name)),
                        "\n  answered",
                        json.dumps(answer.get(name)),
                    )
            else:
                same[row["section"]] += 1
    for section, count in total.items():
        print(f"{section}: {same[section]} of {count} rows agree in every column")
    return 0 if same == total else 1


def table(answer: Row) -> str:
    """An answer for people, in MiB."""
    lines = [
        " ".join(f"{name}={answer[name]}" for name in SAME if name not in ("buffers", "per_device"))
    ]
    lines += [f"{'MiB':14}" + "".join(f"{part:>13}" for part in PARTS)]
    for name, sizes in answer["buffers"].items():
        lines.append(f"{name:14}" + "".join(f"{sizes[part] / 2**20:13.3f}" for part in PARTS))
    return "\n".join(lines)


def graph_lines(reserved: Row) -> list[str]:
    """The reserved prompt graph, one line per split, leaf and node."""
    lines = [
        f"split {i} {s['backend']} nodes {s['start']}..{s['end']} inputs {' '.join(s['inputs'])}"
        for i, s in enumerate(reserved["splits"])
    ]
    for row in (*reserved["leafs"], *reserved["nodes"]):
        shape = "x".join(str(n) for n in row["ne"])
        if "buffer" in row:
            end = row["offset"] + row["size"]
            place = f"{row['buffer']}#{row['chunk']}+{row['offset']}..{end} ({row['size']})"
        elif "view_of" in row:
            place = f"view of {row['view_of']}+{row['view_offset']}"
        else:
            place = f"in {row.get('held_by', 'nothing')}"
        marks = "".join(f" {mark}" for mark in ("input", "output") if mark in row)
        lines.append(
            f"{row['id']:>6} {row['backend']:10} {row['op']:16} {row['type']:5} {shape:24}"
            f" {row['name']:34} <- {' '.join(row['src'])} | {place}{marks}"
        )
    return lines


def main(words: Sequence[str]) -> int:
    """The command line."""
    own, args = (
        (words[: words.index("--")], words[words.index("--") + 1 :])
        if "--" in words
        else (words, [])
    )
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check",
        type=Path,
        metavar="TRUTH.JSON",
        help="compare with measured rows; MODEL is their folder",
    )
    parser.add_argument(
        "--graph", action="store_true", help="print every node of the reserved prompt graph"
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument("model", type=Path)
    parser.add_argument("backend", nargs="?", default="cpu")
    options = parser.parse_args(own)
    if options.check:
        return check(options.check, options.model)
    with Oracle() as oracle:
        answer = oracle.ask(options.model, options.backend, args, graph=options.graph)
    if options.json:
        print(json.dumps(answer))
    elif "error" in answer:
        print(answer["error"], file=sys.stderr)
    else:
        print(table(answer))
        print(
            *graph_lines(answer["reserved"]) if options.graph else (),
            sep="\n",
            end="\n" if options.graph else "",
        )
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
