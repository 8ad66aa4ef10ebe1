"""The flag table: read from the engine's own help, and a judge of command lines."""

import subprocess
from pathlib import Path

import pytest

from llmdecl.engines.flags import Fault, FlagTable
from llmdecl.engines.llama_cpp.help import parse_help

DATA = Path(__file__).parent / "data"
FLAGS = parse_help((DATA / "llama-server-b10434.txt").read_text())
PINNED = parse_help((DATA / "llama-server-b10068.txt").read_text())
"""Of the wheel that the tests run (`tests/real-parts.txt`)."""
TABLE = FlagTable(FLAGS)


@pytest.mark.parametrize(
    ("flags", "entries", "spellings", "environments"),
    [(FLAGS, 248, 405, 135), (PINNED, 247, 407, 132)],
    ids=["b10434", "b10068"],
)
def test_every_entry_is_read_once(flags, entries, spellings, environments):
    """As many as a person counts in the text, no spelling twice."""
    found = [name for flag in flags for name in (*flag.names, *flag.negatives)]
    assert len(flags) == entries
    assert len(found) == len(set(found)) == spellings
    assert sum(flag.environment is not None for flag in flags) == environments
    assert all(spelling.startswith("-") for spelling in found)


@pytest.mark.parametrize(
    ("spelling", "names", "negatives", "arity", "environment"),
    [
        ("-c", ("-c", "--ctx-size"), (), 1, "LLAMA_ARG_CTX_SIZE"),
        ("-h", ("-h", "--help", "--usage"), (), 0, None),
        ("--control-vector-layer-range", ("--control-vector-layer-range",), (), 2, None),
        ("--fim-qwen-1.5b-default", ("--fim-qwen-1.5b-default",), (), 0, None),
        ("--no-host", ("--no-host",), (), 0, "LLAMA_ARG_NO_HOST"),
        ("--perf", ("--perf",), ("--no-perf",), 0, "LLAMA_ARG_PERF"),
        (
            "-nkvo",
            ("-kvo", "--kv-offload"),
            ("-nkvo", "--no-kv-offload"),
            0,
            "LLAMA_ARG_KV_OFFLOAD",
        ),
        ("-nr", ("--repack",), ("-nr", "--no-repack"), 0, "LLAMA_ARG_REPACK"),
        ("--no-ag", None, None, None, None),
        ("-no-ag", ("-ag", "--agent"), ("-no-ag", "--no-agent"), 0, "LLAMA_ARG_AGENT"),
        (
            "--no-mmproj",
            ("--mmproj-auto",),
            ("--no-mmproj", "--no-mmproj-auto"),
            0,
            "LLAMA_ARG_MMPROJ_AUTO",
        ),
        (
            "-ngl",
            ("-ngl", "--gpu-layers", "--n-gpu-layers"),
            (),
            1,
            "LLAMA_ARG_N_GPU_LAYERS",
        ),
        ("-ot", ("-ot", "--override-tensor"), (), 1, "LLAMA_ARG_OVERRIDE_TENSOR"),
        ("-fitt", ("-fitt", "--fit-target"), (), 1, "LLAMA_ARG_FIT_TARGET"),
        ("--sleep-idle-seconds", ("--sleep-idle-seconds",), (), 1, None),
    ],
)
def test_traps_of_the_help(spelling, names, negatives, arity, environment):
    flag = TABLE.find(spelling)
    if names is None:
        assert flag is None
        return
    assert flag is not None
    assert (flag.names, flag.negatives, flag.arity, flag.environment) == (
        names,
        negatives,
        arity,
        environment,
    )


@pytest.mark.parametrize(
    ("spelling", "choices"),
    [
        ("--flash-attn", ("on", "off", "auto")),
        ("--split-mode", ("none", "layer", "row", "tensor")),
        ("--pooling", ("none", "mean", "cls", "last", "rank")),
        ("--poll-batch", ("0", "1")),
        (
            "--cache-type-k",
            ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"),
        ),
        ("--reasoning-format", ()),
        ("--tools", ()),
        ("--device", ()),
    ],
)
def test_choices_only_where_the_help_lists_them_all(spelling, choices):
    assert TABLE.find(spelling).choices == choices


def test_removed_entries_keep_the_engines_words():
    """Five entries are there only to say that they are gone."""
    removed = [flag for flag in FLAGS if flag.removed]
    assert [flag.names[0] for flag in removed] == [
        "--draft",
        "--draft-min",
        "--spec-ngram-size-n",
        "--spec-ngram-size-m",
        "--spec-ngram-min-hits",
    ]
    assert removed[0].removed == (
        "the argument has been removed. use --spec-draft-n-max or --spec-ngram-mod-n-max"
    )


def test_other_text_is_no_entry():
    assert parse_help("") == ()
    assert parse_help("error: something\n----- a section -----\n\x00\n    --not-a-head\n") == ()


def test_a_good_line_has_no_misuse():
    line = "-c 4096 --no-repack -ngl -1 --control-vector-layer-range 1 4 -fa 1 --ctx_size 8"
    uses, misuses = TABLE.read(line.split())
    assert misuses == ()
    assert [(use.spelling, use.values) for use in uses] == [
        ("-c", ("4096",)),
        ("--no-repack", ()),
        ("-ngl", ("-1",)),
        ("--control-vector-layer-range", ("1", "4")),
        ("-fa", ("1",)),
        ("--ctx_size", ("8",)),
    ]
    assert [use.negative for use in uses] == [False, True, False, False, False, False]


@pytest.mark.parametrize(
    ("words", "fault", "near"),
    [
        (["--ctxsize", "4096"], Fault.UNKNOWN, "--ctx-size"),
        (["--ctx-size=4096"], Fault.UNKNOWN, "--ctx-size"),
        (["--flash-atn", "on"], Fault.UNKNOWN, "--flash-attn"),
        (["--zzzzzz"], Fault.UNKNOWN, None),
        (["--draft-max", "8"], Fault.REMOVED, "--spec-draft-n-max"),
        (["--jinja", "on"], Fault.STRAY, None),
        (["stray"], Fault.STRAY, None),
        (["--ctx-size"], Fault.VALUE_MISSING, None),
        (["--control-vector-layer-range", "1"], Fault.VALUE_MISSING, None),
        (["--pooling", "men"], Fault.VALUE_NOT_ALLOWED, "mean"),
        (["-fa", "yes"], Fault.VALUE_NOT_ALLOWED, None),
        (["-ctk", "F16"], Fault.VALUE_NOT_ALLOWED, "f16"),
    ],
)
def test_one_cause_is_one_misuse(words, fault, near):
    _, misuses = TABLE.read(words)
    assert [misuse.fault for misuse in misuses] == [fault]
    assert (misuses[0].near[:1] or (None,))[0] == near


@pytest.mark.real
def test_recording_is_what_the_engine_says(llama_server):
    """The recorded help is the pinned wheel's; another wheel must bring its own recording."""
    said = subprocess.run([llama_server, "--help"], capture_output=True, text=True, check=True)
    assert parse_help(said.stdout) == PINNED


@pytest.mark.real
@pytest.mark.parametrize(
    ("words", "good"),
    [
        (["-fa", "1", "--fit", "true", "--ctx_size", "512"], True),
        (["-fa", "yes"], False),
        (["-ctk", "F16"], False),
        (["--poll-batch", "2"], True),
        (["--jinja", "on"], False),
        (["--ctx-size=512"], False),
        (["--draft-max", "8"], False),
        (["--pooling", "rank"], True),
    ],
)
def test_the_engine_judges_alike(llama_server, words, good):
    """The engine reads every argument before `--list-devices`; it and the table agree."""
    said = subprocess.run(
        [llama_server, *words, "--list-devices"], capture_output=True, text=True, check=False
    )
    assert (said.returncode == 0) is good
    assert (FlagTable(PINNED).read(words)[1] == ()) is good
