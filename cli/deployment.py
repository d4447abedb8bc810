"""One deployment: its stages in order, each from files to files, so that a killed one goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.cli import relaxation
from hwnas.cli.documents import table_document
from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.objectives import budget_of, check_size, device_table, objective_of, table_names
from hwnas.cli.options import parse_limits
from hwnas.cli.output import jsonable
from hwnas.cli.settings import Settings
from hwnas.cli.shares import Shares, divide, profile_seconds
from hwnas.cli.stages import backbone, evaluating, exporting, finals, profiling, searching, validating
from hwnas.cli.stages.data import TrainingData, open_training_data
from hwnas.cli.stages.teaching import open_teacher
from hwnas.cli.stages.training import CHECKPOINT, RECIPE, REPORT, begun_by, train_genotype, training_report
from hwnas.cli.stages.workers import Supernet, Work, Workers, at_work, module_of
from hwnas.cli.working import Offer, offer_of
from hwnas.clock import CLOCKS
from hwnas.compiler.cost import cost_of
from hwnas.errors import BudgetError, HwnasError, RunError
from hwnas.exporters.artifact import open_artifact
from hwnas.exporters.criteria import Criteria
from hwnas.files import read_json, sha256_of_text, write_bytes, write_json
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.serialize import load_genotype, save_genotype
from hwnas.latency.model import TableModel
from hwnas.latency.table import LatencyTable, load_table, save_table
from hwnas.progress import Progress
from hwnas.report.draw import draw_genotype
from hwnas.rundir import RunDir
from hwnas.search.backbone import Backbone, takes_backbone
from hwnas.search.costs import LATENCY, latency_names
from hwnas.search.evaluators.slices import SliceScores
from hwnas.search.methods import METHODS, Method
from hwnas.search.objective import Budget, Objective
from hwnas.search.pareto import front
from hwnas.search.storage import JOURNAL, STUDY_NAME
from hwnas.search.strategy import Outcome
from hwnas.skeletons.base import expand
from hwnas.training.logs import Log, open_sinks
from hwnas.training.network_files import GENOTYPE, WEIGHTS, load_network, save_network
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget as Time

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.cli.stages.relaxing import Ground, Relaxed
    from hwnas.search.executor import Executor
    from hwnas.search.run import SearchResult
    from hwnas.search.strategy import Evaluator
    from hwnas.spaces.base import SearchSpace
    from hwnas.supernet.evaluate import SliceEvaluator
    from hwnas.training.distill import Teacher

TABLE, SHARES, SUPERNET, CHOSEN = "table.json", "shares.json", "supernet.safetensors", "chosen.json"
FOUND_RECIPE = "recipe.json"
POOL = "pool.json"
FINALS, FINALIST = "finals", "finalist.safetensors"
VERDICT, ENGINE, PICTURES = "verdict.json", "engine", "pictures"
MODELS = tuple(f"{ENGINE}/{kind}/model.onnx" for kind in (exporting.LOGITS, exporting.LABELS))


class Deployment:
    """The stages of a deployment in an open run directory, in the order of its methods.

    Each does nothing if its stamp says that it is done, and returns its part of the closing document.
    """

    def __init__(
        self,
        run: RunDir,
        settings: Settings,
        progress: Progress,
        *,
        started: float | None = None,
        divide: Callable[[float, float], Shares] = divide,
        logs: Sequence[str] = (),
        workers: Workers | None = None,
        place: searching.StudyPlace | None = None,
    ) -> None:
        self.run = run
        self.settings = settings
        self.progress = progress
        self._divide = divide
        self._logs = logs
        self._workers = workers or Workers()
        self._place = place or searching.StudyPlace(run / JOURNAL, STUDY_NAME)
        self.clock = CLOCKS[settings.clock]
        self._started = self.clock() if started is None else started
        self.training_threads = len(os.sched_getaffinity(0))
        self.relaxed: tuple[Ground, Relaxed] | None = None
        """What a gradient method has searched on and trained, until it is turned into a network."""

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
    def field(self) -> searching.Field:
        """The part of the space that the limits leave."""
        s = self.settings
        try:
            return searching.lay_out(
                self.space, self.tables, self.objective, self.budgets, s.size_hw, self.data.classes, s.seed
            )
        except BudgetError as error:
            spare = f"--table {self.run / TABLE} in another run directory spares the profiling"
            raise BudgetError(error.message, f"{error.hint}; {spare}") from error

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
    def backbone(self) -> Backbone | None:
        """The weights of the backbone that the space's method takes as given; prepared now if they are not yet."""
        s, space = self.settings, self.settings.networks
        if not takes_backbone(space):
            return None
        options = s.evaluation

        def work() -> None:
            if options.backbone_weights is not None and options.keymap is not None:
                file = Path(options.backbone_weights)
                backbone.take_pretrained(space, self.data, file, options.keymap, self.run.path, self.progress)
                return
            backbone.train_backbone(
                space,
                self.data,
                self.run.path,
                seconds=self.shares().backbone,
                seed=s.seed,
                threads=self.training_threads,
                progress=self.progress,
                clock=self.clock,
            )

        inputs = {"data": s.data, "weights": options.backbone_weights, "keymap": options.keymap}
        self.run.stage("backbone", work, inputs=inputs, outputs=[backbone.BACKBONE, backbone.REPORT])
        return backbone.load_backbone(self.run.path)

    @property
    def genotype(self) -> Genotype:
        """The one that was chosen."""
        return load_genotype(self.run / GENOTYPE)

    def profile(self) -> dict[str, Any]:
        """Measure the latency table, or take the one that was given."""
        s = self.settings
        inputs = {name: getattr(s, name) for name in ("space", "size_hw", "threads", "seed", "table", "devices")}
        devices = table_names(s.devices)

        def work() -> None:
            for name, path in devices.items():
                other = load_table(Path(path))
                check_size(other, s.size_hw)
                save_table(other, self.run / device_table(name))
            if s.table is not None:
                given = load_table(Path(s.table))
                profiling.check_table(given, s.size_hw, s.engine_setting)
                save_table(given, self.run / TABLE)
                return
            profiling.profile_space(
                s.space,
                s.size_hw,
                self.data.classes,
                setting=s.engine_setting,
                seconds=profile_seconds(60 * s.minutes),
                table=self.run / TABLE,
                seed=s.seed,
                progress=self.progress,
                focus_ms=s.budget_ms,
            )

        self.run.stage(
            "profile",
            work,
            inputs={**inputs, "classes": self.data.classes},
            outputs=[TABLE, *map(device_table, devices)],
        )
        return table_document(self.run / TABLE, self.table)

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

    def supernet(self) -> dict[str, Any]:
        """Train the supernet, a gradient method's or one of shared weights; goes on from its checkpoint."""
        if self.by_gradients:
            return relaxation.train(self, TABLE)
        prepared = self.backbone  # a stage of its own, whose seconds are not the supernet's or the search's
        if not self.uses_supernet:
            return {}
        from hwnas.supernet.train import SUPERNET_RECIPE

        report = "supernet.json"

        def work() -> None:
            with self.supernet_teacher() as teacher:
                sampler, trained = searching.train_supernet(
                    self.field,
                    self.data,
                    seconds=self.shares().supernet,
                    seed=self.settings.seed,
                    threads=self.training_threads,
                    checkpoint=self.run / SUPERNET,
                    log=self.run / "supernet.jsonl",
                    progress=self.progress,
                    sampler=self.settings.sampler,
                    recipe=SUPERNET_RECIPE.with_values(self.settings.supernet_recipe),
                    teacher=teacher,
                    backbone=prepared,
                    clock=self.clock,
                )
            pool = searching.save_pool(sampler, self.run / POOL)
            document = {"steps": trained.steps, "mean_path_ms": trained.mean_path_ms, "sampler": self.settings.sampler}
            write_json(self.run / report, {**document, "judged_paths": pool["judged"], "settled": pool["settled"]})

        taught = {"recipe": self.settings.supernet_recipe, "teacher": self.settings.supernet_teacher}
        inputs = {"data": self.settings.data, "sampler": self.settings.sampler, **taught}
        inputs |= self.run.fingerprints(TABLE)
        self.run.stage("supernet", work, inputs=inputs, outputs=[SUPERNET, POOL, report])
        document: dict[str, Any] = read_json(self.run / report, "supernet report")
        return document

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

    def search(self) -> dict[str, Any]:
        """Search the supernet's slices, and let the beginnings of trainings and the real engine decide among the best;
        after a gradient method, take what it has led to."""
        if self.by_gradients:
            return relaxation.choose(self, TABLE, CHOSEN, FINALIST)
        outputs = [CHOSEN, GENOTYPE, FINALIST, *([FOUND_RECIPE] if self.settings.vary else [])]
        self.run.stage("search", self._search, inputs=self._search_inputs(), outputs=outputs)
        shutil.rmtree(self.run / FINALS, ignore_errors=True)
        document: dict[str, Any] = read_json(self.run / CHOSEN, "search result")
        return document

    def _search_inputs(self) -> dict[str, Any]:
        read = (TABLE, SUPERNET, POOL) if self.uses_supernet else (TABLE,)
        return {**self.run.fingerprints(*read), "recipe": self.settings.recipe}

    def _finals_folder(self) -> Path:
        """Where finals keep what they have done; those of another supernet or of other shares keep it elsewhere."""
        of = json.dumps([jsonable(self._search_inputs()), self.shares().train], sort_keys=True)
        return self.run / FINALS / sha256_of_text(of)[:12]

    def candidates(self, seconds: float | None = None) -> SearchResult:
        """Search among candidates, for ``seconds`` instead of their share; with others, if the study is joined."""
        s = self.settings
        seconds = self.shares().search if seconds is None else seconds
        read = [TABLE, *map(device_table, table_names(s.devices)), *([SUPERNET] if self.uses_supernet else [])]
        with self._evaluating() as evaluator:
            return searching.search_field(
                evaluating.filtered(self.field, self.data, s.evaluation, s.seed),
                evaluator,
                place=self._place,
                contract=self.table.contract.to_dict(),
                identity={
                    "data": s.data,
                    "evaluation": evaluating.identity(self.evaluation),
                    **self.run.fingerprints(*read),
                },
                seconds=seconds,
                evaluations=s.evaluations,
                strategy=self.settings.strategy,
                seed=self.settings.seed,
                progress=self.progress,
                pool=searching.load_pool(self.run / POOL) if self.uses_supernet else (),
                limit_s=s.evaluation.time_limit,
                work=None if self._place.join else self._offer(read, seconds).to_dict(),
                clock=self.clock,
            )

    def _offer(self, read: list[str], seconds: float) -> Offer:
        pool = [POOL] if self.uses_supernet else []
        trained = [backbone.BACKBONE, backbone.REPORT] if self.backbone is not None else []
        return offer_of(self, [*read, *pool, *trained], seconds)

    def take_part(self) -> SearchResult:
        """Evaluate candidates beside the process that leads this search, until that has ended."""
        if self.by_gradients:
            raise HwnasError("a search by gradients has no candidates to share", "leave out --join")
        if self.uses_supernet and "supernet" not in self.run.stamps():
            raise RunError(f"the supernet of {self.run.path} is not trained yet", "join when candidates are searched")
        return self.candidates()

    def _search(self) -> None:
        found = self.candidates()
        winner = self._finals(found, self.budget.p50_ms / finals.margin_of(self.table.contract))
        candidate = self.field.space.decode(winner.decisions)
        save_genotype(candidate.genotype, self.run / GENOTYPE)
        if self.settings.vary:
            write_json(self.run / FOUND_RECIPE, dict(candidate.recipe))
        assert winner.checkpoint is not None and winner.measured is not None
        write_bytes(self.run / FINALIST, winner.checkpoint.read_bytes())
        document = {
            "genotype": str(self.run / GENOTYPE),
            "latency_ms": winner.predicted_ms,
            "measured_ms": winner.measured.latency_ms,
            "miou": winner.miou,
            "slice_miou": winner.slice_miou,
            "finals_steps": winner.steps,
            "evaluations": found.evaluations,
            "confidence": self.budget.confidence,
            "limit_ms": self.budget.p50_ms,
            "decisions": dict(winner.decisions),
            "recipe": dict(candidate.recipe),
            "qualities": dict(winner.qualities),
            "objective": self.objective.to_dict(),
            "space": self.field.satisfiable.to_dict(),
            "front": [
                {"values": dict(each.values), "decisions": dict(each.request.decisions)} for each in self._front(found)
            ],
        }
        write_json(self.run / CHOSEN, document)

    @contextmanager
    def _evaluating(self) -> Iterator[Evaluator | Executor]:
        """What scores candidates: this process, or workers, which are gone before anything is timed again."""
        if not self._workers.remote:
            yield self._evaluator_here()
            return
        limit_s = self.settings.evaluation.time_limit
        with at_work(self._workers, self._work(), self.progress, limit_s=limit_s) as executor:
            yield executor

    def _work(self) -> Work:
        """What a worker is sent."""
        s, supernet = self.settings, None
        if self.uses_supernet:
            supernet = Supernet.of(self.evaluator.shared, self.run.fingerprints(SUPERNET)[SUPERNET])
        return Work(
            module_of(s.networks),
            s.space,
            self.evaluation,
            s.data,
            s.size_hw,
            self.run.path.absolute(),
            s.seed,
            self._workers.placement.threads,
            self.backbone,
            supernet,
            s.network,
            s.vary,
            self.objective.qualities,
        )

    def _evaluator_here(self) -> Evaluator:
        s = self.settings

        measures = evaluating.measures_of(self.objective.qualities)

        def slices() -> SliceScores:
            supernet, field = self.run.fingerprints(SUPERNET)[SUPERNET], self.field
            return SliceScores(
                field.space,
                self.evaluator,
                field.pricing.graph,
                supernet=supernet,
                data=s.data,
                measures=measures,
                shown=searching.shown_to_slices(self.data),
            )

        shop = evaluating.Workshop(
            self.field.space,
            self.data,
            self.evaluation,
            self.run.path,
            s.seed,
            self.training_threads,
            self.progress,
            self.backbone,
            slices,
            measures,
        )
        return shop.evaluator()

    def _beginning(self, finalist: finals.Finalist) -> Mapping[str, Tensor] | None:
        """What a finalist's training begins with: its slice of the supernet, else the backbone, if there is one."""
        graph = self.field.pricing.graph
        if self.uses_supernet:
            return self.evaluator.network(graph(finalist.decisions, (3, *self.evaluator.size_hw))).state_dict()
        if self.backbone is None:
            return None
        return self.backbone.start(graph(finalist.decisions), self.settings.seed)

    def _front(self, found: SearchResult) -> list[Outcome]:
        """The Pareto front of the slices; empty where one number was searched for."""
        if not self.objective.also:
            return []
        return front([trial.outcome for trial in found.trials if trial.outcome is not None], self.objective)

    def _finals(self, found: SearchResult, limit_ms: float) -> finals.Finalist:
        """Who wins: of recipes the best that is measured within the budget, of networks the winner of the finals, in
        which those take part that are predicted within ``limit_ms``."""
        with tempfile.TemporaryDirectory() as scratch:

            def measure(graph: OpGraph) -> finals.Measured:
                s = self.settings
                timed = exporting.time_untrained(graph, Path(scratch), seconds=1.5, threads=s.threads)
                return finals.with_margin(timed.alone(s.budget_at), timed.contract, self.table.contract)

            rounds = finals.Finals(
                self.field,
                self.data,
                self._beginning,
                measure,
                folder=self._finals_folder(),
                training_s=self.shares().train,
                objective=self.objective,
                measures=evaluating.measures_of(self.objective.qualities),
                recipe=self._recipe,
                seed=self.settings.seed,
                threads=self.training_threads,
                progress=self.progress,
                clock=self.clock,
            )
            if self.settings.vary:
                best = finals.in_order(found, self.objective, limit_ms)[: finals.FINALISTS]
                return rounds.first(best, self.budget.latency_ms)
            finalists = finals.pick(found, self.objective, limit_ms)
            return rounds.winner(finalists, self.budget.latency_ms, self.shares().finals)

    @cached_property
    def _recipe(self) -> Recipe:
        """How the network is trained; its crops are as large as the space's dilations need them."""
        recipe = RECIPE.with_values(self.settings.recipe)
        return evaluating.fitting_recipe(recipe, self.field.space, self.data.images)

    @cached_property
    def evaluator(self) -> SliceEvaluator:
        """Scores slices of the trained supernet."""
        shared = searching.load_supernet(self.field, self.data, self.run / SUPERNET, self.settings.seed)
        return searching.slice_evaluator(shared, self.data)

    def train(self) -> dict[str, Any]:
        """Train the chosen network to the end, on all of ``train``: the finals were its beginning.

        A training that was killed goes on from its checkpoint.
        """
        s = self.settings
        inputs = {
            **self.run.fingerprints(CHOSEN, FINALIST),
            **{name: getattr(s, name) for name in ("data", "recipe", "teacher", "teacher_weights")},
        }
        if self._teacher is not None and s.teacher is None:
            inputs |= self.run.fingerprints(f"{relaxation.TEACHER}/{WEIGHTS}")
        self.run.stage("train", self._train, inputs=inputs, outputs=[WEIGHTS, REPORT])
        (self.run / CHECKPOINT).unlink(missing_ok=True)
        document: dict[str, Any] = read_json(self.run / REPORT, "training report")
        return {**document, "weights": str(self.run / WEIGHTS)}

    @property
    def _teacher(self) -> str | None:
        """The teacher that was asked for, or the one that the method has searched beside the network."""
        searched = self.run / relaxation.TEACHER
        return self.settings.teacher or (str(searched) if (searched / WEIGHTS).exists() else None)

    def _train(self) -> None:
        s, genotype, data = self.settings, self.genotype, self.data
        with ExitStack() as stack:
            teacher = None
            if self._teacher is not None:
                weights = None if s.teacher_weights is None else Path(s.teacher_weights)
                found = open_teacher(self._teacher, weights, data.dataset, threads=self.training_threads)
                teacher = stack.enter_context(found)
            trained = train_genotype(
                genotype,
                data,
                budget=Time(seconds=self.shares().train),
                indices=data.everything,
                **begun_by(self.run / FINALIST),
                recipe=RECIPE.with_values(s.recipe),
                teacher=teacher,
                seed=s.seed,
                threads=self.training_threads,
                checkpoint=self.run / CHECKPOINT,
                log=Log(self.run / "train.jsonl", sinks=open_sinks(self._logs, self.run.path)),
                progress=self.progress,
                clock=self.clock,
            )
        save_network(self.run.path, genotype, trained.network, data.dataset.classes)
        write_json(self.run / REPORT, training_report(trained, data))

    def export(self) -> dict[str, Any]:
        """Write the engine with logits and the one with labels; both must agree with PyTorch on real images."""
        report = "export.json"

        def work() -> None:
            network, classes = load_network(self.genotype, self.run / WEIGHTS)
            exported = exporting.export_both(
                network,
                self.genotype,
                self.run / ENGINE,
                classes=classes,
                images=np.ascontiguousarray(self.data.arrays.images[self.data.held[:4]]),
                trained=True,
                threads=self.settings.threads,
                progress=self.progress,
            )
            write_json(self.run / report, exporting.export_document(exported))

        self.run.stage("export", work, inputs=self.run.fingerprints(WEIGHTS, GENOTYPE), outputs=[*MODELS, report])
        document: dict[str, Any] = read_json(self.run / report, "export report")
        return document

    def validate(self) -> dict[str, Any]:
        """Open ``val``, once, and say PASS or FAIL; ``hwnas validate`` judges again."""
        self.run.stage("validate", self._validate, inputs=self.run.fingerprints(TABLE, *MODELS), outputs=[VERDICT])
        document: dict[str, Any] = read_json(self.run / VERDICT, "verdict")
        return document

    def _validate(self) -> None:
        s = self.settings
        artifact = open_artifact(self.run / ENGINE / exporting.LOGITS)
        network, _ = load_network(self.genotype, self.run / WEIGHTS)
        predicted = TableModel(self.table).predict(network.graph)
        verdict = validating.judge(
            artifact,
            self.data.dataset,
            s.size_hw,
            criteria=Criteria(budget_ms=self.budget.latency_ms, budget_at=self.budget.at),
            network=network,
            predicted_ms=predicted.latency_ms,
            predicted_by=self.table.contract,
            threads=s.threads,
            progress=self.progress,
        )
        document = {**verdict.to_dict(), "predicted_interval_ms": list(predicted.interval_ms)}
        write_json(self.run / VERDICT, jsonable(document))

    def draw(self) -> dict[str, Any]:
        """Pictures of the cells and of the network, its nodes coloured by predicted time."""
        graph = expand(self.genotype, (3, *self.settings.size_hw), self.data.classes)
        prediction = TableModel(self.table).predict(graph)
        values = {node.name: node.latency_ms for node in prediction.nodes}
        files = draw_genotype(self.genotype, graph, self.run / PICTURES, values=values)
        cost = cost_of(graph)
        return {"pictures": [str(path) for path in files], "params": cost.params, "macs": cost.macs}
