"""Words of llama-server's log that name a cause of trouble, and the cause. Pure data.

Messages of ggml-cuda (`GGML_CUDA_NAME` is `CUDA` or `ROCm`), ggml-vulkan, ggml-rpc, common/arg.cpp
and of the CUDA and HIP runtimes' error strings.
"""

from collections.abc import Iterable, Mapping

FAILURES: Mapping[str, str] = {
    "no usable GPU found": "the engine sees no device: it has no backend for one, or its driver"
    " or library does not answer",
    "driver version is insufficient": "driver and CUDA library do not fit together: after a"
    " driver's update, reboot or load its modules anew",
    "forward compatibility was attempted": "driver and CUDA library do not fit together",
    "system not yet initialized": "the NVIDIA fabric manager is not running",
    "no CUDA-capable device": "the CUDA driver sees no device: none of the visible UUIDs is here,"
    " or the process may not open /dev/nvidia*",
    "no ROCm-capable device": "the ROCm runtime sees no device: none of the visible ones is here,"
    " or the process may not open /dev/kfd and /dev/dri/renderD* (groups render, video)",
    "failed to initialize CUDA: unknown error": "the CUDA driver is not ready: /dev/nvidia-uvm is"
    " missing, often early after boot",
    "failed to initialize CUDA": "the CUDA driver does not answer",
    "failed to initialize ROCm": "the ROCm runtime does not answer",
    "ggml_vulkan: No devices found": "Vulkan sees no device: no driver (ICD), or the process may"
    " not open /dev/dri/renderD*",
    "invalid device ordinal": "a device is not visible to the process",
    "no kernel image is available": "the engine was not built for this device's architecture",
    "invalid device function": "the engine was not built for this device's architecture",
    "invalid device:": "the engine does not see a device of this name: its driver does not answer,"
    " it is hidden from the process, or the engine has no backend for it",
    "retrying without pipeline parallelism": "work buffers for pipeline parallelism did not fit",
    "out of memory": "a device has less memory free than was planned",
    "ErrorOutOfDeviceMemory": "a device has less memory free than was planned",
    "unable to allocate": "memory could not be had",
    "failed to allocate": "memory could not be had",
    "Permission denied": "the process may not open a device or a file",
    "Failed to connect to": "an RPC server does not answer",
    "couldn't bind": "the socket is taken",
    "not supported, set to disabled": "an operation is computed on another device than its layer",
    "error loading model": "the engine refused the model",
    "failed to load model": "the engine refused the model",
    "failed to create context": "the engine refused the settings",
    "failed to create llama_context": "the engine refused the settings",
}
"""Narrower words before wider ones: a line has one cause."""


def is_failure(line: str) -> bool:
    """Whether a line names a cause of trouble."""
    return any(words in line for words in FAILURES)


def causes_of(lines: Iterable[str]) -> tuple[str, ...]:
    """What lines mean, each cause once, in their order."""
    found = (next((c for w, c in FAILURES.items() if w in line), None) for line in lines)
    return tuple(dict.fromkeys(cause for cause in found if cause is not None))
