"""What `hwnas benchmark` adds to a bare loop around the engine's own API: nothing that can be seen, it is claimed.

    python benchmarks/engine_overhead.py --genotype fast-scnn --size 360x480

For each engine the same exported network is timed in turns by ``hwnas.exporters.benchmark`` (what the verb runs) and by
a loop that calls the engine's own API with buffers that lie ready; and once by OpenVINO's own tool, where
``benchmark_app`` is installed. Prints the medians over all rounds and their ratio; exit code 1 if they differ by more
than 3%.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hwnas.compiler.network import compile_graph
from hwnas.exporters.artifact import Artifact
from hwnas.exporters.benchmark import benchmark
from hwnas.exporters.build import export_artifact
from hwnas.exporters.untrained import randomise
from hwnas.ir.passes.without_auxiliary import without_auxiliary
from hwnas.shapes import parse_size
from hwnas.skeletons.base import expand
from hwnas.zoo.catalog import resolve_genotype

MOST = 0.03


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genotype", default="fast-scnn", help="a zoo name or a file")
    parser.add_argument("--size", type=parse_size, default=(360, 480))
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each side in each round")
    a = parser.parse_args()
    genotype = resolve_genotype(a.genotype)
    network = compile_graph(without_auxiliary(expand(genotype, (3, *a.size), a.classes)), seed=0)
    randomise(network, 0)
    worst = 0.0
    for engine, make in LOOPS.items():
        with tempfile.TemporaryDirectory() as folder:
            artifact = export_artifact(network.eval(), genotype, Path(folder), engine=engine)
            ours, bare = in_turns(artifact, make(artifact.path), a.rounds, a.seconds)
            ratio = float(np.median(ours / bare))
            worst = max(worst, abs(ratio - 1))
            print(
                f"{engine:12} hwnas {np.median(ours):8.3f} ms   bare loop {np.median(bare):8.3f} ms "
                f"(spread {np.ptp(bare) / np.median(bare):.1%})   ratio {ratio:.4f}"
                f"{_own_tool(artifact, a.seconds * a.rounds)}",
                flush=True,
            )
    print("reached" if worst <= MOST else f"NOT reached: {worst:.1%} apart")
    return int(worst > MOST)


def in_turns(
    artifact: Artifact, loop: Callable[[], object], rounds: int, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Medians in ms of each round, of hwnas and of the bare loop; each goes first every other time."""
    ours, bare = np.zeros(rounds), np.zeros(rounds)
    for number in range(rounds):
        if number % 2:
            bare[number] = _bare(loop, seconds)
        ours[number] = benchmark(artifact, seconds=seconds).p50_ms
        if not number % 2:
            bare[number] = _bare(loop, seconds)
    return ours, bare


def _bare(loop: Callable[[], object], seconds: float) -> float:
    """Median of single calls, in ms."""
    for _ in range(20):
        loop()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        loop()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def _onnxruntime(path: Path) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    item = session.get_inputs()[0]
    feed = {item.name: np.random.default_rng(0).random(item.shape, dtype=np.float32)}
    return lambda: session.run(None, feed)


def _openvino(path: Path) -> Callable[[], object]:
    import openvino

    config = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    config["INFERENCE_PRECISION_HINT"] = "f32"
    compiled = openvino.Core().compile_model(str(path), "CPU", config)
    request = compiled.create_infer_request()
    image = np.random.default_rng(0).random(tuple(compiled.inputs[0].shape), dtype=np.float32)
    return lambda: request.infer([image], share_inputs=True)


LOOPS: dict[str, Callable[[Path], Callable[[], object]]] = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def _own_tool(artifact: Artifact, seconds: float) -> str:
    """What OpenVINO's benchmark_app says of the same file."""
    tool = shutil.which("benchmark_app") or shutil.which("benchmark_app", path=str(Path(sys.executable).parent))
    if artifact.engine != "openvino" or tool is None:
        return ""
    words = [
        "-m",
        artifact.path,
        "-d",
        "CPU",
        "-hint",
        "none",
        "-api",
        "sync",
        "-nstreams",
        1,
        "-nthreads",
        1,
        "-t",
        max(1, int(seconds)),
    ]
    words += ["-infer_precision", "f32"]
    said = subprocess.run([tool, *map(str, words)], capture_output=True, text=True, check=False).stdout
    found = re.search(r"Median:\s*([0-9.]+) ms", said)
    return f"   benchmark_app {float(found[1]):.3f} ms" if found else "   benchmark_app failed"


if __name__ == "__main__":
    sys.exit(main())
