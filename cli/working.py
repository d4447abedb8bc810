"""How a worker of a plain batch system takes part in a search, by what that has left in its study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.cli import results
from hwnas.cli.job import Job
from hwnas.cli.offer import Offer, check_files, images_facts
from hwnas.cli.output import Answer
from hwnas.cli.sampling import Sampling
from hwnas.cli.stages import backbone
from hwnas.cli.stages.data import TrainingData, open_training_data
from hwnas.cli.stages.searching import StudyPlace
from hwnas.errors import HwnasError, RunError
from hwnas.rundir import RunDir
from hwnas.search.reading import StudyReading, read_study

if TYPE_CHECKING:
    from hwnas.cli.verb import Shell
    from hwnas.progress import Progress

UNTOLD = "a search by this version of hwnas leaves word in its study; is it one?"


def work(
    shell: Shell,
    *,
    storage: str,
    study: str | None,
    files: Path | None,
    data: str | None,
    minutes: float | None,
    threads: int | None,
) -> Answer:
    """Evaluate candidates of the search whose study is in ``storage``, until it ends or the minutes are over."""
    where: Path | str = storage if "://" in storage else Path(storage)
    reading = _reading(where, study)
    offer = Offer.from_dict(reading.work or {})
    folder = files or Path(offer.folder)
    check_files(offer, folder)
    place = StudyPlace(where, reading.name, join=True)
    images = _open_data(offer, data or offer.settings.data, shell.progress)
    run = RunDir.look(folder)
    job = Job(run, offer.settings, shell.progress, started=shell.started, place=place, data=images)
    _set_threads(job, threads)
    prepared = backbone.load_backbone(folder) if backbone.BACKBONE in offer.files else None
    found = Sampling(job, given_backbone=prepared).candidates(
        seconds=60 * minutes if minutes is not None else offer.seconds
    )
    document = {
        "storage": reading.where,
        "study": reading.name,
        "evaluations": len(found.trials),
        "evaluations_here": sum(trial.member == found.member for trial in found.trials),
        "best": dict(found.values),
        "decisions": dict(found.decisions),
        "stopped": found.stopped,
    }
    return Answer(document, lambda console: results.print_part(console, document))


def _reading(where: Path | str, study: str | None) -> StudyReading:
    reading = read_study(where, study)
    if reading.work is None:
        raise RunError(f"the study {reading.name} in {reading.where} does not say how to work on it", UNTOLD)
    return reading


def _open_data(offer: Offer, spec: str, progress: Progress) -> TrainingData:
    """The images at ``spec``, which must be those that the search was begun with."""
    found = open_training_data(spec, offer.settings.size_hw, progress)
    if (facts := images_facts(found)) != offer.images:
        raise HwnasError(
            f"{spec} holds other images than the search was begun with ({facts['images']} of {offer.images['images']})",
            "say where the same data set lies on this machine with --data",
        )
    return found


def _set_threads(job: Job, threads: int | None) -> None:
    import torch

    torch.set_flush_denormal(True)
    if threads is not None:
        job.training_threads = threads
        torch.set_num_threads(threads)
