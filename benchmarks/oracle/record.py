"""Keeps what the oracle says of headers as test data: `record.py OUT-DIR MODEL.gguf ...`.

A file for each model: the header's facts, and a standard set of questions with llama.cpp's own
answers. `tests/memory/test_graphs.py` asks the memory room the same questions.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from oracle import Oracle

from llmdecl.facts.gguf import read_gguf
from llmdecl.facts.hardware.cpu import detect_cpu
from llmdecl.values import to_json

CASES: tuple[tuple[str, str], ...] = (
    ("cpu", "-c 4096"),
    ("cpu", "-c 2048 -fa off -np 2"),
    ("pretend:1:24576", "-ngl 99 -c 4096"),
    ("pretend:1:24576", "-ngl 99 -c 8192 -np 3 -ub 256"),
    ("pretend:1:24576", "-ngl 99 -c 8192 -fa off -np 1"),
    ("pretend:1:24576", "-ngl 99 -c 8192 -ctk q8_0 -ctv q8_0 -np 1"),
    ("pretend:2:24576", "-ngl 99 -c 8192 -ts 3,2"),
    ("pretend:2:24576", "-ngl 99 -c 8192 -sm none"),
    ("pretend:1:24576", "-ngl 4 -c 4096 -np 1"),
    ("pretend:1:24576", "-ngl 0 -c 4096 -np 1"),
    ("pretend:1:24576", "-ngl 99 -c 4096 -nkvo"),
    ("pretend:1:24576", "-ngl 99 -c 4096 --no-op-offload --no-host"),
    ("pretend:1:24576", "-ngl 99 -c 2048 --embedding"),
    ("rpc:1:8192", "-ngl 99 -c 4096"),
)
EXPERTS: tuple[tuple[str, str], ...] = (
    ("pretend:1:24576", "-ngl 99 -c 4096 --cpu-moe"),
    ("pretend:2:24576", "-ngl 99 -c 4096 --n-cpu-moe 2 -ts 1,1"),
)
COLUMNS = ("n_ctx", "n_ctx_seq", "n_seq_max", "n_batch", "n_ubatch", "kv_unified",
           "n_outputs_max", "flash_attn_effective", "pipeline_parallel", "devices",
           "per_device")  # fmt: skip


def record(oracle: Oracle, model: Path, out: Path) -> str:
    """Writes one file; says how many questions had an answer."""
    gguf, problems = read_gguf(model)
    if gguf is None:
        return f"{model.stem}: {problems[0].summary}"
    experts = any("_exps" in group.name for group in gguf.tensors)
    rows = []
    for backend, flags in (*CASES, *(EXPERTS if experts else ())):
        answer = oracle.ask(str(model), backend, flags.split())
        row: dict[str, object] = {"backend": backend, "args": flags}
        if "error" in answer:
            row["error"] = str(answer["error"])[:160]
        else:
            row |= {column: answer[column] for column in COLUMNS}
        rows.append(row)
    cpu = detect_cpu()
    kept = {
        "origin": "benchmarks/oracle on llama.cpp 0c1e570: a dry run with pretend devices",
        "cpu_features": [f for f in (cpu.features if cpu else ()) if "avx" in f or "fma" in f],
        "gguf": json.loads(to_json(gguf)),
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(kept, separators=(",", ":"), sort_keys=True)
    (out / f"{model.stem}.json").write_text(text + "\n")
    return f"{model.stem}: {sum('error' not in row for row in rows)} of {len(rows)}"


if __name__ == "__main__":
    judge = Oracle()
    for name in sys.argv[2:]:
        print(record(judge, Path(name), Path(sys.argv[1])))
