"""Which layer of an Ollama model a spec means, whether llama.cpp can use it, what else it has."""

import re
from collections import Counter
from pathlib import Path

from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.facts.gguf import read_header
from llmdecl.facts.gguf_values import GgufHeader
from llmdecl.facts.model import GgufFacts
from llmdecl.sources.ollama.compatibility import equivalents, incompatible
from llmdecl.sources.ollama.image import Image
from llmdecl.sources.ollama.manifest import LAYER_OF, SAFETENSORS, Config, Layer, Manifest
from llmdecl.sources.ollama.marks import Marks
from llmdecl.sources.ollama.rules import (
    OLLAMA_CLOUD,
    OLLAMA_LAYER,
    OLLAMA_LAYOUT,
    OLLAMA_LEFT,
    OLLAMA_SAFETENSORS,
)
from llmdecl.sources.ollama.settings import Extras, offer, toml
from llmdecl.store.wanted import WantedSource

_BLOB = re.compile(r"sha256-[0-9a-f]{64}")

_COMPANIONS = {"projector": "mmproj", "draft": "draft", "adapter": "lora"}
"""Keys of a model's table that name what a layer holds."""


def choose(want: WantedSource, image: Image, config: Config, number: int | None = None) -> Layer:
    """The layer with the weights of this role; a Failure that lists what there is.

    `number` counts them from 1. Without one it is the one that Ollama takes, of those that it
    takes all of the first.
    """
    manifest = image.manifest
    if config.remote is not None:
        summary = f"`{want.source}` runs at `{config.remote}`, and has no weights"
        raise Failure(OLLAMA_CLOUD.at(want.address, summary))
    kind = LAYER_OF[want.role]
    layers = manifest.of(kind)
    if number is not None and len(layers) >= number:
        return layers[number - 1]
    if layers and number is None:
        return layers[-1 if want.role in ("model", "draft") else 0]  # server/images.go
    if not layers and (pieces := manifest.of(*SAFETENSORS)):
        summary = f"`{want.source}` is {len(pieces)} pieces of safetensors, no GGUF"
        raise Failure(OLLAMA_SAFETENSORS.at(want.address, summary))
    if want.role == "mmproj" and not layers and (models := manifest.of("model")):
        header, _ = image.header(models[-1])  # an encoder inside is the likelier reason
        judge(want, header, config)
    there = Counter(layer.kind for layer in manifest.layers)
    notes = [f"its layers: {', '.join(f'{n} {kind}' for kind, n in there.items()) or 'none'}"]
    summary = f"`{want.source}` has no `{kind}` layer" + (f" {number}" if layers else "")
    raise Failure(OLLAMA_LAYER.at(want.address, summary, notes=notes))


def judge(want: WantedSource, header: GgufHeader, config: Config) -> None:
    """A Failure with what to take instead where upstream llama.cpp cannot use the file."""
    parts = header.number("split.count") or 1
    if parts > 1:
        summary = f"`{want.source}` is one of {parts} parts, and Ollama's layers have no parts"
        raise Failure(OLLAMA_LAYER.at(want.address, summary))
    is_adapter = header.text("general.type") == "adapter"  # has the keys of its base, no more
    flaw = None if is_adapter else incompatible(Marks.of(header))
    if flaw is None:
        return
    row = flaw.format
    name = f"`{row.architecture}`"
    if row.upstream is not None and row.upstream != row.architecture:
        name += f", `{row.upstream}` in llama.cpp"
    summary = f"`{want.source}` ({name}) is in Ollama's own layout: {row.why}"
    sources = [
        f"`source = {toml(f'hf:{each}')}`"
        for each in equivalents(row, want.source, config.model_type or "")
    ]
    help_ = [f"the model in llama.cpp's layout: {' or '.join(sources)}"] if sources else []
    if want.role != "model" and row.architecture != "clip":
        help_ += [f"its `{want.role}` is a file of that repository, too"] if sources else []
    if not help_:
        help_ = ["another model: no engine of this release runs it"]
    raise Failure(OLLAMA_LAYOUT.at(want.address, summary, notes=flaw.seen, help=help_))


def refuse_file(want: WantedSource, path: Path) -> None:
    """The same for a blob that a `file:` source names, by its file name."""
    if _BLOB.fullmatch(path.name):
        header, _ = read_header(path, address=want.address)
        if header is not None:  # what else is wrong with it is said where it is read
            judge(want, header, Config())


def left_behind(
    want: WantedSource, manifest: Manifest, extras: Extras, config: Config, gguf: GgufFacts
) -> tuple[Diagnostic, ...]:
    """A warning about everything that the weights do not carry, with the lines that would."""
    offered = offer(extras, gguf)
    lines, notes = list(offered.lines), list(offered.notes)
    for kind, key in _COMPANIONS.items():
        layers = manifest.of(kind)
        if not layers:
            continue
        name = want.source.partition("#")[0]
        if key == "lora":  # Ollama uses all of them together
            more = [{"source": f"{name}#{number}"} for number in range(2, len(layers) + 1)]
            lines.append(f"{key} = {toml([{'source': name}, *more])}")
            continue
        lines.append(f"{key} = {toml({'source': name})}")
        if len(layers) > 1:
            notes.append(f"it has {len(layers)} `{kind}` layers; `{name}#2` is the second")
    if config.renderer is not None and gguf.chat_template_sha256 is None:
        notes.append(f"Ollama renders its chats itself, as `{config.renderer}`")
    if not lines and not notes:
        return ()
    notes += offered.asides
    summary = f"`{want.source}` is more than its weights, and only these are taken"
    help_ = [f"`{line}`" for line in lines]
    return (OLLAMA_LEFT.at(want.address, summary, notes=notes, help=help_),)
