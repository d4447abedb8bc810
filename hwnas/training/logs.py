"""Where a training's figures go: a line for every few steps, to JSON lines, CSV or TensorBoard."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hwnas.errors import HwnasError
from hwnas.files import write_text
from hwnas.optional import require
from hwnas.training.schedule import Spent


class Sink(Protocol):
    """Takes lines: ``step``, ``seconds``, ``lr``, ``loss`` and whatever else a step reports."""

    def write(self, line: Mapping[str, float]) -> None: ...

    def rewind(self, step: int) -> None:
        """Forget the lines after ``step``: a training that was killed goes on from there."""

    def close(self) -> None: ...


class JsonLines:
    """One JSON document a line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, line: Mapping[str, float]) -> None:
        _append(self.path, json.dumps(dict(line)))

    def rewind(self, step: int) -> None:
        _keep_lines(self.path, lambda text: int(json.loads(text)["step"]) <= step)

    def close(self) -> None:
        """Every line is on disk already."""


class Csv:
    """Comma-separated values below a line of names, which are those of the first line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: list[str] = []

    def write(self, line: Mapping[str, float]) -> None:
        if not self._names:
            self._names = self._names_there() or list(line)
            if not self.path.exists():
                _append(self.path, ",".join(self._names))
        text = io.StringIO()
        csv.DictWriter(text, self._names, extrasaction="ignore", lineterminator="").writerow(dict(line))
        _append(self.path, text.getvalue())

    def rewind(self, step: int) -> None:
        names = self._names_there()
        if "step" in names:
            place = names.index("step")
            _keep_lines(self.path, lambda text: text == ",".join(names) or int(text.split(",")[place]) <= step)

    def close(self) -> None:
        """Every line is on disk already."""

    def _names_there(self) -> list[str]:
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8") as stream:
            return [name for name in stream.readline().strip().split(",") if name]


class TensorBoard:
    """Event files for TensorBoard in ``folder``; needs the extra ``tensorboard``."""

    def __init__(self, folder: Path) -> None:
        require("tensorboard", extra="tensorboard")
        self.folder = folder
        self._writer: Any = None
        self._purge: int | None = None

    def write(self, line: Mapping[str, float]) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder), purge_step=self._purge)
        for name, value in line.items():
            if name not in ("step", "seconds"):
                self._writer.add_scalar(f"train/{name}", value, int(line["step"]))

    def rewind(self, step: int) -> None:
        self._purge = step + 1

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


SINKS: dict[str, Callable[[Path], Sink]] = {
    "csv": lambda folder: Csv(folder / "train.csv"),
    "tensorboard": lambda folder: TensorBoard(folder / "tensorboard"),
}
"""By the names that users give: what writes into a run's folder beside its JSON lines."""


def open_sinks(names: Sequence[str], folder: Path) -> tuple[Sink, ...]:
    """The sinks of these names; HwnasError for another name, MissingPackage for one that is not installed."""
    unknown = [name for name in names if name not in SINKS]
    if unknown:
        raise HwnasError(f"there is no log {unknown[0]!r}", f"there are: {', '.join(SINKS)}")
    return tuple(SINKS[name](folder) for name in dict.fromkeys(names))


@dataclass
class Log:
    """Writes a line every ``every`` steps with the means since the last, as JSON to ``path`` and to ``sinks``.

    Keeps the losses: (step, mean loss since the previous entry).
    """

    path: Path | None = None
    every: int = 20
    losses: list[tuple[int, float]] = field(default_factory=list)
    sinks: tuple[Sink, ...] = ()
    _sums: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Of each figure the sum, and over how many steps: some steps have figures that others have not."""

    def __post_init__(self) -> None:
        if self.path is not None:
            self.sinks = (JsonLines(self.path), *self.sinks)

    def add(self, spent: Spent, figures: Mapping[str, float], **facts: float) -> None:
        """Take one step's figures (averaged) and facts such as the learning rate (the last one counts)."""
        for name, value in figures.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + value, count + 1
        if spent.steps % self.every == 0:
            self.flush(spent, **facts)

    def flush(self, spent: Spent, **facts: float) -> None:
        """Write what has been gathered."""
        if not self._sums:
            return
        means = {name: total / count for name, (total, count) in self._sums.items()}
        self.losses.append((spent.steps, means["loss"]))
        for sink in self.sinks:
            sink.write({"step": spent.steps, "seconds": round(spent.seconds, 3), **facts, **means})
        self._sums = {}

    def close(self) -> None:
        for sink in self.sinks:
            sink.close()

    def state(self) -> dict[str, Any]:
        """JSON of what has been gathered; :meth:`restore` reads it back."""
        return {"losses": self.losses, "sums": self._sums}

    def restore(self, state: Mapping[str, Any], step: int) -> None:
        """Be as after ``step``, when ``state`` was given; lines that were written since are taken back."""
        self.losses[:] = [(int(step), float(loss)) for step, loss in state["losses"]]
        self._sums = {str(name): (float(total), int(count)) for name, (total, count) in state["sums"].items()}
        self.rewind(step)

    def rewind(self, step: int) -> None:
        """Take back the lines that were written after ``step``."""
        for sink in self.sinks:
            sink.rewind(step)


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")


def _keep_lines(path: Path, wanted: Callable[[str], bool]) -> None:
    """Drop the other lines, and those that were cut off."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if wanted(line):
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError, IndexError):
            continue
    write_text(path, "".join(kept))
