"""The verdict on an artifact: its accuracy on the engine itself next to PyTorch's, its latency next to the budget.

Pixels of label 255 do not count; the rest of the rule of mIoU is :func:`hwnas.data.scoring.score_of`'s.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.data.base import IGNORE
from hwnas.data.cache import Arrays
from hwnas.data.preprocess import normalize_array
from hwnas.data.scoring import Score, score_of
from hwnas.errors import ArtifactError, BudgetError
from hwnas.exporters.artifact import Artifact
from hwnas.exporters.benchmark import BenchmarkResult, benchmark
from hwnas.exporters.engine import Session
from hwnas.latency.contract import TimingContract
from hwnas.progress import Progress, Silent

MAX_MIOU_GAP = 0.001
"""How far the engine's mIoU may be below PyTorch's (0 to 1): a tenth of a point."""

NOTABLE_SLOWDOWN = 0.05
"""A slower machine than when the table was made is named as a reason from here on."""


@dataclass(frozen=True)
class Verdict:
    """PASS, or FAIL with the figures that failed. ``miou`` is the engine's; both from 0 to 1."""

    verdict: str
    reasons: tuple[str, ...]
    miou: float
    miou_torch: float | None
    predicted_ms: float | None
    slowdown: float | None
    """By how much the machine was slower than when the prediction's table was made, where that is known."""
    budget_ms: float
    budget_at: str
    ious: tuple[float, ...]
    benchmark: BenchmarkResult

    @property
    def passed(self) -> bool:
        return self.verdict == "PASS"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the verdict's fields and the benchmark's, flat; IoUs of absent classes are null."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "benchmark"}
        ious = [None if math.isnan(iou) else iou for iou in self.ious]
        return {**own, "reasons": list(self.reasons), "ious": ious, **self.benchmark.to_dict()}


def evaluate_engine(
    session: Session, images: np.ndarray, masks: np.ndarray, classes: int, *, progress: Progress | None = None
) -> Score:
    """Run uint8 images (N, H, W, 3) through an engine and score its labels against masks (N, H, W), 255 ignored."""
    confusion = np.zeros((classes, classes), np.int64)
    with (progress or Silent()).task("scoring the engine", len(images)) as task:
        for i in range(len(images)):
            output = session.run(normalize_array(np.asarray(images[i : i + 1])))
            labels = output if output.dtype == np.uint8 else output.argmax(1)
            confusion += confusion_of(labels, np.asarray(masks[i : i + 1]), classes)
            task.update(i + 1)
    return score_of(confusion)


def confusion_of(labels: np.ndarray, masks: np.ndarray, classes: int) -> np.ndarray:
    """Pixel counts [true, predicted] of labels and masks of equal shape; masks of 255 do not count.

    A label that is no class is an ArtifactError, a mask that is none a bug of whoever read it.
    """
    counted = masks != IGNORE
    predicted, true = labels[counted].astype(np.int64), masks[counted].astype(np.int64)
    if predicted.size and int(predicted.max()) >= classes:
        raise ArtifactError(
            f"the engine predicts class {int(predicted.max())}, but the data set has {classes} classes",
            "validate on the data set that it was trained on",
        )
    assert not true.size or int(true.max()) < classes
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def validate(
    artifact: Artifact,
    arrays: Arrays,
    *,
    budget_ms: float,
    budget_at: str = "p50",
    predicted_ms: float | None = None,
    predicted_by: TimingContract | None = None,
    miou_torch: float | None = None,
    max_miou_gap: float = MAX_MIOU_GAP,
    seconds: float = 5.0,
    threads: int = 1,
    progress: Progress | None = None,
) -> Verdict:
    """Score and time ``artifact`` and judge it: PASS if the latency at ``budget_at`` is within the budget and the
    engine's mIoU on ``arrays`` is at most ``max_miou_gap`` below PyTorch's (where that is known).

    ``predicted_by`` is the contract of the table that ``predicted_ms`` comes from.
    """
    if not budget_ms > 0:
        raise BudgetError(f"a budget of {budget_ms:g} ms cannot be met", "give a positive one, like --budget 10ms")
    with artifact.open(threads=threads) as session:
        classes = _classes(artifact, session)
        _check_sizes(session, arrays)
        score = evaluate_engine(session, arrays.images, arrays.masks, classes, progress=progress)
    timed = benchmark(artifact, seconds=seconds, threads=threads, progress=progress)
    slowdown = timed.contract.slowdown_since(predicted_by) if predicted_by is not None else None
    reasons = list(_reasons(timed, budget_ms, budget_at, slowdown, score.miou, miou_torch, max_miou_gap))
    return Verdict(
        verdict="FAIL" if reasons else "PASS",
        reasons=tuple(reasons),
        miou=score.miou,
        miou_torch=miou_torch,
        predicted_ms=predicted_ms,
        slowdown=slowdown,
        budget_ms=budget_ms,
        budget_at=budget_at,
        ious=score.ious,
        benchmark=timed,
    )


def _reasons(
    timed: BenchmarkResult,
    budget_ms: float,
    budget_at: str,
    slowdown: float | None,
    miou: float,
    miou_torch: float | None,
    max_gap: float,
) -> list[str]:
    """What fails, each with its figure."""
    reasons = []
    latency_ms = timed.at(budget_at)
    if latency_ms > budget_ms:
        reason = f"latency {budget_at} is {latency_ms:.2f} ms, over the budget of {budget_ms:g} ms"
        if slowdown is not None and slowdown > NOTABLE_SLOWDOWN:
            reason += f"; the machine runs {slowdown:.0%} slower than when the latency table was made"
        reasons.append(reason)
    if miou_torch is not None and miou_torch - miou > max_gap:
        reasons.append(f"the engine's mIoU is {miou:.2%}, {miou_torch - miou:.2%} below PyTorch's {miou_torch:.2%}")
    return reasons


def _classes(artifact: Artifact, session: Session) -> int:
    if session.output.dtype != "uint8":
        return session.output.shape[1]
    if artifact.manifest is None or not artifact.manifest.classes:
        raise ArtifactError(
            f"{artifact.path} gives labels and does not say of how many classes", "export it with its manifest"
        )
    return len(artifact.manifest.classes)


def _check_sizes(session: Session, arrays: Arrays) -> None:
    size, given = tuple(session.input.shape[2:]), tuple(arrays.images.shape[1:3])
    if size != given:
        raise ArtifactError(
            f"the engine takes images of {'x'.join(map(str, size))}, but the data is {'x'.join(map(str, given))}",
            f"read the data at --size {'x'.join(map(str, size))}",
        )
