"""Workers of plain batch systems: what a search leaves in its study for them, and how one takes part.

All that they share is the storage. The files that decide an outcome (the tables, the supernet) are named in the study
by their sha256, so that a worker without them, or with others, is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli import results
from hwnas.cli.output import Answer
from hwnas.cli.settings import Settings
from hwnas.errors import HwnasError, RunError
from hwnas.files import sha256_of

if TYPE_CHECKING:
    from hwnas.cli.deployment import Deployment
    from hwnas.cli.stages.data import TrainingData
    from hwnas.cli.verb import Shell
    from hwnas.search.reading import StudyReading

UNTOLD = "a search by this version of hwnas leaves word in its study; is it one?"


@dataclass(frozen=True)
class Offer:
    """What a search says of itself in its study.

    ``files``: name in the run's ``folder`` → sha256. ``images``: facts of the training images. ``seconds`` bounds a
    worker's work.
    """

    settings: Settings
    folder: str
    files: Mapping[str, str]
    images: Mapping[str, Any]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """A JSON document."""
        return {**asdict(self), "files": dict(self.files), "images": dict(self.images)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Offer:
        """The inverse of :meth:`to_dict`; RunError for that of another version."""
        try:
            own = {name: value for name, value in document.items() if name != "settings"}
            return cls(settings=_settings_from(document["settings"]), **own)
        except (KeyError, TypeError) as error:
            raise RunError(
                f"the study was made by another version of hwnas ({error})", "use the same version for all workers"
            ) from error


def offer_of(job: Deployment, names: list[str], seconds: float) -> Offer:
    """What workers of ``job`` must know, and which files they must have."""
    files = {name: sha256_of(job.run / name) for name in names}
    return Offer(job.settings, str(job.run.path.resolve()), files, images_facts(job.data), seconds)


def images_facts(data: TrainingData) -> dict[str, Any]:
    """By what images are told from others."""
    from hwnas.training.identity import data_facts

    return data_facts(data.arrays, data.everything)


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
    from hwnas.cli.deployment import Deployment
    from hwnas.cli.stages import backbone
    from hwnas.cli.stages.searching import StudyPlace
    from hwnas.rundir import RunDir

    where: Path | str = storage if "://" in storage else Path(storage)
    reading = _reading(where, study)
    offer = Offer.from_dict(reading.work or {})
    folder = files or Path(offer.folder)
    check_files(offer, folder)
    place = StudyPlace(where, reading.name, join=True)
    job = Deployment(RunDir.look(folder), offer.settings, shell.progress, started=shell.started, place=place)
    _open_data(job, offer, data or offer.settings.data)
    if backbone.BACKBONE in offer.files:
        job.__dict__["backbone"] = backbone.load_backbone(folder)  # instead of the stage that prepares it
    _set_threads(job, threads)
    found = job.candidates(seconds=60 * minutes if minutes is not None else offer.seconds)
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


def check_files(offer: Offer, folder: Path) -> None:
    """RunError for a file that the search has and this worker has not, or that is another one here."""
    copy = f"copy it from {offer.folder}, where the search has it, and say where it is with --files"
    for name, digest in offer.files.items():
        path = folder / name
        if not path.is_file():
            raise RunError(f"this worker has no {name} in {folder}", copy)
        if sha256_of(path) != digest:
            raise RunError(f"{path} is not the {name} that the search was begun with", copy)


def _reading(where: Path | str, study: str | None) -> StudyReading:
    from hwnas.search.reading import read_study

    reading = read_study(where, study)
    if reading.work is None:
        raise RunError(f"the study {reading.name} in {reading.where} does not say how to work on it", UNTOLD)
    return reading


def _open_data(job: Deployment, offer: Offer, spec: str) -> None:
    """Give ``job`` the images at ``spec``, which must be those that the search was begun with."""
    from hwnas.cli.stages.data import open_training_data

    found = open_training_data(spec, offer.settings.size_hw, job.progress)
    if (facts := images_facts(found)) != offer.images:
        raise HwnasError(
            f"{spec} holds other images than the search was begun with ({facts['images']} of {offer.images['images']})",
            "say where the same data set lies on this machine with --data",
        )
    job.__dict__["data"] = found  # instead of what its settings name, which may lie elsewhere here


def _set_threads(job: Deployment, threads: int | None) -> None:
    import torch

    torch.set_flush_denormal(True)
    if threads is not None:
        job.training_threads = threads
        torch.set_num_threads(threads)


def _settings_from(document: Mapping[str, Any]) -> Settings:
    """Settings as they were before they became JSON."""
    from hwnas.cli.evaluator_options import EvaluatorOptions

    known = {field.name for field in dataclasses.fields(Settings)}
    if unknown := sorted(set(document) - known):
        raise TypeError(f"unknown setting {unknown[0]!r}")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
    }
    settings = Settings(**values)
    return replace(settings, evaluation=EvaluatorOptions(**document["evaluation"]))
