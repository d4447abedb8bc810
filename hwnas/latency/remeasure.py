"""Timing kernels for a table that exists: those that it lacks, and a sample that says whether it still holds."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwnas.errors import TableError
from hwnas.latency.bundle import FLOAT, ExportOps, ModelForm, write_bundle
from hwnas.latency.contract import TimingContract
from hwnas.latency.keys import LatencyKey, parse_key
from hwnas.latency.measure import Setting
from hwnas.latency.plan import Plan
from hwnas.latency.profile import PROGRAM, contract_of, measure_in_process
from hwnas.latency.summary import summarise
from hwnas.latency.table import Entry, LatencyTable, check_setting
from hwnas.ops.spec import OPS
from hwnas.progress import Progress


@dataclass(frozen=True)
class Drift:
    """How kernels timed now compare with the table: ratios now / then, over ``kernels`` of them."""

    kernels: int
    median: float
    worst_key: str
    worst: float


def with_missing(
    table: LatencyTable,
    keys: Sequence[LatencyKey],
    *,
    export_ops: ExportOps,
    progress: Progress,
    seconds_limit: float,
    form: ModelForm = FLOAT,
    program: Sequence[str] = PROGRAM,
    force: bool = False,
) -> LatencyTable:
    """The table with those of ``keys`` added that it lacks, timed now on this machine.

    Kernels that fail are recorded. Raises TableError if this machine is not the table's setting, unless ``force``.
    """
    wanted = [key for key in dict.fromkeys(keys) if key.text not in table.entries]
    if not wanted:
        return table
    entries, failures, contract = _timed(table, wanted, export_ops, progress, seconds_limit, form, program)
    check_setting(table, contract, force=force)
    kernels, planned = table.coverage.get("kernels", (len(table.entries), len(table.entries)))
    kernels += len(entries)
    return replace(
        table,
        entries={**table.entries, **entries},
        failures={**table.failures, **failures},
        coverage={**table.coverage, "kernels": (kernels, max(planned, kernels))},
    )


def drift_of(
    table: LatencyTable,
    *,
    export_ops: ExportOps,
    progress: Progress,
    seconds_limit: float = 20.0,
    kernels: int = 24,
    form: ModelForm = FLOAT,
    program: Sequence[str] = PROGRAM,
    force: bool = False,
) -> Drift:
    """Re-time a sample of the table's kernels and compare."""
    keys = stratified(table, kernels)
    entries, _, contract = _timed(table, keys, export_ops, progress, seconds_limit, form, program)
    check_setting(table, contract, force=force)
    if not entries:
        raise TableError("no kernel of the table could be timed again", "allow more time, or profile anew")
    ratios = {text: entry.ms / table.entries[text].ms for text, entry in entries.items()}
    worst = max(ratios, key=lambda text: abs(np.log(ratios[text])))
    return Drift(len(ratios), float(np.median(list(ratios.values()))), worst, ratios[worst])


def stratified(table: LatencyTable, count: int) -> list[LatencyKey]:
    """A sample of ``count`` keys: each family of ops by its share of the table, spread evenly over their times."""
    keys = [parse_key(text) for text in table.entries]
    ordered = sorted(keys, key=lambda key: (OPS.get(key.op).family, table.entries[key.text].ms, key.text))
    count = min(count, len(ordered))
    # the middle of each of `count` equal stretches: of a family with one stretch, not its extreme
    places = (np.arange(count) + 0.5) * len(ordered) / max(1, count)
    return [ordered[int(place)] for place in np.unique(places.astype(int))]


def _timed(
    table: LatencyTable,
    keys: Sequence[LatencyKey],
    export_ops: ExportOps,
    progress: Progress,
    seconds: float,
    form: ModelForm,
    program: Sequence[str],
) -> tuple[dict[str, Entry], dict[str, str], TimingContract]:
    """Entries and failures by key text, and the contract they were made under."""
    contract = table.contract
    size_hw = contract.size_hw
    setting = Setting(contract.engine, contract.precision, contract.threads, contract.batch)
    classes = int(table.provenance.get("classes", 2))
    plan = Plan(str(table.provenance.get("space", "")), size_hw, classes, tuple(keys), {}, (), ())
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        journal = Path(folder) / "measured.jsonl"
        path = Path(folder) / "bundle.zip"
        bundle = write_bundle(plan, path, export_ops, lambda graph, parts: b"", progress, form=form)
        measure_in_process(
            path, journal, setting=setting, pin=contract.pinned, program=program, seconds=seconds, progress=progress
        )
        summary = summarise(journal, [])
    entries = {bundle.keys[name].text: Entry(timing.ms, timing.spread) for name, timing in summary.timings.items()}
    failures = {bundle.keys[name].text: message for name, message in summary.failures.items()}
    return entries, failures, contract_of(bundle, summary)
