"""What `fit` says is what `plan` does."""

from functools import cache

import pytest

from llmdecl.compiler import compile_spec
from llmdecl.engines.llama_cpp.quantize import FILE_TYPES
from llmdecl.facts.model import OtherWeights, Presence, WeightsFacts
from llmdecl.memory.estimate import total_bytes
from llmdecl.plan.fit import candidates, fit_model
from llmdecl.plan.placement import Kind
from llmdecl.plan.stack import resolve_all
from llmdecl.store.model import Lock
from tests.plan.test_placed import DEEPSEEK, FACTS, GEMMA, LLAMA, LOCK, NOMIC, stack

RESIDENT = {"source": NOMIC, "task": "embedding", "ttl": "never"}
STARTUP = {"source": GEMMA, "task": "completion", "load": "startup", "ctx-size": 4096}
STACKS = (
    ({"m": {"source": LLAMA}}, [8192]),
    ({"m": {"source": LLAMA, "cache-type-k": "q8_0", "cache-type-v": "q8_0"}}, [6000, 5000]),
    ({"m": {"source": DEEPSEEK, "parallel": 2}}, [9000]),
    ({"m": {"source": DEEPSEEK}}, [2600]),
    ({"m": {"source": LLAMA, "n-gpu-layers": "all"}}, [9000]),
    ({"m": {"source": LLAMA}, "r": RESIDENT, "s": STARTUP}, [7000, 2048]),
    ({"m": {"source": GEMMA, "ttl": "never"}, "r": RESIDENT, "s": STARTUP}, [3000]),
    ({"m": {"source": NOMIC, "task": "embedding"}}, [2048]),
    ({"m": {"source": LLAMA}}, []),
)


def table(models, devices, **more):
    spec = stack(models, devices, **more)
    _, _, resolved, found = resolve_all(spec, FACTS, LOCK)
    assert not found
    return fit_model("m", resolved), next(model for model in resolved if model.name == "m")


@cache
def of_stack(number):
    """The table of a stack; one takes seconds."""
    return table(*STACKS[number], ram="24GiB")


def compiled(models, devices, model, candidate, ctx_size, **more):
    """The stack with this context, where the model's file is this one."""
    source = models["m"]["source"]
    asked = {**models["m"], "ctx-size": ctx_size}
    weights = LOCK.weights[source].replace(gguf=candidate.gguf)
    file = weights.files[0].replace(size_bytes=candidate.size_bytes)
    lock = LOCK.replace(weights={**LOCK.weights, source: weights.replace(files=(file,))})
    return compile_spec(stack({**models, "m": asked}, devices, **more), FACTS, lock)


@pytest.mark.parametrize("number", range(len(STACKS)))
def test_what_fits_compiles_and_nothing_else(number):
    """Every cell written as a spec: it compiles with just this placement, and leaves just so
    much; what does not fit does not compile."""
    (models, devices), ram = STACKS[number], "24GiB"
    found, model = of_stack(number)
    for row, candidate in zip(found.rows, candidates(model), strict=True):
        assert (row.file_type, row.size_bytes) == (candidate.file_type, candidate.size_bytes)
        for cell in row.cells:
            plan = compiled(models, devices, model, candidate, cell.ctx_size, ram=ram).plan
            assert cell.fits == (plan is not None), (row.file_type, cell.ctx_size)
            if plan is None:
                continue
            mine = next(each for each in plan.models if each.name == "m")
            assert mine.placement == cell.placement
            assert cell.left_bytes >= 0
            budgets = {budget.pool: budget.bytes for budget in plan.budgets}
            for use in cell.pools:
                assert use.left_bytes <= budgets[use.pool] - total_bytes(mine.memory, use.pool)


def test_all_classes_occur():
    """Cells of every kind are in these tables, and some that do not fit."""
    cells = [
        cell
        for number in range(len(STACKS))
        for row in of_stack(number)[0].rows
        for cell in row.cells
    ]
    assert {cell.kind for cell in cells if cell.fits} == set(Kind)
    assert not all(cell.fits for cell in cells)


def test_a_file_that_is_beside_is_not_computed():
    """What lies beside the file is its own row, and its type is worked out no more."""
    source = "file:llama-8b-Q8_0.gguf"
    own = LOCK.weights[LLAMA].gguf.replace(file_type_declared="Q4_K_M")
    other = OtherWeights(
        source=source,
        size_bytes=own.file_bytes + 1,
        gguf=own.replace(file_type_declared="Q8_0", file_type="Q8_0"),
    )
    here = WeightsFacts(
        source=LLAMA,
        presence=Presence.PRESENT,
        digest=None,
        found_sha256=None,
        size_bytes=own.file_bytes,
        parts=1,
        gguf=own,
        others=(other,),
    )
    spec = stack({"m": {"source": LLAMA}}, [8192])
    _, _, resolved, _ = resolve_all(spec, FACTS.replace(weights={LLAMA: here}), Lock())
    found = fit_model("m", resolved)
    kinds = {row.file_type: row.source for row in found.rows}
    assert kinds["Q8_0"] == source
    assert kinds["Q4_K_M"] == LLAMA
    assert {kind for kind, where in kinds.items() if where is None} == FILE_TYPES.keys() - {
        "Q8_0",
        "Q4_K_M",
    }


def test_contexts_end_with_the_trained_one():
    """Powers of two up to it, itself, and what the spec asks for."""
    assert table({"m": {"source": NOMIC, "task": "embedding"}}, [])[0].contexts == (2048,)
    found, _ = table({"m": {"source": LLAMA, "ctx-size": 5000}}, [])
    assert found.contexts == (4096, 5000, 8192, 16384, 32768, 65536, 131072)
