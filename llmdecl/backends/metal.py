"""Apple's processors (`ggml/src/ggml-metal/ggml-metal.cpp`). Only ever declared."""

from llmdecl.backends.model import Backend, DriverOverhead

METAL = Backend(
    name="metal",
    device_prefix="MTL",
    rank=0,
    visible_devices=None,
    cmake=(("GGML_METAL", "ON"),),
    alignment=32,  # :269
    pads_quantized_rows=False,
    host_buffer=None,  # :697
    offloads_ops=True,  # :774, matrix multiplications only
    min_offload_batch=32,
    asynchronous=True,
    computes_all=True,
    keeps_for_fusions=False,
    flash_attn_f16_copies=False,
    max_buffer_bytes=None,
    driver_overhead=DriverOverhead(
        bytes=64 << 20,
        reason="""An estimate, not measured: command queues and compiled pipelines.""",
    ),
)
