"""Every network of the zoo as TensorRT-RTX engines, built ahead of time for GPUs that need not be here.

    python benchmarks/tensorrt_zoo.py --results zoo.jsonl
    python benchmarks/tensorrt_zoo.py --only fast-scnn,enet --forms fp32,fp16,int8 --targets sm86,sm89

Prints the size of each engine and how long its build took. Networks that segment are taken at ``--size``, those that
classify at their published inputs; int8 has plausible ranges, since it is only built. With ``--results`` every build is
kept in a file of JSON lines, and those that are there are not done again: stopped, it goes on where it was. Claimed:
all build in all forms; exit code 1 if one does not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
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


@dataclass(frozen=True)
class Build:
    """One engine that was tried."""

    network: str
    size: str
    form: str
    targets: str
    megabytes: float | None = None
    seconds: float | None = None
    problem: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return self.network, self.size, self.form, self.targets


class Subject:
    """A network of the zoo, exported once for all its forms."""

    def __init__(self, name: str, size_hw: tuple[int, int], classes: int) -> None:
        self.name = name
        network = entry(name)
        graph = without_auxiliary(expand(network.genotype, (3, *size_hw), classes))
        if task_of(graph) != "segmentation":
            graph = without_auxiliary(expand(network.genotype, (3, *network.size_hw), network.classes))
        self.graph: OpGraph = graph

    @property
    def size(self) -> str:
        height, width = self.graph.shape(self.graph.input)[1:]
        return f"{height}x{width}"

    @cached_property
    def model(self) -> onnx.ModelProto:
        module = compile_graph(self.graph, seed=0)
        randomise(module, 0)
        return network_as_onnx(module.eval())

    def built(self, form: str, targets: str) -> Build:
        """Build one form, or say why it cannot be built."""
        found = Build(self.name, self.size, form, targets)
        try:
            megabytes, seconds = engine_of(FORMS[form](self.model), targets.split(","))
        except HwnasError as error:
            return Build(*found.key, problem=error.message)
        return Build(*found.key, megabytes, seconds)


def engine_of(model: onnx.ModelProto, targets: Sequence[str]) -> tuple[float, float]:
    """Megabytes of the engine, and the seconds of its build."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        onnx.save(model, path)
        start = time.monotonic()
        precision = "int8" if is_quantized(model) else "fp32"  # what is half says the graph
        engine = engine_named("tensorrt-rtx").build(path, precision=precision, out_dir=Path(folder), targets=targets)
        return engine.stat().st_size / 1e6, time.monotonic() - start


def kept(path: Path | None) -> Iterator[Build]:
    """The builds in a file of JSON lines; a line that was torn when the process was killed is left out."""
    for line in path.read_text().splitlines() if path is not None and path.is_file() else []:
        try:
            yield Build(**json.loads(line))
        except ValueError:
            continue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=parse_size, default=(360, 480))
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--targets", default="sm86", help="GPUs, joined by commas: engines are for all of them")
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--only", default="", help="names, joined by commas")
    parser.add_argument("--results", type=Path, help="a file of JSON lines to keep builds in and to go on from")
    a = parser.parse_args()
    forms, wanted = a.forms.split(","), [name for name in a.only.split(",") if name] or names()
    done = {build.key: build for build in kept(a.results)}
    print(f"{'network':28}{'size':>11}" + "".join(f"{form + ', MB':>12}{'s':>7}" for form in forms))
    failed = 0
    for name in wanted:
        subject = Subject(name, a.size, a.classes)
        row = []
        for form in forms:
            build = done.get((name, subject.size, form, a.targets)) or subject.built(form, a.targets)
            if build.key not in done and a.results is not None:
                with a.results.open("a") as stream:
                    stream.write(json.dumps(asdict(build)) + "\n")
            failed += bool(build.problem)
            row.append(
                f"  FAILED: {build.problem}" if build.problem else f"{build.megabytes:12.2f}{build.seconds:7.1f}"
            )
        print(f"{name:28}{subject.size:>11}" + "".join(row), flush=True)
    raise SystemExit(f"{failed} engines could not be built" if failed else 0)


if __name__ == "__main__":
    main()
