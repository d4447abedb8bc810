"""How well a latency table predicts whole networks that it never saw.

    python benchmarks/table_accuracy.py --work accuracy --size 360x480 --other-size 720x960

Makes a calibrated table of the space on this machine within ``--minutes`` (or takes ``--table``), times random networks
that had no part in it, and prints by CPU time and by wall time: mean absolute error, the shares within ±5% and ±10%,
Kendall's τ and the bias, for the calibrated prediction and for the naive sum of kernels timed alone; beside them how
much the same networks differ when they are measured twice. With ``--other-size`` the same there, from kernels that are
timed at that size and the calibration of the first.

A run in which the same networks differ by more than 1.5% is void: it says so and ends with exit code 1. Everything
measured is kept in ``--work``; started again, it goes on where it was. It takes about 4 minutes for the table and 4 for
100 networks, on a core that nothing else uses; --pin says which.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.cli.options import parse_pin
from hwnas.errors import HwnasError
from hwnas.exporters.engine_models import EngineModels, models_for
from hwnas.files import write_json
from hwnas.latency.bundle import Bundle, read_bundle, write_bundle
from hwnas.latency.measure import Setting, read_lines
from hwnas.latency.model import TableModel
from hwnas.latency.plan import CALIBRATION_NETS, Plan, spread_nets
from hwnas.latency.profile import measure_in_process, profile
from hwnas.latency.summary import calm_blocks
from hwnas.latency.table import Accuracy, Calibration, LatencyTable, accuracy_of, load_table
from hwnas.progress import Silent
from hwnas.shapes import parse_size
from hwnas.spaces.base import SPACES

VOID_ABOVE = 0.015
MEDIAN = 3
"""Of the numbers that a block carries."""


def main() -> int:
    a = _arguments()
    setting = Setting(a.engine, a.precision, a.threads)
    run = Run(a, setting, models_for(a.engine, a.precision, 1, seed=a.seed))
    a.work.mkdir(parents=True, exist_ok=True)
    table = load_table(a.table) if a.table else run.table("table", a.size, a.minutes, calibration_nets=a.calibration)
    _describe(table, None if a.table else run.seconds("table"))
    void = run.judge(table, a.size, a.nets, "nets")
    if a.other_size:
        kernels = run.table("other", a.other_size, a.other_minutes, calibration_nets=0)
        print(f"\n{_size(a.other_size)}: its own kernels, the terms fitted at {_size(a.size)}")
        void |= run.judge(replace(kernels, calibration=table.calibration), a.other_size, a.other_nets, "other-nets")
    return int(void)


class Run:
    """The steps, each of which is done once for a working folder."""

    def __init__(self, arguments: argparse.Namespace, setting: Setting, models: EngineModels) -> None:
        self.a = arguments
        self.setting = setting
        self.models = models
        self.space = SPACES.get(arguments.space)

    def table(self, name: str, size_hw: tuple[int, int], minutes: float, *, calibration_nets: int) -> LatencyTable:
        """The table in the folder, measured if it is not there yet; no net is held out of it."""
        path = self.a.work / f"{name}.json"
        if not path.exists():
            with self.timed(name):
                profile(
                    self.space,
                    size_hw,
                    self.a.classes,
                    setting=self.setting,
                    seconds_limit=60 * minutes - self.seconds(name),
                    export_ops=self.models.export_ops,
                    assemble=self.models.assemble,
                    form=self.models.form,
                    program=self.models.program,
                    pin=self.a.pin,
                    out_path=path,
                    progress=Silent(),
                    rng=np.random.default_rng([self.a.seed, 1]),
                    calibration_nets=calibration_nets,
                    holdout_nets=0,
                )
        return load_table(path)

    def judge(self, table: LatencyTable, size_hw: tuple[int, int], count: int, name: str) -> bool:
        """Time unseen nets, print how they were predicted, and say whether the run is void."""
        bundle = self.nets(size_hw, count, name)
        journal = self.a.work / f"{name}.jsonl"
        measure_in_process(
            bundle.path,
            journal,
            setting=self.setting,
            seconds=60 * self.a.net_minutes,
            progress=Silent(),
            passes=self.a.passes,
            pin=self.a.pin,
            program=self.models.program,
        )
        blocks = [line for line in read_lines(journal)[1:] if line["name"] != "reference" and "error" not in line]
        calm = calm_blocks(blocks)
        print(f"{len(calm)} of {len(blocks)} blocks in quick moments of the machine")
        blocks = calm
        models = {"calibrated": TableModel(table), "naive sum": TableModel(replace(table, calibration=Calibration()))}
        graphs = {net.name: bundle.graph(net) for net in bundle.nets}
        predicted = {
            kind: {net: model.predict(graph).latency_ms for net, graph in graphs.items()}
            for kind, model in models.items()
        }
        print(f"{'':24}{'nets':>5}{'MAPE':>8}{'±5%':>8}{'±10%':>8}{'τ':>8}{'bias':>8}{'repeat error':>14}")
        repeat = {}
        for clock in [field for field in ("cpu_ms", "wall_ms", "device_ms") if field in blocks[0]]:
            measured, repeat[clock] = _measured(blocks, clock)
            for kind, by_net in predicted.items():
                accuracy = accuracy_of([by_net[net] for net in measured], list(measured.values()))
                print(_row(f"{kind}, {clock.removesuffix('_ms')} time", accuracy, repeat[clock]))
        decisive = repeat.get("device_ms", repeat["cpu_ms"] if self.setting.threads == 1 else repeat["wall_ms"])
        if decisive > VOID_ABOVE:
            print(f"VOID: the same nets measured twice differ by {decisive:.1%}, more than {VOID_ABOVE:.1%}")
        return bool(decisive > VOID_ABOVE)

    def nets(self, size_hw: tuple[int, int], count: int, name: str) -> Bundle:
        """A bundle of whole nets only, drawn as those that calibrate are, but others."""
        path = self.a.work / f"{name}.zip"
        if not path.exists():
            drawn = spread_nets(self.space, size_hw, self.a.classes, np.random.default_rng([self.a.seed, 2]), count)
            wanted = Plan(self.a.space, size_hw, self.a.classes, (), {}, (), tuple(drawn))
            full = path.with_suffix(".full.zip")
            write_bundle(wanted, full, self.models.export_ops, self.models.assemble, Silent(), form=self.models.form)
            _without_kernels(full, path)
            full.unlink()
        return read_bundle(path)

    def seconds(self, name: str) -> float:
        """How long a step has taken, in all lives of the folder that lived to note it."""
        path = self.a.work / "seconds.json"
        return float(json.loads(path.read_text()).get(name, 0.0)) if path.exists() else 0.0

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note the time of a step, also of one that is interrupted."""
        before, start = self.seconds(name), time.monotonic()
        try:
            yield
        finally:
            path = self.a.work / "seconds.json"
            known = json.loads(path.read_text()) if path.exists() else {}
            write_json(path, {**known, name: before + time.monotonic() - start})


def _measured(blocks: Sequence[Mapping[str, Any]], clock: str) -> tuple[dict[str, float], float]:
    """p50 of each net in ms: the least of its passes, since others only add; and the mean relative difference of the
    even passes' from the odd passes'."""
    passes: dict[str, list[float]] = {}
    for line in sorted(blocks, key=lambda line: int(line["pass"])):
        passes.setdefault(line["name"], []).append(float(line[clock][MEDIAN]))
    pairs = [(min(values[::2]), min(values[1::2])) for values in passes.values() if len(values) > 1]
    repeat = float(np.mean([2 * abs(a - b) / (a + b) for a, b in pairs])) if pairs else float("inf")
    return {net: min(values) for net, values in passes.items()}, repeat


def _without_kernels(full: Path, path: Path) -> None:
    """Copy a bundle, leaving out the kernels that its nets were put together from."""
    beside = path.with_suffix(".new")
    with zipfile.ZipFile(full) as source, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        manifest = json.loads(source.read("manifest.json"))
        for name in source.namelist():
            if name != "manifest.json" and not name.startswith("kernels/"):
                target.writestr(name, source.read(name))
        target.writestr("manifest.json", json.dumps({**manifest, "kernels": []}))
    beside.replace(path)


def _describe(table: LatencyTable, seconds: float | None) -> None:
    contract = table.contract
    made = "given" if seconds is None else f"made in {seconds:.0f} s"
    coverage = ", ".join(f"{measured} of {planned} {name}" for name, (measured, planned) in table.coverage.items())
    print(
        f"table        {made}: {coverage}; {contract.engine} {contract.engine_version}, {contract.precision}, "
        f"{contract.threads} thread(s), {_size(contract.size_hw)}\n"
        f"machine      {contract.device}, reference {contract.reference_ms:.3f} ms ± {contract.reference_drift:.1%}"
    )


def _row(name: str, accuracy: Accuracy, repeat: float) -> str:
    return (
        f"{name:24}{accuracy.nets:5}{accuracy.mape:8.2%}{accuracy.within_5:8.1%}{accuracy.within_10:8.1%}"
        f"{accuracy.kendall_tau:8.3f}{accuracy.bias:+8.2%}{repeat:14.2%}"
    )


def _size(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[0]}x{size_hw[1]}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is measured")
    parser.add_argument("--space", default="realtime")
    parser.add_argument("--size", type=parse_size, default=(360, 480))
    parser.add_argument("--other-size", type=parse_size, help="judge there, too, without calibrating again")
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pin", type=parse_pin, default=(), help="cores to measure on, like 0")
    parser.add_argument("--table", help="use this table; else one is made")
    parser.add_argument("--minutes", type=float, default=4.0, help="for the table")
    parser.add_argument("--other-minutes", type=float, default=8.0, help="for the kernels of --other-size")
    parser.add_argument("--net-minutes", type=float, default=20.0, help="at most, for the unseen nets")
    parser.add_argument("--calibration", type=int, default=CALIBRATION_NETS, help="nets that calibrate the table")
    parser.add_argument("--nets", type=int, default=100, help="unseen nets")
    parser.add_argument("--other-nets", type=int, default=40, help="unseen nets of --other-size")
    parser.add_argument("--passes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except HwnasError as error:  # such as a table that was not given the time for what the nets need
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        sys.exit(2)
