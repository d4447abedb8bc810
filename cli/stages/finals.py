"""The finals of a search: its best candidates begin their final training, and the best go on until one is left.

A supernet that was trained for minutes orders candidates roughly, and worst across sizes: a small slice is ripe sooner.
A short training of its own, its learning rate falling to nothing, has the same fault. So every finalist does the first
part of the training that the winner will do in whole, at the learning rate that belongs there, and the better ones the
next part (successive halving, Jamieson & Talwalkar, arXiv 1502.07943). What the winner has done so far counts: its
training goes on from there. Only what the others did is spent on the choice.

They are compared by the search's objective, its costs as predicted; limits on qualities are of whole evaluations, and
do not bind a training that has only begun. Where recipes were searched, beginnings do not compare, since recipes differ
in what they do first: the search's own scores decide then.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli.stages.data import TrainingData
from hwnas.cli.stages.training import RECIPE, train_genotype
from hwnas.clock import Clock
from hwnas.compiler.weights import load_weights, save_weights
from hwnas.errors import BudgetError, RunError
from hwnas.files import read_json, write_json
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.contract import TimingContract
from hwnas.search.evaluators.base import CALIBRATION, Measures
from hwnas.search.objective import QUALITIES, Objective, direction_of
from hwnas.search.pareto import front
from hwnas.search.problem import candidate_key
from hwnas.search.scalarise import Plain
from hwnas.search.strategy import Outcome, Request
from hwnas.spaces.base import Decisions
from hwnas.training.loop import DivergedError
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget as Time

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.cli.stages.searching import Field
    from hwnas.progress import Progress
    from hwnas.search.run import SearchResult

logger = logging.getLogger(__name__)

TURNS = ((0.8, 1.0), (0.6, 0.8), (0.8, 1.0), (0.0, 1.0))
"""Finalists are taken in turn from these bands of latency, in parts of the budget: half of them use most of it."""
ALL_ALIKE = ((0.0, 1.0),)
"""The same where what is cheaper may be better."""

FINALISTS = 8
APART = 3
"""Choices in which two finalists differ at least, as long as there are such: siblings are not worth two trainings."""

FIRST, FIRST_S = 0.03, 4.0
"""Part of the final training that all finalists do, and at least how many seconds."""
SECOND = 8 / 3
"""The second part ends at so many times the first."""
SECOND_ROUND = 3
"""Finalists that are measured and do the second part, if there is time for them."""

LEAST_MARGIN = 1.03
"""Two measurements of the same engine on a quiet machine differ by about this."""


ROOM = 0.98
"""Part of the budget that is aimed at where networks turned out too slow."""


@dataclass(frozen=True)
class Measured:
    """A latency, and what it would be at the machine's slowest: that has to be within the budget."""

    latency_ms: float
    slowest_ms: float

    def tightened_ms(self, predicted_ms: float, budget_ms: float) -> float:
        """The limit on predictions under which networks are within the budget if they miss theirs by as much."""
        return ROOM * budget_ms * predicted_ms / self.slowest_ms


class TooSlow(BudgetError):
    """None of the ``networks`` (a few words) was measured within the budget; ``limit_ms`` is what the one nearest to
    its prediction says that predictions may be at most."""

    def __init__(self, networks: str, budget_ms: float, limit_ms: float) -> None:
        super().__init__(
            f"none of the {networks} was measured within {budget_ms:.3g} ms",
            "the machine may be busy, and its drift asks for a margin: --resume tries again; or raise the budget",
        )
        self.limit_ms = limit_ms


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
    """A candidate on its way: ``miou`` on the held-out blocks is its slice's first, then that after ``steps`` steps, as
    are its ``qualities``, all that the objective has.

    ``scores`` are those of its comparisons so far, by the objective; ``checkpoint`` is what its training goes on from.
    """

    decisions: Decisions
    predicted_ms: float
    slice_miou: float
    miou: float
    steps: int = 0
    qualities: Mapping[str, float] = dataclass_field(default_factory=dict)
    scores: tuple[float, ...] = ()
    measured: Measured | None = None
    checkpoint: Path | None = None


def in_order(found: SearchResult, objective: Objective, limit_ms: float) -> list[Finalist]:
    """The feasible candidates, the best by the ``objective`` first; of several metrics those of the front first. If
    none is within ``limit_ms``, those beyond."""
    outcomes = [trial.outcome for trial in found.trials if trial.outcome is not None and trial.outcome.status == "ok"]
    whole = max((each.request.fidelity for each in outcomes), default=1.0)  # scores of others do not compare
    outcomes = [each for each in outcomes if each.request.fidelity == whole]
    outcomes = [each for each in outcomes if each.values["latency_ms"] <= limit_ms] or outcomes
    outcomes.sort(key=lambda each: -(objective.score(each) or 0.0))
    if objective.also:
        best = front(outcomes, objective)
        outcomes = [*best, *(each for each in outcomes if not any(each is other for other in best))]
    return [
        Finalist(each.request.decisions, each.values["latency_ms"], each.values["miou"], each.values["miou"])
        for each in outcomes
    ]


def pick(found: SearchResult, objective: Objective, limit_ms: float, count: int = FINALISTS) -> list[Finalist]:
    """The best feasible candidates by the ``objective``. Where it is a quality alone: in turn from each band of
    predicted latency up to ``limit_ms``, or from all where a band has none."""
    left = in_order(found, objective, limit_ms)
    alone = not objective.also and isinstance(objective.form, Plain) and direction_of(objective.metric) == "max"
    turns = TURNS if alone else ALL_ALIKE
    taken: list[Finalist] = []
    while left and len(taken) < count:
        low, high = (edge * limit_ms for edge in turns[len(taken) % len(turns)])
        apart = [each for each in left if all(differences(each.decisions, other.decisions) >= APART for other in taken)]
        eligible = apart or left
        best = next((each for each in eligible if low < each.predicted_ms <= high), eligible[0])
        left.remove(best)
        taken.append(best)
    return taken


def differences(a: Decisions, b: Decisions) -> int:
    """In how many choices two candidates differ; one that only one of them has counts, too."""
    return sum(a.get(name) != b.get(name) for name in {*a, *b})


@dataclass(frozen=True)
class Plan:
    """``first`` and ``second`` are the parts of the final training (0 to 1) at which the finalists are compared.

    ``first_s`` seconds of clock are for the first comparison; ``kept`` finalists come to the second, which is none
    where that is one.
    """

    first: float
    second: float
    first_s: float
    kept: int


def plan(training_s: float, seconds: float) -> Plan:
    """How finals divide ``seconds``, the cost of all but the winner, before a final training of ``training_s``."""
    first = min(0.25, max(FIRST, FIRST_S / training_s))
    second = min(1.0, SECOND * first)
    kept = next(count for count in range(SECOND_ROUND, 0, -1) if (count - 1) * second * training_s <= 0.8 * seconds)
    first_s = seconds + training_s * (first if kept == 1 else second - kept * (second - first))
    return Plan(first, second, first_s, kept)


class Finals:
    """Runs the comparisons by ``objective``, whose qualities but the mIoU are measured by ``measures``. ``beginning``
    gives the weights that a finalist begins with (None: new ones); ``measure`` times an op graph in the real engine.

    ``folder`` keeps each finalist's checkpoint and score, so that finals that were killed go on where they were.
    """

    def __init__(
        self,
        field: Field,
        data: TrainingData,
        beginning: Callable[[Finalist], Mapping[str, Tensor] | None],
        measure: Callable[[OpGraph], Measured],
        *,
        folder: Path,
        training_s: float,
        objective: Objective | None = None,
        measures: Measures | None = None,
        recipe: Recipe = RECIPE,
        seed: int,
        threads: int,
        progress: Progress,
        clock: Clock = time.monotonic,
    ) -> None:
        self._field, self._data, self._beginning, self._measure = field, data, beginning, measure
        self._folder, self._training_s, self._recipe = folder, training_s, recipe
        self._objective, self._measures = objective or Objective(), dict(measures or {})
        self._seed, self._threads, self._progress, self._clock = seed, threads, progress, clock

    def winner(self, finalists: Sequence[Finalist], limit_ms: float, seconds: float) -> Finalist:
        """The best in the mean of both comparisons, of those whose measured latency, with its margin, is within
        ``limit_ms``.

        Finalists begin as long as there is time for the first comparison. TooSlow if none is within.
        """
        times = plan(self._training_s, seconds)
        begun: list[Finalist] = []
        spent_s = 0.0
        for each in finalists:
            if len(begun) >= times.kept and spent_s >= times.first_s:
                break
            reached, took_s = self._reach(each, times.first)
            begun.append(reached)
            spent_s += took_s
        within = self._within(_ranked(begun), limit_ms, times.kept)
        if len(within) > 1:
            within = _ranked([self._reach(each, times.second)[0] for each in within])
        return _sound(within[0])

    def first(self, ranked: Sequence[Finalist], limit_ms: float) -> Finalist:
        """The first of ``ranked`` that is measured within the limit, at the beginning of its training; it is compared
        with none. TooSlow if none is within."""
        left = list(ranked)
        while True:
            (best,) = self._within(left, limit_ms, 1)
            begun, _ = self._reach(best, plan(self._training_s, 0.0).first)
            left = left[1 + [each.decisions for each in left].index(best.decisions) :]
            if begun.miou >= 0 or not left:
                return _sound(begun)

    def _within(self, ranked: Sequence[Finalist], limit_ms: float, count: int) -> list[Finalist]:
        """The first few of ``ranked`` that were measured within the limit.

        Predictions are right on average; a winner is chosen among many and so is apt to be one predicted too fast.
        """
        kept: list[Finalist] = []
        tightened_ms = 0.0
        with self._progress.task("measure the finalists", count) as task:
            for each in ranked:
                measured = self._measure(self._field.pricing.graph(each.decisions))
                if measured.slowest_ms <= limit_ms:
                    kept.append(replace(each, measured=measured))
                tightened_ms = max(tightened_ms, measured.tightened_ms(each.predicted_ms, limit_ms))
                task.update(len(kept), f"{measured.latency_ms:.2f} ms, predicted {each.predicted_ms:.2f}")
                if len(kept) == count:
                    break
        if not kept:
            raise TooSlow(f"{len(ranked)} best candidates", limit_ms, tightened_ms)
        return kept

    def _reach(self, finalist: Finalist, part: float) -> tuple[Finalist, float]:
        """Train a finalist up to that part of the final training and score it; and the seconds that this took.

        One whose training diverges is the worst.
        """
        name = candidate_key(self._field.space.decode(finalist.decisions))
        record = self._folder / f"{name}.json"
        reached: dict[str, Any] = read_json(record, "finalist") if record.exists() else {}
        checkpoint = self._folder / f"{name}.safetensors"
        if f"{part:.6f}" not in reached:
            start = self._clock()
            try:
                known = self._train(finalist, part, checkpoint)
            except DivergedError as error:
                logger.warning("a finalist is left out: %s", error.message)
                known = {"miou": -1.0, "steps": finalist.steps}
            reached[f"{part:.6f}"] = {**known, "took_s": self._clock() - start}
            write_json(record, reached)
        known = reached[f"{part:.6f}"]
        scores = (*finalist.scores, self._score(finalist, known))
        qualities = {name: known[name] for name in self._objective.qualities if name in known}
        after = replace(
            finalist,
            miou=known["miou"],
            qualities=qualities,
            steps=known["steps"],
            scores=scores,
            checkpoint=checkpoint,
        )
        return after, known["took_s"]

    def _score(self, finalist: Finalist, known: Mapping[str, Any]) -> float:
        if known["miou"] < 0:  # it diverged: cheap as it may be, it is the worst
            return -math.inf
        measured = {name: known[name] for name in self._objective.qualities}
        priced = {self._objective.metric, *self._objective.form.costs} - set(QUALITIES)
        costs = self._field.pricing.costs(finalist.decisions) if priced else {}
        score = self._objective.score(Outcome(Request(finalist.decisions, 0), {**costs, **measured}))
        assert score is not None
        return score

    def _train(self, finalist: Finalist, part: float, checkpoint: Path) -> dict[str, Any]:
        from hwnas.training.metrics import evaluate

        kept = checkpoint.with_suffix(".beginning.safetensors")
        if not kept.exists() and (beginning := self._beginning(finalist)) is not None:
            save_weights(beginning, kept, {})
        candidate = self._field.space.decode(finalist.decisions)
        trained = train_genotype(
            candidate.genotype,
            self._data,
            budget=Time(seconds=self._training_s),
            until=part,
            indices=self._data.train,
            initial=load_weights(kept)[0] if kept.exists() else None,
            recipe=self._recipe.with_values(candidate.recipe),
            seed=self._seed,
            threads=self._threads,
            checkpoint=checkpoint,
            log=None,
            progress=self._progress,
            label="train a finalist",
            clock=self._clock,
        )
        score = evaluate(trained.network, self._data.arrays, self._data.classes, indices=self._data.held)
        shown = self._data.images.shown(CALIBRATION) if self._measures else None
        more = {name: each.of(trained.network, shown) for name, each in self._measures.items() if shown is not None}
        return {"miou": score.miou, "steps": trained.fitted.spent.steps, **more}


def _sound(winner: Finalist) -> Finalist:
    """The winner; RunError if not even its training got anywhere."""
    if winner.miou < 0:
        raise RunError(
            "the trainings of all the best candidates diverged", "search with other recipes or data: `hwnas data check`"
        )
    return winner


def _ranked(finalists: Sequence[Finalist]) -> list[Finalist]:
    """By the mean of their scores: at the high learning rates of a beginning, one score alone is a noisy one."""
    return sorted(finalists, key=lambda each: -sum(each.scores) / len(each.scores))
