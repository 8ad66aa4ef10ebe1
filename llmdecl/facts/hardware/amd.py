"""AMD's cards, from amdgpu's files, the KFD topology, rocminfo and amd-smi. Pure.

Files are described in the kernel's `gpu/amdgpu/driver-misc.rst` and `drivers/gpu/drm/amd/amdkfd/
kfd_topology.c`. A processor with graphics has memory of two kinds: a carve-out that firmware took
away from the system before the kernel saw it ("VRAM"), and pages of the system's memory (GTT).
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from llmdecl.facts.hardware.probes import AMD, gpus
from llmdecl.facts.hardware.reading import Reading, Seen, Sighting, Trouble, number, pci_address

_TOPOLOGY = "/sys/class/kfd/kfd/topology/nodes/"
_INTEGRATED = frozenset(
    [
        "gfx902",
        "gfx909",
        "gfx90c",
        "gfx1013",
        "gfx1033",
        "gfx1035",
        "gfx1036",
        "gfx1037",
        "gfx1103",
        "gfx1150",
        "gfx1151",
        "gfx1152",
        "gfx1153",
    ]
)
"""Graphics of processors (LLVM's AMDGPUUsage, "AMDGPU Processors": type APU)."""
_INTEGRATED_IDS = frozenset((0x74A0, 0x74BD))
"""MI300A shares its target with the MI300X (amdgpu_ids: 74A0, 74BD)."""
_MEBIBYTE = 1 << 20


def amd(reading: Reading) -> Seen:
    """Each of amdgpu's devices once for HIP when the KFD has it, else without a backend."""
    cards = [address for address, vendor in gpus(reading).items() if vendor == AMD]
    nodes = dict(_nodes(reading))
    tools = {**_of_amd_smi(reading), **_of_rocminfo(reading)}
    found: list[Sighting] = []
    troubles: list[Trouble] = []
    usable = "/dev/kfd" in reading.files and reading.files["/dev/kfd"] is not None
    for address in cards:
        folder = f"/sys/bus/pci/devices/{address}"
        vram = reading.number(f"{folder}/mem_info_vram_total")
        if vram is None:
            continue  # not driven by amdgpu: vfio, radeon
        node = nodes.get(address, {})
        tool = tools.get(address, Sighting(source="tools"))
        target = gfx_target(number(node.get("gfx_target_version"))) or tool.architecture
        integrated = target in _INTEGRATED or (
            reading.number(f"{folder}/device") in _INTEGRATED_IDS
        )
        hip = usable and target is not None
        found.append(
            Sighting(
                source="amdgpu",
                backend="hip" if hip else None,
                index=list(nodes).index(address) if hip and address in nodes else None,
                name=reading.text(f"{folder}/product_name") or tool.name,
                architecture=target,
                driver=_driver(reading),
                pci=address,
                uuid=_uuid(number(node.get("unique_id"))) or tool.uuid,
                integrated=integrated if target is not None else None,
                used_by=tuple(_uses(reading, node.get("gpu_id"))),
                **_memory(reading, folder, integrated=integrated),
            )
        )
        if not usable and "/dev/kfd" in reading.files:
            troubles.append(_no_kfd(address))
    return tuple(found), tuple(troubles)


def _memory(reading: Reading, folder: str, *, integrated: bool) -> dict[str, Any]:
    """What HIP gives: of an integrated device its carve-out or GTT, whichever is larger.

    Since Linux 6.10 KFD takes all memory from GTT where that is larger than the carve-out
    (`apu_prefer_gtt`, amdgpu_ttm.c).
    """
    vram, used, gtt, gtt_used = (
        reading.number(f"{folder}/mem_info_{name}")
        for name in ("vram_total", "vram_used", "gtt_total", "gtt_used")
    )
    shared: dict[str, Any] = {}
    if integrated:
        shared = {"shares_host_memory": True, "dedicated_bytes": vram, "carve_out_bytes": vram}
    if integrated and (gtt or 0) > (vram or 0):
        vram, used = gtt, gtt_used
        shared["dedicated_bytes"] = 0
    free = None if vram is None or used is None else max(0, vram - used)
    memory = (vram or 0) // _MEBIBYTE * _MEBIBYTE or None
    return {"memory_bytes": memory, "free_bytes": free, **shared}


def _nodes(reading: Reading) -> Iterator[tuple[str, dict[str, str]]]:
    """The topology's graphics nodes by PCI address, in its order, which is HIP's."""
    numbers = [
        int(path[len(_TOPOLOGY) :].partition("/")[0])
        for path in reading.files
        if re.fullmatch(re.escape(_TOPOLOGY) + r"\d{1,4}/properties", path)
    ]
    seen: set[str] = set()
    for node in sorted(numbers):
        text = reading.text(f"{_TOPOLOGY}{node}/properties") or ""
        fields = dict(line.split(None, 1) for line in text.splitlines() if " " in line)
        place, domain = number(fields.get("location_id")), number(fields.get("domain", "0"))
        if place is None or domain is None or not number(fields.get("gfx_target_version")):
            continue
        address = f"{domain:04x}:{place >> 8 & 0xFF:02x}:{place >> 3 & 0x1F:02x}.{place & 7:x}"
        if address not in seen:
            seen.add(address)
            yield address, {**fields, "gpu_id": reading.text(f"{_TOPOLOGY}{node}/gpu_id") or ""}


def gfx_target(version: int | None) -> str | None:
    """`110501` as `gfx1151`, `90010` as `gfx90a`; None for a processor's node (0)."""
    if not version:
        return None
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"


def _uuid(unique_id: int | None) -> str | None:
    """What ROCR_VISIBLE_DEVICES takes; graphics of processors have none."""
    return f"GPU-{unique_id:016x}" if unique_id else None


def _driver(reading: Reading) -> str:
    version = reading.text("/sys/module/amdgpu/version")
    kernel = reading.text("/proc/sys/kernel/osrelease")
    return f"amdgpu {version}" if version else f"amdgpu of Linux {kernel or '?'}"


def _uses(
    reading: Reading, gpu_id: str | None
) -> Iterator[tuple[int | None, str | None, int | None]]:
    """Processes that compute on the device and what they hold of its memory."""
    for path in sorted(reading.files):
        match = re.fullmatch(r"/sys/class/kfd/kfd/proc/(\d+)/vram_(\d+)", path)
        size = reading.number(path)
        if match and match[2] == gpu_id and size:
            yield int(match[1]), None, size


def _no_kfd(address: str) -> Trouble:
    return Trouble(
        kind="device",
        subject=address,
        summary=f"ROCm can't use the AMD device at {address}: this user may not open /dev/kfd",
        notes=("members of the group that owns it may: usually `usermod -aG render USER`",),
    )


def _of_rocminfo(reading: Reading) -> dict[str, Sighting]:
    """Agents that are GPUs by PCI address; `BDFID` is bus, device and function in one number."""
    said = reading.said("rocminfo")
    found: dict[str, Sighting] = {}
    for block in re.split(r"^Agent \d+\s*$", said.text if said.ok else "", flags=re.MULTILINE)[1:]:
        fields: dict[str, str] = {}
        for line in block.splitlines():
            name, colon, value = line.strip().partition(":")
            if colon:
                fields.setdefault(name, value.strip())
        place = number(fields.get("BDFID"))
        if fields.get("Device Type") != "GPU" or place is None:
            continue
        domain = number(fields.get("Domain")) or 0
        address = f"{domain:04x}:{place >> 8 & 0xFF:02x}:{place >> 3 & 0x1F:02x}.{place & 7:x}"
        uuid = fields.get("Uuid", "")
        found[address] = Sighting(
            source="rocminfo",
            name=fields.get("Marketing Name") or None,
            architecture=fields.get("Name"),
            pci=address,
            uuid=uuid if re.fullmatch(r"GPU-[0-9a-f]{16}", uuid) else None,
        )
    return found


def _of_amd_smi(reading: Reading) -> dict[str, Sighting]:
    """Of `amd-smi static --asic --bus --json`: a list, since ROCm 7 within `gpu_data`."""
    said = reading.said("amd-smi")
    try:
        tree = msgspec.json.decode(said.text) if said.ok else []
    except ValueError:
        return {}
    cards = tree.get("gpu_data") if isinstance(tree, dict) else tree
    found: dict[str, Sighting] = {}
    for card in cards if isinstance(cards, list) else ():
        asic, bus = (_table(card, key) for key in ("asic", "bus"))
        address = pci_address(str(bus.get("bdf")))
        if address is not None:
            found[address] = Sighting(
                source="amd-smi",
                name=_known(asic.get("market_name")),
                architecture=_known(asic.get("target_graphics_version")),
                pci=address,
            )
    return found


def _table(card: object, key: str) -> dict[str, Any]:
    value = card.get(key) if isinstance(card, dict) else None
    return value if isinstance(value, dict) else {}


def _known(value: object) -> str | None:
    return value if isinstance(value, str) and value not in ("", "N/A") else None
