"""What people see while something is on its way."""

import io
import sys

from rich.console import Console
from rich.progress import Progress as Bars

from llmdecl.cli.views.progress import Lines, Terminal, progress_view, shorten


def test_lines(capsys):
    """Without a terminal: a line at the start and one at the end, none for what was there."""
    with progress_view() as view:
        assert isinstance(view, Lines)
        view.begin("a", 2048)
        view.advance("a", 1024)
        view.begin("a", 4096)
        view.done("a", "in the store")
        view.done("b", "in the store")
        view.advance("b", 1)
    assert capsys.readouterr().err.splitlines() == ["a: begins (2.0 KiB)", "a: in the store"]


def test_lines_now_and_then(capsys, monkeypatch):
    """Long work says how far it is."""
    monkeypatch.setattr("llmdecl.cli.views.progress.EVERY_S", 0.0)
    view = Lines()
    view.begin("a", 2048)
    view.advance("a", 1024)
    assert "a: 1.0 KiB of 2.0 KiB" in capsys.readouterr().err


def test_terminal():
    """On a terminal: a bar that goes away, and a line that stays."""
    out = io.StringIO()
    with Bars(console=Console(file=out, force_terminal=True, width=80), transient=True) as bars:
        view = Terminal(bars)
        view.begin("[a]", None)
        view.begin("[a]", 10)
        view.advance("[a]", 10)
        assert bars.tasks[0].completed == 10
        view.done("[a]", "in the store")
        assert not bars.tasks
    assert "[a]: in the store" in out.getvalue()
    assert sys.stderr is not out


def test_shorten():
    """Both ends of a long name stay."""
    assert shorten("a" * 30 + "b" * 30, 11) == "aaaaa…bbbbb"
    assert shorten("short") == "short"
