"""What the verb ``benchmark`` does: the engines of artifacts found, timed and compared."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwnas.cli import results
from hwnas.cli.output import Answer
from hwnas.cli.stages import exporting
from hwnas.cli.stages.validating import keep_measured
from hwnas.cli.verb import Shell
from hwnas.errors import ArtifactError, HwnasError
from hwnas.exporters.artifact import MANIFEST, Artifact, open_artifact
from hwnas.exporters.benchmark import BenchmarkResult, benchmark
from hwnas.exporters.streams import throughput
from hwnas.files import read_json
from hwnas.latency.contract import TimingContract

logger = logging.getLogger(__name__)


def artifact_path(path: Path) -> Path:
    """``path`` itself, or in a run directory or what ``export`` wrote the artifact that its budget binds."""
    inside = [folder / kind for kind in (exporting.LOGITS, exporting.LABELS) for folder in (path / "engine", path)]
    return next((folder for folder in inside if (folder / MANIFEST).is_file()), path)


def is_collection(path: Path) -> bool:
    """Whether ``path`` is a folder that is no artifact, but holds some."""
    return (
        path.is_dir() and artifact_path(path) == path and not (path / MANIFEST).is_file() and any(path.rglob(MANIFEST))
    )


def artifacts_below(paths: Sequence[Path]) -> list[Path]:
    """Every folder with a manifest in or below ``paths``, and every ``.onnx`` file given by its own name."""
    found: list[Path] = []
    for path in paths:
        if path.is_file():
            found.append(path)
        elif path.is_dir():
            found += sorted({manifest.parent for manifest in path.rglob(MANIFEST)})
        else:
            raise ArtifactError(f"there is no artifact {path}", "export one with `hwnas export`")
    if not found:
        raise ArtifactError(f"no artifact lies below {paths[0]}", f"an artifact is a folder that holds {MANIFEST}")
    return list(dict.fromkeys(found))


def time_one(
    shell: Shell, artifact: Path, *, scope: str, streams: int, threads: int, seconds: float, record: bool
) -> Answer:
    """Latency of an artifact, and with several streams its throughput; its manifest keeps it with ``record``."""
    opened = open_artifact(artifact_path(artifact))
    if record and opened.manifest is None:
        raise ArtifactError(f"{opened.path} has no manifest to keep the latency in", "leave --record out")
    timed = benchmark(opened, seconds=seconds, threads=threads, scope=scope, progress=shell.progress)
    document: dict[str, Any] = {"artifact": str(opened.path), **timed.to_dict()}
    if streams > 1:
        together = throughput(opened, streams, threads=threads, seconds=seconds, scope=scope, progress=shell.progress)
        document["throughput"] = together.to_dict()
    if record:
        keep_measured(opened, {"latency": timed.to_dict()})
    return Answer(document, lambda console: results.print_benchmark(console, document))


def time_many(
    shell: Shell, paths: Sequence[Path], *, scope: str, threads: int, seconds: float, plot: Path | None
) -> Answer:
    """One table over all artifacts below ``paths``, the fastest first; those that cannot be opened say why.

    The rounds of all are interleaved, so that a machine that drifts favours none of them.
    """
    rows, opened = [], []
    if plot is not None:
        from hwnas.report.scatter import check_plot

        check_plot(plot)
    for path in artifacts_below(paths):
        try:
            opened.append(open_artifact(path))
        except HwnasError as error:
            rows.append({"artifact": str(path), "status": error.message})
    if plot is not None and not any(_miou(artifact) is not None for artifact in opened):
        raise HwnasError(
            "no artifact has an mIoU, so there is nothing to plot",
            "run `hwnas validate` on them first: it records the mIoU in the manifest",
        )
    timed = _interleaved(shell, opened, scope=scope, threads=threads, seconds=seconds)
    for artifact in opened:
        rows.append(_row(artifact, timed.get(artifact.path)))
    rows.sort(key=lambda row: row.get("p50_ms", float("inf")))
    drawn = plot is not None and _drawn(rows, plot)
    document = {"artifacts": rows, "scope": scope, "plot": str(plot) if drawn else None}
    return Answer(document, lambda console: results.print_benchmarks(console, document))


ROUNDS = 3


def _drawn(rows: Sequence[Mapping[str, Any]], plot: Path) -> bool:
    """Whether the plot could be drawn; the times are told in either case."""
    from hwnas.report.scatter import draw_scatter, points_of

    try:
        draw_scatter(points_of(rows), plot)
    except HwnasError as error:
        logger.warning("no plot: %s", error.message)
        return False
    return True


def _interleaved(
    shell: Shell, artifacts: Sequence[Artifact], *, scope: str, threads: int, seconds: float
) -> dict[Path, BenchmarkResult | HwnasError]:
    """The round of each artifact whose p50 is the median of its rounds, or what kept it from running."""
    rounds: dict[Path, list[BenchmarkResult]] = {artifact.path: [] for artifact in artifacts}
    failed: dict[Path, BenchmarkResult | HwnasError] = {}
    with shell.progress.task("timing", ROUNDS * len(artifacts)) as task:
        for number in range(ROUNDS):
            for place, artifact in enumerate(artifacts):
                if artifact.path in failed:
                    continue
                try:
                    result = benchmark(artifact, seconds=seconds / ROUNDS, threads=threads, scope=scope)
                    rounds[artifact.path].append(result)
                except HwnasError as error:
                    failed[artifact.path] = error
                task.update(number * len(artifacts) + place + 1)
    middle = {
        path: sorted(results, key=lambda each: each.p50_ms)[len(results) // 2]
        for path, results in rounds.items()
        if path not in failed
    }
    return {**middle, **failed}


def _row(artifact: Artifact, timed: BenchmarkResult | HwnasError | None) -> dict[str, Any]:
    manifest = artifact.manifest
    row: dict[str, Any] = {
        "artifact": str(artifact.path.parent if manifest else artifact.path),
        "engine": artifact.engine,
        "precision": artifact.precision,
        "output": manifest.output.get("kind") if manifest else None,
        "bytes": sum(facts.bytes for facts in manifest.files.values()) if manifest else artifact.path.stat().st_size,
        "miou": _miou(artifact),
    }
    if isinstance(timed, BenchmarkResult):
        return {**row, "status": "ok", **timed.to_dict()}
    return {**row, "status": timed.message if timed is not None else "not timed"}


def _miou(artifact: Artifact) -> float | None:
    return artifact.manifest.measured.get("miou") if artifact.manifest else None


OF_THE_ARTIFACT = frozenset({"engine", "engine_version", "precision"})
"""Fields of a timing contract in which compared artifacts may differ: they are what is compared."""


def compare_two(first: Path, second: Path) -> Answer:
    """Two artifacts by what was measured of them before; refused if they were not timed in the same way."""
    a, b = (_measured(path) for path in (first, second))
    contracts = [TimingContract.from_dict(each["contract"]) for each in (a, b)]
    differing = [name for name in contracts[0].differences(contracts[1]) if name not in OF_THE_ARTIFACT]
    if differing:
        described = "; ".join(
            f"{name}: {getattr(contracts[0], name)}, {getattr(contracts[1], name)}" for name in differing
        )
        raise ArtifactError(
            f"{first} and {second} were timed in different settings ({described})", "time both in the same way"
        )
    document = {
        "first": a,
        "second": b,
        "speedup": a["p50_ms"] / b["p50_ms"],
        "miou_difference": None if None in (a["miou"], b["miou"]) else b["miou"] - a["miou"],
    }
    return Answer(document, lambda console: results.print_comparison(console, document))


def _measured(path: Path) -> dict[str, Any]:
    """What ``benchmark --json`` printed into a file, or what the manifest of an artifact keeps."""
    if path.suffix == ".json" and path.name != MANIFEST:
        document = read_json(path, "benchmark")
        if not isinstance(document, dict) or "artifact" not in document or not _is_timed(document):
            raise ArtifactError(
                f"{path} is not what `hwnas benchmark --json` prints", "give such a file or an artifact"
            )
        return {"miou": None, **document}
    opened = open_artifact(artifact_path(path))
    recorded: Mapping[str, Any] = opened.manifest.measured if opened.manifest else {}
    if "latency" not in recorded:
        raise ArtifactError(f"nothing was measured of {path} yet", "run `hwnas benchmark --record` on it first")
    if not _is_timed(recorded["latency"]):
        raise ArtifactError(f"the latency in the manifest of {path} is damaged", "run `hwnas benchmark --record` on it")
    return {"artifact": str(opened.path), "miou": recorded.get("miou"), **recorded["latency"]}


def _is_timed(document: Mapping[str, Any]) -> bool:
    """Whether a document says a latency and how it was measured."""
    times = [document.get(name) for name in ("p50_ms", "fps")]
    positive = all(isinstance(each, int | float) and each > 0 for each in times)
    miou = document.get("miou")
    return positive and isinstance(document.get("contract"), dict) and (miou is None or isinstance(miou, int | float))
