"""What the stages of a deployment have in common: the open run directory, the settings, and what both say."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.objectives import budget_of, device_table, objective_of, table_names
from hwnas.cli.options import parse_limits
from hwnas.cli.settings import Settings
from hwnas.cli.shares import Shares, divide
from hwnas.cli.stages import evaluating, exporting, finals, searching
from hwnas.cli.stages.data import TrainingData, open_training_data
from hwnas.cli.stages.teaching import open_teacher
from hwnas.cli.stages.training import RECIPE
from hwnas.cli.stages.workers import Workers
from hwnas.clock import CLOCKS
from hwnas.files import read_json, write_json
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.serialize import load_genotype
from hwnas.latency.model import TableModel
from hwnas.latency.table import LatencyTable, load_table
from hwnas.progress import Progress
from hwnas.rundir import RunDir
from hwnas.search.backbone import takes_backbone
from hwnas.search.costs import LATENCY, latency_names
from hwnas.search.methods import METHODS, Method
from hwnas.search.objective import Budget, Objective
from hwnas.search.storage import JOURNAL, STUDY_NAME
from hwnas.training.network_files import GENOTYPE
from hwnas.training.recipe import Recipe

if TYPE_CHECKING:
    from hwnas.spaces.base import SearchSpace
    from hwnas.training.distill import Teacher
    from hwnas.training.logs import Sink

TABLE, SHARES, CHOSEN, FINALIST = "table.json", "shares.json", "chosen.json", "finalist.safetensors"
SUPERNET_REPORT = "supernet.json"
TEACHER = "teacher"
"""Folder of the network that a method derives beside the one that is deployed."""


class Job:
    """An open run directory and its settings, with what they name: data, tables, budgets, the time of each stage."""

    def __init__(
        self,
        run: RunDir,
        settings: Settings,
        progress: Progress,
        *,
        started: float | None = None,
        divide: Callable[[float, float], Shares] = divide,
        sinks: Sequence[Sink] = (),
        workers: Workers | None = None,
        place: searching.StudyPlace | None = None,
        data: TrainingData | None = None,
        runs_here: bool = True,
    ) -> None:
        self.run = run
        self.settings = settings
        self.progress = progress
        self.sinks = tuple(sinks)
        self.workers = workers or Workers()
        self.place = place or searching.StudyPlace(run / JOURNAL, STUDY_NAME)
        self.clock = CLOCKS[settings.clock]
        self.training_threads = len(os.sched_getaffinity(0))
        self._divide = divide
        self._started = self.clock() if started is None else started
        self._data = data
        self.runs_here = runs_here
        """Whether the network is for this machine: then what the table says is looked at in the engine."""

    @property
    def method(self) -> Method | None:
        """The published system that is followed, if one is."""
        return METHODS.get(self.settings.method) if self.settings.method else None

    @property
    def by_gradients(self) -> bool:
        """Whether a gradient method searches."""
        return self.method is not None and self.method.gradient is not None

    @cached_property
    def space(self) -> SearchSpace:
        """What is searched: networks, and recipes if they are varied."""
        return self.settings.searched

    @cached_property
    def data(self) -> TrainingData:
        """The split ``train``, decoded."""
        if self._data is not None:
            return self._data
        return open_training_data(self.settings.data, self.settings.size_hw, self.progress)

    @cached_property
    def table(self) -> LatencyTable:
        return load_table(self.run / TABLE)

    @cached_property
    def budget(self) -> Budget:
        """The budget, with the ratio of its percentile to p50, and how far predictions err, from the table."""
        s = self.settings
        return budget_of(TableModel(self.table), s.budget_ms, s.budget_at, s.confidence)

    @cached_property
    def tables(self) -> dict[str, TableModel]:
        """The tables that candidates are priced by, the one of the device that is deployed to first."""
        others = {name: load_table(self.run / device_table(name)) for name in table_names(self.settings.devices)}
        return {name: TableModel(table) for name, table in {"table": self.table, **others}.items()}

    @cached_property
    def budgets(self) -> dict[str, Budget]:
        """The latency budget on every device that has one, by cost."""
        s, limits = self.settings, parse_limits(self.settings.limits)
        budgets = {LATENCY: self.budget}
        for cost, name in list(latency_names(self.tables).items())[1:]:
            if cost in limits:
                budgets[cost] = budget_of(self.tables[name], limits[cost], s.budget_at, s.confidence)
        return budgets

    @cached_property
    def objective(self) -> Objective:
        """What the search is after."""
        within = {cost: budget.p50_ms for cost, budget in self.budgets.items()}
        return objective_of(self.settings.objective, {**parse_limits(self.settings.limits), **within})

    @cached_property
    def evaluation(self) -> EvaluatorOptions:
        """How candidates are evaluated, with what the strategy is made for in place of ``auto``."""
        s = self.settings
        return evaluating.resolved(s.evaluation, s.strategy, s.networks, recipes=bool(s.vary))

    @property
    def uses_supernet(self) -> bool:
        """Whether candidates are scored as slices of one."""
        return evaluating.SLICES in evaluating.names_of(self.evaluation)

    @cached_property
    def recipe(self) -> Recipe:
        """How the network is trained, from its beginning in the finals to the end."""
        recipe = RECIPE.with_values(self.settings.recipe)
        return evaluating.fitting_recipe(recipe, self.space, self.data.images)

    @property
    def genotype(self) -> Genotype:
        """The one that was chosen."""
        return load_genotype(self.run / GENOTYPE)

    def shares(self) -> Shares:
        """The seconds of the stages that follow, decided once, when profiling has ended."""
        path = self.run / SHARES
        if not path.exists():
            total_s = 60 * self.settings.minutes
            shares = self._divide(total_s - self._spent_s(), total_s)
            if not self.by_gradients:
                shares = shares if self.uses_supernet else shares.without_supernet()
                if takes_backbone(self.settings.networks) and not self.settings.evaluation.backbone_weights:
                    shares = shares.with_backbone()
                if self.settings.vary:
                    shares = shares.without_finals()
            write_json(path, asdict(shares))
        return Shares(**read_json(path, "time plan"))

    def _spent_s(self) -> float:
        """Seconds used so far: by this life of the run, or by the stages that earlier ones have finished."""
        stamped = float(sum(stamp["seconds"] for stamp in self.run.stamps().values()))
        return max(self.clock() - self._started, stamped)

    @contextmanager
    def supernet_teacher(self) -> Iterator[Teacher | None]:
        """Whose logits the search's supernet learns beside the labels; None where nobody was named."""
        s = self.settings
        if s.supernet_teacher is None:
            yield None
            return
        weights = None if s.supernet_teacher_weights is None else Path(s.supernet_teacher_weights)
        with open_teacher(s.supernet_teacher, weights, self.data.dataset, threads=self.training_threads) as teacher:
            yield teacher

    def measured(self, graph: OpGraph, scratch: Path) -> finals.Measured:
        """How long a network takes in the engine at the budget's percentile, the machine's drift allowed for; what its
        table says, where it is for another machine."""
        s = self.settings
        if not self.runs_here:
            predicted_ms = TableModel(self.table).predict(graph).latency_ms
            return finals.Measured(predicted_ms, predicted_ms)
        timed = exporting.time_untrained(graph, scratch, seconds=1.5, threads=s.threads)
        return finals.with_margin(timed.alone(s.budget_at), timed.contract, self.table.contract)
