"""Intel's cards by oneAPI (`ggml/src/ggml-sycl/ggml-sycl.cpp`)."""

from llmdecl.backends.model import Backend, DriverOverhead, VisibleDevices

SYCL = Backend(
    name="sycl",
    device_prefix="SYCL",
    rank=1,
    # intel/llvm, sycl/doc/EnvironmentVariables.md
    visible_devices=VisibleDevices(
        variable="ONEAPI_DEVICE_SELECTOR", takes="index", word_prefix="level_zero:"
    ),
    cmake=(("GGML_SYCL", "ON"),),
    alignment=128,  # common.hpp:253
    pads_quantized_rows=True,  # :1057
    host_buffer="SYCL_Host",
    offloads_ops=True,  # :6863
    min_offload_batch=32,
    asynchronous=True,  # :6375
    computes_all=True,
    keeps_for_fusions=False,
    flash_attn_f16_copies=True,  # fattn.cpp, ggml_sycl_flash_attn_ext_get_alloc_size
    max_buffer_bytes=None,
    driver_overhead=DriverOverhead(
        bytes=320 << 20,
        reason="""An estimate, not measured: Level Zero's context and kernels, oneDNN's and
oneMKL's scratch.""",
    ),
)
