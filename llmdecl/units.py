"""Sizes and durations as people write them."""

import re
from fractions import Fraction

_BYTE_UNITS = {
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_SECOND_UNITS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
SIZE_PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,6})? ?(B|[KMGT]i?B)$"
"""What `parse_bytes` takes, for JSON Schema."""
DURATION_PATTERN = (
    r"^(?=.)([0-9]{1,12}(\.[0-9]{1,6})?d)?([0-9]{1,12}(\.[0-9]{1,6})?h)?"
    r"([0-9]{1,12}(\.[0-9]{1,6})?m)?([0-9]{1,12}(\.[0-9]{1,6})?s)?([0-9]{1,12}(\.[0-9]{1,6})?ms)?$"
)
"""What `parse_duration_s` takes, for JSON Schema."""

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([A-Za-z]+)")
_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")


def parse_bytes(text: str) -> int:
    """Bytes of `"24GiB"`, `"1.5 GB"`, `"512B"`; binary and decimal units keep their meaning.

    Raises ValueError, whose text says what is wrong with it.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a size such as `24GiB` or `512MiB`")
    unit = match[2]
    if unit not in _BYTE_UNITS:
        known = ", ".join(_BYTE_UNITS)
        raise ValueError(f"`{unit}` is not a unit of size; units are {known}")
    value = Fraction(match[1]) * _BYTE_UNITS[unit]
    if value.denominator != 1:
        raise ValueError(f"`{text}` is not a whole number of bytes")
    if value >= 1 << 63:
        raise ValueError(f"`{text}` is more than 2^63 bytes")
    return int(value)


def parse_duration_s(text: str) -> float:
    """Seconds of `"90s"`, `"1h"`, `"1h30m"`, `"250ms"`; raises ValueError."""
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise ValueError(f"`{text}` is not a duration such as `90s`, `15m` or `1h30m`")
    units = [part[2] for part in parts]
    order = sorted(units, key=lambda unit: -_SECOND_UNITS[unit])
    if units != order or len(set(units)) != len(units):
        raise ValueError(f"`{text}` names a unit twice or out of order")
    return float(sum((Fraction(part[1]) * _SECOND_UNITS[part[2]] for part in parts), Fraction(0)))


def format_bytes(value: int) -> str:
    """`31457280` as `30.0 MiB`: one decimal from KiB on, for people."""
    if abs(value) < 1 << 10:
        return f"{value} B"
    amount = float(value)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        if abs(amount) < 1023.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} TiB"


def format_duration(seconds: float) -> str:
    """`5400` as `1h30m`, `1.5` as `1.5s`, `0.25` as `250ms`."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 0.9995:
        return f"{round(seconds * 1000)}ms" if seconds else "0s"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    left, text = round(seconds), ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            text += f"{count}{unit}"
    return text
