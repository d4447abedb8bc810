"""The finals of a search: its best candidates trained for a moment each, the better half for longer, and so on to one.

Slices of a supernet that was trained for minutes order candidates roughly, and worst across sizes: a small slice is
ripe sooner. So the finalists are the best of every band of latency, and short trainings from their slices decide
between them (successive halving, Jamieson & Talwalkar, arXiv 1502.07943). What the winner has learned is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hwnas.cli.stages.data import TrainingData
from hwnas.cli.stages.training import train_genotype
from hwnas.errors import BudgetError
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.contract import TimingContract
from hwnas.spaces.base import Decisions
from hwnas.training.schedule import Budget as Time

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.cli.stages.searching import Field
    from hwnas.progress import Progress
    from hwnas.search.run import SearchResult
    from hwnas.supernet.evaluate import SliceEvaluator

BANDS = (0.0, 0.7, 0.85, 1.0)
"""Edges of the bands of latency, as parts of the budget."""

FINALISTS = 8
SECOND_ROUND = 3
"""Finalists that are measured and trained on; their measuring is what allows or forbids them."""

FIRST_SHARE = 0.45
"""Part of the finals' time that the first round takes."""

LEAST_MARGIN = 1.03
"""Two measurements of the same engine on a quiet machine differ by about this."""


@dataclass(frozen=True)
class Measured:
    """A latency, and what it would be at the machine's slowest: that has to be within the budget."""

    latency_ms: float
    slowest_ms: float


def margin_of(table: TimingContract) -> float:
    """How much slower than in the median the machine has been seen to run while the table was made, at least 1.03."""
    return max(LEAST_MARGIN, 1.0 + table.reference_drift)


def with_margin(latency_ms: float, now: TimingContract, table: TimingContract) -> Measured:
    """A latency just measured, with the margin that the machine's own drift asks for.

    The reference kernel says how the machine runs now and how it ran for the table: if it is quick now, the engine
    will be slower again when it is judged; if it is slow now, it may still become slower by the table's drift.
    """
    slowdown = now.slowdown_since(table)
    slowest = margin_of(table)
    if slowdown is not None:
        slowest = max(slowest, (1.0 + table.reference_drift) / (1.0 + slowdown))
    return Measured(latency_ms, latency_ms * slowest)


@dataclass(frozen=True)
class Finalist:
    """A candidate on its way: ``miou`` on the held-out blocks is its slice's first, then that after ``steps`` steps."""

    decisions: Decisions
    predicted_ms: float
    slice_miou: float
    miou: float
    steps: int = 0
    measured: Measured | None = None
    weights: Mapping[str, Tensor] | None = None


def pick(found: SearchResult, limit_ms: float, count: int = FINALISTS) -> list[Finalist]:
    """The best feasible candidates of each band of predicted latency up to ``limit_ms``, in turn, best first; if none
    is within it, of those beyond."""
    bands: list[list[Finalist]] = [[] for _ in BANDS[1:]]
    outcomes = [trial.outcome for trial in found.trials if trial.outcome is not None and trial.outcome.status == "ok"]
    within = [outcome for outcome in outcomes if outcome.values["latency_ms"] <= limit_ms]
    for outcome in within or outcomes:
        latency_ms, miou = outcome.values["latency_ms"], outcome.values["miou"]
        band = next(i for i, edge in enumerate(BANDS[1:]) if latency_ms <= edge * limit_ms or edge == BANDS[-1])
        bands[band].append(Finalist(outcome.request.decisions, latency_ms, miou, miou))
    for members in bands:
        members.sort(key=lambda each: -each.miou)
    taken: list[Finalist] = []
    while len(taken) < count and any(bands):
        taken += [members.pop(0) for members in reversed(bands) if members]
    return sorted(taken[:count], key=lambda each: -each.miou)


class Finals:
    """Runs the rounds. ``measure`` times an op graph in the real engine."""

    def __init__(
        self,
        field: Field,
        data: TrainingData,
        evaluator: SliceEvaluator,
        measure: Callable[[OpGraph], Measured],
        *,
        seed: int,
        threads: int,
        progress: Progress,
    ) -> None:
        self._field, self._data, self._evaluator, self._measure = field, data, evaluator, measure
        self._seed, self._threads, self._progress = seed, threads, progress

    def winner(self, finalists: Sequence[Finalist], limit_ms: float, seconds: float) -> Finalist:
        """Two rounds; between them, those measured over ``limit_ms``, their margin added, are out.

        BudgetError if none is within.
        """
        first_s = FIRST_SHARE * seconds / len(finalists)
        ranked = sorted((self._trained(each, first_s) for each in finalists), key=lambda each: -each.miou)
        within = self._within(ranked, limit_ms)
        second_s = (1 - FIRST_SHARE) * seconds / len(within)
        if len(within) == 1:
            return within[0]
        return max((self._trained(each, second_s) for each in within), key=lambda each: each.miou)

    def _within(self, ranked: Sequence[Finalist], limit_ms: float) -> list[Finalist]:
        """The first few of ``ranked`` that were measured within the limit.

        Predictions are right on average; a winner is chosen among many and so is apt to be one predicted too fast.
        """
        kept: list[Finalist] = []
        with self._progress.task("measure the finalists", SECOND_ROUND) as task:
            for each in ranked:
                measured = self._measure(self._field.pricing.graph(each.decisions))
                if measured.slowest_ms <= limit_ms:
                    kept.append(replace(each, measured=measured))
                task.update(len(kept), f"{measured.latency_ms:.2f} ms, predicted {each.predicted_ms:.2f}")
                if len(kept) == SECOND_ROUND:
                    break
        if not kept:
            raise BudgetError(
                f"none of the {len(ranked)} best candidates was measured within {limit_ms:.3g} ms",
                "the machine may be busy, and its drift asks for a margin: --resume tries again; or raise the budget",
            )
        return kept

    def _trained(self, finalist: Finalist, seconds: float) -> Finalist:
        from hwnas.training.metrics import evaluate

        genotype = self._field.space.decode(finalist.decisions).genotype
        initial = finalist.weights
        if initial is None:
            at_score = self._field.pricing.graph(finalist.decisions, (3, *self._evaluator.size_hw))
            initial = self._evaluator.network(at_score).state_dict()
        trained = train_genotype(
            genotype,
            self._data,
            budget=Time(seconds=max(seconds, 0.5)),
            indices=self._data.train,
            initial=initial,
            seed=self._seed + finalist.steps,
            threads=self._threads,
            log=None,
            progress=self._progress,
            label="train a finalist",
        )
        score = evaluate(trained.network, self._data.arrays, self._data.classes, indices=self._data.held)
        return replace(
            finalist,
            miou=score.miou,
            steps=finalist.steps + trained.fitted.spent.steps,
            weights=trained.network.state_dict(),
        )
