"""The stages ``supernet`` and ``search`` of a deployment by a gradient method."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli.job import CHOSEN, FINALIST, SUPERNET_REPORT, TABLE, TEACHER, Job
from hwnas.cli.stages import finals, relaxing
from hwnas.cli.stages.training import train_genotype
from hwnas.compiler.weights import save_weights
from hwnas.files import read_json, write_json
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.serialize import save_genotype
from hwnas.search.make import parse_call
from hwnas.training.metrics import evaluate
from hwnas.training.network_files import GENOTYPE, save_network
from hwnas.training.schedule import Budget as Time

if TYPE_CHECKING:
    from hwnas.search.gradient.repair import Repaired
    from hwnas.search.gradient.trace import Look
    from hwnas.spaces.base import Decisions
    from hwnas.training.train import Trained

TEACHER_SHARE = 0.5
"""Of the beginning of the derived network's training, where a teacher comes first."""
ATTEMPTS = 6
"""Genotypes that are measured, each sought under a tighter limit than the one before."""


class Relaxation:
    """The two stages of a job; what the first has trained is kept for the second."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._trained: tuple[relaxing.Ground, relaxing.Relaxed] | None = None

    def costs(self) -> dict[str, Any]:
        """None: a relaxation prices what it arrives at, and says so if that cannot be within the budget."""
        return {"costs": {}}

    def train(self) -> dict[str, Any]:
        """Train the relaxation under the budget; goes on from its checkpoint."""
        run, s = self.job.run, self.job.settings
        taught = {"recipe": s.supernet_recipe, "teacher": s.supernet_teacher}
        inputs = {**run.fingerprints(TABLE), "data": s.data, "method": s.method, **taught}
        outputs = [relaxing.CHECKPOINT, relaxing.TRACE, SUPERNET_REPORT]
        run.stage("supernet", self._train, inputs=inputs, outputs=outputs)
        document: dict[str, Any] = read_json(run / SUPERNET_REPORT, "report of the relaxation")
        return document

    def _train(self) -> None:
        ground = self._ground()
        ground.learn()  # before the rest of the time is divided
        trained = self._relaxed(ground)
        self._trained = ground, trained
        last = trained.traced.looks[-1]
        relaxing.draw_looks(self.job.run.path)
        document = {
            "method": self.job.settings.method,
            "steps": trained.steps,
            "mean_path_ms": last.expected_ms if last.expected_ms is not None else last.derived_ms,
            "expected_ms": last.expected_ms,
            "derived_ms": last.derived_ms,
            "discretisation_gap": last.gap,
        }
        write_json(self.job.run / SUPERNET_REPORT, document)

    def choose(self) -> dict[str, Any]:
        """Turn the relaxation into the likeliest genotype that is measured within the budget, and train it for a
        while."""
        run = self.job.run
        inputs = run.fingerprints(TABLE, relaxing.CHECKPOINT)
        run.stage("search", self._choose, inputs=inputs, outputs=[CHOSEN, GENOTYPE, FINALIST])
        document: dict[str, Any] = read_json(run / CHOSEN, "search result")
        return document

    def _ground(self) -> relaxing.Ground:
        job, s = self.job, self.job.settings
        assert job.method is not None
        here, *others = job.tables
        return relaxing.lay_ground(
            job.method,
            s.space,
            job.tables[here],
            job.budget,
            finals.margin_of(job.table.contract),
            s.size_hw,
            job.data.classes,
            s.seed,
            {name: job.tables[name] for name in others},
        )

    def _relaxed(self, ground: relaxing.Ground) -> relaxing.Relaxed:
        """The relaxation, trained for its share of the time; where that is spent, as its checkpoint has it."""
        job, s = self.job, self.job.settings
        _, options = parse_call(f"{s.method}:{s.method_options}")
        with job.supernet_teacher() as teacher:
            return relaxing.relax(
                ground,
                job.data,
                seconds=job.shares().supernet + job.shares().search,
                threads=job.training_threads,
                options=options,
                recipe=relaxing.recipe_of(ground.method).with_values(s.supernet_recipe),
                teacher=teacher,
                folder=job.run.path,
                progress=job.progress,
                clock=job.clock,
            )

    def _restored(self) -> tuple[relaxing.Ground, relaxing.Relaxed]:
        """What an earlier life of the run has trained."""
        ground = self._ground()
        return ground, self._relaxed(ground)

    def _choose(self) -> None:
        ground, relaxation = self._trained or self._restored()
        self._trained = None  # its weights are many, and are inherited below
        job = self.job
        repaired, measured = self._measured(ground, relaxation)
        genotype = ground.space.decode(repaired.decisions).genotype
        save_genotype(genotype, job.run / GENOTYPE)
        seconds = max(job.shares().finals, 0.5)
        teaching = relaxation.prepared.teaching
        own_s = seconds if teaching is None else (1 - TEACHER_SHARE) * seconds
        trained = self._begun(ground, relaxation, repaired.decisions, own_s, "train the derived network")
        score = evaluate(trained.network, job.data.arrays, job.data.classes, indices=job.data.held)
        if teaching is not None:
            self._keep_teacher(ground, relaxation, ground.space.derive(teaching()), seconds - own_s, score.miou)
        save_weights(trained.network.state_dict(), job.run / FINALIST, {"genotype": fingerprint(genotype)})
        document = {
            "measured_ms": measured.latency_ms if job.runs_here else None,
            "miou": score.miou,
            "finals_steps": trained.fitted.spent.steps,
            "qualities": {"miou": score.miou},
        }
        write_json(job.run / CHOSEN, {**self._document(repaired, relaxation.traced.looks), **document})

    def _begun(
        self,
        ground: relaxing.Ground,
        relaxation: relaxing.Relaxed,
        decisions: Decisions,
        seconds: float,
        label: str,
    ) -> Trained:
        """A network of the relaxation, trained for some seconds from the weights that it inherits."""
        job = self.job
        return train_genotype(
            ground.space.decode(decisions).genotype,
            job.data,
            budget=Time(seconds=seconds),
            indices=job.data.train,
            initial=relaxing.inherited(ground, relaxation, decisions),
            seed=job.settings.seed,
            threads=job.training_threads,
            log=None,
            progress=job.progress,
            label=label,
            clock=job.clock,
        )

    def _document(self, repaired: Repaired, looks: Sequence[Look]) -> dict[str, Any]:
        job = self.job
        return {
            "genotype": str(job.run / GENOTYPE),
            "method": job.settings.method,
            "latency_ms": repaired.latency_ms,
            "evaluations": len(looks),
            "confidence": job.budget.confidence,
            "limit_ms": job.budget.p50_ms,
            "decisions": dict(repaired.decisions),
            "recipe": {},
            "repaired_choices": repaired.moved,
            "log_probability": repaired.log_probability,
            "expected_ms": looks[-1].expected_ms,
            "derived_ms": looks[-1].derived_ms,
            "discretisation_gap": looks[-1].gap,
            "objective": job.objective.to_dict(),
            "front": [],
        }

    def _keep_teacher(
        self,
        ground: relaxing.Ground,
        relaxation: relaxing.Relaxed,
        decisions: Decisions,
        seconds: float,
        student_miou: float,
    ) -> None:
        """Train the network that the method derives beside the one that is deployed.

        It is kept in the run, for the last training to learn from, if it is ahead of its student: what knows less holds
        back whoever imitates it.
        """
        job = self.job
        shutil.rmtree(job.run / TEACHER, ignore_errors=True)
        trained = self._begun(ground, relaxation, decisions, seconds, "train the teacher")
        miou = evaluate(trained.network, job.data.arrays, job.data.classes, indices=job.data.held).miou
        found = f"the teacher is at {miou:.2%} on held-out images, its student at {student_miou:.2%}"
        if miou > student_miou:
            job.progress.say(f"{found}: the last training is distilled from it")
            genotype = ground.space.decode(decisions).genotype
            save_network(job.run / TEACHER, genotype, trained.network, job.data.dataset.classes)
        else:
            job.progress.say(f"{found}: nothing is distilled from it")

    def _measured(self, ground: relaxing.Ground, relaxation: relaxing.Relaxed) -> tuple[Repaired, finals.Measured]:
        """The likeliest genotype that the engine runs within the budget."""
        job, limit_ms = self.job, ground.limit_ms
        with tempfile.TemporaryDirectory() as scratch, job.progress.task("measure what was derived", ATTEMPTS) as task:
            for attempt in range(ATTEMPTS):
                repaired = relaxing.within(ground, relaxation, limit_ms)
                measured = job.measured(ground.graph(repaired.decisions), Path(scratch))
                task.update(attempt + 1, f"{measured.latency_ms:.2f} ms, predicted {repaired.latency_ms:.2f}")
                if measured.slowest_ms <= job.budget.latency_ms:
                    return repaired, measured
                limit_ms = measured.tightened_ms(repaired.latency_ms, job.budget.latency_ms)
        raise finals.TooSlow(f"{ATTEMPTS} likeliest genotypes", job.budget.latency_ms, limit_ms)
