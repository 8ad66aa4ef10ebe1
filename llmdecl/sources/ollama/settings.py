"""What an Ollama model brings beside its weights, as lines of a spec. Pure.

Parameters by Ollama's docs/modelfile.mdx and api/types.go; a spec's keys by its schema, which also
judges every value: a line that is offered is one that a spec takes.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from llmdecl.facts.model import GgufFacts
from llmdecl.spec.schema import ModelSettings

LONGEST_PROMPT: Final = 2000
"""Characters of a system prompt that are shown as a line."""

_SAMPLING: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top-p",
    "top_k": "top-k",
    "min_p": "min-p",
    "typical_p": "typical-p",
    "repeat_penalty": "repeat-penalty",
    "presence_penalty": "presence-penalty",
    "frequency_penalty": "frequency-penalty",
    "seed": "seed",
    "num_predict": "max-tokens",
}
_KEYS: Mapping[str, tuple[str, ...]] = {
    "num_ctx": ("ctx-size",),
    "num_batch": ("batch-size", "ubatch-size"),
    "num_gpu": ("n-gpu-layers",),
    "num_thread": ("threads",),
}
_FLAGS: Mapping[str, str] = {"repeat_last_n": "--repeat-last-n", "num_keep": "--keep"}
_OWN_DEFAULT = {("seed", -1), ("num_predict", -1), ("num_gpu", -1), ("num_thread", 0)}
"""Ollama's words for what happens anyway."""


@dataclass(frozen=True, slots=True)
class Extras:
    """Layers that are no weights, as texts; `None` where the model has none."""

    template: str | None = None
    system: str | None = None
    params: str | None = None
    messages: str | None = None
    licenses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """`lines` belong into the model's table, each valid TOML by itself; `notes` have no key.

    `asides` are no loss: worth a word beside others, and none alone.
    """

    lines: tuple[str, ...]
    notes: tuple[str, ...]
    asides: tuple[str, ...] = ()


def offer(extras: Extras, gguf: GgufFacts) -> Offer:
    """What the weights do not carry."""
    lines: list[str] = []
    notes: list[str] = []
    asides: list[str] = []
    if extras.template and gguf.chat_template_sha256 is not None:
        asides.append("its Go template is not used: the weights have a Jinja template of their own")
    for text, is_line in (
        *_params(extras.params),
        *_system(extras.system),
        *_template(extras.template, gguf),
        *_messages(extras.messages),
    ):
        (lines if is_line else notes).append(text)
    return Offer(tuple(lines), tuple(notes), tuple(asides))


Said = Iterator[tuple[str, bool]]
"""Texts, and whether each is a line."""


def _params(text: str | None) -> Said:
    if text is None:
        return
    params = _json(text, dict)
    if params is None:
        yield "its parameters can't be read", False
        return
    table: dict[str, Any] = {}
    for name, value in sorted(params.items()):
        if isinstance(value, str | int | float) and (name, value) in _OWN_DEFAULT:
            continue
        keys = _keys(name, value)
        if not keys:
            yield _no_key(name, value), False
        for key, one in keys.items():
            match one:
                case dict():
                    table[key] = table.get(key, {}) | one
                case list():
                    table[key] = table.get(key, []) + one
                case _:
                    table[key] = one
    yield from ((f"{key} = {toml(value)}", True) for key, value in table.items())


def _keys(name: str, value: Any) -> dict[str, Any]:
    """A parameter in a spec's keys; empty where there is none that takes it."""
    found: dict[str, Any] = {}
    if name in _SAMPLING:
        found = {"sampling": {_SAMPLING[name]: value}}
    elif name in _KEYS:
        found = dict.fromkeys(_KEYS[name], value)
    elif name in _FLAGS and isinstance(value, int):
        return {"extra-args": [_FLAGS[name], str(int(value))]}
    elif name == "use_mmap" and value is False:
        return {"load-mode": "none"}
    return found if _valid(found) else {}


def _no_key(name: str, value: Any) -> str:
    if name == "stop":
        return f"stop sequences {_shown(value)} have no key: requests bring them (`stop`)"
    if name in _SAMPLING or name in _KEYS:
        return f"`{_shown(name)}` is {_shown(value)}, which a spec does not take"
    return f"`{_shown(name)}` is {_shown(value)}, for which a spec has no key"


def _system(text: str | None) -> Said:
    if not text:
        return
    if len(text) > LONGEST_PROMPT:
        yield f"its system prompt has {len(text):,} characters: `system-prompt` takes it", False
    else:
        yield f"system-prompt = {toml(text)}", True


def _template(text: str | None, gguf: GgufFacts) -> Said:
    if not text or gguf.chat_template_sha256 is not None:
        return
    if "<|im_start|>" in text:
        yield 'chat-template = "chatml"', True
        yield "the weights have no chat template; Ollama's is ChatML", False
    else:
        yield (
            "the weights have no chat template, and Ollama's is in Go: `chat-template` takes Jinja",
            False,
        )


def _messages(text: str | None) -> Said:
    if text is None:
        return
    messages = _json(text, list)
    if messages is None:
        yield "its messages can't be read", False
    elif messages:
        yield f"{len(messages)} messages before the first request have no key: send them", False


def _json(text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, kind) else None


def _valid(settings: Mapping[str, Any]) -> bool:
    if any(value is None or isinstance(value, bool) for value in _leaves(settings)):
        return False
    try:
        ModelSettings.model_validate(settings)
    except ValidationError:
        return False
    return True


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _leaves(each)
    else:
        yield value


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    text = "".join(one if one.isprintable() else "?" for one in text)
    return text if len(text) <= 120 else f"{text[:120]}..."


def toml(value: Any) -> str:
    """A value as TOML writes it, in one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            clean = value.encode("utf-8", "replace").decode()  # a lone surrogate is no text
            return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case Mapping():
            return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
        case _:
            return "[" + ", ".join(toml(each) for each in value) + "]"
