"""What a search leaves in its study for workers of plain batch systems, who share nothing with it but the storage.

The files that decide an outcome (the tables, the supernet) are named by their sha256, so that a worker without them, or
with others, is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.settings import Settings
from hwnas.errors import RunError
from hwnas.files import sha256_of

if TYPE_CHECKING:
    from hwnas.cli.job import Job
    from hwnas.cli.stages.data import TrainingData


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
            return cls(settings=settings_from(document["settings"]), **own)
        except (KeyError, TypeError) as error:
            raise RunError(
                f"the study was made by another version of hwnas ({error})", "use the same version for all workers"
            ) from error


def offer_of(job: Job, names: list[str], seconds: float) -> Offer:
    """What workers of ``job`` must know, and which files they must have."""
    files = {name: sha256_of(job.run / name) for name in names}
    return Offer(job.settings, str(job.run.path.resolve()), files, images_facts(job.data), seconds)


def images_facts(data: TrainingData) -> dict[str, Any]:
    """By what images are told from others."""
    from hwnas.training.identity import data_facts

    return data_facts(data.arrays, data.everything)


def check_files(offer: Offer, folder: Path) -> None:
    """RunError for a file that the search has and this worker has not, or that is another one here."""
    copy = f"copy it from {offer.folder}, where the search has it, and say where it is with --files"
    for name, digest in offer.files.items():
        path = folder / name
        if not path.is_file():
            raise RunError(f"this worker has no {name} in {folder}", copy)
        if sha256_of(path) != digest:
            raise RunError(f"{path} is not the {name} that the search was begun with", copy)


def settings_from(document: Mapping[str, Any]) -> Settings:
    """Settings as they were before they became JSON."""
    known = {field.name for field in dataclasses.fields(Settings)}
    if unknown := sorted(set(document) - known):
        raise TypeError(f"unknown setting {unknown[0]!r}")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
    }
    settings = Settings(**values)
    return replace(settings, evaluation=EvaluatorOptions(**document["evaluation"]))
