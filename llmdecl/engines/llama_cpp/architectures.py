"""Which code runs on which device, and what is compiled for it. Pure; the tables are beside it."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from llmdecl.diagnostics import Diagnostic
from llmdecl.engines import rules
from llmdecl.engines.llama_cpp.amd_architectures import AMD, GENERIC, THEROCK, target_of
from llmdecl.engines.llama_cpp.nvidia_architectures import NVIDIA
from llmdecl.facts.model import DeviceFacts

KINDS = ("cuda", "hip")
"""Backends whose code is compiled for a device's architecture; other drivers do that themselves."""

OVERRIDE = "HSA_OVERRIDE_GFX_VERSION"
_CUDA = re.compile(r"(?P<kind>sm|compute)_(?P<number>[0-9]{2,3})(?P<suffix>[af]?)")
_HIP = re.compile(r"(?P<target>gfx[0-9]+[0-9a-f]{2})(?P<features>(?::[a-z]+[+-])*)")


class CudaWord(NamedTuple):
    """`sm_86` is machine code, `compute_86` PTX; `120` is 12.0, and `a` or `f` bind it to its
    architecture or family (CUDA C++ Programming Guide, "Feature-specific targets")."""

    kind: str
    number: int
    suffix: str

    @property
    def major(self) -> int:
        """12 of `sm_120`."""
        return self.number // 10

    @property
    def base(self) -> str:
        """`sm_120` of `compute_120a`."""
        return f"sm_{self.number}"


def cuda_word(word: str) -> CudaWord | None:
    """None for what is no architecture of CUDA's that is known here."""
    match = _CUDA.fullmatch(word)
    if match is None or f"sm_{match['number']}" not in NVIDIA:
        return None
    number = int(match["number"])
    suffix = match["suffix"]
    if number // 10 == 12 and not suffix:
        suffix = "a"  # llama.cpp compiles these for the exact architecture (FP4 matrices)
    return CudaWord(match["kind"], number, suffix)


def hip_target(word: str) -> str | None:
    """`gfx90a` of `gfx90a:xnack-`; a generic target as it is; None for what is not known here."""
    if word in GENERIC:
        return word
    match = _HIP.fullmatch(word)
    return match["target"] if match is not None and match["target"] in AMD else None


def backend_of(word: str) -> str | None:
    """The backend that an architecture is of."""
    if cuda_word(word) is not None:
        return "cuda"
    return "hip" if hip_target(word) is not None else None


def order(word: str) -> tuple[str, int, str]:
    """`sm_86` before `sm_120`."""
    kind, number, rest = re.fullmatch(r"(\D*)([0-9]*)(.*)", word, re.DOTALL).groups()  # type: ignore[union-attr]
    return kind, int(number or 0), rest


def problem(word: str, backends: Sequence[str]) -> str | None:
    """Why a word can't be an architecture of an engine with these backends."""
    backend = backend_of(word)
    if backend is None:
        near = _near(word)
        return f"`{word}` is no architecture" + (f"; did you mean `{near}`?" if near else "")
    if backend not in backends:
        return f"`{word}` is for `{backend}`, and the engine has {_listed(backends)}"
    return None


def _near(word: str) -> str | None:
    """`86`, `8.6`, `86-real` as `sm_86`; `SM_86` in lower case."""
    bare = word.lower().replace(".", "").removesuffix("-real")
    kind = "compute" if bare.endswith("-virtual") else "sm"
    for candidate in (bare, f"{kind}_{bare.removesuffix('-virtual')}"):
        if backend_of(candidate) is not None:
            return candidate
    return None


def _listed(backends: Sequence[str]) -> str:
    return ", ".join(f"`{backend}`" for backend in backends) or "no backend but the CPU's"


def covers(word: str, device: str) -> bool:
    """Whether code for `word` runs on a device of architecture `device`.

    CUDA C++ Programming Guide, "Binary compatibility" and "PTX compatibility"; machine code of a
    system on a chip and of a card are never exchanged.
    """
    built, has = cuda_word(word), cuda_word(device)
    if built is None or has is None:
        target = hip_target(word)
        return target is not None and (device in GENERIC.get(target, ()) or target == device)
    if built.number == has.number:
        return True
    if built.suffix == "a" or built.number > has.number:
        return False
    if built.suffix == "f":
        return built.major == has.major
    if built.kind == "compute":
        return True
    apart = NVIDIA[built.base].embedded or NVIDIA[has.base].embedded
    return built.major == has.major and not apart


def of_devices(
    address: str, backend: str, devices: Iterable[DeviceFacts]
) -> tuple[set[str], list[Diagnostic]]:
    """Each device's own architecture, and the relative's that AMD's libraries know instead."""
    words: set[str] = set()
    found: list[Diagnostic] = []
    for device in devices:
        word = device.architecture
        if word is None or backend_of(word) != backend:
            found.append(_unknown(address, backend, device))
            continue
        words.add(word)
        override = needed_override(word) if backend == "hip" else None
        if override is not None:
            words.add(target_of(override))
            found.append(_override(f"{address}.architectures", device, override))
    if not words and not found:
        summary = f"no device of the host tells what `{backend}` is to be compiled for"
        found.append(rules.ARCHITECTURE_UNKNOWN.at(f"{address}.architectures", summary))
    return words, found


def needed_override(target: str) -> str | None:
    """The override for a device that no ROCm before TheRock's has libraries for."""
    known = AMD.get(target)
    if known is None or not known.overrides:
        return None
    old = known.libraries is not None and known.libraries[0] < THEROCK
    return None if old else known.overrides[0]


def uncovered(
    place: str, backend: str, devices: Iterable[DeviceFacts], words: Collection[str]
) -> list[Diagnostic]:
    """Devices that nothing of `words` runs on, and those that it runs on under another name."""
    found: list[Diagnostic] = []
    own = sorted((word for word in words if backend_of(word) == backend), key=order)
    for device in devices:
        has = device.architecture or _of_card(backend, device.name or "")
        if has is None:
            summary = (
                f"nobody knows the architecture of `{device.id}`: {', '.join(own)} may not run"
            )
            found.append(rules.DEVICE_UNPROVED.at(place, summary))
            continue
        if backend_of(has) != backend:
            found.append(_unknown(place.removesuffix(".architectures"), backend, device))
            continue
        if any(covers(word, has) for word in own):
            override = needed_override(has)
            if override is not None and any(covers(w, target_of(override)) for w in own):
                found.append(_override(place, device, override))
            continue
        pairs = AMD[has].overrides if has in AMD else ()
        usable = [o for o in pairs if any(covers(word, target_of(o)) for word in own)]
        if usable:
            found.append(_override(place, device, usable[0]))
            continue
        summary = f"`{device.id}` is {has}, and the engine is for {', '.join(own) or 'no device'}"
        helped = (f"`{has}` in `architectures` covers it",)
        found.append(rules.DEVICE_NOT_COVERED.at(place, summary, help=helped))
    return found


def _unknown(address: str, backend: str, device: DeviceFacts) -> Diagnostic:
    if device.architecture is None:
        summary = f"the architecture of `{device.id}` is not known"
    else:
        summary = f"`{device.id}` has architecture `{device.architecture}`, which `{backend}` lacks"
    near = None if device.architecture is None else _near(device.architecture)
    notes = [f"did you mean `{near}`?"] if near and backend_of(near) == backend else []
    place = f"host.devices.{device.id}" if device.declared else f"{address}.architectures"
    card = _of_card(backend, device.name or "") if device.architecture is None else None
    key = f'architecture = "{card}"' if device.declared else f'architectures = ["{card}"]'
    help_ = () if card is None else (f"`{key}` is what a {device.name} has",)
    return rules.ARCHITECTURE_UNKNOWN.at(place, summary, notes=notes, help=help_)


def _of_card(backend: str, name: str) -> str | None:
    """What a card of this name is by the tables; of several names in it the longest."""
    tables = {
        "cuda": [(card, word) for word, known in NVIDIA.items() for card in known.cards],
        "hip": [(card, word) for word, known in AMD.items() for card in known.cards],
    }
    cards = tables[backend]
    found = [(len(c), word) for c, word in cards if re.search(rf"\b{re.escape(c)}\b", name)]
    return max(found)[1] if found else None


def _override(place: str, device: DeviceFacts, override: str) -> Diagnostic:
    has = device.architecture
    summary = f"`{device.id}` is {has}, and runs the code of {target_of(override)}"
    notes = (f"AMD's libraries before ROCm {release(THEROCK)} have no code for {has}",)
    helped = (f'`environment = {{ {OVERRIDE} = "{override}" }}` for the models on `{device.id}`',)
    return rules.NEEDS_OVERRIDE.at(place, summary, notes=notes, help=helped)


def together(place: str, words: Iterable[str]) -> list[Diagnostic]:
    """Architectures that no CUDA release compiles for at once."""
    known = [(word, NVIDIA[cuda.base]) for word in words if (cuda := cuda_word(word))]
    ends = [(one.last, word) for word, one in known if one.last is not None]
    if not ends:
        return []
    last, old = min(ends)
    first, new = max((one.first, word) for word, one in known)
    if first <= last:
        return []
    summary = (
        f"no CUDA compiles for `{old}` and `{new}`: {release(last)} is the last for one, "
        f"{release(first)} the first for the other"
    )
    return [rules.NO_TOOLKIT_FOR_ALL.at(place, summary)]


def release(numbers: tuple[int, ...]) -> str:
    """`12.9`."""
    return ".".join(map(str, numbers))


def cmake(words: Iterable[str]) -> dict[str, str]:
    """`86-real` for `sm_86`, `90-virtual` for `compute_90`; HIP's targets by their names."""
    ordered = sorted(words, key=order)
    options: dict[str, str] = {}
    cuda = [one for word in ordered if (one := cuda_word(word))]
    if cuda:
        kinds = {"sm": "real", "compute": "virtual"}
        options["CMAKE_CUDA_ARCHITECTURES"] = ";".join(
            f"{one.number}{one.suffix}-{kinds[one.kind]}" for one in cuda
        )
    hip = [word for word in ordered if hip_target(word) is not None]
    if hip:
        options |= dict.fromkeys(("CMAKE_HIP_ARCHITECTURES", "GPU_TARGETS"), ";".join(hip))
    return options
