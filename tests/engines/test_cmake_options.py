"""CMake options as a tree declares them."""

from hypothesis import given
from hypothesis import strategies as st

from llmdecl.engines.llama_cpp.cmake_options import CMakeOption, tree_options

TEXT = """
option(GGML_A "ggml: a (needs #7)" ON) # option(GGML_NOT "in a comment" ON)
#[[ option(GGML_NEITHER "in a bracket" ON) ]]
option(GGML_B
    "over
     lines" ${GGML_B_DEFAULT})
option(GGML_C "without a value")
set   (GGML_D "q4_0-q4_0;f16-f16" CACHE STRING
    "a list")
set(GGML_E "" CACHE PATH "a folder")
set(GGML_F ON)
if (NOT DEFINED LLAMA_G)
endif()
"""


def test_declarations() -> None:
    """Options and cache variables with their defaults; comments are none; plain variables and
    names that are only read are mentioned."""
    tree = tree_options([TEXT])
    assert tree.declared == {
        "GGML_A": CMakeOption(kind="BOOL", default="ON"),
        "GGML_B": CMakeOption(kind="BOOL", default=None),
        "GGML_C": CMakeOption(kind="BOOL", default="OFF"),
        "GGML_D": CMakeOption(kind="STRING", default="q4_0-q4_0;f16-f16"),
        "GGML_E": CMakeOption(kind="PATH", default=""),
    }
    assert tree.mentioned == ("GGML_B_DEFAULT", "GGML_F", "LLAMA_G")
    assert not tree.has("GGML_NOT")


def test_files_that_disagree() -> None:
    """A default that depends on where CMake begins is none."""
    tree = tree_options(['option(LLAMA_X "x" ON)', 'option(LLAMA_X "x" OFF)'])
    assert tree.declared["LLAMA_X"].default is None


@given(st.lists(st.text(alphabet='option(set CACHE "#[]\\\n)GGML_A$', max_size=200), max_size=3))
def test_any_text(texts: list[str]) -> None:
    """No text of a tree breaks the reader, and the order of files means nothing."""
    assert tree_options(texts) == tree_options(reversed(texts))
