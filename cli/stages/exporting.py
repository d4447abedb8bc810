"""Exporting a network twice, with logits and with labels, and proving both against PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.data.base import ClassInfo
from hwnas.errors import ArtifactError
from hwnas.exporters.artifact import Artifact
from hwnas.exporters.build import export_artifact
from hwnas.exporters.parity import Parity, check_parity
from hwnas.ir.genotype import Genotype

if TYPE_CHECKING:
    from hwnas.compiler.network import Network
    from hwnas.exporters.benchmark import BenchmarkResult
    from hwnas.ir.opgraph import OpGraph
    from hwnas.progress import Progress

LOGITS, LABELS = "logits", "labels"


@dataclass(frozen=True)
class Exported:
    """``logits`` is the artifact that budgets bind; ``labels`` the same network with its argmax inside."""

    logits: Artifact
    labels: Artifact
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
) -> Exported:
    """Write ``folder/logits`` and ``folder/labels``; compare both with PyTorch on uint8 ``images`` (N, H, W, 3).

    An engine that disagrees with PyTorch is an ArtifactError with the first difference.
    """
    artifacts: dict[str, Artifact] = {}
    found: dict[str, Parity] = {}
    with progress.task("export and compare with PyTorch", 2) as task:
        for number, kind in enumerate((LOGITS, LABELS)):
            artifacts[kind] = export_artifact(
                network, genotype, folder / kind, argmax=kind == LABELS, classes=classes, trained=trained
            )
            found[kind] = check_parity(network, artifacts[kind], images, threads=threads)
            if not found[kind].ok:
                raise ArtifactError(
                    f"the engine {artifacts[kind].path} disagrees with PyTorch: {found[kind].differences[0]}",
                    "this is a fault of the export: please report it with the genotype",
                )
            task.update(number + 1)
    return Exported(artifacts[LOGITS], artifacts[LABELS], found[LOGITS])


def export_document(exported: Exported) -> dict[str, Any]:
    """JSON of what was written and how nearly it agrees with PyTorch."""
    return {
        "artifact": str(exported.logits.path.parent),
        "labels_artifact": str(exported.labels.path.parent),
        "parity": asdict(exported.parity),
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
