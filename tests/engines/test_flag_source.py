"""The flag table out of `common/arg.cpp`: what is read, and what is refused instead of guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmdecl.engines.llama_cpp import releases
from llmdecl.engines.llama_cpp.flag_source import UnreadableFlagsError, read_flags
from llmdecl.facts.model import Flag

HANDLER = "[](common_params & params, const std::string & value) { params.x = value; }"
HEAD = """
std::initializer_list<enum llama_example> mmproj_examples = {
    LLAMA_EXAMPLE_MTMD, LLAMA_EXAMPLE_SERVER };
const std::vector<ggml_type> kv_cache_types = { GGML_TYPE_F16, GGML_TYPE_IQ4_NL, };
static void add_opt(int); // not the one
"""


def source(body):
    return (
        HEAD + "common_params_context common_params_parser_init(common_params & params, int ex) {\n"
        "    for (auto & s : samplers) { names += s; }\n"
        "    auto add_opt = [&](common_arg arg) {\n"
        "        if (arg.in_example(ex)) { options.push_back(arg); }\n    };\n"
        + body
        + "\n    return ctx_arg;\n}\nvoid after() { add_opt(common_arg(oops)); }\n"
    )


def read(body, *, has_rpc=False):
    return read_flags(source(body), has_rpc=has_rpc)


def option(parts, calls=""):
    return f"    add_opt(common_arg(\n        {parts}, {HANDLER}\n    ){calls});\n"


def test_shapes():
    """Names, negatives, values, choices, variables and removals, each by the option's shape."""
    found = read(
        option('{"-c", "--ctx-size"}, "N", string_format("size (%d)", params.n)',
               '.set_env("LLAMA_ARG_CTX_SIZE")')
        + option('{"--jinja"}, {"--no-jinja"}, "templates, are (it) { Jinja // no comment"')
        + option('{"-fa"}, "[on|off|auto]", std::string("a") + name() /* "b" */')
        + option('{"--two"}, "FROM", "TO", R"(raw "text")"')
        + option('{"-ctk"}, "TYPE", string_format("t\\n" "allowed values: %s\\n(%s)",'
                 ' get_all_kv_cache_types().c_str(), x)')
        + option('{"--gone"}, "N", "the argument has been removed. "\n"use --ctx-size"',
                 '.set_env("GONE")')
    )  # fmt: skip
    assert found == (
        Flag(names=("-c", "--ctx-size"), arity=1, environment="LLAMA_ARG_CTX_SIZE"),
        Flag(names=("--jinja",), negatives=("--no-jinja",)),
        Flag(names=("-fa",), arity=1, choices=("on", "off", "auto")),
        Flag(names=("--two",), arity=2),
        Flag(names=("-ctk",), arity=1, choices=("f16", "iq4_nl")),
        Flag(
            names=("--gone",),
            arity=1,
            environment="GONE",
            removed="the argument has been removed. use --ctx-size",
        ),
    )


def test_whose_options():
    """Only a server's, in the order of its help: common ones, samplers, drafts, its own."""
    found = read(
        option('{"--own"}, "a"', ".set_examples({LLAMA_EXAMPLE_SERVER, LLAMA_EXAMPLE_CLI})")
        + option('{"--draft"}, "a"', ".set_spec().set_examples({LLAMA_EXAMPLE_SERVER})")
        + option('{"--common"}, "a"')
        + option('{"--sampler"}, "a"', ".set_sampling()")
        + option('{"--older-sampler"}, "a"', ".set_sparam()")
        + option('{"--image"}, "a"', ".set_examples(mmproj_examples)")
        + option('{"--cli"}, "a"', ".set_examples({LLAMA_EXAMPLE_CLI})")
        + option('{"--not-here"}, "a"', ".set_excludes({LLAMA_EXAMPLE_SERVER})")
        + option('{"--preset"}, "a"', ".set_env(PRESET).set_preset_only()".replace(
            ".set_env(PRESET)", ""))
    )  # fmt: skip
    names = [flag.names[0] for flag in found]
    assert names == ["--common", "--sampler", "--older-sampler", "--draft", "--own", "--image"]


@pytest.mark.parametrize("has_rpc", [True, False])
@pytest.mark.parametrize("docs", ["", "params.is_gen_docs || "])
def test_conditions(docs, has_rpc):
    """A server's branch is taken, and `--rpc` is there when it is built in."""
    found = read(
        "    if (ex == LLAMA_EXAMPLE_COMPLETION) {\n        x = 1;\n    }\n"
        "    if (ex == LLAMA_EXAMPLE_SERVER) {\n" + option('{"-np"}, "N", "slots"')
        + "    } else {\n" + option('{"-np"}, "N", "sequences"') + option('{"--other"}, "a"')
        + f"    }}\n    if ({docs}llama_supports_rpc()) {{\n" + option('{"--rpc"}, "SERVERS", "a"')
        + "    }\n    if (somebody) {\n        x = 2;\n    }"
        " else if (ex == LLAMA_EXAMPLE_SERVER) { y(); }\n",
        has_rpc=has_rpc,
    )  # fmt: skip
    assert [flag.names[0] for flag in found] == ["-np", *(["--rpc"] if has_rpc else [])]


PIECES = (
    "add_opt", "(", ")", "{", "}", ",", ";", "common_arg", '"--x"', '"N"', "if (", "else ",
    "\n#if 1\n", "ex == LLAMA_EXAMPLE_SERVER", ".set_env(", ".set_examples(", "string_format(",
    '"', "'", "\\",
    "R\"(", "/*", "*/", "//", "\n", option('{"--y"}, "a"'), option('{"--z"}, "N", "b"'),
)  # fmt: skip
REFUSED = {
    "condition": "    if (somebody) {\n" + option('{"--x"}, "a"') + "    }\n",
    "else of a condition": (
        "    if (somebody) { y(); } else {\n" + option('{"--x"}, "a"') + "    }\n"
    ),
    "preprocessor": "#ifdef LLAMA_USE_CURL\n" + option('{"--x"}, "a"') + "#endif\n",
    "loop": "    for (auto & x : y) {\n" + option('{"--x"}, "a"') + "    }\n",
    "names that are computed": option('names(), "a"'),
    "a name that is computed": option('{"--x", name}, "a"'),
    "a value that is computed": option('{"--x"}, hint(), "a"'),
    "help that is computed": option('{"--x"}, "N", help()'),
    "removed or not": option('{"--x"}, "N", y ? "the argument has been removed" : "a"'),
    "choices that are computed": option(
        '{"--x"}, "N", string_format("allowed values: %s", y.c_str())'
    ),
    "a call that is not known": option('{"--x"}, "a"', ".set_something()"),
    "a variable that is computed": option('{"--x"}, "a"', ".set_env(NAME)"),
    "examples that are computed": option('{"--x"}, "a"', ".set_examples(of(y))"),
    "another option": "    add_opt(make_arg());\n",
    "too few parts": "    add_opt(common_arg({}));\n",
    "added by somebody else": '    options.push_back(common_arg({"--x"}, "a", h));\n',
    "kept for later": '    auto x = common_arg({"--x"}, "a", h);\n    add_opt(x);\n',
    "an empty part": '    add_opt(common_arg({"--x"},, h));\n',
    "nested without end": "    if (ex == LLAMA_EXAMPLE_SERVER) {\n" * 3000 + "}" * 3000,
    "never closed": '    add_opt(common_arg({"--x"}, "a"\n',
}


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_is_guessed(what):
    """What is written in another way is refused, with the line where it stands."""
    with pytest.raises(UnreadableFlagsError, match=r"^line \d+: "):
        read(REFUSED[what])


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_any_text(pieces):
    """Whatever a file holds, it is a table or a refusal, and nothing else."""
    try:
        found = read("".join(pieces))
    except UnreadableFlagsError:
        return
    assert all(flag.names for flag in found)


def test_no_such_function():
    """A file of another shape is refused as a whole."""
    for text in ("", "int main() {}", HEAD):
        with pytest.raises(UnreadableFlagsError):
            read_flags(text, has_rpc=False)


def test_releases():
    """Tables of releases are whole, are told apart by their source, and are not found by chance."""
    tables = {name: releases.release(name) for name in releases.NAMES}
    for name, each in tables.items():
        names = {name for flag in each.flags for name in (*flag.names, *flag.negatives)}
        assert {"--model", "--host", "--ctx-size", "--rpc"} <= names, name
        assert len(each.flags) > 170
        if each.source_sha256 is not None:
            assert releases.by_source(each.source_sha256) is each
    assert releases.by_version("b10434") is tables["b10434"]
    assert releases.by_version("0.3.36") is None
    assert releases.by_source("0" * 64) is None
    without = {f.names[0] for f in tables["b10434"].table(has_rpc=False)}
    assert "--rpc" not in without
    always = tables["llama-cpp-python-0.3.36"]
    assert always.table(has_rpc=False) == always.flags
