"""How long an engine takes on this machine, with the contract that says how it was measured."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.errors import ArtifactError, HwnasError
from hwnas.exporters.artifact import Artifact
from hwnas.exporters.engine import Session, engine_named
from hwnas.exporters.scopes import call_of, check_scope, inside_of
from hwnas.latency.contract import TimingContract
from hwnas.latency.measure import Samples, device_fingerprint, time_callable, time_reference
from hwnas.latency.reference import SHAPE, reference_model
from hwnas.progress import Progress, Silent

BLOCK_S = 0.5
MAX_DISTURBED = 0.2
"""A block with more of its samples interrupted by other processes is repeated, as long as time allows."""

MOSTLY = 0.5
"""With more of all samples interrupted, even those that were not are of a machine that is not one's own."""

EXTRA_TIME = 2.0
"""Up to this many times the wanted duration is spent on getting undisturbed blocks."""


@dataclass(frozen=True)
class BenchmarkResult:
    """Wall-clock latency of one run (of one image, or of the contract's batch), milliseconds. Percentiles are over the
    samples that nothing interrupted."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    worst_ms: float
    """Over all samples, interrupted ones too."""
    fps: float
    """Images a second: 1000 / p50, times the batch."""
    cpu_p50_ms: float
    """CPU time of the process; with one thread, what the latency is on a core of its own."""
    runs: int
    disturbed: float
    """Share of samples that other processes interrupted."""
    contract: TimingContract

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {
            **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)},
            "contract": self.contract.to_dict(),
        }

    def at(self, percentile: str) -> float:
        """``"p50"``, ``"p90"`` or ``"p99"`` in milliseconds."""
        values = {"p50": self.p50_ms, "p90": self.p90_ms, "p99": self.p99_ms}
        if percentile not in values:
            raise HwnasError(f"there is no percentile {percentile!r}", "choose p50, p90 or p99")
        return values[percentile]

    def alone(self, percentile: str) -> float:
        """As :meth:`at`, but where most samples of one thread were interrupted, its median in CPU time: what it would
        be on a core of its own. To choose by; a verdict is on what was measured by the wall clock."""
        busy = self.disturbed > MOSTLY and self.contract.threads == 1
        return self.cpu_p50_ms if busy and percentile == "p50" else self.at(percentile)


def benchmark(
    artifact: Artifact,
    *,
    seconds: float = 5.0,
    threads: int = 1,
    scope: str = "engine",
    min_runs: int = 30,
    progress: Progress | None = None,
) -> BenchmarkResult:
    """Time an artifact on one fixed random image for ``seconds``, and up to three times that on a busy machine."""
    check_scope(scope)
    levels: list[float] = []
    with artifact.open(threads=threads) as session, _reference(artifact.engine, threads) as reference:

        def between() -> None:
            if reference is not None:
                samples = time_reference(reference)
                levels.append(float(np.median(samples.cpu_ms if threads == 1 else samples.wall_ms)))

        run = call_of(session, scope, np.random.default_rng(0))
        samples = time_blocks(run, seconds=seconds, min_runs=min_runs, between=between, progress=progress)
        contract = _contract(artifact, session, scope, threads, samples, levels)
    return summarise(samples, contract)


@contextmanager
def _reference(engine: str, threads: int) -> Iterator[Callable[[], object] | None]:
    """The reference kernel in an engine, to be run; None in one that is not built from ONNX."""
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        path = Path(folder) / "reference.onnx"
        path.write_bytes(reference_model())
        try:
            built = engine_named(engine).build(path, precision="fp32", out_dir=Path(folder))
        except ArtifactError:
            yield None
            return
        with engine_named(engine).open(built, threads=threads) as session:
            image = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
            yield lambda: session.run(image)


def time_blocks(
    run: Callable[[], object],
    *,
    seconds: float,
    min_runs: int = 30,
    between: Callable[[], object] = lambda: None,
    progress: Progress | None = None,
) -> list[Samples]:
    """Blocks of samples of ``run``, until ``seconds`` of undisturbed ones are had.

    ``between`` is called before each block.
    """
    block_s = min(BLOCK_S, seconds)
    wanted = max(1, round(seconds / block_s))
    blocks: list[Samples] = []
    good = 0
    with (progress or Silent()).task("timing", wanted) as task:
        while good < wanted and len(blocks) < wanted * (1 + EXTRA_TIME):
            warmup_s = 0.3 if not blocks else 0.0
            between()
            least = -(-min_runs // wanted)
            block = time_callable(run, warmup_s=warmup_s, min_runs=least, max_seconds=block_s)
            blocks.append(block)
            good += bool(block.disturbed.mean() <= MAX_DISTURBED)
            task.update(good, f"{np.median(block.wall_ms):.2f} ms")
    return blocks


def median_ms(blocks: Sequence[Samples], *, cpu: bool = False) -> float:
    """Median latency, by the wall clock or in CPU time, over the undisturbed samples; over all, if these are few."""
    times = np.concatenate([block.cpu_ms if cpu else block.wall_ms for block in blocks])
    quiet = np.concatenate([~block.disturbed for block in blocks])
    return float(np.median(times[quiet] if np.count_nonzero(quiet) >= 10 else times))


def summarise(blocks: list[Samples], contract: TimingContract) -> BenchmarkResult:
    """Percentiles over the blocks' undisturbed samples; over all, if fewer than ten are undisturbed."""
    wall = np.concatenate([block.wall_ms for block in blocks])
    cpu = np.concatenate([block.cpu_ms for block in blocks])
    disturbed = np.concatenate([block.disturbed for block in blocks])
    clean = ~disturbed if np.count_nonzero(~disturbed) >= 10 else np.ones_like(disturbed)
    p50, p90, p99 = (float(value) for value in np.quantile(wall[clean], (0.5, 0.9, 0.99)))
    return BenchmarkResult(
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        worst_ms=float(wall.max()),
        fps=1000 / p50 * contract.batch,
        cpu_p50_ms=float(np.median(cpu[clean])),
        runs=sum(block.runs for block in blocks),
        disturbed=float(disturbed.mean()),
        contract=contract,
    )


def _contract(
    artifact: Artifact, session: Session, scope: str, threads: int, blocks: list[Samples], levels: list[float]
) -> TimingContract:
    device = device_fingerprint()
    return TimingContract(
        device=str(device["device"]),
        cores=int(device["cores"]),
        pinned=tuple(device["pinned"]),
        governor=str(device["governor"]),
        engine=artifact.engine,
        engine_version=engine_named(artifact.engine).available().version,
        precision=artifact.precision,
        threads=threads,
        size_hw=session.input.size_hw,
        batch=session.input.batch,
        scope=scope,
        inside=inside_of(session, scope),
        warmup=f"{blocks[0].warmup_runs} runs",
        runs=sum(block.runs for block in blocks),
        estimator="percentiles over samples without involuntary context switches",
        clock="wall",
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        reference_ms=float(np.median(levels)) if levels else 0.0,
        reference_drift=float(np.quantile(levels, 0.9) / np.median(levels) - 1.0) if levels else 0.0,
    )
