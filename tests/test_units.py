"""Sizes and durations as people write them."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmdecl.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_bytes,
    format_duration,
    parse_bytes,
    parse_duration_s,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0B", 0),
        ("512B", 512),
        ("1KiB", 1024),
        ("24GiB", 24 << 30),
        ("24 GiB", 24 << 30),
        ("1.5GiB", 3 << 29),
        ("2TiB", 2 << 40),
        ("1KB", 1000),
        ("1.5 MB", 1_500_000),
        ("0.5KiB", 512),
        ("16GB", 16 * 10**9),
    ],
)
def test_sizes(text, value):
    """Binary units count in 1024, decimal ones in 1000; the result is exact."""
    assert value == parse_bytes(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "GiB",
        "24gb",
        "24G",
        "24gib",
        "-1GiB",
        "1e3MiB",
        " 24GiB",
        "24GiB ",
        "24  GiB",
        "0.0001KiB",
        "0.5B",
        "٢٤GiB",
        "99999999TiB",
        "1GiB1MiB",
        "1_000MiB",
        "1,5GiB",
        "24GiB\n",
    ],
)
def test_what_is_no_size(text):
    """A wrong size says what is wrong with it."""
    with pytest.raises(ValueError, match="`"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("1.5s", 1.5),
        ("15m", 900),
        ("1h30m", 5400),
        ("1d", 86400),
        ("250ms", 0.25),
        ("1d2h3m4s5ms", 93784.005),
        ("0.5h", 1800),
    ],
)
def test_durations(text, seconds):
    """Units from days to milliseconds, each once, the largest first."""
    assert seconds == parse_duration_s(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "m",
        "30 m",
        "1m1h",
        "1h1h",
        "-5s",
        "5sec",
        "1H",
        "never",
        " 5s",
        "5s\n",
        "٥s",
        "1h 5m",
    ],
)
def test_what_is_no_duration(text):
    """A wrong duration says what is wrong with it."""
    with pytest.raises(ValueError, match="`"):
        parse_duration_s(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (31457280, "30.0 MiB"),
        (1024**2 - 1, "1.0 MiB"),
        (24 << 30, "24.0 GiB"),
        (5 << 40, "5.0 TiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_sizes_for_people(value, text):
    """One decimal from KiB on, and never 1024 of a unit that has a larger one."""
    assert text == format_bytes(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (0.9996, "1s"),
        (1.5, "1.5s"),
        (59.97, "1m"),
        (90, "1m30s"),
        (5400, "1h30m"),
        (86400 * 3660, "3660d"),
        (-90, "-1m30s"),
    ],
)
def test_durations_for_people(seconds, text):
    """The two or three largest units that are not zero."""
    assert text == format_duration(seconds)


@given(st.integers(0, 10**9))
def test_whole_seconds_survive(seconds):
    """What is shown of whole seconds can be read again."""
    assert seconds == parse_duration_s(format_duration(seconds))


@given(
    st.one_of(
        st.text(max_size=12),
        st.from_regex(r"[0-9]{1,16}(\.[0-9]{1,7})? ?(B|[KMGT]i?B|[kmg]b)", fullmatch=True),
        st.from_regex(r"([0-9]{1,3}(\.[0-9])?(ms|s|m|h|d)){1,3}", fullmatch=True),
    )
)
def test_patterns_of_the_schema_agree(text):
    """JSON Schema's patterns take the sizes and durations that are read."""
    if _reads(parse_bytes, text):
        assert re.search(SIZE_PATTERN, text)
    assert _reads(parse_duration_s, text) == bool(re.fullmatch(DURATION_PATTERN, text))


def _reads(parse, text):
    try:
        parse(text)
    except ValueError:
        return False
    return True


def test_patterns_are_in_the_committed_schema():
    """Editors get them."""
    schema = (Path(__file__).parent.parent / "docs" / "llmdecl.schema.json").read_text()
    for pattern in (SIZE_PATTERN, DURATION_PATTERN):
        assert json.dumps(pattern)[1:-1] in schema
