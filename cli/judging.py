"""What the verb ``validate`` does: an artifact judged beside what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.cli import results
from hwnas.cli.output import EXIT_FAIL, EXIT_OK, Answer
from hwnas.cli.stages import validating
from hwnas.cli.stages.data import open_validation_data
from hwnas.cli.tables import check_usable, this_setting
from hwnas.cli.timing import artifact_path
from hwnas.cli.verb import Shell
from hwnas.data.base import open_dataset
from hwnas.errors import ArtifactError, HwnasError
from hwnas.exporters.artifact import Artifact, Manifest, open_artifact
from hwnas.exporters.build import weights_fingerprint
from hwnas.exporters.criteria import Criteria
from hwnas.exporters.deadlines import frames_in
from hwnas.exporters.scopes import inside_of_ends
from hwnas.exporters.validate import check_one_by_one
from hwnas.files import check_writable
from hwnas.ir.passes.without_auxiliary import without_auxiliary
from hwnas.latency.contract import TimingContract
from hwnas.latency.measure import Setting
from hwnas.latency.model import TableModel
from hwnas.latency.table import load_table
from hwnas.training.network_files import WEIGHTS, load_network
from hwnas.zoo.catalog import resolve_genotype

if TYPE_CHECKING:
    from hwnas.compiler.network import Network
    from hwnas.training.views import Views


@dataclass(frozen=True)
class ReferenceOrder:
    """What an artifact is to be compared with: the run given, else the one around it; the table given, else its own."""

    run: Path | None = None
    table: Path | None = None
    needed: bool = False
    """Whether the verdict depends on PyTorch's mIoU."""
    force: bool = False
    """Whether a table of another setting predicts all the same."""

    def found_for(self, artifact: Artifact, threads: int) -> Reference:
        """What there is; a run of other weights is an ArtifactError, and so is none where one is needed."""
        around = (folder for folder in artifact.path.resolve().parents if (folder / WEIGHTS).is_file())
        run = self.run or next(around, None)
        if run is None:
            if self.table is not None or self.needed:
                wanting = f"{self.table} predicts from a genotype" if self.table else "a drop of mIoU is from PyTorch's"
                raise ArtifactError(
                    f"{wanting}, and {artifact.path} lies in no run directory", "give the run that it is of: --run DIR"
                )
            return Reference()
        if not (run / WEIGHTS).is_file():
            raise ArtifactError(f"{run} holds no {WEIGHTS}", "give the directory of a run that was trained")
        network = load_network(resolve_genotype(str(run)), run / WEIGHTS)[0]
        assert artifact.manifest is not None
        if weights_fingerprint(network) != artifact.manifest.weights_fingerprint:
            raise ArtifactError(
                f"{artifact.path} was exported from other weights than those of {run}",
                "export it again, or give the run that it is of: --run DIR",
            )
        return self._priced(Reference(run, network), artifact.manifest, threads)

    def _priced(self, found: Reference, manifest: Manifest, threads: int) -> Reference:
        """``found`` with the prediction of a table of this setting. Another one is refused where it was given; the
        run's own then predicts nothing."""
        assert found.run is not None and found.network is not None
        table = self.table or (found.run / "table.json" if (found.run / "table.json").is_file() else None)
        if table is None:
            return found
        try:
            loaded = load_table(table)
            if not self.force:
                check_usable(loaded, _setting_of(manifest, threads), force=False)
            predicted_ms = TableModel(loaded).predict(without_auxiliary(found.network.graph)).latency_ms
        except HwnasError as error:
            if self.table is not None:
                raise
            return replace(found, unpredicted=error.message)
        return replace(found, predicted_ms=predicted_ms, predicted_by=loaded.contract)


def _setting_of(manifest: Manifest, threads: int) -> TimingContract:
    """What a table of an artifact on this machine agrees with."""
    setting = Setting(manifest.engine, manifest.precision, threads, batch=max(1, manifest.input["shape"][0]))
    pixels, labels = (end["dtype"] == "uint8" for end in (manifest.input, manifest.output))
    inside = inside_of_ends("engine", takes_pixels=pixels, labels=labels)
    return replace(this_setting(manifest.size_hw, setting), inside=inside)


@dataclass(frozen=True)
class Reference:
    """PyTorch's network of a run, and what a latency table predicts of it, as far as they are known."""

    run: Path | None = None
    network: Network | None = None
    predicted_ms: float | None = None
    predicted_by: TimingContract | None = None
    unpredicted: str | None = None
    """Why the run's own table predicts nothing of the artifact."""


def validate(
    shell: Shell,
    *,
    artifact: Path,
    data: str,
    criteria: Criteria,
    reference: ReferenceOrder,
    threads: int,
    video: Path | None = None,
    images: Path | None = None,
    junit: Path | None = None,
    views: Views | None = None,
) -> Answer:
    """The verdict on an artifact, beside PyTorch's figures where they are known."""
    opened = open_artifact(artifact_path(artifact))
    if opened.manifest is None:
        raise ArtifactError(
            f"{opened.path} has no manifest beside it", "validate an artifact that `hwnas export` wrote"
        )
    size_hw = opened.manifest.size_hw
    dataset = open_dataset(data)
    validating.check_classes(opened.manifest, dataset)
    if criteria.fps is not None:
        check_one_by_one(opened, opened.manifest.input["shape"][0])
    if junit is not None:
        check_writable(junit)
    known = reference.found_for(opened, threads)
    if views is not None and known.network is None:
        raise HwnasError(
            f"several views of an image are PyTorch's to see, and {opened.path} lies in no run directory",
            "leave --eval-scales and --eval-flip out, or give the run that it is of: --run DIR",
        )
    frames = _frames(video, images, size_hw, criteria, shell)
    verdict = validating.judge(
        opened,
        dataset,
        size_hw,
        criteria=criteria,
        network=known.network,
        predicted_ms=known.predicted_ms,
        predicted_by=known.predicted_by,
        threads=threads,
        frames=frames,
        progress=shell.progress,
    )
    document = {"artifact": str(opened.path), **verdict.to_dict(), "unpredicted": known.unpredicted, "views": None}
    if views is not None and known.network is not None and known.run is not None:
        arrays = open_validation_data(dataset, size_hw, shell.progress)
        genotype, classes = resolve_genotype(str(known.run)), len(dataset.classes)
        document["views"] = validating.views_document(known.network, genotype, arrays, classes, views, shell.progress)
    if junit is not None:
        from hwnas.report.junit import write_junit

        write_junit(document, opened.manifest.name, junit)
    code = EXIT_OK if verdict.passed else EXIT_FAIL
    return Answer(document, lambda console: results.print_verdict(console, document), code)


def _frames(
    video: Path | None, images: Path | None, size_hw: tuple[int, int], criteria: Criteria, shell: Shell
) -> np.ndarray | None:
    """The frames of a deadline run where the user gave some."""
    from hwnas.data.frames import frames_of_folder, frames_of_video

    if video is None and images is None:
        return None
    if criteria.fps is None:
        raise HwnasError("--video and --images are for a deadline run", "give its rate, like --fps 30")
    if video is not None and images is not None:
        raise HwnasError("--video and --images exclude each other", "give one of them")
    if images is not None:
        return frames_of_folder(images, size_hw, progress=shell.progress)
    assert video is not None
    count = frames_in(criteria.fps, criteria.deadline_s)
    return frames_of_video(video, size_hw, count=count, progress=shell.progress)
