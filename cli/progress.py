"""How far work is, on standard error: bars with time left on a terminal, plain lines elsewhere, nothing with ``-q``.

Work that takes under two seconds shows nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwnas.progress import Progress, Silent, Task

if TYPE_CHECKING:
    import rich.progress
    from rich.console import Console

SHOW_AFTER_S = 2.0
PLAIN_EVERY_S = 5.0


def format_duration(seconds: float) -> str:
    """``200.0`` → ``"3 min 20 s"``; two units at most."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@contextmanager
def open_progress(console: Console, *, quiet: bool) -> Iterator[Progress]:
    """The Progress that fits ``console``; on leaving, bars are taken off the screen."""
    if quiet:
        yield Silent()
    elif console.is_terminal:
        with bars(console) as live:
            yield BarProgress(live)
    else:
        yield PlainProgress(lambda line: console.print(line, markup=False, highlight=False))


class PlainProgress:
    """Lines such as ``training: 42%, 3 min 20 s left · loss 0.41``, at most one every few seconds a task."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        task = _PlainTask(label, total, self._write, self._clock)
        yield task
        task.finish()

    def say(self, line: str) -> None:
        self._write(line)


class _PlainTask:
    def __init__(self, label: str, total: float, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._label, self._total, self._write, self._clock = label, total, write, clock
        self._started_s = clock()
        self._due_s = self._started_s + SHOW_AFTER_S

    def update(self, done: float, note: str = "") -> None:
        now_s = self._clock()
        if now_s < self._due_s:
            return
        self._due_s = now_s + PLAIN_EVERY_S
        share = done / self._total if self._total > 0 else 0.0
        share = min(1.0, max(0.0, share))
        line = f"{self._label}: {share:.0%}"
        if share > 0:
            line += f", {format_duration((now_s - self._started_s) * (1 - share) / share)} left"
        self._write(f"{line} · {note}" if note else line)

    def finish(self) -> None:
        took_s = self._clock() - self._started_s
        if took_s >= SHOW_AFTER_S:
            self._write(f"{self._label}: done in {format_duration(took_s)}")


def bars(console: Console) -> rich.progress.Progress:
    """The live display: label, bar, percentage, time left, note. It also keeps others' lines above the bars."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console,
        transient=True,
    )


class BarProgress:
    """A bar for each running task; one that took over two seconds leaves a line with its duration."""

    def __init__(self, live: rich.progress.Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._live = live
        self._clock = clock

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        bar = _BarTask(self._live, label, total, self._clock)
        try:
            yield bar
            bar.finish()
        finally:
            bar.remove()

    def say(self, line: str) -> None:
        self._live.console.print(line, markup=False, highlight=False)


class _BarTask:
    def __init__(self, live: rich.progress.Progress, label: str, total: float, clock: Callable[[], float]) -> None:
        self._live, self._label, self._clock = live, label, clock
        self._started_s = clock()
        self._id = live.add_task(label.replace("[", "\\["), total=total or None, note="", visible=False)

    def update(self, done: float, note: str = "") -> None:
        shown = self._clock() - self._started_s >= SHOW_AFTER_S
        self._live.update(self._id, completed=done, note=note.replace("[", "\\["), visible=shown)

    def finish(self) -> None:
        took_s = self._clock() - self._started_s
        if took_s >= SHOW_AFTER_S:
            self._live.console.print(f"{self._label}: done in {format_duration(took_s)}", markup=False, highlight=False)

    def remove(self) -> None:
        self._live.remove_task(self._id)
