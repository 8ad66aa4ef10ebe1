"""All backends that a device can have, by ggml's name in lower case."""

from collections.abc import Mapping

from llmdecl.backends.cuda import CUDA
from llmdecl.backends.hip import HIP
from llmdecl.backends.metal import METAL
from llmdecl.backends.model import Backend
from llmdecl.backends.rpc import RPC
from llmdecl.backends.sycl import SYCL
from llmdecl.backends.vulkan import VULKAN

BACKENDS: Mapping[str, Backend] = {
    "cuda": CUDA,
    "hip": HIP,
    "metal": METAL,
    "sycl": SYCL,
    "vulkan": VULKAN,
    "rpc": RPC,
}


def backend_of_device(engine_name: str) -> tuple[Backend, int] | None:
    """`CUDA1` as CUDA and 1: what an engine's own name of a device says; None for another's."""
    for backend in BACKENDS.values():
        number = engine_name.removeprefix(backend.device_prefix)
        if number != engine_name and number.isascii() and number.isdigit():
            return backend, int(number)
    return None
