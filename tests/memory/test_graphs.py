"""Every architecture against what llama.cpp itself allocates (`benchmarks/oracle`)."""

import pytest

from llmdecl.memory.allocations import loaded, one_device
from llmdecl.memory.graphs.simulate import reserve
from llmdecl.memory.graphs.site import Site
from tests.memory import recorded

FILES = recorded.files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_to_the_byte(path):
    """Weights, caches, states, results and work buffers, on every device, of every question."""
    gguf, features, rows = recorded.read(path)
    assert rows
    for row in rows:
        where = f"{row['backend']} {row['args']}"
        ours, found = recorded.answer(gguf, features, row)
        assert ours == row["per_device"], where
        assert found.flash_attn == row["flash_attn_effective"], where
        assert found.pipeline == row["pipeline_parallel"], where


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_blocks_that_repeat_need_no_more(path):
    """Leaving out blocks like their neighbours changes no work buffer."""
    gguf, features, rows = recorded.read(path)
    model = loaded(gguf)
    for row in rows[:: max(1, len(rows) // 5)]:
        run, placement = recorded.question(gguf, row)
        site = Site(one_device(placement), model.h.n_layer_all, features, run.repack)
        whole = reserve(model, run, site, whole=True)
        assert reserve(model, run, site).compute == whole.compute, row["args"]
