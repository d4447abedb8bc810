"""What int8 and mixes of float and int8 cost in accuracy and gain in time, on a trained run's network.

    python benchmarks/int8.py --run runs/camvid --data camvid:/data/camvid

For each engine: fp32, full int8 and the mix that `hwnas export --max-miou-drop 0.5` picks on held-out images of train;
then mIoU of each on all of val, PyTorch's beside it, the share of labels equal to PyTorch's, latency on one thread in
turns, and the speedup over fp32. It says whether fp32 equals PyTorch (0.05 points of mIoU, 99.9% of the labels), and
whether int8 or the mix loses at most 0.5 points and is at least 1.5 times as fast in some engine; exit code 1 if not.
With --images only so many images of val are taken: a trial of the script, not a result.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwnas.cli.stages.data import open_training_data, open_validation_data
from hwnas.cli.stages.quantizing import JUDGED_ON, spread
from hwnas.compiler.network import Network
from hwnas.data.scoring import score_of
from hwnas.exporters.calibration import METHODS, collect_ranges
from hwnas.exporters.engine import ENGINES, Session
from hwnas.exporters.inputs import labels_in, outputs_of
from hwnas.exporters.mixed import Bench, Labelled, Trial, choose, compare_forms
from hwnas.exporters.onnx_export import network_as_onnx
from hwnas.exporters.torch_eager import TorchSession
from hwnas.exporters.validate import confusion_of
from hwnas.ir.serialize import load_genotype
from hwnas.progress import Silent
from hwnas.training.network_files import GENOTYPE, WEIGHTS, load_network

MAX_DROP, MIN_SPEEDUP = 0.005, 1.5
FP32_DROP, FP32_LABELS = 0.0005, 0.999


@dataclass(frozen=True)
class Row:
    """One form in one engine; mIoU on val."""

    engine: str
    form: str
    miou: float
    equal: float
    p50_ms: float
    speedup: float

    def __str__(self) -> str:
        return (
            f"{self.engine:<12} {self.form:<10} mIoU {self.miou:7.2%}  equal labels {self.equal:8.3%}  "
            f"p50 {self.p50_ms:7.2f} ms  {self.speedup:.2f}x"
        )


def main() -> int:
    a = _arguments()
    network, _ = load_network(load_genotype(a.run / GENOTYPE), a.run / WEIGHTS)
    size_hw = network.graph.shape(network.graph.input)[1:]
    data = open_training_data(a.data, size_hw, Silent())
    val = open_validation_data(data.dataset, size_hw, Silent())
    count = len(val.images) if a.images is None else min(a.images, len(val.images))
    judged = Labelled(val.images[:count], val.masks[:count], data.classes)
    labels, miou = _run(TorchSession(network), judged)
    print(f"{len(judged.images)} images of val; PyTorch: mIoU {miou:.2%}")
    rows = [row for engine in a.engines for row in _rows(engine, network, data, judged, labels, a)]
    return 0 if _verdict(rows, miou) else 1


def _rows(engine, network: Network, data, judged: Labelled, labels: np.ndarray, a) -> list[Row]:  # type: ignore[no-untyped-def]
    model = network_as_onnx(network)
    ranges = collect_ranges(model, data.arrays.images[spread(data.train, a.calibration_images)], a.calibration)
    held = spread(data.held, min(JUDGED_ON, a.images or JUDGED_ON))
    held_out = Labelled(data.arrays.images[held], data.arrays.masks[held], data.classes)
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        bench = Bench(model, ranges, engine, Path(folder), seconds=a.seconds)
        trials = compare_forms(bench, held_out)
        for trial in trials:
            print(f"  held out: {engine} {trial.name} {trial.miou} {trial.p50_ms} {trial.problem}")
        picked = [*trials[:2], choose(trials, MAX_DROP)]
        return [_row(bench, trial, name, judged, labels, trials[0]) for trial, name in zip(picked, FORMS, strict=True)]


FORMS = ("fp32", "int8", "mixed")


def _row(bench: Bench, trial: Trial, name: str, judged: Labelled, reference: np.ndarray, exact: Trial) -> Row:
    if trial.problem:
        print(f"{bench.engine} {name}: {trial.problem}")
        return Row(bench.engine, name, float("nan"), float("nan"), float("nan"), float("nan"))
    path, _ = bench.build(trial)
    with ENGINES.get(bench.engine).open(path, threads=1) as session:
        labels, miou = _run(session, judged)
    assert trial.p50_ms and exact.p50_ms
    equal = float((labels == reference).mean())
    row = Row(bench.engine, name, miou, equal, trial.p50_ms, exact.p50_ms / trial.p50_ms)
    print(row, flush=True)
    return row


def _run(session: Session, judged: Labelled) -> tuple[np.ndarray, float]:
    """Labels (N, H, W) and mIoU."""
    labels = np.concatenate([labels_in(output) for output in outputs_of(session, judged.images)])
    return labels, score_of(confusion_of(labels, np.asarray(judged.masks), judged.classes)).miou


def _verdict(rows: list[Row], miou: float) -> bool:
    exact = [row for row in rows if row.form == "fp32"]
    same = all(abs(row.miou - miou) <= FP32_DROP and row.equal >= FP32_LABELS for row in exact)
    print(f"fp32 equals PyTorch: {'yes' if same else 'NO'}")
    good = [r for r in rows if r.form != "fp32" and miou - r.miou <= MAX_DROP and r.speedup >= MIN_SPEEDUP]
    for row in good:
        print(f"reached: {row.engine} {row.form}: {100 * (miou - row.miou):+.2f} points lost, {row.speedup:.2f}x")
    if not good:
        print(f"NOT reached: at most {100 * MAX_DROP:g} points lost at {MIN_SPEEDUP:g}x")
    return same and bool(good)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="a run directory with trained weights")
    parser.add_argument("--data", required=True)
    parser.add_argument("--engines", nargs="+", default=["onnxruntime", "openvino"])
    parser.add_argument("--calibration", default="minmax", choices=METHODS)
    parser.add_argument("--calibration-images", type=int, default=100)
    parser.add_argument("--images", type=int, help="of val and of the held-out part; all if not given")
    parser.add_argument("--seconds", type=float, default=3.0, help="of timing for each form")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
