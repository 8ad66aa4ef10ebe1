"""Damaged answers: whatever a tool or a file says, it ends in devices and diagnostics."""

from hypothesis import given, settings
from hypothesis import strategies as st

from llmdecl.facts.engine_text import parse_devices
from llmdecl.facts.hardware.devices import devices_of
from llmdecl.facts.hardware.machine import read
from llmdecl.facts.hardware.reading import Reading, Said
from tests.facts.recorded import DATA, Recorded, engine

NAMES = sorted(path.name for path in DATA.iterdir())
READINGS = {name: read(Recorded(DATA / name)) for name in NAMES}
WORDS = st.one_of(
    st.sampled_from(
        [
            "",
            "-1",
            "0",
            "0x",
            "[N/A]",
            "99999999999999999999999",
            ",",
            ":",
            "\0",
            "{",
            "null",
            "GPU0:",
        ]
    ),
    st.text(max_size=12),
)


@st.composite
def damaged(draw):
    """A recording with a few of its texts cut, emptied, or with a word in the wrong place."""
    reading = READINGS[draw(st.sampled_from(NAMES))]
    files, tools = dict(reading.files), dict(reading.tools)
    for _ in range(draw(st.integers(1, 4))):
        table = draw(st.sampled_from([t for t in (files, tools) if t] or [files]))
        if not table:
            continue
        key = draw(st.sampled_from(sorted(table)))
        old = table[key]
        text = (old.text if isinstance(old, Said) else old) or ""
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 40)))
        new = text[:start] + draw(WORDS) + text[end:]
        if isinstance(old, Said):
            table[key] = draw(
                st.sampled_from([old.replace(text=new), Said(text=new), Said(text=new, status=1)])
            )
        else:
            table[key] = draw(st.sampled_from([new, None]))
    return Reading(files=files, tools=tools)


class Nobody:
    def is_own(self, pid):
        return False

    def command(self, pid):
        return None


@settings(deadline=None, max_examples=300)
@given(damaged(), st.sampled_from([None, "cuda", "vulkan"]))
def test_a_damaged_answer_is_no_traceback(reading, backend):
    """Devices have memory, ids are unique, summaries are one line."""
    engines = {"llama": engine("Available devices:\n  (none)\n", *([backend] if backend else []))}
    devices, _, said = devices_of(reading, Nobody(), engines)
    assert all(0 < device.memory_bytes < 1 << 64 for device in devices)
    assert len({device.id for device in devices}) == len(devices)
    assert all("\n" not in diagnostic.summary for diagnostic in said)


@given(st.text())
def test_any_text_is_a_list_of_devices(text):
    parse_devices(text)
    parse_devices("Available devices:\n" + text)
