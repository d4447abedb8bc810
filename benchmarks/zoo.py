"""Every network of the zoo: params, MACs, whether ONNX Runtime gives what PyTorch does, and how long it takes.

    python benchmarks/zoo.py                               # params and MACs at the published inputs
    python benchmarks/zoo.py --size 360x480 --classes 11 --run
    python benchmarks/zoo.py --size 720x960 --classes 11 --engine onnxruntime --only enet,pidnet-s

``--run`` compiles each with random weights, exports it and compares the logits on one image; ``--engine`` also times it
there (one thread, p50 of the undisturbed samples). Claimed: all run, and their logits are equal within the parity
tolerance.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from hwnas.compiler.cost import cost_of
from hwnas.errors import HwnasError
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.without_auxiliary import without_auxiliary
from hwnas.shapes import parse_size
from hwnas.skeletons.base import expand, task_of
from hwnas.zoo.catalog import ZooEntry, entry, names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=parse_size, help="HxW; else each network's published one")
    parser.add_argument("--classes", type=int, help="else each network's published number")
    parser.add_argument("--only", default="", help="names, joined by commas")
    parser.add_argument("--run", action="store_true", help="compile, export, compare")
    parser.add_argument("--engine", default="", help="time in this engine, too")
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    chosen = [name for name in arguments.only.split(",") if name] or names()
    heading = f"{'network':28}{'size':>11}{'classes':>8}{'params':>13}{'MACs':>18}"
    print(heading + ("  compared, p50" if arguments.run or arguments.engine else ""))
    failures = 0
    for name in chosen:
        network = entry(name)
        size, classes = arguments.size or network.size_hw, arguments.classes or network.classes
        graph = without_auxiliary(expand(network.genotype, (3, *size), classes))
        cost = cost_of(graph)
        row = f"{name:28}{f'{size[0]}x{size[1]}':>11}{classes:>8}{cost.params:>13,}{cost.macs:>18,}"
        if (arguments.run or arguments.engine) and task_of(graph) == "segmentation":
            said, good = run(network, graph, arguments.engine, arguments.seconds)
            row, failures = f"{row}  {said}", failures + (not good)
        print(row, flush=True)
    raise SystemExit(f"{failures} networks differ or failed" if failures else 0)


def run(network: ZooEntry, graph: OpGraph, engine: str, seconds: float) -> tuple[str, bool]:
    """What was found, and whether it is as it should be."""
    from hwnas.compiler.network import compile_graph
    from hwnas.exporters.benchmark import benchmark
    from hwnas.exporters.build import export_artifact
    from hwnas.exporters.parity import check_parity
    from hwnas.exporters.untrained import randomise

    module = compile_graph(graph, seed=0)
    randomise(module, 0)
    image = np.random.default_rng(0).integers(0, 256, (1, *graph.shape(graph.input)[1:], 3), dtype=np.uint8)
    try:
        with tempfile.TemporaryDirectory() as folder:
            artifact = export_artifact(module.eval(), network.genotype, Path(folder), engine=engine or "onnxruntime")
            parity = check_parity(module, artifact, image)
            said = f"{'equal' if parity.ok else 'DIFFERS'} ({parity.max_relative:.1e} of the greatest)"
            if engine:
                said += f"  {benchmark(artifact, seconds=seconds).p50_ms:.2f} ms"
        return said, parity.ok
    except HwnasError as error:
        return f"FAILED: {error.message}", False


if __name__ == "__main__":
    main()
