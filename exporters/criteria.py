"""What a verdict depends on: limits, and one check for each that counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from hwnas.errors import BudgetError
from hwnas.exporters.benchmark import BenchmarkResult
from hwnas.exporters.deadlines import DeadlineRun

MAX_MIOU_GAP = 0.001
"""How far the engine's mIoU may be below PyTorch's (0 to 1): a tenth of a point."""

MAX_MISSED = 0.001
"""The share of deadlines that may be missed, where a frame rate is given."""

NOTABLE_SLOWDOWN = 0.05
"""A slower machine than when the table was made is named as a reason from here on."""


@dataclass(frozen=True)
class Criteria:
    """What a verdict depends on. A limit that is None does not count; the frame rate's deadlines do if it is given."""

    budget_ms: float | None = None
    budget_at: str = "p50"
    max_p99_ms: float | None = None
    """Limit of p99, besides the budget: of the deadline run's if there is one, else of the engine's."""
    max_miou_gap: float = MAX_MIOU_GAP
    fps: float | None = None
    """Frames a second that arrive in the deadline run."""
    deadline_s: float = 20.0
    max_missed: float = MAX_MISSED

    def __post_init__(self) -> None:
        for limit_ms in (self.budget_ms, self.max_p99_ms):
            if limit_ms is not None and not (limit_ms > 0 and math.isfinite(limit_ms)):
                raise BudgetError(
                    f"a budget of {limit_ms:g} ms cannot be met", "give a positive one, like --budget 10ms"
                )
        if self.fps is not None and not all(each > 0 and math.isfinite(each) for each in (self.fps, self.deadline_s)):
            raise BudgetError(
                f"{self.fps:g} frames a second for {self.deadline_s:g} s are no deadlines",
                "give positive, finite numbers",
            )
        for name, share in (("drop of mIoU", self.max_miou_gap), ("share of missed deadlines", self.max_missed)):
            if not 0 <= share <= 1:
                raise BudgetError(f"the {name} cannot be limited to {share:.2%}", "give a limit from 0 to 100%")


@dataclass(frozen=True)
class Check:
    """One criterion's outcome: what was found, as a sentence with its figures."""

    name: str
    passed: bool
    finding: str


def checks_of(
    criteria: Criteria,
    timed: BenchmarkResult,
    deadlines: DeadlineRun | None,
    slowdown: float | None,
    miou: float,
    miou_torch: float | None,
) -> Iterator[Check]:
    """Every criterion that counts, each with its figures. mIoU is from 0 to 1."""
    if criteria.budget_ms is not None:
        latency_ms, at = timed.at(criteria.budget_at), criteria.budget_at
        passed = latency_ms <= criteria.budget_ms
        finding = f"latency {at} is {latency_ms:.2f} ms, {_against(passed)} the budget of {criteria.budget_ms:g} ms"
        if not passed and slowdown is not None and slowdown > NOTABLE_SLOWDOWN:
            finding += f"; the machine runs {slowdown:.0%} slower than when the latency table was made"
        yield Check(f"latency {at}", passed, finding)
    if criteria.max_p99_ms is not None:
        p99_ms, of = (deadlines.p99_ms, "arrival to result") if deadlines else (timed.p99_ms, "engine")
        passed = p99_ms <= criteria.max_p99_ms
        finding = f"p99 ({of}) is {p99_ms:.2f} ms, {_against(passed)} the limit of {criteria.max_p99_ms:g} ms"
        yield Check("latency limit p99", passed, finding)
    if deadlines is not None:
        passed = deadlines.missed_share <= criteria.max_missed
        finding = (
            f"{deadlines.missed_share:.2%} of {deadlines.frames} deadlines at {deadlines.fps_wanted:g} frames a second "
            f"were missed ({deadlines.dropped} dropped, {deadlines.late} late), {_against(passed)} the limit of "
            f"{criteria.max_missed:.2%}; the true rate is {deadlines.fps:.1f} frames a second"
        )
        yield Check("deadlines", passed, finding)
    if miou_torch is not None:
        passed = miou_torch - miou <= criteria.max_miou_gap
        finding = f"the engine's mIoU is {miou:.2%}, {miou_torch - miou:.2%} below PyTorch's {miou_torch:.2%}"
        yield Check("mIoU", passed, finding)


def _against(passed: bool) -> str:
    return "within" if passed else "over"
