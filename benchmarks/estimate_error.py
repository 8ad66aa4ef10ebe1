"""How far estimates are from what llama.cpp allocated: the acceptance table.

    python benchmarks/estimate_error.py                    recorded rows: tests/memory/data/graphs
    python benchmarks/estimate_error.py --truth TRUTH.JSON --models DIR    a file of measurements

`--rows DIR` reads recordings of another folder; `--worst N` names the N worst rows of every line.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from llmdecl.engines.llama_cpp.command_line import parameters_of, placement_of, read_arguments
from llmdecl.facts.gguf import read_gguf
from llmdecl.memory import allocations as memory
from llmdecl.memory.allocations import allocations, loaded
from llmdecl.memory.estimate import model_parts
from llmdecl.memory.graphs import site
from llmdecl.memory.hparams import shape_of
from llmdecl.memory.model import HOST, Device
from tests.memory import recorded

MEBIBYTE = 1 << 20
ROUNDING = 0.01 * MEBIBYTE
PARTS = ("weights", "kv", "recurrent", "output", "compute")
OURS = {"weights": "weights", "repacked": "weights", "kv-cache": "kv", "recurrent": "recurrent",
        "output": "output", "compute": "compute"}  # fmt: skip
WHOLE, PARTIAL = "whole or CPU", "partial"


class Pair(NamedTuple):
    """One number, measured and estimated, in bytes. `slack`: how exactly it was measured."""

    want: float
    got: float
    row: str
    slack: float = 0.0

    @property
    def error(self) -> float:
        """Relative to what was measured, signed; 0 within the measurement's rounding."""
        off = self.got - self.want
        if abs(off) <= self.slack:
            return 0.0
        return off / self.want if self.want else math.copysign(math.inf, off)


class Question(NamedTuple):
    """One command line on one model."""

    name: str
    gguf: object
    features: tuple[str, ...]
    backend: str
    args: list[str]
    fit: dict | None = None


def devices(backend: str) -> tuple[Device, ...]:
    """`pretend:2:16384`, `pretend:2:24576,8192`, `rpc:1`, joined by `+`; sizes in MiB."""
    found = []
    for each in backend.split("+"):
        kind, *rest = each.split(":")
        if kind == "cpu":
            continue
        sizes = rest[1].split(",") if len(rest) > 1 else ["16384"]
        found += [
            Device(
                id=f"{kind.upper()}{index}",
                backend=kind,
                free_bytes=int(sizes[min(index, len(sizes) - 1)]) * MEBIBYTE,
            )
            for index in range(int(rest[0]))
        ]
    return tuple(found)


def asked(question: Question):
    """Parameters and placement; where `--fit` decided, with what it decided."""
    args = list(question.args)
    if question.fit:
        layers = question.fit["n_gpu_layers"]
        args += ["-c", str(question.fit["n_ctx"]), "-ngl", str(999 if layers < 0 else layers)]
        if any(question.fit["tensor_split"]):
            args += ["-ts", ",".join(str(share) for share in question.fit["tensor_split"])]
    given = read_arguments(args)
    placement = placement_of(given, devices(question.backend))
    if question.fit:
        named = tuple(tuple(text.rsplit("=", 1)) for text in question.fit["overrides"])
        placement = placement.replace(overrides=(*placement.overrides, *named))
    return parameters_of(given, shape_of(question.gguf)), placement


def class_of(found, placement) -> str:
    """Everything on devices or nothing, or a mixture."""
    whole = (
        found.layers_on_devices in (0, found.n_layers)
        and placement.kv_offload
        and not placement.overrides
    )
    return WHOLE if whole else PARTIAL


def _parts(place) -> dict[str, int]:
    weights = place.weights + place.repacked
    numbers = (weights, place.kv_cache, place.recurrent, place.output, place.compute)
    return dict(zip(PARTS, numbers, strict=True))


class Table:
    """All pairs by line of the table."""

    def __init__(self) -> None:
        self.pairs: dict[tuple[str, str], list[Pair]] = defaultdict(list)
        self.milliseconds: list[float] = []
        self.decisions = [0, 0]
        self.questions = 0

    def add(self, question: Question, row: dict) -> None:
        """A dry run: bytes of every part on every device, and totals."""
        run, placement = asked(question)
        loaded(question.gguf)
        start = time.process_time()
        found = allocations(question.gguf, run, placement, question.features)
        self.milliseconds.append((time.process_time() - start) * 1000)
        self.questions += 1
        what = class_of(found, placement)
        ours = {place.place: _parts(place) for place in found.places}
        for place in (*row["devices"], HOST):
            want, got = row["per_device"][place], ours[place]
            for part in PARTS:
                if want[part] or got[part]:
                    kind = what if part == "compute" else "all"
                    self.pairs[part, kind].append(Pair(want[part], got[part], question.name))
            total = sum(want[part] for part in PARTS), sum(got.values())
            line = "host total" if place == HOST else "device total"
            self.pairs[line, "all"].append(Pair(*total, question.name))
        right = found.flash_attn == row["flash_attn_effective"]
        right = right and found.pipeline == row["pipeline_parallel"]
        self.decisions[not right] += 1

    def add_server(self, question: Question, row: dict) -> None:
        """A real start: MiB with two decimals, the file mapped; a load may need less than a dry
        run where devices take part."""
        run, placement = asked(question)
        parts = model_parts(question.gguf, "x", run, question.features, placement=placement)
        got: dict[tuple[str, str], float] = defaultdict(float)
        want: dict[tuple[str, str], float] = defaultdict(float)
        for part in parts:
            if part.part in OURS:
                got[part.pool, OURS[part.part]] += part.bytes
        names = {device.id for device in placement.devices}
        for buffer, sizes in row["buffers_mib"].items():
            for part, size in sizes.items():
                want[buffer if buffer in names else HOST, part] += size * MEBIBYTE
        self.questions += 1
        for key in want.keys() | got.keys():
            if want[key] or got[key]:
                pair = Pair(want[key], got[key], question.name, 3 * ROUNDING)
                self.pairs[f"real {key[1]}", "all"].append(pair)

    def show(self, worst: int) -> None:
        """One line a part and class."""
        print(f"{self.questions} questions, flash attention and pipeline right in "
              f"{self.decisions[0]} of {sum(self.decisions)}")  # fmt: skip
        print()
        heads = ("part", "class", "numbers", "exact %", "median %", "p95 %", "p95 MiB", "worst %",
                 ">1% low %", ">5% low %")  # fmt: skip
        print("{:14} {:13} {:>8} {:>8} {:>9} {:>8} {:>9} {:>9} {:>10} {:>10}".format(*heads))
        for (part, kind), pairs in sorted(self.pairs.items(), key=_order):
            errors = sorted(abs(pair.error) for pair in pairs)
            mib = sorted(abs(pair.got - pair.want) / MEBIBYTE for pair in pairs)
            print(
                f"{part:14} {kind:13} {len(pairs):8}"
                f" {100 * sum(not error for error in errors) / len(pairs):8.2f}"
                f" {100 * statistics.median(errors):9.3f} {100 * _p95(errors):8.3f}"
                f" {_p95(mib):9.3f} {100 * errors[-1]:9.3f}"
                f" {100 * sum(pair.error < -0.01 for pair in pairs) / len(pairs):10.2f}"
                f" {100 * sum(pair.error < -0.05 for pair in pairs) / len(pairs):10.2f}"
            )
            for pair in sorted(pairs, key=lambda pair: -abs(pair.error))[:worst]:
                if pair.error:
                    print(f"    {pair.row}: {pair.got:,.0f} for {pair.want:,.0f}")
        if self.milliseconds:
            times = sorted(self.milliseconds)
            print()
            print(f"an estimate: median {statistics.median(times):.2f} ms, p95 {_p95(times):.2f} "
                  f"ms, slowest {times[-1]:.2f} ms of the processor (header read)")  # fmt: skip


def _order(line) -> tuple[int, str, str]:
    part, kind = line[0]
    names = (*PARTS, "device total", "host total")
    return (names.index(part) if part in names else len(names)), part, kind


def _p95(values: list[float]) -> float:
    return values[min(len(values) - 1, math.ceil(0.95 * len(values)) - 1)]


def recordings(table: Table, folder: Path) -> None:
    """Every recording of a folder."""
    for path in sorted(folder.glob("*.json")):
        gguf, features, rows = recorded.read(path)
        for row in rows:
            name = f"{path.stem} {row['backend']} {row['args']}"
            question = Question(name, gguf, tuple(features), row["backend"], row["args"].split())
            table.add(question, row)


def measurements(table: Table, path: Path, models: Path) -> None:
    """Every case of a truth file, by its section."""
    truth = json.loads(path.read_text())
    # the file names the processor's features but one: its rows are of AVX-512
    features = tuple({*truth["cpu_features"], "avx512f"})
    headers = {}
    for row in truth["cases"]:
        name = row["model"]
        if name not in headers:
            headers[name], _ = read_gguf(models / f"{name}.gguf")
        if headers[name] is None:
            sys.exit(f"{models / name}.gguf cannot be read")
        label = f"{row['id']} {name} {row['backend']} {' '.join(row['args'])}"
        question = Question(
            label, headers[name], features, row["backend"], row["args"], row.get("fit")
        )
        if row["section"] == "server":
            table.add_server(question, row)
        else:
            table.add(question, row)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=Path, default=recorded.FOLDER)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--worst", type=int, default=0)
    given = parser.parse_args()
    for module in (memory, site):
        module.BACKENDS = recorded.WITH_PRETEND
    table = Table()
    if given.truth is not None:
        if given.models is None:
            parser.error("--truth needs --models DIR, the folder of its GGUF files")
        measurements(table, given.truth, given.models)
    else:
        recordings(table, given.rows)
    if not table.questions:
        print(f"no recordings in {given.rows}")
        return
    table.show(given.worst)


if __name__ == "__main__":
    main()
