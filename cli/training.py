"""What the verb ``train`` does: one network trained on all of ``train``, and perhaps judged on ``val`` by PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli import results
from hwnas.cli.network_options import NetworkOptions
from hwnas.cli.output import Answer
from hwnas.cli.stages import beforehand
from hwnas.cli.stages.data import TrainingData, open_training_data, open_validation_data
from hwnas.cli.stages.teaching import open_teacher
from hwnas.cli.stages.training import CHECKPOINT, REPORT, train_genotype, training_report
from hwnas.cli.stages.validating import views_document
from hwnas.cores import usable_cores
from hwnas.data.base import open_dataset
from hwnas.errors import HwnasError
from hwnas.files import read_json, write_json
from hwnas.progress import Silent
from hwnas.rundir import RunDir
from hwnas.skeletons.base import expand
from hwnas.training.checkpoint import weights_in
from hwnas.training.feasible import check_training
from hwnas.training.group import group_of
from hwnas.training.logs import Log, open_sinks
from hwnas.training.metrics import evaluate
from hwnas.training.network_files import GENOTYPE, WEIGHTS, load_network, save_network
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget
from hwnas.training.train import NETWORK
from hwnas.training.views import Views

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.cli.verb import Shell
    from hwnas.ir.genotype import Genotype
    from hwnas.progress import Progress
    from hwnas.training.group import Group
    from hwnas.training.train import Trained

LINES = "train.jsonl"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a training is of; the resolved configuration of its run directory."""

    genotype: str
    network: NetworkOptions
    data: str
    size_hw: tuple[int, int]
    minutes: float | None
    steps: int | None
    seed: int
    recipe: Recipe
    weights: Path | None = None
    teacher: str | None = None
    teacher_weights: Path | None = None
    device: str = "cpu"
    devices: int = 1
    deterministic: bool = False

    def to_dict(self) -> dict[str, Any]:
        """A JSON document."""
        texts = {"weights": str(self.weights or ""), "teacher_weights": str(self.teacher_weights or "")}
        return {**asdict(self), "recipe": self.recipe.to_dict(), **texts}

    @property
    def budget(self) -> Budget:
        return Budget(self.steps, None if self.minutes is None else 60 * self.minutes)


def train(
    shell: Shell,
    order: Order,
    run: Path,
    *,
    threads: int | None,
    logs: tuple[str, ...],
    views: Views | None,
    resume: bool,
) -> Answer:
    """Train as ordered, or go on with it; with ``views``, score the network on ``val``."""
    genotype = order.network.resolve(order.genotype).genotype
    beforehand.check_data(order.data)
    check_devices(order)
    classes = len(open_dataset(order.data).classes)
    with beforehand.teacher_of(order.teacher, order.teacher_weights, order.data) as teacher:
        check_training(
            order.recipe,
            order.size_hw,
            classes,
            budget=order.budget,
            device=order.device,
            repeatable=order.deterministic,
            teacher=teacher,
            graph=expand(genotype, (3, *order.size_hw), classes),
        )
    initial = None if order.weights is None else weights_in(order.weights, NETWORK)
    sinks = open_sinks(logs, run)
    with RunDir.open(run, order.to_dict(), resume=resume) as opened:
        images = open_training_data(order.data, order.size_hw, shell.progress)

        def work() -> None:
            log = Log(opened / LINES, sinks=sinks)
            write_json(opened / REPORT, _train(shell, order, genotype, images, initial, run, threads, log))

        opened.stage("train", work, inputs={}, outputs=[GENOTYPE, WEIGHTS, REPORT])
        (opened / CHECKPOINT).unlink(missing_ok=True)
        document = {
            "run": str(run),
            "genotype": str(run / GENOTYPE),
            "weights": str(run / WEIGHTS),
            **read_json(opened / REPORT, "training report"),
            "views": None if views is None else _judge(shell, genotype, images, run, views),
        }
    return Answer(document, lambda console: results.print_training(console, document))


def _train(
    shell: Shell,
    order: Order,
    genotype: Genotype,
    images: TrainingData,
    initial: Mapping[str, Tensor] | None,
    run: Path,
    threads: int | None,
    log: Log,
) -> dict[str, Any]:
    """The training itself, on as many devices as are ordered; what there is to report of it."""
    with ExitStack() as stack:
        group = None
        if order.devices > 1:
            threads = threads or (max(1, usable_cores() // order.devices) if order.device == "cpu" else None)
            group = stack.enter_context(group_of(order.devices, partial(_train_along, order, run, threads)))
        trained = _fit(order, genotype, images, initial, run, threads, log, shell.progress, group)
    save_network(run, genotype, trained.network, images.dataset.classes)
    return training_report(trained, images)


def _train_along(order: Order, run: Path, threads: int | None, group: Group) -> None:
    """What each of the other processes of the training does."""
    genotype = order.network.resolve(order.genotype).genotype
    initial = None if order.weights is None else weights_in(order.weights, NETWORK)
    images = open_training_data(order.data, order.size_hw, Silent())
    _fit(order, genotype, images, initial, run, threads, Log(), Silent(), group)


def _fit(
    order: Order,
    genotype: Genotype,
    images: TrainingData,
    initial: Mapping[str, Tensor] | None,
    run: Path,
    threads: int | None,
    log: Log,
    progress: Progress,
    group: Group | None,
) -> Trained:
    with ExitStack() as stack:
        teacher = None
        if order.teacher is not None:
            found = open_teacher(
                order.teacher, order.teacher_weights, images.dataset, threads=threads or usable_cores()
            )
            teacher = stack.enter_context(found)
        return train_genotype(
            genotype,
            images,
            budget=order.budget,
            indices=images.everything,
            initial=initial,
            recipe=order.recipe,
            teacher=teacher,
            seed=order.seed,
            threads=threads,
            device=order.device,
            repeatable=order.deterministic,
            group=group,
            checkpoint=run / CHECKPOINT,
            log=log,
            progress=progress,
        )


def check_devices(order: Order) -> None:
    """HwnasError for more processes than there are cores; of other devices, Fabric says how many there are."""
    if order.device == "cpu" and order.devices > usable_cores():
        raise HwnasError(
            f"{order.devices} processes cannot train on {usable_cores()} cores faster than {usable_cores()} do",
            f"use --devices {usable_cores()}, or fewer",
        )


def _judge(shell: Shell, genotype: Genotype, images: TrainingData, run: Path, views: Views) -> dict[str, Any]:
    """mIoU on ``val`` in PyTorch: of whole images, and of the mean over the views."""
    network = load_network(genotype, run / WEIGHTS)[0]
    arrays = open_validation_data(images.dataset, images.arrays.images.shape[1:3], shell.progress)
    plain = evaluate(network, arrays, images.classes).miou
    return {"miou_plain": plain, **views_document(network, genotype, arrays, images.classes, views, shell.progress)}
