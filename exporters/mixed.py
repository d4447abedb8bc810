"""Eight bits where they pay: networks in float, in int8 and in mixes of both, scored and timed side by side.

The mixes leave in float what gains nothing from int8, and then more and more of what costs most accuracy for the time
that it gains. Each is built, run on labelled images and timed as a whole; no mix is chosen by a sum over its parts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import ArtifactError
from hwnas.exporters.benchmark import median_ms, time_blocks
from hwnas.exporters.engine import Session, engine_named
from hwnas.exporters.graph_form import is_quantized
from hwnas.exporters.quantized import Ranges, quantize
from hwnas.exporters.scopes import call_of
from hwnas.exporters.sensitivity import Part, measure_parts, node_times, onnx_names
from hwnas.exporters.validate import evaluate_engine
from hwnas.progress import Progress, Silent

if TYPE_CHECKING:
    from onnx import ModelProto

FLOAT, FULL = "fp32", "int8"
EMPTY = "nothing is left in int8"
ROUNDS = 3
SENSITIVITY_IMAGES = 4


@dataclass(frozen=True)
class Labelled:
    """Images uint8 (N, H, W, 3) with masks (N, H, W), 255 ignored, to judge by."""

    images: np.ndarray
    masks: np.ndarray
    classes: int


@dataclass(frozen=True)
class Trial:
    """One form of the network. ``float_nodes`` are those of the op graph that were left in float."""

    name: str
    float_nodes: tuple[str, ...]
    miou: float | None = None
    """From 0 to 1, on the engine."""
    p50_ms: float | None = None
    """Median of a run: in CPU time on one thread of a processor, else by the wall clock."""
    problem: str = ""
    """Why the engine could not run it."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {**dataclasses.asdict(self), "float_nodes": list(self.float_nodes)}


@dataclass(frozen=True)
class Bench:
    """What all trials of a network share."""

    model: ModelProto
    ranges: Ranges
    engine: str
    folder: Path
    """A scratch folder."""
    threads: int = 1
    seconds: float = 1.0
    """Of timing, for each trial."""

    @property
    def symmetric(self) -> bool:
        """TensorRT takes no zero points."""
        return "tensorrt" in self.engine

    @property
    def by_cpu_time(self) -> bool:
        """One thread's CPU time is what it takes on a core of its own, however busy the machine is."""
        return self.threads == 1 and not any(name in self.engine for name in ("cuda", "tensorrt"))

    def graph(self, trial: Trial) -> ModelProto:
        """The network in a trial's form."""
        if trial.name == FLOAT:
            return self.model
        kept = onnx_names(self.model, trial.float_nodes)
        return quantize(self.model, self.ranges, symmetric=self.symmetric, keep_float=kept)

    def build(self, trial: Trial) -> tuple[Path, Path]:
        """(engine's file, ONNX file) of a trial; ArtifactError where the engine cannot, or nothing is in int8."""
        source = self.folder / trial.name / "trial.onnx"
        source.parent.mkdir(parents=True, exist_ok=True)
        graph = self.graph(trial)
        if trial.name != FLOAT and not is_quantized(graph):
            raise ArtifactError(EMPTY)
        source.write_bytes(graph.SerializeToString())
        precision = FLOAT if trial.name == FLOAT else FULL
        return engine_named(self.engine).build(source, precision=precision, out_dir=source.parent), source


def compare_forms(
    bench: Bench, judged_on: Labelled, *, mixes: bool = True, progress: Progress | None = None
) -> list[Trial]:
    """Score and time fp32, full int8 and, with ``mixes``, mixes of both; in this order."""
    trials = [Trial(FLOAT, ()), Trial(FULL, ())]
    if mixes:
        trials += mixes_of(_parts(bench, judged_on.images[:SENSITIVITY_IMAGES], progress))
    return _run_all(bench, trials, judged_on, progress or Silent())


def compare_calibrations(
    benches: Mapping[str, Bench], judged_on: Labelled, progress: Progress | None = None
) -> dict[str, float]:
    """mIoU (0 to 1) of the whole network in int8 by each calibration's ranges, on the engine.

    Those in which the engine cannot run it are left out.
    """
    scores = {}
    with (progress or Silent()).task("comparing calibrations", len(benches)) as task:
        for number, (name, bench) in enumerate(benches.items()):
            try:
                path, _ = bench.build(Trial(FULL, ()))
                with engine_named(bench.engine).open(path, threads=bench.threads) as session:
                    score = evaluate_engine(session, judged_on.images, judged_on.masks, judged_on.classes)
                scores[name] = score.miou
            except ArtifactError:  # an engine that cannot run the whole in int8 may run a mix
                pass
            task.update(number + 1, name)
    return scores


def choose(trials: Sequence[Trial], max_drop: float) -> Trial:
    """The fastest trial whose mIoU is at most ``max_drop`` (0 to 1) below the first one's, which is fp32."""
    exact = trials[0]
    assert exact.miou is not None
    kept = [t for t in trials if t.p50_ms is not None and t.miou is not None and exact.miou - t.miou <= max_drop]
    return min(kept, key=lambda trial: trial.p50_ms or 0.0)


def mixes_of(parts: Sequence[Part]) -> list[Trial]:
    """Mixes with ever more parts in float: first those that gain no time, then by what they cost for what they gain."""
    useless = [part for part in parts if part.gain_ms is not None and part.gain_ms <= 0]
    rest = [part for part in parts if part not in useless]
    rest.sort(key=lambda part: -part.error / (part.gain_ms or 1.0))
    counts = [0] if useless else []
    counts += [2**power for power in range(20) if 2**power < len(rest)]
    trials = []
    for count in counts:
        kept = [*useless, *rest[:count]]
        trials.append(Trial(f"mixed-{len(kept)}", tuple(name for part in kept for name in part.nodes)))
    return trials


def _parts(bench: Bench, images: np.ndarray, progress: Progress | None) -> list[Part]:
    times = []
    for trial in (Trial(FLOAT, ()), Trial(FULL, ())):
        try:
            path, source = bench.build(trial)
            times.append(node_times(bench.engine, path, source, threads=bench.threads, seconds=bench.seconds))
        except ArtifactError:  # an engine that cannot run the whole in int8 may run a mix
            times.append(None)
    return measure_parts(
        bench.model,
        bench.ranges,
        images,
        float_times=times[0],
        int8_times=times[1],
        symmetric=bench.symmetric,
        progress=progress,
    )


def _run_all(bench: Bench, trials: Sequence[Trial], judged_on: Labelled, progress: Progress) -> list[Trial]:
    """Scored one after the other, timed in turns: a machine that drifts favours none."""
    done: dict[str, Trial] = {}
    sessions: dict[str, Session] = {}
    with ExitStack() as stack, progress.task("fp32, int8 and mixes", len(trials)) as task:
        for number, trial in enumerate(trials):
            try:
                path, _ = bench.build(trial)
                session = stack.enter_context(engine_named(bench.engine).open(path, threads=bench.threads))
                score = evaluate_engine(session, judged_on.images, judged_on.masks, judged_on.classes)
            except ArtifactError as error:
                if trial.name == FLOAT:
                    raise
                done[trial.name] = dataclasses.replace(trial, problem=error.message)
            else:
                sessions[trial.name] = session
                done[trial.name] = dataclasses.replace(trial, miou=score.miou)
            task.update(number + 1, trial.name)
        for name, p50_ms in _time_in_turns(sessions, bench.seconds, cpu=bench.by_cpu_time).items():
            done[name] = dataclasses.replace(done[name], p50_ms=p50_ms)
    return list(done.values())


def _time_in_turns(sessions: dict[str, Session], seconds: float, *, cpu: bool) -> dict[str, float]:
    rounds: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(ROUNDS):
        for name, session in sessions.items():
            run = call_of(session, "engine", np.random.default_rng(0))
            rounds[name].append(median_ms(time_blocks(run, seconds=seconds / ROUNDS, min_runs=5), cpu=cpu))
    return {name: float(np.median(medians)) for name, medians in rounds.items()}
