"""What an Ollama model brings beside weights, in a spec's words: always valid, never lost."""

import json
import tomllib
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from llmdecl.facts.model import GgufFacts
from llmdecl.sources.ollama.manifest import Manifest, parse_config, parse_manifest
from llmdecl.sources.ollama.settings import Extras, offer, toml
from llmdecl.spec.schema import ModelSettings

BARE = GgufFacts(
    architecture="llama",
    type="model",
    name=None,
    file_type="F32",
    file_type_declared=None,
    n_params=1,
    tensor_bytes=4,
    file_bytes=64,
    tensors=(),
    vocabulary=None,
    chat_template_sha256=None,
    parameters={},
)
NAMES = (
    *("temperature", "top_p", "top_k", "min_p", "typical_p", "repeat_penalty", "presence_penalty"),
    *("frequency_penalty", "seed", "num_predict", "num_ctx", "num_batch", "num_gpu", "num_thread"),
    *("repeat_last_n", "num_keep", "use_mmap", "stop", "mirostat", "main_gpu"),
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=9)
)
VALUES = SCALARS | st.lists(st.text(max_size=4), max_size=3)
PARAMS = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=9), VALUES, max_size=8)


def table_of(lines):
    table = tomllib.loads("\n".join(lines))
    as_tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    return ModelSettings.model_validate(as_tuples)


@given(PARAMS)
def test_every_line_is_one_that_a_spec_takes(params):
    """Whatever the parameters are, the lines together are a valid table of a model."""
    found = offer(Extras(params=json.dumps(params)), BARE)
    table_of(found.lines)
    assert all(note.isprintable() for note in found.notes)


@given(st.text(max_size=200))
def test_system_prompts_come_through(text):
    """A system prompt reads back from its line as it was, whatever is in it."""
    found = offer(Extras(system=text), BARE)
    if not text:
        assert found.lines == ()
    else:
        assert table_of(found.lines).system_prompt == text


def test_a_long_prompt_is_not_shown_whole():
    """A prompt of many pages is named by its size."""
    found = offer(Extras(system="x" * 5000), BARE)
    assert found.lines == ()
    assert "5,000" in found.notes[0]


@given(st.text(max_size=30) | st.integers() | st.floats(allow_nan=False) | st.booleans())
def test_toml(value):
    """Values read back as they were written."""
    assert tomllib.loads(f"x = {toml(value)}") == {"x": value}


def test_ollamas_words_for_defaults_are_passed_over():
    """`-1` and the like say what happens anyway."""
    params = {"seed": -1, "num_predict": -1, "num_gpu": -1, "num_thread": 0}
    found = offer(Extras(params=json.dumps(params)), BARE)
    assert (found.lines, found.notes) == ((), ())


def test_parameters_have_their_keys():
    """Everything that a spec can say is said, and nothing twice."""
    params = {
        "num_ctx": 4096,
        "num_batch": 256,
        "num_gpu": 20,
        "num_thread": 4,
        "use_mmap": False,
        "num_keep": 8,
        "repeat_last_n": 64,
        "top_k": 20,
        "temperature": 1,
        "seed": 7,
    }
    table = tomllib.loads("\n".join(offer(Extras(params=json.dumps(params)), BARE).lines))
    assert table == {
        "ctx-size": 4096,
        "batch-size": 256,
        "ubatch-size": 256,
        "n-gpu-layers": 20,
        "threads": 4,
        "load-mode": "none",
        "extra-args": ["--keep", "8", "--repeat-last-n", "64"],
        "sampling": {"seed": 7, "temperature": 1, "top-k": 20},
    }


JSON = st.recursive(SCALARS, lambda each: st.lists(each) | st.dictionaries(st.text(), each))
LAYER = st.dictionaries(st.sampled_from(["mediaType", "digest", "size"]), JSON)
DOCUMENT = st.dictionaries(st.sampled_from(["layers", "config", "manifests"]), JSON) | st.builds(
    lambda layers, config: {"layers": layers, "config": config}, st.lists(LAYER), LAYER
)


@given(DOCUMENT.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=64))
def test_manifests_are_read_or_refused(data):
    """No text makes the readers raise anything but their own error."""
    for read in (parse_manifest, parse_config):
        with suppress(ValueError):
            found = read(data)
            assert not isinstance(found, Manifest) or all(len(x.sha256) == 64 for x in found.layers)
