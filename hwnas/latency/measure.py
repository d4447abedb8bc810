"""Times ONNX kernels and nets on the device. One file: needs Python, numpy and onnxruntime, nothing of hwnas.

    python measure.py bundle.zip -o measured.jsonl --threads 1

Every finished block of runs is one JSON line, appended and synced, so that a killed measurement goes on where it was.
The blocks of all kernels are interleaved in passes, each pass with a fresh session, and a reference kernel is timed
beside each, so that the drift of a shared machine is seen and can be divided out. Beside wall time goes the process's
CPU time, which at one thread does not count what other processes took.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

BUNDLE_SCHEMA = 1
QUANTILES = (0.0, 0.1, 0.25, 0.5)
"""Of a block's samples; the trimmed mean (without the slowest fifth) goes after them."""
BLOCK_S = {"kernel": 0.03, "net": 0.25}
LEAST_BLOCK_S = {"kernel": 0.006, "net": 0.05}
NET_WEIGHT = 8.0
"""A net takes about as long to time as this many kernels."""
REFERENCE_EVERY = 8
MIN_SAMPLES = 7
REFERENCE = "reference.onnx"
"""The kernel, in every bundle, that is timed in between."""


class MeasureError(ValueError):
    """A bundle or journal that is damaged or does not belong; the message is one sentence."""


@dataclass(frozen=True)
class Samples:
    """Times of one block; each sample is the mean over ``inner`` runs, in milliseconds per run."""

    wall_ms: np.ndarray[Any, np.dtype[np.float64]]
    cpu_ms: np.ndarray[Any, np.dtype[np.float64]]
    disturbed: np.ndarray[Any, np.dtype[np.bool_]]
    """Whether the process was interrupted (involuntary context switch) during the sample."""
    inner: int
    warmup_runs: int

    @property
    def runs(self) -> int:
        """How often the callable ran inside the timed region."""
        return self.inner * len(self.wall_ms)


def time_callable(
    run: Callable[[], object],
    *,
    warmup_s: float = 0.02,
    min_runs: int = 10,
    max_seconds: float = 1.0,
    sample_ms: float = 0.2,
    target_error: float = 0.0,
) -> Samples:
    """Warm up until stable, then sample until ``max_seconds`` are over, but at least ``min_runs`` samples.

    Runs shorter than ``sample_ms`` are grouped, so that reading the clocks costs little. With a positive
    ``target_error`` sampling stops early, once the interquartile range over √n, relative to the median, is below it.
    """
    once_ms, warmup_runs = _warm_up(run, warmup_s)
    inner = max(1, int(np.ceil(sample_ms / max(once_ms, 1e-6))))
    wall: list[float] = []
    cpu: list[float] = []
    disturbed: list[bool] = []
    end = time.perf_counter() + max_seconds
    while len(wall) < min_runs or time.perf_counter() < end:
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        cpu_start, start = time.process_time_ns(), time.perf_counter_ns()
        for _ in range(inner):
            run()
        stop, cpu_stop = time.perf_counter_ns(), time.process_time_ns()
        wall.append((stop - start) / inner / 1e6)
        cpu.append((cpu_stop - cpu_start) / inner / 1e6)
        disturbed.append(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw > switches)
        if target_error > 0 and len(wall) >= min_runs and len(wall) % 5 == 0 and _error(cpu) < target_error:
            break
    return Samples(np.array(wall), np.array(cpu), np.array(disturbed), inner, warmup_runs)


def time_reference(run: Callable[[], object]) -> Samples:
    """A short block of the reference kernel: how fast the machine is at this moment."""
    return time_callable(run, warmup_s=0.003, min_runs=MIN_SAMPLES, max_seconds=0.015)


def _warm_up(run: Callable[[], object], warmup_s: float) -> tuple[float, int]:
    """Run until ``warmup_s`` are over and three runs in a row are within 20% of the fastest; (ms of one run, runs)."""
    start = time.perf_counter()
    times: list[float] = []
    while True:
        before = time.perf_counter()
        run()
        now = time.perf_counter()
        times.append(now - before)
        spent = now - start
        stable = len(times) >= 3 and max(times[-3:]) <= 1.2 * min(times)
        if (spent >= warmup_s and stable) or (spent >= 5 * warmup_s and len(times) >= 3):
            return min(times) * 1e3, len(times)


def _error(values: list[float]) -> float:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float((high - low) / np.sqrt(len(values)) / middle) if middle > 0 else np.inf


def device_fingerprint() -> dict[str, Any]:
    """What the machine is: ``device`` (its name), ``cores``, ``pinned`` (cores it is confined to), ``governor``."""
    cores = os.cpu_count() or 1
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(cores))
    pinned = allowed if len(allowed) < cores else []
    return {"device": _cpu_name(), "cores": cores, "pinned": pinned, "governor": _governor()}


def _cpu_name() -> str:
    """The CPU's name; several generations share one, so family and model numbers go with it."""
    fields: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
            if not line.strip():
                break
    except OSError:
        pass
    name = fields.get("model name") or fields.get("Model") or platform.processor() or platform.machine()
    numbers = "/".join(fields[key] for key in ("cpu family", "model", "stepping") if key in fields)
    return f"{name} ({numbers})" if numbers else name


def _governor() -> str:
    try:
        path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return "unknown"


@dataclass(frozen=True)
class Job:
    """One model of the bundle: ``kind`` is ``kernel`` or ``net``; ``file`` is its path inside the archive."""

    name: str
    kind: str
    file: str


def read_manifest(bundle: Path) -> dict[str, Any]:
    """The manifest of a bundle, its paths checked; a damaged or foreign file is a MeasureError."""
    try:
        with zipfile.ZipFile(bundle) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            files = set(archive.namelist())
            schema = int(manifest["schema_version"])
            jobs = _jobs_of(manifest)
    except OSError as error:
        raise MeasureError(f"cannot read the bundle {bundle}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
        raise MeasureError(f"the bundle {bundle} is damaged or truncated ({error}): make it again") from error
    if schema > BUNDLE_SCHEMA:
        raise MeasureError(f"the bundle {bundle} has schema {schema}, newer than {BUNDLE_SCHEMA}: update hwnas")
    for job in jobs:
        if job.file not in files or job.file.startswith("/") or ".." in job.file:
            raise MeasureError(f"the bundle {bundle} is damaged: it lacks {job.file!r}")
    if REFERENCE not in files:
        raise MeasureError(f"the bundle {bundle} is damaged: it lacks its reference kernel")
    return dict(manifest)


def _jobs_of(manifest: dict[str, Any]) -> list[Job]:
    """Kernels in their order of value with the nets spread among them, so that a time limit cuts both alike."""
    kernels = [Job(str(item["name"]), "kernel", str(item["file"])) for item in manifest["kernels"]]
    nets = [Job(str(item["name"]), "net", str(item["file"])) for item in manifest["nets"]]
    placed = [((i + 0.5) / max(1, len(group)), job) for group in (kernels, nets) for i, job in enumerate(group)]
    return [job for _, job in sorted(placed, key=lambda pair: pair[0])]


def open_onnxruntime(model: bytes, threads: int) -> Callable[[], object]:
    """A closure that runs the model once on fixed inputs, single-threaded but for ``threads`` inside ops."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {item.name: rng.random(item.shape, dtype=np.float32) for item in session.get_inputs()}
    return lambda: session.run(None, feeds)


def onnxruntime_version() -> str:
    """Version of the installed onnxruntime."""
    import onnxruntime

    return str(onnxruntime.__version__)


@dataclass
class Journal:
    """The lines of a measurement; a torn last line (a kill while writing) is dropped, any other damage refused."""

    path: Path
    lines: list[dict[str, Any]]

    @classmethod
    def open(cls, path: Path, header: dict[str, Any]) -> Journal:
        """Go on with the journal at ``path``, which must have the same header, or start it."""
        lines = read_lines(path) if path.exists() else []
        if lines:
            known = {name: lines[0].get(name) for name in header}
            for name, value in header.items():
                if known[name] != value:
                    raise MeasureError(
                        f"{path} was measured with another {name} ({known[name]!r}, now {value!r}): "
                        "choose another output or delete it"
                    )
        journal = cls(path, lines[1:])
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in [header, *journal.lines])
        _replace(path, text)
        return journal

    def append(self, line: dict[str, Any]) -> None:
        """Add one line and sync it to the disk."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.lines.append(line)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a journal, the header first."""
    try:
        texts = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MeasureError(f"cannot read the measurements {path}: {error}") from error
    lines: list[dict[str, Any]] = []
    for number, text in enumerate(texts, start=1):
        if not text:
            continue
        try:
            line = json.loads(text)
            if not isinstance(line, dict):
                raise ValueError("not an object")
        except ValueError as error:
            if number >= len(texts) - 1:
                break  # the process was killed while it wrote this line
            raise MeasureError(f"the measurements {path} are damaged at line {number}: {error}") from error
        lines.append(line)
    return lines


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def measure_bundle(
    bundle: Path,
    out: Path,
    *,
    threads: int = 1,
    seconds: float = 240.0,
    passes: int = 4,
    target_error: float = 0.01,
    crashed: Sequence[str] = (),
    say: Callable[[float, str], object] = lambda share, note: None,
) -> bool:
    """Time every model of the bundle into the journal ``out``; whether all got at least one pass.

    Goes on with what ``out`` holds already. Stops after ``seconds``, after ``passes``, or when the passes of every
    model agree within ``target_error``. ``say`` is told the share that is done. Models in ``crashed``, at which an
    earlier process died, are recorded as failed. The model being timed is named in ``out`` + ``.current``.
    """
    manifest = read_manifest(bundle)
    header = {
        "bundle": manifest["fingerprint"],
        "engine": "onnxruntime",
        "engine_version": onnxruntime_version(),
        "threads": threads,
        **device_fingerprint(),
    }
    journal = Journal.open(out, header)
    for name in crashed:
        journal.append({"name": name, "error": "the engine crashed while building or running it"})
    with zipfile.ZipFile(bundle) as archive:
        work = _Work(archive, _jobs_of(manifest), journal, threads, seconds, say)
        for number in range(passes):
            if not work.run_pass(number, passes, target_error):
                break
    measured = {line["name"] for line in journal.lines}
    work.current.unlink(missing_ok=True)
    return all(job.name in measured for job in work.jobs)


class _Work:
    """The state of one measuring process."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        jobs: Sequence[Job],
        journal: Journal,
        threads: int,
        seconds: float,
        say: Callable[[float, str], object],
    ) -> None:
        self.archive = archive
        self.jobs = jobs
        self.journal = journal
        self.current = journal.path.with_name(journal.path.name + ".current")
        self.threads = threads
        self.start = time.monotonic()
        self.seconds = seconds
        self.say = say
        self.reference = self._open_reference()
        self.failed = {line["name"] for line in journal.lines if "error" in line}
        self.blocks: dict[str, dict[int, float]] = {}
        for line in journal.lines:
            self._remember(line)

    def _remember(self, line: dict[str, Any]) -> None:
        if "cpu_ms" in line:
            self.blocks.setdefault(line["name"], {})[int(line["pass"])] = float(line["cpu_ms"][3])

    def _open_reference(self) -> Callable[[], object]:
        model = self.archive.read(REFERENCE)
        try:
            run = open_onnxruntime(model, self.threads)
            run()
            return run
        except Exception as error:  # the engine's own exceptions have no common class
            raise MeasureError(f"the engine cannot run the reference kernel: {error}") from error

    @property
    def left_s(self) -> float:
        return self.seconds - (time.monotonic() - self.start)

    def run_pass(self, number: int, passes: int, target_error: float) -> bool:
        """One block of every model that still needs one; False when time is over or nothing needs one."""
        todo = [job for job in self.jobs if self._needs(job, number, target_error)]
        weights = [NET_WEIGHT if job.kind == "net" else 1.0 for job in todo]
        for place, job in enumerate(todo):
            if self.left_s <= 0:
                return False
            if place % REFERENCE_EVERY == 0:
                self._time_reference(number)
            share_s = 0.5 * self.left_s * weights[place] / sum(weights[place:])
            block_s = min(BLOCK_S[job.kind], max(LEAST_BLOCK_S[job.kind], share_s))
            self._time_job(job, number, block_s)
            self.say((number + (place + 1) / len(todo)) / passes, f"pass {number + 1}, {place + 1} of {len(todo)}")
        if todo:
            self._time_reference(number)
        return bool(todo)

    def _needs(self, job: Job, number: int, target_error: float) -> bool:
        blocks = self.blocks.get(job.name, {})
        if job.name in self.failed or number in blocks:
            return False
        if len(blocks) < 2:
            return True
        values = np.array(list(blocks.values()))
        return bool(np.ptp(values) / np.median(values) / np.sqrt(len(values)) > target_error)

    def _time_reference(self, number: int) -> None:
        samples = time_reference(self.reference)
        self.journal.append({"name": "reference", "pass": number, **_summary(samples)})

    def _time_job(self, job: Job, number: int, block_s: float) -> None:
        self.current.write_text(job.name, encoding="utf-8")
        try:
            run = open_onnxruntime(self.archive.read(job.file), self.threads)
            samples = time_callable(run, warmup_s=block_s / 3, min_runs=MIN_SAMPLES, max_seconds=block_s)
            line = {"name": job.name, "pass": number, **_summary(samples)}
            if job.kind == "net":
                line["samples_ms"] = [round(float(value), 6) for value in samples.wall_ms[_kept(samples)]]
        except zipfile.BadZipFile as error:
            raise MeasureError(f"the bundle is damaged at {job.file}: {error}") from error
        except Exception as error:  # the engine's own exceptions have no common class
            self.failed.add(job.name)
            line = {"name": job.name, "error": f"{type(error).__name__}: {error}"[:500]}
        self.journal.append(line)
        self._remember(line)


def _kept(samples: Samples) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The undisturbed samples, or all if fewer than a third are."""
    calm = ~samples.disturbed
    return calm if calm.sum() >= max(3, len(calm) // 3) else np.ones_like(calm)


def _summary(samples: Samples) -> dict[str, Any]:
    """One block as JSON: quantiles and trimmed mean by clock, over the samples that are kept."""
    kept = _kept(samples)
    document: dict[str, Any] = {
        "at": round(time.time(), 3),
        "runs": samples.runs,
        "warmup_runs": samples.warmup_runs,
        "disturbed": round(float(samples.disturbed.mean()), 4),
    }
    for clock, values in (("cpu_ms", samples.cpu_ms[kept]), ("wall_ms", samples.wall_ms[kept])):
        trimmed = np.sort(values)[: max(1, int(np.ceil(0.8 * len(values))))].mean()
        numbers = [float(value) for value in (*np.quantile(values, QUANTILES), trimmed)]
        if not all(np.isfinite(number) and number > 0 for number in numbers):
            raise MeasureError(f"the {clock[:-3]} clock gave a time of {min(numbers)} ms")
        document[clock] = [float(f"{number:.6g}") for number in numbers]
    return document


def _progress_lines() -> Callable[[float, str], object]:
    def say(share: float, note: str) -> None:
        print(json.dumps({"share": round(share, 4), "note": note}), flush=True)

    return say


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the models of a bundle into a journal of JSON lines.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=240.0, help="stop after this long")
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--target-error", type=float, default=0.01)
    parser.add_argument("--crashed", nargs="*", default=[], help="models to record as failed")
    parser.add_argument("--pin", type=int, nargs="*", default=[], help="cores to run on")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """The command line; prints progress as JSON lines and returns 2 on a user's mistake."""
    arguments = _arguments(argv)
    try:
        if arguments.pin:
            os.sched_setaffinity(0, arguments.pin)
        complete = measure_bundle(
            arguments.bundle,
            arguments.out,
            threads=arguments.threads,
            seconds=arguments.seconds,
            passes=arguments.passes,
            target_error=arguments.target_error,
            crashed=arguments.crashed,
            say=_progress_lines(),
        )
    except (MeasureError, OSError, ImportError) as error:
        print(f"{error}", file=sys.stderr)
        return 2
    print(json.dumps({"complete": complete}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
