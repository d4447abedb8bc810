"""The work behind the verbs that take more than one part: each puts stages together and says what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli import results
from hwnas.cli.deployment import Deployment
from hwnas.cli.documents import table_document
from hwnas.cli.job import Job
from hwnas.cli.output import EXIT_FAIL, EXIT_OK, Answer
from hwnas.cli.sampling import Sampling
from hwnas.cli.settings import Settings
from hwnas.cli.shares import Shares
from hwnas.cli.stages import beforehand, profiling
from hwnas.clock import CLOCKS
from hwnas.exporters.engine import engine_named
from hwnas.files import write_json
from hwnas.latency.measure import Setting, device_fingerprint
from hwnas.rundir import RunDir
from hwnas.search.objective import Budget
from hwnas.training.logs import open_sinks

if TYPE_CHECKING:
    from hwnas.cli.stages.searching import StudyPlace
    from hwnas.cli.stages.workers import Workers
    from hwnas.cli.verb import Shell

ENGINE = "onnxruntime"


def deploy(shell: Shell, settings: Settings, run: Path, *, logs: Sequence[str] = (), resume: bool) -> Answer:
    """All stages in order; exit code 1 if the verdict is FAIL."""
    _refuse_mistakes(settings, resume=resume)
    beforehand.check_last_training(settings)
    sinks = open_sinks(logs, run)
    clock = CLOCKS[settings.clock]
    started = shell.started if settings.clock == "wall" else clock()  # by CPU time the imports are free
    with RunDir.open(run, asdict(settings), resume=resume, clock=clock) as opened:
        job = Job(opened, settings, shell.progress, started=started, sinks=sinks)
        stages = Deployment(job)
        for line in _checked(job):
            shell.progress.say(line)
        document: dict[str, Any] = {
            "run": str(run),
            "data": _data_document(job),
            "profile": stages.profile(),
            "supernet": stages.supernet(),
            "search": stages.search(),
            "train": stages.train(),
            "export": stages.export(),
            "draw": stages.draw(),
            "validate": stages.validate(),
        }
        document["artifact"] = document["export"]["artifact"]
        document["seconds"] = round(max(clock() - started, opened.seconds()), 1)
        write_json(opened / "result.json", document)
    code = EXIT_OK if document["validate"]["verdict"] == "PASS" else EXIT_FAIL
    return Answer(document, lambda console: results.print_deployment(console, document), code)


def _checked(job: Job) -> list[str]:
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
    beforehand.check_supernet(settings)
    if settings.table is not None and not resume:  # a run has its own copy
        beforehand.check_given_table(Path(settings.table), settings)


def _data_document(job: Job) -> dict[str, Any]:
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
        job = Job(
            opened,
            settings,
            shell.progress,
            started=shell.started,
            divide=only_search,
            workers=workers,
            place=place,
            runs_here=not settings.force,
        )
        stages = Deployment(job)
        stages.profile()
        for line in results.space_lines(stages.costs()):
            shell.progress.say(line)
        supernet = stages.supernet()
        document = {"run": str(run), **supernet, **stages.search()}
    return Answer(document, lambda console: results.print_search(console, document))


def take_part(shell: Shell, settings: Settings, run: Path, *, workers: Workers, place: StudyPlace) -> Answer:
    """Evaluate candidates of a search that another process leads, until it has ended."""
    _refuse_mistakes(settings, resume=True)
    workers.check(settings)
    with RunDir.join(run, asdict(settings)) as opened:
        job = Job(opened, settings, shell.progress, started=shell.started, workers=workers, place=place)
        found = Sampling(job).take_part()
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
