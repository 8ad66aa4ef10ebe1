"""A program of its own: what NVML (`nvidia-ml-py`, extra `nvidia`) says, as JSON.

Apart from llmdecl, because a call into a driver that is stuck never comes back. Exit status 0 with
the reading, 3 when the Python package or the library is not there, 4 when the library fails.
"""

import sys
from collections.abc import Iterator
from typing import Any

from llmdecl.facts.hardware.nvidia import NvmlDevice, NvmlReading
from llmdecl.values import to_json

ABSENT, FAILS = 3, 4


def main() -> int:
    """Reads and prints."""
    try:
        import pynvml
    except ImportError:
        return _end("nvidia-ml-py is not installed", ABSENT)
    try:
        pynvml.nvmlInit()
        text = to_json(_reading(pynvml)).decode()
    except pynvml.NVMLError as error:
        absent = error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
        return _end(f"NVML: {error}", ABSENT if absent else FAILS)
    return _end(text, 0)


def _end(text: str, status: int) -> int:
    sys.stdout.write(text.rstrip("\n") + "\n")
    return status


def _reading(nvml: Any) -> NvmlReading:
    devices: list[NvmlDevice] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        mig = (_value(nvml, "DeviceGetMigMode", handle) or (0, 0))[0] == 1
        card = _device(nvml, handle, index, mig=mig)
        devices.append(card)
        if mig:
            for number, instance in _instances(nvml, handle):
                found = _device(nvml, instance, number, mig=False)
                devices.append(found.replace(pci=card.pci, instance_of=card.uuid))
    return NvmlReading(driver=_text(nvml.nvmlSystemGetDriverVersion()), devices=tuple(devices))


def _instances(nvml: Any, handle: Any) -> Iterator[tuple[int, Any]]:
    for number in range(_value(nvml, "DeviceGetMaxMigDeviceCount", handle) or 0):
        instance = _value(nvml, "DeviceGetMigDeviceHandleByIndex", handle, number)
        if instance is not None:
            yield number, instance


def _device(nvml: Any, handle: Any, index: int, *, mig: bool) -> NvmlDevice:
    memory = _value(nvml, "DeviceGetMemoryInfo", handle, nvml.nvmlMemory_v2)
    if memory is None:
        memory = _value(nvml, "DeviceGetMemoryInfo", handle)
    capability = _value(nvml, "DeviceGetCudaComputeCapability", handle)
    pci = _value(nvml, "DeviceGetPciInfo", handle)
    return NvmlDevice(
        index=index,
        name=_text(_value(nvml, "DeviceGetName", handle)),
        uuid=_text(_value(nvml, "DeviceGetUUID", handle)),
        pci=_text(pci.busId) if pci else None,
        memory_total=memory.total if memory else None,
        memory_reserved=getattr(memory, "reserved", None) if memory else None,
        memory_free=memory.free if memory else None,
        compute_capability=tuple(capability) if capability else None,
        mig=mig,
        processes=tuple(_processes(nvml, handle)),
    )


def _processes(nvml: Any, handle: Any) -> Iterator[tuple[int, str | None, int | None]]:
    seen: set[int] = set()
    for kind in ("Compute", "Graphics"):
        for process in _value(nvml, f"DeviceGet{kind}RunningProcesses", handle) or ():
            if process.pid not in seen:
                seen.add(process.pid)
                name = _value(nvml, "SystemGetProcessName", process.pid)
                yield process.pid, _text(name), process.usedGpuMemory


def _value(nvml: Any, name: str, *arguments: Any) -> Any:
    """What a device answers, or None for what it doesn't support."""
    try:
        return getattr(nvml, f"nvml{name}")(*arguments)
    except (nvml.NVMLError, UnicodeDecodeError):
        return None


def _text(value: Any) -> str | None:
    """Old versions of the package answer bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


if __name__ == "__main__":
    sys.exit(main())
