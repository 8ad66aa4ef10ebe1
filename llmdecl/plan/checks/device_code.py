"""Whether an engine that is built from source holds code for the devices that a model is on.

`HSA_OVERRIDE_GFX_VERSION` is of a whole process; `..._N` of node N alone, which the plan does not
know of a device (ROCm/ROCR-Runtime, libhsakmt/src/topology.c).
"""

import re
from collections.abc import Iterator, Sequence

from llmdecl.diagnostics import Diagnostic
from llmdecl.engines import rules
from llmdecl.engines.llama_cpp.amd_architectures import AMD, family_of, target_of
from llmdecl.engines.llama_cpp.architectures import (
    KINDS,
    OVERRIDE,
    backend_of,
    covers,
    needed_override,
    order,
)
from llmdecl.engines.llama_cpp.attention import lacks
from llmdecl.plan.model import DevicePlan
from llmdecl.plan.subject import Subject

_OVERRIDE = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}")
_OF_NODE = re.compile(rf"{OVERRIDE}_[0-9]+")


def check_device_code(subject: Subject) -> Iterator[Diagnostic]:
    """Said before the first kernel does: "no kernel image", "invalid device function".

    Devices of other machines have engines of their own.
    """
    recipe = subject.engine.plan.recipe
    if recipe is None:
        return
    known = {device.id: device for device in subject.reach}
    for name in subject.placement.devices:
        device = known.get(name)
        if device is not None and device.backend in KINDS and device.architecture is not None:
            yield from _device(subject, device, device.architecture, recipe.architectures)


def _device(
    subject: Subject, device: DevicePlan, architecture: str, words: tuple[str, ...]
) -> Iterator[Diagnostic]:
    """The device as the driver presents it to this model's process."""
    own = sorted((word for word in words if backend_of(word) == device.backend), key=order)
    told = dict(subject.given_environment).get(OVERRIDE) if device.backend == "hip" else None
    at = subject.environment_address if told is not None else subject.address("engine")
    if any(covers(word, seen) for seen in _of_nodes(subject, architecture) for word in own):
        return
    if told is not None and _OVERRIDE.fullmatch(told):
        yield from _overridden(subject, device.id, architecture, target_of(told), own)
        return
    pairs = AMD[architecture].overrides if architecture in AMD else ()
    usable = [pair for pair in pairs if any(covers(word, target_of(pair)) for word in own)]
    notes, helped = _remedy(subject, usable)
    if not any(covers(word, architecture) for word in own):
        summary = (
            f"`{subject.name}` is on `{device.id}`, which is {architecture}, and engine "
            f"`{subject.engine.name}` is for {', '.join(own) or 'no device'}"
        )
        yield rules.DEVICE_NOT_COVERED.at(at, summary, notes=notes, help=helped)
    elif device.backend == "hip" and needed_override(architecture) is not None and usable:
        summary = f"`{subject.name}` is on `{device.id}`, which is {architecture}"
        notes = (f"AMD's libraries before ROCm 7.14 have no code for {architecture}", *notes)
        yield rules.NEEDS_OVERRIDE.at(at, summary, notes=notes, help=helped)


def _remedy(subject: Subject, pairs: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Notes and help: the first override, which all AMD devices of the process have to bear."""
    on = [each for each in subject.reach if each.id in subject.placement.devices]
    families = [family_of(each.architecture or "") for each in on if each.backend == "hip"]
    for pair in pairs[:1]:
        if all(target_of(pair) in family for family in families):
            return (), (f'`environment = {{ {OVERRIDE} = "{pair}" }}` runs it',)
        note = f"`{OVERRIDE}_N = {pair}` for its node N alone: the others are of another family"
        return (note,), ()
    return (), ()


def _of_nodes(subject: Subject, architecture: str) -> list[str]:
    """What overrides of single nodes may make of a device."""
    family = family_of(architecture)
    told = [v for name, v in subject.given_environment if _OF_NODE.fullmatch(name)]
    return [seen for v in told if _OVERRIDE.fullmatch(v) and (seen := target_of(v)) in family]


def _overridden(
    subject: Subject, device: str, architecture: str, seen: str, own: Sequence[str]
) -> Iterator[Diagnostic]:
    """A device that the whole process takes for `seen`: it has to run that one's code."""
    at = subject.environment_address
    if seen not in family_of(architecture):
        summary = (
            f"`{subject.name}` takes `{device}` for {seen}, and it is {architecture}, which can't "
            f"run code of {seen}"
        )
        notes = (f"`{OVERRIDE}` is for all devices of a process, `{OVERRIDE}_N` for node N alone",)
        yield rules.DEVICE_NOT_COVERED.at(at, summary, notes=notes)
    elif not any(covers(word, seen) for word in own):
        summary = (
            f"`{subject.name}` takes `{device}` for {seen}, and engine "
            f"`{subject.engine.name}` is for {', '.join(own)}"
        )
        yield rules.DEVICE_NOT_COVERED.at(at, summary)


def check_attention_code(subject: Subject) -> Iterator[Diagnostic]:
    """Flash attention for this model's cache types is compiled into its engine."""
    recipe, context = subject.engine.plan.recipe, subject.server.context
    known = {device.id: device.backend for device in subject.reach}
    on = [name for name in subject.placement.devices if known.get(name) in KINDS]
    if recipe is None or not on or not context.flash_attn.value or not subject.server.shape.attends:
        return
    k, v = context.cache_type_k, context.cache_type_v
    lack = lacks(recipe.options, k.value, v.value)
    if lack is None:
        return
    summary = (
        f"engine `{subject.engine.name}` has no flash attention for a cache of {k.value} and "
        f"{v.value}: `{subject.name}` {lack.instead}"
    )
    address = (k if k.given else v if v.given else context.flash_attn).address
    helped = f'`options = {{ {lack.option} = "{lack.value}" }}` of the engine compiles it'
    yield rules.ATTENTION_NOT_COMPILED.at(address, summary, help=(helped,))
