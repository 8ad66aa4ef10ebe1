"""One spec for every known release: each command line has only flags of its version, and means the
same; what a version can't say is said."""

from pathlib import Path

import pytest

from llmdecl.compiler import compile_spec
from llmdecl.engines.choice import Choice
from llmdecl.engines.flags import FlagTable
from llmdecl.engines.llama_cpp import releases
from llmdecl.engines.llama_cpp.closed import write_closed
from llmdecl.engines.llama_cpp.companions import LoraChoice, write_lora
from llmdecl.engines.llama_cpp.writer import Writer
from llmdecl.plan.model import Word
from tests.test_golden import GOLDEN, as_text, read_case

EXPECTED = Path(__file__).parent / "data" / "spellings"
OLD, BEFORE_LOAD_MODE, NEW = "llama-cpp-python-0.3.16", "b10068", "llama-cpp-python-0.3.36"
LACKS = "LD323"


def with_flags(case, name):
    """A golden case for an engine of another release."""
    spec, facts, lock = read_case(GOLDEN / case)
    release = releases.release(name)
    flags = release.table(has_rpc=True)
    engines = {
        key: engine.replace(flags=flags, version=release.version)
        for key, engine in lock.engines.items()
    }
    return spec, facts, lock.replace(engines=engines), FlagTable(flags)


def compiled(case, name, **settings):
    """`{model: (words)}` and diagnostics; `settings` go to every model."""
    spec, facts, lock, table = with_flags(case, name)
    if settings:
        models = {
            key: type(model).model_validate(
                model.model_dump(by_alias=True, exclude_none=True, mode="json") | settings
            )
            for key, model in spec.models.items()
        }
        spec = spec.model_copy(update={"models": models})
    result = compile_spec(spec, facts, lock)
    lines = {}
    for model in result.plan.models if result.plan else ():
        lines[model.name] = list(model.settings)
    return lines, result.diagnostics, table


def words(settings):
    return [" ".join([s.flag, *(w.text for w in s.values)]) for s in settings]


@pytest.mark.parametrize("case", ["companions-on-devices", "draft", "everything"])
@pytest.mark.parametrize("name", releases.NAMES)
def test_only_flags_of_the_version(case, name):
    """No version is passed a flag, a number of values or a value that its own table refuses; where
    there is no command line, errors say why."""
    lines, diagnostics, table = compiled(case, name)
    assert lines or diagnostics
    for settings in lines.values():
        argv = [w for s in settings for w in (s.flag, *(v.text for v in s.values))]
        uses, misuses = table.read(argv)
        assert not misuses
        assert len(uses) == len(settings)


@pytest.mark.parametrize("name", releases.NAMES)
def test_golden_command_lines(name, update_golden):
    """The same two specs, as each version has to be told them."""
    text = ""
    for case in ("companions-on-devices", "everything"):
        lines, diagnostics, _ = compiled(case, name)
        for model, settings in lines.items():
            text += f"# {case}: {model}\n" + "".join(f"{line}\n" for line in words(settings)) + "\n"
        for each in diagnostics:
            text += f"# {case}\n{as_text(each)}\n\n"
    path = EXPECTED / f"{name}.txt"
    if update_golden:
        path.write_text(text)
    assert path.read_text() == text


SAME = {
    "flash on": ({"flash-attn": "on"}, {OLD: ["--flash-attn"], NEW: ["--flash-attn on"]}),
    "flash off": ({"flash-attn": "off"}, {OLD: [], NEW: ["--flash-attn off"]}),
    "no jinja": ({"jinja": False}, {OLD: [], NEW: ["--no-jinja"]}),
    "no warmup": ({"warmup": False}, {OLD: ["--no-warmup"], NEW: ["--no-warmup"]}),
    "repack": ({"repack": True}, {OLD: [], NEW: ["--repack"]}),
    "context shift": ({"context-shift": True}, {OLD: [], NEW: ["--context-shift"]}),
    "no shift": ({"context-shift": False}, {OLD: ["--no-context-shift"]}),
    "kv offload": ({"kv-offload": False}, {OLD: ["--no-kv-offload"], NEW: ["--no-kv-offload"]}),
    "no file map": (
        {"load-mode": "none"},
        {OLD: ["--no-mmap"], BEFORE_LOAD_MODE: ["--no-mmap"], NEW: ["--load-mode none"]},
    ),
    "file map": (
        {"load-mode": "mmap"},
        {OLD: [], BEFORE_LOAD_MODE: ["--mmap"], NEW: ["--load-mode mmap"]},
    ),
    "locked": (
        {"load-mode": "mlock"},
        {OLD: ["--no-mmap", "--mlock"], NEW: ["--load-mode mlock"]},
    ),
    "map and lock": (
        {"load-mode": "mmap+mlock"},
        {OLD: ["--mlock"], BEFORE_LOAD_MODE: ["--mmap", "--mlock"]},
    ),
    "direct": (
        {"load-mode": "dio"},
        {OLD: LACKS, BEFORE_LOAD_MODE: ["--direct-io"], NEW: ["--load-mode dio"]},
    ),
    "no cache in RAM": ({"cache-ram": 0}, {OLD: [], NEW: ["--cache-ram 0"]}),
    "cache in RAM": ({"cache-ram": "64MiB"}, {OLD: LACKS, NEW: ["--cache-ram 64"]}),
    "no checkpoints": (
        {"ctx-checkpoints": 0}, {OLD: ["--swa-checkpoints 0"], NEW: ["--ctx-checkpoints 0"]}
    ),
    "checkpoints": (
        {"ctx-checkpoints": 3}, {OLD: ["--swa-checkpoints 3"], NEW: ["--ctx-checkpoints 3"]}
    ),
    "cached prompt": ({"cache-prompt": True}, {OLD: [], NEW: ["--cache-prompt"]}),
    "no cached prompt": ({"cache-prompt": False}, {OLD: LACKS, NEW: ["--no-cache-prompt"]}),
    "no idle slots kept": (
        {"cache-idle-slots": False}, {OLD: [], NEW: ["--no-cache-idle-slots"]}
    ),
    "no host buffers": ({"no-host": True}, {OLD: LACKS, NEW: ["--no-host"]}),
    "host buffers": ({"no-host": False}, {OLD: [], NEW: []}),
    "small windows": ({"swa-full": False}, {OLD: [], NEW: []}),
    "no thinking": ({"reasoning-budget": 0}, {OLD: ["--reasoning-budget 0"]}),
    "some thinking": ({"reasoning-budget": 64}, {OLD: LACKS, NEW: ["--reasoning-budget 64"]}),
    "one pool": ({"kv-unified": True}, {OLD: ["--kv-unified"], NEW: ["--kv-unified"]}),
    "own caches": ({"kv-unified": False}, {OLD: [], NEW: ["--no-kv-unified"]}),
    "drafted": (
        {},
        {
            OLD: ["--draft-max 8", "--draft-min 0"],
            NEW: ["--spec-type draft-simple", "--spec-draft-n-max 8", "--spec-draft-n-min 0"],
        },
    ),
}  # fmt: skip
"""What a spec says, and by what each version is told; `[]`: it does so by itself.

What 0.3.16's does by itself is in its tree (4227c9b): `common/common.h`, `tools/server/server.cpp`.
"""


@pytest.mark.parametrize("what", SAME)
def test_means_the_same(what):
    """Each version is told it in its own words, or says that it can't be told."""
    given, expected = SAME[what]
    for name, said in expected.items():
        lines, diagnostics, _ = compiled("draft", name, **given)
        if said == LACKS:
            assert [d.code for d in diagnostics] == [LACKS]
            continue
        assert not [d.code for d in diagnostics if d.severity == "error"], diagnostics
        about = {f"--{word}" for key in given for word in (key, f"no-{key}")}
        about |= {line.split()[0] for side in expected.values() for line in side if side != LACKS}
        found = [line for line in words(lines["pair"]) if line.split()[0] in about]
        assert sorted(found) == sorted(said), name


def test_drafts_of_early_2026():
    """`--spec-type` named what proposes without a draft model (llama-cpp-python 0.3.19): a version
    whose help lists its words is not told one that it lacks; the draft model alone is enough."""
    spec, facts, lock, table = with_flags("draft", NEW)
    words_of_then = ("none", "ngram-cache", "ngram-simple", "ngram-map-k", "ngram-map-k4v")
    flags = tuple(
        flag.replace(choices=words_of_then) if "--spec-type" in flag.names else flag
        for flag in table.flags
    )
    engines = {key: engine.replace(flags=flags) for key, engine in lock.engines.items()}
    result = compile_spec(spec, facts, lock.replace(engines=engines))
    assert result.plan is not None
    said = words(next(m for m in result.plan.models if m.name == "pair").settings)
    assert not [line for line in said if line.startswith("--spec-type")]
    assert [line for line in said if line.startswith("--spec-draft-model")]


def test_lora_scale():
    """A scaled adapter is one word since path and scale are no longer two."""
    path = Choice(Word(text="/l.gguf"), "models.m.lora.0.source", "the spec says so", given=True)
    for name, said in ((OLD, ["/l.gguf", "0.8"]), (NEW, ["/l.gguf:0.8"])):
        table = FlagTable(releases.release(name).flags)
        to = Writer(table)
        write_lora(LoraChoice(path, 0.8), table, to)
        assert [word.text for word in to.settings[0].values] == said
        assert table.check("--lora-scaled", said) is None


def test_old_levels_of_the_log():
    """Where level 4 prints prompts it is not asked for."""
    for name in releases.NAMES:
        to = Writer(FlagTable(releases.release(name).flags))
        write_closed("models.m", to, private=True)
        assert ("--log-verbosity" in [s.flag for s in to.settings]) is (name != OLD)
        assert not to.lacking


def test_open_to_foreign_pages():
    """On a port, an engine that answers any web page is not used silently."""
    for name in releases.NAMES:
        to = Writer(FlagTable(releases.release(name).flags))
        write_closed("models.m", to, private=False)
        can = to.table.usable("--cors-origins")
        assert [lacking.spelling for lacking in to.lacking] == ([] if can else ["--cors-origins"])
