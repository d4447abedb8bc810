"""Does a verdict on real time hold: a network of half a frame's period, and one of twice the period, at 30 FPS.

    python benchmarks/real_time.py

``fast-scnn`` is exported with random weights at the sizes of image at which its latency comes nearest to half
the period and to twice it, by measurement; each is validated for ``--seconds`` as `hwnas validate --fps` does, frames
arriving on a clock. Claimed, on an idle core: the first misses no frame and passes; the second fails, and the rate that
is reported is the true one, 1000 / its latency. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from hwnas.compiler.network import compile_graph
from hwnas.exporters.artifact import Artifact
from hwnas.exporters.benchmark import benchmark
from hwnas.exporters.build import export_artifact
from hwnas.exporters.deadlines import run_at_fps
from hwnas.exporters.untrained import randomise
from hwnas.skeletons.base import expand
from hwnas.zoo.catalog import resolve_genotype

SIZES = [
    (32 * rows, 32 * columns) for rows, columns in ((6, 8), (8, 11), (11, 15), (15, 20), (20, 27), (26, 35), (34, 45))
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="fast-scnn")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    a = parser.parse_args()
    period_ms = 1e3 / a.fps
    with tempfile.TemporaryDirectory() as folder:
        timed = [exported(a.network, size_hw, Path(folder)) for size_hw in SIZES]
        good = True
        for share in (0.5, 2.0):
            artifact, latency_ms = min(timed, key=lambda each: abs(np.log(each[1] / (share * period_ms))))
            good &= judged(artifact, latency_ms, a.fps, a.seconds)
    print("reached" if good else "NOT reached")
    return int(not good)


def exported(name: str, size_hw: tuple[int, int], folder: Path) -> tuple[Artifact, float]:
    """The network at a size as an ONNX Runtime artifact, and its latency in ms."""
    genotype = resolve_genotype(name)
    network = compile_graph(expand(genotype, (3, *size_hw), 11), seed=0)
    randomise(network, 0)
    artifact = export_artifact(network.eval(), genotype, folder / f"{size_hw[0]}", engine="onnxruntime")
    return artifact, benchmark(artifact, seconds=1.0).p50_ms


def judged(artifact: Artifact, latency_ms: float, fps: float, seconds: float) -> bool:
    """Print what happened; whether it is as it must be."""
    with artifact.open(threads=1) as session:
        image = np.random.default_rng(0).random((1, 3, *session.input.size_hw), dtype=np.float32)
        run = run_at_fps(lambda index: session.run(image), fps, seconds)
    met = run.late + run.dropped == 0
    expected = met if latency_ms < 1e3 / fps else not met and abs(run.fps * latency_ms / 1e3 - 1) < 0.05
    print(
        f"latency {latency_ms:6.2f} ms of {1e3 / fps:.2f}: {run.late + run.dropped} of {run.frames} deadlines missed "
        f"({'PASS' if met else 'FAIL'}), {run.fps:.2f} of {fps:g} FPS (1000 / latency: {1e3 / latency_ms:.2f}), "
        f"p99 {run.p99_ms:.1f} ms, longest gap {run.longest_gap_ms:.1f} ms, jitter {run.jitter_ms:.2f} ms; "
        f"{'as claimed' if expected else 'NOT as claimed'}",
        flush=True,
    )
    return expected


if __name__ == "__main__":
    sys.exit(main())
