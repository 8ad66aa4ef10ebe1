"""A resolved model in its place: solved, in the engine's words, with reasons."""

from collections.abc import Sequence
from dataclasses import replace

from llmdecl.backends.table import BACKENDS
from llmdecl.engines.choice import Choice
from llmdecl.engines.flags import FlagTable
from llmdecl.engines.llama_cpp.placement import HERE, Placing
from llmdecl.engines.llama_cpp.server import server_settings
from llmdecl.engines.llama_cpp.writer import number
from llmdecl.memory.model import Device, Placement
from llmdecl.plan.devices import View, behind, view
from llmdecl.plan.ledger import attends_at_home, ledger
from llmdecl.plan.model import DevicePlan, PlacementPlan
from llmdecl.plan.placement import Fixed, Kind, Measured, Room, Solution, solve
from llmdecl.plan.sizes import layer_count, layer_sizes
from llmdecl.plan.subject import Beside, Resolved, Subject

NO_FLAGS = FlagTable(())
DRIVER_VARIABLE = "MTMD_BACKEND_DEVICE"
"""How an engine without `--mmproj-device` is told where the projector goes."""


def place(resolved: Resolved, *besides: Beside) -> Subject:
    """Beside the first neighbours with which it fits; with none of them, beside nobody."""
    subject = None
    for beside in dict.fromkeys((*besides, Beside())):
        subject = _place(resolved, beside)
        if min(subject.left.values()) >= 0:
            break
    assert subject is not None
    return subject


def _place(resolved: Resolved, beside: Beside) -> Subject:
    if resolved.wishes.alone.value:
        taken = {part.pool for part in beside.parts} - {"host"}
        beside = Beside(beside.parts, beside.closed | taken)

    def measure(placement: Placement) -> Measured:
        pools = [device.id for device in placement.devices]
        return Measured(beside.left(resolved.host, ledger(resolved, placement), pools))

    def judge(placement: Placement) -> Measured:
        return replace(measure(placement), sound=attends_at_home(resolved, placement))

    rooms = _rooms(resolved, beside)
    fixed = _fixed(resolved, len(rooms))
    if fixed.split_mode == "none" and 0 < fixed.main_gpu < len(rooms):
        rooms = rooms[fixed.main_gpu :][:1]
    sizes = layer_sizes(resolved.gguf, resolved.run, kv_offload=fixed.kv_offload)
    solution = solve(rooms, fixed, sizes, measure)
    if solution.measured.fits and not attends_at_home(resolved, solution.placement):
        solution = solve(rooms, fixed, sizes, judge)  # seldom, and twice the questions
    return _subject(resolved, beside, solution)


def _rooms(resolved: Resolved, beside: Beside) -> list[Room]:
    if resolved.wishes.on_cpu:
        return []
    free = beside.left(resolved.host, (), (device.id for device in resolved.devices))
    return [
        Room(
            device=Device(
                id=device.id,
                backend=device.backend,
                free_bytes=device.memory_bytes,
                architecture=device.architecture,
            ),
            free=free[device.id],
            kind=f"{device.backend} {device.architecture} {device.shares_host_memory}",
            far=device.endpoint is not None,
            least=BACKENDS[device.backend].driver_overhead.on(device.architecture),
        )
        for device in resolved.devices
    ]


def _fixed(resolved: Resolved, count: int) -> Fixed:
    """What the spec decides; a split that is not for these devices is reported, and solved."""
    wishes = resolved.wishes
    layers = wishes.layers
    if not wishes.auto and layers is None:
        layers = layer_count(resolved.gguf)
    known = {"CPU", *(device.id for device in resolved.devices)}
    overrides = tuple(pair for pair in wishes.overrides() if pair[1] in known)
    shares = wishes.tensor_split.value if wishes.tensor_split else ()
    if len(shares) != count or not sum(shares) or wishes.mode == "none":
        shares = ()
    return Fixed(
        n_gpu_layers=layers,
        n_cpu_moe=_n_cpu_moe(resolved),
        tensor_split=tuple(float(share) for share in shares),
        split_mode=wishes.mode,
        main_gpu=wishes.main_gpu.value if wishes.main_gpu else 0,
        overrides=overrides,
        kv_offload=wishes.kv_offload.value,
        op_offload=wishes.op_offload.value,
        no_host=wishes.no_host.value,
        needed=frozenset(buffer for _, buffer in overrides if buffer != "CPU"),
        every=bool(shares) or wishes.mode in ("row", "tensor"),
    )


def _n_cpu_moe(resolved: Resolved) -> int | None:
    wishes, blocks = resolved.wishes, layer_count(resolved.gguf) - 1
    if wishes.cpu_moe is not None and wishes.cpu_moe.value:
        return blocks
    if wishes.n_cpu_moe is not None:
        return min(wishes.n_cpu_moe.value, blocks)
    return None if wishes.cpu_moe is None else 0


def _subject(resolved: Resolved, beside: Beside, solution: Solution) -> Subject:
    known = {device.id: device for device in resolved.reach}
    used = [known[device.id] for device in solution.placement.devices]
    seen = view(used, resolved.reach)
    plan = _plan(resolved, solution, seen)
    placing = _Words(resolved, solution, used, seen, plan).placing()
    table = resolved.engine.table or NO_FLAGS
    memory = ledger(resolved, solution.placement)
    settings, lacking = server_settings(resolved.server, placing, table)
    variables = dict(seen.environment)
    if placing.mmproj_offload.value and not table.usable("--mmproj-device"):
        variables[DRIVER_VARIABLE] = placing.mmproj_device.value
    return Subject(
        **{key: getattr(resolved, key) for key in Resolved.__dataclass_fields__},
        beside=beside,
        kind=solution.kind,
        placement=plan,
        memory=memory,
        left=beside.left(resolved.host, memory, plan.devices),
        settings=settings,
        lacking=lacking if resolved.engine.table else (),
        environment=tuple(sorted({**dict(resolved.given_environment), **variables}.items())),
    )


def _plan(resolved: Resolved, solution: Solution, seen: View) -> PlacementPlan:
    placed = solution.placement
    return PlacementPlan(
        devices=tuple(device.id for device in placed.devices),
        engine_devices=seen.names,
        n_gpu_layers=placed.n_gpu_layers,
        n_layers=layer_count(resolved.gguf),
        layers=solution.layers,
        split_mode=placed.split_mode,
        tensor_split=placed.tensor_split,
        main_gpu=placed.main_gpu if len(placed.devices) > 1 else 0,
        n_cpu_moe=solution.n_cpu_moe,
        overrides=placed.overrides,
        kv_offload=placed.kv_offload,
        op_offload=placed.op_offload,
        no_host=placed.no_host,
        served=behind(seen.rpc, resolved.host.devices),
    )


class _Words:
    """A solution as choices with reasons."""

    def __init__(
        self,
        resolved: Resolved,
        solution: Solution,
        used: Sequence[DevicePlan],
        seen: View,
        plan: PlacementPlan,
    ) -> None:
        self.resolved, self.wishes, self.solution = resolved, resolved.wishes, solution
        self.used, self.seen, self.plan = used, seen, plan
        self.at = resolved.pick.address

    def placing(self) -> Placing:
        """Everything that is passed."""
        wishes, seen, plan = self.wishes, self.seen, self.plan
        here = Choice("none", self.at("n-gpu-layers"), HERE)
        main = Choice(plan.main_gpu, self.at("main-gpu" if self.used else "n-gpu-layers"), HERE)
        first = seen.names[0] if seen.names and plan.n_gpu_layers else "none"
        draft, mmproj = self.resolved.draft, self.resolved.server.mmproj
        beside = "on the first device of its model" if first != "none" else HERE
        draft_at = draft.address if draft else here.address
        mmproj_at = mmproj.path.address if mmproj else here.address
        layers = layer_count(draft.gguf) if draft and draft.gguf and first != "none" else 0
        offload = first != "none" and mmproj is not None and mmproj.offload.value
        given = mmproj is not None and mmproj.offload.given
        return Placing(
            rpc=self._rpc(),
            device=self._device(),
            n_gpu_layers=self._layers(),
            split_mode=self._split_mode(),
            tensor_split=self._tensor_split(),
            main_gpu=self._main_gpu(main),
            overrides=self._overrides(),
            n_cpu_moe=self._n_cpu_moe(),
            cpu_moe=wishes.cpu_moe if wishes.cpu_moe and wishes.cpu_moe.value else None,
            kv_offload=wishes.kv_offload,
            op_offload=wishes.op_offload
            if self.used
            else Choice(value=False, address=here.address, reason="no device takes part"),
            no_host=wishes.no_host,
            draft_device=Choice(first, draft_at, beside),
            draft_layers=Choice(layers, draft_at, beside),
            mmproj_device=Choice(first, mmproj_at, beside),
            mmproj_offload=Choice(
                value=offload,
                address=mmproj.offload.address if mmproj else here.address,
                reason="the spec says so" if given and (offload or first != "none") else beside,
            ),
        )

    def _rpc(self) -> Choice[str] | None:
        if not self.seen.rpc:
            return None
        return Choice(",".join(self.seen.rpc), self.at("devices"), "the servers of its devices")

    def _device(self) -> Choice[str]:
        if not self.used:
            given = self.wishes.devices or self.wishes.n_gpu_layers
            return Choice("none", given.address if given else self.at("n-gpu-layers"), HERE)
        names = ",".join(self.seen.names)
        wish = self.wishes.devices
        ids = ", ".join(device.id for device in self.used)
        if len(self.resolved.devices) == len(self.used):
            why = wish.reason if wish else "all that the host has"
        elif len(self.used) == 1:
            why = "of those that hold it the one with most memory left"
        else:
            why = "as few devices as hold it"
        pinned = "" if self.seen.pinned else "; known by number: no UUID pins it"
        return Choice(names, wish.address if wish else self.at("devices"), f"{ids}: {why}{pinned}")

    def _layers(self) -> Choice[int]:
        count, of = self.plan.n_gpu_layers, self.plan.n_layers
        wish, at = self.wishes.n_gpu_layers, self.at("n-gpu-layers")
        if wish is not None:
            at = wish.address
        if wish is not None and not self.wishes.auto:
            if wish.value == "all":
                return Choice(count, at, f"all: {of} layers, the output among them", given=True)
            if count == wish.value:
                return Choice(count, at, wish.reason, given=True)
            why = f"{wish.value} ({wish.reason}), of {of} layers" if self.used else HERE
            return Choice(count, at, why, given=True)
        on_one = f"auto: all {of} layers fit {self.used[0].id}" if self.used else ""
        why = {
            Kind.ONE: on_one,
            Kind.SPLIT: f"auto: all {of} layers fit {len(self.used)} devices, and not fewer",
            Kind.EXPERTS: f"auto: all {of} layers, with experts of some on the CPU",
            Kind.LAYERS: f"auto: of {of} layers as many as fit",
            Kind.CPU: "auto: no device has room for a layer"
            if self.resolved.devices and not self.wishes.on_cpu
            else "auto: the processor computes every layer",
        }[self.solution.kind]
        return Choice(count, at, why, wish is not None)

    def _split_mode(self) -> Choice[str]:
        wish = self.wishes.split_mode
        if wish is not None:
            return wish
        where = (self.at("split-mode"), "default") if self.used else (self.at("n-gpu-layers"), HERE)
        return Choice(self.plan.split_mode, *where)

    def _main_gpu(self, here: Choice[int]) -> Choice[int]:
        wish = self.wishes.main_gpu
        if not self.used:
            return here
        if wish is None:
            return Choice(0, here.address, "the first of its devices")
        if wish.value == self.plan.main_gpu:
            return wish
        return wish.but(self.plan.main_gpu, f"{wish.value} of `devices`: {self.used[0].id}")

    def _tensor_split(self) -> Choice[str] | None:
        if len(self.used) < 2:
            return None
        text = ",".join(number(share) for share in self.plan.tensor_split)
        wish = self.wishes.tensor_split
        parts = ", ".join(
            f"{_count(count)} on {device.id}"
            for count, device in zip(self.plan.layers, self.used, strict=True)
        )
        if wish is not None and self.plan.tensor_split == wish.value:
            return wish.but(text, f"{wish.reason}: {parts}")
        if self.plan.split_mode in ("row", "tensor"):
            return Choice(text, self.at("tensor-split"), "by the room of each device")
        return Choice(text, self.at("tensor-split"), f"auto: {parts}")

    def _overrides(self) -> Choice[str] | None:
        wish = self.wishes.override_tensor
        buffers = dict(zip(self.plan.devices, self.seen.buffers, strict=True)) | {"CPU": "CPU"}
        pairs = [pair for pair in self.wishes.overrides() if pair[1] in buffers]
        if wish is None or not pairs or not self.used:
            return None
        text = ",".join(f"{regex}={buffers[name]}" for regex, name in pairs)
        return wish.but(text, wish.reason)

    def _n_cpu_moe(self) -> Choice[int] | None:
        wish, count = self.wishes.n_cpu_moe, self.plan.n_cpu_moe
        if not self.used or not count:
            return None
        if wish is not None:
            return wish.but(count, wish.reason)
        why = f"auto: the experts of {count} blocks, the fewest that fit"
        if self.solution.kind is Kind.LAYERS:
            why = "auto: all experts, before a layer"
        return Choice(count, self.at("n-cpu-moe"), why)


def _count(layers: int) -> str:
    return "1 layer" if layers == 1 else f"{layers} layers"
