"""Evaluators made of what a command was told: slices, trainings, proxies, frozen features, and ladders of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli.evaluator_options import AUTO, EVALUATORS, EvaluatorOptions
from hwnas.cli.stages.data import TrainingData
from hwnas.cli.stages.training import RECIPE
from hwnas.data.cache import default_cache_dir
from hwnas.errors import HwnasError
from hwnas.search.backbone import Backbone, takes_backbone
from hwnas.search.evaluators.base import IdentifiedEvaluator, Measures
from hwnas.search.evaluators.cached import FILE, Cached, EvaluationFile
from hwnas.search.evaluators.features import FeatureEvaluator, least_crop
from hwnas.search.evaluators.images import Images
from hwnas.search.evaluators.ladder import Ladder, Rung, check_tops
from hwnas.search.evaluators.proxy import Proxy, parse_proxy, proxy_evaluator
from hwnas.search.evaluators.training import TrainingEvaluator, TrainingPlan
from hwnas.search.objective import INT8_MIOU, Objective
from hwnas.search.pooled import takes_pool
from hwnas.spaces.base import SearchSpace
from hwnas.training.recipe import Recipe
from hwnas.training.sizes import crop_of

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.cli.stages.searching import Field
    from hwnas.ir.opgraph import OpGraph
    from hwnas.progress import Progress

SLICES, LADDER = "slices", "ladder"
ON_DEVICES = frozenset(("training", "proxy"))
"""Evaluators that can compute on a GPU."""
BY_FIDELITY = ("econas", "halving")
"""Strategies that ask for parts of a training."""
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Workshop:
    """What evaluators are made of. ``slices`` makes that of a trained supernet (None where there is none).

    ``folder`` is the run's; ``backbone`` trained weights to begin with, if the space takes any.
    """

    space: SearchSpace
    data: TrainingData
    options: EvaluatorOptions
    folder: Path
    seed: int
    threads: int | None
    progress: Progress
    backbone: Backbone | None = None
    slices: Callable[[], IdentifiedEvaluator] | None = None
    measures: Measures = field(default_factory=dict)
    """Of what candidates are measured by beside their mIoU; slices bring their own."""
    device: str = "cpu"
    """Where candidates are trained."""

    @property
    def images(self) -> Images:
        """The split ``train``, as evaluators see it."""
        return self.data.images

    @property
    def file(self) -> EvaluationFile:
        """Where results are kept: in the run, or in the file that was named."""
        return EvaluationFile(Path(self.options.results) if self.options.results else self.folder / FILE)

    def evaluator(self) -> Cached:
        """The one that the options name."""
        return self.cached(self._ladder() if self.options.evaluator == LADDER else self._one(self.options.evaluator))

    def cached(self, inner: IdentifiedEvaluator) -> Cached:
        """``inner`` with its results kept."""
        return Cached(inner, self.file)

    def training(self, *, part: float = 1.0) -> IdentifiedEvaluator:
        """Trainings of ``part`` of ``--train-steps``."""
        images = self.images
        plan = self._plan(images)
        plan = replace(plan, steps=max(1, round(plan.steps * part)))
        return TrainingEvaluator(
            self.space,
            images,
            plan,
            start=self._start(),
            start_name=self._start_name(),
            measures=self.measures,
            progress=self.progress,
        )

    def proxy(self, proxy: Proxy) -> IdentifiedEvaluator:
        """Trainings under ``proxy``."""
        images = self.images
        plan = self._plan(images.reduced(resolution=proxy.resolution))
        return proxy_evaluator(
            self.space,
            images,
            plan,
            proxy,
            start=self._start(),
            start_name=self._start_name(),
            measures=self.measures,
            progress=self.progress,
        )

    def _one(self, name: str) -> IdentifiedEvaluator:
        if name == SLICES:
            if self.slices is None:
                raise HwnasError("slices need a supernet, and none is trained here", "use another --evaluator")
            return self.slices()
        if name == "training":
            return self.training()
        if name == "proxy":
            return self.proxy(parse_proxy(self.options.proxy))
        return FeatureEvaluator(
            self.space,
            self.images,
            self._plan(self.images),
            self.backbone,
            cache=default_cache_dir() / "features",
            progress=self.progress,
        )

    def _ladder(self) -> Ladder:
        return Ladder([Rung(self._one(name), top, name != "training") for name, top in parse_rungs(self.options.rungs)])

    def _plan(self, images: Images) -> TrainingPlan:
        return TrainingPlan(
            steps=self.options.train_steps,
            recipe=fitting_recipe(RECIPE, self.space, images),
            seed=self.seed,
            time_limit_s=self.options.time_limit or math.inf,
            checkpoints=(self.folder / CHECKPOINTS).absolute(),
            threads=self.threads,
            device=self.device,
        )

    def _start(self) -> Callable[[OpGraph], Mapping[str, Tensor] | None] | None:
        backbone, seed = self.backbone, self.seed
        return None if backbone is None else lambda graph: backbone.start(graph, seed)

    def _start_name(self) -> str:
        return "" if self.backbone is None else self.backbone.source


def check_options(options: EvaluatorOptions) -> None:
    """Refuse what is wrong with the options by themselves, before anything is written."""
    import difflib

    from hwnas.compiler.keymap import load_keymap

    if options.evaluator not in (AUTO, *EVALUATORS):
        near = difflib.get_close_matches(options.evaluator, EVALUATORS, n=2)
        offer = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(EVALUATORS)}"
        raise HwnasError(f"unknown evaluator {options.evaluator!r}", offer)
    parse_proxy(options.proxy)
    if options.evaluator == LADDER:
        check_tops([top for _, top in parse_rungs(options.rungs)])
    elif options.rungs:
        raise HwnasError("--rungs says what a ladder is made of", "give it with --evaluator ladder")
    if options.time_limit is not None and not options.time_limit > 0:
        raise HwnasError(f"a time limit of {options.time_limit:g} s stops everything", "give more than 0 seconds")
    if (options.backbone_weights is None) != (options.keymap is None):
        raise HwnasError(
            "--backbone-weights and --keymap belong together",
            "the keymap says whose names the weights have: torchvision-mobilenet_v2, or hwnas for our own",
        )
    if options.keymap is not None:
        load_keymap(options.keymap)
    for option, given in (
        ("--prefilter-study", options.prefilter_study is not None),
        ("--keep", options.keep != EvaluatorOptions.keep),
    ):
        if given and options.prefilter is None:
            raise HwnasError(f"{option} is of a pre-filter", "give the score's name with --prefilter")


def measures_of(qualities: Collection[str]) -> Measures:
    """How the qualities of an objective are measured, beside the mIoU that every evaluator gives."""
    from hwnas.cli.stages.int8_metric import int8_measure

    return {INT8_MIOU: int8_measure()} if INT8_MIOU in qualities else {}


def check_serves(options: EvaluatorOptions, objective: Objective, strategy: str, *, recipes: bool) -> None:
    """Refuse evaluators (with ``auto`` decided) that cannot tell what is asked for: HwnasError with those that can."""
    used = names_of(options)
    if recipes and SLICES in used:
        raise HwnasError(
            "slices of a supernet are not trained: they cannot tell one recipe from another",
            "use --evaluator training, or proxy",
        )
    if INT8_MIOU in objective.qualities and "features" in used:
        raise HwnasError(
            f"the evaluator features trains decoders alone: there is no network to quantize for {INT8_MIOU}",
            "use --evaluator slices, training or proxy",
        )
    if takes_pool(strategy) and SLICES not in used:
        raise HwnasError(
            f"the strategy {strategy} starts from a pool that a supernet's training leaves, and none is trained here",
            "use --evaluator slices, or another strategy",
        )


def resolved(
    options: EvaluatorOptions, strategy: str, space: SearchSpace, *, recipes: bool = False
) -> EvaluatorOptions:
    """``options`` with ``auto`` decided: slices, but for strategies that ask for trainings of several lengths, and
    where ``recipes`` are searched.

    DPC ranks on the features of the frozen backbone where the space has one, else by a proxy, and then in full.
    """
    if options.evaluator != AUTO:
        return options
    name = strategy.partition(":")[0]
    if name == "dpc":
        first = "features" if takes_backbone(space) and not hasattr(space, "reference") else "proxy"
        return replace(options, evaluator=LADDER, rungs=f"{first}@0.1,training@1")
    return replace(options, evaluator="training" if name in BY_FIDELITY or recipes else SLICES)


def names_of(options: EvaluatorOptions) -> tuple[str, ...]:
    """The evaluators that take part."""
    return (
        tuple(name for name, _ in parse_rungs(options.rungs)) if options.evaluator == LADDER else (options.evaluator,)
    )


def parse_rungs(text: str) -> list[tuple[str, float]]:
    """``"proxy@0.1,training@1"`` → names with the fidelity that each reaches."""
    rungs = []
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, top = part.partition("@")
        try:
            number = float(top)
        except ValueError:
            number = math.nan
        if name not in EVALUATORS or name == LADDER or not math.isfinite(number):
            raise HwnasError(
                f"the rung {part!r} is no evaluator with the fidelity that it reaches",
                f"write it like proxy@0.1; evaluators are {', '.join(each for each in EVALUATORS if each != LADDER)}",
            )
        rungs.append((name, number))
    return rungs


def identity(options: EvaluatorOptions) -> dict[str, Any]:
    """What of the options decides a search's scores: where results are kept does not."""
    return {name: value for name, value in asdict(options).items() if name not in ("results", "prefilter_study")}


def filtered(field: Field, data: TrainingData, options: EvaluatorOptions, seed: int) -> Field:
    """``field`` with the candidates alone that the pre-filter keeps, if there is one."""
    if options.prefilter is None:
        return field
    from hwnas.cli.stages.zero_cost import scorer
    from hwnas.search.evaluators.zero_cost import ZERO_COST
    from hwnas.search.prefilter import prefiltered

    score = scorer(ZERO_COST.get(options.prefilter), field.space, data.images, seed)
    problem = prefiltered(field.problem, options.prefilter, score, keep=options.keep, seed=seed)
    return replace(field, problem=problem)


def fitting_recipe(recipe: Recipe, space: SearchSpace, images: Images) -> Recipe:
    """``recipe``, with larger crops where the space's networks cannot be expanded in its own: some dilations need more
    than half an image."""
    least = least_crop(space, images.size_hw, images.classes, recipe)
    if least == crop_of(recipe, images.size_hw):
        return recipe
    return replace(recipe, crop=min(1.0, max(least[0] / images.size_hw[0], least[1] / images.size_hw[1])))
