"""Progress on a terminal, in a file, and silenced."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hwnas.cli.progress import BarProgress, PlainProgress, bars, format_duration, open_progress
from hwnas.progress import Silent


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (45.4, "45 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min"), (-1, "0 s")],
)
def test_format_duration(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_plain_lines_have_percent_and_time_left_and_are_few() -> None:
    lines: list[str] = []
    clock = Clock()
    with PlainProgress(lines.append, clock).task("training", 100) as task:
        for step in range(100):
            clock.now_s += 0.25
            task.update(step + 1, "loss 0.41")
    assert lines[0] == "training: 8%, 23 s left · loss 0.41"
    assert lines[-1] == "training: done in 25 s"
    assert 5 <= len(lines) <= 7


def test_short_work_prints_nothing() -> None:
    lines: list[str] = []
    clock = Clock()
    with PlainProgress(lines.append, clock).task("quick", 1) as task:
        clock.now_s += 1.5
        task.update(1)
    assert not lines


def test_failed_work_is_not_called_done() -> None:
    lines: list[str] = []
    clock = Clock()
    with pytest.raises(KeyError), PlainProgress(lines.append, clock).task("work", 1):
        clock.now_s += 10
        raise KeyError
    assert not lines


def test_bars_leave_a_line_for_long_work_only() -> None:
    screen = io.StringIO()
    clock = Clock()
    with bars(Console(file=screen, force_terminal=True, width=100)) as live:
        progress = BarProgress(live, clock)
        with progress.task("long [work]", 10) as task:
            clock.now_s += 30
            task.update(5, "half [way]")
            live.refresh()
        with progress.task("short", 10) as task:
            task.update(10)
        progress.say("a line that stays [really]")
    shown = screen.getvalue()
    assert "long [work]: done in 30 s" in shown
    assert "half [way]" in shown
    assert "short" not in shown
    assert "stays [really]" in shown


@pytest.mark.parametrize(
    ("terminal", "quiet", "kind"), [(True, False, BarProgress), (False, False, PlainProgress), (True, True, Silent)]
)
def test_open_progress_fits_the_stream(terminal: bool, quiet: bool, kind: type) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal)
    with open_progress(console, quiet=quiet) as progress:
        assert isinstance(progress, kind)
