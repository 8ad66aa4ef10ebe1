"""Files beside the model: a draft, a projector, adapters."""

from dataclasses import dataclass

from llmdecl.engines.choice import Choice
from llmdecl.engines.flags import FlagTable
from llmdecl.engines.llama_cpp.placement import Placing
from llmdecl.engines.llama_cpp.writer import Writer, number
from llmdecl.plan.model import Word

DRAFT_N_MAX_DEFAULT = 3
"""llama-server's own."""


@dataclass(frozen=True, slots=True)
class DraftChoice:
    """A draft model and how many tokens it proposes."""

    model: Choice[Word]
    n_max: Choice[int]
    n_min: Choice[int]
    p_min: Choice[float]


@dataclass(frozen=True, slots=True)
class LoraChoice:
    """An adapter file and its scale."""

    path: Choice[Word]
    scale: float


@dataclass(frozen=True, slots=True)
class MmprojChoice:
    """A projector, and whether it may be on a device."""

    path: Choice[Word]
    offload: Choice[bool]


def write_draft(
    draft: DraftChoice, placing: Placing, cache_k: str, cache_v: str, to: Writer
) -> None:
    """Speculation by a draft model where the model is, its caches like the model's own."""
    at = draft.model.address
    to.path(draft.model, "--spec-draft-model", "--model-draft")
    # early in 2026 it chose what proposes where there is no draft model, and knew no such word
    if to.takes("--spec-type", "draft-simple"):
        to.value(Choice("draft-simple", at, "a draft model proposes"), "--spec-type")
    to.value(draft.n_max, "--spec-draft-n-max", "--draft-max", needed=True)
    to.value(draft.n_min, "--spec-draft-n-min", "--draft-min", needed=True)
    to.value(draft.p_min, "--spec-draft-p-min", "--draft-p-min", needed=True)
    to.value(placing.draft_layers, "--spec-draft-ngl", "--gpu-layers-draft", needed=True)
    to.value(placing.draft_device, "--spec-draft-device", "--device-draft", needed=True)
    same = "the same as the model's"
    to.value(Choice(cache_k, at, same), "--spec-draft-type-k", "--cache-type-k-draft")
    to.value(Choice(cache_v, at, same), "--spec-draft-type-v", "--cache-type-v-draft")


def write_lora(lora: LoraChoice, table: FlagTable, to: Writer) -> None:
    """One adapter. The flag may be repeated: each adds one (verified, b10068 and b10434).

    Path and scale were two values once (0.3.16's), and are one word since.
    """
    word, flag = lora.path.value, table.find("--lora-scaled")
    values: tuple[Word, ...] = (word.replace(text=f"{word.text}:{number(lora.scale)}"),)
    if flag is not None and flag.arity == 2:
        values = (word, Word(text=number(lora.scale)))
    to.words(lora.path.address, lora.path.reason, values, "--lora-scaled", needed=True)


def write_mmproj(mmproj: MmprojChoice | None, placing: Placing, at: str, to: Writer) -> None:
    """The projector on the model's first device, or on the processor with it.

    An engine without `--mmproj-device` is told by `MTMD_BACKEND_DEVICE` in its environment.
    """
    if mmproj is None:
        to.words(at, "no projector", (), "--no-mmproj")
        return
    to.path(mmproj.path, "--mmproj")
    to.both(placing.mmproj_offload, "mmproj-offload")
    if placing.mmproj_offload.value:
        to.value(placing.mmproj_device, "--mmproj-device")
