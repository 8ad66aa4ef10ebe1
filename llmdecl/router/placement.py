"""What an engine's log says next to what was planned: no silent CPU. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from llmdecl.engines.llama_cpp.load_log import HOST, Reported, causes, is_loaded, read_load_log
from llmdecl.measured import MeasuredPart
from llmdecl.router.config import Expect, ExpectedPart
from llmdecl.units import format_bytes
from llmdecl.values import Value

MEBIBYTE = 1 << 20
EXACT_PARTS_PER_THOUSAND = 1
EXACT_SLACK = MEBIBYTE
"""How far an exact part may be off: 0.1 % and 1 MiB, for the log rounds each buffer."""

BOUND_PERCENT = 10
BOUND_SLACK = 32 * MEBIBYTE
"""The same for work buffers and bounds, the larger of the two."""

NO_DEVICE = (
    "the engine sees no device: its driver or library does not answer, the device is hidden from"
    " the process or may not be opened, or the engine has no backend for it"
)


class Verdict(Value, frozen=True, kw_only=True):
    """What became of a start. `known` is false when the log says nothing of it.

    `where` is a phrase (`gpu0 33/33 layers`, `CPU`); `differences` are sentences, each with both
    numbers; `causes` the likely ones, the likeliest first.
    """

    known: bool = True
    where: str = ""
    parts: tuple[MeasuredPart, ...] = ()
    differences: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()

    def memory(self) -> dict[str, int]:
        """Reported bytes by pool."""
        found: dict[str, int] = {}
        for part in self.parts:
            found[part.pool] = found.get(part.pool, 0) + part.bytes
        return found


def judge(expect: Expect, log: str) -> Verdict:
    """The log of one start, which says that all is loaded, against the plan."""
    reports = read_load_log(log)
    if not is_loaded(log):
        return Verdict(known=False, causes=causes(reports[0]))
    return compare(expect, reports)


def compare(expect: Expect, reports: Sequence[Reported]) -> Verdict:
    """The same for a log that was read."""
    main = reports[0]
    if not main.buffers:
        return Verdict(known=False, causes=causes(main))
    pools = dict(expect.devices)
    parts = tuple(_parts(reports, pools))
    wrong = [*_devices(expect, main), *_layers(expect, main), *_flash_attention(expect, main)]
    return Verdict(
        where=_where(main, pools),
        parts=parts,
        differences=tuple(wrong or _sizes(expect.parts, parts)),
        causes=_causes(expect, main) if wrong else (),
    )


def _parts(reports: Sequence[Reported], pools: Mapping[str, str]) -> Iterator[MeasuredPart]:
    sums: dict[tuple[str, str], int] = {}
    for report in reports:
        prefix = "" if report.role == "model" else f"{report.role}-"
        for (place, part), size in report.sums().items():
            key = pools.get(place, place), prefix + part
            sums[key] = sums.get(key, 0) + size
    for (pool, part), size in sorted(sums.items()):
        yield MeasuredPart(pool=pool, part=part, bytes=size)


def _where(main: Reported, pools: Mapping[str, str]) -> str:
    if not main.on_devices:
        return "CPU"
    names = "+".join(pools.get(name, name) for name in main.devices)
    return f"{names} {main.on_devices}/{main.layers_total} layers"


def _devices(expect: Expect, main: Reported) -> Iterator[str]:
    planned = ", ".join(f"{pool} ({name})" for name, pool in expect.devices) or "the CPU alone"
    wanted = {name for name, _ in expect.devices}
    if wanted and not main.devices:
        yield f"it computes on the CPU, planned is {planned}"
    elif wanted != set(main.devices):
        yield f"it uses {', '.join(main.devices)}, planned is {planned}"


def _layers(expect: Expect, main: Reported) -> Iterator[str]:
    found, wanted = main.on_devices, expect.n_gpu_layers
    if main.layers_offloaded is not None and found != wanted:
        yield f"{found} of {main.layers_total} layers are on devices, planned are {wanted}"


def _flash_attention(expect: Expect, main: Reported) -> Iterator[str]:
    if None not in (expect.flash_attn, main.flash_attn) and expect.flash_attn != main.flash_attn:
        words = {True: "on", False: "off"}
        found, wanted = words[bool(main.flash_attn)], words[bool(expect.flash_attn)]
        yield f"flash attention is {found}, planned is {wanted}"


def _sizes(expected: Sequence[ExpectedPart], parts: Sequence[MeasuredPart]) -> Iterator[str]:
    """Parts that are not as large as planned; a bound may be missed downwards."""
    if not expected:
        return
    planned = {(part.pool, part.part): part for part in expected}
    found = {(part.pool, part.part): part.bytes for part in parts}
    for pool, part in sorted(planned.keys() | _comparable(found, planned)):
        plan = planned.get((pool, part))
        size, wanted = found.get((pool, part), 0), plan.bytes if plan else 0
        exact = plan is None or plan.exact
        if part.removeprefix("draft-") == "compute" or not exact:
            slack = max(wanted * BOUND_PERCENT // 100, BOUND_SLACK)
        else:
            slack = wanted * EXACT_PARTS_PER_THOUSAND // 1000 + EXACT_SLACK
        if size - wanted > slack or (exact and wanted - size > slack):
            took, were = format_bytes(size), format_bytes(wanted)
            yield f"{part} takes {took} on {pool}, planned {'are' if plan else 'were'} {were}"


def _comparable(
    found: Mapping[tuple[str, str], int], planned: Mapping[tuple[str, str], ExpectedPart]
) -> set[tuple[str, str]]:
    """Reported parts that a plan would have: of a kind that it knows, in whatever pool; host
    weights only where they are planned, for the others are mapped."""
    kinds = {part for _, part in planned} | {"kv-cache", "weights", "compute"}
    mapped = {(HOST, "weights"), (HOST, "draft-weights")}
    return {key for key in found if key[1] in kinds and key not in mapped}


def _causes(expect: Expect, main: Reported) -> tuple[str, ...]:
    """What the log names, else what is likely."""
    named = causes(main)
    wanted = {name for name, _ in expect.devices}
    if named or wanted <= set(main.devices):
        return named
    if not main.listed:
        return (NO_DEVICE,)
    return (f"the engine sees only {', '.join(main.listed)}",)
