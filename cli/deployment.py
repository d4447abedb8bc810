"""One deployment: its stages in order, each from files to files, so that a killed one goes on where it was."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hwnas.cli.documents import table_document
from hwnas.cli.job import CHOSEN, FINALIST, TABLE, TEACHER, Job
from hwnas.cli.objectives import check_size, device_table, table_names
from hwnas.cli.output import jsonable
from hwnas.cli.relaxation import Relaxation
from hwnas.cli.sampling import Sampling
from hwnas.cli.shares import profile_seconds
from hwnas.cli.stages import exporting, profiling, validating
from hwnas.cli.stages.teaching import open_teacher
from hwnas.cli.stages.training import CHECKPOINT, REPORT, begun_by, train_genotype, training_report
from hwnas.cli.tables import check_usable_here
from hwnas.compiler.cost import cost_of
from hwnas.exporters.artifact import open_artifact
from hwnas.exporters.criteria import Criteria
from hwnas.files import read_json, write_json
from hwnas.latency.model import TableModel
from hwnas.latency.table import load_table, save_table
from hwnas.report.draw import draw_genotype
from hwnas.skeletons.base import expand
from hwnas.training.logs import Log
from hwnas.training.network_files import GENOTYPE, WEIGHTS, load_network, save_network
from hwnas.training.schedule import Budget as Time

VERDICT, ENGINE, PICTURES = "verdict.json", "engine", "pictures"
MODELS = tuple(f"{ENGINE}/{kind}/model.onnx" for kind in (exporting.LOGITS, exporting.LABELS))


class Searching(Protocol):
    """The two stages in which kinds of search differ; each returns its part of the closing document."""

    def costs(self) -> dict[str, Any]:
        """The lowest, median and highest of each cost of the space."""

    def train(self) -> dict[str, Any]:
        """Train the supernet, if there is one."""

    def choose(self) -> dict[str, Any]:
        """Write the genotype that is to be trained, and the weights that its training begins with."""


class Deployment:
    """The stages of a job in the order of its methods.

    Each does nothing if its stamp says that it is done, and returns its part of the closing document.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._searching: Searching = Relaxation(job) if job.by_gradients else Sampling(job)

    def profile(self) -> dict[str, Any]:
        """Measure the latency table, or take the one that was given."""
        job, s = self.job, self.job.settings
        inputs = {name: getattr(s, name) for name in ("space", "size_hw", "threads", "seed", "table", "devices")}
        devices = table_names(s.devices)

        def work() -> None:
            for name, path in devices.items():
                other = load_table(Path(path))
                check_size(other, s.size_hw)
                save_table(other, job.run / device_table(name))
            if s.table is not None:
                given = load_table(Path(s.table))
                check_usable_here(given, s.size_hw, s.engine_setting, force=s.force)
                save_table(given, job.run / TABLE)
                return
            profiling.profile_space(
                s.space,
                s.size_hw,
                job.data.classes,
                setting=s.engine_setting,
                seconds=profile_seconds(60 * s.minutes),
                table=job.run / TABLE,
                seed=s.seed,
                progress=job.progress,
                focus_ms=s.budget_ms,
            )

        job.run.stage(
            "profile",
            work,
            inputs={**inputs, "classes": job.data.classes},
            outputs=[TABLE, *map(device_table, devices)],
        )
        return table_document(job.run / TABLE, job.table)

    def costs(self) -> dict[str, Any]:
        """What the space costs, as far as that is known before it is searched."""
        return self._searching.costs()

    def supernet(self) -> dict[str, Any]:
        """Train the supernet, a gradient method's or one of shared weights, if the search needs one."""
        return self._searching.train()

    def search(self) -> dict[str, Any]:
        """Search under the budget, down to one genotype and the beginning of its training."""
        return self._searching.choose()

    def train(self) -> dict[str, Any]:
        """Train the chosen network to the end, on all of ``train``: the finals were its beginning.

        A training that was killed goes on from its checkpoint.
        """
        job, s = self.job, self.job.settings
        inputs = {
            **job.run.fingerprints(CHOSEN, FINALIST),
            **{name: getattr(s, name) for name in ("data", "recipe", "teacher", "teacher_weights")},
        }
        if self._teacher is not None and s.teacher is None:
            inputs |= job.run.fingerprints(f"{TEACHER}/{WEIGHTS}")
        job.run.stage("train", self._train, inputs=inputs, outputs=[WEIGHTS, REPORT])
        (job.run / CHECKPOINT).unlink(missing_ok=True)
        document: dict[str, Any] = read_json(job.run / REPORT, "training report")
        return {**document, "weights": str(job.run / WEIGHTS)}

    @property
    def _teacher(self) -> str | None:
        """The teacher that was asked for, or the one that the method has searched beside the network."""
        job = self.job
        searched = job.run / TEACHER
        return job.settings.teacher or (str(searched) if (searched / WEIGHTS).exists() else None)

    def _train(self) -> None:
        job, s, data = self.job, self.job.settings, self.job.data
        with ExitStack() as stack:
            teacher = None
            if self._teacher is not None:
                weights = None if s.teacher_weights is None else Path(s.teacher_weights)
                found = open_teacher(self._teacher, weights, data.dataset, threads=job.training_threads)
                teacher = stack.enter_context(found)
            trained = train_genotype(
                job.genotype,
                data,
                budget=Time(seconds=job.shares().train),
                indices=data.everything,
                **begun_by(job.run / FINALIST),
                recipe=job.recipe,
                teacher=teacher,
                seed=s.seed,
                threads=job.training_threads,
                checkpoint=job.run / CHECKPOINT,
                log=Log(job.run / "train.jsonl", sinks=job.sinks),
                progress=job.progress,
                clock=job.clock,
            )
        save_network(job.run.path, job.genotype, trained.network, data.dataset.classes)
        write_json(job.run / REPORT, training_report(trained, data))

    def export(self) -> dict[str, Any]:
        """Write the engine with logits and the one with labels; both must agree with PyTorch on real images."""
        job = self.job
        report = "export.json"

        def work() -> None:
            network, classes = load_network(job.genotype, job.run / WEIGHTS)
            exported = exporting.export_both(
                network,
                job.genotype,
                job.run / ENGINE,
                classes=classes,
                images=np.ascontiguousarray(job.data.arrays.images[job.data.held[:4]]),
                trained=True,
                threads=job.settings.threads,
                progress=job.progress,
            )
            write_json(job.run / report, exporting.export_document(exported))

        job.run.stage("export", work, inputs=job.run.fingerprints(WEIGHTS, GENOTYPE), outputs=[*MODELS, report])
        document: dict[str, Any] = read_json(job.run / report, "export report")
        return document

    def validate(self) -> dict[str, Any]:
        """Open ``val``, once, and say PASS or FAIL; ``hwnas validate`` judges again."""
        job = self.job
        job.run.stage("validate", self._validate, inputs=job.run.fingerprints(TABLE, *MODELS), outputs=[VERDICT])
        document: dict[str, Any] = read_json(job.run / VERDICT, "verdict")
        return document

    def _validate(self) -> None:
        job, s = self.job, self.job.settings
        artifact = open_artifact(job.run / ENGINE / exporting.LOGITS)
        network, _ = load_network(job.genotype, job.run / WEIGHTS)
        predicted = TableModel(job.table).predict(network.graph)
        verdict = validating.judge(
            artifact,
            job.data.dataset,
            s.size_hw,
            criteria=Criteria(budget_ms=job.budget.latency_ms, budget_at=job.budget.at),
            network=network,
            predicted_ms=predicted.latency_ms,
            predicted_by=job.table.contract,
            threads=s.threads,
            progress=job.progress,
        )
        document = {**verdict.to_dict(), "predicted_interval_ms": list(predicted.interval_ms)}
        write_json(job.run / VERDICT, jsonable(document))

    def draw(self) -> dict[str, Any]:
        """Pictures of the cells and of the network, its nodes coloured by predicted time."""
        job = self.job
        graph = expand(job.genotype, (3, *job.settings.size_hw), job.data.classes)
        prediction = TableModel(job.table).predict(graph)
        values = {node.name: node.latency_ms for node in prediction.nodes}
        files = draw_genotype(job.genotype, graph, job.run / PICTURES, values=values)
        cost = cost_of(graph)
        return {"pictures": [str(path) for path in files], "params": cost.params, "macs": cost.macs}
