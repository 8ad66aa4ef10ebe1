"""The page of devices is the tables'."""

from pathlib import Path

from llmdecl.engines.llama_cpp.devices_page import devices_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "devices.md"


def test_page(update_golden: bool) -> None:
    """`docs/devices.md` says what the tables say (`--update-golden` writes it)."""
    if update_golden:
        PAGE.write_text(devices_page())
    assert devices_page() == PAGE.read_text()
