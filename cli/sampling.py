"""The stages ``supernet`` and ``search`` of a deployment by a strategy that samples candidates."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli.job import CHOSEN, FINALIST, SUPERNET_REPORT, TABLE, Job
from hwnas.cli.objectives import device_table, table_names
from hwnas.cli.offer import Offer, offer_of
from hwnas.cli.output import jsonable
from hwnas.cli.stages import backbone, cheaper, evaluating, finals, searching
from hwnas.cli.stages.workers import Supernet, Work, at_work, module_of
from hwnas.errors import BudgetError, HwnasError, RunError
from hwnas.files import read_json, sha256_of_text, write_bytes, write_json
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.serialize import save_genotype
from hwnas.search.backbone import Backbone, takes_backbone
from hwnas.search.evaluators.slices import SliceScores
from hwnas.search.pareto import front
from hwnas.search.strategy import Outcome
from hwnas.training.network_files import GENOTYPE

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.search.executor import Executor
    from hwnas.search.run import SearchResult
    from hwnas.search.strategy import Evaluator
    from hwnas.supernet.evaluate import SliceEvaluator

SUPERNET, POOL, FINALS = "supernet.safetensors", "pool.json", "finals"
FOUND_RECIPE = "recipe.json"


class Sampling:
    """The two stages of a job, and what they share: the field of candidates and what evaluates them.

    ``given_backbone`` stands for the stage that prepares one.
    """

    def __init__(self, job: Job, *, given_backbone: Backbone | None = None) -> None:
        self.job = job
        self._given_backbone = given_backbone

    @cached_property
    def field(self) -> searching.Field:
        """The part of the space that the limits leave."""
        job, s = self.job, self.job.settings
        try:
            return searching.lay_out(
                job.space, job.tables, job.objective, job.budgets, s.size_hw, job.data.classes, s.seed
            )
        except BudgetError as error:
            spare = f"--table {job.run / TABLE} in another run directory spares the profiling"
            raise BudgetError(error.message, f"{error.hint}; {spare}") from error

    @cached_property
    def backbone(self) -> Backbone | None:
        """The weights of the backbone that the space's method takes as given; prepared now if they are not yet."""
        job, s = self.job, self.job.settings
        if self._given_backbone is not None or not takes_backbone(s.networks):
            return self._given_backbone
        inputs = {"data": s.data, "weights": s.evaluation.backbone_weights, "keymap": s.evaluation.keymap}
        outputs = [backbone.BACKBONE, backbone.REPORT]
        job.run.stage("backbone", self._prepare_backbone, inputs=inputs, outputs=outputs)
        return backbone.load_backbone(job.run.path)

    def _prepare_backbone(self) -> None:
        job, s = self.job, self.job.settings
        options = s.evaluation
        if options.backbone_weights is not None and options.keymap is not None:
            file = Path(options.backbone_weights)
            backbone.take_pretrained(s.networks, job.data, file, options.keymap, job.run.path, job.progress)
            return
        backbone.train_backbone(
            s.networks,
            job.data,
            job.run.path,
            seconds=job.shares().backbone,
            seed=s.seed,
            threads=job.training_threads,
            progress=job.progress,
            clock=job.clock,
        )

    @cached_property
    def evaluator(self) -> SliceEvaluator:
        """Scores slices of the trained supernet."""
        job = self.job
        shared = searching.load_supernet(self.field, job.data, job.run / SUPERNET, job.settings.seed)
        return searching.slice_evaluator(shared, job.data)

    def costs(self) -> dict[str, Any]:
        """The lowest, median and highest of each cost, and how much of the space the limits leave."""
        return self.field.satisfiable.to_dict()

    def train(self) -> dict[str, Any]:
        """Train the supernet of shared weights, if candidates are scored by one; goes on from its checkpoint."""
        _ = self.backbone  # a stage of its own, whose seconds are not the supernet's or the search's
        if not self.job.uses_supernet:
            return {}
        run, s = self.job.run, self.job.settings
        taught = {"recipe": s.supernet_recipe, "teacher": s.supernet_teacher}
        inputs = {"data": s.data, "sampler": s.sampler, **taught, **run.fingerprints(TABLE)}
        run.stage("supernet", self._train, inputs=inputs, outputs=[SUPERNET, POOL, SUPERNET_REPORT])
        document: dict[str, Any] = read_json(run / SUPERNET_REPORT, "supernet report")
        return document

    def _train(self) -> None:
        from hwnas.supernet.train import SUPERNET_RECIPE

        job, s = self.job, self.job.settings
        with job.supernet_teacher() as teacher:
            sampler, trained = searching.train_supernet(
                self.field,
                job.data,
                seconds=job.shares().supernet,
                seed=s.seed,
                threads=job.training_threads,
                checkpoint=job.run / SUPERNET,
                log=job.run / "supernet.jsonl",
                progress=job.progress,
                sampler=s.sampler,
                recipe=SUPERNET_RECIPE.with_values(s.supernet_recipe),
                teacher=teacher,
                backbone=self.backbone,
                clock=job.clock,
            )
        pool = searching.save_pool(sampler, job.run / POOL)
        document = {"steps": trained.steps, "mean_path_ms": trained.mean_path_ms, "sampler": s.sampler}
        write_json(job.run / SUPERNET_REPORT, {**document, "judged_paths": pool["judged"], "settled": pool["settled"]})

    def choose(self) -> dict[str, Any]:
        """Search among candidates, and let the beginnings of trainings and the real engine decide among the best."""
        run = self.job.run
        outputs = [CHOSEN, GENOTYPE, FINALIST, *([FOUND_RECIPE] if self.job.settings.vary else [])]
        run.stage("search", self._choose, inputs=self._inputs(), outputs=outputs)
        shutil.rmtree(run / FINALS, ignore_errors=True)
        document: dict[str, Any] = read_json(run / CHOSEN, "search result")
        return document

    def _inputs(self) -> dict[str, Any]:
        read = (TABLE, SUPERNET, POOL) if self.job.uses_supernet else (TABLE,)
        return {**self.job.run.fingerprints(*read), "recipe": self.job.settings.recipe}

    def _finals_folder(self) -> Path:
        """Where finals keep what they have done; those of another supernet or of other shares keep it elsewhere."""
        of = json.dumps([jsonable(self._inputs()), self.job.shares().train], sort_keys=True)
        return self.job.run / FINALS / sha256_of_text(of)[:12]

    def candidates(self, seconds: float | None = None) -> SearchResult:
        """Search among candidates, for ``seconds`` instead of their share; with others, if the study is joined."""
        job, s = self.job, self.job.settings
        seconds = job.shares().search if seconds is None else seconds
        read = [TABLE, *map(device_table, table_names(s.devices)), *([SUPERNET] if job.uses_supernet else [])]
        with self._evaluating() as evaluator:
            return searching.search_field(
                evaluating.filtered(self.field, job.data, s.evaluation, s.seed),
                evaluator,
                place=job.place,
                contract=job.table.contract.to_dict(),
                identity={
                    "data": s.data,
                    "evaluation": evaluating.identity(job.evaluation),
                    **job.run.fingerprints(*read),
                },
                seconds=seconds,
                evaluations=s.evaluations,
                strategy=s.strategy,
                seed=s.seed,
                progress=job.progress,
                pool=searching.load_pool(job.run / POOL) if job.uses_supernet else (),
                limit_s=s.evaluation.time_limit,
                work=None if job.place.join else self._offer(read, seconds).to_dict(),
                clock=job.clock,
            )

    def _offer(self, read: list[str], seconds: float) -> Offer:
        pool = [POOL] if self.job.uses_supernet else []
        trained = [backbone.BACKBONE, backbone.REPORT] if self.backbone is not None else []
        return offer_of(self.job, [*read, *pool, *trained], seconds)

    def take_part(self) -> SearchResult:
        """Evaluate candidates beside the process that leads this search, until that has ended."""
        run = self.job.run
        if self.job.by_gradients:
            raise HwnasError("a search by gradients has no candidates to share", "leave out --join")
        if self.job.uses_supernet and "supernet" not in run.stamps():
            raise RunError(f"the supernet of {run.path} is not trained yet", "join when candidates are searched")
        return self.candidates()

    def _choose(self) -> None:
        job, run, found = self.job, self.job.run, self.candidates()
        winner = self._winner(found, job.budget.p50_ms / finals.margin_of(job.table.contract))
        candidate = self.field.space.decode(winner.decisions)
        save_genotype(candidate.genotype, run / GENOTYPE)
        if job.settings.vary:
            write_json(run / FOUND_RECIPE, dict(candidate.recipe))
        assert winner.checkpoint is not None and winner.measured is not None
        write_bytes(run / FINALIST, winner.checkpoint.read_bytes())
        document = {
            "genotype": str(run / GENOTYPE),
            "latency_ms": winner.predicted_ms,
            "measured_ms": winner.measured.latency_ms if job.runs_here else None,
            "miou": winner.miou,
            "slice_miou": winner.slice_miou,
            "finals_steps": winner.steps,
            "evaluations": found.evaluations,
            "confidence": job.budget.confidence,
            "limit_ms": job.budget.p50_ms,
            "decisions": dict(winner.decisions),
            "recipe": dict(candidate.recipe),
            "qualities": dict(winner.qualities),
            "objective": job.objective.to_dict(),
            "space": self.field.satisfiable.to_dict(),
            "front": [
                {"values": dict(each.values), "decisions": dict(each.request.decisions)} for each in self._front(found)
            ],
        }
        write_json(run / CHOSEN, document)

    @contextmanager
    def _evaluating(self) -> Iterator[Evaluator | Executor]:
        """What scores candidates: this process, or workers, which are gone before anything is timed again."""
        job = self.job
        if not job.workers.remote:
            yield self._evaluator_here()
            return
        limit_s = job.settings.evaluation.time_limit
        with at_work(job.workers, self._work(), job.progress, limit_s=limit_s) as executor:
            yield executor

    def _work(self) -> Work:
        """What a worker is sent."""
        job, s, supernet = self.job, self.job.settings, None
        if job.uses_supernet:
            supernet = Supernet.of(self.evaluator.shared, job.run.fingerprints(SUPERNET)[SUPERNET])
        return Work(
            module_of(s.networks),
            s.space,
            job.evaluation,
            s.data,
            s.size_hw,
            job.run.path.absolute(),
            s.seed,
            job.workers.placement.threads,
            self.backbone,
            supernet,
            s.network,
            s.vary,
            job.objective.qualities,
        )

    def _evaluator_here(self) -> Evaluator:
        job = self.job
        measures = evaluating.measures_of(job.objective.qualities)

        def slices() -> SliceScores:
            return SliceScores(
                self.field.space,
                self.evaluator,
                self.field.pricing.graph,
                supernet=job.run.fingerprints(SUPERNET)[SUPERNET],
                data=job.settings.data,
                measures=measures,
                shown=searching.shown_to_slices(job.data),
            )

        shop = evaluating.Workshop(
            self.field.space,
            job.data,
            job.evaluation,
            job.run.path,
            job.settings.seed,
            job.training_threads,
            job.progress,
            self.backbone,
            slices,
            measures,
        )
        return shop.evaluator()

    def _beginning(self, finalist: finals.Finalist) -> Mapping[str, Tensor] | None:
        """What a finalist's training begins with: its slice of the supernet, else the backbone, if there is one."""
        graph = self.field.pricing.graph
        if self.job.uses_supernet:
            return self.evaluator.network(graph(finalist.decisions, (3, *self.evaluator.size_hw))).state_dict()
        if self.backbone is None:
            return None
        return self.backbone.start(graph(finalist.decisions), self.job.settings.seed)

    def _front(self, found: SearchResult) -> list[Outcome]:
        """The Pareto front of the slices; empty where one number was searched for."""
        if not self.job.objective.also:
            return []
        return front([trial.outcome for trial in found.trials if trial.outcome is not None], self.job.objective)

    def _winner(self, found: SearchResult, limit_ms: float) -> finals.Finalist:
        """Who wins: of recipes the best that is measured within the budget, of networks the winner of the finals, in
        which those take part that are predicted within ``limit_ms``, or less if that turns out too much."""
        job, s = self.job, self.job.settings
        with tempfile.TemporaryDirectory() as scratch:

            def measure(graph: OpGraph) -> finals.Measured:
                return job.measured(graph, Path(scratch))

            rounds = finals.Finals(
                self.field,
                job.data,
                self._beginning,
                measure,
                folder=self._finals_folder(),
                training_s=job.shares().train,
                objective=job.objective,
                measures=evaluating.measures_of(job.objective.qualities),
                recipe=job.recipe,
                seed=s.seed,
                threads=job.training_threads,
                progress=job.progress,
                clock=job.clock,
            )
            if s.vary:
                best = finals.in_order(found, job.objective, limit_ms)[: finals.FINALISTS]
                return rounds.first(best, job.budget.latency_ms)
            budget_ms, seconds = job.budget.latency_ms, job.shares().finals
            return cheaper.winner(rounds, found, job.objective, limit_ms, budget_ms, seconds, self._drawn)

    def _drawn(self, limit_ms: float) -> list[finals.Finalist]:
        """Networks that the search did not look at; one where each costs a training."""
        job = self.job
        count = cheaper.DRAWN if job.uses_supernet else 1
        evaluator = self._evaluator_here()
        return cheaper.draw_within(self.field, job.objective, limit_ms, evaluator.evaluate, job.settings.seed, count)
