"""Every gradient method from data to a measured engine, beside ``random`` at the same total time.

    HWNAS_CAMVID=CamVid python benchmarks/methods_camvid.py --out runs/methods

Each method is one ``hwnas deploy --method`` on CamVid at 120x160 in ``--minutes`` (6); ``auto-deeplab`` and ``cas`` are
run once more at 180x240 in ``--long-minutes`` (20; 0 leaves them out). ``random`` searches the default space in as many
minutes. Tables are measured once for each space and size and shared. What is finished is not run again, so the script
can be stopped. Printed is a row a run: mIoU on ``val`` (read once, by the deployment's last stage), predicted and
measured latency, the budget, the minutes of the search and in all, and the discretisation gap. The exit code is 1 if a
method ends over its budget as measured.

A small one: ``--data streets --size 96x128 --minutes 1 --long-minutes 0 --method proxyless``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

METHODS = ("darts", "auto-deeplab", "cas", "gas", "fasterseg", "proxyless")
LONG = ("auto-deeplab", "cas")


@dataclass(frozen=True)
class Row:
    """One deployment."""

    name: str
    arguments: tuple[str, ...]
    minutes: float
    size: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=f"camvid:{os.environ.get('HWNAS_CAMVID', 'CamVid')}")
    parser.add_argument("--out", type=Path, default=Path("runs/methods"))
    parser.add_argument("--size", default="120x160")
    parser.add_argument("--long-size", default="180x240")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--long-minutes", type=float, default=20.0)
    parser.add_argument("--budget", default="10ms")
    parser.add_argument("--long-budget", default="25ms")
    parser.add_argument("--method", action="append", help="only these")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    chosen = a.method or list(METHODS)
    rows = [Row(name, ("--method", name, "--budget", a.budget), a.minutes, a.size) for name in chosen]
    rows.append(Row("random", ("--strategy", "random", "--budget", a.budget), a.minutes, a.size))
    if a.long_minutes:
        rows += [
            Row(f"{name}-long", ("--method", name, "--budget", a.long_budget), a.long_minutes, a.long_size)
            for name in LONG
            if name in chosen
        ]
    found = [(row, _deployed(row, a)) for row in rows]
    return _print(found)


def _deployed(row: Row, a: argparse.Namespace) -> dict[str, Any] | str:
    """The closing document of the row's deployment, or why there is none."""
    run = a.out / row.name
    result = run / "result.json"
    if not result.exists():
        command = ["deploy", "--data", a.data, "--size", row.size, *row.arguments, "--run", str(run)]
        command += ["--minutes", str(row.minutes), "--seed", str(a.seed), "--quiet"]
        done = _hwnas([*command, *(["--resume"] if (run / "config.json").exists() else [])])
        if not result.exists():
            lines = done.stderr.strip().splitlines()
            return lines[-2] if len(lines) > 1 else done.stderr
    document: dict[str, Any] = json.loads(result.read_text())
    document["search_minutes"] = _search_minutes(run)
    return document


def _search_minutes(run: Path) -> float:
    stamps = json.loads((run / "stages.json").read_text())
    stages = stamps.get("stages", stamps)
    return sum(stages[name]["seconds"] for name in ("supernet", "search") if name in stages) / 60


def _hwnas(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "hwnas.cli", *arguments], capture_output=True, text=True, check=False)


def _print(found: Sequence[tuple[Row, dict[str, Any] | str]]) -> int:
    over = 0
    print(
        f"{'':<20} {'val mIoU':>8} {'predicted':>10} {'measured':>9} {'budget':>7} {'search':>7} {'all':>6} {'gap':>6}"
    )
    for row, document in found:
        if isinstance(document, str):
            print(f"{row.name:<20} {document}")
            over += 1
            continue
        verdict, search = document["validate"], document["search"]
        gap = search.get("discretisation_gap")
        print(
            f"{row.name:<20} {verdict['miou']:8.2%} {search['latency_ms']:7.2f} ms {verdict['p50_ms']:6.2f} ms "
            f"{verdict['budget_ms']:4.0f} ms {document['search_minutes']:5.1f} m {document['seconds'] / 60:4.1f} m "
            + ("     –" if gap is None else f"{gap:+6.1%}")
        )
        over += verdict["verdict"] != "PASS"
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
