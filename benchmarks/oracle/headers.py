"""Write a GGUF header with a hole instead of weights for every architecture of llama.cpp.

    python headers.py LLAMA-CPP-TREE DIR [ARCH ...]

The metadata is ours (the keys of llama.cpp's tests/test-llama-archs.cpp, larger and less
regular sizes), the tensors are those that the oracle says the architecture asks for. At most
four files for an architecture: `ARCH.gguf` has all optional tensors in a mix like Q4_K_M,
`ARCH-min.gguf` only what must be there in Q8_0, and the same for `ARCH-moe`, experts where they
are optional.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gguf_hole import Shape, write
from metadata import Meta, Size, metadata
from oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

FLOAT = re.compile(  # what llama-quantize leaves alone
    r"_norm\b|norm\.|\.bias$|ffn_gate_inp|conv1d|shortconv\.conv|attn_sinks|ssm_a$|ssm_d$|rope_f"
    r"|exp_probs_b|hc_|_hc|ape|rel_b|time_mix|token_shift"
)
UNUSUAL = re.compile(r"\.(scale|input_scale)$")  # of NVFP4 files only


def kind_of(name: str, shape: Shape, scheme: str) -> str:
    """The type that llama-quantize would give, roughly."""
    if name.endswith("tid2eid.weight"):
        return "I32"
    if FLOAT.search(name) or sum(n > 1 for n in shape) < 2 or shape[0] % 32:
        return "F32"
    if re.search(r"^(conv1d|posnet|convnext)", name):
        return "F16" if re.search(r"(conv1d|\.conv[12]|\.dw)\.weight$", name) else "F32"
    if scheme == "Q8_0":
        return "Q8_0"
    better = name == "output.weight" or re.search(r"attn_v\.|ffn_down", name)
    if shape[0] % 256:
        return "Q8_0" if better else "Q5_0"
    return "Q6_K" if better else "Q4_K"


def group(name: str) -> str:
    """A tensor's name without its layer's number."""
    return re.sub(r"(?<=\.)\d+(?=\.)", "N", name)


def trimmed(shape: Sequence[int]) -> Shape:
    """A shape without trailing ones."""
    out = list(shape)
    while len(out) > 1 and out[-1] == 1:
        out.pop()
    return tuple(out)


def separate(tensors: Mapping[str, Shape]) -> dict[str, Shape]:
    """Gate and up projections of experts as most files have them, where the architecture
    would first take both in one tensor."""
    fused = {name: shape for name, shape in tensors.items() if "ffn_gate_up_exps" in name}
    return {
        name.replace("gate_up", part): (shape[0], shape[1] // 2, *shape[2:])
        for name, shape in fused.items()
        for part in ("gate", "up")
    }


ARGS = ("-c", "2048")


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes headers and asks the oracle whether llama.cpp takes them."""

    oracle: Oracle
    folder: Path

    def wanted(self, path: Path, meta: Meta) -> dict[str, Shape] | str:
        """The tensors of an architecture, or why there are none."""
        dummies = {"conv1d.weight": ((1,), "F16")}
        for il in range(meta[f"{meta['general.architecture']}.block_count"]):
            dummies |= {f"posnet.{il}.conv{i}.weight": ((1,), "F16") for i in (1, 2)} | {
                f"convnext.{il}.dw.weight": ((1,), "F16")
            }
        write(path, meta, dummies)
        answer = self.oracle.request({"tensors_of": str(path)})
        if "error" in answer:
            return str(answer["error"])
        return {
            name: trimmed(shape)
            for name, shape in answer["tensors"].items()
            if not UNUSUAL.search(name)
        }

    def take(self, path: Path, meta: Meta, tensors: Mapping[str, Shape], scheme: str) -> str:
        """Write the file; what llama.cpp has against it."""
        write(
            path,
            meta,
            {name: (shape, kind_of(name, shape, scheme)) for name, shape in tensors.items()},
        )
        return str(self.oracle.ask(path, "pretend:1:24576", ARGS).get("error", ""))

    def least(self, path: Path, meta: Meta, tensors: Mapping[str, Shape]) -> str:
        """Write the file with only the tensors that must be there."""
        parts = separate(tensors)
        tensors = {**tensors, **parts}
        groups = {"token_embd.weight"}
        while True:
            chosen = {name: shape for name, shape in tensors.items() if group(name) in groups}
            wrong = self.take(path, meta, chosen, "Q8_0")
            missing = re.search(r"tensor '([^']+)' not found", wrong)
            if not missing or group(missing[1]) in groups or missing[1] not in tensors:
                break
            groups.add(group(missing[1]))
        if (
            wrong
        ):  # something that may be missing must be there all the same: leave out the biases only
            split = any(group(name) in groups for name in parts)
            chosen = {
                name: shape
                for name, shape in tensors.items()
                if group(name) in groups
                or not (
                    name.endswith("bias") or name in parts or (split and "gate_up_exps" in name)
                )
            }
            wrong = self.take(path, meta, chosen, "Q8_0")
        return wrong

    def architecture(self, arch: str, sizes: Sequence[Size], *, moe: bool, name: str) -> str:
        """Write one architecture in the first size that loads; what was wrong with all of them."""
        path, small = self.folder / f"{name}.gguf", self.folder / f"{name}-min.gguf"
        why: list[str] = []
        for i, size in enumerate(sizes):
            meta = metadata(arch, size, moe=moe)
            tensors = self.wanted(path, meta)
            if isinstance(tensors, str):
                why.append(f"{i}: {tensors[-300:]}")
                continue
            wrong, least = self.take(path, meta, tensors, "Q4_K"), self.least(small, meta, tensors)
            if wrong and not least:
                small.replace(path)
            if least:
                small.unlink(missing_ok=True)
            if not wrong or not least:
                done = f"{name}: {len(tensors)} tensors, size {i}"
                return done + (
                    f", no -min: {least[-200:]!r}" if least else ", -min only" * bool(wrong)
                )
            why.append(f"{i}: {wrong[-300:]}")
        path.unlink(missing_ok=True)
        return f"{name}: NOT MADE {' || '.join(why)}"


BIG = Size()
LADDER = (
    BIG,
    replace(BIG, heads_kv=8),
    replace(BIG, layers=6),
    replace(BIG, layers=12, heads_kv=8),
    replace(BIG, layers=24),
    replace(BIG, layers=4, heads_kv=8),
    Size(
        layers=2,
        embd=256,
        heads=2,
        heads_kv=2,
        ff=384,
        ff_expert=384,
        experts=2,
        used=2,
        vocab=128,
        ctx=256,
        window=32,
    ),
    Size(
        layers=3,
        embd=256,
        heads=2,
        heads_kv=2,
        ff=384,
        ff_expert=384,
        experts=2,
        used=2,
        vocab=128,
        ctx=256,
        window=32,
    ),
    Size(
        layers=2,
        embd=128,
        heads=1,
        heads_kv=1,
        ff=192,
        ff_expert=192,
        experts=2,
        used=2,
        vocab=128,
        ctx=256,
        window=32,
    ),
)
SPECIAL: Mapping[str, Sequence[Size]] = {
    "gemma3n": (
        replace(BIG, layers=30),
        replace(BIG, layers=22, embd=64, heads=1, heads_kv=1, ff=96),
    ),
    "hrm_text": (replace(BIG, layers=12), replace(BIG, layers=6)),
    "chameleon": (replace(BIG, vocab=10240), replace(BIG, vocab=10240, heads_kv=8)),
    "qwen3tts": (replace(BIG, vocab=4096), replace(BIG, vocab=3072)),
    "step35": (replace(BIG, embd=640), replace(BIG, embd=640, heads_kv=8)),
    "laguna": (replace(BIG, embd=640), replace(BIG, embd=640, heads_kv=8), *LADDER),
}


def architectures(tree: Path) -> Iterator[str]:
    """Every name in the tree's table."""
    table = (tree / "src" / "llama-arch.cpp").read_text()
    yield from re.findall(r'\{ LLM_ARCH_\w+, +"([a-z0-9_.-]+)"', table)


def mandatory_moe(tree: Path) -> Callable[[str], tuple[bool, bool]]:
    """For an architecture: are experts required, are they possible (tests/test-llama-archs.cpp)."""
    test = (tree / "tests" / "test-llama-archs.cpp").read_text()
    table = dict(
        re.findall(
            r'\{ (LLM_ARCH_\w+), +"([a-z0-9_.-]+)"', (tree / "src" / "llama-arch.cpp").read_text()
        )
    )
    start, middle = (
        test.index("static bool moe_mandatory"),
        test.index("static bool moe_implemented"),
    )
    end = test.index("static bool arch_supported")
    required = {
        table[a] for a in re.findall(r"case (LLM_ARCH_\w+)", test[start:middle]) if a in table
    }
    possible = {
        table[a] for a in re.findall(r"case (LLM_ARCH_\w+)", test[middle:end]) if a in table
    }
    required |= {"nomic-bert-moe", "deepseek2-ocr"}
    return lambda arch: (arch in required, arch in required | possible)


def main(words: Sequence[str]) -> int:
    """The command line."""
    tree, folder, only = Path(words[0]), Path(words[1]), words[2:]
    folder.mkdir(parents=True, exist_ok=True)
    moe_of = mandatory_moe(tree)
    with Oracle() as oracle:
        writer = Writer(oracle, folder)
        for arch in architectures(tree):
            if only and arch not in only:
                continue
            required, possible = moe_of(arch)
            sizes = SPECIAL.get(arch, LADDER)
            if not required:
                print(writer.architecture(arch, sizes, moe=False, name=arch), flush=True)
            if possible:
                print(
                    writer.architecture(
                        arch, sizes, moe=True, name=arch if required else f"{arch}-moe"
                    ),
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
