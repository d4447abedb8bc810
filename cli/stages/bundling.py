"""The profile stage in parts: a bundle for any device, a table from its journal, and whether a table still holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import HwnasError, TableError
from hwnas.files import write_text
from hwnas.latency import measure
from hwnas.latency.bundle import Bundle, read_bundle, write_bundle
from hwnas.latency.plan import CALIBRATION_NETS, plan
from hwnas.latency.profile import build_table, describe, measure_in_process
from hwnas.latency.summary import Summary, summarise
from hwnas.latency.table import LatencyTable, load_table, save_table
from hwnas.latency.union import ALL, plan_union
from hwnas.spaces.base import SPACES

if TYPE_CHECKING:
    from hwnas.latency.remeasure import Drift
    from hwnas.progress import Progress

JOURNAL = ".measured.jsonl"


def plan_bundle(
    space: str,
    size_hw: tuple[int, int],
    classes: int,
    *,
    engine: str,
    precision: str,
    batch: int,
    calibration_nets: int | None,
    holdout_nets: int,
    seed: int,
    output: Path,
    progress: Progress,
) -> Bundle:
    """Write the bundle of a space, or of all spaces together (``all``); with the usual number of ``calibration_nets``
    if that is None."""
    from hwnas.exporters.engine_models import models_for

    if calibration_nets is None:
        calibration_nets = CALIBRATION_NETS
    models = models_for(engine, precision, batch, seed=seed)
    rng = np.random.default_rng([seed, 1])
    if space == ALL:
        spaces = [SPACES.get(name) for name in SPACES.names()]
        planned = plan_union(
            spaces,
            size_hw,
            classes,
            rng,
            calibration_nets=calibration_nets,
            holdout_nets=holdout_nets,
            say=progress.say,
        )
    else:
        planned = plan(
            SPACES.get(space), size_hw, classes, rng, calibration_nets=calibration_nets, holdout_nets=holdout_nets
        )
    return write_bundle(planned, output, models.export_ops, models.assemble, progress, form=models.form)


def write_script(path: Path) -> None:
    """Copy ``measure.py``, which runs alone; a file of that name that is something else is left as it is."""
    source = Path(measure.__file__).read_text(encoding="utf-8")
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(source[:40]):
        raise HwnasError(f"{path} is there already and is not hwnas's", "choose another folder for the bundle")
    write_text(path, source)


def measure_table(
    path: Path,
    output: Path,
    *,
    engine: str,
    precision: str | None,
    threads: int,
    pin: Sequence[int],
    seconds: float,
    progress: Progress,
) -> LatencyTable:
    """Time a bundle on this machine and write the table; goes on with what an earlier measuring left beside it.

    Without a ``precision`` it is that of the bundle's graphs.
    """
    from hwnas.exporters.engine_models import program_of, setting_for, version_of

    bundle = read_bundle(path)
    journal = output.with_name(output.name.removesuffix(".json") + JOURNAL)
    if journal.exists():
        _check_journal(journal, bundle)
        progress.say(f"going on with the measurements in {journal}")
    version_of(engine)
    setting = setting_for(bundle, engine, precision, threads)
    measure_in_process(
        path, journal, setting=setting, pin=pin, program=program_of(engine), seconds=seconds, progress=progress
    )
    summary = summarise(journal, [net.name for net in bundle.nets])
    table = build_table(bundle, summary)
    save_table(table, output)
    for line in describe(table):
        progress.say(line)
    if _all_measured(bundle, summary):
        journal.unlink()
    else:
        progress.say(f"the measurements are kept in {journal}: the same command goes on with them")
    return table


def table_of_journal(path: Path, journal: Path, output: Path) -> LatencyTable:
    """Write the table of what ``measure.py`` measured elsewhere; the journal is left as it is."""
    bundle = read_bundle(path)
    _check_journal(journal, bundle)
    table = build_table(bundle, summarise(journal, [net.name for net in bundle.nets]))
    save_table(table, output)
    return table


def drift_of_table(path_or_name: str, *, kernels: int, seconds: float, seed: int, progress: Progress) -> Drift:
    """How far kernels of a table have drifted on this machine; TableError if it is a table of another setting."""
    from hwnas.cli.stages.profiling import check_machine, setting_of_table
    from hwnas.exporters.engine_models import models_for
    from hwnas.latency.remeasure import drift_of

    table = load_table(path_or_name)
    check_machine(table)
    setting = setting_of_table(table)
    models = models_for(setting.engine, setting.precision, setting.batch, seed=seed)
    return drift_of(
        table,
        export_ops=models.export_ops,
        form=models.form,
        program=models.program,
        progress=progress,
        seconds_limit=seconds,
        kernels=kernels,
    )


def _check_journal(journal: Path, bundle: Bundle) -> None:
    """Refuse what was measured from another bundle."""
    try:
        lines = measure.read_lines(journal)
    except measure.MeasureError as error:
        raise TableError(str(error), "check the path, or measure again") from error
    if not lines or "bundle" not in lines[0]:
        raise TableError(f"the measurements {journal} lack their header: they are empty or truncated", "measure again")
    if lines[0]["bundle"] != bundle.fingerprint:
        raise TableError(
            f"{journal} was measured from another bundle than {bundle.path}",
            "give the bundle that was measured, or another output",
        )


def _all_measured(bundle: Bundle, summary: Summary) -> bool:
    names = {*bundle.keys, *(net.name for net in bundle.nets)}
    return names <= {*summary.timings, *summary.failures}
