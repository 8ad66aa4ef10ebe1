"""The tables of devices as a page for people, `docs/devices.md`. Pure."""

from collections.abc import Iterable, Iterator

from llmdecl.engines.llama_cpp import amd_architectures, nvidia_architectures
from llmdecl.engines.llama_cpp.amd_architectures import AMD, THEROCK
from llmdecl.engines.llama_cpp.architectures import OVERRIDE, needed_override, release
from llmdecl.engines.llama_cpp.nvidia_architectures import (
    MACHINE_CODE_DRIVER,
    NVIDIA,
    PTX_DRIVER,
    Release,
)

_NVIDIA_HEAD = ("architecture", "generation", "devices", "CUDA", "driver")
_AMD_HEAD = ("architecture", "generation", "devices", "ROCm's libraries", "supported", OVERRIDE)


_INTRODUCTION = """Written by llmdecl from its own tables. An engine of source is built for the
architectures of the host's devices; `architectures` says otherwise."""
_OF_NVIDIA = """*Driver* came with the oldest CUDA from 11.0 on that compiles for it. Machine code
of a later one needs {code}; PTX (`compute_86`) needs the driver of its own toolkit: {ptx}."""
_OF_AMD = """An override in bold is needed with all ROCm before {therock}; the others help older
releases. A process with it takes its device for the other one."""


def devices_page() -> str:
    """Markdown: what each architecture is, what compiles for it, and what it needs to run."""
    parts = (
        "# Devices and architectures",
        _INTRODUCTION,
        "## NVIDIA",
        _table(_NVIDIA_HEAD, _nvidia()),
        _OF_NVIDIA.format(code=_drivers(), ptx=_ptx()),
        _sources(nvidia_architectures.__doc__),
        "## AMD",
        _table(_AMD_HEAD, _amd()),
        _OF_AMD.format(therock=release(THEROCK)),
        _sources(amd_architectures.__doc__),
    )
    return "\n\n".join(parts) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = tuple(head)
    lines = (names, tuple("---" for _ in names), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _span(first: Release, last: Release | None) -> str:
    return f"{release(first)} to {release(last)}" if last else f"{release(first)} on"


def _nvidia() -> Iterator[tuple[str, ...]]:
    for name, known in NVIDIA.items():
        oldest = max(known.first, (11, 0))
        driver = _version(max(MACHINE_CODE_DRIVER[oldest[0]], PTX_DRIVER[oldest]))
        cards = ", ".join(known.cards) + (" (its own code only)" if known.embedded else "")
        yield f"`{name}`", known.generation, cards, _span(known.first, known.last), driver


def _amd() -> Iterator[tuple[str, ...]]:
    for name, known in AMD.items():
        libraries = _span(*known.libraries) if known.libraries else "none"
        needed = needed_override(name)
        pairs = (f"**{pair}**" if pair == needed else pair for pair in known.overrides)
        yield (
            f"`{name}`",
            known.generation,
            ", ".join(known.cards),
            libraries,
            "yes" if known.official else "",
            ", ".join(pairs),
        )


def _version(numbers: tuple[int, ...]) -> str:
    """`525.60.13`: all but the first number have two digits."""
    return ".".join(f"{number:02}" if at else str(number) for at, number in enumerate(numbers))


def _drivers() -> str:
    return ", ".join(
        f"{_version(driver)} for {major}.x" for major, driver in MACHINE_CODE_DRIVER.items()
    )


def _ptx() -> str:
    return ", ".join(f"{_version(driver)} for {release(at)}" for at, driver in PTX_DRIVER.items())


def _sources(text: str | None) -> str:
    """What the table's own page says of where it is from."""
    return "Sources:\n\n" + (text or "").partition("Sources:")[2].strip()
