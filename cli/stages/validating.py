"""The last stage: ``val`` is opened, the network and its engine are scored on it, and the engine is timed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from hwnas.cli.stages.data import open_validation_data
from hwnas.data.base import Dataset
from hwnas.errors import ArtifactError, HwnasError
from hwnas.exporters.artifact import Artifact, Manifest, record_measured
from hwnas.exporters.criteria import Criteria
from hwnas.exporters.validate import Verdict, validate
from hwnas.latency.contract import TimingContract
from hwnas.shapes import Shape
from hwnas.skeletons.base import expand

if TYPE_CHECKING:
    import numpy as np

    from hwnas.compiler.network import Network
    from hwnas.data.cache import Arrays
    from hwnas.ir.genotype import Genotype
    from hwnas.ir.opgraph import OpGraph
    from hwnas.progress import Progress
    from hwnas.training.views import Views

logger = logging.getLogger(__name__)


def check_classes(manifest: Manifest, dataset: Dataset) -> None:
    """Refuse to judge a network of other classes than the data set's."""
    given, named = dataset.classes, manifest.classes
    count = len(named) or (manifest.output["shape"][1] if manifest.output["kind"] == "logits" else len(given))
    if count != len(given):
        raise ArtifactError(
            f"the artifact {manifest.name} knows {count} classes, and {dataset.spec} has {len(given)}",
            "validate it on the data set that it was trained on",
        )


def views_document(
    network: Network, genotype: Genotype, arrays: Arrays, classes: int, views: Views, progress: Progress
) -> dict[str, Any]:
    """PyTorch's mIoU of the mean prediction over several sizes and mirror images: no engine's figure."""
    from hwnas.training.views import evaluate_views

    def graph_at(shape: Shape) -> OpGraph:
        return expand(genotype, shape, classes)

    score = evaluate_views(network, graph_at, arrays, classes, views, progress=progress)
    return {"scales": list(views.scales), "flip": views.flip, "miou": score.miou}


def judge(
    artifact: Artifact,
    dataset: Dataset,
    size_hw: tuple[int, int],
    *,
    criteria: Criteria,
    network: Network | None,
    predicted_ms: float | None,
    predicted_by: TimingContract | None,
    threads: int,
    progress: Progress,
    seconds: float = 6.0,
    frames: np.ndarray | None = None,
) -> Verdict:
    """PASS or FAIL of ``artifact``; mIoU of PyTorch's ``network`` beside it. The manifest keeps what was measured."""
    from hwnas.training.metrics import evaluate

    arrays = open_validation_data(dataset, size_hw, progress)
    miou_torch = evaluate(network, arrays, len(dataset.classes)).miou if network is not None else None
    verdict = validate(
        artifact,
        arrays,
        criteria,
        frames=frames,
        predicted_ms=predicted_ms,
        predicted_by=predicted_by,
        miou_torch=miou_torch,
        seconds=seconds,
        threads=threads,
        progress=progress,
    )
    measured = {"latency": verdict.benchmark.to_dict(), "miou": verdict.miou}
    if verdict.deadlines is not None:
        measured["deadlines"] = verdict.deadlines.to_dict()
    keep_measured(artifact, measured)
    return verdict


def keep_measured(artifact: Artifact, measured: dict[str, Any]) -> None:
    """Write what was measured into the manifest; where that cannot be written there is a warning."""
    try:
        record_measured(artifact, measured)
    except HwnasError as error:
        logger.warning("what was measured is not kept in the manifest: %s", error.message)
