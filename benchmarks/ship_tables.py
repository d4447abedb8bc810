"""Makes the latency tables of this machine that come with hwnas, one after another.

    python benchmarks/ship_tables.py --work tables

Two engines, two precisions, one and two threads: eight tables of ``realtime`` at 360x480, each timed for at most
``--minutes``, calibrated, judged on 32 networks that it was not fitted to, and written to ``latency_tables/`` with
where it comes from. For each is printed how far it can be believed, and at the end all of them again.

Killed and started again, it goes on where it was: a table that is there is left alone (delete it to make it anew), the
measurements of one that is not whole are continued from ``--work``, and it is not shipped before it is whole: then the
exit code is 1. ``--only onnxruntime-int8-t2`` makes one of them. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np

import hwnas
from hwnas.cli.progress import PlainProgress
from hwnas.cli.stages.bundling import JOURNAL, measure_table, plan_bundle
from hwnas.errors import HwnasError, MissingPackage
from hwnas.exporters.engine_models import version_of
from hwnas.latency.bundle import read_bundle
from hwnas.latency.measure import device_fingerprint
from hwnas.latency.plan import CALIBRATION_NETS
from hwnas.latency.table import LatencyTable, load_table, save_table
from hwnas.progress import Progress
from hwnas.shapes import parse_size

ENGINES, PRECISIONS, THREADS = ("onnxruntime", "openvino"), ("fp32", "int8"), (1, 2)


@dataclass(frozen=True)
class Wanted:
    """One table to be made."""

    engine: str
    precision: str
    threads: int

    @property
    def label(self) -> str:
        """As ``--only`` takes it."""
        return f"{self.engine}-{self.precision}-t{self.threads}"

    @property
    def name(self) -> str:
        """As the table is called: ``amd-epyc-25-17-1-onnxruntime1.31.1-fp32-t1``."""
        device = re.sub(r"[^a-z0-9]+", "-", str(device_fingerprint()["device"]).lower()).strip("-")
        return f"{device}-{self.engine}{version_of(self.engine)}-{self.precision}-t{self.threads}"


def main() -> int:
    a = _arguments()
    progress = PlainProgress(lambda line: print(line, flush=True))
    made: list[LatencyTable] = []
    unfinished: list[str] = []
    for wanted in _all(a.only):
        print(f"\n{wanted.name}", flush=True)
        try:
            table = _table(wanted, a, progress)
        except HwnasError as error:  # one that fails leaves the others
            print(f"error: {error.message}\nhint: {error.hint}", flush=True)
            table = None
        if table is None:
            unfinished.append(wanted.label)
        else:
            made.append(table)
    _summary(made)
    if unfinished:
        print(f"not finished: {', '.join(unfinished)}; the same command goes on")
    return int(bool(unfinished))


def _all(only: str | None) -> Iterator[Wanted]:
    for threads, engine, precision in itertools.product(THREADS, ENGINES, PRECISIONS):
        wanted = Wanted(engine, precision, threads)
        if only in (None, wanted.label):
            yield wanted


def _table(wanted: Wanted, a: argparse.Namespace, progress: Progress) -> LatencyTable | None:
    """The shipped table, made if it is not there; None while it is not whole."""
    shipped = a.out / f"{wanted.name}.json"
    if shipped.exists():
        print("is there already")
        return load_table(shipped)
    bundle = _bundle(wanted, a, progress)
    own = a.work / f"{wanted.name}.json"
    table = measure_table(
        bundle,
        own,
        engine=wanted.engine,
        precision=wanted.precision,
        threads=wanted.threads,
        pin=(),
        seconds=60 * a.minutes,
        progress=progress,
    )
    if own.with_name(own.name.removesuffix(".json") + JOURNAL).exists():  # kept until all is measured
        return None
    table = replace(table, provenance={**table.provenance, **_provenance()})
    save_table(table, shipped)
    return table


def _bundle(wanted: Wanted, a: argparse.Namespace, progress: Progress) -> Path:
    """The bundle that both engines and any number of threads time in that precision; planned once."""
    path: Path = a.work / f"{wanted.precision}.zip"
    if path.exists():
        found = read_bundle(path)
        if (found.space, found.size_hw, found.classes) != (a.space, a.size, a.classes):
            raise HwnasError(f"{path} is of another space, size or number of classes", "choose another --work")
        return path
    plan_bundle(
        a.space,
        a.size,
        a.classes,
        engine=wanted.engine,
        precision=wanted.precision,
        batch=1,
        calibration_nets=a.calibration,
        holdout_nets=a.holdout,
        seed=a.seed,
        output=path,
        progress=progress,
    )
    return path


def _provenance() -> dict[str, str]:
    return {
        "source": f"measured with hwnas {hwnas.__version__}: python benchmarks/ship_tables.py",
        "hwnas": hwnas.__version__,
        "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _summary(tables: list[LatencyTable]) -> None:
    columns = "engine", "precision", "threads", "kernels", "failed", "unseen", "MAPE", "±5%", "±10%", "τ", "repeat"
    print("\n" + "".join(f"{column:>11}" for column in (*columns, "drift")))
    for table in tables:
        contract, accuracy = table.contract, table.accuracy.get("calibrated")
        judged = ["-"] * 5
        if accuracy is not None:
            judged = [str(accuracy.nets), f"{accuracy.mape:.1%}", f"{accuracy.within_5:.0%}"]
            judged += [f"{accuracy.within_10:.0%}", f"{accuracy.kendall_tau:.2f}"]
        repeat = table.repeat_error.get("net", 0.0)
        cells = [contract.engine, contract.precision, str(contract.threads), str(len(table.entries))]
        cells += [str(len(table.failures)), *judged, f"{repeat:.1%}", f"{contract.reference_drift:.1%}"]
        print("".join(f"{cell:>11}" for cell in cells))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shipped = Path(str(files("hwnas.latency_tables")))
    labels = [wanted.label for wanted in _all(None)]
    parser.add_argument("--work", type=Path, required=True, help="folder for bundles and unfinished measurements")
    parser.add_argument("--out", type=Path, default=shipped, help="folder of the tables; else that of the shipped ones")
    parser.add_argument("--only", choices=labels, help="one of the tables")
    parser.add_argument("--minutes", type=float, default=4.0, help="for timing each, at most")
    parser.add_argument("--space", default="realtime")
    parser.add_argument("--size", type=parse_size, default=(360, 480))
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--calibration", type=int, default=CALIBRATION_NETS, help="nets that calibrate each")
    parser.add_argument("--holdout", type=int, default=32, help="nets that judge each")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MissingPackage as error:  # a name needs the engine's version
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        sys.exit(2)
