"""The profile stage: a space's kernels and nets exported, timed in an engine, and made into a latency table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.cli.stages.reach import within_reach
from hwnas.cli.tables import this_setting
from hwnas.errors import TableError
from hwnas.latency.measure import Setting
from hwnas.latency.table import LatencyTable, check_setting, classes_of, load_table, save_table
from hwnas.spaces.base import SPACES

if TYPE_CHECKING:
    from hwnas.progress import Progress

FOCUS = 0.9
"""Real networks reach about half of the peak rate: this part of the budget at the peak is nearly twice the budget."""


def setting_of_table(table: LatencyTable) -> Setting:
    """The setting in which to time more of what a table holds."""
    contract = table.contract
    return Setting(contract.engine, contract.precision, contract.threads, contract.batch)


def check_machine(table: LatencyTable) -> None:
    """Refuse a table that was not measured on this machine with this version of its engine, or by somebody else."""
    if "imported" in table.provenance:
        raise TableError(
            f"the latency table was imported (of {table.contract.device}): its kernels cannot be timed again",
            "make a table of this machine with `hwnas profile`",
        )
    here = this_setting(table.contract.size_hw, setting_of_table(table))
    # cores can be given to the process that measures; that they exist is seen there
    check_setting(table, replace(here, pinned=table.contract.pinned))


def profile_space(
    space: str,
    size_hw: tuple[int, int],
    classes: int,
    *,
    setting: Setting,
    seconds: float,
    table: Path,
    seed: int,
    progress: Progress,
    focus_ms: float | None = None,
    pin: Sequence[int] = (),
) -> LatencyTable:
    """Measure and write ``table``, within ``seconds``; an interrupted profile goes on where it was.

    With ``focus_ms``, the table is for budgets about that: it is led by genotypes that could be had within twice that.
    """
    from hwnas.exporters.engine_models import models_for, version_of
    from hwnas.exporters.peak import peak_macs_per_ms
    from hwnas.latency.profile import profile

    models = models_for(setting.engine, setting.precision, setting.batch, seed=seed)
    version_of(setting.engine)
    draws = None
    if focus_ms is not None:
        rate = peak_macs_per_ms(setting)
        limit_ms = FOCUS * focus_ms
        draws = within_reach(SPACES.get(space), size_hw, classes, macs_per_ms=rate, limit_ms=limit_ms, seed=seed)
    return profile(
        SPACES.get(space),
        size_hw,
        classes,
        setting=setting,
        pin=pin,
        seconds_limit=seconds,
        export_ops=models.export_ops,
        assemble=models.assemble,
        form=models.form,
        program=models.program,
        out_path=table,
        rng=np.random.default_rng([seed, 1]),
        progress=progress,
        draws=draws,
    )


def add_missing(
    path: Path,
    space: str,
    genotype: str | None,
    classes: int | None = None,
    *,
    seconds: float,
    seed: int,
    progress: Progress,
) -> LatencyTable:
    """Time what the table in ``path`` lacks of ``space``, or of one network, and write it back.

    ``classes`` is how many the networks tell apart, if not as many as those that the table was made for.

    Raises TableError if the table was measured in another setting than this machine's.
    """
    from hwnas.exporters.engine_models import models_for
    from hwnas.latency.keys import keys_of
    from hwnas.latency.plan import occurrences
    from hwnas.latency.remeasure import with_missing
    from hwnas.skeletons.base import expand
    from hwnas.zoo.catalog import resolve_genotype

    if not path.is_file():  # a shipped table is not ours to complete
        raise TableError(f"there is no latency table {path} that could be completed", "give its file with -o")
    table = load_table(path)
    check_machine(table)
    size_hw, classes = table.contract.size_hw, classes or classes_of(table)
    if classes is None:
        raise TableError(f"{path} does not say for how many classes it is", "make a new table with `hwnas profile`")
    if genotype is not None:
        wanted = list(keys_of(expand(resolve_genotype(genotype), (3, *size_hw), classes)).values())
    else:
        wanted = list(occurrences(SPACES.get(space), size_hw, classes, np.random.default_rng([seed, 1])))
    setting = setting_of_table(table)
    models = models_for(setting.engine, setting.precision, setting.batch, seed=seed)
    completed = with_missing(
        table,
        wanted,
        export_ops=models.export_ops,
        form=models.form,
        program=models.program,
        progress=progress,
        seconds_limit=seconds,
    )
    save_table(completed, path)
    return completed
