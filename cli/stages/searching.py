"""The search stage: prices from a table, a supernet within the budget, a search of its slices, a measured winner."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.cli.stages.data import TRAIN, TrainingData
from hwnas.clock import Clock
from hwnas.data.cache import load_arrays
from hwnas.errors import BudgetError, HwnasError, RunError, TableError
from hwnas.files import read_json, write_json
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.model import TableModel
from hwnas.search.costs import LATENCY, SearchCosts
from hwnas.search.evaluators.base import CALIBRATION, Shown
from hwnas.search.executor import Executor
from hwnas.search.feasible import FeasibleSpace
from hwnas.search.make import make_strategy
from hwnas.search.objective import Budget, Objective
from hwnas.search.pooled import takes_pool
from hwnas.search.problem import Problem, by_candidate
from hwnas.search.satisfiable import Satisfiable, satisfiable
from hwnas.search.strategy import Evaluator
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, decisions_from_json
from hwnas.spaces.narrowed import NarrowedSpace, options_in_use
from hwnas.supernet.samplers.base import SAMPLERS, Grounds, PathSampler, Steered
from hwnas.supernet.samplers.within_budget import WithinBudget

if TYPE_CHECKING:
    from hwnas.progress import Progress
    from hwnas.search.backbone import Backbone
    from hwnas.search.run import SearchResult
    from hwnas.supernet.evaluate import SliceEvaluator
    from hwnas.supernet.shared import SharedWeights
    from hwnas.supernet.train import SupernetTraining
    from hwnas.training.distill import Teacher
    from hwnas.training.recipe import Recipe

PATH_HEADROOM = 1.25
"""Paths that the supernet trains may be this much over the budget: the best candidates lie at its edge."""

POOL = 400
"""Genotypes drawn to see what a budget leaves of a space."""

LOOKED_AT = 200
"""Genotypes that are looked at to see whether a table lacks anything."""

SCORE_AT = 0.5
"""Slices are scored on images of this fraction of the height and width, in a quarter of the time."""


class Pricing:
    """What decisions cost, by tables and by counting; every genotype is priced once."""

    def __init__(
        self,
        space: SearchSpace,
        tables: Mapping[str, TableModel],
        objective: Objective,
        size_hw: tuple[int, int],
        classes: int,
        rng: np.random.Generator,
    ) -> None:
        self._space = space
        self._shape: Shape = (3, *size_hw)
        self._classes = classes
        self._objective = objective
        self.many = SearchCosts(space, size_hw, classes, tables, rng, objective.needs)

    def graph(self, decisions: Decisions, shape: Shape | None = None) -> OpGraph:
        """The op graph of ``decisions``, at the run's size or at another."""
        return expand(self._space.decode(decisions).genotype, shape or self._shape, self._classes)

    def latency_ms(self, decisions: Decisions) -> float:
        """Predicted p50 of the full-size artifact; ``decisions`` are canonical. Infinite where there is no price."""
        return self.many.of(decisions)[LATENCY]

    def strained_ms(self, decisions: Decisions) -> float:
        """The latency, stretched where another limit is nearer: it exceeds its limit by what the worst cost does."""
        return self._objective.limits[LATENCY] * (1 + self._objective.excess(self.costs(decisions)))

    def costs(self, decisions: Decisions) -> Mapping[str, float]:
        """Every cost by the name that objectives know it by."""
        return self.many.of(decisions)


@dataclass(frozen=True)
class Field:
    """The part of a space that the limits leave, and the problem to search there."""

    space: SearchSpace
    pricing: Pricing
    problem: Problem
    limit_ms: float
    """Paths of the supernet are priced at this or less."""
    satisfiable: Satisfiable
    """What the whole space costs."""


def lay_out(
    space: SearchSpace,
    tables: Mapping[str, TableModel],
    objective: Objective,
    budgets: Mapping[str, Budget],
    size_hw: tuple[int, int],
    classes: int,
    seed: int,
) -> Field:
    """Check that the limits can be kept, and narrow the space to the options that they leave.

    ``budgets`` are the latency budgets that limits were made of, by cost. Raises BudgetError, with the floors of the
    space, if nothing is within all limits.
    """
    rng = np.random.default_rng([seed, 2])
    pricing = Pricing(space, tables, objective, size_hw, classes, rng)
    try:
        found = satisfiable(space, pricing.many, objective, rng, budgets=budgets)
    except BudgetError:
        if (
            lacking := _lacking(space, pricing.many, rng)
        ) is not None:  # what the table lacks may be what would meet it
            raise lacking from None
        raise
    within_ms = objective.limits[LATENCY]
    limit_ms = PATH_HEADROOM * within_ms
    paths = WithinBudget(space, pricing.strained_ms, limit_ms, rng, known=found.within).paths(POOL, rng)
    used = options_in_use(space, paths)
    for name, option in found.within.items():  # so that what is known to keep all limits stays in the space
        used[name] = (*used[name], *(() if option in used[name] else (option,)))
    narrowed = NarrowedSpace(space, used)
    pool = WithinBudget(narrowed, pricing.strained_ms, within_ms, rng, known=found.within).paths(POOL, rng)
    feasible = FeasibleSpace(narrowed, pool, lambda decisions: objective.excess(pricing.costs(decisions)) <= 0)
    problem = Problem(feasible, objective, pricing.costs, by_candidate(space), pricing.many.of_many)
    return Field(narrowed, pricing, problem, limit_ms, found)


def _lacking(space: SearchSpace, costs: SearchCosts, rng: np.random.Generator) -> TableError | None:
    """What a table lacks of some genotypes, if it does."""
    drawn = [canonical(space, space.sample(rng)) for _ in range(LOOKED_AT)]
    totals = np.sum(list(costs.of_many(drawn).values()), axis=0)
    without = np.flatnonzero(~np.isfinite(totals))
    return costs.why_unpriced(drawn[without[0]]) if len(without) else None


def train_supernet(
    field: Field,
    data: TrainingData,
    *,
    seconds: float,
    seed: int,
    threads: int,
    checkpoint: Path,
    log: Path,
    progress: Progress,
    sampler: str = "uniform",
    recipe: Recipe | None = None,
    teacher: Teacher | None = None,
    backbone: Backbone | None = None,
    clock: Clock = time.monotonic,
) -> tuple[PathSampler, SupernetTraining]:
    """Train a supernet of the field on the training part, for ``seconds`` in all lives of ``checkpoint``, by ``recipe``
    if that is not the usual one, and from a ``teacher`` if there is one.

    ``sampler`` names the path sampler, which comes back as the training left it. A ``backbone``'s weights are what the
    supernet begins with, where they fit.
    """
    from hwnas.supernet.train import SUPERNET_RECIPE
    from hwnas.supernet.train import train_supernet as train
    from hwnas.training.schedule import Budget as Time

    shared = _fresh_weights(field, data, seed)
    if backbone is not None:
        backbone.into(shared)
    recipe = recipe or SUPERNET_RECIPE
    paths = path_sampler(sampler, field, data, shared, seed, recipe)
    training = train(
        shared,
        paths,
        field.pricing.graph,
        data.arrays,
        data.train,
        data.classes,
        budget=Time(seconds=seconds),
        price=field.pricing.latency_ms,
        recipe=recipe,
        teacher=teacher,
        seed=seed,
        threads=threads,
        checkpoint=checkpoint,
        log=log,
        progress=progress,
        clock=clock,
    )
    return paths, training


def path_sampler(
    name: str,
    field: Field,
    data: TrainingData,
    shared: SharedWeights,
    seed: int,
    recipe: Recipe | None = None,
    **options: Any,
) -> PathSampler:
    """The path sampler called ``name``, which judges paths on a few of the held-out images, at reduced size, by the
    loss of the ``recipe`` that they are trained by if it is not the usual one."""
    from hwnas.supernet.judge import HeldOutLoss
    from hwnas.supernet.train import SUPERNET_RECIPE

    judge = HeldOutLoss(
        shared,
        field.pricing.graph,
        data.arrays,
        data.train,
        data.held,
        data.classes,
        recipe=recipe or SUPERNET_RECIPE,
        size_hw=score_size(data),
    )
    budget_ms = field.limit_ms / PATH_HEADROOM
    rng = np.random.default_rng([seed, 4])
    grounds = Grounds(
        field.space, field.pricing.strained_ms, budget_ms, field.limit_ms, judge, rng, field.satisfiable.within
    )
    return SAMPLERS.get(name)(grounds, **options)


def save_pool(sampler: PathSampler, path: Path) -> dict[str, Any]:
    """Write the pool that a sampler ended with, the best first, empty for a sampler that has none; what was written."""
    steered = sampler if isinstance(sampler, Steered) else None
    pool = [] if steered is None else steered.pool()
    document: dict[str, Any] = {
        "judged": 0 if steered is None else steered.judged,
        "settled": sampler.settled,
        "pool": [
            {"decisions": dict(each.decisions), "loss": each.loss if math.isfinite(each.loss) else None}
            for each in pool
        ],
    }
    write_json(path, document)
    return document


def load_pool(path: Path) -> list[dict[str, Value]]:
    """The decisions that :func:`save_pool` wrote."""
    document = read_json(path, "pool of the path sampler")
    return [decisions_from_json(each["decisions"]) for each in document["pool"]]


def load_supernet(field: Field, data: TrainingData, checkpoint: Path, seed: int) -> SharedWeights:
    """The shared weights that :func:`train_supernet` left in ``checkpoint``."""
    from hwnas.supernet.train import load_shared

    shared = _fresh_weights(field, data, seed)
    load_shared(shared, checkpoint)
    return shared


def _fresh_weights(field: Field, data: TrainingData, seed: int) -> SharedWeights:
    """Always the same for the same field and seed, so that a checkpoint fits."""
    from hwnas.supernet.shared import SharedWeights

    shape: Shape = (3, *data.arrays.images.shape[1:3])
    return SharedWeights.for_space(field.space, shape, data.classes, np.random.default_rng([seed, 3]))


def slice_evaluator(shared: SharedWeights, data: TrainingData) -> SliceEvaluator:
    """Scores slices of ``shared`` on the held-out blocks, at reduced size."""
    from hwnas.supernet.evaluate import SliceEvaluator

    return SliceEvaluator(shared, data.arrays, data.train, data.held, data.classes, size_hw=score_size(data))


def shown_to_slices(data: TrainingData) -> Callable[[], Shown]:
    """What further metrics of slices look at: ``train`` at the size that slices are scored at, decoded when asked."""

    @cache
    def shown() -> Shown:
        arrays = load_arrays(data.dataset, TRAIN, score_size(data))
        return replace(data.images, arrays=arrays).shown(CALIBRATION)

    return shown


def score_size(data: TrainingData) -> tuple[int, int]:
    """The height and width that slices are scored and paths judged at."""
    height, width = data.arrays.images.shape[1:3]
    return round(height * SCORE_AT), round(width * SCORE_AT)


@dataclass(frozen=True)
class StudyPlace:
    """Where a search keeps its study: a journal file or a storage URL, and the study's name there."""

    where: Path | str
    name: str
    join: bool = False
    """Whether to take part in a search that is under way."""


def place_of_study(run: Path, storage: str | None, study: str | None, *, join: bool = False) -> StudyPlace:
    """In the database ``storage`` under the name ``study``, else that of the run directory; else in its journal."""
    from hwnas.search.storage import JOURNAL, STUDY_NAME

    if storage is not None:
        return StudyPlace(storage, study or run.resolve().name, join)
    if study is not None:
        raise HwnasError("--study names a study of a database", "give the database too: --storage URL")
    return StudyPlace(run / JOURNAL, STUDY_NAME, join)


def search_field(
    field: Field,
    evaluator: Evaluator | Executor,
    *,
    place: StudyPlace,
    identity: Mapping[str, object],
    contract: Mapping[str, object] | None = None,
    seconds: float,
    evaluations: int | None,
    strategy: str,
    seed: int,
    progress: Progress,
    pool: Sequence[Decisions] = (),
    limit_s: float | None = None,
    work: Mapping[str, object] | None = None,
    clock: Clock = time.monotonic,
) -> SearchResult:
    """Search until ``seconds`` have passed or ``evaluations`` are recorded; goes on with what the study holds.

    Who joins a search ends with it instead. ``pool`` is what strategies that take one begin with. One candidate is
    evaluated for ``limit_s`` seconds at most. ``work`` is left in the study, for workers that share nothing else with
    this process.
    """
    from hwnas.search.executor import InProcess
    from hwnas.search.joining import WhileLed, wait_for_neighbours
    from hwnas.search.run import search
    from hwnas.search.study import open_study, seed_of

    study = open_study(
        place.where,
        field.problem,
        identity=identity,
        seed=seed,
        join=place.join,
        name=place.name,
        contract=contract,
    )
    if place.join and not study.is_led:
        study.close()
        raise RunError(f"no process is at work on the study {place.name}", "begin the search, or go on with --resume")
    if work is not None and not place.join:
        study.offer(work)
    executor = evaluator if isinstance(evaluator, Executor) else InProcess(evaluator, clock, limit_s=limit_s)
    used_s = sum(trial.duration_s for trial in study.finished if trial.stream == study.stream) / executor.slots
    options = {"pool": pool} if takes_pool(strategy) else {}
    try:
        proposer = make_strategy(strategy, field.problem, seed=seed_of(seed, study.stream), **options)
        if place.join:
            proposer = WhileLed(proposer, study)
        return search(
            field.problem,
            proposer,
            executor,
            study,
            evaluations=evaluations,
            deadline_s=math.inf if place.join else seconds - used_s,
            progress=progress,
            clock=clock,
        )
    finally:
        study.close()
        if not place.join:  # what is timed next must have the cores for itself
            wait_for_neighbours(study)
