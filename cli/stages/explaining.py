"""What is explained: an artifact as it lies on disk, or a genotype that is exported for it with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hwnas.errors import ArtifactError, HwnasError
from hwnas.exporters.artifact import GENOTYPE, MANIFEST, Artifact, open_artifact
from hwnas.exporters.engine import engine_named
from hwnas.exporters.profiler import PROFILERS
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.passes.without_auxiliary import without_auxiliary
from hwnas.ir.serialize import load_genotype
from hwnas.skeletons.base import expand

if TYPE_CHECKING:
    from hwnas.ir.genotype import Genotype
    from hwnas.ir.opgraph import OpGraph

TORCH = "torch-eager"
"""The engine that runs the op graph itself."""

ENGINE_FILES = (".onnx", ".xml", ".engine")


@dataclass(frozen=True)
class Subject:
    """An engine's file, the ONNX file that it was built from, and the network in it as far as it is known."""

    name: str
    engine: str
    precision: str
    path: Path
    onnx_path: Path | None
    """None where the engine runs the op graph itself."""
    size_hw: tuple[int, int]
    classes: int | None
    genotype: Genotype | None
    graph: OpGraph | None


def is_artifact(path: Path) -> bool:
    """Whether ``path`` is meant as an artifact rather than as a genotype."""
    return path.name == MANIFEST or path.suffix in ENGINE_FILES or (path / MANIFEST).is_file()


def check_engine(engine: str) -> None:
    """That the engine is there and can be profiled."""
    if engine not in PROFILERS:
        raise HwnasError(
            f"the engine {engine!r} cannot be explained", f"those that can are: {', '.join(PROFILERS.names())}"
        )
    engine_named(engine)


@contextmanager
def artifact_subject(path: Path, engine: str | None, seed: int) -> Iterator[Subject]:
    """An artifact, or what ``engine`` makes of its ONNX file; in PyTorch it is its genotype with random weights."""
    artifact = open_artifact(path)
    engine = engine or artifact.engine
    check_engine(engine)
    onnx_path = onnx_of(artifact)
    size_hw, classes, quantized = _facts(onnx_path)
    genotype = genotype_of(artifact)
    graph = None
    if genotype is not None and classes is not None:
        graph = without_auxiliary(expand(genotype, (3, *size_hw), classes))
    if engine == TORCH:
        if genotype is None or graph is None:
            raise ArtifactError(f"no genotype is known of {path}, and {TORCH} runs one", "give the genotype instead")
        with genotype_subject(genotype, graph, engine, seed) as subject:
            yield subject
        return
    precision = artifact.precision if artifact.manifest else "int8" if quantized else "fp32"
    with TemporaryDirectory(prefix="hwnas-explain-") as folder:
        file = artifact.path
        if engine != artifact.engine:
            file = engine_named(engine).build(onnx_path, precision=precision, out_dir=Path(folder))
        name = genotype.name if genotype is not None else path.name
        yield Subject(name, engine, precision, file, onnx_path, size_hw, classes, genotype, graph)


@contextmanager
def genotype_subject(genotype: Genotype, graph: OpGraph, engine: str, seed: int) -> Iterator[Subject]:
    """``genotype`` with random weights: the time does not depend on them."""
    from hwnas.compiler.network import compile_graph
    from hwnas.compiler.weights import save_weights
    from hwnas.exporters.build import export_artifact
    from hwnas.exporters.untrained import randomise
    from hwnas.ir.serialize import save_genotype
    from hwnas.training.network_files import WEIGHTS

    check_engine(engine)
    network = compile_graph(graph, seed=seed)
    randomise(network, seed)
    classes, height, width = graph.shape(graph.output)
    with TemporaryDirectory(prefix="hwnas-explain-") as name:
        folder = Path(name)
        if engine == TORCH:
            save_genotype(genotype, folder / GENOTYPE)
            save_weights(network, folder / WEIGHTS, {"size": f"{height}x{width}", "classes": str(classes)})
            path, onnx_path = folder, None
        else:
            artifact = export_artifact(network.eval(), genotype, folder, engine=engine, trained=False)
            path, onnx_path = artifact.path, onnx_of(artifact)
        yield Subject(genotype.name, engine, "fp32", path, onnx_path, (height, width), classes, genotype, graph)


def onnx_of(artifact: Artifact) -> Path:
    """The ONNX file that an artifact is, or was built from."""
    if artifact.path.suffix == ".onnx":
        return artifact.path
    if artifact.manifest is not None:
        root = artifact.path.parents[len(Path(artifact.manifest.entry).parts) - 1]
        for name in artifact.manifest.files:
            if name.endswith(".onnx"):
                return root / name
    raise ArtifactError(f"{artifact.path} has no ONNX file beside it, which names its nodes", "export it again")


def genotype_of(artifact: Artifact) -> Genotype | None:
    """The genotype of an artifact: beside it, or in the run directory around it; None where neither has it."""
    if artifact.manifest is None:
        return None
    for folder in artifact.path.resolve().parents:
        if (folder / GENOTYPE).is_file():
            found = load_genotype(folder / GENOTYPE)
            if fingerprint(found) == artifact.manifest.genotype_fingerprint:
                return found
    return None


def _facts(onnx_path: Path) -> tuple[tuple[int, int], int | None, bool]:
    """(size, number of classes if the file says it, whether it is quantized) of an ONNX file."""
    from google.protobuf.message import DecodeError
    from onnx import TensorProto, load

    from hwnas.exporters.graph_form import is_quantized

    try:
        model = load(onnx_path)
    except DecodeError as error:
        raise ArtifactError(f"{onnx_path} is not an ONNX file ({error})", "export it again") from error
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.value_info, *model.graph.output]
    }
    image = shapes[model.graph.input[0].name] if model.graph.input else []
    if len(image) != 4 or not all(image[1:]):  # of any number
        raise ArtifactError(f"{onnx_path} does not take images of a fixed size", "export it with `hwnas export`")
    pixels = model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    height, width = image[1:3] if pixels else image[2:]
    scores = next((node.input[0] for node in model.graph.node if node.op_type == "ArgMax"), model.graph.output[0].name)
    found = shapes.get(scores, [])
    return (height, width), (found[1] if len(found) == 4 else None), is_quantized(model)
