"""AMD's cards by ROCm: the CUDA backend compiled with HIP (`ggml/src/ggml-hip`)."""

from llmdecl.backends.model import Backend, DriverOverhead, VisibleDevices

HIP = Backend(
    name="hip",
    device_prefix="ROCm",
    rank=0,
    # ROCm documentation, "GPU isolation techniques": HIP_VISIBLE_DEVICES takes indices only
    visible_devices=VisibleDevices(
        variable="ROCR_VISIBLE_DEVICES", takes="uuid", uuid_prefixes=("GPU-",)
    ),
    cmake=(("GGML_HIP", "ON"),),
    alignment=128,
    pads_quantized_rows=True,
    host_buffer="ROCm_Host",
    offloads_ops=True,
    min_offload_batch=32,
    asynchronous=True,
    computes_all=False,
    keeps_for_fusions=True,
    flash_attn_f16_copies=True,
    max_buffer_bytes=None,
    driver_overhead=DriverOverhead(
        bytes=512 << 20,
        reason="""An estimate, not measured: the ROCm runtime's queues and scratch, code objects of
the kernels in use, and the workspaces of rocBLAS and hipBLASLt (up to 128 MiB).""",
    ),
)
