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
from hwnas.data.frames import MOST_FRAMES
from hwnas.data.scoring import Score, score_of
from hwnas.errors import ArtifactError
from hwnas.exporters.artifact import Artifact
from hwnas.exporters.benchmark import BenchmarkResult, benchmark
from hwnas.exporters.criteria import Check, Criteria, checks_of
from hwnas.exporters.deadlines import DeadlineRun, frames_in, run_at_fps
from hwnas.exporters.engine import Session
from hwnas.exporters.inputs import labels_in, outputs_of
from hwnas.exporters.scopes import labels_of
from hwnas.latency.contract import TimingContract
from hwnas.progress import Progress, Silent

WARMUP_RUNS = 5


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
    budget_ms: float | None
    budget_at: str
    ious: tuple[float, ...]
    checks: tuple[Check, ...]
    deadlines: DeadlineRun | None
    benchmark: BenchmarkResult

    @property
    def passed(self) -> bool:
        return self.verdict == "PASS"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the verdict's fields and the benchmark's, flat; IoUs of absent classes are null."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "benchmark"}
        lists = {
            "reasons": list(self.reasons),
            "ious": [None if math.isnan(iou) else iou for iou in self.ious],
            "checks": [dataclasses.asdict(check) for check in self.checks],
            "deadlines": self.deadlines.to_dict() if self.deadlines else None,
        }
        return {**own, **lists, **self.benchmark.to_dict()}


def evaluate_engine(
    session: Session, images: np.ndarray, masks: np.ndarray, classes: int, *, progress: Progress | None = None
) -> Score:
    """Run uint8 images (N, H, W, 3) through an engine and score its labels against masks (N, H, W), 255 ignored."""
    confusion = np.zeros((classes, classes), np.int64)
    with (progress or Silent()).task("scoring the engine", len(images)) as task:
        for i, output in enumerate(outputs_of(session, images)):
            confusion += confusion_of(labels_in(output), np.asarray(masks[i : i + 1]), classes)
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
    criteria: Criteria,
    *,
    frames: np.ndarray | None = None,
    predicted_ms: float | None = None,
    predicted_by: TimingContract | None = None,
    miou_torch: float | None = None,
    seconds: float = 5.0,
    threads: int = 1,
    progress: Progress | None = None,
) -> Verdict:
    """Score and time ``artifact`` and judge it: PASS if it meets all criteria.

    With a frame rate, ``frames`` uint8 (N, H, W, 3), those of ``arrays`` if not given, arrive on a clock and are turned
    into labels, the first :data:`MOST_FRAMES` of them round and round. ``predicted_by`` is the contract of the table
    that ``predicted_ms`` comes from.
    """
    with artifact.open(threads=threads) as session:
        if criteria.fps is not None:
            check_one_by_one(artifact, session.input.batch)
        classes = _classes(artifact, session)
        _check_sizes(session, arrays)
        score = evaluate_engine(session, arrays.images, arrays.masks, classes, progress=progress)
    timed = benchmark(artifact, seconds=seconds, threads=threads, progress=progress)
    deadlines = None
    if criteria.fps is not None:
        given = arrays.images if frames is None else frames
        deadlines = _meet_deadlines(artifact, given, criteria.fps, criteria.deadline_s, threads, progress or Silent())
    slowdown = timed.contract.slowdown_since(predicted_by) if predicted_by is not None else None
    checks = tuple(checks_of(criteria, timed, deadlines, slowdown, score.miou, miou_torch))
    failed = tuple(check.finding for check in checks if not check.passed)
    return Verdict(
        verdict="FAIL" if failed else "PASS",
        reasons=failed,
        miou=score.miou,
        miou_torch=miou_torch,
        predicted_ms=predicted_ms,
        slowdown=slowdown,
        budget_ms=criteria.budget_ms,
        budget_at=criteria.budget_at,
        ious=score.ious,
        checks=checks,
        deadlines=deadlines,
        benchmark=timed,
    )


def _meet_deadlines(
    artifact: Artifact, frames: np.ndarray, fps: float, seconds: float, threads: int, progress: Progress
) -> DeadlineRun:
    """A deadline run of decoded frames to labels."""
    with artifact.open(threads=threads) as session:
        kept = [np.ascontiguousarray(frame) for frame in frames[:MOST_FRAMES]]
        for _ in range(WARMUP_RUNS):
            labels_of(session, kept[0][None])
        with progress.task(f"{fps:g} frames a second", frames_in(fps, seconds)) as task:
            # a progress bar that is drawn at every frame would take the frames' time
            every = max(1, round(fps))

            def say(done: int) -> None:
                if done % every == 0:
                    task.update(done)

            return run_at_fps(lambda i: labels_of(session, kept[i % len(kept)][None]), fps, seconds, say=say)


def check_one_by_one(artifact: Artifact, batch: int) -> None:
    """Refuse an engine of a fixed batch for a deadline run."""
    if batch > 1:
        raise ArtifactError(
            f"frames come one by one, and {artifact.path} takes {batch} at a time",
            "export it with --batch 1 for a deadline run",
        )


def _classes(artifact: Artifact, session: Session) -> int:
    if session.output.dtype != "uint8":
        return session.output.shape[1]
    if artifact.manifest is None or not artifact.manifest.classes:
        raise ArtifactError(
            f"{artifact.path} gives labels and does not say of how many classes",
            "validate the engine that gives logits, or one of a trained network",
        )
    return len(artifact.manifest.classes)


def _check_sizes(session: Session, arrays: Arrays) -> None:
    size, given = session.input.size_hw, tuple(arrays.images.shape[1:3])
    if size != given:
        raise ArtifactError(
            f"the engine takes images of {'x'.join(map(str, size))}, but the data is {'x'.join(map(str, given))}",
            f"read the data at --size {'x'.join(map(str, size))}",
        )
