"""What can be seen to be wrong before anything is written: a mistake in a command leaves no run directory behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwnas.cli.objectives import QUALITY, check_costs, check_size, join_limits, objective_of, table_names
from hwnas.cli.options import parse_limits
from hwnas.cli.settings import Settings
from hwnas.cli.stages.data import check_pairs
from hwnas.cli.stages.profiling import check_table
from hwnas.cli.stages.teaching import open_teacher
from hwnas.cli.stages.training import RECIPE
from hwnas.data.base import open_dataset
from hwnas.errors import HwnasError
from hwnas.latency.measure import Setting
from hwnas.latency.table import load_table
from hwnas.search.costs import LATENCY
from hwnas.search.make import make_strategy
from hwnas.search.pooled import takes_pool
from hwnas.search.problem import Problem
from hwnas.spaces.base import SPACES
from hwnas.supernet.samplers.base import SAMPLERS
from hwnas.training import distill


def check_data(spec: str) -> None:
    """That the data set is there and every image has its mask; no image is opened."""
    check_pairs(open_dataset(spec))


def check_names(space: str, strategy: str, sampler: str) -> None:
    """That all exist (an unknown name offers the nearest ones), and that a strategy that starts from a pool has one."""
    SPACES.get(space)
    SAMPLERS.get(sampler)
    if takes_pool(strategy) and sampler == "uniform":
        raise HwnasError(
            f"the strategy {strategy} starts from a pool that a path sampler leaves, and uniform paths leave none",
            "add --sampler greedynas or --sampler pcnas",
        )


def check_objective(settings: Settings, *, resume: bool) -> None:
    """That the objective and the limits can be read and told, that no two contradict, and that the strategy serves
    what they make of the space."""
    limits = join_limits(parse_limits(settings.limits), {LATENCY: settings.budget_ms})
    objective = objective_of(settings.objective, limits)
    devices = ["table", *table_names(settings.devices)]
    check_costs(limits, devices)
    check_costs((name for name in objective.needs if name != QUALITY), devices)
    for path in () if resume else table_names(settings.devices).values():  # a run has its own copies
        check_size(load_table(Path(path)), settings.size_hw)
    pool = {"pool": ()} if takes_pool(settings.strategy) else {}
    make_strategy(settings.strategy, Problem(SPACES.get(settings.space), objective), seed=0, **pool)


def check_evaluation(settings: Settings) -> None:
    """That candidates can be evaluated as asked for: names, files, and what a pre-filter was shown to be worth."""
    from hwnas.cli.stages.evaluating import check_options
    from hwnas.compiler.keymap import read_pretrained
    from hwnas.search.backbone import takes_backbone
    from hwnas.search.evaluators.zero_cost import ZERO_COST
    from hwnas.search.prefilter import measured_score

    options = settings.evaluation
    check_options(options)
    if options.backbone_weights is not None and not takes_backbone(SPACES.get(settings.space)):
        able = [name for name in SPACES.names() if takes_backbone(SPACES.get(name))]
        raise HwnasError(f"the space {settings.space} takes no pretrained backbone", f"these do: {', '.join(able)}")
    if options.backbone_weights is not None:
        read_pretrained(Path(options.backbone_weights))
    if options.prefilter is not None:
        ZERO_COST.get(options.prefilter)
        study = None if options.prefilter_study is None else Path(options.prefilter_study)
        facts = {"space": settings.space, "data": settings.data, "size_hw": list(settings.size_hw)}
        measured_score(options.prefilter, study, facts)


def check_given_table(path: Path, size_hw: tuple[int, int], setting: Setting) -> None:
    """That a latency table can be read and was measured in this setting."""
    check_table(load_table(path), size_hw, setting)


def check_recipe(changes: Mapping[str, Any]) -> None:
    """That the recipe has these fields, with such values."""
    RECIPE.with_values(changes)


def check_teacher(teacher: str | None, weights: str | Path | None, data: str) -> None:
    """That there is such a teacher, of the data's classes; None is no teacher."""
    if teacher is None:
        return
    dataset = open_dataset(data)
    with open_teacher(teacher, None if weights is None else Path(weights), dataset, threads=1) as found:
        distill.check_teacher(found, len(dataset.classes))
