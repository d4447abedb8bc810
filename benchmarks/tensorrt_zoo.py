"""Every network of the zoo as TensorRT-RTX engines, built ahead of time for GPUs that need not be here.

    python benchmarks/tensorrt_zoo.py --targets sm86
    python benchmarks/tensorrt_zoo.py --only fast-scnn,enet --forms fp32,fp16,int8 --targets sm86,sm89

Prints the size of each engine and how long its build took. Networks that segment are taken at ``--size``, those that
classify at their published inputs; int8 has plausible ranges, since it is only built. Claimed: all build in all forms.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import onnx

from hwnas.compiler.network import compile_graph
from hwnas.errors import HwnasError
from hwnas.exporters.engine import engine_named
from hwnas.exporters.graph_form import is_quantized
from hwnas.exporters.half import in_half
from hwnas.exporters.onnx_export import network_as_onnx
from hwnas.exporters.quantized import quantized_to_time
from hwnas.exporters.untrained import randomise
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.without_auxiliary import without_auxiliary
from hwnas.shapes import parse_size
from hwnas.skeletons.base import expand, task_of
from hwnas.zoo.catalog import entry, names

FORMS = {
    "fp32": lambda model: model,
    "fp16": lambda model: in_half(model, ends=False),
    "int8": lambda model: quantized_to_time(model, symmetric=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=parse_size, default=(360, 480))
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--targets", default="sm86")
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--only", default="", help="names, joined by commas")
    a = parser.parse_args()
    forms = a.forms.split(",")
    print(f"{'network':28}{'size':>11}" + "".join(f"{form + ', MB':>12}{'s':>7}" for form in forms))
    failures = 0
    for name in [name for name in a.only.split(",") if name] or names():
        network = entry(name)
        graph = without_auxiliary(expand(network.genotype, (3, *a.size), a.classes))
        if task_of(graph) != "segmentation":
            graph = without_auxiliary(expand(network.genotype, (3, *network.size_hw), network.classes))
        cells, failed = row(graph, forms, tuple(a.targets.split(",")))
        failures += failed
        height, width = graph.shape(graph.input)[1:]
        print(f"{name:28}{f'{height}x{width}':>11}" + "".join(cells), flush=True)
    raise SystemExit(f"{failures} engines could not be built" if failures else 0)


def row(graph: OpGraph, forms: list[str], targets: tuple[str, ...]) -> tuple[list[str], int]:
    """Size and seconds of each form, as text, and how many failed."""
    module = compile_graph(graph, seed=0)
    randomise(module, 0)
    cells, failed = [], 0
    try:
        model = network_as_onnx(module.eval())
    except HwnasError as error:
        return [f"  NOT EXPORTED: {error.message}"], len(forms)
    for form in forms:
        try:
            size_mb, seconds = built(FORMS[form](model), targets)
            cells.append(f"{size_mb:12.2f}{seconds:7.1f}")
        except HwnasError as error:
            cells.append(f"  FAILED: {error.message}")
            failed += 1
    return cells, failed


def built(model: onnx.ModelProto, targets: tuple[str, ...]) -> tuple[float, float]:
    """Megabytes of the engine, and the seconds of its build."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        onnx.save(model, path)
        start = time.monotonic()
        precision = "int8" if is_quantized(model) else "fp32"  # what is half says the graph
        engine = engine_named("tensorrt-rtx").build(path, precision=precision, out_dir=Path(folder), targets=targets)
        return engine.stat().st_size / 1e6, time.monotonic() - start


if __name__ == "__main__":
    main()
