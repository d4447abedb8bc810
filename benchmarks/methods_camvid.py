"""Every gradient method from data to a measured engine, beside ``random`` at the same total time.

    HWNAS_CAMVID=CamVid python benchmarks/methods_camvid.py --out runs/methods

Each method is one ``hwnas deploy --method`` on CamVid at 120x160 in ``--minutes`` (6); ``auto-deeplab`` and ``cas`` are
run once more at 180x240 in ``--long-minutes`` (20; 0 leaves them out). ``random`` searches the default space in as many
minutes. ``fasterseg`` has half as much again of the budget: nothing in its space is quicker than most of it. Tables
are measured once for each space and size (``--profile-minutes``, by the wall clock, not counted), and shared. Minutes
are CPU time on one core (``--clock cpu``, ``--core``): what a run gets done does not depend on what else the machine
does. What is finished is not run again, and what was stopped goes on, so the script can be stopped.

Printed is a row a run: mIoU on ``val`` (read once, by the deployment's last stage), predicted and measured latency, the
budget, the minutes of the search and in all, the discretisation gap, the wall minutes and the machine's mean load.
Measured is p50 by the wall clock, or, where most samples were interrupted by other processes, in CPU time (*). The exit
code is 1 if a method ends over its budget as measured.

A small one: ``--data streets --size 96x128 --minutes 1 --long-minutes 0 --method proxyless``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.cli.methods import settled
from hwnas.cli.options import parse_budget_ms
from hwnas.exporters.benchmark import MOSTLY
from hwnas.files import read_json, write_json
from hwnas.shapes import parse_size

METHODS = ("auto-deeplab", "fasterseg", "gas", "cas", "proxyless", "darts")
LONG = ("auto-deeplab", "cas")
ROOMIER = {"fasterseg": 1.5}
"""Methods that get so many times the budget: ``fasterseg``'s quickest network takes 9 ms at 120x160 on one core."""


@dataclass(frozen=True)
class Row:
    """One deployment."""

    name: str
    method: str | None
    """None: random search."""
    budget: str
    minutes: float
    size: str

    @property
    def space(self) -> str:
        """The one that its method takes at its size."""
        return str(settled(self.method, None, None, None, parse_size(self.size))["space"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=f"camvid:{os.environ.get('HWNAS_CAMVID', 'CamVid')}")
    parser.add_argument("--out", type=Path, default=Path("runs/methods"))
    parser.add_argument("--size", default="120x160")
    parser.add_argument("--long-size", default="180x240")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--long-minutes", type=float, default=20.0)
    parser.add_argument("--profile-minutes", type=float, default=2.0)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the one to run on")
    parser.add_argument("--budget", default="10ms")
    parser.add_argument("--long-budget", default="25ms")
    parser.add_argument("--method", action="append", help="only these")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    os.sched_setaffinity(0, {a.core})
    chosen = a.method or [*METHODS, "random"]
    rows = [
        Row(name, None if name == "random" else name, _budget(name, a.budget), a.minutes, a.size) for name in chosen
    ]
    if a.long_minutes:
        rows += [
            Row(f"{name}-long", name, a.long_budget, a.long_minutes, a.long_size) for name in LONG if name in chosen
        ]
    found = []
    for row in rows:
        found.append((row, _deployed(row, a)))
        print(_line(*found[-1]), file=sys.stderr, flush=True)
    return _print(found)


def _budget(name: str, budget: str) -> str:
    return f"{parse_budget_ms(budget) * ROOMIER[name]:g}ms" if name in ROOMIER else budget


def _deployed(row: Row, a: argparse.Namespace) -> dict[str, Any] | str:
    """The closing document of the row's deployment, or why there is none."""
    run = a.out / row.name
    result, machine = run / "result.json", a.out / f"{row.name}.machine.json"
    if not result.exists():
        table, said = _table(row, a)
        if said:
            return said
        way = ("--method", row.method) if row.method else ("--strategy", "random")
        command = ["deploy", "--data", a.data, "--size", row.size, *way, "--budget", row.budget, "--run", str(run)]
        command += ["--table", str(table), "--clock", "cpu", "--minutes", str(row.minutes), "--seed", str(a.seed)]
        begun = time.monotonic()
        try:
            done = _hwnas([*command, "--quiet", *(["--resume"] if (run / "config.json").exists() else [])])
        finally:
            _remember(machine, (time.monotonic() - begun) / 60)
        if not result.exists():
            return _said(done)
    document: dict[str, Any] = json.loads(result.read_text())
    document["search_minutes"] = _search_minutes(run)
    document["machine"] = read_json(machine, "the machine's state")
    return document


def _remember(machine: Path, wall_minutes: float) -> None:
    """Add a life of a run: how long it took by the wall clock, and the load of the machine in its last 15 minutes."""
    known = read_json(machine, "the machine's state") if machine.exists() else {"wall_minutes": 0.0, "loads": []}
    known["wall_minutes"] += wall_minutes
    write_json(machine, {**known, "loads": [*known["loads"], os.getloadavg()[2]]})


def _table(row: Row, a: argparse.Namespace) -> tuple[Path, str]:
    """The latency table of the row's space and size, measured now if it is not there; or why it cannot be."""
    path = a.out / f"table-{row.space}-{row.size}.json"
    if path.exists():
        return path, ""
    minutes = ["--minutes", str(a.profile_minutes), "--seed", str(a.seed), "--quiet"]
    classes = ["--classes", str(_classes(a.data))]
    done = _hwnas(["profile", "--space", row.space, "--size", row.size, *classes, *minutes, "-o", str(path)])
    return path, "" if path.exists() else _said(done)


def _classes(data: str) -> int:
    from hwnas.data.base import open_dataset

    return len(open_dataset(data).classes)


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence that a command ended with."""
    lines = done.stderr.strip().splitlines()
    return next((line for line in lines if line.startswith("error")), lines[-1] if lines else f"exit {done.returncode}")


def _search_minutes(run: Path) -> float:
    stamps = json.loads((run / "stages.json").read_text())
    stages = stamps.get("stages", stamps)
    return sum(stages[name]["seconds"] for name in ("supernet", "search") if name in stages) / 60


def _hwnas(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "hwnas.cli", *arguments], capture_output=True, text=True, check=False)


def _measured(verdict: dict[str, Any]) -> tuple[float, str]:
    """Latency as measured, and a mark where the machine was too busy for the wall clock."""
    busy = verdict["disturbed"] > MOSTLY
    return (verdict["cpu_p50_ms"], "*") if busy else (verdict["p50_ms"], " ")


def _line(row: Row, document: dict[str, Any] | str) -> str:
    if isinstance(document, str):
        return f"{row.name:<18} {document}"
    verdict, search, machine = document["validate"], document["search"], document["machine"]
    gap, (measured_ms, mark) = search.get("discretisation_gap"), _measured(verdict)
    load = sum(machine["loads"]) / len(machine["loads"])
    return (
        f"{row.name:<18} {verdict['miou']:8.2%} {search['latency_ms']:7.2f} ms {measured_ms:6.2f} ms{mark} "
        f"{verdict['budget_ms']:4.0f} ms {document['search_minutes']:5.1f} m {document['seconds'] / 60:4.1f} m "
        + ("     –" if gap is None else f"{gap:+6.1%}")
        + f" {machine['wall_minutes']:5.1f} m {load:5.1f}"
    )


def _print(found: Sequence[tuple[Row, dict[str, Any] | str]]) -> int:
    print(
        f"{'':<18} {'val mIoU':>8} {'predicted':>10} {'measured':>9}  {'budget':>7} {'search':>7} {'all':>6} "
        f"{'gap':>6} {'wall':>7} {'load':>5}"
    )
    over = 0
    for row, document in found:
        print(_line(row, document))
        over += isinstance(document, str) or _measured(document["validate"])[0] > document["validate"]["budget_ms"]
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
