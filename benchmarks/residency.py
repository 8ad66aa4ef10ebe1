"""Time to work out residency: 60 models on 4 devices, in shapes that are hard in their own ways."""

import random
import time

from llmdecl.memory.model import MemoryPart
from llmdecl.plan.residency import Tenant, residency

PARTS = ("weights", "kv-cache", "recurrent", "output", "compute", "driver", "process")
DEVICES = ("gpu0", "gpu1", "gpu2", "gpu3")


def tenant(number, sizes, *, shared=None, alone=False):
    memory = [
        MemoryPart(pool=pool, part=part, bytes=size, exact=True)
        for pool, size in sizes.items()
        for part in PARTS
    ]
    if shared:
        memory.append(MemoryPart(pool="host", part="w", bytes=50, exact=True, shared=shared))
    devices = frozenset(sizes) - {"host"} or frozenset({"host"})
    return Tenant(
        name=f"m{number:02}",
        memory=tuple(memory),
        devices=devices,
        alone=devices if alone else frozenset(),
    )


def shapes(rng):
    """Name, models, budgets."""
    yield "equal, half fit", [tenant(i, {"host": 1}) for i in range(60)], {"host": 7 * 30}
    yield "one pool", [tenant(i, {"host": 1 + i % 9}) for i in range(60)], {"host": 7 * 60}
    for rounds in range(6):
        budgets = {"host": 7 * rng.choice([60, 120, 240])}
        budgets |= {device: 7 * rng.randint(20, 80) for device in DEVICES}
        models = []
        for i in range(60):
            sizes = {"host": rng.randint(1, 12)}
            for device in rng.sample(DEVICES, rng.randint(0, 2)):
                sizes[device] = rng.randint(1, 20)
            alone = rng.random() < 0.1
            models.append(tenant(i, sizes, shared=f"f{i % 40}", alone=alone))
        yield f"random {rounds}", models, budgets


def main():
    for name, models, budgets in shapes(random.Random(1)):
        begin = time.perf_counter()
        found = residency(models, budgets)
        elapsed = time.perf_counter() - begin
        counts = [len(group.sets) for group in found.groups]
        print(f"{name:16} {elapsed * 1000:6.0f} ms  complete {found.complete!s:5}  sets {counts}")


main()
