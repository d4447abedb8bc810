"""The teacher of a training, from what a user names: a run directory, a genotype and its weights, an ONNX file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.data.base import ClassInfo, Dataset
from hwnas.errors import HwnasError
from hwnas.exporters.artifact import MANIFEST, open_artifact
from hwnas.exporters.engine import ANY, Session
from hwnas.files import sha256_of
from hwnas.skeletons.base import expand
from hwnas.training.distill import Logits, NetworkTeacher, Teacher
from hwnas.training.network_files import WEIGHTS, load_network
from hwnas.zoo.catalog import resolve_genotype

if TYPE_CHECKING:
    from torch import Tensor


class EngineTeacher:
    """An exported network; it takes images of the one size that it was exported for, on the CPU."""

    def __init__(self, session: Session, name: str, identity: str) -> None:
        if session.output.dtype == "uint8" or len(session.output.shape) != 4:
            raise HwnasError(f"the teacher {name} gives labels, not logits", "give the artifact of the logits")
        if session.input.takes_pixels:
            raise HwnasError(f"the teacher {name} normalises images itself", "export it without --preprocess")
        self._session, self._name = session, name
        self.classes, self.identity = session.output.shape[1], identity

    def at(self, size_hw: tuple[int, int]) -> Logits:
        if size_hw != self._session.input.size_hw:
            theirs, ours = ("x".join(map(str, size)) for size in (self._session.input.size_hw, size_hw))
            raise HwnasError(
                f"the teacher {self._name} takes images of {theirs}, and this training shows it images of {ours}",
                "train on whole images of its size (--set full_size=1), or give a run directory",
            )
        return self._logits

    def _logits(self, images: Tensor) -> Tensor:
        import torch

        given = images.float().cpu().contiguous().numpy()
        step = len(given) if self._session.input.shape[0] == ANY else self._session.input.batch
        parts = [self._run(given[start : start + step], step) for start in range(0, len(given), step)]
        return torch.from_numpy(np.concatenate(parts)).to(images.device)

    def _run(self, images: np.ndarray, batch: int) -> np.ndarray:
        """Logits of at most ``batch`` images; the last one fills the batch up."""
        filled = np.concatenate([images, np.repeat(images[-1:], batch - len(images), axis=0)])
        return self._session.run(filled)[: len(images)].copy()


@contextmanager
def open_teacher(text: str, weights: Path | None, dataset: Dataset, *, threads: int) -> Iterator[Teacher]:
    """The teacher that ``text`` (and ``weights``, of a genotype) names; refused if it knows other classes."""
    path = Path(text)
    with ExitStack() as stack:
        if path.suffix == ".onnx" or (path / MANIFEST).is_file():
            artifact = open_artifact(path)
            session = stack.enter_context(artifact.open(threads=threads))
            named = artifact.manifest.classes if artifact.manifest else ()
            teacher: Teacher = EngineTeacher(session, text, sha256_of(artifact.path)[:16])
        else:
            teacher, named = _network(text, weights)
        _check_names(text, named, dataset)
        yield teacher


def _network(text: str, weights: Path | None) -> tuple[Teacher, tuple[ClassInfo, ...]]:
    genotype = resolve_genotype(text)
    file = weights or Path(text) / WEIGHTS
    if not file.is_file():
        raise HwnasError(
            f"the teacher {text} has no weights" if weights is None else f"there are no weights {weights}",
            "give the directory of a run that was trained, or --teacher-weights FILE",
        )
    network, named = load_network(genotype, file)
    classes = network.graph.shape(network.graph.output)[0]
    digest = sha256_of(file)[:16]
    return NetworkTeacher(network, lambda shape: expand(genotype, shape, classes), classes, digest), named


def _check_names(text: str, named: tuple[ClassInfo, ...], dataset: Dataset) -> None:
    """Refuse as many classes with other names, where the teacher's names are known."""
    ours, theirs = ([item.name for item in each] for each in (dataset.classes, named))
    if len(ours) != len(theirs) or ours == theirs:
        return  # another number is found without names, too
    place = next(i for i, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
    raise HwnasError(
        f"the teacher {text} knows other classes: class {place} is {theirs[place]!r}, and {ours[place]!r} in the data",
        "distil from a network that was trained on the same classes",
    )
