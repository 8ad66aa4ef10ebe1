"""The probes as data: which files are read, which tools are asked, and when. Pure."""

from llmdecl.facts.hardware.reading import Reading
from llmdecl.values import Value


class Tool(Value, frozen=True, kw_only=True):
    """A program that lists devices. `{python}` stands for the interpreter that runs llmdecl."""

    name: str
    argv: tuple[str, ...]
    timeout_s: float = 15.0
    lasting: bool = False
    """Its answer holds until the machine, its device nodes or its drivers change."""


FILES = (
    "/sys/bus/pci/devices/*/class",
    "/sys/bus/pci/devices/*/vendor",
    "/sys/class/kfd/kfd/topology/nodes/*/properties",
    "/sys/class/kfd/kfd/topology/nodes/*/gpu_id",
    "/sys/class/kfd/kfd/proc/*/vram_*",
    "/sys/module/amdgpu/version",
    "/proc/driver/nvidia/version",
    "/proc/device-tree/compatible",
    "/proc/device-tree/model",
    "/proc/sys/kernel/osrelease",
    "/proc/meminfo",
)
OF_A_DEVICE = (
    "device",
    "uevent",
    "unique_id",
    "product_name",
    "mem_info_vram_total",
    "mem_info_vram_used",
    "mem_info_gtt_total",
    "mem_info_gtt_used",
    "drm/card*/lmem_total_bytes",
    "drm/card*/lmem_avail_bytes",
)
"""Below `/sys/bus/pci/devices/ADDRESS/`, of displays and accelerators only."""
VULKAN_DRIVERS = (
    "/etc/vulkan/icd.d/*.json",
    "/usr/share/vulkan/icd.d/*.json",
    "/usr/local/share/vulkan/icd.d/*.json",
    "/run/opengl-driver/share/vulkan/icd.d/*.json",
)
NODES = ("/dev/kfd", "/dev/nvidia*", "/dev/dxg", "/dev/dri/renderD*")
"""Device nodes: never read, only whether this user may open them."""

NVIDIA, AMD, INTEL = 0x10DE, 0x1002, 0x8086
_CLASSES = (0x03, 0x12)
"""PCI base classes: display controller, processing accelerator (pci.ids, class list)."""

_SMI_FIELDS = (
    "index,name,uuid,pci.bus_id,memory.total,memory.reserved,memory.free,driver_version,"
    "mig.mode.current,compute_cap"
)
NVML = Tool(name="nvml", argv=("{python}", "-P", "-m", "llmdecl.facts.hardware.nvml"), timeout_s=30)
"""Without persistence mode the driver starts every card anew, which takes seconds a card."""
NVIDIA_SMI = Tool(
    name="nvidia-smi",
    argv=("nvidia-smi", f"--query-gpu={_SMI_FIELDS}", "--format=csv,noheader,nounits"),
    timeout_s=30,
)
NVIDIA_SMI_OLD = Tool(
    name="nvidia-smi-old",
    argv=(
        "nvidia-smi",
        "--query-gpu=index,name,uuid,pci.bus_id,memory.total,memory.free,driver_version",
        "--format=csv,noheader,nounits",
    ),
)
"""For drivers before 510, which have no `memory.reserved` and no `compute_cap`."""
NVIDIA_SMI_APPS = Tool(
    name="nvidia-smi-apps",
    argv=(
        "nvidia-smi",
        "--query-compute-apps=gpu_uuid,pid,process_name,used_memory",
        "--format=csv,noheader,nounits",
    ),
)
NVIDIA_SMI_LIST = Tool(name="nvidia-smi-list", argv=("nvidia-smi", "-L"))
NVIDIA_SMI_XML = Tool(name="nvidia-smi-xml", argv=("nvidia-smi", "-q", "-x"))
ROCMINFO = Tool(name="rocminfo", argv=("rocminfo",), lasting=True)
AMD_SMI = Tool(
    name="amd-smi",
    argv=("amd-smi", "static", "--asic", "--bus", "--vram", "--json"),
    lasting=True,
)
VULKANINFO = Tool(name="vulkaninfo", argv=("vulkaninfo",), lasting=True)
VULKANINFO_SUMMARY = Tool(name="vulkaninfo-summary", argv=("vulkaninfo", "--summary"))


def gpus(reading: Reading) -> dict[str, int]:
    """Makers (PCI vendor numbers) of displays and accelerators by PCI address, in its order."""
    found: dict[str, int] = {}
    for path in sorted(reading.files):
        folder, _, name = path.rpartition("/")
        if name != "class" or not folder.startswith("/sys/bus/pci/devices/"):
            continue
        kind = reading.number(path)
        vendor = reading.number(f"{folder}/vendor")
        if kind is not None and kind >> 16 in _CLASSES and vendor is not None:
            found[folder.rpartition("/")[2]] = vendor
    return found


def has_nvidia(reading: Reading) -> bool:
    """Whether there is a sign of NVIDIA's hardware or driver (WSL has no PCI devices)."""
    signs = ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version")
    return NVIDIA in gpus(reading).values() or any(path in reading.files for path in signs)


def wanted(reading: Reading) -> tuple[Tool, ...]:
    """The tools to ask next, with what is known so far; none that was asked."""
    tools: list[Tool] = []
    if has_nvidia(reading):
        tools += _nvidia(reading)
    vendors = set(gpus(reading).values())
    if AMD in vendors:
        tools.append(ROCMINFO)
        if "rocminfo" in reading.tools and not reading.said("rocminfo").ok:
            tools.append(AMD_SMI)
    if vendors & {NVIDIA, AMD, INTEL} or any(
        path.startswith(("/dev/dri/renderD", "/dev/dxg")) for path in reading.files
    ):
        tools.append(VULKANINFO)
        said = reading.said("vulkaninfo")
        if said.problem is None and not said.ok:
            tools.append(VULKANINFO_SUMMARY)
    return tuple(tool for tool in tools if tool.name not in reading.tools)


def _nvidia(reading: Reading) -> tuple[Tool, ...]:
    """NVML; where it is not there or fails, nvidia-smi, which also has words for the failure.

    A driver in which NVML is stuck has nvidia-smi stuck, too.
    """
    nvml = reading.said("nvml")
    if "nvml" not in reading.tools or nvml.ok or nvml.problem == "hangs":
        return (NVML,)
    smi = reading.said("nvidia-smi")
    if "nvidia-smi" not in reading.tools:
        return (NVIDIA_SMI,)
    if not smi.ok:
        return (NVIDIA_SMI_OLD,) if "not a valid field" in smi.text else ()
    if "Enabled" in smi.text:
        return (NVIDIA_SMI_APPS, NVIDIA_SMI_LIST, NVIDIA_SMI_XML)
    return (NVIDIA_SMI_APPS,)
