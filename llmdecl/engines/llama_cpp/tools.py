"""The programs of llama.cpp that people use beside the server, by every name they had. Pure."""

from collections.abc import Iterable, Mapping

TOOLS: Mapping[str, tuple[str, ...]] = {
    "llama-server": ("llama-server", "server"),
    "llama-bench": ("llama-bench",),
    "llama-quantize": ("llama-quantize", "quantize"),
    "llama-perplexity": ("llama-perplexity", "perplexity"),
    "llama-cli": ("llama-cli", "main"),
    "llama-gguf-split": ("llama-gguf-split", "gguf-split"),
    "rpc-server": ("ggml-rpc-server", "rpc-server"),
    "llama-fit-params": ("llama-fit-params",),
}
"""What a build installs, and its CMake targets (the programs' names too), today's first.

b3151 gave most of them their prefix; `ggml-rpc-server` and `llama-fit-params` are of 2025.
"""


def spellings(tool: str) -> tuple[str, ...]:
    """Every name of a tool, whichever of them is given; of another program its own."""
    for name, names in TOOLS.items():
        if tool == name or tool in names:
            return names
    return (tool,)


def resolve(targets: Iterable[str]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Tools to the targets that a tree has for them, and the tools that it does not have."""
    known = frozenset(targets)
    found = {
        tool: name
        for tool, names in TOOLS.items()
        if (name := next((each for each in names if each in known), None)) is not None
    }
    return found, tuple(tool for tool in TOOLS if tool not in found)
