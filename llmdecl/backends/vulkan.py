"""Anything with a Vulkan driver (`ggml/src/ggml-vulkan/ggml-vulkan.cpp`)."""

from llmdecl.backends.model import Backend, DriverOverhead, VisibleDevices

VULKAN = Backend(
    name="vulkan",
    device_prefix="Vulkan",
    rank=2,
    # :5264; counts all that the loader enumerates, software devices too
    visible_devices=VisibleDevices(variable="GGML_VK_VISIBLE_DEVICES", takes="index"),
    cmake=(("GGML_VULKAN", "ON"),),
    # :13034, minStorageBufferOffsetAlignment: 16 on NVIDIA, 4 on RADV, 64 on Intel's drivers
    alignment=64,
    pads_quantized_rows=False,  # :13044
    host_buffer="Vulkan_Host",
    offloads_ops=True,  # :15973
    min_offload_batch=32,
    asynchronous=True,  # :15285
    computes_all=True,
    keeps_for_fusions=False,
    flash_attn_f16_copies=False,
    # suballocation_block_size: GGML_VK_SUBALLOCATION_BLOCK_SIZE, else at most 1 GiB a buffer
    max_buffer_bytes=1 << 30,
    driver_overhead=DriverOverhead(
        bytes=192 << 20,
        reason="""An estimate, not measured: the driver's pipelines, descriptor pools and command
buffers, llama.cpp's staging buffers, and the scratch that grows when first needed
(`prealloc_size_x`, `_y`, `_split_k`: dequantized weights and caches), which it reports nowhere.""",
    ),
)
