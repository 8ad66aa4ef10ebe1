"""Changes that are offered where a model does not fit, applied as a person would."""

import json
import re

import pytest

from llmdecl.compiler import compile_spec
from llmdecl.diagnostics import Severity
from llmdecl.engines.llama_cpp.quantize import requantized
from llmdecl.facts.model import OtherWeights, Presence, WeightsFacts
from tests.test_golden import GOLDEN, read_case

SPEC, FACTS, LOCK = read_case(GOLDEN / "device-too-small")
LLAMA = "file:llama-8b.gguf"
GGUF = LOCK.weights[LLAMA].gguf
SMALLER = "file:llama-8b-smaller.gguf"


def present(source, gguf, *others):
    """A file that is here, with those beside it."""
    return WeightsFacts(
        source=source,
        presence=Presence.PRESENT,
        digest=None,
        found_sha256=None,
        size_bytes=gguf.file_bytes,
        parts=1,
        gguf=gguf,
        others=others,
    )


def beside(file_type):
    """Facts of a machine on which a smaller file lies beside the model's."""
    gguf = requantized(GGUF, file_type)
    other = OtherWeights(source=SMALLER, size_bytes=gguf.file_bytes, gguf=gguf)
    here = {LLAMA: present(LLAMA, GGUF, other), SMALLER: present(SMALLER, gguf)}
    return FACTS.replace(weights={**FACTS.weights, **here})


def with_keys(**changes):
    """The spec with other keys of its model."""
    model = SPEC.models["llama"].model_copy(update=changes)
    return SPEC.model_copy(update={"models": {"llama": model}})


def errors(spec, facts, lock=LOCK):
    found = compile_spec(spec, facts, lock).diagnostics
    return [problem for problem in found if problem.severity is Severity.ERROR]


def offers(spec, facts, lock=LOCK):
    """Every help text."""
    return [text for problem in errors(spec, facts, lock) for text in problem.help]


@pytest.mark.parametrize("named", [None, "Q4_K_M"])
def test_a_smaller_file_beside_it(named):
    """The file is offered, with the spec's own word for its quantization where there is one; the
    changed spec has nothing wrong with it but that the file is not locked yet."""
    facts = beside("Q2_K")
    spec = with_keys(ctx_size=512, n_gpu_layers="all", quantization=named)
    (text,) = [text for text in offers(spec, facts) if SMALLER in text]
    keys = {
        key.replace("-", "_"): json.loads(value)
        for key, value in re.findall(r"`([a-z-]+) = ([^`]+)`", text)
    }
    assert keys == {"source": SMALLER} | ({"quantization": "Q2_K"} if named else {})
    mended = with_keys(ctx_size=512, n_gpu_layers="all", **{"quantization": named, **keys})
    assert {problem.name for problem in errors(mended, facts)} <= {"not-locked"}


def test_nothing_is_offered_that_check_refuses():
    """Heads of 80 are no whole blocks of Q8_0: smaller caches would make room, and not start."""
    sizes = {"llama.attention.key_length": 80, "llama.attention.value_length": 80}
    odd = GGUF.replace(parameters=GGUF.parameters | sizes)
    lock = LOCK.replace(
        weights={LLAMA: LOCK.weights[LLAMA].replace(gguf=odd)},
    )
    facts = FACTS.replace(weights={LLAMA: present(LLAMA, odd)})
    spec = with_keys(ctx_size=6400, parallel=8, n_gpu_layers=12)
    assert {problem.name for problem in errors(spec, facts, lock)} == {"vram-overcommit"}
    assert not [text for text in offers(spec, facts, lock) if "cache-type" in text]
    assert [
        text
        for text in offers(with_keys(ctx_size=4096, parallel=8, n_gpu_layers=12), FACTS)
        if "-type-k" in text
    ]


def test_another_quantization_of_the_repository():
    """Where the file comes from a repository its publisher's word is what changes."""
    gguf = requantized(GGUF, "Q2_K")
    other = OtherWeights(
        source="hf:o/r/b.gguf",
        size_bytes=gguf.file_bytes,
        gguf=gguf,
        quantization="UD-Q2_K_XL",
    )
    facts = FACTS.replace(weights={**FACTS.weights, LLAMA: present(LLAMA, GGUF, other)})
    texts = offers(with_keys(ctx_size=512, n_gpu_layers="all"), facts)
    (text,) = [text for text in texts if "quantization" in text]
    assert text.startswith('`quantization = "UD-Q2_K_XL"` (Q2_K, ')
    assert "hf:o/r" not in text
