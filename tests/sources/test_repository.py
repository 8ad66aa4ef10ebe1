"""Which file of a repository is meant, by names that publishers use."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmdecl.diagnostics import Failure
from llmdecl.sources.quantization import quantization_of
from llmdecl.sources.repository import RepositoryFile, choose, offers, use_of

UNSLOTH = [
    "BF16/Qwen3-30B-A3B-BF16-00001-of-00002.gguf",
    "BF16/Qwen3-30B-A3B-BF16-00002-of-00002.gguf",
    "Qwen3-30B-A3B-IQ4_NL.gguf",
    "Qwen3-30B-A3B-IQ4_XS.gguf",
    "Qwen3-30B-A3B-Q4_0.gguf",
    "Qwen3-30B-A3B-Q4_K_M.gguf",
    "Qwen3-30B-A3B-Q4_K_S.gguf",
    "Qwen3-30B-A3B-UD-Q4_K_XL.gguf",
    "Qwen3-30B-A3B-Q8_0.gguf",
    "README.md",
    "config.json",
    "imatrix_unsloth.gguf",
    "mmproj-BF16.gguf",
    "mmproj-F16.gguf",
    "mtp-Qwen3-30B-A3B-Q8_0.gguf",
]


def listed(paths):
    return [RepositoryFile(path, 1000 + number, "0" * 64) for number, path in enumerate(paths)]


def chosen(paths, quantization=None, role="model", path=None):
    return choose(
        "hf:o/r",
        listed(paths),
        path=path,
        role=role,
        quantization=quantization,
        address="models.m.source",
    ).path


def refused(paths, *args, **options):
    with pytest.raises(Failure) as caught:
        chosen(paths, *args, **options)
    (problem,) = caught.value.diagnostics
    assert problem.address == "models.m.source"
    return problem


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("Qwen2.5-Coder-14B-Instruct-Q5_K_M.gguf", "Q5_K_M"),
        ("qwen2.5-coder-14b-instruct-q5_k_m.gguf", "Q5_K_M"),
        ("model.Q4_K.gguf", "Q4_K"),
        ("Llama-3.3-70B-Instruct-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("m-IQ2_XXS.gguf", "IQ2_XXS"),
        ("Q5_K_M/model-00001-of-00003.gguf", "Q5_K_M"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("m-MXFP4_MOE.gguf", "MXFP4_MOE"),
        ("model-fp16.gguf", "F16"),
        ("ggml-model-f16-big-endian.gguf", "F16"),
        ("m_Q4_0_4_8.gguf", "Q4_0_4_8"),
        ("phi-3-Q4_K_M_v2.gguf", "Q4_K_M"),
        ("from-BF16-Q6_K_L.gguf", "Q6_K_L"),
        ("Qwen3-4B.gguf", None),
        ("model-iq.gguf", None),
        ("q4ever.gguf", None),
    ],
)
def test_quantization_of(path, word):
    """The last word of the name that is one of llama-quantize's, else the folder's."""
    assert word == quantization_of(path)


@pytest.mark.parametrize(
    ("path", "use"),
    [
        ("mmproj-F16.gguf", "mmproj"),
        ("gemma-3-4b-mmproj-model-f16.gguf", "mmproj"),
        ("imatrix_unsloth.gguf", "imatrix"),
        ("Qwen3-BF16-imatrix.gguf", "imatrix"),
        ("mtp-Qwen3.5-27B-Q8_0.gguf", "draft"),
        ("MTP/Qwen3.5-27B-Q8_0.gguf", "draft"),
        ("eagle3-llama-8b-F16.gguf", "draft"),
        ("DeepSeek-R1-DRAFT-0.6B-Q4_0.gguf", "draft"),
        ("Qwen3.5-27B-MTP-Q4_K_M.gguf", "model"),
        ("drafty-writer-7b-Q4_K_M.gguf", "model"),
        ("alpaca-lora-f16.gguf", "lora"),
        ("explorative-Q4_0.gguf", "model"),
    ],
)
def test_use_of(path, use):
    """Companions are told apart as llama-server does it: a word inside another is nothing."""
    assert use == use_of(path)


@pytest.mark.parametrize(
    ("quantization", "path"),
    [
        ("Q4_K_M", "Qwen3-30B-A3B-Q4_K_M.gguf"),
        ("q4_k_m", "Qwen3-30B-A3B-Q4_K_M.gguf"),
        ("IQ4_XS", "Qwen3-30B-A3B-IQ4_XS.gguf"),
        ("UD-Q4_K_XL", "Qwen3-30B-A3B-UD-Q4_K_XL.gguf"),
        ("Q4_K_XL", "Qwen3-30B-A3B-UD-Q4_K_XL.gguf"),
        ("Q8_0", "Qwen3-30B-A3B-Q8_0.gguf"),
        ("bf16", "BF16/Qwen3-30B-A3B-BF16-00001-of-00002.gguf"),
    ],
)
def test_quantization_picks(quantization, path):
    """The whole word agrees, without capitals; projectors, drafts and matrices are no models."""
    assert path == chosen(UNSLOTH, quantization)


def test_split_is_one():
    """All parts are one offer, in order, with their sizes together."""
    (offer,) = [each for each in offers(listed(UNSLOTH)) if each.quantization == "BF16"][:1]
    assert [file.path[-19:] for file in offer.files] == [
        "-00001-of-00002.gguf"[1:],
        "-00002-of-00002.gguf"[1:],
    ]
    assert 2001 == offer.size_bytes


@pytest.mark.parametrize("quantization", ["Q4_K", "Q4", "Q5_K_M", "UD-Q4_K_M", "K_M"])
def test_absent(quantization):
    """A part of a word is none; what is there is listed with sizes, largest first."""
    problem = refused(UNSLOTH, quantization)
    assert "LD443" == problem.code
    assert 8 == len(problem.notes)
    assert "Q8_0: 1008 B, `Qwen3-30B-A3B-Q8_0.gguf`" in problem.notes
    assert problem.notes[0] == (
        "BF16: 2.0 KiB in 2 parts, `BF16/Qwen3-30B-A3B-BF16-00001-of-00002.gguf`"
    )
    assert not any("mmproj" in note or "imatrix" in note for note in problem.notes)


def test_ambiguous_without_word():
    """Several models and no word: a word that picks one is offered, and does pick it."""
    problem = refused(UNSLOTH)
    assert "LD444" == problem.code
    (help_,) = problem.help
    word = help_.split('"')[1]
    assert f"picks `{chosen(UNSLOTH, word)}`" in help_


def test_ambiguous_word():
    """Two files of one word: a path is offered, and it is one of them."""
    paths = ["a/m-Q4_0.gguf", "b/m-Q4_0.gguf", "m-Q8_0.gguf"]
    problem = refused(paths, "Q4_0")
    assert "LD444" == problem.code
    assert 2 == len(problem.notes)
    assert ('`source = "hf:o/r/a/m-Q4_0.gguf"` names one',) == tuple(problem.help)
    assert "a/m-Q4_0.gguf" == chosen(paths, path="a/m-Q4_0.gguf")


def test_only_one_needs_no_word():
    """A repository with one model, whatever lies beside it."""
    assert "m.gguf" == chosen(["m.gguf", "mmproj-m.gguf", "README.md"])


def test_nothing_there():
    """A repository of other formats has no model."""
    problem = refused(["model.safetensors", "README.md"], "Q4_K_M")
    assert "LD443" == problem.code
    assert () == tuple(problem.notes)


def test_projector():
    """The role picks among projectors only; two of them need a word."""
    assert "mmproj-F16.gguf" == chosen(UNSLOTH, "F16", role="mmproj")
    problem = refused(UNSLOTH, role="mmproj")
    assert "LD444" == problem.code
    assert 2 == len(problem.notes)
    assert "LD443" == refused(["m-Q4_0.gguf"], role="mmproj").code


def test_draft():
    """A companion comes before models; a repository without one gives a model by its word."""
    assert "mtp-Qwen3-30B-A3B-Q8_0.gguf" == chosen(UNSLOTH, role="draft")
    plain = ["m-Q4_0.gguf", "m-Q8_0.gguf"]
    assert "m-Q8_0.gguf" == chosen(plain, "Q8_0", role="draft")
    assert "m-DRAFT-Q4_0.gguf" == chosen(["m-DRAFT-Q4_0.gguf"], "Q4_0")


def test_missing_part():
    """A split model that is not whole is refused, and said."""
    problem = refused(["m-Q4_0-00001-of-00002.gguf"], "Q4_0")
    assert "LD443" == problem.code
    assert "1 of them missing" in problem.notes[0]
    assert "LD442" == refused(["m-00001-of-00002.gguf"], path="m-00001-of-00002.gguf").code


def test_any_part_names_the_whole():
    """A path to a later part means the model."""
    path = "BF16/Qwen3-30B-A3B-BF16-00002-of-00002.gguf"
    assert "BF16/Qwen3-30B-A3B-BF16-00001-of-00002.gguf" == chosen(UNSLOTH, path=path)


def test_wrong_path():
    """A path that is not there: the nearest one is offered."""
    problem = refused(UNSLOTH, path="Qwen3-30B-A3B-Q4_KM.gguf")
    assert "LD442" == problem.code
    assert "hf:o/r/Qwen3-30B-A3B-Q4_K_M.gguf" in problem.help[0]


def test_word_of_one_publisher():
    """A word that llama-quantize does not have finds its file, whole."""
    paths = ["m-turbo3.gguf", "m-turbo34.gguf"]
    assert "m-turbo3.gguf" == chosen(paths, "TURBO3")


WORDS = [
    "Q2_K",
    "Q4_0",
    "Q4_K",
    "Q4_K_S",
    "Q4_K_M",
    "UD-Q4_K_XL",
    "IQ4_XS",
    "Q8_0",
    "BF16",
    "MXFP4",
]
COMPANIONS = [
    "mmproj-F16.gguf",
    "mtp-m-Q8_0.gguf",
    "imatrix.gguf",
    "m-Q4_0.txt",
    "eagle3-m-BF16.gguf",
]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(
    st.sets(st.sampled_from(WORDS), min_size=1),
    st.sets(st.sampled_from(COMPANIONS)),
    st.sampled_from(["Qwen3-30B-A3B", "gpt-oss-20b", "Llama-3.3-70B-Instruct", "m_v2"]),
    st.sampled_from(["-", ".", "_"]),
    st.booleans(),
    st.integers(1, 3),
)
def test_every_word_finds_its_own(words, companions, stem, sign, in_folders, parts):
    """Whatever lies beside it and however names are put together, a word finds its file and every
    other word none or a diagnostic; capitals do not matter."""
    paths = {}
    for word in words:
        folder = f"{word}/" if in_folders else ""
        names = (
            [f"{stem}{sign}{word}.gguf"]
            if parts == 1
            else [f"{stem}{sign}{word}-{n:05}-of-{parts:05}.gguf" for n in range(1, parts + 1)]
        )
        paths[word] = [folder + name for name in names]
    every = [path for those in paths.values() for path in those] + sorted(companions)
    for word in WORDS:
        if word in words:
            assert paths[word][0] == chosen(every, word) == chosen(every, word.lower())
        else:
            assert "LD443" == refused(every, word).code


def test_pieces_are_said():
    """Files cut by their bytes are no offer, and it is said that they are there."""
    paths = ["m-Q2_K.gguf", "m-Q6_K.gguf.part1of2", "m-Q6_K.gguf.part2of2"]
    problem = refused(paths, "Q6_K")
    assert "LD443" == problem.code
    assert "2 pieces" in problem.notes[-1]
    assert "`m-Q6_K.gguf.part1of2`" in problem.notes[-1]
    assert 1 == len(refused(paths[:1], "Q6_K").notes)
