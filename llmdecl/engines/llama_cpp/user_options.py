"""A spec's own CMake options, and where they contradict the rest of it. Pure."""

import difflib
import re
from collections.abc import Mapping

from llmdecl.backends.table import BACKENDS
from llmdecl.diagnostics import Diagnostic
from llmdecl.engines import rules
from llmdecl.engines.llama_cpp.cmake_options import TreeOptions
from llmdecl.engines.llama_cpp.cpu_options import X86
from llmdecl.spec.schema import SourceEngine

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TRUE = {"1", "ON", "YES", "TRUE", "Y"}
_FALSE = {"0", "OFF", "NO", "FALSE", "N"}
_DECIDED: Mapping[str, str] = {
    **{option: "`backends`" for b in BACKENDS.values() for option, _ in b.cmake if b.name != "rpc"},
    "CMAKE_CUDA_ARCHITECTURES": "`architectures`",
    "CMAKE_HIP_ARCHITECTURES": "`architectures`",
    "GPU_TARGETS": "`architectures`",
    "AMDGPU_TARGETS": "`architectures`",
    "GGML_NATIVE": "`cpu`",
    "GGML_BACKEND_DL": "`cpu`",
    "GGML_CPU_ALL_VARIANTS": "`cpu`",
    "GGML_CPU_ARM_ARCH": "`cpu`",
    **dict.fromkeys(X86, "`cpu`"),
    "LLAMA_BUILD_NUMBER": "the archive",
    "LLAMA_BUILD_COMMIT": "the archive",
}
"""What decides an option that `options` may not say otherwise."""
_FIXED: Mapping[str, str] = {
    "LLAMA_BUILD_SERVER": "an engine is a `llama-server`",
    "LLAMA_BUILD_COMMON": "an engine is a `llama-server`",
    "LLAMA_BUILD_TOOLS": "an engine is a `llama-server`",
    "LLAMA_TOOLS_INSTALL": "what is not installed is not in the store",
    "LLAMA_USE_SYSTEM_GGML": "what runs is pinned",
    "GGML_CPU": "an engine computes on the processor what no device can",
    "GGML_OPENMP_FETCH": "what runs is pinned, and this is downloaded while it is built",
    "GGML_CPU_KLEIDIAI": "what runs is pinned, and this is downloaded while it is built",
    "LLAMA_USE_PREBUILT_UI": "what runs is pinned, and this is downloaded while it is built",
}
_STORE = ("CMAKE_INSTALL_", "CMAKE_BUILD_RPATH", "CMAKE_BUILD_WITH_INSTALL_RPATH", "DESTDIR")
"""Where an engine is installed, and finds its libraries."""


def merged(
    address: str,
    options: Mapping[str, str],
    engine: SourceEngine,
    backends: tuple[str, ...],
    tree: TreeOptions | None,
) -> tuple[dict[str, str], list[Diagnostic]]:
    """Llmdecl's options with the spec's in their place; switches are written `ON` and `OFF`."""
    result = dict(options)
    found: list[Diagnostic] = []
    for name, text in sorted((engine.options or {}).items()):
        place = f"{address}.options.{name}"
        value, problem = _value(place, name, text, tree)
        problem = problem or _unknown(place, name, tree)
        problem = problem or _contradiction(place, name, value, result.get(name), backends)
        if problem is not None:
            found.append(problem)
        else:
            result[name] = value
    found += [] if found else _together(address, result)
    return result, found


def _value(
    place: str, name: str, text: str, tree: TreeOptions | None
) -> tuple[str, Diagnostic | None]:
    """A switch's value as `ON` or `OFF`."""
    if not text.isprintable():
        return text, rules.OPTION_VALUE.at(place, f"`{name}` is no one line of text: {text!r}")
    option = None if tree is None else tree.declared.get(name)
    if option is None or option.kind != "BOOL":
        return text, None
    word = text.upper()
    if word in _TRUE | _FALSE:
        return ("ON" if word in _TRUE else "OFF"), None
    return text, rules.OPTION_VALUE.at(place, f"`{name}` is `ON` or `OFF`, not `{text}`")


def _unknown(place: str, name: str, tree: TreeOptions | None) -> Diagnostic | None:
    """Options of ggml and llama.cpp exist or not; CMake's own and those of packages are theirs."""
    if not _NAME.fullmatch(name):
        return rules.OPTION_UNKNOWN.at(place, f"{name!r} is no name of a CMake option")
    if tree is None or tree.has(name) or not name.startswith(("GGML_", "LLAMA_")):
        return None
    near = difflib.get_close_matches(name, tree.declared, n=1, cutoff=0.75)
    notes = [f"did you mean `{near[0]}`?"] if near else []
    return rules.OPTION_UNKNOWN.at(place, f"this llama.cpp has no option `{name}`", notes=notes)


def _contradiction(
    place: str, name: str, value: str, has: str | None, backends: tuple[str, ...]
) -> Diagnostic | None:
    """An option that says otherwise than the spec's keys, or than every engine needs."""
    if has == value:
        return None
    if name.startswith(_STORE):
        return rules.OPTION_CONTRADICTS.at(place, f"`{name}` is the store's business")
    if name in _FIXED and has is not None:
        summary = f"`{name} = {value}` contradicts: {_FIXED[name]}"
        return rules.OPTION_CONTRADICTS.at(place, summary)
    decider = _DECIDED.get(name)
    if name == "GGML_RPC" and "rpc" in backends:
        decider = "`backends`"
    if decider is None:
        return None
    told = f"{decider} makes it `{has}`" if has else f"{decider} decides it"
    return rules.OPTION_CONTRADICTS.at(place, f"`{name} = {value}` contradicts: {told}")


def _together(address: str, options: Mapping[str, str]) -> list[Diagnostic]:
    """Options that llama.cpp refuses together."""
    modules = options.get("GGML_BACKEND_DL") == "ON"
    found = []
    for name, bad in (("BUILD_SHARED_LIBS", "OFF"), ("GGML_STATIC", "ON")):
        if modules and options.get(name) == bad:
            summary = f'`{name} = {bad}` contradicts `cpu = "dispatch"`, which needs modules'
            found.append(rules.OPTION_CONTRADICTS.at(f"{address}.options.{name}", summary))
    return found
