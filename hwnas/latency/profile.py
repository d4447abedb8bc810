"""The way from a space to a calibrated table: plan, bundle, measure in a process of its own, fit.

A folder beside the table holds the bundle and the journal, so that an interrupted profile goes on where it was.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.errors import TableError
from hwnas.latency import measure
from hwnas.latency.bundle import FLOAT, Assemble, Bundle, ExportOps, ModelForm, Net, read_bundle, write_bundle
from hwnas.latency.calibrate import Example, fit
from hwnas.latency.contract import TimingContract
from hwnas.latency.measure import Setting
from hwnas.latency.model import TableModel, example_of
from hwnas.latency.plan import calibration_nets_for, plan
from hwnas.latency.summary import Summary, summarise
from hwnas.latency.table import Calibration, Entry, LatencyTable, accuracy_of, save_table
from hwnas.progress import Progress
from hwnas.spaces.base import Decisions, SearchSpace

EXPORT_SHARE = 0.4
LEAST_MEASURE_S = 5.0
LEAST_NETS = 4
MAX_CRASHES = 20
GRACE_S = 30.0
PROGRAM = (measure.__file__,)
"""Arguments to Python that run the measuring program: the file that runs alone."""


def profile(
    space: SearchSpace,
    size_hw: tuple[int, int],
    classes: int,
    *,
    setting: Setting,
    seconds_limit: float,
    export_ops: ExportOps,
    assemble: Assemble,
    form: ModelForm = FLOAT,
    pin: Sequence[int] = (),
    program: Sequence[str] = PROGRAM,
    out_path: Path,
    progress: Progress,
    rng: np.random.Generator,
    calibration_nets: int | None = None,
    holdout_nets: int = 32,
    draws: Iterator[Decisions] | None = None,
) -> LatencyTable:
    """Make the table of a space at one size on this machine, within ``seconds_limit``, and write it to ``out_path``.

    ``form`` makes of the exported models what the setting's engine takes for its precision and batch; ``pin`` are the
    cores to measure on, ``program`` what measures (see :func:`measure_in_process`). ``draws`` are decisions of the
    genotypes that the table is for, if not all of the space (see :func:`plan`). Without ``calibration_nets`` there are
    as many as go with the time. What the time does not suffice for is left out, said, and recorded in the table's
    coverage. Raises TableError if nothing could be measured, or if what an interrupted run left belongs to another
    setting.
    """
    start = time.monotonic()
    folder = out_path.with_name(out_path.name + ".work")
    bundle_path = folder / "bundle.zip"
    bundle = _left_over(bundle_path, space.name, size_hw, classes, form)
    if bundle is None:
        (folder / "measured.jsonl").unlink(missing_ok=True)
        planned = plan(
            space,
            size_hw,
            classes,
            rng,
            calibration_nets=calibration_nets_for(seconds_limit) if calibration_nets is None else calibration_nets,
            holdout_nets=holdout_nets,
            draws=draws,
        )
        export_s = seconds_limit * EXPORT_SHARE
        bundle = write_bundle(planned, bundle_path, export_ops, assemble, progress, seconds=export_s, form=form)
    else:
        progress.say(f"going on with the measurements in {folder}")
    left_s = max(LEAST_MEASURE_S, seconds_limit - (time.monotonic() - start) - 2.0)
    journal = folder / "measured.jsonl"
    measure_in_process(
        bundle_path, journal, setting=setting, pin=pin, program=program, seconds=left_s, progress=progress
    )
    table = build_table(bundle, summarise(journal, [net.name for net in bundle.nets]))
    save_table(table, out_path)
    for line in describe(table):
        progress.say(line)
    for path in (bundle_path, journal):
        path.unlink(missing_ok=True)
    folder.rmdir()
    return table


def _left_over(path: Path, space: str, size_hw: tuple[int, int], classes: int, form: ModelForm) -> Bundle | None:
    """The bundle of an interrupted profile of the same thing, if there is a whole one."""
    if not path.exists():
        return None
    try:
        bundle = read_bundle(path)
    except TableError:
        return None
    found = (bundle.space, bundle.size_hw, bundle.classes, bundle.graphs, bundle.batch)
    same = found == (space, size_hw, classes, form.graphs, form.batch)
    return bundle if same else None


def measure_in_process(
    bundle: Path,
    journal: Path,
    *,
    setting: Setting,
    seconds: float,
    progress: Progress,
    passes: int = 6,
    pin: Sequence[int] = (),
    program: Sequence[str] = PROGRAM,
) -> None:
    """Run ``measure.py`` on a bundle in a fresh process, so that neither torch's threads nor its heap disturb it.

    ``pin`` are the cores that it is confined to; ``program`` are arguments to Python that run it, or another program of
    the same command line.
    A kernel at which the engine crashes is recorded as failed and the rest goes on. Raises TableError with the
    process's own sentence if it fails otherwise.
    """
    end = time.monotonic() + seconds
    crashed: list[str] = []
    with progress.task("timing kernels and nets", 1.0) as task:
        while True:
            arguments = [*program, str(bundle), "-o", str(journal), "--engine", setting.engine]
            arguments += ["--precision", setting.precision, "--threads", str(setting.threads), "--passes", str(passes)]
            arguments += ["--pin", *map(str, pin)] if pin else []
            arguments += ["--seconds", f"{max(1.0, end - time.monotonic()):.1f}"]
            status, message = _run(arguments + (["--crashed", crashed[-1]] if crashed else []), task, end + GRACE_S)
            if status == 0:
                return
            current = journal.with_name(journal.name + ".current")
            if status > 0 or not current.exists() or len(crashed) >= MAX_CRASHES:
                raise TableError(f"measuring failed: {message or f'signal {-status}'}", "what was measured is kept")
            crashed.append(current.read_text(encoding="utf-8"))
            progress.say(f"the engine crashed at {crashed[-1]}: recorded as failed, going on")


def _run(arguments: list[str], task: Any, deadline: float) -> tuple[int, str]:
    """Exit status (negative: signal) and what the process said on stderr; its progress goes to ``task``."""
    command = [sys.executable, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as process,
    ):
        assert process.stdout is not None
        try:
            for text in process.stdout:
                line = json.loads(text)
                if "share" in line:
                    task.update(float(line["share"]), str(line["note"]))
                if time.monotonic() > deadline:
                    break
        finally:
            if (process.poll() is None and time.monotonic() > deadline) or sys.exc_info()[0] is not None:
                process.terminate()
        status = process.wait()
        errors.seek(0)
        said = errors.read().strip().splitlines()
    return status, said[-1] if said else ""


def build_table(bundle: Bundle, summary: Summary) -> LatencyTable:
    """Kernels and nets as measured → a table with its in-context terms fitted and its error on unseen nets."""
    entries = {
        key.text: Entry(summary.timings[name].ms, summary.timings[name].spread)
        for name, key in bundle.keys.items()
        if name in summary.timings
    }
    if not entries:
        failed = next(iter(summary.failures.values()), "the time was over before the first")
        raise TableError(f"no kernel could be measured: {failed}", "allow more time, or look at the engine")
    naive = LatencyTable(
        contract=contract_of(bundle, summary),
        entries=entries,
        repeat_error=summary.repeat_error,
        percentiles=summary.percentiles,
        coverage={
            "kernels": (len(entries), int(bundle.planned["kernels"])),
            "nets": (sum(net.name in summary.timings for net in bundle.nets), int(bundle.planned["nets"])),
        },
        failures={bundle.keys[name].text: text for name, text in summary.failures.items() if name in bundle.keys},
        provenance={
            "space": bundle.space,
            "classes": bundle.classes,
            "bundle": bundle.fingerprint,
            "estimators": {name: round(error, 5) for name, error in summary.evidence.items()},
            "disturbed": round(summary.disturbed, 4),
        },
    )
    return _calibrated(naive, bundle, summary)


def _calibrated(naive: LatencyTable, bundle: Bundle, summary: Summary) -> LatencyTable:
    """Fit on the calibration nets, judge on the others; intervals come from all nets, each unseen when predicted."""
    nets = [net for net in bundle.nets if net.name in summary.timings]
    examples = _examples(naive, bundle, summary, [net for net in nets if net.role == "calibration"])
    if len(examples) < LEAST_NETS:
        return naive
    fitted = fit(examples)
    table = replace(naive, calibration=Calibration(fitted.weights, fitted.scales, fitted.noise, len(examples)))
    unseen = [net for net in nets if net.role == "holdout"]
    measured, predicted = _judged(table, bundle, summary, unseen)
    _, plain = _judged(naive, bundle, summary, unseen)
    residuals = [(m - p) / m for p, m in zip(predicted, measured, strict=True)]
    calibration = replace(table.calibration, residuals=(*fitted.residuals, *residuals))
    accuracy = {"calibrated": accuracy_of(predicted, measured), "naive": accuracy_of(plain, measured)}
    return replace(table, calibration=calibration, accuracy=accuracy if measured else {})


def _judged(table: LatencyTable, bundle: Bundle, summary: Summary, nets: list[Net]) -> tuple[list[float], list[float]]:
    """Measured and predicted latency of the nets that the table can price, in milliseconds."""
    model = TableModel(table)
    measured, predicted = [], []
    for net in nets:
        try:
            predicted.append(model.predict(bundle.graph(net)).latency_ms)
        except TableError:
            continue
        measured.append(summary.timings[net.name].ms)
    return measured, predicted


def _examples(naive: LatencyTable, bundle: Bundle, summary: Summary, nets: list[Net]) -> list[Example]:
    """Nets as sums of nodes and edges; those with a kernel neither measured nor near a measured one are left out."""
    model = TableModel(naive)
    examples = []
    for net in nets:
        try:
            examples.append(example_of(model, bundle.graph(net), summary.timings[net.name].ms))
        except TableError:
            continue
    return examples


def contract_of(bundle: Bundle, summary: Summary) -> TimingContract:
    """The contract that a bundle's measurements were made under."""
    header = summary.header
    return TimingContract(
        device=str(header["device"]),
        cores=int(header["cores"]),
        pinned=tuple(map(int, header["pinned"])),
        governor=str(header["governor"]),
        engine=str(header["engine"]),
        engine_version=str(header["engine_version"]),
        precision=str(header["precision"]),
        batch=int(header["batch"]),
        threads=int(header["threads"]),
        size_hw=bundle.size_hw,
        warmup="until three runs in a row are within 20% of the fastest",
        runs=summary.runs,
        estimator=summary.estimator,
        clock=summary.clock,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        reference_ms=summary.reference_ms,
        reference_drift=summary.reference_drift,
    )


@dataclass(frozen=True)
class _Share:
    measured: int
    planned: int

    def __str__(self) -> str:
        return f"{self.measured} of {self.planned}"


def describe(table: LatencyTable) -> list[str]:
    """What a user should know of a new table, one sentence a line."""
    kernels, nets = (_Share(*table.coverage[name]) for name in ("kernels", "nets"))
    lines = [f"timed {kernels} kernels and {nets} nets{_repeated(table, 'kernel', '; two passes of a kernel')}"]
    if kernels.measured < kernels.planned or nets.measured < nets.planned:
        lines.append("the time did not suffice for the rest: missing kernels are interpolated from their neighbours")
    for text, message in list(table.failures.items())[:5]:
        lines.append(f"could not be built: {text}: {message}")
    if "calibrated" in table.accuracy:
        accuracy, naive = table.accuracy["calibrated"], table.accuracy["naive"]
        lines.append(
            f"on {accuracy.nets} unseen nets: mean error {accuracy.mape:.1%} (plain sum {naive.mape:.1%}), "
            f"within ±5% {accuracy.within_5:.0%}, within ±10% {accuracy.within_10:.0%}, Kendall τ "
            f"{accuracy.kendall_tau:.2f}{_repeated(table, 'net', '; the same nets measured twice')}"
        )
    return lines


def _repeated(table: LatencyTable, of: str, subject: str) -> str:
    error = table.repeat_error.get(of, 0.0)
    return f"{subject} differ by {error:.1%}" if error else ""
