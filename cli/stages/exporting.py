"""Exporting a network twice, with logits and with labels, and proving both against PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.data.base import ClassInfo
from hwnas.errors import ArtifactError
from hwnas.exporters.artifact import Artifact, root_of
from hwnas.exporters.build import export_artifact
from hwnas.exporters.onnx_export import network_as_onnx
from hwnas.exporters.parity import Parity, check_parity
from hwnas.exporters.staging import staged
from hwnas.exporters.tensorrt_engine import compute_capability
from hwnas.ir.genotype import Genotype

if TYPE_CHECKING:
    from onnx import ModelProto

    from hwnas.compiler.network import Network
    from hwnas.exporters.benchmark import BenchmarkResult
    from hwnas.ir.opgraph import OpGraph
    from hwnas.progress import Progress

LOGITS, LABELS = "logits", "labels"


@dataclass(frozen=True)
class Form:
    """In which form a network is exported: see :func:`hwnas.exporters.build.export_artifact`."""

    model: ModelProto
    engine: str = "onnxruntime"
    precision: str = "fp32"
    preprocess: bool = False
    batch: int | None = 1
    quantization: Mapping[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exported:
    """What was written: ``logits``, the artifact that budgets bind, and ``labels``, the same with its argmax inside.

    ``parity`` is of the first of them.
    """

    artifacts: Mapping[str, Artifact]
    parity: Parity


def export_both(
    network: Network,
    genotype: Genotype,
    folder: Path,
    *,
    classes: Sequence[ClassInfo],
    images: np.ndarray,
    trained: bool,
    threads: int,
    progress: Progress,
    form: Form | None = None,
    kinds: Sequence[str] = (LOGITS, LABELS),
) -> Exported:
    """Write ``folder/logits`` and ``folder/labels``; compare both with PyTorch on uint8 ``images`` (N, H, W, 3).

    Artifacts of an earlier export are gone then, that of a kind that is not written, too. An engine that cannot be
    built, or disagrees with PyTorch more than its precision allows, is an ArtifactError with the first difference, and
    ``folder`` is left as it was.
    """
    form = form or Form(network_as_onnx(network))
    artifacts: dict[str, Artifact] = {}
    found: dict[str, Parity] = {}
    new_ones = staged(folder, instead_of=(LOGITS, LABELS))
    with progress.task("export and compare with PyTorch", len(kinds)) as task, new_ones as scratch:
        for number, kind in enumerate(kinds):
            made = export_artifact(
                network,
                genotype,
                scratch / kind,
                engine=form.engine,
                precision=form.precision,
                argmax=kind == LABELS,
                preprocess=form.preprocess,
                batch=form.batch,
                model=form.model,
                quantization=form.quantization,
                targets=form.targets,
                classes=classes,
                trained=trained,
            )
            found[kind] = check_parity(network, _runnable(made), images, threads=threads)
            artifacts[kind] = replace(made, path=folder / made.path.relative_to(scratch))
            if not found[kind].ok:
                raise ArtifactError(
                    f"the engine {artifacts[kind].path} disagrees with PyTorch: {found[kind].differences[0]}",
                    "this is a fault of the export: please report it with the genotype",
                )
            task.update(number + 1)
    return Exported(artifacts, found[kinds[0]])


def _runnable(artifact: Artifact) -> Artifact:
    """The artifact, or, if it is for GPUs that are not here, its ONNX file in ONNX Runtime."""
    assert artifact.manifest is not None
    if not artifact.manifest.targets or compute_capability() in artifact.manifest.targets:
        return artifact
    manifest = replace(artifact.manifest, engine="onnxruntime", targets=())
    return Artifact(root_of(artifact) / "model.onnx", manifest)


def export_document(exported: Exported) -> dict[str, Any]:
    """JSON of what was written and how nearly it agrees with PyTorch."""
    first, labels = next(iter(exported.artifacts.values())), exported.artifacts.get(LABELS)
    figures = {name: None if value != value else value for name, value in asdict(exported.parity).items()}
    return {
        "artifact": str(root_of(first)),
        "labels_artifact": None if labels is None else str(root_of(labels)),
        "engine": first.engine,
        "precision": first.precision,
        "parity": figures,
    }


def time_untrained(graph: OpGraph, folder: Path, *, seconds: float, threads: int) -> BenchmarkResult:
    """Latency of ``graph`` as an engine with random weights; ``folder`` is a scratch folder."""
    from hwnas.compiler.network import compile_graph
    from hwnas.exporters.benchmark import benchmark
    from hwnas.exporters.onnx_export import export_network
    from hwnas.exporters.untrained import randomise

    network = compile_graph(graph, seed=0)
    randomise(network, 0)
    path = folder / "candidate.onnx"
    export_network(network.eval(), path)
    return benchmark(Artifact(path), seconds=seconds, threads=threads)
