"""The work behind the verbs that take more than one part: each puts stages together and says what came of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.cli import results
from hwnas.cli.deployment import Deployment
from hwnas.cli.documents import table_document
from hwnas.cli.output import EXIT_FAIL, EXIT_OK, Answer
from hwnas.cli.settings import Settings
from hwnas.cli.shares import Shares
from hwnas.cli.stages import beforehand, exporting, profiling
from hwnas.cli.stages.quantizing import Int8Options
from hwnas.errors import HwnasError
from hwnas.exporters.artifact import root_of
from hwnas.exporters.engine import engine_named
from hwnas.files import write_json
from hwnas.latency.measure import Setting, device_fingerprint
from hwnas.rundir import RunDir
from hwnas.search.objective import Budget
from hwnas.skeletons.base import expand
from hwnas.training.network_files import load_network

if TYPE_CHECKING:
    from hwnas.cli.stages.searching import StudyPlace
    from hwnas.cli.stages.workers import Workers
    from hwnas.cli.verb import Shell
    from hwnas.compiler.network import Network as Module
    from hwnas.data.base import ClassInfo
    from hwnas.zoo.resolve import Network

ENGINE = "onnxruntime"


def deploy(shell: Shell, settings: Settings, run: Path, *, logs: Sequence[str] = (), resume: bool) -> Answer:
    """All stages in order; exit code 1 if the verdict is FAIL."""
    _refuse_mistakes(settings, resume=resume)
    with RunDir.open(run, asdict(settings), resume=resume) as opened:
        job = Deployment(opened, settings, shell.progress, started=shell.started, logs=logs)
        for line in _checked(job):
            shell.progress.say(line)
        document: dict[str, Any] = {
            "run": str(run),
            "data": _data_document(job),
            "profile": job.profile(),
            "supernet": job.supernet(),
            "search": job.search(),
            "train": job.train(),
            "export": job.export(),
            "draw": job.draw(),
            "validate": job.validate(),
        }
        document["artifact"] = document["export"]["artifact"]
        document["seconds"] = round(max(time.monotonic() - shell.started, opened.seconds()), 1)
        write_json(opened / "result.json", document)
    code = EXIT_OK if document["validate"]["verdict"] == "PASS" else EXIT_FAIL
    return Answer(document, lambda console: results.print_deployment(console, document), code)


def _checked(job: Deployment) -> list[str]:
    """What was found of the machine and of the data, in a line each; both are checked by now."""
    device, engine = device_fingerprint(), engine_named(ENGINE)
    data = _data_document(job)
    return [
        f"machine: {device['device']}, {device['cores']} cores; {ENGINE} {engine.available().version}, "
        f"{job.settings.threads} thread(s)",
        f"data: {len(data['classes'])} classes; {data['train_images']} images to train on, "
        f"{data['held_out_images']} held out of train to search by, {data['val_images']} in val for the end",
    ]


def _refuse_mistakes(settings: Settings, *, resume: bool) -> None:
    """Refuse what is wrong with the command before a run directory is made of it."""
    Budget(settings.budget_ms, settings.budget_at, 1.0, settings.confidence, 1.0)
    engine_named(ENGINE)
    beforehand.check_names(settings)
    beforehand.check_objective(settings, resume=resume)
    beforehand.check_evaluation(settings)
    beforehand.check_data(settings.data)
    beforehand.check_recipe(settings.recipe)
    beforehand.check_teacher(settings.teacher, settings.teacher_weights, settings.data)
    beforehand.check_supernet(settings)
    if settings.table is not None and not resume:  # a run has its own copy
        beforehand.check_given_table(Path(settings.table), settings.size_hw, settings.engine_setting)


def _data_document(job: Deployment) -> dict[str, Any]:
    data = job.data
    return {
        "spec": job.settings.data,
        "classes": [item.name for item in data.dataset.classes],
        "train_images": len(data.train),
        "held_out_images": len(data.held),
        "val_images": len(data.dataset.items("val")),
    }


def search(
    shell: Shell, settings: Settings, run: Path, *, workers: Workers, resume: bool, place: StudyPlace | None = None
) -> Answer:
    """A supernet and its search, priced by a table that is given; ``place`` is where its study is kept."""
    _refuse_mistakes(settings, resume=resume)
    workers.check(settings)

    def only_search(left_s: float, total_s: float) -> Shares:
        left_s = max(left_s, 0.2 * total_s)  # getting ready may have taken all of a few seconds
        # nobody is trained to the end here: the finals begin a training that would take as long as the whole search
        return Shares(supernet=0.5 * left_s, search=0.1 * left_s, finals=0.32 * left_s, train=left_s)

    with RunDir.open(run, asdict(settings), resume=resume) as opened:
        job = Deployment(
            opened, settings, shell.progress, started=shell.started, divide=only_search, workers=workers, place=place
        )
        job.profile()
        for line in [] if job.by_gradients else results.space_lines(job.field.satisfiable.to_dict()):
            shell.progress.say(line)
        supernet = job.supernet()
        document = {"run": str(run), **supernet, **job.search()}
    return Answer(document, lambda console: results.print_search(console, document))


def take_part(shell: Shell, settings: Settings, run: Path, *, workers: Workers, place: StudyPlace) -> Answer:
    """Evaluate candidates of a search that another process leads, until it has ended."""
    _refuse_mistakes(settings, resume=True)
    workers.check(settings)
    with RunDir.join(run, asdict(settings)) as opened:
        job = Deployment(opened, settings, shell.progress, started=shell.started, workers=workers, place=place)
        found = job.take_part()
    document: dict[str, Any] = {
        "run": str(run),
        "evaluations": len(found.trials),
        "evaluations_here": sum(trial.member == found.member for trial in found.trials),
        "best": dict(found.values),
        "decisions": dict(found.decisions),
        "stopped": found.stopped,
    }
    return Answer(document, lambda console: results.print_part(console, document))


def profile(
    shell: Shell,
    *,
    space: str,
    size_hw: tuple[int, int],
    classes: int,
    setting: Setting,
    pin: Sequence[int] = (),
    minutes: float,
    output: Path,
) -> Answer:
    """A latency table of this machine."""
    table = profiling.profile_space(
        space,
        size_hw,
        classes,
        setting=setting,
        pin=pin,
        seconds=60 * minutes,
        table=output,
        seed=shell.seed,
        progress=shell.progress,
    )
    document = table_document(output, table)
    return Answer(document, lambda console: results.print_table(console, document))


def profile_missing(
    shell: Shell, *, space: str, genotype: str | None, classes: int | None, minutes: float, output: Path
) -> Answer:
    """A table with what it lacked of a space, or of one network, timed now."""
    table = profiling.add_missing(
        output, space, genotype, classes, seconds=60 * minutes, seed=shell.seed, progress=shell.progress
    )
    document = table_document(output, table)
    return Answer(document, lambda console: results.print_table(console, document))


@dataclass(frozen=True)
class Order:
    """What ``hwnas export`` is asked for beside the network."""

    engine: str
    precision: str
    preprocess: bool
    batch: int | None
    """None: any number of images."""
    data: str | None
    """Where to calibrate, to judge int8 and to compare with PyTorch; noise is compared on without it."""
    int8: Int8Options
    runner: str | None
    targets: tuple[str, ...] = ()


def export(
    shell: Shell,
    network: Network,
    *,
    size_hw: tuple[int, int] | None,
    classes: int | None,
    weights: Path | None,
    output: Path,
    order: Order,
) -> Answer:
    """Both artifacts of a network, trained (``weights``, or a run's own) or with random weights."""
    from hwnas.cli.stages import quantizing
    from hwnas.exporters.runner import write_runner

    quantizing.check_options(order.engine, order.precision, order.int8, order.data, order.targets)
    module, infos = _module(network, size_hw, classes, weights, shell.seed)
    height, width = module.graph.shape(module.graph.input)[1:]
    images = np.random.default_rng(shell.seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    data = None
    if order.data is not None:
        data = quantizing.open_calibration_data(order.data, module, shell.progress)
        images = np.ascontiguousarray(data.arrays.images[data.held[:4]])
    prepared = quantizing.prepare(
        module,
        engine=order.engine,
        precision=order.precision,
        data=data,
        int8=order.int8,
        threads=1,
        progress=shell.progress,
    )
    exported = exporting.export_both(
        module,
        network.genotype,
        output,
        classes=infos,
        images=images,
        trained=weights is not None,
        threads=1,
        progress=shell.progress,
        form=exporting.Form(
            prepared.model,
            order.engine,
            order.precision,
            order.preprocess,
            order.batch,
            prepared.quantization,
            order.targets,
        ),
    )
    document = {**exporting.export_document(exported), "quantization": prepared.to_dict(), "runner": []}
    if order.runner is not None:
        folders = [root_of(artifact) for artifact in (exported.logits, exported.labels)]
        document["runner"] = [str(path) for folder in folders for path in write_runner(order.runner, folder)]
    return Answer(document, lambda console: results.print_export(console, document))


def _module(
    network: Network, size_hw: tuple[int, int] | None, classes: int | None, weights: Path | None, seed: int
) -> tuple[Module, Sequence[ClassInfo]]:
    """The network to export in evaluation mode, with its weights and classes, or with random weights and none."""
    from hwnas.cli.options import DEFAULT_CLASSES
    from hwnas.compiler.network import compile_graph
    from hwnas.exporters.untrained import randomise
    from hwnas.ir.passes.without_auxiliary import without_auxiliary

    if weights is not None:
        module, infos = load_network(network.genotype, weights)
        trained_hw = module.graph.shape(module.graph.input)[1:]
        if size_hw is not None and size_hw != trained_hw:
            raise HwnasError(
                f"the weights were trained for {trained_hw[0]}x{trained_hw[1]}",
                "leave --size out, or train at that size",
            )
        return module.eval(), infos
    size_hw = size_hw or network.size_hw
    if size_hw is None:
        raise HwnasError("an untrained network needs a size", "give --size HxW")
    graph = expand(network.genotype, (3, *size_hw), classes or network.classes or DEFAULT_CLASSES)
    module = compile_graph(without_auxiliary(graph), seed=seed)
    randomise(module, seed)
    return module.eval(), ()
