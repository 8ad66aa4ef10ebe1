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


def test_lines_now_and_then(capsys):
    """Long work says how far it is, how fast, and how long it will take: of what comes now."""
    now = [0.0]
    view = Lines(lambda: now[0])
    view.begin("a", 4096, 1024)
    now[0] = 9.0
    view.advance("a", 512)
    now[0] = 10.0
    view.advance("a", 512)
    assert capsys.readouterr().err.splitlines() == [
        "a: begins (4.0 KiB, 1.0 KiB are here)",
        "a: 2.0 KiB of 4.0 KiB, 102 B/s, 0:00:20 left",
    ]


def test_waits(capsys):
    """What will not move for a while is said, with the reason, also on a terminal."""
    Lines().waits("a", "because")
    assert "a: waits, because\n" == capsys.readouterr().err
    out = io.StringIO()
    with Bars(console=Console(file=out, force_terminal=True, width=80), transient=True) as bars:
        Terminal(bars).waits("[a]", "because")
    assert "[a]: waits, because" in out.getvalue()


def test_terminal_goes_on():
    """On a terminal a download that goes on begins where it was, and that is no speed."""
    out = io.StringIO()
    with Bars(console=Console(file=out, force_terminal=True, width=80), transient=True) as bars:
        view = Terminal(bars)
        view.begin("a", 100, 60)
        assert (bars.tasks[0].completed, bars.tasks[0].speed) == (60, None)


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
