"""A device of another machine behind `ggml-rpc-server` (`ggml/src/ggml-rpc/ggml-rpc.cpp`).

Alignment, padding and F16 copies are those of the device there, which is asked for a tensor's size
(:849). The values here are for a processor behind it.
"""

from llmdecl.backends.model import Backend, DriverOverhead

RPC = Backend(
    name="rpc",
    device_prefix="RPC",
    rank=3,
    visible_devices=None,  # `--rpc` names the servers
    cmake=(("GGML_RPC", "ON"),),
    alignment=32,  # ggml-cpu's TENSOR_ALIGNMENT
    pads_quantized_rows=False,
    host_buffer=None,
    offloads_ops=False,  # :2262
    min_offload_batch=0,
    asynchronous=True,  # :2191
    computes_all=True,
    keeps_for_fusions=False,
    flash_attn_f16_copies=False,
    max_buffer_bytes=None,
    driver_overhead=DriverOverhead(
        bytes=0,
        reason="""The driver's memory over there belongs to the server's process, which is there
before any model.""",
    ),
)
