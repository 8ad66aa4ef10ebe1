"""Placement that the spec gives: devices that are there, shares that add up, experts that exist."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.engines.llama_cpp.placement import malformed_override
from llmdecl.memory.allocations import loaded
from llmdecl.memory.tensor_parallel import refusals
from llmdecl.plan import rules
from llmdecl.plan.sizes import is_expert
from llmdecl.plan.subject import Subject


def check_placement(subject: Subject) -> Iterator[Diagnostic]:
    """What llama.cpp would refuse, or ignore without a word."""
    yield from _devices(subject)
    yield from _shares(subject)
    yield from _experts(subject)
    yield from _overrides(subject)


def _devices(subject: Subject) -> Iterator[Diagnostic]:
    wish, layers = subject.wishes.devices, subject.wishes.n_gpu_layers
    known = [device.id for device in subject.host.devices]
    reach = {device.id for device in subject.reach}
    seen: set[str] = set()
    for name in wish.value if wish else ():
        at = wish.address if wish else ""
        if name not in known:
            has = ", ".join(f"`{device}`" for device in known) or "none"
            summary = f"`{subject.name}` is to use device `{name}`, the host has {has}"
            yield rules.UNKNOWN_DEVICE.at(at, summary)
        elif name not in reach:
            built = ", ".join(f"`{each}`" for each in subject.engine.backends or ()) or "none"
            yield rules.DEVICE_OUT_OF_REACH.at(
                at,
                f"`{subject.name}` is to use device `{name}`, which engine "
                f"`{subject.engine.name}` can't reach",
                notes=(f"backends of the engine: {built}",),
            )
        elif name in seen:
            yield rules.DEVICE_NAMED_TWICE.at(
                at, f"`{subject.name}` is to use device `{name}` twice"
            )
        seen.add(name)
    if layers is None or layers.value in ("auto", 0) or subject.devices:
        return
    if wish is not None and wish.value:
        return  # said above
    why = "`devices` is empty" if wish is not None else "the host has no device"
    if wish is None and known:
        why = f"engine `{subject.engine.name}` reaches none of the host's"
    summary = f"`{subject.name}` is to have layers on devices, and {why}"
    yield rules.NO_DEVICE.at(layers.address, summary)


def _shares(subject: Subject) -> Iterator[Diagnostic]:
    wishes, devices = subject.wishes, subject.devices
    split, main, mode = wishes.tensor_split, wishes.main_gpu, wishes.split_mode
    if split is not None:
        if len(split.value) != len(devices):
            yield rules.BAD_TENSOR_SPLIT.at(
                split.address,
                f"`tensor-split` of `{subject.name}` has {len(split.value)} shares, "
                f"for {len(devices)} devices",
                notes=(f"devices: {', '.join(device.id for device in devices) or 'none'}",),
            )
        elif not sum(split.value):
            yield rules.BAD_TENSOR_SPLIT.at(
                split.address, f"`tensor-split` of `{subject.name}` gives no device anything"
            )
    if main is not None and devices and main.value >= len(devices):
        yield rules.BAD_MAIN_GPU.at(
            main.address,
            f"`main-gpu` of `{subject.name}` is {main.value}, and its devices end with "
            f"{len(devices) - 1}",
        )
    if mode is not None and devices:
        kinds = [(device.id, device.backend) for device in devices]
        h, flash = loaded(subject.gguf).h, subject.server.context.flash_attn.value
        for why in refusals(h, mode.value, kinds, flash_attn=flash):
            summary = f"`split-mode` of `{subject.name}` is {mode.value}, and {why}"
            yield rules.SPLIT_MODE_UNSUPPORTED.at(mode.address, summary)


def _experts(subject: Subject) -> Iterator[Diagnostic]:
    every, some = subject.wishes.cpu_moe, subject.wishes.n_cpu_moe
    given = [
        (key, choice)
        for key, choice in (("cpu-moe", every), ("n-cpu-moe", some))
        if choice is not None and choice.value and choice.address.startswith("models.")
    ]
    if not any(is_expert(group.name) for group in subject.gguf.tensors):
        for key, choice in given:
            yield rules.NO_EXPERTS.at(
                choice.address, f"`{key}` is {_word(choice.value)}, and the model has no experts"
            )
    elif every is not None and every.value and some is not None:
        yield rules.MOE_TWICE.at(
            some.address, f"`n-cpu-moe` is {some.value}, and `cpu-moe` keeps all experts on the CPU"
        )


def _word(value: bool | int) -> str:  # noqa: FBT001
    return str(value).lower()


def _overrides(subject: Subject) -> Iterator[Diagnostic]:
    given = subject.wishes.override_tensor
    if given is None:
        return
    known = {"CPU", *(device.id for device in subject.devices)}
    for text in given.value:
        wrong, buffer = malformed_override(text), text.partition("=")[2]
        if wrong is not None:
            yield rules.BAD_OVERRIDE.at(given.address, f"`{text}` {wrong}")
        elif buffer not in known:
            has = ", ".join(f"`{each}`" for each in sorted(known))
            yield rules.BAD_OVERRIDE.at(
                given.address, f"`{text}` names buffer `{buffer}`, the model has {has}"
            )
        elif buffer not in ("CPU", *subject.placement.devices):
            where = ", ".join(subject.placement.devices) or "the CPU"
            yield rules.BAD_OVERRIDE.at(
                given.address, f"`{text}` names `{buffer}`, and the model is on {where}"
            )
