"""The stages ``supernet`` and ``search`` of a deployment by a gradient method."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli.stages import exporting, finals, relaxing
from hwnas.cli.stages.training import train_genotype
from hwnas.compiler.weights import save_weights
from hwnas.errors import BudgetError
from hwnas.files import read_json, write_json
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.serialize import save_genotype
from hwnas.search.make import parse_call
from hwnas.skeletons.base import expand
from hwnas.training.metrics import evaluate
from hwnas.training.network_files import GENOTYPE, save_network
from hwnas.training.schedule import Budget as Time

if TYPE_CHECKING:
    from hwnas.cli.deployment import Deployment
    from hwnas.search.gradient.repair import Repaired
    from hwnas.training.distill import NetworkTeacher

REPORT = "supernet.json"
TEACHER = "teacher"
"""Folder of the network that a method derives beside the one that is deployed."""
TEACHER_SHARE = 0.4
"""Of the derived network's training, where a teacher comes first."""
ATTEMPTS = 6
"""Genotypes that are measured, each sought under a tighter limit than the one before."""


def train(job: Deployment, table: str) -> dict[str, Any]:
    """Train the relaxation under the budget; goes on from its checkpoint."""

    def work() -> None:
        ground = _ground(job)
        ground.learn()  # before the rest of the time is divided
        job.relaxed = ground, (trained := _relaxed(job, ground))
        last = trained.traced.looks[-1]
        relaxing.draw_looks(job.run.path)
        document = {
            "method": job.settings.method,
            "steps": trained.steps,
            "mean_path_ms": last.expected_ms if last.expected_ms is not None else last.derived_ms,
            "expected_ms": last.expected_ms,
            "derived_ms": last.derived_ms,
            "discretisation_gap": last.gap,
        }
        write_json(job.run / REPORT, document)

    taught = {"recipe": job.settings.supernet_recipe, "teacher": job.settings.supernet_teacher}
    inputs = {**job.run.fingerprints(table), "data": job.settings.data, "method": job.settings.method, **taught}
    job.run.stage("supernet", work, inputs=inputs, outputs=[relaxing.CHECKPOINT, relaxing.TRACE, REPORT])
    document: dict[str, Any] = read_json(job.run / REPORT, "report of the relaxation")
    return document


def choose(job: Deployment, table: str, chosen: str, finalist: str) -> dict[str, Any]:
    """Turn the relaxation into the likeliest genotype that is measured within the budget, and train it for a while."""

    def work() -> None:
        document = _chosen(job, finalist)
        write_json(job.run / chosen, document)

    inputs = job.run.fingerprints(table, relaxing.CHECKPOINT)
    job.run.stage("search", work, inputs=inputs, outputs=[chosen, GENOTYPE, finalist])
    document: dict[str, Any] = read_json(job.run / chosen, "search result")
    return document


def _ground(job: Deployment) -> relaxing.Ground:
    s = job.settings
    assert job.method is not None
    margin = finals.margin_of(job.table.contract)
    here, *others = job.tables
    return relaxing.lay_ground(
        job.method,
        s.space,
        job.tables[here],
        job.budget,
        margin,
        s.size_hw,
        job.data.classes,
        s.seed,
        {name: job.tables[name] for name in others},
    )


def _relaxed(job: Deployment, ground: relaxing.Ground) -> relaxing.Relaxed:
    """The relaxation, trained for its share of the time; where that is spent, as its checkpoint has it."""
    _, options = parse_call(f"{job.settings.method}:{job.settings.method_options}")
    with job.supernet_teacher() as teacher:
        return relaxing.relax(
            ground,
            job.data,
            seconds=job.shares().supernet + job.shares().search,
            threads=job.training_threads,
            options=options,
            recipe=relaxing.recipe_of(ground.method).with_values(job.settings.supernet_recipe),
            teacher=teacher,
            folder=job.run.path,
            progress=job.progress,
            clock=job.clock,
        )


def _restored(job: Deployment) -> tuple[relaxing.Ground, relaxing.Relaxed]:
    """What an earlier life of the run has trained."""
    ground = _ground(job)
    return ground, _relaxed(job, ground)


def _chosen(job: Deployment, finalist: str) -> dict[str, Any]:
    ground, relaxation = job.relaxed or _restored(job)
    job.relaxed = None
    repaired, measured = _measured(job, ground, relaxation)
    genotype = ground.space.decode(repaired.decisions).genotype
    save_genotype(genotype, job.run / GENOTYPE)
    seconds = max(job.shares().finals, 0.5)
    teacher = _teacher(job, ground, relaxation, TEACHER_SHARE * seconds)
    trained = train_genotype(
        genotype,
        job.data,
        budget=Time(seconds=seconds if teacher is None else (1 - TEACHER_SHARE) * seconds),
        indices=job.data.train,
        initial=relaxing.inherited(ground, relaxation, repaired.decisions),
        teacher=teacher,
        seed=job.settings.seed,
        threads=job.training_threads,
        log=None,
        progress=job.progress,
        label="train the derived network",
        clock=job.clock,
    )
    score = evaluate(trained.network, job.data.arrays, job.data.classes, indices=job.data.held)
    save_weights(trained.network.state_dict(), job.run / finalist, {"genotype": fingerprint(genotype)})
    looks = relaxation.traced.looks
    return {
        "genotype": str(job.run / GENOTYPE),
        "method": job.settings.method,
        "latency_ms": repaired.latency_ms,
        "measured_ms": measured.latency_ms,
        "miou": score.miou,
        "finals_steps": trained.fitted.spent.steps,
        "evaluations": len(looks),
        "confidence": job.budget.confidence,
        "limit_ms": job.budget.p50_ms,
        "decisions": dict(repaired.decisions),
        "recipe": {},
        "qualities": {"miou": score.miou},
        "repaired_choices": repaired.moved,
        "log_probability": repaired.log_probability,
        "expected_ms": looks[-1].expected_ms,
        "derived_ms": looks[-1].derived_ms,
        "discretisation_gap": looks[-1].gap,
        "objective": job.objective.to_dict(),
        "front": [],
    }


def _teacher(
    job: Deployment, ground: relaxing.Ground, relaxation: relaxing.Relaxed, seconds: float
) -> NetworkTeacher | None:
    """The network that the method derives beside the one that is deployed, trained and kept in the run, since the last
    training learns from it, too; None for most methods."""
    from hwnas.training.distill import NetworkTeacher

    if relaxation.prepared.teaching is None:
        return None
    decisions = ground.space.derive(relaxation.prepared.teaching())
    genotype = ground.space.decode(decisions).genotype
    trained = train_genotype(
        genotype,
        job.data,
        budget=Time(seconds=seconds),
        indices=job.data.train,
        initial=relaxing.inherited(ground, relaxation, decisions),
        seed=job.settings.seed,
        threads=job.training_threads,
        log=None,
        progress=job.progress,
        label="train the teacher",
        clock=job.clock,
    )
    save_network(job.run / TEACHER, genotype, trained.network, job.data.dataset.classes)
    return NetworkTeacher(
        trained.network,
        lambda shape: expand(genotype, shape, job.data.classes),
        job.data.classes,
        f"{fingerprint(genotype)} seed {job.settings.seed}",
    )


def _measured(
    job: Deployment, ground: relaxing.Ground, relaxation: relaxing.Relaxed
) -> tuple[Repaired, finals.Measured]:
    """The likeliest genotype that the engine runs within the budget, the machine's drift allowed for."""
    s, limit_ms = job.settings, ground.limit_ms

    def measure(graph: OpGraph, scratch: Path) -> finals.Measured:
        timed = exporting.time_untrained(graph, scratch, seconds=1.5, threads=s.threads)
        return finals.with_margin(timed.alone(s.budget_at), timed.contract, job.table.contract)

    with tempfile.TemporaryDirectory() as scratch, job.progress.task("measure what was derived", ATTEMPTS) as task:
        for attempt in range(ATTEMPTS):
            repaired = relaxing.within(ground, relaxation, limit_ms)
            measured = measure(ground.graph(repaired.decisions), Path(scratch))
            task.update(attempt + 1, f"{measured.latency_ms:.2f} ms, predicted {repaired.latency_ms:.2f}")
            if measured.slowest_ms <= job.budget.latency_ms:
                return repaired, measured
            limit_ms = 0.98 * repaired.latency_ms * min(1.0, job.budget.latency_ms / measured.slowest_ms)
    raise BudgetError(
        f"none of the {ATTEMPTS} likeliest genotypes was measured within {job.budget.latency_ms:.3g} ms",
        "the machine may be busy, and its drift asks for a margin: --resume tries again; or raise the budget",
    )
