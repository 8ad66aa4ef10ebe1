"""NVIDIA's cards by CUDA (`ggml/src/ggml-cuda/ggml-cuda.cu`)."""

from llmdecl.backends.model import Backend, DriverOverhead, VisibleDevices

MEBIBYTE = 1 << 20

CUDA = Backend(
    name="cuda",
    device_prefix="CUDA",
    rank=0,
    # CUDA C++ Programming Guide, "CUDA Environment Variables"; MIG User Guide, "CUDA Device
    # Enumeration": a process sees one MIG instance at most
    visible_devices=VisibleDevices(
        variable="CUDA_VISIBLE_DEVICES", takes="uuid", uuid_prefixes=("GPU-", "MIG-")
    ),
    cmake=(("GGML_CUDA", "ON"),),
    alignment=128,  # :897
    pads_quantized_rows=True,  # :913
    host_buffer="CUDA_Host",
    offloads_ops=True,  # :5651
    min_offload_batch=32,
    asynchronous=True,  # :5123; not with GGML_CUDA_NO_PEER_COPY
    computes_all=False,
    keeps_for_fusions=True,
    flash_attn_f16_copies=True,  # fattn.cu:722
    max_buffer_bytes=None,
    driver_overhead=DriverOverhead(
        bytes=512 * MEBIBYTE,
        by_architecture={
            "sm_61": 256 * MEBIBYTE,
            "sm_75": 320 * MEBIBYTE,
            "sm_86": 448 * MEBIBYTE,
            "sm_89": 480 * MEBIBYTE,
            "sm_90": 640 * MEBIBYTE,
            "sm_100": 704 * MEBIBYTE,
            "sm_103": 704 * MEBIBYTE,
            "sm_120": 640 * MEBIBYTE,
        },
        reason="""The CUDA context grows with the multiprocessors of a card; kernels are loaded when
first used and cuBLAS takes a workspace (32 MiB on Hopper and later). Measured by others, in
issues of ggml-org/llama.cpp: the context alone 107 MiB (4060 Ti) to 555 MiB (RTX PRO 6000, sm_120;
#23604, #20595), 506 MiB on a 5090 (#25465); all that llama.cpp does not account for 451 to 456 MiB
on a 4090 (#15860). The other rows are set by their largest card's multiprocessors.""",
    ),
)
