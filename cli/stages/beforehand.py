"""What can be seen to be wrong before anything is written: a mistake in a command leaves no run directory behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.objectives import check_metrics, check_size, join_limits, objective_of, table_names
from hwnas.cli.options import parse_limits
from hwnas.cli.settings import Settings
from hwnas.cli.stages.data import check_pairs
from hwnas.cli.stages.teaching import open_teacher
from hwnas.cli.stages.training import RECIPE
from hwnas.cli.tables import check_usable_here
from hwnas.data.base import open_dataset
from hwnas.errors import HwnasError
from hwnas.latency.table import load_table
from hwnas.optional import require
from hwnas.search.costs import LATENCY
from hwnas.search.make import make_strategy, parse_call
from hwnas.search.methods import METHODS
from hwnas.search.objective import INT8_MIOU, MIOU
from hwnas.search.pooled import takes_pool
from hwnas.search.problem import Problem
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES
from hwnas.supernet.samplers.base import SAMPLERS
from hwnas.training.feasible import check_training
from hwnas.training.losses import check_stride
from hwnas.training.sizes import crop_of

if TYPE_CHECKING:
    from hwnas.training.distill import Teacher


def check_data(spec: str) -> None:
    """That the data set is there and every image has its mask; no image is opened."""
    check_pairs(open_dataset(spec))


def check_names(settings: Settings) -> None:
    """That all exist (an unknown name offers the nearest ones), that there is something to search, and that a strategy
    that starts from a pool has one."""
    settings.searched  # noqa: B018
    if settings.network is not None and not settings.vary:
        raise HwnasError(
            f"there is nothing to search: {settings.space} is one network", "say what of its recipe to --vary, like lr"
        )
    SAMPLERS.get(settings.sampler)
    if takes_pool(settings.strategy) and settings.sampler == "uniform":
        raise HwnasError(
            f"the strategy {settings.strategy} starts from a pool that a path sampler leaves; uniform paths leave none",
            "add --sampler greedynas or --sampler pcnas",
        )


def check_objective(settings: Settings, *, resume: bool) -> None:
    """That the objective and the limits can be read and told, that no two contradict, that the search may have a
    candidate, and that the strategy and the evaluators serve what they make of the space."""
    from hwnas.cli.stages.evaluating import check_serves, resolved

    _check_gradient(settings)
    if settings.evaluations is not None and settings.evaluations < 1:
        raise HwnasError(f"{settings.evaluations} evaluations find nothing", "give at least 1")
    limits = join_limits(parse_limits(settings.limits), {LATENCY: settings.budget_ms})
    objective = objective_of(settings.objective, limits)
    devices = ["table", *table_names(settings.devices)]
    check_metrics(limits, devices)
    check_metrics(objective.needs, devices)
    for path in () if resume else table_names(settings.devices).values():  # a run has its own copies
        check_size(load_table(Path(path)), settings.size_hw)
    pool = {"pool": ()} if takes_pool(settings.strategy) else {}
    make_strategy(settings.strategy, Problem(settings.searched, objective), seed=0, **pool)
    if INT8_MIOU in objective.qualities:
        require("onnxruntime.quantization", extra="cpu")
    recipes = bool(settings.vary)
    options = resolved(settings.evaluation, settings.strategy, settings.networks, recipes=recipes)
    check_serves(options, objective, settings.strategy, recipes=recipes)


def _check_gradient(settings: Settings) -> None:
    """That a gradient method is not asked for what it takes no notice of."""
    method = METHODS.get(settings.method) if settings.method is not None else None
    if method is None or method.gradient is None:
        return
    weighs = "costs" in method.options
    given = {
        "--objective": settings.objective != MIOU,
        "--limit": settings.limits,
        "a second --table": settings.devices and not weighs,
        "--storage": settings.storage,
        "--evaluator": settings.evaluation != EvaluatorOptions(),
        "--evaluations": settings.evaluations is not None,
        "--vary": settings.vary,
        "--network": settings.network is not None,
    }
    for option, there in given.items():
        if there:
            raise HwnasError(
                f"the method {settings.method} learns by gradients, under the budget: {option} means nothing to it",
                "leave it out, or search with a --strategy",
            )
    if weighs:
        _check_weighed(settings)


def _check_weighed(settings: Settings) -> None:
    """That a gradient method that weighs costs knows those that it is to weigh."""
    from hwnas.search.gradient.cas import DEFAULT_COSTS, parse_costs

    _, options = parse_call(f"{settings.method}:{settings.method_options}")
    there = ["macs", "params", *table_names(settings.devices)]
    for name in parse_costs(str(options.get("costs", DEFAULT_COSTS))):
        if name not in there:
            raise HwnasError(f"there is no cost {name!r} to weigh", f"there are: {', '.join(there)}")


def check_evaluation(settings: Settings) -> None:
    """That candidates can be evaluated as asked for: names, files, and what a pre-filter was shown to be worth."""
    from hwnas.cli.stages.evaluating import check_options
    from hwnas.compiler.keymap import read_pretrained
    from hwnas.search.backbone import takes_backbone
    from hwnas.search.evaluators.zero_cost import ZERO_COST
    from hwnas.search.prefilter import measured_score

    options = settings.evaluation
    check_options(options)
    if options.backbone_weights is not None and not takes_backbone(settings.networks):
        able = [name for name in SPACES.names() if takes_backbone(SPACES.get(name))]
        raise HwnasError(f"the space {settings.space} takes no pretrained backbone", f"these do: {', '.join(able)}")
    if options.backbone_weights is not None:
        read_pretrained(Path(options.backbone_weights))
    if options.prefilter is not None:
        ZERO_COST.get(options.prefilter)
        study = None if options.prefilter_study is None else Path(options.prefilter_study)
        facts = {"space": settings.space, "data": settings.data, "size_hw": list(settings.size_hw)}
        measured_score(options.prefilter, study, facts)


def check_given_table(path: Path, settings: Settings) -> None:
    """That a latency table can be read and was measured in the run's setting, unless it is forced."""
    check_usable_here(load_table(path), settings.size_hw, settings.engine_setting, force=settings.force)


def check_last_training(settings: Settings) -> None:
    """That the network that is found can be trained as it is to be."""
    recipe = RECIPE.with_values(settings.recipe)
    classes = len(open_dataset(settings.data).classes)
    graph = None
    if recipe.drop_path:
        drawn = settings.networks.sample(np.random.default_rng(0))
        graph = expand(settings.networks.decode(drawn).genotype, (3, *settings.size_hw), classes)
    with teacher_of(settings.teacher, settings.teacher_weights, settings.data) as teacher:
        check_training(recipe, settings.size_hw, classes, teacher=teacher, graph=graph)


def check_supernet(settings: Settings) -> None:
    """That there is a supernet to be trained by the recipe and from the teacher that were given for it, that it can be,
    and that the teacher is of the data's classes."""
    from hwnas.cli.stages.evaluating import SLICES, names_of, resolved
    from hwnas.cli.stages.relaxing import recipe_of
    from hwnas.supernet.train import SUPERNET_RECIPE

    changes, teacher = settings.supernet_recipe, settings.supernet_teacher
    if not changes and teacher is None:
        return
    method = METHODS.get(settings.method) if settings.method is not None else None
    gradient = method is not None and method.gradient is not None
    if not gradient:
        evaluation = resolved(settings.evaluation, settings.strategy, settings.networks, recipes=bool(settings.vary))
        if SLICES not in names_of(evaluation):
            raise HwnasError(
                "this search trains no supernet: --recipe, --set and --teacher are of that",
                "leave them out; recipes of candidates are searched with --vary",
            )
    recipe = (recipe_of(method) if gradient and method else SUPERNET_RECIPE).with_values(changes)
    for name in ("drop_path", "ema", "full_size"):
        if getattr(recipe, name):
            raise HwnasError(f"recipe: a supernet is trained without {name}", "set it when what is found is trained")
    crop_hw = crop_of(recipe, settings.size_hw)
    check_stride(recipe, crop_hw)
    with teacher_of(teacher, settings.supernet_teacher_weights, settings.data) as found:
        if found is not None:
            found.at(crop_hw)


@contextmanager
def teacher_of(teacher: str | None, weights: str | Path | None, data: str) -> Iterator[Teacher | None]:
    """The teacher that is named, if one is; refused if it knows other classes than the data has."""
    if teacher is None:
        yield None
        return
    dataset = open_dataset(data)
    with open_teacher(teacher, None if weights is None else Path(weights), dataset, threads=1) as found:
        yield found
